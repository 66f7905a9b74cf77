//! Tests: monitors. Checks against real listeners on loopback, programs as shell scripts, the
//! same built-ins alone and through their stand-ins.

mod agent;
mod exec;
mod fping;
mod ftp;
mod http;
mod misc;
mod parallel;
pub(crate) mod peer;
mod plugin;
mod programs;
mod tcp;
mod tls;

use std::time::Duration;

use lvsmon::engine::event::{Ended, HostVerdict, Report};
use lvsmon::model::HostName;
use lvsmon::monitor::{self, Tools};
use lvsmon::names::{Names, Sources};
use lvsmon::options::MonitorOptions;

use crate::support::TempDir;

/// What every check here must end within, however the other side behaves: far beyond any `-t`
/// used, far below for ever.
const SOON: Duration = Duration::from_secs(20);

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            tokio::time::timeout(SOON * 3, future)
                .await
                .expect("the check ends by itself")
        })
}

fn options(name: &str, args: &[&str]) -> MonitorOptions {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    MonitorOptions::parse(name, &args)
        .expect("a built-in of that name")
        .expect("good options")
}

/// Tools with the names of a hosts file and without a name server.
fn tools(folder: &TempDir) -> Tools {
    let hosts = folder.write(
        "hosts",
        "127.0.0.1 here v4.test\n::1 v6.test\n::1 both.test\n127.0.0.1 both.test\n\
         127.0.0.2 two.test\n127.0.0.1 two.test\n",
    );
    Tools::new(Names::with(Sources {
        hosts,
        resolver: folder.join("no-resolv.conf"),
        servers: Vec::new(),
    }))
}

/// Runs a built-in as the daemon does.
fn check(name: &str, args: &[&str], hosts: &[&str]) -> Report {
    let folder = TempDir::new();
    let options = options(name, args);
    let hosts: Vec<HostName> = hosts.iter().map(|host| HostName::new(host)).collect();
    let tools = tools(&folder);
    run(async move { monitor::check(&options, &hosts, &tools).await })
}

fn exit(report: &Report) -> i32 {
    match report.ended {
        Ended::Exited(exit) => exit,
        Ended::Signalled(_) | Ended::TimedOut(_) | Ended::NotStarted(_) => panic!("{report:?}"),
    }
}

fn text(report: &Report) -> String {
    String::from_utf8_lossy(&report.output).into_owned()
}

fn summary(report: &Report) -> String {
    text(report).lines().next().unwrap_or_default().to_owned()
}

/// The verdict on the only host, and the line about it.
#[track_caller]
fn only(report: &Report) -> (HostVerdict, &str) {
    assert_eq!(report.hosts.len(), 1, "{report:?}");
    let host = &report.hosts[0];
    assert_eq!(
        exit(report) == 0,
        host.verdict == HostVerdict::Up,
        "the exit value says what the host's verdict says: {report:?}"
    );
    (host.verdict, &host.text)
}
