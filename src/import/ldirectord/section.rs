//! What does a `virtual` section of ldirectord.cf come to, and what do the globals?

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::effort::visit;
use crate::import::ldirectord::server::{fallback, real_servers};
use crate::import::ldirectord::{Block, SUPERVISED, Settings, Value, check};
use crate::import::plan::{
    Entry, Plan, Policy, Section, Server, fit_settings, flag_of, scheduler_of,
};
use crate::import::words::{address_of, granularity, recipients, unquoted};
use crate::import::{Remarks, shown};
use crate::lvs::{
    FOUR_IN_SIX, Family, Protocol, Scheduler, ServiceFlags, VirtualService, VirtualServiceKey,
    four_in_six,
};
use crate::model::{Counts, Initial, OnExit, OnFailure, WeightFrom};
use crate::options::words::port_or_service;

/// What lvsmon has in place of a global word, where that is not said in mon.cf.
const LOST: [(&str, &str); 5] = [
    (
        "autoreload",
        "lvsmon reads its file again when it is told to: systemctl reload lvsmon",
    ),
    ("callback", "nothing is run when the file changes"),
    (
        "execute",
        "another file is read: import it too, and `include` what came of it",
    ),
    (
        "maintenancedir",
        "a real server is taken out with `lvsmon disable SERVER`, which survives a restart",
    ),
    (
        "readdquiescent",
        "lvsmon puts back what others take out of the table",
    ),
];

/// The settings of the whole file.
pub(super) fn of_globals(global: &Settings, plan: &mut Plan, remarks: &mut Remarks) {
    for (word, text) in LOST {
        let Some(value) = global.get(word) else {
            continue;
        };
        let says_nothing = match word {
            "autoreload" => value.text == "no",
            "readdquiescent" => value.text == "yes",
            _ => false,
        };
        if !says_nothing {
            remarks.lost(&value.place, format!("{word}: {text}"));
        }
    }
    for word in ["fork", "logfile", SUPERVISED] {
        if let Some(value) = global.get(word) {
            let text = match word {
                "fork" => "all checks run side by side",
                "logfile" => "lvsmon run logs to standard error, which systemd keeps",
                _ => "lvsmon run stays in the foreground",
            };
            remarks.note(&value.place, format!("{word} is not needed: {text}"));
        }
    }
    if let Some(value) = global.get("smtp") {
        let relay = format!("smtp://{}:25", unquoted(&value.text));
        if is_plain(&value.text) {
            plan.settings.push(("mail_relay", relay));
        } else {
            remarks.lost(&value.place, "smtp: no name of a mail server");
        }
    }
    if let Some(value) = global.get("emailalertfrom") {
        match address_of(&value.text) {
            Some(address) => plan.settings.push(("mail_from", address)),
            None => remarks.lost(&value.place, "emailalertfrom: no mail address in it"),
        }
    }
}

