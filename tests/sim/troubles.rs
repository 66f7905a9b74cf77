//! What people are told of sections as a whole: each trouble once, when it has lasted, and its end
//! to whoever has an upalert line, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::desired::{RealServerView, ServedBy};
use lvsmon::engine::event::{Action, AlertKind, Note, SectionNews, Trouble};
use lvsmon::lvs::VirtualServiceKey;
use lvsmon::model::DeclaredService;
use lvsmon::time::{Mono, Now};

/// Less is told to nobody.
const LASTS: Duration = Duration::from_secs(1);

type Open = BTreeSet<(VirtualServiceKey, Trouble)>;

/// What is known of troubles, across restarts.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    open: Open,
    /// Since when each goes on, as far as it can be seen from outside.
    since: BTreeMap<(VirtualServiceKey, Trouble), Mono>,
    /// The journal of a restart was cut: what was said last may be said again.
    is_unsure: bool,
}

impl Troubles {
    /// What one step answered.
    pub(crate) fn check(
        &mut self,
        now: Now,
        engine: &Engine,
        views: &[RealServerView],
        actions: &[Action],
    ) {
        self.look(now, views);
        let mut began: BTreeMap<VirtualServiceKey, usize> = BTreeMap::new();
        let mut over: BTreeMap<VirtualServiceKey, usize> = BTreeMap::new();
        for action in actions {
            let Action::Note(Note::Section {
                virtual_service,
                news,
            }) = action
            else {
                continue;
            };
            match news {
                SectionNews::Began(trouble, _) => {
                    let is_new = self.open.insert((*virtual_service, *trouble));
                    assert!(is_new || self.is_unsure, "told twice: {news:?}");
                    if *trouble != Trouble::Contested {
                        let since = self.since.get(&(*virtual_service, *trouble));
                        let lasted = since.map(|since| now.mono.since(*since));
                        assert!(lasted >= Some(LASTS), "told after {lasted:?}: {news:?}");
                    }
                    *began.entry(*virtual_service).or_default() += 1;
                }
                SectionNews::Over(trouble, _) => {
                    let was = self.open.remove(&(*virtual_service, *trouble));
                    assert!(was || self.is_unsure, "the end of nothing: {news:?}");
                    *over.entry(*virtual_service).or_default() += 1;
                }
                SectionNews::Mend { .. } => {}
            }
        }
        if engine.stopped_since().is_some() {
            assert!(began.is_empty() && over.is_empty(), "told while stopped");
        }
        let sections = &engine.model().virtual_services;
        self.open
            .retain(|(key, _)| sections.iter().any(|it| it.key == *key));
        for section in sections {
            let (alerts, upalerts) = (section.alerts.len(), section.upalerts.len());
            let count = |of: &BTreeMap<VirtualServiceKey, usize>| {
                of.get(&section.key).copied().unwrap_or_default()
            };
            let said = |kind| calls(actions, section, kind);
            assert_eq!(
                said(AlertKind::Failure),
                count(&began) * alerts,
                "{section:?}"
            );
            assert_eq!(said(AlertKind::Up), count(&over) * upalerts, "{section:?}");
        }
    }

    /// What is seen of the sections now.
    fn look(&mut self, now: Now, views: &[RealServerView]) {
        let mut present = BTreeSet::new();
        for view in views {
            let Some(section) = view.section else {
                continue;
            };
            let trouble = match section.by {
                Some(ServedBy::TooFew) => Trouble::TooFew,
                Some(ServedBy::Fallback) => Trouble::Fallback,
                // The servers of `lvs.alert` lines serve.
                Some(ServedBy::Nobody) if section.beside > 0 => Trouble::TooFew,
                Some(ServedBy::Nobody) => Trouble::NoServer,
                Some(ServedBy::Servers | ServedBy::NobodyYet) | None => continue,
            };
            present.insert((view.virtual_service, trouble));
        }
        self.since.retain(|place, _| present.contains(place));
        for place in present {
            self.since.entry(place).or_insert(now.mono);
        }
    }

    /// A new daemon has a clock of its own.
    pub(crate) fn restarted(&mut self) {
        self.since.clear();
    }

    /// The journal of a restart ends early.
    pub(crate) fn cut(&mut self) {
        self.is_unsure = true;
    }

    /// How many go on.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// All is well: no trouble goes on.
    pub(crate) fn are_over(&self, engine: &Engine) {
        let model = engine.model();
        assert!(self.is_unsure || self.open.is_empty(), "{self:?} {model:?}");
    }
}

/// Alert calls of a section.
fn calls(actions: &[Action], section: &DeclaredService, kind: AlertKind) -> usize {
    let name = section.key.to_string();
    let is_its = |action: &&Action| {
        let Action::Send(call) = action else {
            return false;
        };
        call.service.is_none() && *call.name == *name && call.kind == kind
    };
    actions.iter().filter(is_its).count()
}
