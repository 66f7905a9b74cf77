//! What goes wrong with a declared virtual service as a whole, told once, and its end told once.
//!
//! Levels: the troubles that a section has now are compared with those that were told. Each has
//! an event id of its own and is in the journal, so that a restart tells nothing twice. One that
//! does not last has neither: `young` says which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::binding::{Bindings, record};
use crate::engine::event::{Action, AlertCall, AlertKind, Note, SectionNews, Trouble};
use crate::engine::peer::Candidate;
use crate::engine::saved::{Record, Saved};
use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::engine::state::{Dated, Moment};
use crate::engine::{Engine, call, history};
use crate::lvs::VirtualServiceKey;
use crate::model::{AlertProgram, DeclaredService, Model};
use crate::pair::talk::Reached;
use crate::time::{Mono, Now, Readable, Wall};

mod servers;
mod young;

pub(super) use young::Young;

/// Prefix of the journal keys of this file.
const PREFIX: &str = "trouble ";

/// The troubles that were told and go on.
pub(super) type Troubles = BTreeMap<(VirtualServiceKey, Trouble), Told>;

/// One that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// BEGAN of its event ids.
    pub(super) number: i64,
    pub(super) began: Dated,
    /// What of it has reached people under its number.
    pub(super) reached: Reached,
    /// When this director heard, or knew at its start, that its end has reached people.
    pub(super) end_heard: Option<Mono>,
    pub(super) begin: Begin,
}

/// What is known of the calls that tell the beginning of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// They may be lost: the last life ended before the journal had that the outbox took them.
    Due,
    /// They are out.
    Told,
}

impl Told {
    /// So much of it has reached people.
    pub(super) fn set_reached(&mut self, reached: Reached, now: Now) {
        if reached == Reached::End && self.reached != Reached::End {
            self.end_heard = Some(now.mono);
        }
        self.reached = reached;
    }
}

/// A trouble in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedTrouble {
    virtual_service: VirtualServiceKey,
    trouble: Trouble,
    number: i64,
    since: Wall,
    #[serde(default, skip_serializing_if = "Reached::is_nothing")]
    reached: Reached,
    /// [`Begin::Due`]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_due: bool,
}

/// The troubles of the journal, as far as the file still has their sections; the records of all
/// others are to be forgotten.
pub(super) fn restore(model: &Model, saved: &Saved, now: Now) -> (Troubles, Vec<Record>) {
    let mut troubles = Troubles::new();
    let mut gone = Vec::new();
    let sections = model.virtual_services.iter();
    let sections: BTreeSet<VirtualServiceKey> = sections.map(|it| it.key).collect();
    let records = saved.records.iter();
    for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
        let known = serde_json::from_value::<SavedTrouble>(value.clone()).ok();
        match known.filter(|it| sections.contains(&it.virtual_service)) {
            Some(it) => {
                let told = Told {
                    number: it.number,
                    began: Dated {
                        moment: Moment::restored(it.since, now),
                        wall: it.since,
                    },
                    reached: it.reached,
                    end_heard: (it.reached == Reached::End).then_some(now.mono),
                    begin: if it.is_due { Begin::Due } else { Begin::Told },
                };
                troubles.insert((it.virtual_service, it.trouble), told);
            }
            None => gone.push(Record {
                key: key.clone(),
                value: serde_json::Value::Null,
            }),
        }
    }
    (troubles, gone)
}

impl Engine {
    /// Tells what began and has lasted, and what is over, of the sections that were decided over.
    /// As for every alert nobody is told while the scheduler is stopped: what goes on then is told
    /// at the start.
    pub(super) fn tell_troubles(&mut self, now: Now, actions: &mut Vec<Action>) {
        let is_stopped = self.stopped.is_some();
        if !is_stopped {
            self.begin_troubles_behind_their_end(now, actions);
        }
        let keys = match is_stopped {
            true => self.bindings.decided().clone(),
            false => {
                let mut keys = self.bindings.take_decided();
                keys.extend(self.young.due(now));
                keys
            }
        };
        let model = Arc::clone(&self.model);
        for key in keys {
            let section = self.bindings.section(&model, key);
            // While nothing is known of the kernel nothing begins and nothing ends.
            let present = self.bindings.troubles(key, &self.troubles);
            let (Some(section), Some(present)) = (section, present) else {
                self.young.retain(|(it, _)| it != key);
                continue;
            };
            let was = |trouble: &Trouble| self.troubles.contains_key(&(key, *trouble));
            let untold = present.iter().copied().filter(|it| !was(it)).collect();
            self.young.look(now, key, &untold);
            if !is_stopped {
                self.compare_troubles(now, section, &present, actions);
            }
        }
        if !is_stopped {
            self.end_owed_troubles(now, actions);
            self.tell_ends_of_the_peers_troubles(now, actions);
        }
    }

    /// Whether a section is known to have no such trouble, whatever was told.
    pub(super) fn is_untroubled(&self, key: VirtualServiceKey, trouble: Trouble) -> bool {
        let present = self.bindings.troubles(key, &self.troubles);
        if self.is_nobody_yet(key, trouble) {
            return false;
        }
        let may_become_another = trouble.is_of_servers() && self.young.has_one_of_servers(key);
        let goes_on =
            |present: &BTreeSet<Trouble>| present.contains(&trouble) || may_become_another;
        !self.troubles.contains_key(&(key, trouble)) && present.is_some_and(|it| !goes_on(&it))
    }

