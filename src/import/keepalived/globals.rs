//! What do the global blocks of keepalived.conf say of its checkers and their mail?

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::diagnostic::nearest;
use crate::import::keepalived::blocks::Block;
use crate::import::keepalived::is_on;
use crate::import::plan::Plan;
use crate::import::words::{address_of, is_host, recipients};
use crate::import::{Place, Remarks, range, shown};
use crate::lvs::{FOUR_IN_SIX, Family, four_in_six};

/// Virtual services of one group.
const GROUP_MAX: usize = 1_024;

/// What the virtual servers need of the rest.
#[derive(Debug, Default)]
pub(super) struct Globals {
    /// To whom mail goes.
    pub(super) addresses: Vec<String>,
    /// `smtp_alert`, or `smtp_alert_checker`, which wins.
    pub(super) smtp_alert: Option<bool>,
    /// What each group stands for.
    pub(super) groups: BTreeMap<String, Vec<Target>>,
    /// `SSL` names files for the checks.
    pub(super) has_certificates: bool,
}

/// What a virtual server is for, but its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Address and port; 0 is all ports.
    Address(IpAddr, u16),
    /// A firewall mark, and the family where the file says it.
    Mark(u32, Option<Family>),
}

impl Target {
    /// None for an address that no packet has.
    pub(super) fn address(
        address: IpAddr,
        port: u16,
        place: &Place,
        remarks: &mut Remarks,
    ) -> Option<Self> {
        match four_in_six(address) {
            None => Some(Self::Address(address, port)),
            Some(four) => {
                remarks.lost(place, format!("{address} {FOUR_IN_SIX}: write {four}"));
                None
            }
        }
    }
}

/// Reads all that is no virtual server.
pub(super) fn read(tree: &[Block], plan: &mut Plan, remarks: &mut Remarks) -> Globals {
    let mut globals = Globals::default();
    let mut keepalived = Vec::new();
    for block in tree {
        match block.name() {
            "virtual_server" => {}
            "virtual_server_group" => group(block, &mut globals, remarks),
            "global_defs" => global_defs(block, &mut globals, plan, remarks, &mut keepalived),
            "SSL" => {
                globals.has_certificates = true;
                let text = "SSL: checks over TLS take any certificate and show none; -c FILE in \
                            place of -k on a monitor line has them looked at";
                remarks.lost(&block.place, text);
            }
            // Before the program has read anything else.
            "net_namespace" | "net_namespace_ipvs" => remarks.lost(
                &block.place,
                format!("{}: start lvsmon in that namespace", block.name()),
            ),
            name => match meant(block) {
                Some(meant) => {
                    let name = shown(name);
                    let text = format!(
                        "\"{name}\" is not known here and is left out; did you mean {meant}?"
                    );
                    remarks.lost(&block.place, text);
                }
                None => keepalived.push(block),
            },
        }
    }
    if let Some(first) = keepalived.first() {
        let mut names: Vec<String> = Vec::new();
        for block in &keepalived {
            let name = shown(block.name());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let count = names.len();
        names.truncate(12);
        let rest = if count > names.len() { ", ..." } else { "" };
        let text = format!(
            "VRRP and what goes with it stays in keepalived.conf: {}{rest}",
            names.join(", ")
        );
        remarks.note(&first.place, text);
    }
    globals
}

/// What a block at the top that is none of ours nor of VRRP was probably meant to be: keepalived
/// skips it.
fn meant(block: &Block) -> Option<&'static str> {
    if block.inner.iter().any(|it| it.name() == "real_server") {
        return Some("virtual_server");
    }
    nearest(block.name(), ["virtual_server", "virtual_server_group"])
}

fn group(block: &Block, globals: &mut Globals, remarks: &mut Remarks) {
    let name = block.word(1).unwrap_or_default();
    if globals.groups.contains_key(name) {
        let text = format!(
            "the group {} is in the file already; the first one counts",
            shown(name)
        );
        remarks.lost(&block.place, text);
        return;
    }
    let mut list = Vec::new();
    for line in &block.inner {
        if line.name() == "fwmark" {
            let mark = line.word(1).and_then(|it| it.parse().ok());
            let family = family(line.word(2));
            match mark.filter(|it| *it > 0) {
                Some(mark) => list.push(Target::Mark(mark, family)),
                None => remarks.lost(&line.place, "a firewall mark is a number above 0"),
            }
            continue;
        }
        let port = line.word(1).map_or(Some(0), |it| it.parse().ok());
        match (range::of_word(line.name()), port) {
            (Ok(addresses), Some(port)) => {
                let of = |it| Target::address(it, port, &line.place, remarks);
                list.extend(addresses.into_iter().filter_map(of));
            }
            (Err(why), _) => remarks.lost(&line.place, format!("{why}; it is left out")),
            (Ok(_), None) => remarks.lost(&line.place, "no port; it is left out"),
        }
    }
    if list.len() > GROUP_MAX {
        list.truncate(GROUP_MAX);
        let text = format!("the group has more than {GROUP_MAX} members; the rest is left out");
        remarks.lost(&block.place, text);
    }
    globals.groups.insert(name.to_owned(), list);
}

