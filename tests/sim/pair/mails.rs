//! What do people read?

use lvsmon::engine::event::AlertCall;
use lvsmon::pair::talk::EventId;
use lvsmon::pair::talk::delivered::SECTION_GROUP;
use lvsmon::time::Mono;

use super::apart::{self, Failing};
use super::{Director, World, oneway};

/// One mail that arrived.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) at: Mono,
    /// Which director told it.
    pub(super) side: usize,
    pub(super) event: String,
    pub(super) about: About,
    pub(super) was_linked: bool,
    /// Its director died before it knew that.
    pub(super) is_unknown: bool,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Which host, and which outage of it.
    Outage(usize, usize),
    /// A section's trouble, as in event ids.
    Section(String),
    /// Which hosts of the group fail whose hosts fail apart.
    Apart(Failing),
    /// A host that one director may not reach, and the section of which it is the only server.
    OneWay,
}

impl World {
    /// Which outage of which host an event is about, or what goes wrong with a section.
    pub(super) fn about(&self, call: &AlertCall) -> Option<About> {
        let (place, _) = EventId::of(&call.event)?.outage.rsplit_once('/')?;
        let (group, name) = place.split_once('/')?;
        if oneway::is_about(group, name) {
            return Some(About::OneWay);
        }
        if group == SECTION_GROUP {
            return Some(About::Section(name.to_owned()));
        }
        if group == apart::GROUP {
            return Some(About::Apart(apart::failing(call)));
        }
        let host: usize = group.strip_prefix('g')?.parse().ok()?;
        let count = self.outages.get(host)?.len();
        Some(About::Outage(host, count.checked_sub(1)?))
    }

    /// A director finds an end.
    pub(super) fn calls_end(&mut self, side: usize, event: &str, about: &About) {
        match about {
            About::Apart(_) => {}
            About::OneWay => {
                let outage = EventId::of(event).unwrap().outage;
                self.one_way.ends(side, outage, self.time);
            }
            About::Outage(..) | About::Section(_) => {
                self.ended.insert(about.clone());
            }
        }
    }

    /// The relay accepts one mail; sometimes the director dies before it can say so.
    pub(super) fn relay(&mut self, side: usize) {
        let (now, director) = (self.time, &mut self.directors[side]);
        if !director.may_send(now) {
            return;
        }
        let Some((number, event, about)) = director.outbox.next() else {
            return;
        };
        self.what_is_dropped_is_needless();
        self.note(format_args!("{side} delivers {event}{}", about.failing()));
        let was_linked = self.is_linked && self.directors.iter().all(Director::is_linked);
        let may_die = !self.is_calm && self.is_settled();
        let is_unknown = may_die && self.random.u8(..) < 6;
        self.mails.push(Mail {
            at: self.time,
            side,
            event: event.to_string(),
            about,
            was_linked,
            is_unknown,
        });
        if is_unknown {
            return self.die(side);
        }
        if self.stalls_behind(side, number, &event) {
            return;
        }
        let actions = self.directors[side].delivered(self.time, number);
        self.perform(side, actions);
    }
}
