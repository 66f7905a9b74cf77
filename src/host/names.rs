//! Which names of the file have no address here, or too many?
//!
//! A real server has one address of the family of its virtual service (D8): with none it is
//! left as it is found, with several nobody knows which is meant. Names of a hostgroup that are
//! only watched, of receivers of `trap.alert`, of `mail_relay`, `serverbind` and `trapbind` may
//! have any number, but one at least. Asks the hosts file and name servers, as the daemon does, all
//! names at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use tokio::task::JoinSet;

use crate::config::Place;
use crate::host::{Finding, Mail, below, mail};
use crate::lvs::{Family, VirtualServiceKey};
use crate::model::{AlertProgram, Bind, BoundServers, DeclaredServer, HostName, MailRelay, Model};
use crate::names::{NameError, Names, Sources};
use crate::options::AlertOptions;
use crate::text::counted;

/// What is said of at most so many names; where a name server is gone all of them are.
const FINDINGS_MAX: usize = 100;

/// Where each name, in small letters, first stands in the configuration.
pub type Places = BTreeMap<String, Place>;

/// What a name was answered.
type Answers = BTreeMap<HostName, Result<Vec<IpAddr>, NameError>>;

/// What each name is for.
type Uses = BTreeMap<HostName, Use>;

/// What a name is for.
#[derive(Debug, Default)]
struct Use {
    /// Virtual services of which it is a real server or the fallback.
    server_of: BTreeSet<VirtualServiceKey>,
    /// What else, the weightiest.
    beside: Beside,
}

/// What a name may be for beside the table, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Beside {
    #[default]
    Nothing,
    /// A member of a hostgroup.
    Watched,
    /// `trap.alert` sends to it.
    Told,
    /// Mail goes to it.
    Relay,
    /// The daemon listens there.
    Bound,
}

