//! Do the roles of the two directors go together?
//!
//! Each knows its own role and over the link that of the other one. Where VRRP does not get through
//! between them both are active, and where it runs on neither both are standby. A takeover looks
//! like one or the other for some seconds; what lasts is said, and said again while it lasts.

use std::time::Duration;

use crate::pair::{Role, SaidRole};
use crate::time::Mono;

/// So long a takeover may take: keepalived needs some four seconds at its usual pace, a director
/// that is told late some more.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(10);

/// What lasts is said so often.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How two roles do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discord {
    /// Both answer clients and tell people.
    BothActive,
    /// Both leave it to the other one.
    NoneActive,
}

impl Discord {
    /// Between these roles. Of one that nobody here knows nothing is said.
    #[must_use]
    pub const fn between(own: Role, peer: SaidRole) -> Option<Self> {
        let SaidRole::Known(peer) = peer else {
            return None;
        };
        match (own.is_active(), peer.is_active()) {
            (true, true) => Some(Self::BothActive),
            (false, false) => Some(Self::NoneActive),
            (true, false) | (false, true) => None,
        }
    }

    /// What is wrong.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BothActive => "both directors are active: both have the address and tell people",
            Self::NoneActive => "no director is active: clients reach none, and nobody is told",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::BothActive => {
                "see with \"lvsmon role\" and \"ip address\" on both why each takes itself for \
                 active: VRRP must get through between them (IP protocol 112, the same \
                 virtual_router_id and authentication), a keepalived that was killed leaves the \
                 address behind, and one that is \"alone\" has neither notify_fifo nor vip"
            }
            Self::NoneActive => {
                "see with \"systemctl status keepalived\" and \"lvsmon role\" on both why none takes \
                 the address; \"lvsmon role master\" on one of them has it tell people meanwhile, \
                 where no vip is set"
            }
        }
    }
}

/// Since when the roles do not go together, and when that was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accord {
    discord: Option<(Discord, Mono)>,
    said: Option<Mono>,
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The roles do not go together, for this long.
    Wrong(Discord, Duration),
    /// They do again, which matters where the contrary was said.
    Right,
}

impl Accord {
    /// Both roles, as they are now; none for the peer's where it is not known.
    pub fn look(&mut self, now: Mono, own: Role, peer: Option<SaidRole>) -> Option<Saying> {
        let discord = peer.and_then(|peer| Discord::between(own, peer));
        let Some(discord) = discord else {
            let was_said = self.said.is_some();
            *self = Self::default();
            return (was_said && peer.is_some()).then_some(Saying::Right);
        };
        let since = match self.discord {
            Some((known, since)) if known == discord => since,
            Some(_) | None => {
                self.said = None;
                now
            }
        };
        self.discord = Some((discord, since));
        let lasts = now.since(since);
        let is_rested = self.said.is_none_or(|said| now.since(said) >= SAY_EVERY);
        if lasts < TAKEOVER_LIMIT || !is_rested {
            return None;
        }
        self.said = Some(now);
        Some(Saying::Wrong(discord, lasts))
    }

    /// What does not go together at present, also before it is said.
    #[must_use]
    pub fn present(&self) -> Option<Discord> {
        self.discord.map(|(discord, _)| discord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn one_that_is_active_and_one_that_is_not_go_together() {
        use Discord::{BothActive, NoneActive};
        for (own, peer, expected) in [
            (Role::Active, "standby", None),
            (Role::Standby, "active", None),
            (Role::Active, "fault", None),
            (Role::Active, "active", Some(BothActive)),
            (Role::Alone, "alone", Some(BothActive)),
            (Role::Active, "alone", Some(BothActive)),
            (Role::Standby, "standby", Some(NoneActive)),
            (Role::Fault, "standby", Some(NoneActive)),
            (Role::Active, "a role of a later version", None),
            (Role::Standby, "", None),
        ] {
            let said = SaidRole::from(peer.to_owned());
            assert_eq!(Discord::between(own, said), expected, "{own} {peer}");
        }
    }

    #[test]
    fn what_lasts_is_said_once_a_minute_and_its_end_once() {
        let mut accord = Accord::default();
        let [standby, active] = [Role::Standby, Role::Active].map(|it| Some(SaidRole::Known(it)));
        let mut look = |seconds, peer| accord.look(at(seconds), Role::Active, peer);
        assert_eq!(look(0, active), None, "a takeover takes a while");
        assert_eq!(look(9, active), None);
        let wrong = |s| Some(Saying::Wrong(Discord::BothActive, Duration::from_secs(s)));
        assert_eq!(look(10, active), wrong(10));
        assert_eq!(look(11, active), None);
        assert_eq!(look(69, active), None);
        assert_eq!(look(70, active), wrong(70));
        assert_eq!(look(71, standby), Some(Saying::Right));
        assert_eq!(look(72, standby), None);
    }

    #[test]
    fn a_takeover_and_a_lost_link_say_nothing() {
        let mut accord = Accord::default();
        let [standby, active] = [Role::Standby, Role::Active].map(|it| Some(SaidRole::Known(it)));
        assert_eq!(accord.look(at(0), Role::Standby, standby), None);
        assert_eq!(accord.present(), Some(Discord::NoneActive));
        assert_eq!(accord.look(at(5), Role::Active, standby), None);
        assert_eq!(accord.look(at(6), Role::Active, active), None);
        // Another discord begins anew.
        assert_eq!(accord.look(at(12), Role::Standby, standby), None);
        assert_eq!(accord.look(at(21), Role::Standby, None), None);
        assert_eq!(accord.present(), None);
        assert_eq!(accord.look(at(22), Role::Standby, standby), None);
    }
}
