//! Why does the verdict of a service over a real server not change: by whose word is it frozen, and
//! what keeps its checks from beginning? Pure.

use crate::engine::Engine;
use crate::model::{HostName, ServiceId};
use crate::wire::held_up::{HeldUpRow, held_up};

/// What keeps a service from a verdict of a real server that counts: that a person froze it, and
/// what keeps its checks from beginning.
pub(super) fn of_server(engine: &Engine, id: ServiceId, host: Option<&HostName>) -> Vec<HeldUpRow> {
    let frozen = frozen(engine, id).into_iter();
    let mut rows: Vec<HeldUpRow> = frozen
        .map(|(rule, text)| HeldUpRow {
            rule: rule.to_owned(),
            text,
            until: None,
        })
        .collect();
    rows.extend(held_up(engine, id, host));
    rows
}

/// By what words of persons the verdicts of a service are frozen: each is to be taken back (D10).
fn frozen(engine: &Engine, id: ServiceId) -> Vec<(&'static str, String)> {
    let mut frozen = Vec::new();
    if engine.stopped_since().is_some() {
        let text = "the scheduler is stopped: no check begins, and verdicts are frozen";
        frozen.push(("stopped", text.to_owned()));
    }
    if engine.is_service_disabled(id) {
        let text = "the service is disabled: its verdict is frozen";
        frozen.push(("disabled", text.to_owned()));
    }
    let group = engine.model().services.get(id.index()).map(|it| &it.group);
    if let Some(group) = group.filter(|group| engine.is_watch_disabled(group)) {
        let text = format!("watch {group} is disabled: its verdict is frozen");
        frozen.push(("disabled", text));
    }
    frozen
}
