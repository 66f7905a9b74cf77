//! Which real servers a section has: hostgroups expanded, each with its settings and its judges.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::check::host_word::{canonical, is_possible_name, is_range};
use crate::config::check::section::Compiler;
use crate::config::check::section::judges::Members;
use crate::config::check::section::line::ServerLine;
use crate::config::check::section::said::Said;
use crate::config::diagnostic::nearest;
use crate::config::lines::Span;
use crate::lvs::{Limit, RealServer, VirtualServiceKey, Weight};
use crate::model::{DeclaredJudge, DeclaredServer, HostName, Hostgroup, JudgedBy, OwnRules};

/// The real servers of a section, and for each the word that names it.
#[derive(Default)]
pub(super) struct Expanded {
    pub(super) servers: Vec<DeclaredServer>,
    pub(super) places: Vec<Span>,
}

/// Real servers that were named before: host and port, where, and with which weight.
type Seen = BTreeMap<(String, u16), (Span, Weight)>;

impl Compiler<'_, '_> {
    /// The servers of all `real` lines.
    pub(super) fn servers(&mut self, key: VirtualServiceKey, said: &Said) -> Expanded {
        let mut seen = Seen::new();
        let mut all = Expanded::default();
        for line in &said.servers {
            let Some(hosts) = self.hosts(line) else {
                continue;
            };
            self.is_hardly_a_name(line, said);
            let settings = self.settings(line, said);
            let port = line.port.or(key.port()).unwrap_or(0);
            self.limits(key, line, &settings, &hosts, port);
            let mut unjudged: Vec<HostName> = Vec::new();
            let own = OwnRules {
                on_failure: line.on_failure.map(|asked| self.on_failure(key, asked)),
                initial: line.initial,
            };
            for host in hosts {
                let members = (&mut self.members, self.checker.groups.list());
                let mut server = judged(host, port, settings, line, said, members);
                server.own = own;
                let is_meant = said_none(line, said) || is_unknown(line, said);
                if server.judges.is_empty() && !is_meant {
                    unjudged.push(server.host.clone());
                }
                if self.is_new(&server, line, &mut seen) {
                    all.servers.push(server);
                    all.places.push(line.word);
                }
            }
            self.unjudged(line, said, &unjudged);
        }
        all
    }

    /// The hosts of a line: those of the hostgroup of that name, else the word itself.
    pub(super) fn hosts(&mut self, line: &ServerLine) -> Option<Vec<HostName>> {
        let Some(group) = self.checker.groups.used_by_section(&line.host) else {
            return self.one_host(line).map(|host| vec![host]);
        };
        let hosts: Vec<HostName> = group.members.iter().map(|it| it.host.clone()).collect();
        let is_itself = matches!(hosts.as_slice(), [host] if host.as_str() == line.host);
        let mistake = if hosts.is_empty() {
            Some((
                format!("hostgroup \"{}\" has no host", line.host),
                "write its hosts behind its name, or name a host here".to_owned(),
            ))
        } else if let (Some(port), false) = (line.own_port, is_itself) {
            Some((
                format!("\"{}\" is a hostgroup, which has no port", line.host),
                format!("write {} port {port}", line.host),
            ))
        } else {
            let is_server = |host: &str| host.parse::<IpAddr>().is_ok() || is_possible_name(host);
            let strange = hosts.iter().find(|host| !is_server(host.as_str()));
            strange.map(|host| {
                (
                    format!(
                        "\"{host}\" of hostgroup \"{}\" cannot be a real server",
                        line.host
                    ),
                    "write names or addresses into the hostgroup, or name each server here"
                        .to_owned(),
                )
            })
        };
        match mistake {
            Some((message, help)) => {
                self.report().error(line.word, message, help);
                None
            }
            None => Some(hosts),
        }
    }

    /// The host that the word of a line names.
    fn one_host(&mut self, line: &ServerLine) -> Option<HostName> {
        let host = &line.host;
        if is_range(host) {
            let message = format!("\"{host}\" looks like several addresses, and stands for none");
            let help = "write all addresses into a hostgroup, and its name here";
            self.report().error(line.word, message, help);
            return None;
        }
        if host.parse::<IpAddr>().is_err() && !is_possible_name(host) {
            let message = format!("\"{host}\" is neither a hostgroup nor a host");
            let help = "write a hostgroup, a name or an address";
            self.report().error(line.word, message, help);
            return None;
        }
        Some(HostName::new(host))
    }

