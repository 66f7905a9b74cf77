//! What is the operator told of wrong logins?
//!
//! The first of each reason at once, the others of a minute as a number at its end: whoever tries
//! passwords, or just any names, needs no right for it, and must not fill the log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// How often it is told how many more there were.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Longest part of a user's name in the log, in characters.
const SHOWN_MAX: usize = 64;

/// Reasons that are told apart: the few that there are, and some.
const REASONS_MAX: usize = 32;

/// A name from outside as the log has it.
fn shown(user: &str) -> String {
    user.chars().take(SHOWN_MAX).collect()
}

/// One login that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedLogin {
    /// As said, cut.
    user: String,
    peer: IpAddr,
    why: String,
}

impl RefusedLogin {
    pub(super) fn new(user: &str, peer: IpAddr, why: &str) -> Self {
        Self {
            user: shown(user),
            peer,
            why: why.to_owned(),
        }
    }

    fn say(&self) {
        let Self { user, peer, why } = self;
        tracing::warn!(user, %peer, "login refused: {why}");
    }

    /// This one is the last of so many.
    fn say_more(&self, count: u64) {
        let Self { user, peer, why } = self;
        tracing::warn!(count, user, %peer, why, "more logins refused, this one and others");
    }
}

/// What was refused since it was told last, for each reason.
#[derive(Debug, Default)]
pub(super) struct RefusedLogins(watch::Sender<BTreeMap<String, Counted>>);

/// Those of one reason behind the first one, which was told.
#[derive(Debug, Default)]
struct Counted {
    count: u64,
    /// The last of them.
    last: Option<RefusedLogin>,
}

impl RefusedLogins {
    /// Tells of one more, or counts it.
    pub(super) fn tell(self: &Arc<Self>, login: RefusedLogin) {
        match self.add(login) {
            Added::Counted => {}
            Added::News(login) => login.say(),
            Added::First(login) => {
                login.say();
                let all = Arc::clone(self);
                tokio::spawn(async move {
                    let mut goes_on = true;
                    while goes_on {
                        tokio::time::sleep(TELL_EVERY).await;
                        goes_on = all.minute_is_over(RefusedLogin::say_more);
                    }
                });
            }
        }
    }

    /// Tells at the end how many there were in a minute that is not over.
    pub(super) fn tell_rest(&self) {
        self.minute_is_over(RefusedLogin::say_more);
    }

    fn add(&self, login: RefusedLogin) -> Added {
        let mut added = Added::Counted;
        self.0.send_modify(|minute| {
            let is_first = minute.is_empty();
            if let Some(counted) = minute.get_mut(&login.why) {
                counted.count += 1;
                counted.last = Some(login);
            } else if minute.len() < REASONS_MAX {
                minute.insert(login.why.clone(), Counted::default());
                added = match is_first {
                    true => Added::First(login),
                    false => Added::News(login),
                };
            }
        });
        added
    }

    /// Says how many there were in the minute that ended, for each reason, with the last of them.
    /// Of a reason without any the next one is told at once. Whether another minute begins.
    fn minute_is_over(&self, say: impl Fn(&RefusedLogin, u64)) -> bool {
        let minute = self.0.send_replace(BTreeMap::new());
        let mut next = BTreeMap::new();
        for (why, Counted { count, last }) in minute {
            if let Some(last) = last {
                say(&last, count);
                next.insert(why, Counted::default());
            }
        }
        let goes_on = !next.is_empty();
        self.0.send_replace(next);
        goes_on
    }
}

/// What becomes of one.
#[derive(Debug, PartialEq, Eq)]
enum Added {
    /// It is told at once, and a minute begins.
    First(RefusedLogin),
    /// It is told at once: the first of its reason.
    News(RefusedLogin),
    /// It is told with others.
    Counted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_reason_is_told_the_others_are_counted_and_a_quiet_minute_ends_it() {
        let refused = RefusedLogins::default();
        let of = |user: &str, why: &str| RefusedLogin::new(user, IpAddr::from([10, 0, 0, 1]), why);
        let ended = || {
            let said = std::cell::RefCell::new(Vec::new());
            let say = |last: &RefusedLogin, count: u64| {
                said.borrow_mut().push((last.user.clone(), count));
            };
            let goes_on = refused.minute_is_over(say);
            (said.into_inner(), goes_on)
        };
        assert_eq!(refused.add(of("a", "no")), Added::First(of("a", "no")));
        for user in ["b", "c", "d"] {
            assert_eq!(refused.add(of(user, "no")), Added::Counted);
        }
        assert_eq!(refused.add(of("a", "odd")), Added::News(of("a", "odd")));
        assert_eq!(ended(), (vec![("d".to_owned(), 3)], true));
        assert_eq!(refused.add(of("e", "no")), Added::Counted);
        assert_eq!(refused.add(of("e", "odd")), Added::News(of("e", "odd")));
        assert_eq!(ended(), (vec![("e".to_owned(), 1)], true));
        assert_eq!(ended(), (vec![], false));
        assert_eq!(refused.add(of("f", "no")), Added::First(of("f", "no")));
    }

    #[test]
    fn no_number_of_reasons_and_no_length_of_a_name_takes_memory() {
        let refused = RefusedLogins::default();
        for number in 0..2 * REASONS_MAX {
            let why = number.to_string();
            let name = "x".repeat(60_000);
            refused.add(RefusedLogin::new(&name, IpAddr::from([10, 0, 0, 1]), &why));
        }
        assert_eq!(refused.0.borrow().len(), REASONS_MAX);
        assert_eq!(shown(&"ä".repeat(100)).chars().count(), SHOWN_MAX);
    }
}
