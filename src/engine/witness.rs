//! Does a failure count, or is the director itself cut off (D17)?
//!
//! A failing report of a service that has witnesses is put aside until a run of one of them that
//! began later has ended:
//!
//! | The witnesses | The report |
//! |---|---|
//! | one reached something | counts as it is |
//! | none did, at any time since the check began | says nothing: the table stays, nobody is told |
//! | none answers within [`ANSWER_MAX`] | the same, at most for [`SILENCE_MAX`] |
//! | none can be asked (disabled, stopped, without hosts) | counts as it is |
//!
//! Good reports, and traps, which prove by coming that something reaches the director, pass at
//! once. What is put aside is not in the journal: behind a restart the next check says it again.
//! When they are asked: `ask`. How the runs find a place: `between`. What a report means: `report`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{Action, CutOff, HostVerdict, Note, Purpose, Report, RunId};
use crate::engine::going::Going;
use crate::engine::report::Heard;
use crate::engine::state::{Dated, HostState, Moment};
use crate::engine::{Engine, verdict};
use crate::model::{Model, ServiceId, WITNESS_ANSWER_MAX};
use crate::time::{Mono, Now, Wall};

mod ask;

/// No answer within this time means that nothing is reached (D17).
pub(super) const ANSWER_MAX: Duration = WITNESS_ANSWER_MAX;

/// A witness that only ever answers too late, or not at all, hides failures for no longer than
/// this: long enough for a link to be mended by itself, short enough for a person to be told.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(300);

/// Reports of one service that are put aside at once. A check takes longer than a few
/// milliseconds, and after [`ANSWER_MAX`] all of them are decided over.
const DOUBTS_MAX: usize = 8;

/// All witnesses, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    lists: Vec<List>,
    /// The list of each service that has one.
    concerned: BTreeMap<ServiceId, usize>,
    said: BTreeMap<ServiceId, Testimony>,
    doubts: BTreeMap<ServiceId, VecDeque<Doubt>>,
    /// When each service has its oldest doubt decided at the latest.
    ends: BTreeSet<(Mono, ServiceId)>,
    /// When the first witness may be asked again of those that somebody waits for.
    ask_at: Option<Mono>,
    /// A witness said something that no doubt was compared with yet.
    is_news: bool,
}

/// Witnesses of which one that reaches something is enough.
#[derive(Clone, Debug, Default)]
struct List {
    /// In file order.
    witnesses: Vec<ServiceId>,
    /// Since when the director counts as cut off, for whom it concerns.
    cut_off: Option<Dated>,
    /// Since when no answer comes in time.
    silent: Option<Moment>,
    /// Doubts that wait for it.
    doubts: usize,
}

/// What a witness said.
#[derive(Clone, Copy, Debug, Default)]
struct Testimony {
    /// When its latest run began that reached something.
    reached: Option<Mono>,
    /// When its latest run ended that reached nothing.
    failed: Option<Mono>,
    /// When it was asked last, whatever becomes of it.
    asked: Option<Mono>,
}

/// A failing report that is put aside.
#[derive(Debug)]
pub(super) struct Doubt {
    report: Doubted,
    /// When its check began.
    began: Mono,
    /// When it ended.
    ended: Mono,
}

/// Where the report came from, with all that follows from it.
#[derive(Debug)]
pub(super) enum Doubted {
    /// A run.
    Run(Going, Report),
    /// No trap came.
    Traps(Heard),
}

/// What becomes of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It counts.
    Counts,
    /// It says nothing.
    CutOff,
    /// It says nothing, since nobody answered.
    Unanswered,
    /// It is not known yet.
    Wait,
}

impl Doubted {
    const fn service(&self) -> ServiceId {
        match self {
            Self::Run(going, _) => going.service,
            Self::Traps(heard) => heard.service,
        }
    }

    const fn report(&self) -> &Report {
        match self {
            Self::Run(_, report) => report,
            Self::Traps(heard) => &heard.report,
        }
    }
}

