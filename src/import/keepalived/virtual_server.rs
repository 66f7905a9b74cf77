//! What does a `virtual_server` come to?

use std::collections::BTreeSet;
use std::time::Duration;

use crate::effort::visit;
use crate::import::checks::MendedPages;
use crate::import::keepalived::blocks::{Block, Extent};
use crate::import::keepalived::checker;
use crate::import::keepalived::defaults::Defaults;
use crate::import::keepalived::forwarding::forwarding;
use crate::import::keepalived::globals::Globals;
use crate::import::keepalived::keys::{keys, leading, reachable};
use crate::import::keepalived::{is_on, swallowed};
use crate::import::plan::{
    Entry, Plan, Policy, Section, Server, THRESHOLD_MAX, fit_settings, flag_of, scheduler_of,
};
use crate::import::words::{fit_port, granularity, is_host, weight};
use crate::import::{Format, Place, Remarks, shown};
use crate::lvs::{
    Family, Forwarding, RealServer, Scheduler, ServiceFlags, VirtualService, VirtualServiceKey,
    Weight,
};
use crate::model::{Counts, Initial, OnExit, OnFailure, OwnRules, WeightFrom};

/// Words of the block itself that say nothing about the table or the checks.
const SILENT: [&str; 3] = ["snmp_name", "log_all_failures", "hysteresis"];

/// How many words statements take at most, those of [`Defaults`] apart; none where any number may
/// stand. A word of no statement is that of a flag of the scheduler.
fn takes(statement: &str, is_flag: bool) -> Option<usize> {
    match statement {
        "ops" | "omega" | "ha_suspend" => Some(0),
        "protocol"
        | "ip_family"
        | "lvs_sched"
        | "lb_algo"
        | "weight"
        | "quorum"
        | "smtp_alert"
        | "hysteresis"
        | "uthreshold"
        | "lthreshold"
        | "persistence_timeout"
        | "persistence_engine"
        | "persistence_granularity" => Some(1),
        "sorry_server" => Some(2),
        _ => is_flag.then_some(0),
    }
}

/// A section; none where it cannot be one, with a remark.
pub(super) fn section(
    block: &Block,
    globals: &Globals,
    plan: &Plan,
    remarks: &mut Remarks,
) -> Option<Section> {
    let place = &block.place;
    let mut keys = keys(block, globals, plan, remarks);
    let first = leading(block, &keys)?;
    keys.sort_by_key(|key| key.family() != first.family());
    let mut reading = Reading::new(block, first, globals);
    for line in &block.inner {
        reading.line(line, remarks);
    }
    reading.finish(block, remarks);
    let mut servers: Vec<Server> = Vec::new();
    let mut entries: BTreeSet<Entry> = BTreeSet::new();
    let mut rules_of: Vec<OwnRules> = Vec::new();
    let mut found = checker::Found::default();
    for line in block.inner.iter().filter(|it| it.name() == "real_server") {
        let Some((server, of_server)) = reading.real_server(line, first, remarks) else {
            continue;
        };
        visit();
        if !entries.insert(server.entry(first)) {
            let text = format!("{} is listed twice; the first one counts", server.host);
            remarks.tolerated(&line.place, text);
            continue;
        }
        found.add(&of_server);
        rules_of.push(of_server.rules());
        servers.push(server);
    }
    if servers.is_empty() {
        remarks.lost(
            place,
            "a virtual server without real servers is not imported",
        );
        return None;
    }
    if found.differs {
        let text = "retry or delay_before_retry differ between checks; fall and recheck hold for \
                    all of a virtual service, the largest were taken";
        remarks.lost(place, text);
    }
    let fallback = reading
        .fallback(first, remarks)
        .filter(|it| !it.is_listed(&servers, first, "sorry_server", place, remarks));
    reading.quorum(fallback.is_some(), remarks);
    let keys = reachable(keys, || servers.iter().chain(&fallback), place, remarks);
    let keys = fit_settings(&mut reading.settings, keys, place, remarks);
    keys.first()?;
    let (on_failure, initial) = rules(&mut servers, &rules_of);
    let fall = found.retries.saturating_add(1).min(Counts::MAX);
    tell_withdrawals(&mut servers, fall, found.pause);
    Some(Section {
        place: place.clone(),
        title: block.title(),
        keys,
        settings: reading.settings,
        servers,
        fallback,
        fall,
        recheck: found.pause,
        on_failure,
        initial,
        on_exit: OnExit::Remove,
        weight_from: if found.sets_weight {
            WeightFrom::Check
        } else {
            WeightFrom::File
        },
        alerts: reading.alerts,
        upalerts: reading.upalerts,
        remarks: remarks.take(),
    })
}

