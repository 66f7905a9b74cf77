//! Reloads, restarts from the journal, and a wall clock that is set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, Event, Memory, Note, Purpose, RunId, Status};
use lvsmon::engine::saved::Saved;
use lvsmon::lvs::diff::diff;
use lvsmon::lvs::replay;
use lvsmon::time::Mono;

use super::super::depend::States;
use super::super::site::site;
use super::{Coming, World, load};

impl World {
    /// A step of the wall clock by itself makes nothing happen, but for runs that an exclude
    /// period held back.
    pub(super) fn set_clock(&mut self) {
        let seconds = match self.random.u8(..3) {
            0 => 3_600,
            1 => -3_600,
            _ => self.random.i64(-7_200..7_200),
        };
        self.wall_offset += seconds * 1_000_000;
        let actions = self.tell(Event::Deadline);
        let globals = &self.engine.model().globals;
        let is_excluded = globals.exclude_period.is_some();
        let starts = actions.iter().any(|it| matches!(it, Action::Start(_)));
        for action in &actions {
            if let Action::Start(run) = action {
                let service = self.engine.model().service(run.service);
                let is_excluded = is_excluded || service.exclude_period.is_some();
                assert!(is_excluded, "a clock starts {run:?}");
                continue;
            }
            // The records of what counts time are written again, by the new clock.
            let is_said = matches!(
                action,
                Action::Record(_)
                    | Action::Renumber { .. }
                    | Action::Note(Note::Throttled { .. } | Note::NoHosts(_))
            );
            // A check that begins lets go of the connections of its hosts.
            let is_said = is_said || starts && matches!(action, Action::LetGo(_));
            assert!(is_said, "a clock does {action:?}");
        }
    }

    pub(super) fn reload(&mut self) {
        self.seen.reloads += 1;
        let same = self.random.bool();
        let memory = match self.random.u8(..4) {
            0 => Memory::Forgotten,
            _ => Memory::Kept,
        };
        if !same {
            self.variant = self.random.u64(..3);
            self.site = site(self.seed, self.variant);
            self.rules.forget_services();
        }
        let model = load(&self.site);
        let renumbered = |world: &Self| -> BTreeMap<String, _> {
            let services = world.engine.model().services();
            services
                .map(|(id, service)| (format!("{}/{}", service.group, service.name), id))
                .collect()
        };
        let before = renumbered(self);
        self.rules.going = {
            // The engine names the services of its runs by their new numbers from now on.
            let new: BTreeMap<String, _> = model
                .services()
                .map(|(id, service)| (format!("{}/{}", service.group, service.name), id))
                .collect();
            let name = |id| before.iter().find(|(_, known)| **known == id);
            let going = std::mem::take(&mut self.rules.going).into_iter();
            going
                .map(|(run, id)| {
                    let new = name(id).and_then(|(name, _)| new.get(name));
                    // What is gone gets a number that nobody has; the engine stops it.
                    (
                        run,
                        new.copied().unwrap_or(lvsmon::model::ServiceId(u32::MAX)),
                    )
                })
                .collect()
        };
        self.first_look = None;
        self.wires.reloaded();
        self.cut_off.forget();
        match memory {
            Memory::Forgotten => self.health.forgotten(),
            Memory::Kept if !same => self.health.reloaded(),
            Memory::Kept => {}
        }
        let startup_alerts = model.globals.startupalerts_on_reset;
        let runs = self.runs.values();
        let beside = runs.filter(|run| run.purpose == Purpose::Beside);
        let beside: BTreeSet<RunId> = beside.map(|run| run.id).collect();
        let actions = self.tell(Event::Reload { model, memory });
        if memory == Memory::Forgotten {
            self.rules.forget_services();
        } else if same {
            // What was due at this very moment happens beside the reload.
            let expected = |action: &&Action| match action {
                Action::Send(_) | Action::Suppressed(_) | Action::History(_) => startup_alerts,
                Action::Start(_)
                | Action::LetGo(_)
                | Action::Note(Note::Throttled { .. } | Note::NoHosts(_)) => true,
                // It gives way to the run that starts.
                Action::Stop(run) => beside.contains(run),
                Action::Hold(_)
                | Action::Resolve(_)
                | Action::ApplyTable
                | Action::Record(_)
                | Action::Renumber { .. }
                | Action::Downtime(_)
                | Action::Answer(_)
                | Action::Note(_) => false,
            };
            let others: Vec<&Action> = actions.iter().filter(|it| !expected(it)).collect();
            assert!(others.is_empty(), "reload of the same file: {others:?}");
        }
    }

