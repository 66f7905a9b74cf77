//! Did this director stand still, or was it away, and does not know what happened meanwhile?
//!
//! A director that was frozen (a stopped process, a machine that slept) knows nothing
//! of it when it wakes: the other one has its place by then, and has told people. So messages leave
//! under a [lease](crate::pair::lease), which ends by itself and is renewed while the loop turns;
//! after a stall it is renewed when the role and the peer were heard again (D26). So it is given
//! after a start, where there is a peer: what waits in the spool may be told by now.

use std::time::Duration;

use crate::pair::role::Role;
use crate::time::Mono;

/// How often the lease is renewed: some times within [`STALL`].
const BEAT: Duration = Duration::from_secs(1);

/// So long is a lease, and a loop that has not turned for longer stood still: no other director
/// takes over within this time (three advertisements of a second, or three failures of
/// `track_script`), and a busy machine turns the loop within it.
const STALL: Duration = Duration::from_secs(3);

/// Longest wait for the role and the peer after a stall: the link is tried again several times
/// within it. Then messages leave all the same: two that mail are better than none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same at a start: as long as messages wait for the table at a takeover. A peer that is there
/// is called at once, and has no end of the former link to notice: that of a process that is gone
/// ends by itself.
const PATIENCE_AT_START: Duration = Duration::from_secs(5);

/// What is known of one that is to be heard again after a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// There is no such one.
    Unneeded,
    /// It was never heard, or what was heard is not acted upon yet.
    Waits,
    /// It was heard then.
    Heard(Mono),
}

impl Contact {
    /// Of one that was heard then; none: never.
    #[must_use]
    pub fn of(heard: Option<Mono>) -> Self {
        heard.map_or(Self::Waits, Self::Heard)
    }

    fn has_heard(self, since: Mono) -> bool {
        match self {
            Self::Unneeded => true,
            Self::Waits => false,
            Self::Heard(at) => at > since,
        }
    }
}

/// What a beat comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Messages may leave until then.
    Leave(Mono),
    /// The loop stood still for so long: role and peer are to be asked, and nothing leaves.
    Stood(Duration),
    /// They were not heard yet: nothing leaves.
    Waits,
    /// They were not heard for long, since this: messages may leave until then.
    Unheard(Absence, Mono),
}

impl Beat {
    /// Until when messages may leave from now on; none where the beat changes nothing of that.
    #[must_use]
    pub const fn lease(self) -> Option<Mono> {
        match self {
            Self::Leave(until) | Self::Unheard(_, until) => Some(until),
            Self::Stood(_) | Self::Waits => None,
        }
    }
}

/// Behind what a director has to hear its role and the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It was not there.
    Start,
    /// It stood still.
    Stall,
}

impl Absence {
    const fn patience(self) -> Duration {
        match self {
            Self::Start => PATIENCE_AT_START,
            Self::Stall => PATIENCE,
        }
    }
}

/// Knows when the loop turned last.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    last: Option<Mono>,
    /// Since when role or peer were not heard, and why they are to be.
    unheard: Option<(Mono, Absence)>,
    next: Option<Mono>,
}

impl Pulse {
    /// Of a director that starts `now`, by a clock that goes on while the machine sleeps. The first
    /// beat is due at once. Where there is no peer nobody has told anything meanwhile.
    #[must_use]
    pub const fn started(now: Mono, peer: Contact) -> Self {
        let unheard = match peer {
            Contact::Unneeded => None,
            Contact::Waits | Contact::Heard(_) => Some((now, Absence::Start)),
        };
        Self {
            last: None,
            unheard,
            next: Some(Mono::ZERO),
        }
    }

    /// Whether nothing may leave before role and peer were heard.
    #[must_use]
    pub const fn has_to_hear(&self) -> bool {
        self.unheard.is_some()
    }

    /// Whether there is another director, so that this one must not mail after it stood still.
    #[must_use]
    pub fn is_needed(role: Role, peer: Contact) -> bool {
        role != Role::Alone || peer != Contact::Unneeded
    }

    /// When the next beat is due; none while it rests.
    #[must_use]
    pub const fn next(&self) -> Option<Mono> {
        self.next
    }