/// Mail goes out with a withdrawal: where re-checks complete it, the next check of the service is
/// its second failure and comes at once; else the slots are what `fall` counts.
fn tell_withdrawals(servers: &mut [Server], fall: u32, recheck: Option<Duration>) {
    for service in servers.iter_mut().flat_map(|it| &mut it.checks) {
        let has_rechecks = recheck.is_some_and(|it| it < service.interval);
        service.policy.after = if has_rechecks { fall.min(2) } else { fall };
    }
}

/// What holds for all servers; what holds for some only is said on their lines.
fn rules(servers: &mut [Server], own: &[OwnRules]) -> (OnFailure, Initial) {
    let all_quiesced = own.iter().all(|it| it.on_failure.is_some());
    let all_out = own.iter().all(|it| it.initial.is_some());
    for (server, own) in servers.iter_mut().zip(own) {
        server.own = OwnRules {
            on_failure: own.on_failure.filter(|_| !all_quiesced),
            initial: own.initial.filter(|_| !all_out),
        };
    }
    let on_failure = match all_quiesced {
        true => OnFailure::Quiesce,
        false => OnFailure::Remove,
    };
    let initial = match all_out {
        true => Initial::Out,
        false => Initial::In,
    };
    (on_failure, initial)
}

/// A virtual server while its lines are read.
struct Reading<'a> {
    globals: &'a Globals,
    family: Family,
    settings: VirtualService,
    forwarding: Forwarding,
    /// Of real servers that name none.
    weight: Weight,
    defaults: Defaults,
    smtp_alert: Option<bool>,
    alerts: Vec<Vec<String>>,
    upalerts: Vec<Vec<String>>,
    fallback: Option<&'a Block>,
    fallback_forwarding: Option<Forwarding>,
    quorum: Option<&'a Block>,
    /// Pages of its real servers, which are mostly the same.
    mended: MendedPages,
}

impl<'a> Reading<'a> {
    fn new(block: &'a Block, key: VirtualServiceKey, globals: &'a Globals) -> Self {
        let is_scheduler = |it: &&Block| matches!(it.name(), "lvs_sched" | "lb_algo");
        let scheduler = block.inner.iter().rfind(is_scheduler);
        let scheduler = scheduler
            .and_then(|it| scheduler_of(it.word(1)?))
            .unwrap_or_else(Scheduler::wlc);
        Self {
            globals,
            family: key.family(),
            settings: VirtualService::plain(key.family(), scheduler),
            forwarding: Forwarding::Nat,
            weight: Weight(1),
            defaults: Defaults::default(),
            smtp_alert: None,
            alerts: Vec::new(),
            upalerts: Vec::new(),
            fallback: None,
            fallback_forwarding: None,
            quorum: None,
            mended: MendedPages::default(),
        }
    }

