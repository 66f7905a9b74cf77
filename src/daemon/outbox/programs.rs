//! Alert programs that wait for their turn: bounded, and in order for each service.
//!
//! Pure. Calls of one service to one program run one after the other, so that a quick down
//! and up cannot arrive as up and down; different services and
//! different programs run side by side. The queue is in memory (D23).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use crate::engine::event::AlertCall;

/// One service and one program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// `group/service`
    service: String,
    path: PathBuf,
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} for {}", self.path.display(), self.service)
    }
}

/// A call with its program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ProgramCall {
    /// The program.
    pub(super) path: PathBuf,
    /// What to tell it.
    pub(super) call: Box<AlertCall>,
}

impl ProgramCall {
    pub(super) fn key(&self) -> Key {
        Key {
            service: format!("{}/{}", self.call.group, self.call.name),
            path: self.path.clone(),
        }
    }
}

/// Calls that wait, and keys that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    waiting: BTreeMap<Key, VecDeque<(u64, ProgramCall)>>,
    /// First call of each key that does not run, by age.
    ready: BTreeSet<(u64, Key)>,
    running: BTreeSet<Key>,
    count: usize,
    next: u64,
}

impl Programs {
    /// Puts a call in line. Where `most` wait already, one is dropped and returned: the oldest
    /// of the same service and program, else the oldest of all.
    pub(super) fn push(&mut self, call: ProgramCall, most: usize) -> Option<ProgramCall> {
        let key = call.key();
        let dropped = if self.count < most {
            None
        } else {
            let oldest = self.waiting.iter().filter_map(|(key, calls)| {
                let (number, _) = calls.front()?;
                Some((*number, key))
            });
            let victim = if self.waiting.contains_key(&key) {
                Some(key.clone())
            } else {
                oldest.min().map(|(_, key)| key.clone())
            };
            victim.and_then(|key| self.pop(&key))
        };
        self.next += 1;
        self.waiting
            .entry(key.clone())
            .or_default()
            .push_back((self.next, call));
        self.count += 1;
        self.make_ready(&key);
        dropped
    }

    /// The call to start now, where fewer than `most` run.
    pub(super) fn start(&mut self, most: usize) -> Option<ProgramCall> {
        if self.running.len() >= most {
            return None;
        }
        let (_, key) = self.ready.first()?.clone();
        let call = self.pop(&key)?;
        self.ready.retain(|(_, ready)| *ready != key);
        self.running.insert(key);
        Some(call)
    }

    /// A call of this key has ended.
    pub(super) fn ended(&mut self, key: &Key) {
        self.running.remove(key);
        self.make_ready(key);
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.count == 0 && self.running.is_empty()
    }

    fn pop(&mut self, key: &Key) -> Option<ProgramCall> {
        let calls = self.waiting.get_mut(key)?;
        let (number, call) = calls.pop_front()?;
        let is_empty = calls.is_empty();
        self.ready.remove(&(number, key.clone()));
        if is_empty {
            self.waiting.remove(key);
        }
        self.count = self.count.saturating_sub(1);
        self.make_ready(key);
        Some(call)
    }

    fn make_ready(&mut self, key: &Key) {
        if self.running.contains(key) {
            return;
        }
        if let Some((number, _)) = self.waiting.get(key).and_then(VecDeque::front) {
            self.ready.insert((*number, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notice::tests::call;

    fn program(service: &str, path: &str, event: &str) -> ProgramCall {
        let mut call = Box::new(call());
        call.name = service.into();
        call.event = event.to_owned();
        ProgramCall {
            path: path.into(),
            call,
        }
    }

    fn started(programs: &mut Programs, most: usize) -> Vec<(Key, String)> {
        std::iter::from_fn(|| programs.start(most))
            .map(|call| (call.key(), call.call.event.clone()))
            .collect()
    }

    fn events(started: &[(Key, String)]) -> Vec<&str> {
        started.iter().map(|(_, event)| event.as_str()).collect()
    }

    #[test]
    fn calls_of_one_service_run_one_after_the_other() {
        let mut programs = Programs::default();
        for (service, path, event) in [
            ("http", "/a", "1"),
            ("http", "/a", "2"),
            ("http", "/b", "3"),
            ("ping", "/a", "4"),
            ("http", "/a", "5"),
        ] {
            assert_eq!(programs.push(program(service, path, event), 100), None);
        }
        let first = started(&mut programs, 32);
        assert_eq!(events(&first), ["1", "3", "4"]);
        programs.ended(&first[1].0);
        assert!(started(&mut programs, 32).is_empty());
        programs.ended(&first[0].0);
        let second = started(&mut programs, 32);
        assert_eq!(events(&second), ["2"]);
        programs.ended(&first[2].0);
        programs.ended(&second[0].0);
        let third = started(&mut programs, 32);
        assert_eq!(events(&third), ["5"]);
        assert!(!programs.is_idle());
        programs.ended(&third[0].0);
        assert!(programs.is_idle());
    }

    #[test]
    fn only_so_many_run_at_once_and_the_oldest_is_first() {
        let mut programs = Programs::default();
        for number in 0..5 {
            programs.push(program(&format!("s{number}"), "/a", &number.to_string()), 9);
        }
        let first = started(&mut programs, 2);
        assert_eq!(events(&first), ["0", "1"]);
        programs.ended(&first[1].0);
        assert_eq!(events(&started(&mut programs, 2)), ["2"]);
    }

    #[test]
    fn when_it_is_full_repeats_of_the_service_go_first() {
        let mut programs = Programs::default();
        for (service, event) in [("a", "1"), ("b", "2"), ("b", "3")] {
            programs.push(program(service, "/a", event), 3);
        }
        let dropped = programs.push(program("b", "/a", "4"), 3).unwrap();
        assert_eq!(dropped.call.event, "2");
        let dropped = programs.push(program("c", "/a", "5"), 3).unwrap();
        assert_eq!(dropped.call.event, "1");
        let mut seen = Vec::new();
        loop {
            let now = started(&mut programs, 32);
            if now.is_empty() {
                break;
            }
            for (key, event) in now {
                programs.ended(&key);
                seen.push(event);
            }
        }
        assert_eq!(seen, ["3", "5", "4"]);
        assert!(programs.is_idle());
    }
}
