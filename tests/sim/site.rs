//! Random configurations, as text, so that a broken rule can be read and tried by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;

use super::depend::{Name, Reliance, reliance};
use super::sections::{Group, sections};
use super::wires::FIRST_PORT;

/// A service that only hears traps, some of them within one second.
const TRAPS: &str = "    service traps
        redistribute share.alert
        period all: wd {Sun-Sat}
            startupalert page.alert start
            alert page.alert down
            upalert page.alert up
";

/// How a site is made up.
pub(crate) struct Site {
    /// The file.
    pub(crate) text: String,
    /// Whether limits or exclude periods may hold runs back for long.
    pub(crate) may_wait: bool,
    /// Whether failures wait for the word of a witness.
    pub(crate) has_witness: bool,
    /// What depends on what, as it was drawn and not as it was read.
    pub(crate) relies: BTreeMap<Name, Vec<Reliance>>,
}

/// A watch for traps that nobody else wants.
const CATCH_ALL: &str = "watch default
    service default
        traptimeout 3m
        trapduration 1m
        period wd {Sun-Sat}
            alert page.alert unknown
            upalert page.alert known
";

/// The witness of all others.
const GATE: &str = "hostgroup gate g9h0

watch gate
    service ping
        interval 10s
        monitor fping.monitor
        period wd {Sun-Sat}
            alert page.alert cut
            upalert page.alert joined

";

/// A site of a few groups. `variant` changes some services and drops one, for reloads.
pub(crate) fn site(seed: u64, variant: u64) -> Site {
    let mut random = Rng::with_seed(seed.wrapping_mul(31));
    let mut change = Rng::with_seed(seed.wrapping_mul(37).wrapping_add(variant));
    let mut text = String::new();
    let has_witness = random.u8(..) < 120;
    if has_witness {
        text.push_str("witness = gate:ping\n");
    }
    let may_wait = globals(&mut random, &mut text);
    let groups = random.u32(1..=4);
    let mut watches = String::new();
    let mut relies = BTreeMap::new();
    // Who may be relied on: services above that no variant drops, so there is no circle.
    let mut parents: Vec<Name> = Vec::new();
    for group in 0..groups {
        let hosts = random.u32(1..=3);
        let names: Vec<String> = (0..hosts).map(|host| format!("g{group}h{host}")).collect();
        let _ = writeln!(text, "hostgroup g{group} {}\n", names.join(" "));
        let _ = writeln!(watches, "watch g{group}");
        let services = random.u32(1..=3);
        let mut there = Vec::new();
        for service in 0..services {
            let own = random.fork();
            let is_gone = variant > 0 && services > 1 && service == 0 && change.u8(..) < 90;
            let differs = variant > 0 && change.u8(..) < 90;
            let name = (format!("g{group}"), format!("s{service}"));
            if !is_gone {
                there.push(service);
                let mut own = if differs { change.fork() } else { own };
                let drawn = reliance(&mut own, &parents);
                service_lines(&mut own, group, service, &drawn, &mut watches);
                relies.insert(name.clone(), drawn);
            }
            if services == 1 || service > 0 {
                parents.push(name);
            }
        }
        if group == 0 {
            watches.push_str(TRAPS);
        }
        watches.push('\n');
        let own = random.fork();
        let differs = variant > 0 && change.u8(..) < 120;
        let mut own = if differs { change.fork() } else { own };
        let group = Group {
            number: group,
            hosts,
            services: &there,
        };
        sections(&mut own, &group, &mut watches);
    }
    text.push_str(&watches);
    if has_witness {
        text.push_str(GATE);
    }
    if random.bool() {
        text.push_str(CATCH_ALL);
    }
    Site {
        text,
        may_wait,
        has_witness,
        relies,
    }
}

fn globals(random: &mut Rng, text: &mut String) -> bool {
    let mut may_wait = false;
    text.push_str("monitor_timeout = 20s\nhistlength = 7\n");
    if random.bool() {
        text.push_str("randstart = 15s\n");
    }
    if random.u8(..) < 80 {
        text.push_str("maxprocs = 2\n");
        may_wait = true;
    }
    if random.u8(..) < 60 {
        text.push_str("maxchecks = 1\n");
        may_wait = true;
    }
    if random.u8(..) < 40 {
        text.push_str("exclude_period = min {20-22}\n");
        may_wait = true;
    }
    if random.u8(..) < 60 {
        text.push_str("startupalerts_on_reset = yes\n");
    }
    text.push('\n');
    may_wait
}

fn service_lines(
    random: &mut Rng,
    group: u32,
    service: u32,
    relies: &[Reliance],
    out: &mut String,
) {
    let _ = writeln!(out, "    service s{service}");
    let hears_traps_only = random.u8(..) < 30;
    if !hears_traps_only {
        let interval = random.u32(2..=30);
        let _ = writeln!(out, "        interval {interval}s");
        let native = random.bool();
        let port = FIRST_PORT + u16::try_from(service).unwrap();
        let monitor = match native {
            true => &format!("http.monitor -p {port}"),
            false => "site.monitor -x",
        };
        let _ = writeln!(out, "        monitor {monitor}");
        if random.bool() && native {
            let _ = writeln!(out, "        tripwire on");
        }
    }
    for reliance in relies {
        let _ = writeln!(out, "        {}", reliance.line);
    }
    let mut option = |chance: u8, line: &str| {
        if random.u8(..) < chance {
            let _ = writeln!(out, "        {line}");
        }
    };
    option(60, "failure_interval 3s");
    option(60, "randskew 2s");
    option(30, "exclude_period min {40-41}");
    option(30, "all_hosts_on_failure");
    option(60, "unack_summary");
    option(30, "redistribute share.alert");
    option(80, "dep_memory 15s");
    option(60, "traptimeout 2m");
    option(90, "trapduration 40s");
    option(90, "trapduration_upalert yes");
    let periods = random.u32(1..=2);
    for period in 0..periods {
        let when = ["wd {Sun-Sat}", "min {0-30}", "hr {9-17}"][random.usize(..3)];
        let _ = writeln!(out, "        period p{period}: {when}");
        let mut option = |chance: u8, line: &str| {
            if random.u8(..) < chance {
                let _ = writeln!(out, "            {line}");
            }
        };
        option(60, "alertevery 1m");
        option(30, "alertevery 1m strict");
        option(30, "alertevery 5m observe_detail");
        option(60, "alertafter 2");
        option(40, "alertafter 3 10m");
        option(40, "alertafter 20s");
        option(60, "numalerts 2");
        option(40, "no_comp_alerts");
        option(40, "upalertafter 30s");
        option(40, "alertexitrange 1-5");
        option(60, "startupalert page.alert start");
        option(200, "alert page.alert down");
        option(60, "alert exit=2 siren.alert");
        option(200, "upalert page.alert up");
        option(90, "ackalert page.alert ack");
        option(90, "disablealert page.alert off");
        if random.u8(..) < 170 {
            lvs_lines(random, group, out);
        }
    }
}

/// Bindings: of one address, of one name, or of each host of the group.
fn lvs_lines(random: &mut Rng, group: u32, out: &mut String) {
    let real = match random.u8(..3) {
        0 => format!("-R 192.168.{group}.1"),
        1 => format!("-R g{group}h0"),
        _ => String::new(),
    };
    let ours = if random.bool() { "-B -S wlc" } else { "" };
    let line = format!("lvs.alert -P tcp -V 10.0.0.{group}:80 {real} -W 5 -F dr {ours}");
    let _ = writeln!(out, "            alert {line}");
    if random.u8(..) < 220 {
        let _ = writeln!(out, "            upalert {line}");
    }
}