    fn line(&mut self, line: &'a Block, remarks: &mut Remarks) {
        let place = &line.place;
        let flag = flag_of(&self.settings.scheduler, line.name());
        if let Some(takes) = takes(line.name(), flag.is_some()) {
            swallowed(line, takes, remarks);
        }
        match line.name() {
            "real_server" | "protocol" | "ip_family" => {}
            "lvs_sched" | "lb_algo" => {
                if line.word(1).and_then(scheduler_of).is_none() {
                    let name = shown(line.word(1).unwrap_or_default());
                    let text = format!("no scheduler \"{name}\" is known; wlc is taken");
                    remarks.lost(place, text);
                }
            }
            "lvs_method" | "lb_kind" => {
                if let Some(found) = forwarding(line.args(), place, remarks) {
                    self.forwarding = found;
                }
            }
            "sorry_server_lvs_method" => {
                self.fallback_forwarding = forwarding(line.args(), place, remarks);
            }
            "ops" => self.settings.flags = self.settings.flags.with(ServiceFlags::ONE_PACKET),
            "persistence_timeout" | "persistence_engine" | "persistence_granularity" => {
                self.persistence(line, remarks);
            }
            "weight" => self.weight = weight_of(line, self.weight, remarks),
            "sorry_server" => self.fallback = Some(line),
            "quorum" => self.quorum = Some(line),
            "smtp_alert" => self.smtp_alert = is_on(line, remarks).or(self.smtp_alert),
            "quorum_up" => script(line, &mut self.upalerts, remarks),
            "quorum_down" => script(line, &mut self.alerts, remarks),
            "omega" => remarks.note(place, "omega: no alert is sent when lvsmon ends"),
            "ha_suspend" => remarks.lost(
                place,
                "ha_suspend: both directors check all the time, so that either is ready",
            ),
            "sorry_server_inhibit" => {
                remarks.lost(
                    place,
                    "sorry_server_inhibit: the fallback leaves the table when it is not needed, with \
                     connections to it too",
                );
            }
            "hysteresis" => {
                remarks.lost(
                    place,
                    "hysteresis: rise asks for several good checks in a row",
                );
            }
            "alpha" | "inhibit_on_failure" => self.defaults.turn_on(line, remarks),
            "virtualhost" | "connect_timeout" | "retry" | "delay_before_retry" | "delay_loop"
            | "warmup" => self.defaults.take(line, remarks),
            word if SILENT.contains(&word) => {}
            _ => match flag {
                Some(flag) => self.settings.flags = self.settings.flags.with(flag),
                None => unknown(line, remarks),
            },
        }
    }