impl Witnesses {
    /// Those of a Model, of which nothing was heard yet.
    pub(super) fn new(model: &Model) -> Self {
        let sections = &model.virtual_services;
        let own = sections.iter().flat_map(|section| &section.witnesses);
        let all: BTreeSet<ServiceId> = model.witnesses.iter().chain(own).copied().collect();
        let mut wanted: BTreeMap<ServiceId, BTreeSet<ServiceId>> = BTreeMap::new();
        for section in sections {
            for judge in section.servers.iter().flat_map(|server| &server.judges) {
                let list = wanted.entry(judge.service).or_default();
                list.extend(&section.witnesses);
            }
        }
        let setting: BTreeSet<ServiceId> = model.witnesses.iter().copied().collect();
        let mut witnesses = Self {
            said: all.iter().map(|&id| (id, Testimony::default())).collect(),
            ..Self::default()
        };
        for (id, _) in model.services() {
            let list = wanted.get(&id).unwrap_or(&setting);
            if list.is_empty() || all.contains(&id) || is_local(model, id) {
                continue;
            }
            let mut lists = witnesses.lists.iter();
            let known = lists.position(|known| known.witnesses.iter().eq(list));
            let index = known.unwrap_or_else(|| {
                witnesses.lists.push(List {
                    witnesses: list.iter().copied().collect(),
                    ..List::default()
                });
                witnesses.lists.len() - 1
            });
            witnesses.concerned.insert(id, index);
        }
        witnesses
    }

    /// Those of a new Model; what is known of witnesses that are still there goes over. What was
    /// put aside is dropped: the next check says it again.
    pub(super) fn reload(&mut self, model: &Model, place: impl Fn(ServiceId) -> Option<ServiceId>) {
        let old = std::mem::replace(self, Self::new(model));
        for (id, said) in old.said {
            if let Some(now) = place(id).and_then(|id| self.said.get_mut(&id)) {
                *now = said;
            }
        }
        for list in old.lists {
            let witnesses = list.witnesses.iter().filter_map(|&id| place(id));
            let mut witnesses: Vec<ServiceId> = witnesses.collect();
            witnesses.sort_unstable();
            let mut lists = self.lists.iter_mut();
            if let Some(now) = lists.find(|now| now.witnesses == witnesses) {
                now.cut_off = list.cut_off;
                now.silent = list.silent;
            }
        }
    }

    /// Whether a failing report of the service waits for a witness.
    pub(super) fn has_doubts(&self, id: ServiceId) -> bool {
        self.doubts.contains_key(&id)
    }

    /// Whether failures of the service count for nothing at present.
    pub(super) fn is_cut_off(&self, id: ServiceId) -> bool {
        self.list(id).is_some_and(|list| list.cut_off.is_some())
    }

    /// Whether somebody waits for what this service says as a witness.
    pub(super) fn is_wanted(&self, witness: ServiceId) -> bool {
        let mut wanted = self.lists.iter().filter(|list| list.doubts > 0);
        wanted.any(|list| list.witnesses.contains(&witness))
    }

