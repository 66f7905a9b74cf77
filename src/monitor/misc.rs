//! The built-in `misc`: programs of keepalived's `MISC_CHECK`, one process for each host.
//!
//! Exit value 0 is good. Without `-d` every other one is a failure of the host; with it
//! (`misc_dynamic`) only 1 is, and 2 to 255 are good with weight 0 to 253. A program that is
//! still running at `-t` is a failure too, as in keepalived; one that dies of a signal or cannot
//! be started says nothing about the host.
//!
//! Bounded as `plugin`: so many at once for one line and for the process, a limit for each, and
//! [`TEXT_MAX`] bytes of each output.

use crate::clock::Stopwatch;
use crate::engine::event::{Ended, Executable, HostName, HostVerdict, Reason, Report};
use crate::lvs::GivenWeight;
use crate::monitor::Tools;
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::options::misc::{Beyond, MiscOptions};
use crate::time::Readable;

/// Output kept of one program, in bytes: a screen or two, so that many hosts fit into one report.
const TEXT_MAX: usize = 4_096;

/// What keepalived takes off an exit value that is a weight.
const WEIGHT_OFFSET: u16 = 2;

/// The largest exit value that a program can have.
const EXIT_MAX: i32 = 255;

pub(super) async fn check(options: &MiscOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let hosts = group::hosts(&options.hosts, hosts);
    let checked = group::each_in(&hosts, options.at_once, tools.plugins(), |host| {
        probe(host, options.clone(), tools.clone())
    })
    .await;
    let bad: Vec<&Checked> = checked.iter().filter(|one| !one.is_up()).collect();
    let mut output = Output::default();
    if !checked.is_empty() {
        output.line(&group::summary(bad.iter().copied()));
        output.line("");
        checked.iter().for_each(|one| write(one, &mut output));
    }
    let exit = i32::from(!bad.is_empty());
    group::report(&checked, exit, output, watch.elapsed())
}

async fn probe(host: HostName, options: MiscOptions, tools: Tools) -> Finding {
    let program = Executable {
        path: options.program.clone(),
        args: options.arguments(host.as_str()),
        environment: options.environment.clone(),
        limit: options.timeout,
    };
    let report = tools.run_program(&program).await;
    let mut heard = report.output;
    heard.truncate(TEXT_MAX);
    let (verdict, weight, text) = outcome(&report.ended, options.beyond);
    Finding {
        verdict,
        text,
        heard,
        weight,
        exit: i32::from(verdict != HostVerdict::Up),
    }
}

/// What the end of a program means.
fn outcome(ended: &Ended, beyond: Beyond) -> (HostVerdict, Option<GivenWeight>, String) {
    let down = |reason| (HostVerdict::Down(reason), None);
    let unknown = |reason| (HostVerdict::Unknown(reason), None);
    let mut text = ended.to_string();
    let (verdict, weight) = match (ended, beyond) {
        (Ended::Exited(0), _) => (HostVerdict::Up, None),
        (Ended::Exited(exit @ 2..=EXIT_MAX), Beyond::IsWeight) => {
            let exit = u16::try_from(*exit).unwrap_or(WEIGHT_OFFSET);
            let weight = GivenWeight::Absolute(exit.saturating_sub(WEIGHT_OFFSET));
            (HostVerdict::Up, Some(weight))
        }
        (Ended::Exited(_), _) => down(Reason::Exit),
        (Ended::TimedOut(limit), _) => {
            text = format!("no result within {}, killed", Readable(*limit));
            down(Reason::Timeout)
        }
        (Ended::Signalled(_), _) => unknown(Reason::Signal),
        (Ended::NotStarted(_), _) => unknown(Reason::Exit),
    };
    (verdict, weight, text)
}

/// One line of a host, and what its program said.
fn write(checked: &Checked, output: &mut Output) {
    let Finding {
        text,
        weight,
        heard,
        ..
    } = &checked.finding;
    match weight {
        Some(weight) => output.text(&format!("{} {text}: weight {weight}", checked.host)),
        None => output.text(&format!("{} {text}", checked.host)),
    }
    for line in String::from_utf8_lossy(heard).lines() {
        output.text(&format!("    {line}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn exit_values_mean_what_keepalived_takes_them_for() {
        use HostVerdict::{Down, Unknown, Up};
        let weight = |weight| Some(GivenWeight::Absolute(weight));
        for (ended, plain, dynamic) in [
            (Ended::Exited(0), (Up, None), (Up, None)),
            (
                Ended::Exited(1),
                (Down(Reason::Exit), None),
                (Down(Reason::Exit), None),
            ),
            (
                Ended::Exited(2),
                (Down(Reason::Exit), None),
                (Up, weight(0)),
            ),
            (
                Ended::Exited(255),
                (Down(Reason::Exit), None),
                (Up, weight(253)),
            ),
            (
                Ended::TimedOut(Duration::from_secs(1)),
                (Down(Reason::Timeout), None),
                (Down(Reason::Timeout), None),
            ),
            (
                Ended::Signalled(9),
                (Unknown(Reason::Signal), None),
                (Unknown(Reason::Signal), None),
            ),
            (
                Ended::NotStarted("x".to_owned()),
                (Unknown(Reason::Exit), None),
                (Unknown(Reason::Exit), None),
            ),
        ] {
            let of = |beyond| {
                let (verdict, weight, _) = outcome(&ended, beyond);
                (verdict, weight)
            };
            assert_eq!(of(Beyond::Fails), plain, "{ended:?}");
            assert_eq!(of(Beyond::IsWeight), dynamic, "{ended:?} with -d");
        }
    }
}