fn is_plain(text: &str) -> bool {
    let text = unquoted(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// The settings that a virtual service sees: its own before those of the file.
pub(super) struct Seen<'a> {
    pub(super) block: &'a Block,
    pub(super) global: &'a Settings,
}

impl<'a> Seen<'a> {
    pub(super) fn get(&self, word: &str) -> Option<&'a Value> {
        let own = self.block.settings.get(word);
        own.or_else(|| self.global.get(word))
    }

    /// A number of at least 1, as the program reads it: the first digits.
    pub(super) fn number(&self, word: &str, remarks: &mut Remarks) -> Option<u32> {
        let value = self.get(word)?;
        let digits: String = value
            .text
            .chars()
            .skip_while(|letter| !letter.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let number = digits.parse().ok().filter(|number| *number > 0);
        if number.is_none() && word != "emailalertfreq" {
            let text = if digits.is_empty() {
                format!("{word} without a number; left out")
            } else {
                format!(
                    "{word} {}: not a number from 1 on; left out",
                    shown(&digits)
                )
            };
            remarks.tolerated(&value.place, text);
        }
        number
    }

    pub(super) fn seconds(&self, word: &str, remarks: &mut Remarks) -> Option<Duration> {
        let number = self.number(word, remarks)?;
        Some(Duration::from_secs(number.into()))
    }

    fn says(&self, word: &str, default: bool, remarks: &mut Remarks) -> bool {
        let Some(value) = self.get(word) else {
            return default;
        };
        match unquoted(&value.text) {
            "yes" => true,
            "no" => false,
            other => {
                let taken = if default { "yes" } else { "no" };
                let text = format!(
                    "{word} is yes or no, not \"{}\"; {taken} is taken",
                    shown(other)
                );
                remarks.tolerated(&value.place, text);
                default
            }
        }
    }
}

/// A section; none where it cannot be one, with a remark.
pub(super) fn of_block(
    block: &Block,
    global: &Settings,
    plan: &Plan,
    remarks: &mut Remarks,
) -> Option<Section> {
    let place = block.head.place.clone();
    let seen = Seen { block, global };
    let key = key(&seen, remarks)?;
    if plan.sections.iter().any(|it| it.keys.contains(&key)) {
        remarks.lost(
            &place,
            format!("{key} is in the file already; the first one counts"),
        );
        return None;
    }
    let interval = seen
        .seconds("checkinterval", remarks)
        .unwrap_or(Duration::from_secs(10));
    let checks = check::Checks::new(&seen, key, interval, remarks);
    let policy = policy(&seen, remarks);
    let mut servers: Vec<Server> = Vec::new();
    let mut entries: BTreeSet<Entry> = BTreeSet::new();
    for real in &block.reals {
        for server in real_servers(real, &checks, &policy, key, remarks) {
            visit();
            if !entries.insert(server.entry(key)) {
                let text = format!("{} is listed twice; the first line counts", server.host);
                remarks.tolerated(&real.place, text);
            } else {
                servers.push(server);
            }
        }
    }
    others(&seen, remarks);
    let fallback = fallback(&seen, key, remarks)
        .filter(|it| !it.is_listed(&servers, key, "the fallback server", &place, remarks));
    let mut settings = settings(&seen, key, remarks);
    let keys = fit_settings(&mut settings, vec![key], &place, remarks);
    keys.first()?;
    if servers.is_empty() {
        remarks.lost(
            &place,
            "a virtual service without real servers is not imported",
        );
        return None;
    }
    let quiesces = seen.says("quiescent", true, remarks);
    Some(Section {
        place,
        title: format!("virtual={}", shown(&block.head.text)),
        keys,
        settings,
        servers,
        fallback,
        fall: seen
            .number("failurecount", remarks)
            .unwrap_or(1)
            .min(Counts::MAX),
        // It counts at its usual pace.
        recheck: Some(interval),
        on_failure: if quiesces {
            OnFailure::Quiesce
        } else {
            OnFailure::Remove
        },
        initial: Initial::AsFound,
        on_exit: if seen.says("cleanstop", true, remarks) {
            OnExit::Remove
        } else {
            OnExit::Keep
        },
        weight_from: WeightFrom::File,
        alerts: Vec::new(),
        upalerts: Vec::new(),
        remarks: remarks.take(),
    })
}

fn key(seen: &Seen<'_>, remarks: &mut Remarks) -> Option<VirtualServiceKey> {
    let head = &seen.block.head;
    let text = head.text.as_str();
    let family = if seen.block.is_six {
        Family::V6
    } else {
        Family::V4
    };
    let is_mark = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_mark {
        let mark = text.parse().ok().filter(|mark| *mark > 0);
        if mark.is_none() {
            remarks.lost(
                &head.place,
                "a firewall mark is a number from 1 to 4294967295",
            );
        }
        return mark.map(|mark| VirtualServiceKey::Mark(family, mark));
    }
    let (host, port) = split_port(text);
    let Some(port) = port.and_then(port_of) else {
        remarks.lost(
            &head.place,
            format!("virtual={}: write the port as a number", shown(text)),
        );
        return None;
    };
    let Ok(address) = host.parse::<IpAddr>() else {
        remarks.lost(
            &head.place,
            format!(
                "virtual={}: write the address in place of the name",
                shown(text)
            ),
        );
        return None;
    };
    if let Some(four) = four_in_six(address) {
        let text = format!(
            "virtual={}: {address} {FOUR_IN_SIX}: write {four}",
            shown(text)
        );
        remarks.lost(&head.place, text);
        return None;
    }
    let protocol = match seen
        .block
        .settings
        .get("protocol")
        .map(|it| it.text.as_str())
    {
        Some("udp") => Protocol::Udp,
        Some("tcp") => Protocol::Tcp,
        other => {
            let by_port = if port == 53 {
                Protocol::Udp
            } else {
                Protocol::Tcp
            };
            if other.is_some() {
                let text = format!("a protocol that does not fit; taken as {by_port}");
                remarks.tolerated(&head.place, text);
            }
            by_port
        }
    };
    let address = SocketAddr::new(address, port);
    Some(VirtualServiceKey::Address(protocol, address))
}

/// `HOST:PORT` in its parts, the host without brackets.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        // Two colons are a slip of the pen that the program's own sample file has.
        Some((host, port)) if !host.trim_end_matches(':').contains(':') => {
            (host.trim_end_matches(':'), Some(port))
        }
        _ => (text, None),
    }
}