    fn persistence(&mut self, line: &Block, remarks: &mut Remarks) {
        let place = &line.place;
        match (line.name(), line.word(1)) {
            ("persistence_engine", Some(name)) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                if name.bytes().all(plain) {
                    self.settings.persistence_engine = Some(name.into());
                } else {
                    remarks.lost(place, "no name of a persistence engine");
                }
            }
            ("persistence_granularity", Some(mask)) => match granularity(mask, self.family) {
                Some(mask) => self.settings.netmask = mask,
                None => remarks.lost(place, "no mask of this address family"),
            },
            ("persistence_timeout", seconds) => {
                // Six minutes where the word stands alone.
                let seconds = seconds.map_or(Some(360), |it| it.parse::<u32>().ok());
                let most = VirtualService::PERSISTENCE_MAX_SECONDS;
                match seconds {
                    Some(seconds) if seconds <= most => self.settings.persistence_seconds = seconds,
                    Some(_) => {
                        self.settings.persistence_seconds = most;
                        remarks.lost(place, "a persistence above 31 days is cut to 31 days");
                    }
                    None => remarks.lost(place, "persistence_timeout without a number; left out"),
                }
            }
            _ => remarks.tolerated(place, format!("{} without a value", line.name())),
        }
    }

    /// What can be said when all lines are read.
    fn finish(&mut self, block: &Block, remarks: &mut Remarks) {
        let granularity = |it: &&Block| it.name() == "persistence_granularity";
        if !self.settings.is_persistent()
            && let Some(line) = block.inner.iter().find(granularity)
        {
            let text = "persistence_granularity means nothing without persistence_timeout";
            remarks.tolerated(&line.place, text);
        }
        self.mail_of_quorum();
    }

    /// Mail about the quorum goes out where the file asks for it.
    fn mail_of_quorum(&mut self) {
        let wants = self.smtp_alert.or(self.globals.smtp_alert).unwrap_or(false);
        if wants && let Some(line) = mail(self.globals) {
            self.alerts.push(line.clone());
            self.upalerts.push(line);
        }
    }

    fn quorum(&self, has_fallback: bool, remarks: &mut Remarks) {
        let Some(line) = self.quorum else {
            return;
        };
        match line.word(1).and_then(|it| it.parse::<u64>().ok()) {
            Some(0 | 1) => {}
            Some(number) => {
                let fallback = if has_fallback {
                    "the fallback takes over when no server is healthy, not below that weight"
                } else {
                    "alerts come when no server is healthy, not below that weight"
                };
                let text = format!(
                    "quorum {number}: {fallback}. min_live is something else: it keeps failed \
                     servers in"
                );
                remarks.lost(&line.place, text);
            }
            None => remarks.tolerated(&line.place, "quorum is no number above 0; taken as 1"),
        }
    }

    fn fallback(&self, key: VirtualServiceKey, remarks: &mut Remarks) -> Option<Server> {
        let line = self.fallback?;
        let place = &line.place;
        let forwarding = self.fallback_forwarding.unwrap_or(self.forwarding);
        let mut server = target(line, forwarding, remarks)?;
        if let Some(why) = server.obstacle(key) {
            remarks.lost(place, format!("sorry_server is left out: {why}"));
            return None;
        }
        fit_port(&mut server, key, place, remarks);
        Some(server)
    }

    fn real_server(
        &self,
        block: &Block,
        key: VirtualServiceKey,
        remarks: &mut Remarks,
    ) -> Option<(Server, checker::Found)> {
        let place = &block.place;
        if let Some(text) = unfinished(block) {
            remarks.lost(place, text);
            return None;
        }
        let mut server = target(block, self.forwarding, remarks)?;
        server.settings.weight = self.weight;
        let mut defaults = self.defaults.clone();
        let mut policy = Policy::default();
        let mut smtp_alert = None;
        let mut is_unread = false;
        for line in &block.inner {
            if let Some(takes) = takes(line.name(), false) {
                swallowed(line, takes, remarks);
            }
            match line.name() {
                "weight" => server.settings.weight = weight_of(line, self.weight, remarks),
                "lvs_method" | "lb_kind" => {
                    if let Some(found) = forwarding(line.args(), &line.place, remarks) {
                        server.settings.forwarding = found;
                    }
                }
                "uthreshold" | "lthreshold" => threshold(line, &mut server.settings, remarks),
                "smtp_alert" => smtp_alert = is_on(line, remarks).or(smtp_alert),
                "notify_up" => script(line, &mut policy.upalerts, remarks),
                "notify_down" => script(line, &mut policy.alerts, remarks),
                "virtualhost" | "alpha" | "connect_timeout" | "retry" | "delay_before_retry"
                | "delay_loop" | "inhibit_on_failure" | "warmup" => defaults.take(line, remarks),
                word if checker::is_one(word) || SILENT.contains(&word) => {}
                _ => is_unread |= checker::is_meant(line, remarks),
            }
        }
        if let Some(why) = server.obstacle(key) {
            remarks.lost(place, format!("left out: {why}"));
            return None;
        }
        server.fit_thresholds(place, remarks);
        fit_port(&mut server, key, place, remarks);
        if smtp_alert.or(self.globals.smtp_alert).unwrap_or(true)
            && let Some(line) = mail(self.globals)
        {
            policy.alerts.push(line.clone());
            policy.upalerts.push(line);
        }
        policy.number = Some(1);
        let checkers: Vec<&Block> = block
            .inner
            .iter()
            .filter(|it| checker::is_one(it.name()))
            .collect();
        let checker = |block| checker::Look {
            block,
            defaults: &defaults,
            server: &server,
            policy: &policy,
            has_certificates: self.globals.has_certificates,
            mended: &self.mended,
        };
        let found = checkers.into_iter();
        let found: Vec<_> = found.map(|it| checker(it).services(remarks)).collect();
        let mut found = checker::Found::of_server(&defaults, &found);
        if found.services.is_empty() && (found.lost > 0 || is_unread) {
            let text = "none of its checks has an equivalent: the server is always in";
            remarks.lost(place, text);
        }
        lone_up(&policy, &found, place, remarks);
        server.checks = std::mem::take(&mut found.services);
        Some((server, found))
    }
}

