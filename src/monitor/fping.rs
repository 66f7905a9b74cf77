//! The built-in `fping`: echo requests to all hosts, with retries that wait longer and longer.
//!
//! Options, verdicts and output as those of mon 1.3.6's fping.monitor; a name that
//! does not resolve is unreachable and stands in the summary (M-2), no shell is involved (M-3).
//! Of several addresses of a name each try asks the next one. How an echo request is sent is in
//! `ping`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::{Clock, Stopwatch};
use crate::engine::event::{Ended, Executable, HostName, HostVerdict, Reason, Report};
use crate::monitor::Tools;
use crate::monitor::dial::{Trouble, addresses};
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::monitor::ping::NoAnswer;
use crate::options::fping::FpingOptions;
use crate::time::Wall;

/// `-T`: traceroutes at once, and the time of each; a dead network must not hold up the report
/// for the minutes that 30 silent hops would take.
const TRACES_AT_ONCE: usize = 8;
/// See [`TRACES_AT_ONCE`].
const TRACE_LIMIT: Duration = Duration::from_secs(20);

/// Hosts that are traced; the rest of a big outage looks the same.
const TRACES_MAX: usize = 16;

/// What is said of a host that answers in time; a slow one is told apart by another text, as its
/// verdict depends on `-a`.
const ANSWERS: &str = "answers";

pub(super) async fn check(options: &FpingOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let clock = Clock::start();
    let begin = clock.now().wall;
    let hosts = group::hosts(&options.hosts, hosts);
    // One socket serves all, so no place among the connections is taken.
    let checked =
        group::each_unlimited(&hosts, |host| probe(host, options.clone(), tools.clone())).await;
    let outcome = Outcome::of(&checked, options);
    let mut output = Output::default();
    if !checked.is_empty() {
        outcome.write(&mut output, options, begin, clock.now().wall);
        if options.trace {
            trace(&mut output, &outcome.unreachable, tools).await;
        }
    }
    group::report(
        &checked,
        outcome.exit(options, checked.len()),
        output,
        watch.elapsed(),
    )
}

async fn probe(host: HostName, options: FpingOptions, tools: Tools) -> Finding {
    let failed = |trouble| Finding::failed(trouble, Vec::new());
    let addresses = match addresses(host.as_str(), tools.names()).await {
        Ok(addresses) => addresses,
        Err(trouble) => return failed(trouble),
    };
    let mut last = NoAnswer::Silence;
    for (number, address) in (0..=options.retries).zip(addresses.iter().cycle()) {
        let watch = Stopwatch::start();
        let wait = options.wait(number);
        match tools.pinger().ping(*address, wait).await {
            Ok(trip) => return answered(trip, &options),
            Err(NoAnswer::CannotAsk(why)) => return failed(Trouble::unknown(why)),
            Err(NoAnswer::Silence) => {}
            Err(unreachable) => {
                last = unreachable;
                if number < options.retries {
                    // The network may come back before the next try.
                    sleep(wait.saturating_sub(watch.elapsed())).await;
                }
            }
        }
    }
    failed(match last {
        NoAnswer::Unreachable(why) => Trouble::down(Reason::Unreachable, why),
        NoAnswer::Silence | NoAnswer::CannotAsk(_) => {
            let tries = options.retries + 1;
            Trouble::down(
                Reason::Timeout,
                format!("no answer to {tries} echo requests"),
            )
        }
    })
}

/// The round trip goes into `heard` as text, for the list of reachable hosts.
fn answered(trip: Duration, options: &FpingOptions) -> Finding {
    let heard = format!("{:.2} ms", milliseconds(trip)).into_bytes();
    match options.slow.filter(|slow| trip > *slow) {
        Some(slow) => {
            let text = format!("answers slower than {} ms", milliseconds(slow));
            let trouble = if options.any_will_do {
                // Listed, but no failure (M-4).
                Trouble {
                    verdict: HostVerdict::Up,
                    text,
                }
            } else {
                Trouble::down(Reason::Timeout, text)
            };
            Finding::failed(trouble, heard)
        }
        None => Finding::up(ANSWERS, heard),
    }
}

fn milliseconds(span: Duration) -> f64 {
    // Exact up to 104 days.
    span.as_nanos() as f64 / 1e6
}

/// The hosts by what became of them, in the order of the arguments.
struct Outcome<'c> {
    unreachable: Vec<&'c Checked>,
    slow: Vec<&'c Checked>,
    reachable: Vec<&'c Checked>,
}

