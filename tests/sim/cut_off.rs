//! While the director reaches nothing, no failure counts: nobody is withdrawn for it, and nobody
//! is told but that the director is cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::desired::RealServerView;
use lvsmon::engine::event::{Action, AlertKind, RunId};
use lvsmon::model::ServiceId;
use lvsmon::time::Mono;

use super::depend::Name;
use super::rules::ByWhom;

/// Checks that began before have ended by then, and are decided over.
const GRACE: Duration = Duration::from_secs(25);

/// A check that has ended is decided over within this time: a witness answers by then, or not at
/// all (D17).
const ANSWER: Duration = Duration::from_millis(2_100);

/// A real server as its section calls it, and who withdraws it.
type Withdrawn = BTreeSet<(String, Name)>;

/// The present time without any host in reach.
#[derive(Debug, Default)]
pub(crate) struct CutOff {
    since: Option<Mono>,
    /// Services that something reached all the same: a trap.
    heard: BTreeSet<Name>,
    /// Services whose monitor did not start: that is the director's own, and people hear of it.
    unstarted: BTreeSet<Name>,
    /// The withdrawals after the latest step; none where they are not comparable.
    withdrawn: Option<Withdrawn>,
    /// Checks that began before and go on.
    earlier: BTreeMap<RunId, Name>,
    /// When the latest of those of a service ended.
    ended: BTreeMap<Name, Mono>,
    /// There is another daemon or configuration since: no check is known by its number.
    is_renewed: bool,
}

impl CutOff {
    /// While these checks go on.
    pub(crate) fn begins(&mut self, at: Mono, earlier: BTreeMap<RunId, Name>) {
        *self = Self {
            since: Some(at),
            earlier,
            ..Self::default()
        };
    }

    pub(crate) fn ends(&mut self) {
        *self = Self::default();
    }

    pub(crate) const fn is_now(&self) -> bool {
        self.since.is_some()
    }

    /// Somebody told of it by other ways than a check.
    pub(crate) fn heard(&mut self, name: &Name) {
        self.heard.insert(name.clone());
    }

    /// The monitor of a service did not start.
    pub(crate) fn did_not_start(&mut self, name: Name) {
        self.unstarted.insert(name);
    }

    /// Another daemon or configuration.
    pub(crate) fn forget(&mut self) {
        self.withdrawn = None;
        self.is_renewed = true;
    }

    /// Which of the checks that began before go on.
    fn look_at_runs(&mut self, time: Mono, is_going: impl Fn(&RunId) -> bool) {
        let (earlier, ended) = std::mem::take(&mut self.earlier)
            .into_iter()
            .partition(|(run, _)| is_going(run));
        self.earlier = earlier;
        let ended: BTreeMap<RunId, Name> = ended;
        self.ended
            .extend(ended.into_values().map(|name| (name, time)));
    }

    /// Whether a check that began before may be decided over just now.
    fn is_undecided(&self, name: &Name, since: Mono, time: Mono) -> bool {
        if self.is_renewed {
            return time.since(since) <= GRACE;
        }
        let last = self.ended.get(name).copied().unwrap_or(since);
        self.earlier.values().any(|it| it == name) || time.since(last) <= ANSWER
    }

    /// What one step did; says whether there was something to see.
    pub(crate) fn check(
        &mut self,
        time: Mono,
        engine: &Engine,
        views: &[RealServerView],
        actions: &[Action],
        by_whom: ByWhom,
        is_going: impl Fn(&RunId) -> bool,
    ) -> bool {
        self.look_at_runs(time, is_going);
        let since = self.since.filter(|_| can_be_asked(engine));
        let Some(since) = since else {
            self.withdrawn = None;
            return false;
        };
        let is_late = time.since(since) > GRACE;
        let name = |id: ServiceId| {
            let service = engine.model().service(id);
            (service.group.to_string(), service.name.to_string())
        };
        let mut withdrawn = Withdrawn::new();
        for view in views {
            let hosts: Vec<&str> = view.hosts.iter().map(|it| it.as_str()).collect();
            let who = match hosts.is_empty() {
                true => format!("{} {:?}", view.virtual_service, view.server),
                false => format!("{} {}", view.virtual_service, hosts.join(" ")),
            };
            for withdrawal in &view.withdrawals {
                withdrawn.insert((who.clone(), name(withdrawal.service)));
            }
        }
        if by_whom == ByWhom::Nobody {
            let before = self.withdrawn.iter().flatten();
            let before: BTreeSet<_> = before.collect();
            let has_before = self.withdrawn.is_some();
            for new in &withdrawn {
                let is_told = self.heard.contains(&new.1);
                let may_be = is_told || self.is_undecided(&new.1, since, time);
                assert!(
                    may_be || !has_before || before.contains(new),
                    "withdrawn while the director is cut off: {new:?}"
                );
            }
            for action in actions {
                let Action::Send(call) = action else { continue };
                let Some(service) = call.service.map(name).filter(|_| is_late) else {
                    continue;
                };
                let is_ours = service.0 != "gate" && &*call.command.name != "share.alert";
                let is_told = self.heard.contains(&service) || self.unstarted.contains(&service);
                assert!(
                    !is_ours || call.kind != AlertKind::Failure || is_told,
                    "told while the director is cut off: {call:?}"
                );
            }
        }
        self.withdrawn = Some(withdrawn);
        is_late
    }
}

/// Whether the witness is as able as ever.
fn can_be_asked(engine: &Engine) -> bool {
    let mut views = engine.services();
    let gate = views.find(|view| view.group == "gate");
    let is_able = gate.is_some_and(|view| {
        let is_off = view.is_disabled || view.hosts.iter().any(|host| host.is_disabled);
        !is_off && !engine.is_watch_disabled(view.group)
    });
    is_able && engine.stopped_since().is_none()
}
