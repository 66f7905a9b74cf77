//! Every word of the language: where it may stand, and whether it has an effect yet.
//!
//! The table is the list that `lvsmon check` warns by and suggestions are made from; what a
//! value means is in `check`. Words marked "ours" are not mon's.
//!
//! | Level | Words |
//! |---|---|
//! | record | `hostgroup` `alias` `view` `watch`; ours: `include FILE\|DIR` `virtual` |
//! | in a watch | `service` `period` |
//! | service | see [`SERVICE`]; ours: `all_hosts_on_failure` `trapduration_upalert` `tripwire` |
//! | period | see [`PERIOD`] |
//! | virtual section | ours: see [`SECTION`] |
//! | global | see [`GLOBALS`]; ours: `monitor_timeout` `monitor_user` `maxchecks` `ipvs_backend` `external_lvs_alert` `mail_relay` `mail_from` `mail_domain` `mail_login` `mail_group_wait` `notify_fifo` `notify_instance` `vip` `speak` `sync_daemon` `witness` `peer` `peer_key` `peer_bind` `metricsbind` `metricsport` |

/// Where a keyword of a watch belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Before the first period of a service, or a line that opens something.
    Service,
    /// In a period.
    Period,
}

/// Whether a word does something in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does.
    Works,
    /// It is read and checked, and has no effect yet.
    NotYet,
}

use Effect::{NotYet, Works};

/// Words that begin a record.
pub(crate) const RECORDS: [&str; 6] = ["hostgroup", "alias", "view", "watch", "include", "virtual"];

/// Keywords of a service.
pub(crate) const SERVICE: [(&str, Effect); 22] = [
    ("interval", Works),
    ("failure_interval", Works),
    ("randskew", Works),
    ("monitor", Works),
    ("description", Works),
    ("allow_empty_group", Works),
    ("exclude_hosts", Works),
    ("exclude_period", Works),
    ("traptimeout", Works),
    ("trapduration", Works),
    ("depend", Works),
    ("alertdepend", Works),
    ("monitordepend", Works),
    ("hostdepend", Works),
    ("dep_behavior", Works),
    ("dep_memory", Works),
    ("redistribute", Works),
    ("unack_summary", Works),
    ("trapduration_upalert", Works),
    ("all_hosts_on_failure", Works),
    ("tripwire", Works),
    ("service", Works),
];

/// Keywords of a period.
pub(crate) const PERIOD: [(&str, Effect); 13] = [
    ("alert", Works),
    ("upalert", Works),
    ("startupalert", Works),
    ("ackalert", Works),
    ("disablealert", Works),
    ("alertevery", Works),
    ("alertafter", Works),
    ("upalertafter", Works),
    ("numalerts", Works),
    ("no_comp_alerts", Works),
    ("alerts_dont_count", Works),
    ("alertexitrange", Works),
    ("period", Works),
];

/// Keywords of a `virtual` section, all ours.
pub(crate) const SECTION: [(&str, Effect); 23] = [
    ("protocol", Works),
    ("family", Works),
    ("scheduler", Works),
    ("forward", Works),
    ("weight", Works),
    ("persistent", Works),
    ("one_packet", Works),
    ("real", Works),
    ("service", Works),
    ("fall", Works),
    ("rise", Works),
    ("recheck", Works),
    ("on_failure", Works),
    ("min_live", Works),
    ("fallback", Works),
    ("slow_start", Works),
    ("weight_from", Works),
    ("initial", Works),
    ("foreign", Works),
    ("on_exit", Works),
    ("witness", Works),
    ("alert", Works),
    ("upalert", Works),
];

/// Settings, `name = value`.
pub(crate) const GLOBALS: [(&str, Effect); 54] = [
    ("alertdir", Works),
    ("mondir", Works),
    ("basedir", Works),
    ("cfbasedir", Works),
    ("statedir", Works),
    ("logdir", Works),
    ("authfile", Works),
    ("authtype", Works),
    ("pamservice", NotYet),
    ("userfile", Works),
    ("serverbind", Works),
    ("trapbind", Works),
    ("serverport", Works),
    ("trapport", Works),
    ("clientallow", Works),
    ("cltimeout", Works),
    ("pidfile", Works),
    ("histlength", Works),
    ("historicfile", Works),
    ("historictime", Works),
    ("dtlogging", Works),
    ("dtlogfile", Works),
    ("monerrfile", Works),
    ("maxprocs", Works),
    ("randstart", Works),
    ("dep_recur_limit", Works),
    ("dep_behavior", Works),
    ("dep_memory", Works),
    ("unack_summary", Works),
    ("syslog_facility", Works),
    ("startupalerts_on_reset", Works),
    ("monremote", Works),
    ("exclude_period", Works),
    ("monitor_timeout", Works),
    ("monitor_user", Works),
    ("maxchecks", Works),
    ("ipvs_backend", Works),
    ("external_lvs_alert", Works),
    ("mail_relay", Works),
    ("mail_from", Works),
    ("mail_domain", Works),
    ("mail_login", Works),
    ("mail_group_wait", Works),
    ("notify_fifo", Works),
    ("notify_instance", Works),
    ("vip", Works),
    ("speak", Works),
    ("sync_daemon", Works),
    ("witness", Works),
    ("peer", Works),
    ("peer_key", Works),
    ("peer_bind", Works),
    ("metricsbind", Works),
    ("metricsport", Works),
];

/// Where a keyword of a watch belongs; none for an unknown word.
pub(crate) fn level(word: &str) -> Option<Level> {
    let among = |table: &[(&str, Effect)]| table.iter().any(|&(known, _)| known == word);
    if among(&SERVICE) || word == "period" {
        Some(Level::Service)
    } else if among(&PERIOD) {
        Some(Level::Period)
    } else {
        None
    }
}

/// Whether a group, view or service may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !text.is_empty() && text.bytes().all(plain)
}

/// All keywords of a watch.
pub(crate) fn in_watch() -> impl Iterator<Item = &'static str> {
    SERVICE.iter().chain(&PERIOD).map(|&(word, _)| word)
}

/// All keywords of a `virtual` section.
pub(crate) fn in_section() -> impl Iterator<Item = &'static str> {
    SECTION.iter().map(|&(word, _)| word)
}

/// Whether it is a keyword of a `virtual` section.
pub(crate) fn is_of_section(word: &str) -> bool {
    in_section().any(|known| known == word)
}

/// Whether it is a setting.
pub(crate) fn is_global(word: &str) -> bool {
    GLOBALS.iter().any(|&(known, _)| known == word)
}

/// Whether a word of a table has no effect yet.
pub(crate) fn is_idle(table: &[(&str, Effect)], word: &str) -> bool {
    table
        .iter()
        .any(|&(known, effect)| known == word && effect == NotYet)
}
