//! Starts runs and says how they ended. How many go on at once is the engine's business.
//!
//! One task for each run in flight, none for a service at rest. Every run ends: checks and
//! programs by limits of their own, and where a defect of ours keeps one from it, at a limit of
//! the runner. That and a task that panics are failed runs that say nothing of any server, never a
//! dead daemon or a service that runs for ever. Dropping a run's future ends it: an executable is
//! killed with its process group ([`monitor::exec::run`]).

mod anew;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::daemon::runner::anew::Anew;
use crate::engine::event::{Ended, Event, Report, Resolved, Run, RunId, RunProgram, Tell};
use crate::monitor;
use crate::program::Children;
use crate::protocol::{Process, Processes};
use crate::time::Readable;

/// What a run may take beyond its own limits: names, places among the connections of all checks,
/// programs that clean up. Only a defect of ours takes longer, so it need not be exact.
const SLACK: Duration = Duration::from_secs(600);

/// A run that ended.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) run: RunId,
    pub(super) report: Report,
    /// Where names lead that it looked up itself, as far as it failed: to be told before.
    pub(super) answers: Vec<Resolved>,
}

/// The runs in flight.
#[derive(Debug)]
pub(super) struct Runner {
    runs: JoinSet<Over>,
    going: BTreeMap<RunId, Flight>,
    tools: monitor::Tools,
    /// Where it is told that the check of a host is over while its run goes on.
    events: mpsc::Sender<Event>,
}

/// A run in flight.
#[derive(Debug)]
struct Flight {
    handle: AbortHandle,
    place: Place,
    watch: Stopwatch,
    /// What it may take where nothing is wrong.
    limit: Duration,
}

/// Where a run goes on.
#[derive(Debug, Default)]
struct Place {
    children: Children,
    /// A check of our own: in this process where it has no child.
    is_native: bool,
}

impl Processes for Runner {
    fn of(&self, run: RunId) -> Process {
        let Some(going) = self.going.get(&run) else {
            return Process::None;
        };
        match going.place.children.oldest() {
            Some(child) => Process::Child(child),
            None if going.place.is_native => Process::Daemon,
            None => Process::None,
        }
    }
}

impl Runner {
    pub(super) fn new(tools: monitor::Tools, events: mpsc::Sender<Event>) -> Self {
        // Now, while its file has not been replaced by an upgrade.
        let _ = crate::program::own_path();
        Self {
            runs: JoinSet::new(),
            going: BTreeMap::new(),
            tools,
            events,
        }
    }

    /// Starts a run as soon as its `way` is clear; it goes on until it ends or is stopped.
    pub(super) fn start(&mut self, run: Run, way: impl Future<Output = ()> + Send + 'static) {
        let id = run.id;
        tracing::debug!(
            run = id.0,
            purpose = run.purpose.word(),
            service = run.service.0,
            hosts = run.hosts.len(),
            "run started"
        );
        let limit = last_limit(&run);
        let is_native = match run.program {
            RunProgram::Native(_) => true,
            RunProgram::Executable(_) => false,
        };
        let place = Place {
            children: Children::default(),
            is_native,
        };
        let tools = self.tools.of_run(place.children.clone());
        let tools = match run.tell {
            Tell::AtItsEnd => tools,
            Tell::EachHost => tools.telling(id, self.events.clone()),
        };
        let (anew, names) = (Anew::of(&run), tools.names().clone());
        let run = monitor::execute(run, tools);
        self.spawn(id, limit, place, async move {
            way.await;
            let report = run.await;
            let answers = Box::pin(anew.look_up(&names, &report)).await;
            (report, answers)
        });
    }

    fn spawn(
        &mut self,
        id: RunId,
        limit: Duration,
        place: Place,
        run: impl Future<Output = (Report, Vec<Resolved>)> + Send + 'static,
    ) {
        let handle = self.runs.spawn(async move {
            let watch = Stopwatch::start();
            let (report, answers) = match timeout(limit, run).await {
                Ok(ended) => ended,
                Err(_) => {
                    let why = format!("it did not end within {} s", limit.as_secs());
                    tracing::error!(
                        run = id.0,
                        why,
                        "run broke; this is a defect of lvsmon, please report it"
                    );
                    (defect(&why, watch.elapsed()), Vec::new())
                }
            };
            Over {
                run: id,
                report,
                answers,
            }
        });
        let flight = Flight {
            handle,
            place,
            watch: Stopwatch::start(),
            limit: limit.saturating_sub(SLACK),
        };
        self.going.insert(id, flight);
    }

    /// Ends a run that the engine has forgotten; it is not reported.
    pub(super) fn stop(&mut self, id: RunId) {
        if let Some(going) = self.going.remove(&id) {
            going.handle.abort();
        }
    }

    /// How many runs are in flight.
    pub(super) fn count(&self) -> u64 {
        self.going.len() as u64
    }

    /// How many go on for more than `slack` beyond their limit, and by how much the one that is
    /// worst; none where none does.
    pub(super) fn overdue(&self, slack: Duration) -> Option<(u64, Duration)> {
        let over = |flight: &Flight| flight.watch.elapsed().checked_sub(flight.limit);
        let over = self
            .going
            .values()
            .filter_map(over)
            .filter(|over| *over > slack);
        let worst = over.clone().max()?;
        Some((over.count() as u64, worst))
    }

