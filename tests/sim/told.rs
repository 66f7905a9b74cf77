//! What people were told, across restarts: nothing twice, no recovery of nothing, and every
//! recovery of what they were told of.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, AlertCall, AlertKind, Note, Suppressed};
use lvsmon::engine::saved::Classic;
use lvsmon::model::{AlertPeriod, ServiceId};
use lvsmon::time::Mono;

use super::depend::Name;

/// Service and label of a period.
type Key = (Name, String);

/// The memory of those who are told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Problems that are not taken back: how many times, and when last.
    alerted: BTreeMap<Key, (u32, Mono)>,
    /// Each event that was told of, and when.
    events: BTreeMap<String, Mono>,
    /// Services of which people were told problems that are over, or that the daemon was told to
    /// forget: when that was.
    over: BTreeMap<Name, Mono>,
    /// Services of which a journal that was cut says less than people were told.
    unsure: BTreeSet<Name>,
}

impl Told {
    /// What one step answered. `time` is that of the world.
    pub(crate) fn check(&mut self, time: Mono, engine: &Engine, actions: &[Action]) {
        let mut problems: BTreeSet<Key> = BTreeSet::new();
        for action in actions {
            if let Action::Send(call) = action {
                let again = self.events.insert(call.event.clone(), time);
                assert_eq!(again, None, "told twice: {}", call.event);
                if let Some(key) = counts(call) {
                    match call.kind.is_problem() {
                        true => drop(problems.insert(key)),
                        false => self.takes_back(engine, call, &key),
                    }
                }
            }
            if let Action::Suppressed(held) = action
                && held.why == Suppressed::NoAlertSent
                && held.kind == AlertKind::Up
            {
                let name = name_of(engine, held.service);
                let label = held.period.as_deref().unwrap_or_default().to_owned();
                let is_unsure = self.unsure.contains(&name);
                assert!(
                    is_unsure || !self.alerted.contains_key(&(name, label)),
                    "a recovery of what was told is lost: {held:?}"
                );
            }
        }
        for key in problems {
            self.alerts(time, engine, key);
        }
        for action in actions {
            if let Action::Note(Note::ServiceUp { service, .. }) = action {
                self.comes_back(engine, *service, actions);
            }
        }
        self.forget_what_is_over(time, engine);
    }

    /// Once more than `numalerts` is once too often, whatever restarted in between.
    fn alerts(&mut self, time: Mono, engine: &Engine, key: Key) {
        let period = period_of(engine, &key).unwrap();
        let (times, last) = self.alerted.entry(key.clone()).or_insert((0, time));
        *times += 1;
        *last = time;
        let most = period.numalerts.filter(|&most| most > 0);
        assert!(
            self.unsure.contains(&key.0) || most.is_none_or(|most| *times <= most),
            "{key:?} was told {times} times"
        );
    }

    fn takes_back(&self, engine: &Engine, call: &AlertCall, key: &Key) {
        if call.kind != AlertKind::Up {
            return;
        }
        let period = period_of(engine, key).unwrap();
        let was_told = self.alerted.contains_key(key) || self.unsure.contains(&key.0);
        assert!(
            period.no_comp_alerts || was_told,
            "an upalert without an alert: {key:?}"
        );
    }

    /// A service came back: each period that told of the failure tells of that, or is held
    /// back by a rule that is named.
    fn comes_back(&self, engine: &Engine, id: ServiceId, actions: &[Action]) {
        if engine.service(id).unwrap().first_failure.is_some() {
            // The end of `trapduration` is no recovery (E-2).
            return;
        }
        let name = name_of(engine, id);
        for key in self.alerted.keys().filter(|key| key.0 == name) {
            let Some(period) = period_of(engine, key) else {
                continue;
            };
            let tells = |it: &std::sync::Arc<lvsmon::model::AlertCommand>| &*it.name != "lvs.alert";
            if !period.upalerts.iter().any(tells) || self.unsure.contains(&name) {
                continue;
            }
            let is_said = actions.iter().any(|action| {
                if let Action::Send(call) = action {
                    return call.kind == AlertKind::Up && counts(call).as_ref() == Some(key);
                }
                let Action::Suppressed(held) = action else {
                    return false;
                };
                let label = held.period.as_deref();
                let of_it = label.is_none_or(|label| label == key.1);
                held.kind == AlertKind::Up && held.service == id && of_it
            });
            assert!(is_said, "nobody hears that {key:?} is back");
        }
    }

    fn forget_what_is_over(&mut self, time: Mono, engine: &Engine) {
        if self.alerted.is_empty() && self.unsure.is_empty() {
            return;
        }
        let mut good = BTreeSet::new();
        for view in engine.services() {
            if view.first_failure.is_none() {
                good.insert((view.group.to_owned(), view.name.to_owned()));
            }
        }
        let over = self.alerted.keys().map(|key| &key.0);
        let over = over.filter(|name| good.contains(*name));
        self.over.extend(over.map(|name| (name.clone(), time)));
        self.alerted.retain(|key, _| !good.contains(&key.0));
        self.unsure.retain(|name| !good.contains(name));
    }

    /// Another configuration: what it does not have is forgotten.
    pub(crate) fn reloaded(&mut self, engine: &Engine) {
        self.alerted
            .retain(|key, _| period_of(engine, key).is_some());
    }

    /// mon's own state file was loaded: it says how often what was told.
    pub(crate) fn loaded(&mut self, time: Mono, engine: &Engine, classic: &Classic) {
        for (group, service, values) in classic.opstatus.iter().flatten() {
            let name = (group.clone(), service.clone());
            self.unsure.remove(&name);
            let Some(view) = engine
                .services()
                .find(|it| it.group == group && it.name == service)
            else {
                continue;
            };
            for period in &engine.model().service(view.id).periods {
                let key = (name.clone(), period.label.to_string());
                let sent = values.get(&format!("{}:alert_sent", period.label));
                match sent.and_then(|sent| sent.parse().ok()).unwrap_or(0) {
                    0 => drop(self.alerted.remove(&key)),
                    times => drop(self.alerted.insert(key, (times, time))),
                }
            }
        }
        self.forget_what_is_over(time, engine);
    }

    /// The journal of a restart ends at this moment: what was told since may be told again.
    pub(crate) fn cut(&mut self, end: Mono) {
        self.events.retain(|_, at| *at < end);
        let alerted = self.alerted.iter().filter(|(_, (_, at))| *at >= end);
        let alerted = alerted.map(|(key, _)| key.0.clone());
        let over = self.over.iter().filter(|(_, at)| **at >= end);
        let over = over.map(|(name, _)| name.clone());
        self.unsure.extend(alerted.chain(over));
    }
}

/// Whose count a call moves; none for what is no alert of a period.
fn counts(call: &AlertCall) -> Option<Key> {
    let is_other =
        &*call.command.name == "share.alert" || call.summary == "test" || call.service.is_none();
    let name = (call.group.to_string(), call.name.to_string());
    (!is_other).then(|| (name, call.period.to_string()))
}

fn name_of(engine: &Engine, id: ServiceId) -> Name {
    let service = engine.model().service(id);
    (service.group.to_string(), service.name.to_string())
}

fn period_of<'a>(engine: &'a Engine, key: &Key) -> Option<&'a AlertPeriod> {
    let mut services = engine.model().services.iter();
    let service = services.find(|it| *it.group == *key.0.0 && *it.name == *key.0.1)?;
    service.periods.iter().find(|it| *it.label == *key.1)
}
