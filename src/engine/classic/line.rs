//! What does a line of mon's state file say, and what of it makes no sense?
//!
//! The latter is said, [`SAID_MAX`] fields at most for a file.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::engine::event::{Action, Note, Status};
use crate::engine::saved::Classic;
use crate::model::Service;
use crate::time::{Now, Wall};

/// Fields of a file that are said to make no sense; how many more there were is one number. A
/// file of another program would fill the log.
const SAID_MAX: usize = 20;

/// Letters of a field and of its value that are said.
const SHOWN_MAX: usize = 60;

/// A line of `opstatus`: whose, and its fields by mon's keys.
pub(super) struct Line {
    /// `GROUP/SERVICE`
    pub(super) place: String,
    pub(super) values: BTreeMap<String, String>,
}

impl Line {
    /// What a field says; nothing where it is empty, as mon leaves what it does not know.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn parsed<T: FromStr>(&self, key: &str, faults: &mut Faults) -> Option<T> {
        let value = self.value(key)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            faults.add(self, key, &format!("it cannot be {:?}", shown(value)));
        }
        parsed
    }

    pub(super) fn status(&self, key: &str, faults: &mut Faults) -> Option<Status> {
        let value = self.value(key)?;
        let status = Status::of(value);
        if status.is_none() {
            faults.add(self, key, &format!("{:?} is no status", shown(value)));
        }
        status
    }

    /// 0 stands for a moment that never was. One in the future, since the clock was set back,
    /// counts as now.
    pub(super) fn time(&self, key: &str, now: Now, faults: &mut Faults) -> Option<Wall> {
        let seconds = self.parsed::<i64>(key, faults)?;
        if seconds < 0 {
            faults.add(self, key, "it is before 1970");
        }
        (seconds > 0).then(|| Wall::from_seconds(seconds).min(now.wall))
    }

    /// Says which fields are none of mon's, or of a period that the service does not have.
    pub(super) fn name_strangers(&self, service: &Service, faults: &mut Faults) {
        for (key, value) in &self.values {
            if Classic::FIELDS.contains(&&**key) || value.is_empty() {
                continue;
            }
            match key.rsplit_once(':') {
                Some((label, field)) if Classic::PERIOD_FIELDS.contains(&field) => {
                    let mut periods = service.periods.iter();
                    if !periods.any(|period| &*period.label == label) {
                        faults.add(self, key, "the service has no such period");
                    }
                }
                Some(_) | None => faults.add(self, key, "there is no such field"),
            }
        }
    }
}

/// What of a file makes no sense, for the log.
#[derive(Default)]
pub(super) struct Faults {
    said: Vec<Note>,
    more: usize,
}

impl Faults {
    pub(super) fn add(&mut self, line: &Line, field: &str, why: &str) {
        if self.said.len() >= SAID_MAX {
            self.more = self.more.saturating_add(1);
            return;
        }
        self.said.push(Note::NotLoaded {
            service: shown(&line.place),
            field: shown(field),
            why: why.to_owned(),
        });
    }

    pub(super) fn notes(self) -> impl Iterator<Item = Action> {
        let more = (self.more > 0).then(|| Note::NotLoaded {
            service: String::new(),
            field: String::new(),
            why: format!("and {} more", self.more),
        });
        self.said.into_iter().chain(more).map(Action::Note)
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}
