//! What operators wished of real servers, remembered beside the engine: it holds until somebody
//! ends it or its time is over, and nothing else holds. What names no virtual service holds too
//! where the file names the server anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::desired::RealServerView;
use lvsmon::engine::event::{Action, Aim, Caution, Event, ManualWish, Order, Wish};
use lvsmon::engine::manual::DrainView;
use lvsmon::lvs::{RealServerKey, Table, VirtualServiceKey};
use lvsmon::time::{Mono, Now, Wall};

use super::live::wanted_live;

type Entry = (VirtualServiceKey, RealServerKey);

/// A restart counts by the wall clock, and takes some time itself.
const SLACK: Duration = Duration::from_secs(2);

/// One wish.
#[derive(Clone, Copy, Debug)]
struct Given {
    wish: ManualWish,
    /// When it ends by itself, in the time of the world.
    until: Option<Mono>,
    of: Of,
    /// By the clock of the daemon.
    said: Wall,
}

/// What a wish is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// A server in one virtual service.
    Entry,
    /// A server wherever the file has it.
    Server,
}

impl Of {
    const fn aim(aim: &Aim) -> Self {
        match aim.within {
            Some(_) => Self::Entry,
            None => Self::Server,
        }
    }
}

/// All wishes that hold.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Also of what the file has no more.
    given: BTreeMap<Entry, Given>,
    /// What the file had in the step before.
    declared: BTreeSet<Entry>,
    /// All that was ever wished: whatever a journal lost, somebody said it.
    ever: Vec<(Entry, Of, ManualWish)>,
    /// The journal of a restart was cut: what was wished last may be lost.
    is_unsure: bool,
    /// Since such a restart, wishes for what the file does not have at present are not known.
    was_cut: bool,
    /// How often one held where the file named its server anew.
    pub(crate) inherited: u64,
}

/// What is asked for in a step, before it is carried out.
pub(crate) struct Asked {
    what: What,
    entries: Vec<Entry>,
    live: BTreeMap<VirtualServiceKey, usize>,
    kernel: Option<Arc<Table>>,
}

enum What {
    Nothing,
    Order(Order),
    End(Of),
}

impl Asked {
    /// `kernel` is what the engine saw of the table last.
    pub(crate) fn of(engine: &Engine, kernel: Option<&Arc<Table>>, event: &Event) -> Self {
        let (what, aim) = if let Event::Operator(Wish::Manual(order)) = event {
            (What::Order(order.clone()), &order.aim)
        } else if let Event::Operator(Wish::EnableServer(aim)) = event {
            (What::End(Of::aim(aim)), aim)
        } else {
            return Self {
                what: What::Nothing,
                entries: Vec::new(),
                live: BTreeMap::new(),
                kernel: None,
            };
        };
        let views = engine.real_servers_called(aim).unwrap_or_default();
        let entries = views.iter().filter_map(entry);
        Self {
            what,
            entries: entries.collect(),
            live: wanted_live(engine, kernel.map(Arc::as_ref)),
            kernel: kernel.cloned(),
        }
    }
}

fn entry(view: &RealServerView) -> Option<Entry> {
    Some((view.virtual_service, view.server?))
}

const fn ip((_, server): &Entry) -> IpAddr {
    server.0.ip()
}

impl Orders {
    /// What one step answered.
    pub(crate) fn check(
        &mut self,
        now: Now,
        time: Mono,
        engine: &Engine,
        views: &[RealServerView],
        asked: Asked,
        actions: &[Action],
    ) {
        let mut answers = actions.iter().filter_map(Action::answered);
        let is_granted = answers.any(Result::is_ok);
        match asked.what {
            What::Order(order) if is_granted => {
                for entry in asked.entries {
                    let given = Given {
                        wish: order.wish,
                        until: order.span.map(|span| time.after(span)),
                        of: Of::aim(&order.aim),
                        said: now.wall,
                    };
                    self.given.insert(entry, given);
                    self.ever.push((entry, given.of, given.wish));
                }
                if order.caution == Caution::Refuse {
                    let after = wanted_live(engine, asked.kernel.as_deref());
                    enough_are_left(engine, &asked.live, &after, &order);
                }
            }
            What::End(of) if is_granted => self.end(of, &asked.entries),
            What::Order(_) | What::End(_) | What::Nothing => {}
        }
        if std::mem::take(&mut self.is_unsure) {
            self.believe(now, time, views);
        }
        let before = self.look_at_file(views);
        self.name_anew(time, views, &before);
        for view in views {
            let given = entry(view)
                .and_then(|entry| self.given.get(&entry))
                .copied();
            self.check_one(now, time, view, given);
            if let Some(DrainView::Going(end)) = view.manual.as_ref().and_then(|it| it.drain) {
                let late = now.wall.since(end);
                assert!(late <= SLACK, "a drain goes on for ever: {view:?}");
            }
        }
        let is_over = |given: &Given| given.until.is_some_and(|until| until.after(SLACK) <= time);
        self.given.retain(|_, given| !is_over(given));
    }

