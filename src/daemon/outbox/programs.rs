//! Alert programs that wait for their turn: bounded, and in order for each service.
//!
//! Pure. A call of one service to one program waits for the one before it, so that a quick down
//! and up cannot arrive as up and down, but not for one that hangs: that is passed after
//! [`PATIENCE`]. Different services and different programs run side by side. The queue is in
//! memory (D23).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::event::{AlertCall, AlertId};
use crate::time::Mono;

/// So long a call waits for the one before it: a program that only writes a line or hands over a
/// mail is done by then, and a pager that hangs delays nothing that anybody would notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls of one service to one program at once: a hanging one leaves places to the others.
const OF_ONE_KEY_MAX: usize = 8;

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
    /// When it was taken.
    pub(super) since: Mono,
    /// It was taken while the other director was to run it.
    pub(super) held: bool,
}

impl ProgramCall {
    pub(super) fn key(&self) -> Key {
        Key {
            service: format!("{}/{}", self.call.group, self.call.name),
            path: self.path.clone(),
        }
    }
}

/// Calls that wait, and calls that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    waiting: BTreeMap<Key, VecDeque<(u64, ProgramCall)>>,
    /// First call of each key that nothing holds up, by age.
    ready: BTreeSet<(u64, Key)>,
    running: BTreeMap<Key, Running>,
    running_count: usize,
    count: usize,
    next: u64,
}

/// The calls of one key that run.
#[derive(Clone, Debug)]
struct Running {
    calls: BTreeSet<AlertId>,
    /// The one that was started last, and until when the next waits for it.
    last: AlertId,
    until: Mono,
}

