//! `lvsmon enable SERVER`: a person ends what operators wished of it, and the withdrawals that
//! nothing else would end (D4).

use std::collections::BTreeSet;

use crate::engine::binding::Bindings;
use crate::engine::binding::latch::Entry;
use crate::engine::binding::wishes::{NAMED_MAX, entry_of, is_called};
use crate::engine::desired::RealServerView;
use crate::engine::event::{Action, Aim, RealServerName};
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::model::{Ends, HostName, ServiceId};
use crate::time::Now;

impl Bindings {
    /// A person ends what was wished of a real server, and the withdrawals of it that nothing else
    /// would end (D4). The answer is for that person.
    pub(crate) fn enable(&mut self, now: Now, aim: &Aim) -> (Result<String, String>, Vec<Action>) {
        let mut actions = Vec::new();
        let (views, miss) = match self.aimed(aim) {
            Ok(views) => (views, None),
            // The file may have lost it, and what was wished of it is kept.
            Err(miss) => (Vec::new(), Some(miss)),
        };
        let mut keys = BTreeSet::new();
        let mut lines = Vec::new();
        for view in &views {
            let ended = entry_of(view).and_then(|it| Some((it, self.manual.end(now, it)?)));
            let Some(((key, server), (wish, record))) = ended else {
                continue;
            };
            actions.push(record);
            let still = match self.withdrawn_until_good(view) {
                Some(by) => format!("; still withdrawn by {by}, until a good check"),
                None => String::new(),
            };
            let wish = wish.called();
            lines.push(format!("{server} in {key}: {wish} is ended{still}"));
            keys.insert(key);
        }
        // Lest a reload brings it back with a virtual service.
        let servers: BTreeSet<RealServerKey> = views.iter().filter_map(|it| it.server).collect();
        let lost = servers.into_iter();
        let mut lost: BTreeSet<_> = lost.flat_map(|it| self.manual.meant(aim, it)).collect();
        lost.extend(self.lost_meant(aim));
        for (key, server) in lost {
            if self.owned.is_declared(key, server) {
                continue;
            }
            if let Some((wish, record)) = self.manual.end(now, (key, server)) {
                actions.push(record);
                let wish = wish.called();
                lines.push(format!(
                    "{server} in {key}, where the file no longer has it: {wish} is ended"
                ));
                keys.insert(key);
            }
        }
        let meant: BTreeSet<VirtualServiceKey> =
            views.iter().map(|view| view.virtual_service).collect();
        let ended = self.end_latches(&aim.server, &meant, &mut actions);
        keys.extend(ended.iter().map(|(entry, _)| entry.virtual_service));
        if keys.is_empty() {
            let why = match miss {
                Some(miss) => miss.into_text(),
                None => self.nothing_to_end(aim, &views),
            };
            return (Err(why), actions);
        }
        self.decide(&keys, &mut actions);
        lines.extend(self.what_was_ended(&ended));
        (Ok(lines.join("\n")), actions)
    }

    fn end_latches(
        &mut self,
        server: &RealServerName,
        keys: &BTreeSet<VirtualServiceKey>,
        actions: &mut Vec<Action>,
    ) -> Vec<(Entry, Option<RealServerKey>)> {
        let mut ended: Vec<(Entry, Option<RealServerKey>)> = Vec::new();
        for &key in keys {
            let survey = self.survey(key);
            let placed = survey.servers.iter().flat_map(|(&address, claims)| {
                claims.iter().map(move |claim| (Some(address), claim))
            });
            let addressless = survey.addressless.iter().map(|(claim, _)| (None, claim));
            for (address, claim) in placed.chain(addressless) {
                if !is_called(&server.0, &claim.host, claim.port, address) {
                    continue;
                }
                let entry = Entry {
                    service: claim.service,
                    virtual_service: key,
                    host: claim.host.clone(),
                    port: claim.port,
                };
                if self.latches.remove(&entry).is_some() {
                    actions.push(entry.record(&self.model, None));
                    ended.push((entry, address));
                }
            }
        }
        ended
    }