/// Looks all names of a configuration up. Blocks for ten seconds where no name server answers.
#[must_use]
pub fn look(root: &Path, model: &Model, places: &Places) -> Vec<Finding> {
    let uses = uses(model);
    if uses.is_empty() {
        return Vec::new();
    }
    let sources = Sources {
        hosts: below(root, Path::new("/etc/hosts")),
        resolver: below(root, Path::new("/etc/resolv.conf")),
        servers: Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answers = match runtime {
        Ok(runtime) => runtime.block_on(ask(&Names::with(sources), uses.keys())),
        Err(error) => {
            let advice = "end some processes and try again";
            return vec![Finding::problem(
                format!("no name was looked up: {error}"),
                "this machine",
                advice,
            )];
        }
    };
    let mut findings = findings(&uses, &answers, places);
    findings.extend(doubles(model, &answers, places));
    findings
}

/// How many names a configuration has that would be looked up.
#[must_use]
pub fn count(model: &Model) -> usize {
    uses(model).len()
}

/// All names that are no addresses.
fn uses(model: &Model) -> Uses {
    let mut uses = Uses::new();
    let is_name = |host: &str| host.parse::<IpAddr>().is_err();
    let members = model.hostgroups.iter().flat_map(|it| &it.members);
    let watched = members.map(|it| (it.host.clone(), Beside::Watched));
    let told = receivers(model).map(|it| (HostName::new(it), Beside::Told));
    let binds = [&model.globals.server.bind, &model.globals.trap.bind];
    let bound = binds.into_iter().filter_map(|bind| match bind {
        Bind::Host(host) => Some((HostName::new(host), Beside::Bound)),
        Bind::Loopback | Bind::Everywhere => None,
    });
    let relay = relay(model).map(|it| (HostName::new(it), Beside::Relay));
    for (host, beside) in watched.chain(told).chain(relay).chain(bound) {
        if is_name(host.as_str()) {
            let known = uses.entry(host).or_default();
            known.beside = known.beside.max(beside);
        }
    }
    let mut add = |host: &HostName, key| {
        if is_name(host.as_str()) {
            uses.entry(host.clone()).or_default().server_of.insert(key);
        }
    };
    for section in &model.virtual_services {
        for server in &section.servers {
            add(&server.host, section.key);
        }
        if let Some(fallback) = &section.fallback {
            add(&fallback.host, section.key);
        }
    }
    for binding in &model.bindings {
        match &binding.real {
            BoundServers::One { host, .. } => add(host, binding.virtual_service),
            BoundServers::EachHost { .. } => {
                for member in &model.hostgroup(binding.service).members {
                    add(&member.host, binding.virtual_service);
                }
            }
        }
    }
    uses
}

/// The host that takes the mail, where any line sends some.
fn relay(model: &Model) -> Option<&str> {
    match (mail(model, &model.globals), &model.globals.mail.relay) {
        (Mail::Relay(_), MailRelay::Smtp { host, .. } | MailRelay::Smtps { host, .. }) => {
            Some(host)
        }
        _ => None,
    }
}

/// To whom `trap.alert` sends.
fn receivers(model: &Model) -> impl Iterator<Item = &str> {
    let periods = model.services.iter().flat_map(|it| &it.periods);
    let of_periods = periods.flat_map(|it| {
        let ends = it.ackalerts.iter().chain(&it.disablealerts);
        let all = it.alerts.iter().chain(&it.upalerts);
        all.chain(&it.startupalerts).chain(ends)
    });
    let of_services = model.services.iter().flat_map(|it| &it.redistribute);
    let sections = model.virtual_services.iter();
    let of_sections = sections.flat_map(|it| it.alerts.iter().chain(&it.upalerts));
    let lines = of_periods.chain(of_services).chain(of_sections);
    let receivers = lines.flat_map(|line| match &line.program {
        AlertProgram::Native(AlertOptions::Trap(options)) => options.receivers.as_slice(),
        AlertProgram::Native(
            AlertOptions::Lvs(_) | AlertOptions::Mail(_) | AlertOptions::Webhook(_),
        )
        | AlertProgram::Executable(_)
        | AlertProgram::Missing(_) => &[],
    });
    receivers.map(|receiver| receiver.host.as_str())
}

async fn ask(names: &Names, hosts: impl Iterator<Item = &HostName>) -> Answers {
    let mut asked = JoinSet::new();
    for host in hosts {
        let (names, host) = (names.clone(), host.clone());
        asked.spawn(async move {
            let answer = names.lookup(host.as_str()).await;
            (host, answer.map(|it| it.addresses))
        });
    }
    let mut answers = Answers::new();
    while let Some(answer) = asked.join_next().await {
        if let Ok((host, answer)) = answer {
            answers.insert(host, answer);
        }
    }
    answers
}

fn findings(uses: &Uses, answers: &Answers, places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut good = 0;
    for (host, used) in uses {
        let Some(answer) = answers.get(host) else {
            continue;
        };
        match finding(host, used, answer, place_of(host, places)) {
            Some(finding) => findings.push(finding),
            None => good += 1,
        }
    }
    // The worst are said, and what is left is as bad as the worst of it.
    findings.sort_by_key(|finding| finding.level);
    if let Some(level) = findings.get(FINDINGS_MAX).map(|finding| finding.level) {
        let unsaid = findings.split_off(FINDINGS_MAX).len();
        let what = format!("{} of the same kind", counted(unsaid, "more name"));
        let advice = "mend those above first";
        findings.push(Finding::new(level, what, "the configuration", advice));
    }
    if good > 0 {
        let what = format!("{} found", counted(good, "name"));
        findings.push(Finding::good(what, "/etc/hosts, name servers"));
    }
    findings
}

/// Real servers of one section that are one in the table.
fn doubles(model: &Model, answers: &Answers, places: &Places) -> Vec<Finding> {
    let mut findings = Vec::new();
    for section in &model.virtual_services {
        let key = section.key;
        let mut firsts: BTreeMap<(IpAddr, u16), &DeclaredServer> = BTreeMap::new();
        for server in &section.servers {
            let Some(address) = one_address(&server.host, key.family(), answers) else {
                continue;
            };
            let first = *firsts.entry((address, server.port)).or_insert(server);
            if first == server {
                continue;
            }
            let (host, forwarding, weight) = (
                &first.host,
                first.settings.forwarding,
                first.settings.weight,
            );
            let what = format!(
                "{host} and {} have one address, {address}: they are one real server of {key}, with \
                 {forwarding} weight {weight}, as the first of them says",
                server.host
            );
            let place = place_of(&server.host, places);
            findings.push(Finding::problem(
                what,
                place,
                "mend the name, or take one of the lines out",
            ));
        }
    }
    findings.truncate(FINDINGS_MAX);
    findings
}

/// The address that a real server has, where it has just one of the family.
fn one_address(host: &HostName, family: Family, answers: &Answers) -> Option<IpAddr> {
    if let Ok(address) = host.as_str().parse() {
        return Some(address);
    }
    let found = answers.get(host)?.as_ref().ok()?;
    let mut of_family = found.iter().filter(|it| Family::of(**it) == family);
    match (of_family.next(), of_family.next()) {
        (Some(address), None) => Some(*address),
        (_, _) => None,
    }
}

fn place_of(host: &HostName, places: &Places) -> String {
    match places.get(&host.as_str().to_ascii_lowercase()) {
        Some(place) => format!("{}:{}", place.file, place.line),
        None => "the configuration".to_owned(),
    }
}

/// What is wrong with a name.
fn finding(
    host: &HostName,
    used: &Use,
    answer: &Result<Vec<IpAddr>, NameError>,
    place: String,
) -> Option<Finding> {
    let keys = &used.server_of;
    let Some(first) = keys.first() else {
        let why = answer.as_ref().err()?.to_string();
        let mend = "correct the name, add it to /etc/hosts, or write its address";
        return Some(match used.beside {
            Beside::Nothing | Beside::Watched => {
                Finding::warning(why, place, format!("its checks fail: {mend}"))
            }
            Beside::Told => Finding::warning(
                why,
                place,
                format!("trap.alert reaches nobody there: {mend}"),
            ),
            Beside::Relay => Finding::warning(
                why,
                place,
                format!("mail_relay names it, and mail waits in the spool: {mend}"),
            ),
            Beside::Bound => {
                let advice = format!("the daemon does not start without its address: {mend}");
                Finding::problem(why, place, advice)
            }
        });
    };
    let addresses = match answer {
        Ok(addresses) => addresses,
        Err(why) => {
            let advice = format!(
                "a server of {first} and not in its table: correct the name, add it to \
                 /etc/hosts, or write its address"
            );
            return Some(Finding::problem(why.to_string(), place, advice));
        }
    };
    let (key, found) = keys.iter().find_map(|key| {
        let is_of = |address: &&IpAddr| Family::of(**address) == key.family();
        let found: Vec<String> = addresses
            .iter()
            .filter(is_of)
            .map(ToString::to_string)
            .collect();
        (found.len() != 1).then_some((key, found))
    })?;
    let family = key.family();
    let what = match found.as_slice() {
        [] => format!("{host} has no {family} address, and is a server of {key}"),
        several => format!(
            "{host} has {} {family} addresses ({}), and a real server of {key} has one",
            several.len(),
            several.join(", ")
        ),
    };
    let advice = "write the address in place of the name; until then it is left as it is found";
    Some(Finding::problem(what, place, advice))
}