    /// A beat is due at once, since it may be needed now.
    pub const fn wake(&mut self) {
        self.next = Some(Mono::ZERO);
    }

    /// No beat is needed: there is no other director.
    pub const fn rest(&mut self) {
        (self.last, self.unheard, self.next) = (None, None, None);
    }

    /// The loop turns. `loops` is its own clock, by which the next beat is due; all others are
    /// moments of a clock that goes on while the machine sleeps.
    pub fn beat(&mut self, loops: Mono, now: Mono, role: Contact, peer: Contact) -> Beat {
        self.next = Some(loops.after(BEAT));
        let lasted = self.last.replace(now).map(|last| now.since(last));
        if let Some(lasted) = lasted.filter(|lasted| *lasted > STALL) {
            self.unheard = Some((now, Absence::Stall));
            return Beat::Stood(lasted);
        }
        let until = now.after(STALL);
        let Some((since, absence)) = self.unheard else {
            return Beat::Leave(until);
        };
        if role.has_heard(since) && peer.has_heard(since) {
            self.unheard = None;
            return Beat::Leave(until);
        }
        if now.since(since) < absence.patience() {
            return Beat::Waits;
        }
        self.unheard = None;
        Beat::Unheard(absence, until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Mono {
        Mono::from_micros(ms * 1_000)
    }

    fn ran(pulse: &mut Pulse) {
        for second in 1..=5 {
            let now = at(second * 1_000);
            let beat = pulse.beat(now, now, Contact::Waits, Contact::Waits);
            assert_eq!(beat, Beat::Leave(now.after(STALL)));
            assert_eq!(pulse.next(), Some(now.after(BEAT)));
        }
    }

    #[test]
    fn after_a_stall_nothing_leaves_before_role_and_peer_were_heard_again() {
        let mut pulse = Pulse::started(at(0), Contact::Unneeded);
        ran(&mut pulse);
        // What was heard before the end of the stall is old.
        let old = Contact::Heard(at(25_000));
        let stood = pulse.beat(at(25_000), at(25_000), old, old);
        assert_eq!(stood, Beat::Stood(Duration::from_secs(20)));
        assert_eq!(pulse.beat(at(26_000), at(26_000), old, old), Beat::Waits);
        let new = Contact::Heard(at(26_500));
        assert_eq!(pulse.beat(at(27_000), at(27_000), new, old), Beat::Waits);
        assert_eq!(pulse.beat(at(28_000), at(28_000), old, new), Beat::Waits);
        assert_eq!(
            pulse.beat(at(29_000), at(29_000), new, Contact::Waits),
            Beat::Waits
        );
        assert_eq!(
            pulse.beat(at(30_000), at(30_000), new, new),
            Beat::Leave(at(33_000))
        );
        assert_eq!(
            pulse.beat(at(31_000), at(31_000), old, old),
            Beat::Leave(at(34_000))
        );
    }

    #[test]
    fn a_director_without_a_link_waits_for_its_role_and_one_that_hears_nothing_goes_on_in_the_end()
    {
        let mut pulse = Pulse::started(at(0), Contact::Unneeded);
        ran(&mut pulse);
        pulse.beat(at(25_000), at(25_000), Contact::Waits, Contact::Unneeded);
        let heard = Contact::Heard(at(25_100));
        let beat = pulse.beat(at(26_000), at(26_000), heard, Contact::Unneeded);
        assert_eq!(beat, Beat::Leave(at(29_000)));
        pulse.beat(at(45_000), at(45_000), Contact::Unneeded, Contact::Waits);
        let mut now = 46_000;
        while pulse.beat(at(now), at(now), Contact::Unneeded, Contact::Waits) == Beat::Waits {
            now += 1_000;
        }
        assert_eq!(now, 55_000);
        let beat = pulse.beat(at(now), at(now), Contact::Unneeded, Contact::Waits);
        assert_eq!(beat, Beat::Leave(at(58_000)));
    }

    #[test]
    fn at_a_start_nothing_leaves_before_the_peer_was_heard_and_five_seconds_later_all_the_same() {
        let begin = at(700_000);
        let mut pulse = Pulse::started(begin, Contact::Waits);
        assert_eq!(pulse.next(), Some(Mono::ZERO));
        let role = Contact::Heard(at(700_010));
        let beat = pulse.beat(at(0), at(700_020), role, Contact::Waits);
        assert_eq!((beat, beat.lease()), (Beat::Waits, None));
        let peer = Contact::Heard(at(700_500));
        let beat = pulse.beat(at(500), at(700_500), role, peer);
        assert_eq!(beat, Beat::Leave(at(703_500)));
        // It is dead.
        let mut pulse = Pulse::started(begin, Contact::Waits);
        let beats = (0..).map(|second| {
            let now = begin.after(BEAT * second);
            (now, pulse.beat(now, now, role, Contact::Waits))
        });
        let mut unheard = beats.skip_while(|(_, beat)| *beat == Beat::Waits);
        let (now, beat) = unheard.next().unwrap();
        assert_eq!(now.since(begin), Duration::from_secs(5));
        assert_eq!(beat, Beat::Unheard(Absence::Start, now.after(STALL)));
        let (later, beat) = unheard.next().unwrap();
        assert_eq!(beat, Beat::Leave(later.after(STALL)));
    }

    #[test]
    fn at_a_start_without_a_peer_nothing_is_waited_for() {
        let mut pulse = Pulse::started(at(700_000), Contact::Unneeded);
        let beat = pulse.beat(at(0), at(700_000), Contact::Waits, Contact::Unneeded);
        assert_eq!(beat, Beat::Leave(at(703_000)));
    }

    #[test]
    fn a_loop_that_is_late_for_a_moment_did_not_stand_still_and_one_that_rested_neither() {
        let mut pulse = Pulse::started(at(0), Contact::Unneeded);
        ran(&mut pulse);
        let beat = pulse.beat(at(8_000), at(8_000), Contact::Waits, Contact::Waits);
        assert_eq!(beat, Beat::Leave(at(11_000)));
        pulse.rest();
        assert_eq!(pulse.next(), None);
        pulse.wake();
        assert_eq!(pulse.next(), Some(Mono::ZERO));
        let beat = pulse.beat(at(99_000), at(99_000), Contact::Waits, Contact::Waits);
        assert_eq!(beat, Beat::Leave(at(102_000)));
    }

    #[test]
    fn a_stall_is_longer_than_the_lease_and_after_a_second_one_all_is_heard_anew() {
        let mut pulse = Pulse::started(at(0), Contact::Unneeded);
        ran(&mut pulse);
        let lasted = Duration::from_millis(3_001);
        let stood = pulse.beat(at(8_001), at(8_001), Contact::Waits, Contact::Waits);
        assert_eq!(stood, Beat::Stood(lasted));
        let early = Contact::Heard(at(9_000));
        let stood = pulse.beat(at(12_000), at(12_000), early, early);
        assert_eq!(stood, Beat::Stood(Duration::from_millis(3_999)));
        let beat = pulse.beat(at(13_000), at(13_000), early, early);
        assert_eq!(beat, Beat::Waits);
    }

    /// The clock of the loop stands still while the machine sleeps, the other one does not.
    #[test]
    fn beats_are_due_by_the_loops_clock_and_leases_last_by_the_one_that_goes_on() {
        let mut pulse = Pulse::started(at(0), Contact::Unneeded);
        assert_eq!(pulse.next(), Some(Mono::ZERO), "the first at once");
        let beat = pulse.beat(at(1_000), at(501_000), Contact::Waits, Contact::Waits);
        assert_eq!(beat, Beat::Leave(at(504_000)));
        assert_eq!(pulse.next(), Some(at(2_000)));
        let stood = pulse.beat(at(2_000), at(601_000), Contact::Waits, Contact::Waits);
        assert_eq!(stood, Beat::Stood(Duration::from_secs(100)));
        // Without another director there is nothing to be heard.
        pulse.rest();
        let beat = pulse.beat(at(3_000), at(602_000), Contact::Waits, Contact::Waits);
        assert_eq!(beat, Beat::Leave(at(605_000)));
    }
}