    /// Whether nobody serves yet, which says nothing about a trouble of servers.
    fn is_nobody_yet(&self, key: VirtualServiceKey, trouble: Trouble) -> bool {
        trouble.is_of_servers() && self.bindings.served_by(key) == Some(ServedBy::NobodyYet)
    }

    fn compare_troubles(
        &mut self,
        now: Now,
        section: &DeclaredService,
        present: &BTreeSet<Trouble>,
        actions: &mut Vec<Action>,
    ) {
        let key = section.key;
        let lasted = Trouble::ALL.into_iter();
        let lasted = lasted.filter_map(|it| Some((it, self.young.take(now, key, it)?)));
        let lasted: BTreeMap<Trouble, Now> = lasted.collect();
        for trouble in Trouble::ALL {
            let was = self.troubles.contains_key(&(key, trouble));
            match (was, present.contains(&trouble)) {
                (false, true) => {
                    if let Some(&since) = lasted.get(&trouble) {
                        self.begin(now, since, (section, trouble), actions);
                    }
                }
                // Whether it became another one is seen when that has lasted.
                (true, false) if trouble.is_of_servers() && self.young.has_one_of_servers(key) => {}
                (true, false) => self.end_trouble(now, section, trouble, actions),
                (false, false) if self.is_nobody_yet(key, trouble) => {}
                (false, false) => self.found_untroubled(key, trouble),
                // Under its old number, so that the outbox knows what it has.
                (true, true) => self.tell_begin(now, section, trouble, actions),
            }
        }
    }

    /// When a trouble has lasted long enough to be told.
    pub(super) fn next_trouble(&self) -> Option<Mono> {
        match self.stopped {
            Some(_) => None,
            None => self.young.next(),
        }
    }

    /// What is no longer in the file has no troubles. Nobody is told: whoever dropped it knows.
    pub(super) fn forget_troubles(&mut self, actions: &mut Vec<Action>) {
        let model = Arc::clone(&self.model);
        self.troubles.retain(|&(key, trouble), _| {
            let is_there = self.bindings.section(&model, key).is_some();
            if !is_there {
                actions.push(forget(key, trouble));
            }
            is_there
        });
        self.young
            .retain(|(key, _)| self.bindings.section(&model, key).is_some());
    }

