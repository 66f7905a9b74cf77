//! Whether a trap is let in, at a bounded cost.
//!
//! Pure. The rules decide; a password is looked at once, and its outcome is remembered, because a
//! look may take a second by design while packets come by the ten thousand. New passwords share a
//! tenth of one processor: a flood of wrong ones delays a sender that was never seen before, and
//! nobody else.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::protocol::auth::{Refusal, TrapRules, Verdict};
use crate::protocol::crypt::PasswordHash;
use crate::protocol::trap::Packet;
use crate::time::Mono;

/// After a look at a password none follows for so many times as long as it took.
const REST: u32 = 9;

/// Passwords that are remembered as right, and as wrong; a few hundred kB each. There can be no
/// more right ones than there are entries, but for old entries and DES.
const REMEMBERED_MAX: usize = 4_000;

/// A password together with the hash that it was compared with, as a keyed digest.
type Digest = [u8; 32];

/// The rules and what is remembered of passwords.
#[derive(Debug)]
pub struct Guard {
    rules: TrapRules,
    /// Makes the digests of one daemon unlike those of any other.
    key: [u8; 32],
    right: BTreeSet<Digest>,
    wrong: BTreeSet<Digest>,
    rests_until: Mono,
}

/// What is to be done about a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Let in.
    Take,
    /// Look whether the password fits, and say so with [`Guard::verified`].
    Verify(PasswordHash),
    /// Drop it for this reason.
    Refuse(Refusal),
    /// Drop it: there is no time now to look at a password that was not seen before.
    Busy,
}

impl Guard {
    /// A guard that remembers nothing yet. The key should be random.
    #[must_use]
    pub const fn new(rules: TrapRules, key: [u8; 32]) -> Self {
        Self {
            rules,
            key,
            right: BTreeSet::new(),
            wrong: BTreeSet::new(),
            rests_until: Mono::ZERO,
        }
    }

    /// From now on these rules hold. What is remembered holds for a hash, so it stays.
    pub fn reload(&mut self, rules: TrapRules) {
        self.rules = rules;
    }

    /// A name of the rules has these addresses.
    pub fn resolve(&mut self, name: &str, addresses: &[IpAddr]) {
        self.rules.resolve(name, addresses);
    }

    /// What is to be done about a packet that came at this moment.
    #[must_use]
    pub fn judge(&self, packet: &Packet, now: Mono) -> Step {
        let hash = match self.rules.judge(packet.trap.from, &packet.user) {
            Ok(Verdict::Welcome) => return Step::Take,
            Ok(Verdict::Verify(hash)) => hash,
            Err(refusal) => return Step::Refuse(refusal),
        };
        let digest = hash.digest(&self.key, &packet.password);
        if self.right.contains(&digest) {
            Step::Take
        } else if self.wrong.contains(&digest) {
            Step::Refuse(Refusal::Password)
        } else if now < self.rests_until {
            Step::Busy
        } else {
            Step::Verify(hash.clone())
        }
    }

    /// What a look at the packet's password found, and how long it took until now.
    pub fn verified(
        &mut self,
        packet: &Packet,
        hash: &PasswordHash,
        fits: bool,
        took: Duration,
        now: Mono,
    ) {
        self.rests_until = now.after(took.saturating_mul(REST));
        let memory = if fits {
            &mut self.right
        } else {
            &mut self.wrong
        };
        if memory.len() >= REMEMBERED_MAX {
            memory.clear();
        }
        memory.insert(hash.digest(&self.key, &packet.password));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::auth::AuthRules;
    use crate::protocol::trap::{Outgoing, parse};

    const RULES: &str = "trap section\n10.0.0.1 joe abNANd1rDfiNc\n10.0.0.2 * -\n";
    const SECOND: Duration = Duration::from_secs(1);

    fn guard(rules: &str) -> Guard {
        Guard::new(AuthRules::read(rules).rules.traps().clone(), [7; 32])
    }

    fn packet(from: &str, user: &str, password: &str) -> Packet {
        let outgoing = Outgoing {
            user: user.to_owned(),
            password: password.to_owned(),
            ..Outgoing::default()
        };
        parse(&outgoing.render(), from.parse().unwrap()).unwrap()
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_micros(seconds * 1_000_000)
    }

    /// Judges and, where it is asked for, looks; a look takes a second.
    fn pass(guard: &mut Guard, packet: &Packet, now: Mono) -> &'static str {
        match guard.judge(packet, now) {
            Step::Take => "known",
            Step::Refuse(Refusal::Password) => "known as wrong",
            Step::Refuse(_) => "refused",
            Step::Busy => "busy",
            Step::Verify(hash) => {
                let fits = hash.verify(&packet.password);
                guard.verified(packet, &hash, fits, SECOND, now);
                if fits { "right" } else { "wrong" }
            }
        }
    }

    #[test]
    fn a_password_is_looked_at_once_and_others_wait_their_time() {
        let mut guard = guard(RULES);
        let good = packet("10.0.0.1", "joe", "secret");
        let bad = packet("10.0.0.1", "joe", "guess");
        assert_eq!(pass(&mut guard, &bad, at(0)), "wrong");
        assert_eq!(pass(&mut guard, &bad, at(1)), "known as wrong");
        assert_eq!(pass(&mut guard, &good, at(8)), "busy");
        assert_eq!(pass(&mut guard, &good, at(9)), "right");
        // While new ones wait, what is known is let in, and what needs no look too.
        for second in 9..18 {
            let now = at(second);
            let new = packet("10.0.0.1", "joe", &second.to_string());
            assert_eq!(pass(&mut guard, &good, now), "known");
            assert_eq!(pass(&mut guard, &new, now), "busy");
            assert_eq!(pass(&mut guard, &packet("10.0.0.2", "x", ""), now), "known");
            assert_eq!(
                pass(&mut guard, &packet("10.0.0.3", "joe", "secret"), now),
                "refused"
            );
            assert_eq!(
                pass(&mut guard, &packet("10.0.0.1", "*", "secret"), now),
                "refused"
            );
        }
    }

    #[test]
    fn what_is_remembered_holds_for_one_hash_only() {
        let mut guard = guard(RULES);
        let good = packet("10.0.0.1", "joe", "secret");
        assert_eq!(pass(&mut guard, &good, at(0)), "right");
        let reload = |guard: &mut Guard, text: &str| {
            guard.reload(AuthRules::read(text).rules.traps().clone());
        };
        reload(&mut guard, &format!("{RULES}10.0.0.9 ann x\n"));
        assert_eq!(pass(&mut guard, &good, at(1)), "known");
        reload(&mut guard, "trap section\n10.0.0.1 joe abmF1QH4PEr.E\n");
        assert_eq!(pass(&mut guard, &good, at(20)), "wrong");
        reload(&mut guard, "");
        assert_eq!(pass(&mut guard, &good, at(40)), "refused");
    }

    #[test]
    fn no_number_of_passwords_fills_the_memory() {
        let mut guard = guard(RULES);
        for number in 0..REMEMBERED_MAX * 2 + 5 {
            let new = packet("10.0.0.1", "joe", &number.to_string());
            let Step::Verify(hash) = guard.judge(&new, Mono::ZERO) else {
                panic!("{number}");
            };
            guard.verified(&new, &hash, false, Duration::ZERO, Mono::ZERO);
            assert!(guard.wrong.len() <= REMEMBERED_MAX);
        }
        assert_eq!(guard.right.len(), 0);
    }
}
