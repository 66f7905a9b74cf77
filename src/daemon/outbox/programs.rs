//! Alert programs that wait for their turn: bounded, and in order for each service.
//!
//! Pure. A call of one service to one program waits for the one before it, so that a quick down
//! and up cannot arrive as up and down, but not for one that hangs: that is passed after
//! [`PATIENCE`]. Different services and different programs run side by side. One that the system
//! could not start for now goes back to its place, and its service and program rest. What waits for
//! longer than a moment is in the spool, too; the order is kept here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::effort::visit;
use crate::engine::event::{AlertCall, AlertId};
use crate::time::Mono;

/// So long a call waits for the one before it: a program that only writes a line or hands over a
/// mail is done by then, and a pager that hangs delays nothing that anybody would notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// Calls of one service to one program at once: a hanging one leaves places to the others.
const OF_ONE_KEY_MAX: usize = 8;

/// How long a service and program rest after the first call that could not be started: a peak of
/// processes is over within moments, and a recovery is not told much later than it was.
pub(super) const REST_FIRST: Duration = Duration::from_secs(1);

/// Longest rest, reached by doubling: to ask for one more process costs nothing, and whoever has
/// raised a limit need not wait for long.
const REST_MOST: Duration = Duration::from_secs(60);

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
    /// Its place among all calls and messages, that of no other one.
    pub(super) number: u64,
    /// Who waits for its end; none of one that was in the spool from before.
    pub(super) waiting: Option<AlertId>,
}

impl ProgramCall {
    pub(super) fn key(&self) -> Key {
        Key {
            service: format!("{}/{}", self.call.group, self.call.name),
            path: self.path.clone(),
        }
    }
}

/// How often a call was tried in vain where its service and program rest for so long.
pub(super) const fn attempts_before(rest: Duration) -> u32 {
    let doublings = rest.as_secs() / REST_FIRST.as_secs();
    // The longest rest comes again and again, and is long after the first few attempts.
    u64::BITS - doublings.leading_zeros()
}

/// A call was started at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AfterRest;

/// Calls that wait, and calls that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    waiting: BTreeMap<Key, VecDeque<ProgramCall>>,
    /// The same by number.
    keys: BTreeMap<u64, Key>,
    /// First call of each key that nothing holds up, by age.
    ready: BTreeSet<(u64, Key)>,
    /// Keys whose call could not be started, until one runs.
    resting: BTreeMap<Key, Retry>,
    /// The same by the end of their rest, while that is to come.
    wakes: BTreeSet<(Mono, Key)>,
    running: BTreeMap<Key, Running>,
    running_count: usize,
    count: usize,
}

/// The calls of one key that run.
#[derive(Clone, Debug)]
struct Running {
    /// Their numbers.
    calls: BTreeSet<u64>,
    /// The one that was started last, and until when the next waits for it.
    last: u64,
    until: Mono,
}