/// What is different where recoveries alone are told.
fn lone_up(policy: &Policy, found: &checker::Found, place: &Place, remarks: &mut Remarks) {
    let is_alone = policy.alerts.is_empty() && !policy.upalerts.is_empty();
    if is_alone && found.retries > 0 && !found.services.is_empty() {
        let text = "notify_up without an alert beside it: it is also called after a failure that a \
                    retry takes back";
        remarks.note(place, text);
    }
}

/// Why a real server is not taken as it stands: without its checks it would be in for ever, and
/// with half of them it is not the same.
const fn unfinished(block: &Block) -> Option<&'static str> {
    match block.extent {
        Extent::Whole => None,
        Extent::Words => Some("a real server without braces; it is left out"),
        Extent::Cut => Some("the file ends inside of this real server; it is left out"),
    }
}

/// A server of the `IPADDR [PORT]` kind.
fn target(line: &Block, forwarding: Forwarding, remarks: &mut Remarks) -> Option<Server> {
    let host = line.word(1).filter(|it| is_host(it));
    let port = line.word(2).map_or(Some(0), |it| it.parse().ok());
    let (Some(host), Some(port)) = (host, port) else {
        let text = format!("{}: no address and port; it is left out", line.title());
        remarks.lost(&line.place, text);
        return None;
    };
    Some(Server::new(Format::Keepalived, host, port, forwarding))
}

/// The weight of a line; `default` where it has none.
fn weight_of(line: &Block, default: Weight, remarks: &mut Remarks) -> Weight {
    match line.word(1) {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            return weight(text, &line.place, remarks);
        }
        None => remarks.tolerated(
            &line.place,
            format!("weight without a number; taken as {default}"),
        ),
        Some(_) => remarks.tolerated(
            &line.place,
            format!("weight is no number; taken as {default}"),
        ),
    }
    default
}

fn threshold(line: &Block, settings: &mut RealServer, remarks: &mut Remarks) {
    let number = line.word(1).and_then(|it| it.parse().ok());
    match (line.name(), number.filter(|it| *it <= THRESHOLD_MAX)) {
        ("uthreshold", Some(number)) => settings.upper_threshold = number,
        ("lthreshold", Some(number)) => settings.lower_threshold = number,
        (name, _) => remarks.tolerated(
            &line.place,
            format!("{name} is no number up to {THRESHOLD_MAX}; left out"),
        ),
    }
}

/// A mail line to all of `notification_email`.
fn mail(globals: &Globals) -> Option<Vec<String>> {
    let mut line = vec!["mail.alert".to_owned()];
    line.extend(globals.addresses.iter().cloned());
    (line.len() > 1).then_some(line)
}

/// A script as an alert line, where lvsmon's own arguments do not get between those of the file.
fn script(line: &Block, list: &mut Vec<Vec<String>>, remarks: &mut Remarks) {
    let name = line.name();
    let words: Vec<String> = line
        .word(1)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    // `monitor_user` is for checks.
    let user = line.word(2).map(shown);
    let user = user.map(|user| format!("as the daemon's user in place of {user}"));
    match words.as_slice() {
        [program] if program.starts_with('/') => {
            let program = shown(program);
            let text = format!("{name}: {program} is called with the arguments of an alert");
            match user {
                None => remarks.note(&line.place, text),
                Some(user) => remarks.lost(&line.place, format!("{text}, and {user}")),
            }
            list.push(words);
        }
        _ => {
            let user = user.map_or_else(String::new, |user| format!(", and runs {user}"));
            let text = format!(
                "{name} is not imported: an alert gets lvsmon's arguments before its own{user}; \
                 write an alert line for it (README, \"Writing your own monitor or alert\")"
            );
            remarks.lost(&line.place, text);
        }
    }
}

/// A word that is not in the manual, or not here.
pub(super) fn unknown(line: &Block, remarks: &mut Remarks) {
    // Its values may hold a password.
    let text = format!("\"{}\" is not known here", shown(line.name()));
    remarks.lost(&line.place, text);
}

/// The longest pause between two checks that a file gives.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(86_400);
