//! How hosts are checked: built-in checks and executables, options in, a report out.
//!
//! | Question | File |
//! |---|---|
//! | what does each built-in find and print | `agent`, `fping`, `ftp`, `http`, `misc`, `plugin`, `tcp` |
//! | how is a program run | [`exec`] |
//! | how are many hosts checked at once | `group` |
//! | how is a host reached, what does an error mean | `dial`, `tls`, `ping` |
//! | how does a built-in stand alone | `standalone` |
//!
//! A check knows neither services nor periods. It ends by its own options (D22); each host has
//! one total deadline that covers look-up, connection and all reading.

mod agent;
pub(crate) mod dial;
pub mod exec;
mod fping;
mod ftp;
pub(crate) mod group;
mod http;
mod misc;
mod ping;
mod plugin;
mod standalone;
mod tcp;
mod tls;

use std::collections::BTreeMap;

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::engine::event::{
    Event, Executable, HostName, HostVerdict, MonitorUser, Report, Run, RunId, RunProgram,
};
use crate::lead::Lead;

use crate::monitor::ping::Pinger;
use crate::monitor::tls::TlsSettings;
use crate::names::Names;
use crate::options::MonitorOptions;
use crate::program::Children;

pub use standalone::standalone;

/// Connections of all checks at once: below the usual limit of 1024 open files, which children,
/// mail and the control socket share.
const CONNECTIONS_MAX: usize = 600;

/// What all checks of a process share: resolver, ping sockets, TLS settings; and where a run's own
/// processes are listed, and as whom they run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tools {
    shared: Arc<Shared>,
    names: Names,
    children: Children,
    user: Option<Arc<MonitorUser>>,
    listener: Option<Listener>,
}

/// Who is told of each host as soon as its check is over, and of which run.
#[derive(Clone, Debug)]
struct Listener {
    run: RunId,
    events: mpsc::Sender<Event>,
}

#[derive(Debug)]
struct Shared {
    pinger: Pinger,
    tls: TlsSettings,
    places: Arc<Semaphore>,
    plugins: Arc<Semaphore>,
}

impl Tools {
    /// Opens nothing yet; sockets and files are opened by the first check that needs them.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            shared: Arc::new(Shared {
                pinger: Pinger::new(),
                tls: TlsSettings::default(),
                places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
                plugins: Arc::new(Semaphore::new(plugin::PLUGINS_MAX)),
            }),
            children: Children::default(),
            user: None,
            listener: None,
        }
    }

    /// The same tools for one run, whose processes are listed there.
    #[must_use]
    pub fn of_run(&self, children: Children) -> Self {
        Self {
            children,
            ..self.clone()
        }
    }

    /// The same tools for a run that tells of each host as soon as its check is over.
    #[must_use]
    pub fn telling(self, run: RunId, events: mpsc::Sender<Event>) -> Self {
        let listener = Some(Listener { run, events });
        Self { listener, ..self }
    }

    /// The same tools, which go to these addresses of names.
    fn led(self, leads: BTreeMap<HostName, Lead>) -> Self {
        if leads.is_empty() {
            return self;
        }
        let leads = leads.into_iter();
        let leads = leads.map(|(host, lead)| (host.as_str().into(), lead));
        let names = self.names.led(leads.collect());
        Self { names, ..self }
    }

    /// The same tools, for programs that run as that user.
    fn serving(self, user: Option<Arc<MonitorUser>>) -> Self {
        Self { user, ..self }
    }

    /// Runs a program that checks, as whom the run says.
    async fn run_program(&self, program: &Executable) -> Report {
        exec::run(program, self.user.as_deref(), &self.children).await
    }

    /// The check of one host is over. What finds no room is told at the end of the run.
    fn checked(&self, host: &HostName, verdict: HostVerdict) {
        if let Some(Listener { run, events }) = &self.listener {
            let (run, host) = (*run, host.clone());
            let _ = events.try_send(Event::HostChecked { run, host, verdict });
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    fn pinger(&self) -> &Pinger {
        &self.shared.pinger
    }

    fn tls(&self) -> &TlsSettings {
        &self.shared.tls
    }

    fn places(&self) -> &Arc<Semaphore> {
        &self.shared.places
    }

    fn plugins(&self) -> &Arc<Semaphore> {
        &self.shared.plugins
    }
}

/// Runs what the engine asks for, as the daemon and `lvsmon try` do.
///
/// Dropping the future ends everything it began.
pub async fn execute(run: Run, tools: Tools) -> Report {
    let tools = tools.serving(run.user);
    match run.program {
        RunProgram::Native(options) => {
            let tools = tools.led(run.leads);
            check(&options, &run.hosts, &tools).await
        }
        // Boxed, as in `check`: all runs would be of its size.
        RunProgram::Executable(program) => Box::pin(tools.run_program(&program)).await,
    }
}

/// Checks all hosts at the same time: those among the options, then `hosts`. With none at all
/// the report is an empty success.
///
/// Dropping the future ends everything it began.
pub async fn check(options: &MonitorOptions, hosts: &[HostName], tools: &Tools) -> Report {
    // Boxed one by one: a check in flight then costs its own size, not that of the largest.
    match options {
        MonitorOptions::Agent(options) => Box::pin(agent::check(options, hosts, tools)).await,
        MonitorOptions::Fping(options) => Box::pin(fping::check(options, hosts, tools)).await,
        MonitorOptions::Ftp(options) => Box::pin(ftp::check(options, hosts, tools)).await,
        MonitorOptions::Http(options) => Box::pin(http::check(options, hosts, tools)).await,
        MonitorOptions::Misc(options) => Box::pin(misc::check(options, hosts, tools)).await,
        MonitorOptions::Plugin(options) => Box::pin(plugin::check(options, hosts, tools)).await,
        MonitorOptions::Tcp(options) => Box::pin(tcp::check(options, hosts, tools)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceId;
    use std::path::PathBuf;
    use std::time::Duration;

    /// What the memory of a run that waits may be, before and beside what it opens. A start that
    /// falls behind has as many of them at once as `maxchecks` allows, and the allocator keeps
    /// what they took.
    const RUN_MAX: usize = 2_000;

    #[test]
    fn a_run_in_flight_is_small_whatever_it_runs() {
        let args = ["-p", "80"].map(str::to_owned);
        let options = MonitorOptions::parse("tcp.monitor", &args).unwrap();
        let programs = [
            RunProgram::Native(options.unwrap()),
            RunProgram::Executable(Executable {
                path: PathBuf::from("x.monitor"),
                args: Vec::new(),
                environment: Vec::new(),
                limit: Duration::from_secs(1),
            }),
        ];
        let tools = Tools::new(Names::system());
        for program in programs {
            if let RunProgram::Executable(program) = &program {
                let size = size_of_val(&tools.run_program(program));
                assert!(size < 2 * RUN_MAX, "{size} bytes for a program");
            }
            let run = Run {
                id: RunId(1),
                purpose: crate::engine::event::Purpose::Slot,
                service: ServiceId(0),
                let_go: Vec::new(),
                program,
                user: None,
                hosts: Vec::new(),
                tell: crate::engine::event::Tell::AtItsEnd,
                leads: BTreeMap::new(),
            };
            let size = size_of_val(&execute(run, tools.clone()));
            assert!(size < RUN_MAX, "{size} bytes for a run");
        }
    }
}