    /// The next run that ended; never ends while none is in flight. Cancel safe.
    pub(super) async fn ended(&mut self) -> Over {
        loop {
            match self.runs.join_next().await {
                None => std::future::pending().await,
                Some(Ok(over)) => {
                    // A run stopped at the moment of its end is not known any more.
                    if self.going.remove(&over.run).is_some() {
                        return over;
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
            let limit = Readable(limit);
            tracing::warn!(%limit, "runs did not end in time");
        }
    }

    /// A task that panicked; none for one that was stopped.
    fn broken(&mut self, error: JoinError) -> Option<Over> {
        let task = error.id();
        let is_it = |flight: &Flight| flight.handle.id() == task;
        let id = *self.going.iter().find(|(_, going)| is_it(going))?.0;
        self.going.remove(&id);
        tracing::error!(run = id.0, %error, "run broke; this is a defect of lvsmon, please report it");
        Some(Over {
            run: id,
            report: defect(&error.to_string(), Duration::ZERO),
            answers: Vec::new(),
        })
    }
}

/// A failed run that says nothing of any server.
fn defect(why: &str, took: Duration) -> Report {
    Report {
        ended: Ended::NotStarted(format!("the check broke inside lvsmon: {why}")),
        output: Vec::new(),
        hosts: Vec::new(),
        took,
    }
}

/// How long a run may take if nothing is wrong with us: its own limit, for a check of ours as if
/// its hosts had to wait for each other, and [`SLACK`].
fn last_limit(run: &Run) -> Duration {
    let own = match &run.program {
        RunProgram::Executable(program) => program.limit,
        RunProgram::Native(options) => {
            let hosts = u32::try_from(run.names().len()).unwrap_or(u32::MAX);
            options.limit().saturating_mul(hosts)
        }
    };
    own.saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Purpose;
    use crate::names::Names;
    use crate::options::MonitorOptions;

    const SOON: Duration = Duration::from_secs(20);

    fn good() -> (Report, Vec<Resolved>) {
        let report = Report {
            ended: Ended::Exited(0),
            output: Vec::new(),
            hosts: Vec::new(),
            took: Duration::ZERO,
        };
        (report, Vec::new())
    }

    /// Does something with a runner, in time.
    fn with_runner<T>(test: impl AsyncFnOnce(&mut Runner) -> T) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut runner =
                    Runner::new(monitor::Tools::new(Names::default()), mpsc::channel(1).0);
                timeout(SOON, test(&mut runner)).await.unwrap()
            })
    }

    #[track_caller]
    fn assert_defect(report: &Report, words: &str) {
        let Ended::NotStarted(why) = &report.ended else {
            panic!("{report:?}");
        };
        assert!(why.contains("broke inside lvsmon"), "{why}");
        assert!(why.contains(words), "{why}");
        assert_ne!(report.ended.exit(), 0);
    }

    #[test]
    fn a_run_that_panics_is_a_failed_run_with_a_reason_and_others_go_on() {
        let ends = with_runner(async |runner| {
            runner.spawn(RunId(1), SOON, Place::default(), async {
                panic!("index 7 of 3")
            });
            runner.spawn(RunId(2), SOON, Place::default(), async { good() });
            [runner.ended().await, runner.ended().await]
        });
        for over in ends {
            match over.run {
                RunId(1) => assert_defect(&over.report, "index 7 of 3"),
                _ => assert_eq!(over.report.ended, Ended::Exited(0)),
            }
        }
    }

    #[test]
    fn a_run_that_never_ends_is_a_failed_run_with_a_reason() {
        let Over { run, report, .. } = with_runner(async |runner| {
            let limit = Duration::from_millis(100);
            runner.spawn(RunId(1), limit, Place::default(), std::future::pending());
            runner.ended().await
        });
        assert_eq!(run, RunId(1));
        assert_defect(&report, "did not end");
        assert!(report.took >= Duration::from_millis(100));
    }

    #[test]
    fn runs_beyond_their_limit_are_counted_with_the_worst() {
        let slack = Duration::from_millis(1);
        with_runner(async |runner| {
            // The second is within its limit for long.
            let limits = [(1, SLACK), (2, SLACK + SOON), (3, SLACK)];
            for (id, limit) in limits {
                runner.spawn(RunId(id), limit, Place::default(), std::future::pending());
            }
            assert_eq!(runner.overdue(SOON), None);
            while runner.overdue(slack).is_none_or(|(count, _)| count < 2) {
                tokio::task::yield_now().await;
            }
            let (count, worst) = runner.overdue(slack).unwrap();
            assert!(
                count == 2 && worst > slack && worst < SOON,
                "{count} {worst:?}"
            );
            runner.stop(RunId(1));
            runner.stop(RunId(3));
            assert_eq!(runner.overdue(slack), None);
        });
    }

    #[test]
    fn a_run_that_was_stopped_is_not_reported_however_it_ends() {
        let Over { run, .. } = with_runner(async |runner| {
            runner.spawn(RunId(1), SOON, Place::default(), async {
                panic!("too late")
            });
            runner.spawn(RunId(2), SOON, Place::default(), std::future::pending());
            runner.spawn(RunId(3), SOON, Place::default(), async { good() });
            runner.stop(RunId(2));
            tokio::task::yield_now().await;
            runner.stop(RunId(1));
            runner.ended().await
        });
        assert_eq!(run, RunId(3));
    }

    #[test]
    fn the_last_limit_is_beyond_every_limit_of_the_run_itself() {
        let args = ["-t", "30", "a", "b"].map(str::to_owned);
        let run = Run {
            id: RunId(1),
            purpose: Purpose::Slot,
            service: crate::model::ServiceId(0),
            let_go: Vec::new(),
            program: RunProgram::Native(
                MonitorOptions::parse(
                    "tcp.monitor",
                    &[&["-p".to_owned(), "1".to_owned()], &args[..]].concat(),
                )
                .unwrap()
                .unwrap(),
            ),
            user: None,
            hosts: vec![crate::model::HostName::new("c")],
            tell: Tell::AtItsEnd,
            leads: BTreeMap::new(),
        };
        assert_eq!(last_limit(&run), Duration::from_secs(90) + SLACK);
    }
}