    /// Says that a word which nobody else in the file knows is hardly a name: it was meant to be a
    /// hostgroup, or is misspelt. A name with a dot may stand in a name server.
    fn is_hardly_a_name(&mut self, line: &ServerLine, said: &Said) {
        let host = &line.host;
        let is_own = line.judges.is_given || said_none(line, said);
        if !is_own || host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost") {
            return;
        }
        let groups = self.checker.groups.list();
        let mut members = groups.iter().flat_map(|group| &group.members);
        let is_group = groups.iter().any(|group| *group.name == **host);
        if is_group || members.any(|it| it.host.as_str().eq_ignore_ascii_case(host)) {
            return;
        }
        let meant = nearest(host, groups.iter().map(|group| &*group.name));
        let help = match meant {
            Some(meant) => format!("did you mean hostgroup \"{meant}\"?"),
            None => {
                "write its address, its name with the domain, or a hostgroup of that name; lvsmon \
                     check --host looks names up"
                    .to_owned()
            }
        };
        let message =
            format!("\"{host}\" is no hostgroup and in none, and is taken for a host's name");
        self.report().warn(line.word, message, help);
    }

    /// What the kernel is told of each server of a line.
    fn settings(&mut self, line: &ServerLine, said: &Said) -> RealServer {
        let forwarding = line.forwarding.map(|(it, _)| it).or(said.forwarding);
        let forwarding = forwarding.unwrap_or(DeclaredServer::DEFAULT_FORWARDING);
        let weight = line.weight.or(said.weight).unwrap_or(Weight(1));
        let upper = line.upper.map_or(0, |(it, _)| it);
        let lower = line.lower.map_or(0, |(it, _)| it);
        if let Some((_, place)) = line.lower
            && lower > upper
        {
            let message = match line.upper {
                Some(_) => format!("the lower threshold {lower} is above the upper one, {upper}"),
                None => "a lower threshold without an upper one".to_owned(),
            };
            let help = "new connections stop above upper and go on below lower";
            self.report().error(place, message, help);
        }
        RealServer {
            upper_threshold: upper,
            lower_threshold: lower,
            ..RealServer::new(forwarding, weight)
        }
    }

    /// What the kernel cannot carry (D12), once for each line.
    fn limits(
        &mut self,
        key: VirtualServiceKey,
        line: &ServerLine,
        settings: &RealServer,
        hosts: &[HostName],
        port: u16,
    ) {
        let beyond = hosts.iter().find_map(|host| {
            let address = host.as_str().parse().ok();
            Limit::of(key, settings.forwarding, address, port).map(|limit| (host, limit))
        });
        if let Some((host, limit)) = beyond {
            let place = match (limit, line.forwarding) {
                (Limit::Port { .. } | Limit::Loopback, Some((_, span))) => span,
                _ => line.word,
            };
            let is_named = match limit {
                Limit::NoHost(_) | Limit::FourInSix(..) | Limit::OtherFamily { .. } => true,
                Limit::Port { .. } | Limit::Loopback => host.as_str() == line.host,
            };
            let message = match is_named {
                true => limit.to_string(),
                false => format!("{host}: {limit}"),
            };
            self.report().error(place, message, None);
        }
    }

    /// Whether a server is named for the first time; that it is not is an error.
    fn is_new(&mut self, server: &DeclaredServer, line: &ServerLine, seen: &mut Seen) -> bool {
        let weight = server.settings.weight;
        let name = (canonical(server.host.as_str()), server.port);
        let Some(&(first, other)) = seen.get(&name) else {
            seen.insert(name, (line.word, weight));
            return true;
        };
        let (host, port) = (&server.host, server.port);
        let place = self.checker.sources().place(first);
        let message = if weight == other {
            format!("{host} with port {port} is a real server already, at {place}")
        } else {
            format!(
                "{host} with port {port} has weight {weight} here and weight {other} at {place}"
            )
        };
        let help = "leave it out of one of the two";
        self.report().error(line.word, message, help);
        false
    }

    /// Says that nobody decides over some servers of a line.
    fn unjudged(&mut self, line: &ServerLine, said: &Said, hosts: &[HostName]) {
        let Some(first) = hosts.first() else {
            return;
        };
        let others = match hosts.len() {
            0 | 1 => String::new(),
            2 => " and one other host of its group".to_owned(),
            count => format!(" and {} other hosts of its group", count - 1),
        };
        let groups = self.checker.groups.list().iter().map(|group| &*group.name);
        let meant = nearest(&line.host, groups).filter(|&meant| meant != line.host);
        let help = match meant {
            Some(meant) => format!("did you mean hostgroup \"{meant}\"?"),
            None if said.judges.services.is_empty() => {
                "add \"service GROUP:SERVICE\", or \"service none\" to keep it in always".to_owned()
            }
            None => "no service of the section has it in its hostgroup: add one, or write \
                     \"service GROUP:SERVICE\" or \"service none\" on this line"
                .to_owned(),
        };
        let message = format!("nobody decides over {first}{others}");
        self.report().error(line.word, message, help);
    }
}

/// A server with all who decide over it: the services of its own line, where a service that does
/// not check it decides as a whole, else those of the section that check it.
fn judged(
    host: HostName,
    port: u16,
    settings: RealServer,
    line: &ServerLine,
    said: &Said,
    (members, hostgroups): (&mut Members<'_>, &[Hostgroup]),
) -> DeclaredServer {
    let mut server = DeclaredServer {
        host,
        port,
        settings,
        judges: Vec::new(),
        own: OwnRules::default(),
    };
    let is_own = line.judges.is_given;
    let judges = if is_own { &line.judges } else { &said.judges };
    let mut is_named = false;
    for &(service, _) in &judges.services {
        let word = members.word(hostgroups, service, server.host.as_str());
        let verdict = match word {
            // Verdicts are looked up by the word of the hostgroup.
            Some(word) if !is_named || word == server.host => {
                server.host = word;
                is_named = true;
                JudgedBy::Host
            }
            Some(_) | None if is_own => JudgedBy::Whole,
            Some(_) | None => continue,
        };
        server.judges.push(DeclaredJudge { service, verdict });
    }
    server
}

/// Whether a line or the section says that nobody is to decide.
fn said_none(line: &ServerLine, said: &Said) -> bool {
    if line.judges.is_given {
        line.judges.none.is_some()
    } else {
        said.judges.none.is_some()
    }
}

/// Whether names of judges were given and could not be read, which is reported.
fn is_unknown(line: &ServerLine, said: &Said) -> bool {
    let is_lost = |judges: &super::judges::Judges| judges.is_given && judges.services.is_empty();
    is_lost(&line.judges) || !line.judges.is_given && is_lost(&said.judges)
}
