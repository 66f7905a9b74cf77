//! What is there to say of the table where no daemon runs?
//!
//! What the file and the kept state want before any check, by an engine that is asked once and
//! checks nothing, against what the kernel has.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::daemon::store;
use crate::engine::Engine;
use crate::engine::event::{Action, Event, Resolved, TableLook, TableOutcome};
use crate::engine::saved::Saved;
use crate::ipvs::Backend;
use crate::model::{Globals, Model};
use crate::names::Names;
use crate::wire::role::SyncRow;
use crate::wire::{Source, TableAnswer, table};

/// Longest wait for names where no daemon knows them already.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// The wanted table against the kernel's where no daemon runs: what the file and the kept
/// state say before any check.
///
/// # Errors
///
/// The kept state cannot be read, or the runtime cannot start. A table that cannot be read is
/// part of the answer.
pub fn compare_without_daemon(model: Model) -> Result<TableAnswer, Box<dyn Error>> {
    let saved = store::read_only(&model.globals.statedir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(compare(Arc::new(model), &saved));
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(answer)
}

async fn compare(model: Arc<Model>, saved: &Saved) -> TableAnswer {
    let clock = Clock::start();
    // The seed moves only the times of checks, and none is run here.
    let mut engine = Engine::new(Arc::clone(&model), saved, 0, TimeZone::UTC, clock.now());
    let names = Names::system();
    let mut lookups = JoinSet::new();
    let actions = engine.handle(clock.now(), Event::Start);
    for action in actions {
        if let Action::Resolve(host) = action {
            let names = names.clone();
            lookups.spawn(async move {
                let answer = names.lookup(host.as_str()).await;
                let answer = answer
                    .map(|answer| answer.addresses)
                    .map_err(|error| error.to_string());
                Resolved::fresh(host, answer)
            });
        }
    }
    let mut answers = Vec::new();
    let resolve = async {
        while let Some(ended) = lookups.join_next().await {
            answers.extend(ended);
        }
    };
    // Names that take longer are shown as not resolved.
    let _ = tokio::time::timeout(LOOKUP_LIMIT, resolve).await;
    engine.handle(clock.now(), Event::Resolved(answers));
    let mut backend = Backend::open(model.globals.ipvs_backend, &model.globals.statedir);
    let mut seen = TableOutcome::default();
    match backend.look_where(|_| true).await {
        Ok(look) => {
            seen.table = TableLook::Read(Arc::new(look.table));
            seen.connections = Arc::new(look.connections);
        }
        Err(error) => seen.table = TableLook::Unreadable(error.refusal.to_string()),
    }
    let mut answer = table::table(&engine, &seen, Source::File);
    answer.sync = sync_without_daemon(&model.globals, &mut backend).await;
    answer
}

/// What runs; what is wanted depends on the role, which nobody knows without a daemon.
async fn sync_without_daemon(globals: &Globals, backend: &mut Backend) -> Option<SyncRow> {
    let is_wanted = globals.pair.sync.is_some();
    let (running, trouble) = match backend.sync_daemons().await {
        Ok(running) => (running, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let wanted = if is_wanted {
        "as the role says"
    } else {
        "none"
    };
    (is_wanted || !running.is_empty()).then(|| SyncRow {
        wanted: wanted.to_owned(),
        running: trouble
            .is_none()
            .then(|| running.iter().map(ToString::to_string).collect()),
        trouble,
    })
}