pub(super) fn port_of(text: &str) -> Option<u16> {
    if text == "0" {
        return Some(0);
    }
    port_or_service(0, 'p', text).ok()
}

fn settings(seen: &Seen<'_>, key: VirtualServiceKey, remarks: &mut Remarks) -> VirtualService {
    let wrr = || Scheduler::new("wrr").unwrap_or_else(Scheduler::wlc);
    let scheduler = seen.get("scheduler").map_or_else(wrr, |value| {
        scheduler_of(&value.text).unwrap_or_else(|| {
            let name = shown(&value.text);
            let text = format!("no scheduler \"{name}\" is known; wrr is taken");
            remarks.lost(&value.place, text);
            wrr()
        })
    });
    let mut settings = VirtualService::plain(key.family(), scheduler);
    if let Some(value) = seen.get("schedflags") {
        for word in unquoted(&value.text)
            .split([',', ' '])
            .filter(|it| !it.is_empty())
        {
            match flag_of(&settings.scheduler, word) {
                Some(flag) => settings.flags = settings.flags.with(flag),
                None => {
                    let scheduler = &settings.scheduler;
                    let text = format!("{scheduler} has no flag \"{}\"", shown(word));
                    remarks.lost(&value.place, text);
                }
            }
        }
    }
    if seen.says("ops", false, remarks) {
        settings.flags = settings.flags.with(ServiceFlags::ONE_PACKET);
    }
    if let Some(seconds) = seen.number("persistent", remarks) {
        settings.persistence_seconds = seconds.min(VirtualService::PERSISTENCE_MAX_SECONDS);
        if seconds > VirtualService::PERSISTENCE_MAX_SECONDS
            && let Some(value) = seen.get("persistent")
        {
            remarks.lost(
                &value.place,
                "a persistence above 31 days is cut to 31 days",
            );
        }
    }
    if let Some(value) = seen.get("netmask") {
        match granularity(&value.text, key.family()) {
            Some(mask) => settings.netmask = mask,
            None => remarks.lost(&value.place, "netmask: no mask of this address family"),
        }
        if !settings.is_persistent() {
            remarks.tolerated(&value.place, "netmask means nothing without persistent");
        }
    }
    settings
}

/// What has no place in a section.
fn others(seen: &Seen<'_>, remarks: &mut Remarks) {
    for (word, text) in [
        ("load", "is no documented word and is left out"),
        (
            "monitorfile",
            "has no equivalent: `lvsmon why GROUP/SERVICE` and the log have each check",
        ),
        (
            "fallbackcommand",
            "is not imported: a program on an `alert` line of the virtual section gets other \
             arguments (README, \"Writing your own monitor or alert\")",
        ),
    ] {
        if let Some(value) = seen.get(word) {
            remarks.lost(&value.place, format!("{word} {text}"));
        }
    }
    if let Some(value) = seen.block.settings.get("smtp") {
        remarks.lost(&value.place, "smtp: there is one mail_relay for all");
    }
}

fn policy(seen: &Seen<'_>, remarks: &mut Remarks) -> Policy {
    let Some(value) = seen.get("emailalert") else {
        return Policy::default();
    };
    let text = unquoted(&value.text);
    let addresses = recipients("emailalert", text, &value.place, remarks);
    if addresses.is_empty() {
        remarks.lost(&value.place, "emailalert: no mail address in it");
        return Policy::default();
    }
    if let Some(status) = seen.get("emailalertstatus") {
        match status.text.trim() {
            "all" => {}
            "none" => return Policy::default(),
            _ => remarks.lost(
                &status.place,
                "emailalertstatus: mails are sent whatever the state of the daemon",
            ),
        }
    }
    let every = seen.seconds("emailalertfreq", remarks);
    let line = [vec!["mail.alert".to_owned()], addresses].concat();
    Policy {
        after: seen.number("failurecount", remarks).unwrap_or(1),
        every,
        // Without a frequency it mails once.
        number: every.is_none().then_some(1),
        alerts: vec![line.clone()],
        upalerts: vec![line],
    }
}