    /// When the oldest doubt is decided at the latest, or a witness may be asked again.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let end = self.ends.first().map(|&(at, _)| at);
        end.into_iter().chain(self.ask_at).min()
    }

    /// What waited of a service is void: it is good, by a run of this number where it was a run.
    /// A check of a single host that began later stays, and one of an address that the name has
    /// left: what is good looked at the new one.
    pub(super) fn forget_doubts(&mut self, id: ServiceId, run: Option<RunId>) {
        self.keep_doubts(id, |doubted| match doubted {
            Doubted::Run(going, _) => match going.purpose {
                Purpose::Former => true,
                Purpose::Slot
                | Purpose::Recheck
                | Purpose::Trip
                | Purpose::Beside
                | Purpose::Witness => run.is_some_and(|run| going.run > run),
            },
            Doubted::Traps(_) => false,
        });
    }

    /// These checks of addresses that their names had left are void: a later one has looked there.
    pub(super) fn forget_former(&mut self, id: ServiceId, is_void: impl Fn(&Going) -> bool) {
        self.keep_doubts(id, |doubted| match doubted {
            Doubted::Run(going, _) => going.purpose != Purpose::Former || !is_void(going),
            Doubted::Traps(_) => true,
        });
    }

    fn keep_doubts(&mut self, id: ServiceId, is_kept: impl Fn(&Doubted) -> bool) {
        let mut doubts = self.doubts.remove(&id).unwrap_or_default();
        if let Some(first) = doubts.front() {
            self.ends.remove(&(first.ends(), id));
        }
        let all = doubts.len();
        doubts.retain(|doubt| is_kept(&doubt.report));
        let gone = all.saturating_sub(doubts.len());
        if let Some(first) = doubts.front() {
            self.ends.insert((first.ends(), id));
            self.doubts.insert(id, doubts);
        }
        if let Some(list) = self.list_mut(id) {
            list.doubts = list.doubts.saturating_sub(gone);
        }
    }

    fn list(&self, id: ServiceId) -> Option<&List> {
        self.lists.get(*self.concerned.get(&id)?)
    }

    fn list_mut(&mut self, id: ServiceId) -> Option<&mut List> {
        self.lists.get_mut(*self.concerned.get(&id)?)
    }

    fn put_aside(&mut self, doubt: Doubt) {
        let id = doubt.report.service();
        let doubts = self.doubts.entry(id).or_default();
        if doubts.len() >= DOUBTS_MAX {
            return;
        }
        if doubts.is_empty() {
            self.ends.insert((doubt.ends(), id));
        }
        doubts.push_back(doubt);
        if let Some(list) = self.list_mut(id) {
            list.doubts = list.doubts.saturating_add(1);
        }
    }

    /// The oldest doubt of a service, which is decided.
    fn take_doubt(&mut self, id: ServiceId) -> Option<Doubt> {
        let doubts = self.doubts.get_mut(&id)?;
        let doubt = doubts.pop_front()?;
        self.ends.remove(&(doubt.ends(), id));
        match doubts.front() {
            Some(next) => {
                self.ends.insert((next.ends(), id));
            }
            None => {
                self.doubts.remove(&id);
            }
        }
        if let Some(list) = self.list_mut(id) {
            list.doubts = list.doubts.saturating_sub(1);
        }
        Some(doubt)
    }

    /// The table at the head of this file, for a doubt of `list`. `able` are those of its
    /// witnesses that can be asked.
    fn answer(&self, able: &[ServiceId], doubt: &Doubt, now: Now) -> Answer {
        let said = |id: &ServiceId| self.said.get(id).copied().unwrap_or_default();
        let failed = |id| said(id).failed.is_some_and(|at| at >= doubt.began);
        let reached = |id| said(id).reached.is_some_and(|at| at >= doubt.ended);
        if able.is_empty() {
            Answer::Counts
        } else if able.iter().all(failed) {
            Answer::CutOff
        } else if able.iter().any(reached) {
            Answer::Counts
        } else if doubt.ends() <= now.mono {
            Answer::Unanswered
        } else {
            Answer::Wait
        }
    }
}

impl Doubt {
    /// When it is decided at the latest.
    fn ends(&self) -> Mono {
        self.ended.after(ANSWER_MAX)
    }
}

impl Engine {
    /// For whom failures count for nothing at present, since when, and by whose word.
    #[must_use]
    pub fn cut_off(&self, id: ServiceId) -> Option<CutOff> {
        let list = self.witnesses.list(id)?;
        let since = list.cut_off?;
        Some(self.cut_off_of(list, since.told(self.last)))
    }

    /// What the failure of a witness means for all else, for a person; none of another service.
    pub(super) fn means_as_witness(&self, id: ServiceId) -> Option<String> {
        let mut lists = self.witnesses.lists.iter();
        let list = lists.find(|list| list.witnesses.contains(&id))?;
        let names = self.names(&list.witnesses).join(" and ");
        let fail = if list.witnesses.len() > 1 {
            "fail"
        } else {
            "fails"
        };
        Some(format!(
            "While {names} {fail}, this director counts as cut off: failures of the services that have \
             it for a witness count for nothing, and take no real server out."
        ))
    }

    /// Takes in what was heard of a service, or puts it aside until a witness has spoken.
    pub(super) fn consider(
        &mut self,
        now: Now,
        began: Mono,
        report: Doubted,
        actions: &mut Vec<Action>,
    ) {
        let id = report.service();
        self.testify(now, began, &report, actions);
        self.heed_nobody(now, id, actions);
        let said = report.report();
        let is_good = said.ended.exit() == 0;
        if let Doubted::Run(going, _) = &report
            && is_good
            && going.purpose == Purpose::Former
        {
            self.witnesses.forget_former(id, |it| {
                it.former == going.former && it.hosts == going.hosts && it.run <= going.run
            });
        }
        // What says nothing about any server is no news of a link either.
        if is_good || verdict::is_blind(said) || self.witnesses.list(id).is_none() {
            return self.counts(now, report, actions);
        }
        self.witnesses.put_aside(Doubt {
            report,
            began,
            ended: now.mono,
        });
        self.decide_doubts(now, id, actions);
    }

