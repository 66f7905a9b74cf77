//! How is a plan written as mon.cf?
//!
//! Real servers with the same checks share a hostgroup and a watch, also across virtual
//! services; a check that looks elsewhere has a watch of its own and decides as a whole. Each
//! remark stands as a comment before the section that it is about. Words are quoted where mon's
//! rules ask for it; no word holds a control character.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::effort::visit;
use crate::import::Remark;
use crate::import::plan::{Plan, Policy, Section, Server, Service};
use crate::lvs::{Family, Forwarding, VirtualServiceKey};
use crate::model::{Initial, OnExit, OnFailure, WeightFrom};
use crate::text::{one_line, words_line};

/// Longest time between two checks while a count runs; a longer one is that of `interval`.
const RECHECK_MAX: Duration = Duration::from_secs(3_600);

/// Where the built-in monitors are looked for before they are taken: not where Debian's package
/// of mon has programs of the same names, which win there and take other options.
const MONITOR_FOLDER: &str = "/etc/mon/mon.d";

/// The same for alerts.
const ALERT_FOLDER: &str = "/etc/mon/alert.d";

/// The text of a plan.
pub(super) fn write(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# The virtual services of {}'s {}, as `lvsmon import` understands them.\n\
         # Read it, try it with `lvsmon check` and `lvsmon run --observe`, then let it work.",
        plan.format, plan.file
    );
    comments(&mut out, &plan.remarks);
    // mon's own programs of these names would be called with options that are lvsmon's.
    let _ = writeln!(
        out,
        "\n# For programs of your own; the checks and mails below are built into lvsmon.\n\
         alertdir = {ALERT_FOLDER}\n\
         mondir = {MONITOR_FOLDER}\n"
    );
    for (name, value) in &plan.settings {
        let _ = writeln!(out, "{name} = {}", one_line(value));
    }
    if !plan.settings.is_empty() {
        out.push('\n');
    }
    let mut watches = Watches::default();
    for section in &plan.sections {
        let _ = writeln!(out, "# {}: {}", section.place, one_line(&section.title));
        comments(&mut out, &section.remarks);
        let judges = watches.of_section(section, &mut out);
        for key in &section.keys {
            virtual_service(&mut out, section, *key, &judges);
        }
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn comments(out: &mut String, remarks: &[Remark]) {
    let mut remarks: Vec<&Remark> = remarks.iter().collect();
    remarks.sort();
    for remark in remarks {
        let _ = writeln!(out, "# {}", one_line(&remark.to_string()));
    }
}

/// Hostgroups and watches written so far.
#[derive(Default)]
struct Watches {
    /// By their hosts and the text of their services.
    written: BTreeMap<(String, String), Judges>,
    names: BTreeSet<String>,
    /// The number behind each name that is to be tried next.
    numbers: BTreeMap<String, u32>,
}

/// Hosts with the services that look at them.
struct Watch {
    name: String,
    hosts: Vec<String>,
    services: Vec<Service>,
}

impl Watch {
    fn services_text(&self) -> String {
        text_of(&self.services)
    }
}

fn text_of(services: &[Service]) -> String {
    services.iter().fold(String::new(), |mut text, service| {
        write_service(&mut text, service);
        text
    })
}

/// Watches that a section needs.
#[derive(Default)]
struct Wanted {
    watches: Vec<Watch>,
    /// Which has these services: for all hosts, or for this one that is looked at elsewhere.
    by_services: BTreeMap<(Option<String>, String), usize>,
    /// The hosts of each.
    members: BTreeSet<(usize, String)>,
}

impl Watches {
    /// Writes those that a section needs, and answers with the words of each server's `service`.
    fn of_section(&mut self, section: &Section, out: &mut String) -> Vec<Judges> {
        let mut wanted = Wanted::default();
        let mut places = Vec::new();
        for server in &section.servers {
            let (own, elsewhere): (Vec<&Service>, Vec<&Service>) =
                server.checks.iter().partition(|it| it.host.is_none());
            let mut of_server = Vec::new();
            if !own.is_empty() {
                let own = named_apart(own);
                of_server.push((wanted.place(&own, &server.host, None), true));
            }
            for service in elsewhere {
                let host = service.host.as_deref().unwrap_or(&server.host);
                let only = Some(host.to_owned());
                let index = wanted.place(std::slice::from_ref(service), host, only);
                of_server.push((index, false));
            }
            places.push(of_server);
        }
        let base = section
            .keys
            .first()
            .map_or_else(String::new, |it| name(*it));
        let named: Vec<Judges> = wanted
            .watches
            .into_iter()
            .map(|watch| self.write(watch, &base, out))
            .collect();
        places
            .into_iter()
            .map(|list| {
                let mut judges = Judges::default();
                for (index, is_own) in list {
                    if let Some(found) = named.get(index) {
                        judges.words.extend(found.words.iter().cloned());
                    }
                    judges.is_elsewhere |= !is_own;
                }
                judges
            })
            .collect()
    }

    /// Writes a watch, unless there is an equal one; answers with its services.
    fn write(&mut self, mut watch: Watch, base: &str, out: &mut String) -> Judges {
        visit();
        let content = (watch.hosts.join(" "), watch.services_text());
        if let Some(equal) = self.written.get(&content) {
            return equal.clone();
        }
        base.clone_into(&mut watch.name);
        let number = self.numbers.entry(base.to_owned()).or_insert(2);
        while !self.names.insert(watch.name.clone()) {
            visit();
            watch.name = format!("{base}-{number}");
            *number += 1;
        }
        let (hosts, services) = &content;
        let _ = writeln!(out, "hostgroup {} {hosts}\n", watch.name);
        let _ = writeln!(out, "watch {}\n{services}", watch.name);
        let judges = Judges::of(&watch);
        self.written.insert(content, judges.clone());
        judges
    }
}

/// Who decides over a real server.
#[derive(Clone, Default, PartialEq)]
struct Judges {
    /// `GROUP:SERVICE`
    words: Vec<String>,
    /// One of them looks at another host, and so can only stand on the line itself.
    is_elsewhere: bool,
}

impl Judges {
    fn of(watch: &Watch) -> Self {
        let word = |service: &Service| format!("{}:{}", watch.name, service.name);
        Self {
            words: watch.services.iter().map(word).collect(),
            is_elsewhere: false,
        }
    }

    fn text(&self) -> String {
        if self.words.is_empty() {
            "none".to_owned()
        } else {
            self.words.join(" ")
        }
    }
}

/// Services whose names differ.
fn named_apart(services: Vec<&Service>) -> Vec<Service> {
    let mut names = BTreeSet::new();
    let mut apart = Vec::new();
    for service in services {
        let mut service = service.clone();
        let base = service.name.clone();
        let mut number = 2;
        while !names.insert(service.name.clone()) {
            service.name = format!("{base}-{number}");
            number += 1;
        }
        apart.push(service);
    }
    apart
}

impl Wanted {
    /// The watch of these services, with the host in it; of this host only where it is looked at
    /// elsewhere than at the real server.
    fn place(&mut self, services: &[Service], host: &str, only: Option<String>) -> usize {
        visit();
        let key = (only, text_of(services));
        let index = *self.by_services.entry(key).or_insert_with(|| {
            self.watches.push(Watch {
                name: String::new(),
                hosts: Vec::new(),
                services: services.to_vec(),
            });
            self.watches.len() - 1
        });
        if self.members.insert((index, host.to_owned()))
            && let Some(watch) = self.watches.get_mut(index)
        {
            watch.hosts.push(host.to_owned());
        }
        index
    }
}

fn write_service(out: &mut String, service: &Service) {
    let _ = writeln!(out, "    service {}", service.name);
    if let Some(text) = &service.description {
        let _ = writeln!(out, "        description {}", one_line(text));
    }
    let _ = writeln!(out, "        interval {}", timeval(service.interval));
    let _ = writeln!(out, "        monitor {}", line(&service.monitor));
    let policy = &service.policy;
    let Policy {
        alerts, upalerts, ..
    } = policy;
    if alerts.is_empty() && upalerts.is_empty() {
        return;
    }
    out.push_str("        period\n");
    if policy.after > 1 {
        let _ = writeln!(out, "            alertafter {}", policy.after);
    }
    if let Some(every) = policy.every {
        let _ = writeln!(out, "            alertevery {}", timeval(every));
    }
    if let Some(number) = policy.number {
        let _ = writeln!(out, "            numalerts {number}");
    }
    // By mon's rule there is no recovery without an alert before it.
    if alerts.is_empty() {
        out.push_str("            no_comp_alerts\n");
    }
    for (word, lines) in [("alert", alerts), ("upalert", upalerts)] {
        for words in lines {
            let _ = writeln!(out, "            {word} {}", line(words));
        }
    }
}

fn virtual_service(out: &mut String, section: &Section, key: VirtualServiceKey, judges: &[Judges]) {
    match key {
        VirtualServiceKey::Address(protocol, address) => {
            let _ = writeln!(out, "virtual {address}\n    protocol {protocol}");
        }
        VirtualServiceKey::Mark(family, mark) => {
            let _ = writeln!(out, "virtual fwmark {mark}");
            if family == Family::V6 {
                out.push_str("    family v6\n");
            }
        }
    }
    for part in section.settings_of(key).words(key.family()).split(", ") {
        let _ = writeln!(out, "    {part}");
    }
    let forward = section.servers.first().map(|it| it.settings.forwarding);
    if let Some(forward) = forward {
        let _ = writeln!(out, "    forward {forward}");
    }
    let common = judges
        .first()
        .filter(|first| !first.is_elsewhere && judges.iter().all(|it| it == *first));
    for (server, judges) in section.servers.iter().zip(judges) {
        let mut text = format!("    real {}", server_words(server, key, forward));
        if common.is_none() {
            let _ = write!(text, " service {}", judges.text());
        }
        let _ = writeln!(out, "{text}");
    }
    if let Some(common) = common {
        let _ = writeln!(out, "    service {}", common.text());
    }
    rules(out, section);
    if let Some(fallback) = &section.fallback {
        let _ = writeln!(out, "    fallback {}", server_words(fallback, key, None));
    }
    for (word, lines) in [("alert", &section.alerts), ("upalert", &section.upalerts)] {
        for words in lines {
            let _ = writeln!(out, "    {word} {}", line(words));
        }
    }
    out.push('\n');
}

fn rules(out: &mut String, section: &Section) {
    if section.fall > 1 {
        let _ = writeln!(out, "    fall {}", section.fall);
        if let Some(recheck) = section.recheck {
            let _ = writeln!(out, "    recheck {}", timeval(recheck.min(RECHECK_MAX)));
        }
    }
    if section.on_failure != OnFailure::Remove {
        let _ = writeln!(out, "    {}", on_failure(section.on_failure));
    }
    match section.weight_from {
        WeightFrom::File => {}
        WeightFrom::Check => out.push_str("    weight_from check\n"),
    }
    if section.initial != Initial::AsFound {
        let _ = writeln!(out, "    {}", initial(section.initial));
    }
    match section.on_exit {
        OnExit::Keep => {}
        OnExit::Quiesce => out.push_str("    on_exit quiesce\n"),
        OnExit::Remove => out.push_str("    on_exit remove\n"),
    }
}

fn on_failure(it: OnFailure) -> String {
    match it {
        OnFailure::Remove => "on_failure remove".to_owned(),
        OnFailure::Quiesce => "on_failure quiesce".to_owned(),
        OnFailure::Drain(limit) => format!("on_failure drain {}", timeval(limit)),
    }
}

const fn initial(it: Initial) -> &'static str {
    match it {
        Initial::In => "initial in",
        Initial::Out => "initial out",
        Initial::AsFound => "initial as_found",
    }
}

