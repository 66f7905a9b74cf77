//! The built-in `tcp`: a connection is taken, nothing is sent.
//!
//! Output as that of mon 1.3.6's tcp.monitor: nothing on success; on failure the
//! summary, an empty line, and one line for each failing host.

use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{HostName, HostVerdict, Reason, Report};
use crate::monitor::Tools;
use crate::monitor::dial::{Trouble, connect};
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::options::tcp::TcpOptions;

pub(super) async fn check(options: &TcpOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let hosts = group::hosts(&options.hosts, hosts);
    let checked = group::each(&hosts, tools, |host| {
        probe(host, options.clone(), tools.clone())
    })
    .await;
    let failed: Vec<&Checked> = checked.iter().filter(|one| !one.is_up()).collect();
    let mut output = Output::default();
    if !failed.is_empty() {
        output.line(&group::summary(failed.iter().copied()));
        output.line("");
        for one in &failed {
            output.line(&line(one));
        }
    }
    let exit = i32::from(!failed.is_empty());
    group::report(&checked, exit, output, watch.elapsed())
}

async fn probe(host: HostName, options: TcpOptions, tools: Tools) -> Finding {
    let connecting = connect(host.as_str(), options.port, options.timeout, tools.names());
    match timeout(options.timeout, connecting).await {
        Ok(Ok((_, peer))) => Finding::up(format!("{peer} takes connections"), Vec::new()),
        Ok(Err(trouble)) => Finding::failed(trouble, Vec::new()),
        Err(_) => {
            let text = format!("no answer on port {}", options.port);
            Finding::failed(Trouble::down(Reason::Timeout, text), Vec::new())
        }
    }
}

fn line(checked: &Checked) -> String {
    let (host, text) = (&checked.host, &checked.finding.text);
    match checked.finding.verdict {
        HostVerdict::Down(Reason::Timeout) => format!("{host} timeout"),
        HostVerdict::Down(Reason::Dns) => format!("{host} could not be resolved: {text}"),
        HostVerdict::Up | HostVerdict::Down(_) | HostVerdict::Unknown(_) => {
            format!("{host} could not connect: {text}")
        }
    }
}
