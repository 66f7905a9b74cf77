//! Which ends does the peer hold that people wait for, and that this director knows nothing of?
//!
//! Who told of a failure may find its end when it does not speak any more, and the one that
//! speaks has seen nothing of it: what failed was out of reach for one of both only, or the link
//! was cut all the time. The peer says of what is over for which periods it called upalerts, and
//! whether the end has reached people (`ended`). Who speaks calls these for it, under the same
//! number, as soon as it finds the service good, or the section without the trouble. The peer's
//! rules have decided that the end is told; only for periods that this director alerted itself its
//! own have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::event::{Action, AlertKind};
use crate::engine::peer::ended::Span;
use crate::engine::peer::given_up::UNDER_TWO;
use crate::engine::peer::owed::SEEN_THERE;
use crate::engine::peer::{Candidate, Peer, name, troubles};
use crate::engine::policy;
use crate::engine::policy::whole::ServiceMode;
use crate::engine::state::{Dated, EventText, HostState, Outage};
use crate::engine::tell::{Happening, Numbered};
use crate::engine::trouble::{Begin, Told};
use crate::engine::{Engine, numbering, report};
use crate::model::ServiceId;
use crate::pair::Speaking;
use crate::pair::talk::conversation::EndedOutages;
use crate::pair::talk::delivered::SECTION_GROUP;
use crate::pair::talk::word::{Lasted, Past, Reached, ServiceName, ToldPeriods};
use crate::time::Now;

/// An end that is to be told here.
struct Untold {
    number: i64,
    /// As it is remembered here from now on.
    past: Past,
    /// For which periods it is to be told.
    upalerts: Vec<u32>,
    why: Why,
}

/// Why the end of this number is told beside those of what this director sees end.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// Only the other director saw it.
    SeenThere,
    /// This director gave the number up.
    GivenUp,
}

impl Why {
    /// What people read.
    const fn text(self) -> &'static str {
        match self {
            Self::SeenThere => SEEN_THERE,
            Self::GivenUp => UNDER_TWO,
        }
    }
}

impl Untold {
    /// Of what the peer says, and what is known here of the same; none where nothing is to be told.
    fn of(number: i64, peers: &Past, own: Option<&Past>) -> Option<Self> {
        if own.is_some_and(|own| own.reached == Reached::End) {
            return None;
        }
        let decided = own.map_or(&[][..], |own| &own.periods.alerts);
        let upalerts = peers.periods.upalerts.iter().copied();
        let upalerts: Vec<u32> = upalerts.filter(|it| !decided.contains(it)).collect();
        if upalerts.is_empty() {
            return None;
        }
        let mut past = own.cloned().unwrap_or_else(|| Past {
            periods: ToldPeriods::default(),
            ..peers.clone()
        });
        past.periods.alerts.extend(&upalerts);
        past.periods.upalerts.extend(&upalerts);
        Some(Self {
            number,
            past,
            upalerts,
            why: Why::SeenThere,
        })
    }

    /// Of a number that this director gave up.
    fn given_up((number, past): (i64, Past)) -> Self {
        Self {
            number,
            upalerts: past.periods.upalerts.clone(),
            past,
            why: Why::GivenUp,
        }
    }

    /// When it began.
    fn began(&self, now: Now) -> Dated {
        Dated::restored(self.past.lasted.began, now)
    }
}

/// Of what ended there, that of which people were told the beginning only, and which called for its
/// end.
pub(super) fn untold(ended: &EndedOutages) -> EndedOutages {
    let all = ended.iter().filter_map(|(of, pasts)| {
        let sound = pasts.range(..=numbering::NUMBER_MAX);
        let untold = sound.filter(|(_, past)| past.is_untold());
        let untold: BTreeMap<i64, Past> = untold
            .map(|(&number, past)| (number, past.clone()))
            .collect();
        (!untold.is_empty()).then(|| (of.clone(), untold))
    });
    all.collect()
}

impl Peer {
    /// Whether the peer has had the end of this.
    pub(super) fn has_ended(&self, of: &ServiceName, number: i64) -> bool {
        let ended = self.told.ended.get(of);
        ended.is_some_and(|it| it.contains_key(&number))
    }