    /// A person ends what is wished of these; of a server also where the file has it no more.
    fn end(&mut self, of: Of, entries: &[Entry]) {
        let servers: BTreeSet<IpAddr> = entries.iter().map(ip).collect();
        let declared = &self.declared;
        self.given.retain(|entry, _| {
            let is_lost = of == Of::Server && !declared.contains(entry);
            !(entries.contains(entry) || is_lost && servers.contains(&ip(entry)))
        });
    }

    /// What the file has now, as far as names have addresses. Answers with what it had before.
    fn look_at_file(&mut self, views: &[RealServerView]) -> BTreeSet<Entry> {
        let has_words = |it: &&RealServerView| !it.hosts.is_empty();
        let unresolved = views.iter().filter(|it| it.server.is_none());
        let unresolved: BTreeSet<VirtualServiceKey> =
            unresolved.map(|it| it.virtual_service).collect();
        let seen = views.iter().filter(has_words).filter_map(entry);
        let unseen = self.declared.iter().copied();
        let unseen = unseen.filter(|it| unresolved.contains(&it.0));
        let declared = seen.chain(unseen).collect();
        std::mem::replace(&mut self.declared, declared)
    }

    /// The newest wish of a server holds where the file names it anew.
    fn name_anew(&mut self, time: Mono, views: &[RealServerView], before: &BTreeSet<Entry>) {
        for view in views {
            let new = entry(view).filter(|it| !before.contains(it) && !self.given.contains_key(it));
            let Some(new) = new.filter(|it| self.declared.contains(it)) else {
                continue;
            };
            let of_server = self.given.iter().filter(|(it, given)| {
                given.of == Of::Server
                    && ip(it) == ip(&new)
                    && given.until.is_none_or(|until| until > time)
            });
            let newest = of_server.map(|(_, given)| *given).max_by_key(|it| it.said);
            let Some(newest) = newest else { continue };
            let is_ending = newest.until.is_some_and(|it| it <= time.after(SLACK));
            if view.manual.is_some() || !(self.was_cut || is_ending) {
                self.inherited += 1;
                self.given.insert(new, newest);
            }
        }
    }

    fn check_one(&mut self, now: Now, time: Mono, view: &RealServerView, given: Option<Given>) {
        let is_over = |slack: Duration| {
            let until = given.and_then(|it| it.until);
            until.is_some_and(|until| until <= time.after(slack))
        };
        match (&view.manual, given) {
            (Some(manual), Some(given)) => {
                assert_eq!(manual.wish, given.wish, "another wish: {view:?}");
                let over = given.until.is_some_and(|until| until.after(SLACK) <= time);
                assert!(!over, "a wish does not end by itself: {given:?} {view:?}");
            }
            (Some(_), None) => {
                assert!(self.was_cut, "nobody wished that: {view:?}");
                self.believe_one(now, time, view);
            }
            (None, Some(given)) => {
                assert!(is_over(SLACK), "a wish is lost: {given:?} {view:?}");
            }
            (None, None) => {}
        }
    }

    /// How many hold.
    pub(crate) fn count(&self) -> usize {
        self.given.len()
    }

    /// The journal of a restart ends early: what the last second said is as the daemon has it.
    pub(crate) fn cut(&mut self) {
        self.is_unsure = true;
    }

    fn believe(&mut self, now: Now, time: Mono, views: &[RealServerView]) {
        self.was_cut = true;
        self.given.clear();
        for view in views {
            self.believe_one(now, time, view);
        }
    }

    /// Somebody said that, of this entry or of its server.
    fn believe_one(&mut self, now: Now, time: Mono, view: &RealServerView) {
        let (Some(entry), Some(manual)) = (entry(view), &view.manual) else {
            return;
        };
        let is_it = |(it, of, wish): &&(Entry, Of, ManualWish)| {
            let is_there = *it == entry || *of == Of::Server && ip(it) == ip(&entry);
            is_there && *wish == manual.wish
        };
        let said = self.ever.iter().rev().find(is_it);
        let &(_, of, _) = said.unwrap_or_else(|| panic!("nobody ever wished that: {view:?}"));
        let left = manual.until.map(|until| until.since(now.wall));
        let given = Given {
            wish: manual.wish,
            until: left.map(|left| time.after(left)),
            of,
            said: manual.since,
        };
        self.given.insert(entry, given);
    }
}

/// A wish without `--force` takes nobody below `min_live`.
fn enough_are_left(
    engine: &Engine,
    before: &BTreeMap<VirtualServiceKey, usize>,
    after: &BTreeMap<VirtualServiceKey, usize>,
    order: &Order,
) {
    for section in &engine.model().virtual_services {
        let least = section.min_live.of(section.servers.len());
        let count = |of: &BTreeMap<VirtualServiceKey, usize>| {
            of.get(&section.key).copied().unwrap_or_default()
        };
        let (was, is) = (count(before), count(after));
        assert!(
            is >= least.min(was),
            "{was} before, {is} after {order:?}: {section:?}"
        );
    }
}
