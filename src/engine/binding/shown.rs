//! How do readers see the real servers of a `virtual` section?

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::effort::visit;
use crate::engine::binding::Bindings;
use crate::engine::desired::{CountView, RealServerView, SectionView, Survey, ZeroBy};
use crate::engine::manual::Effect;
use crate::engine::section::count::{Streak, judged_part};
use crate::engine::section::memory::{Memory, SectionState};
use crate::engine::section::wanted::{ServerRole, on_failure};
use crate::lvs::{DesiredService, RealServerKey, ServerWish, VirtualServiceKey, Weight};
use crate::model::{DeclaredJudge, DeclaredServer, DeclaredService, HostName, OnFailure};
use crate::time::Wall;

impl Bindings {
    /// See [`Engine::addresses`](crate::engine::Engine::addresses).
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&HostName, IpAddr)> {
        self.addresses.all_current()
    }

    /// Completes the views of a section's real servers, and adds those that no service judges.
    pub(super) fn add_section_views(
        &self,
        key: VirtualServiceKey,
        survey: &Survey,
        wanted: &DesiredService,
        views: &mut Vec<RealServerView>,
    ) {
        let section = self.sections.section(&self.model, key);
        let state = self.sections.state(key);
        let (Some(section), Some(state), Some(places)) = (section, state, &survey.section) else {
            return;
        };
        let whole = self.whole(section, state, wanted);
        let mut index = Index::of(views);
        for (server, place) in section.servers.iter().zip(&places.servers) {
            let at = index.find(place.server, &server.host);
            let at = at.unwrap_or_else(|| {
                let mut view = RealServerView::unknown(key, vec![server.host.clone()]);
                let problem = survey.problems.get(&server.host);
                view.problem = problem.map(|(_, text)| text.clone());
                index.add(views.len(), &view);
                views.push(view);
                views.len() - 1
            });
            let Some(view) = views.get_mut(at) else {
                continue;
            };
            if !view.hosts.contains(&server.host) {
                view.hosts.insert(0, server.host.clone());
            }
            view.role = place.server.and_then(|it| state.roles.get(&it)).copied();
            let memory = self.sections.memory(key, &place.word);
            view.role_ends = view
                .role
                .and_then(|role| self.ends(section, server, role, memory));
            view.zero_by = match view.role {
                Some(ServerRole::Serves { .. } | ServerRole::Kept)
                    if view.withdrawals.is_empty() && !self.is_weighed(key, place.server) =>
                {
                    self.zero_by(section, server)
                }
                Some(_) | None => None,
            };
            let wished = place.server.and_then(|it| self.manual.effect((key, it)));
            view.given_by = match (view.role, wished) {
                (Some(role), None) => self.given_by(section, server, role),
                (Some(_) | None, _) => None,
            };
            view.section = Some(whole);
            view.counts.extend(
                server
                    .judges
                    .iter()
                    .map(|judge| self.count_view(section, server, judge)),
            );
        }
        if let (Some(server), Some(fallback)) = (places.fallback, &section.fallback) {
            let mut view = RealServerView::unknown(key, vec![fallback.host.clone()]);
            view.server = Some(server);
            let wish = wanted.servers.get(&server).copied();
            view.wish = wish.unwrap_or(ServerWish::AsFound);
            view.role = state.roles.get(&server).copied();
            let is_zero = fallback.settings.weight == Weight(0);
            let is_own = !self.is_weighed(key, Some(server));
            view.zero_by = (is_zero && is_own).then_some(ZeroBy::File);
            view.section = Some(whole);
            views.push(view);
        } else if let Some(fallback) = &section.fallback
            && let Some((_, text)) = survey.problems.get(&fallback.host)
            && !section.servers.iter().any(|it| it.host == fallback.host)
        {
            // It would be missed only when it is needed.
            let mut view = RealServerView::unknown(key, vec![fallback.host.clone()]);
            view.problem = Some(format!("the fallback: {text}"));
            view.section = Some(whole);
            views.push(view);
        }
    }

    /// Whether a real server is out once `min_live` keeps it in no more.
    pub(super) fn is_only_kept(&self, view: &RealServerView) -> bool {
        let section = self.section(&self.model, view.virtual_service);
        let port = view.server.map(|server| server.0.port());
        let is_removed = |section: &DeclaredService| {
            let is_its =
                |it: &&DeclaredServer| view.hosts.contains(&it.host) && port == Some(it.port);
            let own = section.servers.iter().find(is_its).map(|it| it.own);
            on_failure(section, own.unwrap_or_default()) == OnFailure::Remove
        };
        let is_kept = view.role == Some(ServerRole::Kept) && !view.withdrawals.is_empty();
        is_kept && section.is_some_and(is_removed)
    }

    /// Whether an operator says a weight above 0 of a real server.
    fn is_weighed(&self, key: VirtualServiceKey, server: Option<RealServerKey>) -> bool {
        let effect = server.and_then(|server| self.manual.effect((key, server)));
        matches!(effect, Some(Effect::Weight(weight)) if weight > Weight(0))
    }

    fn whole(
        &self,
        section: &DeclaredService,
        state: &SectionState,
        wanted: &DesiredService,
    ) -> SectionView {
        let serves = |&(&server, role): &(&RealServerKey, &ServerRole)| {
            let is_of_its_own = match role {
                ServerRole::Serves { .. } | ServerRole::InUntested => true,
                ServerRole::AsFound => state.fallback != Some(server),
                ServerRole::Unseen
                | ServerRole::Kept
                | ServerRole::Quiesced
                | ServerRole::Draining { .. }
                | ServerRole::Out
                | ServerRole::OutUntested
                | ServerRole::FallbackIn
                | ServerRole::FallbackOut => false,
            };
            let wish = wanted.servers.get(&server).copied();
            is_of_its_own
                && wish.is_some_and(|wish| self.takes_clients((section.key, server), wish))
        };
        let declared = section.servers.len();
        let kept = state.roles.values();
        let fallback_serves = state.fallback.is_some_and(|server| {
            let wish = wanted.servers.get(&server);
            wish.is_some_and(|&wish| self.takes_clients((section.key, server), wish))
        });
        SectionView {
            serving: state.roles.iter().filter(serves).count(),
            declared,
            min_live: section.min_live.of(declared),
            by: state.by,
            kept: kept.filter(|it| **it == ServerRole::Kept).count(),
            fallback_serves,
            beside: self.beside(section.key),
        }
    }

    /// When a real server leaves its role by itself: the end of a slow start, or of a drain.
    fn ends(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
        role: ServerRole,
        memory: Memory,
    ) -> Option<Wall> {
        let now = self.now;
        let left = match (role, memory.back, on_failure(section, server.own)) {
            (ServerRole::Serves { share }, Some(back), _) if share < 100 => {
                back.after(section.slow_start?).left(now)
            }
            (ServerRole::Draining { .. }, _, OnFailure::Drain(limit)) => {
                memory.drain_left(limit, now)?
            }
            (
                ServerRole::Unseen
                | ServerRole::Serves { .. }
                | ServerRole::Kept
                | ServerRole::Quiesced
                | ServerRole::Draining { .. }
                | ServerRole::Out
                | ServerRole::InUntested
                | ServerRole::OutUntested
                | ServerRole::AsFound
                | ServerRole::FallbackIn
                | ServerRole::FallbackOut,
                _,
                _,
            ) => return None,
        };
        Some(now.wall.after(left))
    }

    fn count_view(
        &self,
        section: &DeclaredService,
        server: &DeclaredServer,
        judge: &DeclaredJudge,
    ) -> CountView {
        let (service, part) = judged_part(judge, &server.host);
        let (good, bad) = match self.sections.tally.streak(service, &part) {
            Some(Streak::Good(count)) => (count, 0),
            // A crash that was told counts at once as often as it takes.
            Some(Streak::Bad { count, .. }) if count == u32::MAX => (0, section.counts.fall.get()),
            Some(Streak::Bad { count, .. }) => (0, count),
            None => (0, 0),
        };
        CountView {
            service,
            good,
            bad,
            fall: section.counts.fall.get(),
            rise: self.sections.tally.rise(section, service, &part),
        }
    }
}

/// Where among the views of a virtual service is a real server?
#[derive(Debug, Default)]
struct Index {
    by_server: BTreeMap<RealServerKey, usize>,
    /// Those without an address.
    by_host: BTreeMap<HostName, usize>,
}

impl Index {
    fn of(views: &[RealServerView]) -> Self {
        let mut index = Self::default();
        for (at, view) in views.iter().enumerate() {
            index.add(at, view);
        }
        index
    }

    /// Of several the first one is it.
    fn add(&mut self, at: usize, view: &RealServerView) {
        visit();
        if let Some(server) = view.server {
            self.by_server.entry(server).or_insert(at);
            return;
        }
        for host in &view.hosts {
            self.by_host.entry(host.clone()).or_insert(at);
        }
    }

    fn find(&self, server: Option<RealServerKey>, host: &HostName) -> Option<usize> {
        match server {
            Some(server) => self.by_server.get(&server).copied(),
            None => self.by_host.get(host).copied(),
        }
    }
}
