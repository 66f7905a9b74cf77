//! What becomes of a real server that the file does not name any more, while it stays?
//!
//! It may be the server of a name that has no address yet (D8), so nobody puts it in or takes it
//! out but others and operators: what others emptied comes back, and so does what a wish, or our
//! own exit, had taken away.

use crate::engine::binding::usual::Usual;
use crate::engine::manual::Effect;
use crate::engine::section::wanted::Leaving;
use crate::lvs::{RealServer, ServerWish, Weight};

/// One such real server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Staying {
    stay: Stay,
    /// With what it served while the file had it.
    usual: Usual,
    /// A name without an address has kept it: it leaves when somebody takes its place.
    is_held: bool,
}

/// How it stays.
#[derive(Clone, Copy, Debug, Default)]
enum Stay {
    /// It is left as it is found.
    #[default]
    AsFound,
    /// The same, and the latest look found it in, like this.
    Seen(RealServer),
    /// It comes back like this: others emptied the virtual service, a wish took it away, or the
    /// end of the daemon before did.
    Back(RealServer),
    /// It came back, and every look since found it in, lastly like this.
    Returned(RealServer),
    /// An operator wishes this of it; without that it would be like this, where that is known.
    Wished(Effect, Option<RealServer>),
}

/// What a look at its virtual service finds of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    pub(super) found: Option<&'a RealServer>,
    pub(super) company: Company,
    pub(super) missing: Missing,
}

/// Whose name has no address, so that it may lead to what stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// A real server's.
    Server,
    /// Only that of the fallback, of which nobody knows yet whether it is needed.
    Fallback,
}

/// Who is with it in its virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Others are.
    Others,
    /// Nobody was left there, whoever was put in since.
    Nobody,
    /// The first look of this daemon finds nobody of ours there who takes clients, as our own exit
    /// leaves it.
    AsWeLeave,
}

impl Staying {
    pub(super) const fn new(usual: Usual, is_held: bool) -> Self {
        Self {
            stay: Stay::AsFound,
            usual,
            is_held,
        }
    }

    pub(super) const fn usual(&self) -> Usual {
        self.usual
    }

    pub(super) const fn is_held(&self) -> bool {
        self.is_held
    }

    pub(super) const fn has_returned(&self) -> bool {
        matches!(self.stay, Stay::Returned(_))
    }

    /// Whether a name without an address keeps it, or has kept it until now; answers whether that
    /// is news.
    pub(super) const fn hold(&mut self, is_held: bool) -> bool {
        let is_news = self.is_held != is_held;
        self.is_held = is_held;
        is_news
    }

    /// What follows from a look; whether it is wanted otherwise from now on.
    pub(super) fn follow(&mut self, sight: Sight<'_>) -> bool {
        let may_return = match (self.usual, sight.missing) {
            (Usual::Fallback(_), _) | (Usual::Server(_), Missing::Server) => true,
            (Usual::Unknown | Usual::Failed, _) | (Usual::Server(_), Missing::Fallback) => false,
        };
        let usual = self.usual.settings().filter(|it| it.weight > Weight(0));
        let usual = usual.filter(|_| may_return && sight.company == Company::AsWeLeave);
        let in_now = sight.found.filter(|found| found.weight > Weight(0));
        let (stay, is_news) = match (self.stay, in_now) {
            (Stay::Back(_), None)
            | (Stay::Wished(_, Some(_)), _)
            | (Stay::Wished(_, None), None) => {
                return false;
            }
            // It is back: whoever takes it out from now on means it.
            (Stay::Back(_), Some(found)) => (Stay::Returned(*found), true),
            (Stay::Returned(_), Some(found)) => (Stay::Returned(*found), false),
            (Stay::Wished(effect, None), Some(found)) => (Stay::Wished(effect, Some(*found)), true),
            (Stay::AsFound | Stay::Seen(_), Some(found)) => (Stay::Seen(*found), false),
            // Nobody puts one in that failed.
            (Stay::Seen(settings) | Stay::Returned(settings), None)
                if sight.company != Company::Others && self.usual != Usual::Failed =>
            {
                (Stay::Back(settings), true)
            }
            (Stay::Seen(_) | Stay::Returned(_), None) => {
                // Somebody took it out, or gave it weight 0, and nobody else: so it stays. One that
                // failed is that still where somebody puts it back.
                if self.usual != Usual::Failed {
                    self.usual = Usual::Unknown;
                }
                (Stay::AsFound, false)
            }
            (Stay::AsFound, None) => match usual {
                Some(usual) => (Stay::Back(usual), true),
                None => (Stay::AsFound, false),
            },
        };
        self.stay = stay;
        is_news
    }

    /// Operators wish this of it now.
    pub(super) const fn lay(&mut self, effect: Option<Effect>) {
        self.stay = match (effect, self.stay) {
            (None, Stay::Wished(_, Some(settings))) => Stay::Back(settings),
            (None, Stay::Wished(_, None)) => Stay::AsFound,
            (None, stay) => stay,
            (Some(effect), Stay::Wished(_, settings)) => Stay::Wished(effect, settings),
            (Some(effect), Stay::AsFound) => Stay::Wished(effect, self.usual.settings()),
            (
                Some(effect),
                Stay::Seen(settings) | Stay::Back(settings) | Stay::Returned(settings),
            ) => Stay::Wished(effect, Some(settings)),
        };
    }

    const fn has_failed(&self) -> bool {
        matches!(self.usual, Usual::Failed)
    }

    /// What is known of it.
    pub(super) const fn leaving(&self) -> Leaving {
        Leaving {
            wish: self.wish(),
            has_failed: self.has_failed(),
        }
    }

    /// What is wanted of it.
    pub(super) const fn wish(&self) -> ServerWish {
        match self.stay {
            Stay::AsFound | Stay::Seen(_) | Stay::Returned(_) => ServerWish::AsFound,
            Stay::Back(settings) => ServerWish::In(settings),
            Stay::Wished(effect, Some(settings)) => effect.over(ServerWish::In(settings)),
            Stay::Wished(effect, None) => effect.over(ServerWish::AsFound),
        }
    }
}