impl Running {
    /// When the next call of the key may start, none while there are too many.
    fn next_at(&self) -> Option<Mono> {
        let is_last_done = !self.calls.contains(&self.last);
        let at = if is_last_done { Mono::ZERO } else { self.until };
        (self.calls.len() < OF_ONE_KEY_MAX).then_some(at)
    }
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
        self.make_ready(&key, Mono::ZERO);
        dropped
    }

    /// The call to start now, where fewer than `most` run.
    pub(super) fn start(&mut self, now: Mono, most: usize) -> Option<ProgramCall> {
        if self.running_count >= most {
            return None;
        }
        self.pass_by(now);
        let (_, key) = self.ready.first()?.clone();
        let call = self.pop(&key)?;
        self.ready.retain(|(_, ready)| *ready != key);
        let (id, until) = (call.call.id, now.after(PATIENCE));
        let running = self.running.entry(key).or_insert_with(|| Running {
            calls: BTreeSet::new(),
            last: id,
            until,
        });
        running.calls.insert(id);
        (running.last, running.until) = (id, until);
        self.running_count += 1;
        Some(call)
    }

    /// When a call that waits for the one before it waits no longer, by the clock of
    /// [`Self::start`]; none where none does, and while `most` run.
    pub(super) fn next(&self, most: usize) -> Option<Mono> {
        let held_up = self
            .running
            .iter()
            .filter(|(key, _)| self.waiting.contains_key(*key));
        held_up
            .filter(|_| self.running_count < most)
            .filter_map(|(_, running)| running.next_at())
            .min()
    }

    /// This call has ended.
    pub(super) fn ended(&mut self, key: &Key, call: AlertId) {
        let Some(running) = self.running.get_mut(key) else {
            return;
        };
        if running.calls.remove(&call) {
            self.running_count = self.running_count.saturating_sub(1);
        }
        if running.calls.is_empty() {
            self.running.remove(key);
        }
        self.make_ready(key, Mono::ZERO);
    }

    /// How many calls wait.
    pub(super) const fn waiting(&self) -> usize {
        self.count
    }

    /// From now on this director is to run everything that was held for the other one.
    pub(super) fn own(&mut self) {
        for (_, call) in self.waiting.values_mut().flatten() {
            call.held = false;
        }
    }

    /// Goes through the calls that wait.
    pub(super) fn each_waiting(&mut self, mut change: impl FnMut(&mut AlertCall)) {
        for (_, call) in self.waiting.values_mut().flatten() {
            change(&mut call.call);
        }
    }

    /// Takes the waiting calls out that are such.
    pub(super) fn take_out(&mut self, is_such: impl Fn(&ProgramCall) -> bool) -> Vec<ProgramCall> {
        let mut taken = Vec::new();
        let mut waiting = BTreeMap::new();
        for (key, calls) in std::mem::take(&mut self.waiting) {
            let (out, stay): (VecDeque<_>, VecDeque<_>) =
                calls.into_iter().partition(|(_, call)| is_such(call));
            if !out.is_empty() {
                self.ready.retain(|(_, ready)| *ready != key);
            }
            taken.extend(out.into_iter().map(|(_, call)| call));
            if !stay.is_empty() {
                waiting.insert(key, stay);
            }
        }
        self.waiting = waiting;
        self.count = self.count.saturating_sub(taken.len());
        for call in &taken {
            self.make_ready(&call.key(), Mono::ZERO);
        }
        taken
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.count == 0 && self.running.is_empty()
    }

    /// Lets calls go whose predecessor has had its time.
    fn pass_by(&mut self, now: Mono) {
        let waiting = self
            .running
            .keys()
            .filter(|key| self.waiting.contains_key(*key));
        let keys: Vec<Key> = waiting.cloned().collect();
        for key in keys {
            self.make_ready(&key, now);
        }
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
        self.make_ready(key, Mono::ZERO);
        Some(call)
    }

    /// The first call of this key may start, unless one that runs holds it up.
    fn make_ready(&mut self, key: &Key, now: Mono) {
        let next_at = self
            .running
            .get(key)
            .map_or(Some(Mono::ZERO), Running::next_at);
        if next_at.is_none_or(|at| at > now) {
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
        call.id = AlertId(event.parse().unwrap_or(1_000));
        ProgramCall {
            path: path.into(),
            call,
            since: Mono::ZERO,
            held: false,
        }
    }

    type Started = Vec<((Key, AlertId), String)>;

    fn started_at(programs: &mut Programs, now: Mono, most: usize) -> Started {
        std::iter::from_fn(|| programs.start(now, most))
            .map(|call| ((call.key(), call.call.id), call.call.event.clone()))
            .collect()
    }

    fn started(programs: &mut Programs, most: usize) -> Started {
        started_at(programs, Mono::ZERO, most)
    }

    fn ended(programs: &mut Programs, (key, call): &(Key, AlertId)) {
        programs.ended(key, *call);
    }

    fn events(started: &Started) -> Vec<&str> {
        started.iter().map(|(_, event)| event.as_str()).collect()
    }

    #[test]
    fn a_call_waits_for_the_one_before_it_but_not_for_one_that_hangs() {
        let mut programs = Programs::default();
        for event in ["1", "2", "3"] {
            programs.push(program("http", "/a", event), 100);
        }
        assert_eq!(events(&started(&mut programs, 32)), ["1"]);
        let patience = Mono::ZERO.after(PATIENCE);
        assert_eq!(programs.next(32), Some(patience));
        let just_before = Mono::from_micros(patience.as_micros() - 1);
        assert!(started_at(&mut programs, just_before, 32).is_empty());
        assert_eq!(events(&started_at(&mut programs, patience, 32)), ["2"]);
        // The third waits for the second in its turn.
        assert_eq!(programs.next(32), Some(patience.after(PATIENCE)));
        assert_eq!(programs.next(2), None, "no place is free");
        let third = started_at(&mut programs, patience.after(PATIENCE), 32);
        assert_eq!(events(&third), ["3"]);
        assert_eq!(programs.next(32), None);
    }

    #[test]
    fn a_hanging_program_of_one_service_leaves_places_to_the_others() {
        let mut programs = Programs::default();
        for number in 0..100 {
            programs.push(program("http", "/a", &number.to_string()), 1_000);
        }
        let mut now = Mono::ZERO;
        let mut running = Vec::new();
        for _ in 0..100 {
            running.extend(started_at(&mut programs, now, 32));
            now = now.after(PATIENCE);
        }
        assert_eq!(running.len(), OF_ONE_KEY_MAX);
        assert_eq!(
            programs.next(32),
            None,
            "nothing to wait for but their ends"
        );
        programs.push(program("ping", "/a", "ping"), 1_000);
        assert_eq!(events(&started_at(&mut programs, now, 32)), ["ping"]);
        // One of the eight ends: its place goes to the next.
        ended(&mut programs, &running[0].0);
        assert_eq!(events(&started_at(&mut programs, now, 32)), ["8"]);
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
        ended(&mut programs, &first[1].0);
        assert!(started(&mut programs, 32).is_empty());
        ended(&mut programs, &first[0].0);
        let second = started(&mut programs, 32);
        assert_eq!(events(&second), ["2"]);
        ended(&mut programs, &first[2].0);
        ended(&mut programs, &second[0].0);
        let third = started(&mut programs, 32);
        assert_eq!(events(&third), ["5"]);
        assert!(!programs.is_idle());
        ended(&mut programs, &third[0].0);
        assert!(programs.is_idle());
    }

    #[test]
    fn calls_that_are_taken_out_leave_their_place_to_the_next() {
        let mut programs = Programs::default();
        for event in ["1", "2", "3"] {
            programs.push(program("http", "/a", event), 100);
        }
        let out = programs.take_out(|call| call.call.event != "2");
        assert_eq!(out.len(), 2);
        assert_eq!(programs.waiting(), 1);
        let last = started(&mut programs, 32);
        assert_eq!(events(&last), ["2"]);
        ended(&mut programs, &last[0].0);
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
        ended(&mut programs, &first[1].0);
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
            for (call, event) in now {
                ended(&mut programs, &call);
                seen.push(event);
            }
        }
        assert_eq!(seen, ["3", "5", "4"]);
        assert!(programs.is_idle());
    }
}