    /// The daemon ends by itself, and leaves the table as `on_exit` says.
    fn leave(&mut self) {
        let Some(last) = self.engine.at_exit() else {
            return;
        };
        self.seen.exits += 1;
        for command in diff(&last, &self.kernel) {
            replay::apply(&mut self.kernel, &command).unwrap();
        }
    }

    /// kill -9 or an orderly end, and a new daemon from the journal some seconds later.
    pub(super) fn kill(&mut self) {
        self.seen.restarts += 1;
        if self.random.u8(..) < 80 {
            self.leave();
        }
        let before = kept(&self.engine);
        let model = Arc::clone(self.engine.model());
        let is_cut = self.random.u8(..) < 90;
        if is_cut {
            self.seen.cut_journals += 1;
            let second = Duration::from_secs(1).as_micros();
            let end = self
                .time
                .as_micros()
                .saturating_sub(u64::try_from(second).unwrap());
            let end = Mono::from_micros(end);
            self.journal.retain(|&(at, _)| at < end);
            self.told.cut(end);
            self.orders.cut();
            self.troubles.cut();
        }
        let mut saved = Saved::default();
        for (_, record) in self.journal.iter().cloned() {
            match record.value.is_null() {
                true => saved.records.remove(&record.key),
                false => saved.records.insert(record.key, record.value),
            };
        }
        let gone = Duration::from_secs(self.random.u64(0..30));
        self.time = self.time.after(gone);
        self.origin = self.time;
        self.rules.restarted();
        self.runs.clear();
        self.wires.restarted();
        self.troubles.restarted();
        self.cut_off.forget();
        self.health.restarted();
        (self.looked, self.first_look) = (None, None);
        self.rules.forget_services();
        // Reports and deliveries die with the daemon; names are asked for anew.
        self.coming.retain(|_, what| {
            !matches!(
                what,
                Coming::Checked { .. }
                    | Coming::Ends { .. }
                    | Coming::Delivered(..)
                    | Coming::Resolved(_)
                    | Coming::WireIsMade(_)
                    | Coming::WireEnds(_)
            )
        });
        let now = self.now();
        self.engine = Engine::new(model, &saved, self.seed, TimeZone::UTC, now);
        self.states = States::of(&self.engine);
        let after = kept(&self.engine);
        assert!(
            is_cut || before == after,
            "the journal does not say the same: {before:?} {after:?}"
        );
        self.tell(Event::Start);
    }
}

/// What a restart must not lose. Times may be clamped when the clock was set back.
fn kept(engine: &Engine) -> impl PartialEq + std::fmt::Debug + use<> {
    let services = engine.services().map(|view| {
        let hosts = view.hosts.iter().map(|host| host.is_disabled);
        (
            format!("{}/{}", view.group, view.name),
            (view.status, view.consec_failures, view.alerts_sent),
            view.first_failure.is_some(),
            (view.status == Status::Fail).then(|| view.summary.to_string()),
            view.ack.map(|ack| ack.comment.to_owned()),
            (view.is_disabled, engine.is_watch_disabled(view.group)),
            hosts.collect::<Vec<_>>(),
        )
    });
    // The verdicts of `lvs.alert` lines are not kept: their servers are left as found.
    let mut servers = engine.real_servers();
    let lines = || engine.model().bindings.iter();
    servers.retain(|view| lines().all(|it| it.virtual_service != view.virtual_service));
    let servers = servers.into_iter().map(|view| {
        let by = view.withdrawals.iter().map(|it| it.service);
        (view.virtual_service, view.hosts, by.collect::<Vec<_>>())
    });
    (
        services.collect::<Vec<_>>(),
        engine.stopped_since().is_some(),
        servers.collect::<Vec<_>>(),
    )
}