/// `inet` or `inet6`
pub(super) fn family(word: Option<&str>) -> Option<Family> {
    match word {
        Some("inet") => Some(Family::V4),
        Some("inet6") => Some(Family::V6),
        _ => None,
    }
}

fn global_defs<'t>(
    block: &'t Block,
    globals: &mut Globals,
    plan: &mut Plan,
    remarks: &mut Remarks,
    keepalived: &mut Vec<&'t Block>,
) {
    let mut checker = None;
    let mut general = None;
    for line in &block.inner {
        let place = &line.place;
        match line.name() {
            "notification_email" => {
                told(&line.place, line.args(), globals, remarks);
                for inner in &line.inner {
                    told(&inner.place, &inner.words, globals, remarks);
                }
            }
            "notification_email_from" => match address_of(&line.args().join(" ")) {
                Some(address) => plan.settings.push(("mail_from", address)),
                None => remarks.lost(place, "notification_email_from: no mail address in it"),
            },
            "smtp_server" => {
                let host = line.word(1).filter(|it| is_host(it));
                let port = line.word(2).map_or(Some(25_u16), |it| it.parse().ok());
                match (host, port) {
                    (Some(host), Some(port)) => {
                        let host = match host.contains(':') {
                            true => format!("[{host}]"),
                            false => host.to_owned(),
                        };
                        let relay = format!("smtp://{host}:{port}");
                        plan.settings.push(("mail_relay", relay));
                    }
                    _ => remarks.lost(
                        place,
                        "smtp_server: no name of a mail server, or no port of one",
                    ),
                }
            }
            "smtp_alert" => general = is_on(line, remarks).or(general),
            "smtp_alert_checker" => checker = is_on(line, remarks).or(checker),
            "checker_log_all_failures" => {
                remarks.note(place, "LVSMON_LOG=debug logs each check");
            }
            word => match lost(word) {
                Some(text) => remarks.lost(place, format!("{word}: {text}")),
                None => keepalived.push(line),
            },
        }
    }
    globals.smtp_alert = checker.or(general);
}

/// Recipients on a line, who have nothing but blanks between them.
fn told(place: &Place, words: &[String], globals: &mut Globals, remarks: &mut Remarks) {
    if words.iter().any(|it| it.contains(',')) {
        let text = "notification_email: keepalived takes a comma for a part of the address; taken \
                    as the end of one";
        remarks.tolerated(place, text);
    }
    for word in words {
        let found = recipients("notification_email", word, place, remarks);
        globals.addresses.extend(found);
    }
}

/// What there is in place of a global word that concerns the checkers.
fn lost(word: &str) -> Option<&'static str> {
    match word {
        "smtp_helo_name" => Some("mails greet with mail_domain or the name of this machine"),
        "smtp_connect_timeout" => Some("deliveries have limits of their own and are tried again"),
        "lvs_sync_daemon" => Some(
            "stays in keepalived.conf if keepalived goes on to do VRRP; lvsmon starts no \
             synchronisation daemon because of this file",
        ),
        "lvs_timeouts" => Some("ipvsadm --set TCP TCPFIN UDP, once at the start of the machine"),
        "lvs_flush" => {
            Some("lvsmon takes over the table as it finds it; ipvsadm -C would empty it")
        }
        "lvs_flush_on_stop" => Some("on_exit of each virtual section says what becomes of it"),
        "script_user" | "enable_script_security" => Some(
            "monitor_user says as whom monitors that are programs run, and alerts run as the \
                 daemon's user; `lvsmon check --host` looks at both",
        ),
        "startup_script" | "shutdown_script" => Some("ExecStartPre and ExecStopPost of the unit"),
        "snmp_server" | "enable_snmp_checker" | "snmp_socket" => Some("there is no SNMP"),
        "nftables_ipvs" => Some("each virtual service of a group is one of its own"),
        "net_namespace" | "net_namespace_ipvs" => Some("start lvsmon in that namespace"),
        "checker_process_name"
        | "checker_priority"
        | "checker_no_swap"
        | "checker_rt_priority"
        | "checker_rlimit_rttime"
        | "lvs_notify_fifo"
        | "lvs_notify_fifo_script"
        | "rs_init_notifies"
        | "no_checker_emails"
        | "no_email_faults" => Some("has no counterpart"),
        _ => None,
    }
}
