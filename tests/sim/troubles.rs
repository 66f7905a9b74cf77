//! What people are told of sections as a whole: each trouble once, and its end to whoever has
//! an upalert line, once.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, AlertKind, Note, SectionNews, Trouble};
use lvsmon::lvs::VirtualServiceKey;
use lvsmon::model::DeclaredService;

type Open = BTreeSet<(VirtualServiceKey, Trouble)>;

/// What is known of troubles, across restarts.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    open: Open,
    /// The journal of a restart was cut: what was said last may be said again.
    is_unsure: bool,
}

impl Troubles {
    /// What one step answered.
    pub(crate) fn check(&mut self, engine: &Engine, actions: &[Action]) {
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
                    *began.entry(*virtual_service).or_default() += 1;
                }
                SectionNews::Over(trouble, _) => {
                    let was = self.open.remove(&(*virtual_service, *trouble));
                    assert!(was || self.is_unsure, "the end of nothing: {news:?}");
                    *over.entry(*virtual_service).or_default() += 1;
                }
                SectionNews::Mend(_) => {}
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
