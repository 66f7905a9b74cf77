//! Who decides over a real server: `GROUP:SERVICE` words, and which verdict of each counts.

use std::collections::BTreeMap;

use crate::config::check::host_word::canonical;
use crate::config::check::report::Report;
use crate::config::check::section::words::Line;
use crate::config::diagnostic::nearest;
use crate::config::lines::Span;
use crate::config::syntax;
use crate::effort::visit;
use crate::model::{HostName, Hostgroup, Service, ServiceId};

/// The services of the file by their names.
pub(super) struct Known<'s> {
    ids: BTreeMap<&'s str, BTreeMap<&'s str, ServiceId>>,
}

/// The services that a line names.
#[derive(Default)]
pub(super) struct Judges {
    pub(super) services: Vec<(ServiceId, Span)>,
    /// `none`: nobody decides, the real server is always in.
    pub(super) none: Option<Span>,
    /// Names are given, though they may be wrong.
    pub(super) is_given: bool,
}

/// The hosts that services check, each with its word of the hostgroup.
pub(super) struct Members<'s> {
    services: &'s [Service],
    of: BTreeMap<ServiceId, BTreeMap<String, HostName>>,
}

impl<'s> Known<'s> {
    pub(super) fn new(services: &'s [Service]) -> Self {
        let mut ids: BTreeMap<&str, BTreeMap<&str, ServiceId>> = BTreeMap::new();
        for (id, service) in (0_u32..).map(ServiceId).zip(services) {
            ids.entry(&service.group)
                .or_default()
                .insert(&service.name, id);
        }
        Self { ids }
    }

    /// The service that a word names; that there is none is an error.
    fn find(&self, report: &mut Report<'_>, word: Span) -> Option<ServiceId> {
        let text = report.text(word);
        let found = text.split_once(':').and_then(|(group, name)| {
            let group = self.ids.get(group)?;
            group.get(name).copied()
        });
        if found.is_none() {
            let (message, help) = self.advice(text);
            report.error(word, message, help);
        }
        found
    }

    /// What is wrong with a word that names no service.
    fn advice(&self, text: &str) -> (String, String) {
        let in_group = |group: &str, name: &str| {
            let names = self.ids.get(group)?.keys().copied();
            let first = names.clone().next()?;
            let name = nearest(name, names).unwrap_or(first);
            Some(format!("{group}:{name}"))
        };
        let Some((group, name)) = text.split_once(':') else {
            let help = match in_group(text, "") {
                Some(example) => format!("write GROUP:SERVICE, such as {example}"),
                None => "write GROUP:SERVICE".to_owned(),
            };
            return (format!("\"{text}\" names no service"), help);
        };
        if let Some(meant) = in_group(group, name) {
            let message = format!("watch \"{group}\" has no service \"{name}\"");
            return (message, format!("did you mean \"{meant}\"?"));
        }
        let meant = nearest(group, self.ids.keys().copied());
        let meant = meant.and_then(|group| in_group(group, name));
        let help = match meant {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => "name a service as GROUP:SERVICE, by its watch and its own name".to_owned(),
        };
        (format!("there is no watch \"{group}\""), help)
    }
}

impl Judges {
    /// Takes the names that follow on a line; the last may be the last word of the line.
    pub(super) fn add(&mut self, line: &mut Line<'_, '_>, known: &Known<'_>) {
        let help = "write GROUP:SERVICE, or none for a real server that is always in";
        let is_name = |text: &str| text == "none" || text.contains(':');
        self.is_given = true;
        if let Some(text) = line.peek()
            && !is_name(text)
            && let Some((word, _)) = line.next()
        {
            // Most likely a group alone.
            known.find(line.report, word);
            return;
        }
        if line.peek().is_none() {
            line.need(help);
        }
        while let Some(text) = line.peek().filter(|text| is_name(text)) {
            let Some((word, _)) = line.next() else {
                break;
            };
            if text == "none" {
                self.none = Some(word);
            } else if let Some(id) = known.find(line.report, word) {
                if self.services.iter().any(|&(known, _)| known == id) {
                    let message = format!("\"{text}\" is named again");
                    line.report.warn(word, message, "remove one of the two");
                } else {
                    self.services.push((id, word));
                }
            }
        }
        if let (Some(none), true) = (self.none, !self.services.is_empty()) {
            let message = "\"none\" stands beside services";
            line.report
                .error(none, message, "leave out one or the other");
        }
    }
}

impl<'s> Members<'s> {
    pub(super) const fn new(services: &'s [Service]) -> Self {
        Self {
            services,
            of: BTreeMap::new(),
        }
    }

    /// The word under which a service checks a host, where it does.
    pub(super) fn word(
        &mut self,
        hostgroups: &[Hostgroup],
        id: ServiceId,
        host: &str,
    ) -> Option<HostName> {
        let services = self.services;
        let hosts = self.of.entry(id).or_insert_with(|| {
            let Some(service) = services.get(id.index()) else {
                return BTreeMap::new();
            };
            let members = hostgroups.get(service.hostgroup.index());
            let members = members.into_iter().flat_map(|group| &group.members);
            let members = members.inspect(|_| visit());
            let mut hosts: BTreeMap<String, HostName> = members
                .map(|member| (canonical(member.host.as_str()), member.host.clone()))
                .collect();
            for excluded in &service.exclude_hosts {
                hosts.remove(&canonical(excluded.as_str()));
            }
            hosts
        });
        hosts.get(&canonical(host)).cloned()
    }
}

/// The services of a `witness` line.
pub(super) fn witness_words(line: &mut Line<'_, '_>, known: &Known<'_>) -> Vec<(ServiceId, Span)> {
    let mut judges = Judges::default();
    judges.add(line, known);
    line.end();
    judges.services
}

/// The services of the setting `witness`.
pub(super) fn witnesses(
    report: &mut Report<'_>,
    known: &Known<'_>,
    value: Span,
) -> Vec<(ServiceId, Span)> {
    let words = syntax::words(report.sources, value);
    if words.is_empty() {
        report.error(value, "witness without a service", "write GROUP:SERVICE");
    }
    let mut found = Vec::new();
    for word in words {
        if let Some(id) = known.find(report, word) {
            found.push((id, word));
        }
    }
    found
}