/// Host, port where the line needs one, and settings that are no defaults.
fn server_words(server: &Server, key: VirtualServiceKey, common: Option<Forwarding>) -> String {
    let settings = &server.settings;
    let own = server.table_port(key);
    // A line without one means that of the virtual service, and with a mark none.
    let is_understood = own == key.port().unwrap_or(0);
    let is_six = server.family() == Some(Family::V6);
    let mut text = match (is_six, is_understood) {
        (true, true) if key.port().is_none() => format!("[{}]", server.host),
        (true, _) => format!("[{}]:{own}", server.host),
        (false, false) => format!("{}:{own}", server.host),
        (false, true) => server.host.clone(),
    };
    if settings.weight.0 != 1 {
        let _ = write!(text, " weight {}", settings.weight);
    }
    if common != Some(settings.forwarding) {
        let _ = write!(text, " forward {}", settings.forwarding);
    }
    if settings.upper_threshold > 0 {
        let _ = write!(text, " upper {}", settings.upper_threshold);
    }
    if settings.lower_threshold > 0 {
        let _ = write!(text, " lower {}", settings.lower_threshold);
    }
    if let Some(own) = server.own.on_failure {
        let _ = write!(text, " {}", on_failure(own));
    }
    if let Some(own) = server.own.initial {
        let _ = write!(text, " {}", initial(own));
    }
    text
}

/// The name of the first watch of a virtual service.
fn name(key: VirtualServiceKey) -> String {
    let text = key.to_string();
    let text = text.strip_suffix("/tcp").unwrap_or(&text);
    let plain = |letter: char| match letter {
        ':' | '/' | ' ' => '-',
        other => other,
    };
    let text: String = text
        .chars()
        .filter(|letter| !matches!(letter, '[' | ']'))
        .map(plain)
        .collect();
    format!("vs-{text}")
}

/// Words as mon splits them: single quotes where they will do, since nothing is special in them.
fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let word = one_line(word);
        let is_plain = |letter: char| {
            !letter.is_whitespace() && !matches!(letter, '"' | '\'' | '\\' | '#' | '=')
        };
        if !word.is_empty() && word.chars().all(is_plain) {
            word
        } else if word.contains('\'') {
            words_line(&[word])
        } else {
            format!("'{word}'")
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A span as mon.cf has it.
fn timeval(span: Duration) -> String {
    if span.subsec_micros() == 0 {
        format!("{}s", span.as_secs())
    } else {
        let text = format!("{}.{:06}", span.as_secs(), span.subsec_micros());
        format!("{}s", text.trim_end_matches('0'))
    }
}