    fn what_was_ended(&self, ended: &[(Entry, Option<RealServerKey>)]) -> Vec<String> {
        if ended.is_empty() {
            return Vec::new();
        }
        let views = self.real_servers();
        let mut lines = Vec::new();
        for (entry, address) in ended {
            let name = address.map_or_else(|| entry.host.to_string(), |it| it.to_string());
            let by = self.service_name(entry.service);
            let mut line = format!(
                "{name} in {}: the withdrawal by {by} is ended",
                entry.virtual_service
            );
            if self.is_gate_open(entry.service) {
                line.push_str(
                    "; it is still failing, and its next failing check withdraws the server again",
                );
            }
            let view = views.iter().find(|view| {
                view.virtual_service == entry.virtual_service && view.server == *address
            });
            let others = view.map(|view| self.withdrawn_by(view)).unwrap_or_default();
            if address.is_some() && !others.is_empty() {
                line.push_str("; still withdrawn by ");
                line.push_str(&others);
            }
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    /// Of the virtual services that were meant only: what holds in another one says nothing of
    /// them.
    fn nothing_to_end(&self, aim: &Aim, views: &[RealServerView]) -> String {
        let name = &aim.server.0;
        let withdrawn: Vec<String> = views
            .iter()
            .filter(|view| !view.withdrawals.is_empty())
            .map(|view| format!("{} by {}", view.virtual_service, self.withdrawn_by(view)))
            .collect();
        if !withdrawn.is_empty() {
            return format!(
                "{name}: it is withdrawn from {}; that ends with the next good check",
                withdrawn.join(", from ")
            );
        }
        let within = match (&aim.within, views) {
            (Some(_), [view, ..]) => format!(" in {}", view.virtual_service),
            (Some(_), []) | (None, _) => String::new(),
        };
        let kept = self.kept_of_lost(aim);
        format!("{name}: nothing withdraws this real server{within}{kept}")
    }

    pub(super) fn unknown(&self, server: &RealServerName) -> String {
        let views = self.real_servers();
        let hosts = views.iter().flat_map(|view| &view.hosts);
        let groups = &self.model.hostgroups;
        if let Some(group) = groups.iter().find(|it| *it.name == *server.0) {
            let members = group.members.iter().map(|it| &it.host);
            let members: BTreeSet<&HostName> = members.collect();
            let names = hosts.filter(|it| members.contains(it));
            let names: BTreeSet<String> = names.map(ToString::to_string).collect();
            let members = match names.is_empty() {
                true => "none of its hosts is a real server".to_owned(),
                false => format!("write each in a command of its own: {}", listed(&names)),
            };
            return format!(
                "\"{}\" is a hostgroup, and no real server; {members}",
                server.0
            );
        }
        let names: BTreeSet<String> = hosts.map(ToString::to_string).collect();
        if names.is_empty() {
            return format!(
                "no real server is called \"{}\": the configuration binds none",
                server.0
            );
        }
        format!(
            "no real server is called \"{}\"; there are {}",
            server.0,
            listed(&names)
        )
    }

    fn withdrawn_by(&self, view: &RealServerView) -> String {
        let withdrawals = view.withdrawals.iter();
        let services: Vec<String> = withdrawals
            .map(|withdrawal| self.service_name(withdrawal.service))
            .collect();
        services.join(" and ")
    }

    /// Those whose withdrawal nobody ends but a good check.
    fn withdrawn_until_good(&self, view: &RealServerView) -> Option<String> {
        let withdrawals = view.withdrawals.iter();
        let services: Vec<String> = withdrawals
            .filter(|it| it.ends == Ends::WithSuccess)
            .map(|withdrawal| self.service_name(withdrawal.service))
            .collect();
        (!services.is_empty()).then(|| services.join(" and "))
    }

    /// As a person calls it.
    pub(super) fn service_name(&self, id: ServiceId) -> String {
        let service = self.model.service(id);
        format!("{}/{}", service.group, service.name)
    }
}

/// So many of these names that a person reads them, and how many more there are.
fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