/// How long calls of a key have not been started.
#[derive(Clone, Copy, Debug)]
struct Retry {
    until: Mono,
    /// The last one, the next is twice as long.
    length: Duration,
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
                let call = calls.front()?;
                Some((call.number, key))
            });
            let victim = if self.waiting.contains_key(&key) {
                Some(key.clone())
            } else {
                oldest.min().map(|(_, key)| key.clone())
            };
            let dropped = victim.and_then(|key| self.pop(&key));
            dropped.inspect(|call| {
                self.forget_rest(&call.key());
            })
        };
        self.keys.insert(call.number, key.clone());
        let calls = self.waiting.entry(key.clone()).or_default();
        calls.push_back(call);
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
        self.make_wait(&key);
        let (number, until) = (call.number, now.after(PATIENCE));
        let running = self.running.entry(key).or_insert_with(|| Running {
            calls: BTreeSet::new(),
            last: number,
            until,
        });
        running.calls.insert(number);
        (running.last, running.until) = (number, until);
        self.running_count += 1;
        Some(call)
    }

    /// When a call that is held up by the one before it, or by a rest, waits no longer, by the
    /// clock of [`Self::start`]; none where none does, and while `most` run.
    pub(super) fn next(&self, most: usize) -> Option<Mono> {
        if self.running_count >= most {
            return None;
        }
        let after_others = self.held_up().filter_map(|key| self.next_at(key)).min();
        let mut wakes = self.wakes.iter().inspect(|_| visit());
        let after_rest = wakes.find(|(_, key)| !self.running.contains_key(key));
        let after_rest = after_rest.map(|(until, _)| *until);
        after_others.into_iter().chain(after_rest).min()
    }

    /// This call has ended; the answer is whether its service and program rested before it.
    pub(super) fn ended(&mut self, key: &Key, number: u64) -> Option<AfterRest> {
        if !self.runs_no_more(key, number) {
            return None;
        }
        let rested = self.end_rest(key);
        self.make_ready(key, Mono::ZERO);
        rested.map(|_| AfterRest)
    }

    /// This call could not be started for now: it goes back to its place, and its service and
    /// program rest for as long as the answer says.
    pub(super) fn put_back(&mut self, now: Mono, call: ProgramCall) -> Duration {
        let key = call.key();
        self.runs_no_more(&key, call.number);
        let doubled = |rest: &Retry| rest.length.saturating_mul(2).min(REST_MOST);
        let length = self.resting.get(&key).map_or(REST_FIRST, doubled);
        let until = now.after(length);
        self.end_rest(&key);
        self.resting.insert(key.clone(), Retry { until, length });
        self.wakes.insert((until, key.clone()));
        self.make_wait(&key);
        self.keys.insert(call.number, key.clone());
        let calls = self.waiting.entry(key).or_default();
        let place = calls.partition_point(|other| other.number < call.number);
        calls.insert(place, call);
        self.count += 1;
        length
    }

    /// Nothing rests any more.
    pub(super) fn hurry(&mut self) {
        self.wakes.clear();
        for (key, _) in std::mem::take(&mut self.resting) {
            self.make_ready(&key, Mono::ZERO);
        }
    }

    /// Calls that wait or run.
    pub(super) const fn len(&self) -> usize {
        self.count + self.running_count
    }

    /// Whether this call waits.
    pub(super) fn is_waiting(&self, number: u64) -> bool {
        self.keys.contains_key(&number)
    }

    /// A call that waits.
    pub(super) fn waiting_call(&mut self, number: u64) -> Option<&mut ProgramCall> {
        let calls = self.waiting.get_mut(self.keys.get(&number)?)?;
        let at = calls
            .binary_search_by_key(&number, |call| call.number)
            .ok()?;
        calls.get_mut(at)
    }

    /// Takes a call out that waits.
    pub(super) fn take_out(&mut self, number: u64) -> Option<ProgramCall> {
        let key = self.keys.remove(&number)?;
        let calls = self.waiting.get_mut(&key)?;
        visit();
        let at = calls
            .binary_search_by_key(&number, |call| call.number)
            .ok()?;
        let call = calls.remove(at)?;
        if calls.is_empty() {
            self.waiting.remove(&key);
        }
        self.count = self.count.saturating_sub(1);
        if self.ready.remove(&(number, key.clone())) {
            self.make_ready(&key, Mono::ZERO);
        }
        self.forget_rest(&key);
        Some(call)
    }

    /// Whether nothing waits and nothing runs.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.count == 0 && self.running.is_empty()
    }

    /// Lets calls go whose predecessor has had its time, or whose rest is over.
    fn pass_by(&mut self, now: Mono) {
        let mut keys: Vec<Key> = self.held_up().cloned().collect();
        while let Some((until, key)) = self.wakes.pop_first() {
            visit();
            if until > now {
                self.wakes.insert((until, key));
                break;
            }
            keys.push(key);
        }
        for key in keys {
            self.make_ready(&key, now);
        }
    }

    /// Keys with calls that run, and with others that wait for more than a place.
    fn held_up(&self) -> impl Iterator<Item = &Key> {
        let keys = self.running.keys().inspect(|_| visit());
        keys.filter(|key| self.waiting.contains_key(*key))
    }

    /// When the first call of a key that waits may start, none until another one ends.
    fn next_at(&self, key: &Key) -> Option<Mono> {
        let after_others = self
            .running
            .get(key)
            .map_or(Some(Mono::ZERO), Running::next_at)?;
        let rested = self.resting.get(key).map_or(Mono::ZERO, |rest| rest.until);
        Some(after_others.max(rested))
    }

    /// Takes a call out of those that run; false where it is none of them.
    fn runs_no_more(&mut self, key: &Key, number: u64) -> bool {
        let Some(running) = self.running.get_mut(key) else {
            return false;
        };
        let is_there = running.calls.remove(&number);
        if is_there {
            self.running_count = self.running_count.saturating_sub(1);
        }
        if running.calls.is_empty() {
            self.running.remove(key);
        }
        is_there
    }

    /// Forgets the rest of a key that has no call any more.
    fn forget_rest(&mut self, key: &Key) {
        if !self.waiting.contains_key(key) && !self.running.contains_key(key) {
            self.end_rest(key);
        }
    }

    fn end_rest(&mut self, key: &Key) -> Option<Retry> {
        let rest = self.resting.remove(key)?;
        self.wakes.remove(&(rest.until, key.clone()));
        Some(rest)
    }

    fn pop(&mut self, key: &Key) -> Option<ProgramCall> {
        let calls = self.waiting.get_mut(key)?;
        let call = calls.pop_front()?;
        let is_empty = calls.is_empty();
        self.keys.remove(&call.number);
        self.ready.remove(&(call.number, key.clone()));
        if is_empty {
            self.waiting.remove(key);
        }
        self.count = self.count.saturating_sub(1);
        self.make_ready(key, Mono::ZERO);
        Some(call)
    }

    /// No call of this key may start for now.
    fn make_wait(&mut self, key: &Key) {
        if let Some(call) = self.waiting.get(key).and_then(VecDeque::front) {
            self.ready.remove(&(call.number, key.clone()));
        }
    }

    /// The first call of this key may start, unless one that runs holds it up, or a rest.
    fn make_ready(&mut self, key: &Key, now: Mono) {
        if self.next_at(key).is_none_or(|at| at > now) {
            let rest = self.resting.get(key).map(|rest| rest.until);
            self.wakes.extend(rest.map(|until| (until, key.clone())));
            return;
        }
        if let Some(call) = self.waiting.get(key).and_then(VecDeque::front) {
            self.ready.insert((call.number, key.clone()));
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
        let number = event.parse().unwrap_or(1_000);
        call.id = AlertId(number);
        ProgramCall {
            path: path.into(),
            waiting: Some(call.id),
            call,
            number,
        }
    }

    type Started = Vec<((Key, u64), String)>;

    fn started_at(programs: &mut Programs, now: Mono, most: usize) -> Started {
        std::iter::from_fn(|| programs.start(now, most))
            .map(|call| ((call.key(), call.number), call.call.event.clone()))
            .collect()
    }

    fn started(programs: &mut Programs, most: usize) -> Started {
        started_at(programs, Mono::ZERO, most)
    }

    fn ended(programs: &mut Programs, (key, call): &(Key, u64)) {
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
    fn a_call_that_cannot_be_started_now_keeps_its_place_and_is_tried_more_and_more_seldom() {
        let mut programs = Programs::default();
        for (service, event) in [("http", "1"), ("http", "2"), ("ping", "3")] {
            programs.push(program(service, "/a", event), 100);
        }
        let mut first = programs.start(Mono::ZERO, 1).unwrap();
        let mut now = Mono::ZERO;
        let (mut rests, mut tried) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let rest = programs.put_back(now, first);
            assert_eq!(programs.count, 3);
            rests.push(rest.as_secs());
            tried.push(attempts_before(rest));
            // Others are not held up by it.
            let ping = programs.start(now, 1).unwrap();
            assert_eq!(ping.call.event, "3");
            assert_eq!(programs.start(now, 2), None);
            assert_eq!(programs.put_back(now, ping.clone()), rest);
            assert_eq!(programs.next(1), Some(now.after(rest)));
            now = now.after(rest);
            first = programs.start(now, 1).unwrap();
            assert_eq!(first.call.event, "1");
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(tried, [1, 2, 3, 4, 5, 6, 6, 6]);
        // It runs at last: the next one of its service comes behind it, and rests begin anew.
        assert_eq!(programs.ended(&first.key(), first.number), Some(AfterRest));
        let second = programs.start(now, 1).unwrap();
        assert_eq!(second.call.event, "2");
        assert_eq!(programs.put_back(now, second), REST_FIRST);
    }

    #[test]
    fn nothing_rests_after_a_hurry_and_a_rest_goes_with_its_last_call() {
        let mut programs = Programs::default();
        programs.push(program("http", "/a", "1"), 100);
        let call = programs.start(Mono::ZERO, 1).unwrap();
        programs.put_back(Mono::ZERO, call);
        assert_eq!(programs.start(Mono::ZERO, 1), None);
        programs.hurry();
        let call = programs.start(Mono::ZERO, 1).unwrap();
        programs.put_back(Mono::ZERO, call);
        assert!(programs.take_out(1).is_some());
        assert!(programs.resting.is_empty() && programs.is_idle());
        assert_eq!(programs.next(1), None);
        programs.push(program("http", "/a", "2"), 100);
        assert!(programs.start(Mono::ZERO, 1).is_some());
    }

    #[test]
    fn a_shortage_costs_each_call_the_same_few_looks_however_many_rest() {
        let cost_of_each = |crowd: u64| {
            let mut programs = Programs::default();
            for number in 0..crowd {
                let event = number.to_string();
                programs.push(program(&format!("s{number}"), "/a", &event), 10_000);
            }
            let visits = crate::effort::visits(|| {
                while let Some(call) = programs.start(Mono::ZERO, 32) {
                    programs.put_back(Mono::ZERO, call);
                    assert!(programs.next(32).is_some());
                }
            });
            assert_eq!(programs.wakes.len(), programs.resting.len());
            visits / crowd
        };
        assert!((1..=4).contains(&cost_of_each(100)));
        assert_eq!(cost_of_each(1_000), cost_of_each(100));
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
        programs.waiting_call(3).unwrap().call.summary = "changed".to_owned();
        let out: Vec<u64> = [1, 3, 4]
            .into_iter()
            .filter_map(|number| Some(programs.take_out(number)?.number))
            .collect();
        assert_eq!(out, [1, 3]);
        assert!(programs.waiting_call(3).is_none() && programs.take_out(3).is_none());
        assert_eq!(programs.count, 1);
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