    /// Decides over all doubts that can be; whether there were any.
    pub(super) fn settle_doubts(&mut self, now: Now, actions: &mut Vec<Action>) -> bool {
        let mut is_any = false;
        let services: Vec<ServiceId> = if std::mem::take(&mut self.witnesses.is_news) {
            self.witnesses.doubts.keys().copied().collect()
        } else {
            let ends = self.witnesses.ends.iter();
            let over = ends.take_while(|&&(at, _)| at <= now.mono);
            over.map(|&(_, id)| id).collect()
        };
        for id in services {
            is_any |= self.decide_doubts(now, id, actions);
        }
        is_any
    }

    /// Decides over the doubts of a service, the oldest first.
    fn decide_doubts(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) -> bool {
        let mut is_any = false;
        loop {
            let Some(list) = self.witnesses.list(id) else {
                return is_any;
            };
            let able = list.witnesses.iter().copied();
            let able: Vec<ServiceId> = able.filter(|&id| self.can_testify(now, id)).collect();
            let doubts = self.witnesses.doubts.get(&id);
            let Some(oldest) = doubts.and_then(VecDeque::front) else {
                return is_any;
            };
            let answer = self.witnesses.answer(&able, oldest, now);
            if answer == Answer::Wait {
                return is_any;
            }
            is_any = true;
            let Some(doubt) = self.witnesses.take_doubt(id) else {
                return is_any;
            };
            match answer {
                Answer::Wait => {}
                Answer::Counts => self.counts_late(now, doubt, actions),
                Answer::CutOff => self.says_nothing(now, doubt, actions),
                Answer::Unanswered if self.is_silent_for_long(now, id, actions) => {
                    self.counts_late(now, doubt, actions);
                }
                Answer::Unanswered => self.says_nothing(now, doubt, actions),
            }
        }
    }

    /// Whether the witnesses of a service have not answered in time for too long to go on
    /// believing that they cannot.
    fn is_silent_for_long(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) -> bool {
        let Some(list) = self.witnesses.list_mut(id) else {
            return false;
        };
        let silent = *list.silent.get_or_insert(Moment::of(now));
        if silent.ago(now) < SILENCE_MAX {
            return false;
        }
        if list.cut_off.take().is_some() {
            let witnesses = list.witnesses.clone();
            actions.push(Action::Note(Note::Unheeded(self.names(&witnesses))));
        }
        true
    }

    /// Failures of a service count again where none of its witnesses can be asked any more.
    fn heed_nobody(&mut self, now: Now, id: ServiceId, actions: &mut Vec<Action>) {
        let Some(list) = self.witnesses.list(id).filter(|it| it.cut_off.is_some()) else {
            return;
        };
        let mut witnesses = list.witnesses.iter();
        if witnesses.any(|&id| self.can_testify(now, id)) {
            return;
        }
        let witnesses = self.names(&list.witnesses);
        if let Some(list) = self.witnesses.list_mut(id) {
            list.cut_off = None;
        }
        actions.push(Action::Note(Note::NoWitness(witnesses)));
    }

    /// What was heard counts as it is.
    fn counts(&mut self, now: Now, report: Doubted, actions: &mut Vec<Action>) {
        match report {
            Doubted::Traps(heard) => self.heard(now, heard, actions),
            Doubted::Run(going, report) => match going.purpose {
                Purpose::Slot => self.slot_counts(now, going, report, actions),
                Purpose::Former => self.former_counts(now, &going, &report, actions),
                Purpose::Recheck | Purpose::Trip | Purpose::Beside | Purpose::Witness => {
                    self.between_counts(now, &going, &report, actions);
                }
            },
        }
    }