    /// The ends of these that are ours to tell, where nothing of this name goes on here.
    fn untold(&self, now: Now, of: &ServiceName) -> Vec<Untold> {
        let told = &self.told;
        if told.speaking == Speaking::Silent {
            return Vec::new();
        }
        let given_up = self.given_up(now, of).into_iter();
        let mut all: Vec<Untold> = given_up.map(Untold::given_up).collect();
        let is_theirs = told.is_linked && told.peer == Speaking::Speaks;
        let Some(ends) = self.untold.get(of).filter(|_| !is_theirs) else {
            return all;
        };
        let ours = self.ended.pasts(of, now);
        let is_known = |number: i64| {
            let open = told.outages.get(of);
            self.has_ended(of, number) || open.is_some_and(|it| it.id == number)
        };
        // What the peer does not know by our number may be one of its own, until both agreed; a
        // number that both have is agreed on, whatever else of ours overlaps it.
        let unknown = ours.iter().filter(|(number, _)| !is_known(**number));
        let unknown: Vec<Lasted> = unknown.map(|(_, past)| past.lasted).collect();
        let is_other = |past: &Past| unknown.iter().all(|it| it.overlap(past.lasted).is_none());
        let is_agreed = |number: &i64| ours.contains_key(number);
        let ends = ends.iter();
        let ends = ends.filter(|(number, past)| is_agreed(number) || is_other(past));
        all.extend(ends.filter_map(|(&number, it)| Untold::of(number, it, ours.get(&number))));
        all
    }
}

impl Engine {
    /// A service was found good: the ends of its outages that only the peer saw are told.
    pub(in crate::engine) fn tell_ends_of_the_peer(
        &mut self,
        now: Now,
        id: ServiceId,
        hosts: &[HostState],
        actions: &mut Vec<Action>,
    ) {
        let has_none = self.peer.untold.is_empty() && self.peer.ended.due().is_empty();
        if has_none || self.mode(id) != ServiceMode::InForce {
            return;
        }
        let model = Arc::clone(&self.model);
        let service = model.service(id);
        let of = name(service);
        for end in self.peer.untold(now, &of) {
            let text = EventText::said(end.why.text());
            let mut outage = Outage::new(now, end.number);
            outage.began = end.began(now);
            self.states[id.index()].begin(outage);
            let happening = Happening {
                id,
                kind: AlertKind::Up,
                exit: Some(0),
                text: &text,
                before: Some(&text),
                is_first: false,
                hosts,
                numbered: Numbered::InOutage,
                intended: None,
            };
            let decision = policy::end_that_was_due(service, &end.upalerts);
            self.call_alerts(now, &happening, decision, actions);
            let state = &mut self.states[id.index()];
            state.outage = None;
            state.ended_outage = state.ended_outage.max(end.number);
            actions.push(report::record(service, state, now));
            self.keep_untold(now, of.clone(), end, actions);
        }
    }

    /// The same for troubles of sections that are known to have none.
    pub(in crate::engine) fn tell_ends_of_the_peers_troubles(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let first = ServiceName {
            group: SECTION_GROUP.to_owned(),
            service: String::new(),
        };
        let given_up = self.peer.ended.due().range((first.clone(), 0)..);
        let names = self.peer.untold.range(first..).map(|(of, _)| of);
        let names = names.chain(given_up.map(|(of, _)| of));
        let names = names.filter(|of| of.group == SECTION_GROUP);
        let names: BTreeSet<ServiceName> = names.cloned().collect();
        let model = Arc::clone(&self.model);
        for of in names {
            let Some((section, trouble)) = troubles::place(&model, &of) else {
                continue;
            };
            if !self.is_untroubled(section.key, trouble) {
                continue;
            }
            for end in self.peer.untold(now, &of) {
                let told = Told {
                    number: end.number,
                    began: end.began(now),
                    reached: Reached::Failure,
                    end_heard: None,
                    begin: Begin::Told,
                };
                match end.why {
                    Why::SeenThere => {
                        self.troubles.insert((section.key, trouble), told);
                        self.end_trouble(now, section, trouble, actions);
                    }
                    Why::GivenUp => {
                        let text = end.why.text().trim_end();
                        self.call_end(now, section, (trouble, told), text, actions);
                    }
                }
                self.keep_untold(now, of.clone(), end, actions);
            }
        }
    }

    /// It is known here from now on, and its end called.
    fn keep_untold(
        &mut self,
        now: Now,
        of: ServiceName,
        Untold { number, past, .. }: Untold,
        actions: &mut Vec<Action>,
    ) {
        let Past {
            lasted,
            reached,
            periods,
        } = past;
        let span = Span {
            began: Dated::restored(lasted.began, now),
            ended: Dated::restored(lasted.ended, now),
        };
        let ours = Candidate { number, reached };
        self.keep_end(now, of, (ours, periods), span, actions);
    }
}
