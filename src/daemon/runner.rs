//! Starts runs and says how they ended. How many go on at once is the engine's business.
//!
//! One task for each run in flight, none for a service at rest. A task that panics is a
//! failed run, never a dead daemon. Dropping a run's future ends it: an executable is killed
//! with its process group ([`monitor::exec::run`]).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::engine::event::{Ended, Report, Run, RunId, RunProgram};
use crate::monitor;

/// The runs in flight.
#[derive(Debug)]
pub(super) struct Runner {
    runs: JoinSet<(RunId, Report)>,
    handles: BTreeMap<RunId, AbortHandle>,
    tools: monitor::Tools,
}

impl Runner {
    pub(super) fn new(tools: monitor::Tools) -> Self {
        // Now, while its file has not been replaced by an upgrade.
        let _ = crate::program::own_path();
        Self {
            runs: JoinSet::new(),
            handles: BTreeMap::new(),
            tools,
        }
    }

    /// Starts a run; it goes on until it ends or is stopped.
    pub(super) fn start(&mut self, run: Run) {
        let id = run.id;
        tracing::debug!(
            run = id.0,
            service = run.service.0,
            hosts = run.hosts.len(),
            "run started"
        );
        let future = execute(run, self.tools.clone());
        let handle = self.runs.spawn(async move { (id, future.await) });
        self.handles.insert(id, handle);
    }

    /// Ends a run that the engine has forgotten; it is not reported.
    pub(super) fn stop(&mut self, id: RunId) {
        if let Some(handle) = self.handles.remove(&id) {
            handle.abort();
        }
    }

    /// The next run that ended; never ends while none is in flight. Cancel safe.
    pub(super) async fn ended(&mut self) -> (RunId, Report) {
        loop {
            match self.runs.join_next().await {
                None => std::future::pending().await,
                Some(Ok((id, report))) => {
                    // A run stopped at the moment of its end has no handle any more.
                    if self.handles.remove(&id).is_some() {
                        return (id, report);
                    }
                }
                Some(Err(error)) => {
                    if let Some(ended) = self.broken(error) {
                        return ended;
                    }
                }
            }
        }
    }

    /// Ends all runs and waits until their processes are gone, at most `limit`.
    pub(super) async fn close(mut self, limit: Duration) {
        if tokio::time::timeout(limit, self.runs.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(?limit, "runs did not end in time");
        }
    }

    /// A task that panicked; none for one that was stopped.
    fn broken(&mut self, error: JoinError) -> Option<(RunId, Report)> {
        let task = error.id();
        let id = *self.handles.iter().find(|(_, run)| run.id() == task)?.0;
        self.handles.remove(&id);
        tracing::error!(run = id.0, %error, "run broke; this is a defect of lvsmon, please report it");
        let report = Report {
            ended: Ended::NotStarted(format!("the check broke inside lvsmon: {error}")),
            output: Vec::new(),
            hosts: Vec::new(),
            took: Duration::ZERO,
        };
        Some((id, report))
    }
}

async fn execute(run: Run, tools: monitor::Tools) -> Report {
    match run.program {
        RunProgram::Native(options) => monitor::check(&options, &run.hosts, &tools).await,
        RunProgram::Executable(program) => monitor::exec::run(&program).await,
    }
}