impl<'c> Outcome<'c> {
    fn of(checked: &'c [Checked], options: &FpingOptions) -> Self {
        let mut outcome = Self {
            unreachable: Vec::new(),
            slow: Vec::new(),
            reachable: Vec::new(),
        };
        for one in checked {
            if one.finding.heard.is_empty() {
                outcome.unreachable.push(one);
            } else if one.is_up() && !is_slow(one, options) {
                outcome.reachable.push(one);
            } else {
                outcome.slow.push(one);
            }
        }
        outcome
    }

    fn exit(&self, options: &FpingOptions, count: usize) -> i32 {
        let fails = if options.any_will_do {
            count > 0 && self.unreachable.len() == count
        } else {
            !self.unreachable.is_empty() || !self.slow.is_empty()
        };
        i32::from(fails)
    }

    fn write(&self, output: &mut Output, options: &FpingOptions, begin: Wall, end: Wall) {
        let named = self.unreachable.iter().chain(&self.slow).copied();
        let summary = group::summary(named);
        if !summary.is_empty() {
            output.line(&summary);
        }
        output.line("");
        output.line(&format!("start time: {}", date(begin)));
        output.line(&format!("end time  : {}", date(end)));
        let seconds = end.seconds().saturating_sub(begin.seconds());
        output.line(&format!("duration  : {seconds} seconds"));
        output.line("");
        if !self.unreachable.is_empty() {
            self.write_unreachable(output);
        }
        if !self.slow.is_empty() {
            let limit = milliseconds(options.slow.unwrap_or_default());
            heading(
                output,
                &format!("slow hosts (response time which exceeds {limit}ms)"),
            );
            list(output, &self.slow);
            output.line("");
        }
        if !self.reachable.is_empty() {
            heading(output, &format!("{:<40} rtt", "reachable hosts"));
            list(output, &self.reachable);
            output.line("");
        }
    }

    fn write_unreachable(&self, output: &mut Output) {
        heading(output, "unreachable hosts");
        for one in &self.unreachable {
            output.line(one.host.as_str());
        }
        output.line("");
        let unknown = one_line(&self.unreachable, HostVerdict::Down(Reason::Dns));
        if !unknown.is_empty() {
            output.line(&format!("address not found for {unknown}"));
        }
        output.line("");
        for one in &self.unreachable {
            output.line(&format!("{} : {}", one.host, one.finding.text));
        }
        output.line("");
    }
}

fn is_slow(one: &Checked, options: &FpingOptions) -> bool {
    options.slow.is_some() && one.finding.text != ANSWERS
}

fn one_line(hosts: &[&Checked], verdict: HostVerdict) -> String {
    let names: Vec<&str> = hosts
        .iter()
        .filter(|one| one.finding.verdict == verdict)
        .map(|one| one.host.as_str())
        .collect();
    names.join(" ")
}

fn heading(output: &mut Output, title: &str) {
    let rule = "-".repeat(78);
    output.line(&rule);
    output.line(title);
    output.line(&rule);
}

fn list(output: &mut Output, hosts: &[&Checked]) {
    for one in hosts {
        let trip = String::from_utf8_lossy(&one.finding.heard);
        output.line(&format!("{:<40} {trip}", one.host.as_str()));
    }
}

/// `Sat Nov 21 01:58:18 2026`, local time.
fn date(moment: Wall) -> String {
    Timestamp::from_second(moment.seconds())
        .map(|stamp| {
            stamp
                .to_zoned(TimeZone::system())
                .strftime("%a %b %e %H:%M:%S %Y")
                .to_string()
        })
        .unwrap_or_default()
}

async fn trace(output: &mut Output, hosts: &[&Checked], tools: &Tools) {
    let places = Arc::new(Semaphore::new(TRACES_AT_ONCE));
    let mut running = JoinSet::new();
    // A word such as "-x" would be an option of traceroute.
    let names = hosts
        .iter()
        .map(|one| one.host.as_str())
        .filter(|host| !host.starts_with('-'));
    for (at, host) in names.take(TRACES_MAX).enumerate() {
        let program = Executable {
            path: PathBuf::from("traceroute"),
            args: vec!["-w".to_owned(), "3".to_owned(), host.to_owned()],
            environment: Vec::new(),
            limit: TRACE_LIMIT,
        };
        let places = Arc::clone(&places);
        let tools = tools.clone();
        running.spawn(async move {
            // Fails only when closed, which nobody does.
            let _place = places.acquire().await;
            (at, tools.run_program(&program).await)
        });
    }
    let mut traces = running.join_all().await;
    traces.sort_by_key(|(at, _)| *at);
    output.line("");
    for (_, trace) in traces {
        output.heard(&trace.output);
        if let Ended::NotStarted(why) = trace.ended {
            output.line(&why);
        }
        output.line("");
    }
}