    /// The same where its service has gone on meanwhile.
    fn counts_late(&mut self, now: Now, doubt: Doubt, actions: &mut Vec<Action>) {
        let id = doubt.report.service();
        let before = self.interval(id);
        self.counts(now, doubt.report, actions);
        self.in_another_rhythm(now, id, doubt.began, before);
        self.plan_recheck(now, id);
        self.bring_what_is_owed(now, id);
        self.plan_former(now, id);
    }

    /// The director is cut off: what failed says nothing, what is good is good.
    fn says_nothing(&mut self, now: Now, doubt: Doubt, actions: &mut Vec<Action>) {
        let id = doubt.report.service();
        if let Some(list) = self.witnesses.list_mut(id)
            && list.cut_off.is_none()
        {
            list.cut_off = Some(Dated::of(now));
            let list = list.clone();
            let cut_off = self.cut_off_of(&list, now.wall);
            actions.push(Action::Note(Note::CutOff(cut_off)));
        }
        match doubt.report {
            Doubted::Traps(heard) => {
                let found = self.found(id, &heard.report, &heard.hosts);
                self.remember_doubt(now, id, Purpose::Slot, &found, &heard.report);
            }
            Doubted::Run(going, report) => match going.purpose {
                Purpose::Former => self.only_good_former_counts(now, &going, &report, actions),
                Purpose::Slot
                | Purpose::Recheck
                | Purpose::Trip
                | Purpose::Beside
                | Purpose::Witness => {
                    let found = self.found(id, &report, &going.hosts);
                    self.only_good_counts(now, &going, &found, actions);
                    self.remember_doubt(now, id, going.purpose, &found, &report);
                }
            },
        }
    }

    /// A service was heard of that may be a witness.
    fn testify(&mut self, now: Now, began: Mono, report: &Doubted, actions: &mut Vec<Action>) {
        let id = report.service();
        if !self.witnesses.said.contains_key(&id) {
            return;
        }
        let (found, is_all) = match report {
            Doubted::Run(going, report) => match going.purpose {
                // It looks where the service does not look any more.
                Purpose::Former => return,
                Purpose::Slot
                | Purpose::Recheck
                | Purpose::Trip
                | Purpose::Beside
                | Purpose::Witness => {
                    let found = self.found(id, report, &going.hosts);
                    (found, self.is_of_all(going))
                }
            },
            Doubted::Traps(_) => (Box::default(), true),
        };
        let report = report.report();
        let is_up = |one: &HostState| one.verdict == HostVerdict::Up;
        let reaches = report.ended.exit() == 0 || found.iter().any(is_up);
        let Some(said) = self.witnesses.said.get_mut(&id) else {
            return;
        };
        if reaches {
            said.reached = Some(began);
        } else if is_all && !verdict::is_blind(report) {
            said.failed = Some(now.mono);
        } else {
            return;
        }
        self.witnesses.is_news = true;
        let in_time = now.mono.since(began) <= ANSWER_MAX;
        let mut over = Vec::new();
        for list in &mut self.witnesses.lists {
            if !list.witnesses.contains(&id) {
                continue;
            }
            // One that reaches something, but always too late, goes on being silent.
            if in_time || !reaches {
                list.silent = None;
            }
            if reaches && let Some(since) = list.cut_off.take() {
                over.push((list.witnesses.clone(), since.moment.ago(now)));
            }
        }
        for (witnesses, lasted) in over {
            let witnesses = self.names(&witnesses);
            actions.push(Action::Note(Note::Reached { witnesses, lasted }));
        }
    }

    fn cut_off_of(&self, list: &List, since: Wall) -> CutOff {
        CutOff {
            since,
            witnesses: self.names(&list.witnesses),
        }
    }

    /// `GROUP:SERVICE` of each, in file order.
    fn names(&self, services: &[ServiceId]) -> Vec<Arc<str>> {
        let services = services.iter().map(|&id| self.model.service(id));
        services
            .map(|service| format!("{}:{}", service.group, service.name).into())
            .collect()
    }
}

/// Whether the service looks at nothing but this machine, so that no link is in between.
fn is_local(model: &Model, id: ServiceId) -> bool {
    let members = &model.hostgroup(id).members;
    let is_local = |host: &str| ["localhost", "127.0.0.1", "::1"].contains(&host);
    !members.is_empty() && members.iter().all(|member| is_local(member.host.as_str()))
}

#[cfg(test)]
mod tests;