    /// All that is to survive a restart.
    pub(super) fn record_troubles(&self, now: Now) -> impl Iterator<Item = Action> + '_ {
        let troubles = self.troubles.iter();
        troubles.map(move |(&(key, trouble), told)| record_of(key, trouble, *told, now))
    }

    fn begin(
        &mut self,
        now: Now,
        since: Now,
        (section, trouble): (&DeclaredService, Trouble),
        actions: &mut Vec<Action>,
    ) {
        let Candidate { number, reached } = self.number_of_trouble(section.key, trouble, now);
        self.numbering.outlive(number);
        let told = Told {
            number,
            reached,
            end_heard: None,
            began: Dated::of(since),
            begin: Begin::Due,
        };
        self.troubles.insert((section.key, trouble), told);
        actions.push(Action::Note(Note::Section {
            virtual_service: section.key,
            news: SectionNews::Began(trouble, self.text_of(section, trouble)),
        }));
        // On record before its alert, so that one that is sent again has the same event id.
        actions.push(self.record_numbering());
        actions.push(record_of(section.key, trouble, told, now));
        self.tell_begin(now, section, trouble, actions);
    }

    /// Calls for the beginning, where that is due; the record behind them says that they are out.
    fn tell_begin(
        &mut self,
        now: Now,
        section: &DeclaredService,
        trouble: Trouble,
        actions: &mut Vec<Action>,
    ) {
        let place = (section.key, trouble);
        let told = self.troubles.get_mut(&place);
        let Some(told) = told.filter(|it| it.begin == Begin::Due) else {
            return;
        };
        told.begin = Begin::Told;
        let told = *told;
        let text = self.text_of(section, trouble);
        let kind = AlertKind::Failure;
        self.alert(now, section, (trouble, kind), told, &text, actions);
        actions.push(record_of(section.key, trouble, told, now));
    }

    fn text_of(&self, section: &DeclaredService, trouble: Trouble) -> String {
        let others = match trouble {
            Trouble::Contested => self.bindings.who_contests(section.key),
            Trouble::TooFew | Trouble::Fallback | Trouble::NoServer => String::new(),
        };
        let in_table = self.bindings.in_table(section.key);
        trouble.text(
            section,
            self.bindings.kept_out(section.key),
            &others,
            &in_table,
        )
    }

    /// One that was told is over.
    pub(super) fn end_trouble(
        &mut self,
        now: Now,
        section: &DeclaredService,
        trouble: Trouble,
        actions: &mut Vec<Action>,
    ) {
        let Some(told) = self.troubles.remove(&(section.key, trouble)) else {
            return;
        };
        let span = Readable(told.began.moment.ago(now));
        let served = self.bindings.served_by(section.key);
        let kept_out = self.bindings.kept_out(section.key);
        let over = trouble.over(section.key, served, kept_out);
        let mut text = format!("{over}, after {span}");
        let in_table = self.bindings.in_table(section.key);
        if let (InTable::Unreadable(_), true) = (&in_table, trouble.is_of_servers()) {
            text.push_str(&in_table.but());
        }
        actions.push(Action::Note(Note::Section {
            virtual_service: section.key,
            news: SectionNews::Over(trouble, text.clone()),
        }));
        self.trouble_ended(now, section, trouble, told, actions);
        self.call_end(now, section, (trouble, told), &text, actions);
    }

    /// Calls for the end of one with this text; what the log has of it is not said here.
    pub(super) fn call_end(
        &mut self,
        now: Now,
        section: &DeclaredService,
        (trouble, told): (Trouble, Told),
        text: &str,
        actions: &mut Vec<Action>,
    ) {
        let kind = AlertKind::Up;
        self.alert(now, section, (trouble, kind), told, text, actions);
        actions.push(forget(section.key, trouble));
    }

    fn alert(
        &mut self,
        now: Now,
        section: &DeclaredService,
        (trouble, kind): (Trouble, AlertKind),
        told: Told,
        text: &str,
        actions: &mut Vec<Action>,
    ) {
        let lines = match kind {
            AlertKind::Up => &section.upalerts,
            AlertKind::Failure
            | AlertKind::Startup
            | AlertKind::Trap
            | AlertKind::TrapTimeout
            | AlertKind::Ack
            | AlertKind::Disable
            | AlertKind::Test => &section.alerts,
        };
        let record = key_of(section.key, trouble);
        let servers = match lines.is_empty() {
            true => String::new(),
            false => self.list_servers(section.key),
        };
        for (line, command) in (1_u32..).zip(lines) {
            if let AlertProgram::Missing(reason) = &command.program {
                actions.push(Action::Note(Note::Section {
                    virtual_service: section.key,
                    news: SectionNews::Mend {
                        host: None,
                        text: format!("cannot call {}: {reason}", command.name),
                    },
                }));
                continue;
            }
            self.last_alert = self.last_alert.saturating_add(1);
            let event = call::SectionEvent {
                section,
                trouble,
                kind,
                command: Arc::clone(command),
                began: told.number,
                line,
                first: told.began.told(now),
                text,
                record: &record,
                servers: &servers,
                now,
            };
            let call: AlertCall = call::section_call(&self.model, &event, self.last_alert);
            let line = history::line(&call);
            self.histories.alerted(line.clone());
            actions.push(Action::Send(Box::new(call)));
            actions.push(Action::History(line));
        }
    }
}

impl Bindings {
    /// The troubles that a section has now; none where that is not known. Where nobody serves yet
    /// nobody serves again: what was told of its servers goes on. So does what is worse than what
    /// is so, where only servers without a verdict are a reason against it.
    fn troubles(&self, key: VirtualServiceKey, told: &Troubles) -> Option<BTreeSet<Trouble>> {
        let served = self.served_by(key)?;
        let was_told = |it: &Trouble| it.is_of_servers() && told.contains_key(&(key, *it));
        let grade = |it: Option<Trouble>| Trouble::ALL.into_iter().position(|of| Some(of) == it);
        let beside = self.beside(key);
        let (now, at_worst) = (Trouble::of(served, beside), self.served_at_worst(key));
        let at_worst = grade(at_worst.and_then(|it| Trouble::of(it, beside)));
        let is_worse = |it: &Trouble| {
            let grade = [grade(now), grade(Some(*it)), at_worst];
            was_told(it) && grade[0] < grade[1] && grade[1] <= grade[2]
        };
        let of_servers: Vec<Trouble> = match served {
            ServedBy::NobodyYet => Trouble::ALL.into_iter().filter(was_told).collect(),
            ServedBy::Servers | ServedBy::TooFew => {
                let worse = Trouble::ALL.into_iter().find(is_worse);
                worse.or(now).into_iter().collect()
            }
            ServedBy::Fallback | ServedBy::Nobody => now.into_iter().collect(),
        };
        let contested = self.is_contested(key).then_some(Trouble::Contested);
        Some(of_servers.into_iter().chain(contested).collect())
    }
}

fn key_of(key: VirtualServiceKey, trouble: Trouble) -> String {
    format!("{PREFIX}{key} {}", trouble.word())
}

/// The record of one that is over.
pub(super) fn forget(key: VirtualServiceKey, trouble: Trouble) -> Action {
    record(key_of(key, trouble), None::<&()>)
}

pub(super) fn record_of(key: VirtualServiceKey, trouble: Trouble, told: Told, now: Now) -> Action {
    let saved = SavedTrouble {
        virtual_service: key,
        trouble,
        number: told.number,
        since: told.began.told(now),
        reached: told.reached,
        is_due: told.begin == Begin::Due,
    };
    record(key_of(key, trouble), Some(&saved))
}

#[cfg(test)]
mod tests;
