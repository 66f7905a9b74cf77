//! What an author of a monitor or alert usually gets wrong, found in what a trial showed.
//!
//! No effects: the program has run, this only judges.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cli::trial::probe::Probe;
use crate::engine::event::{Ended, Report};
use crate::engine::verdict;
use crate::time::Readable;

#[cfg(test)]
mod tests;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// The daemon or its operator will suffer from it.
    Problem,
    /// It may hurt some day.
    Warning,
    /// Worth knowing.
    Hint,
}

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Remark {
    pub(super) level: Level,
    /// A constant word for scripts.
    pub(super) code: &'static str,
    /// What is so.
    pub(super) text: String,
    /// What follows from it, or what to do.
    pub(super) advice: &'static str,
}

impl Remark {
    pub(super) fn new(
        level: Level,
        code: &'static str,
        text: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            level,
            code,
            text: text.into(),
            advice,
        }
    }
}

/// What one run showed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) ended: Ended,
    pub(super) output: Vec<u8>,
    pub(super) took: Duration,
    pub(super) summary: String,
    pub(super) detail: String,
    /// Hosts that the daemon takes as down.
    pub(super) named: Vec<String>,
}

/// All that is known about a monitor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    pub(super) runs: &'a [Seen],
    pub(super) probe: Option<&'a Probe>,
    /// The hosts it was given.
    pub(super) group: &'a [String],
    pub(super) limit: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) all_hosts_on_failure: bool,
    /// The program; none for a built-in.
    pub(super) path: Option<&'a Path>,
    /// It is a service of a configuration, not words of a command line.
    pub(super) is_configured: bool,
}

/// Longest summary that a subject line or a pager shows.
const SUMMARY_LONG: usize = 200;

/// A run beyond this share of the limit or the interval will pass it on a bad day.
const NEAR: f64 = 0.8;

/// Everything worth saying, the worst first.
pub(super) fn monitor(told: &Told<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !told.is_configured {
        hosts_as_written(told.group, &mut remarks);
    }
    for (number, run) in told.runs.iter().enumerate() {
        let mut found = Vec::new();
        end(run, &mut found);
        if told.path.is_some() {
            output(run, &mut found);
            names(run, told, &mut found);
        }
        duration(run, told, &mut found);
        // What every run shows is said once.
        for remark in found {
            let is_known = |known: &Remark| known.code == remark.code;
            if number == 0 || !remarks.iter().any(is_known) {
                remarks.push(remark);
            }
        }
    }
    between(told.runs, &mut remarks);
    if let (Some(probe), Some(run)) = (told.probe, told.runs.last()) {
        streams(probe, run, &mut remarks);
    }
    remarks.sort_by_key(|remark| remark.level);
    remarks
}

/// Hosts as they never come from a hostgroup.
fn hosts_as_written(group: &[String], remarks: &mut Vec<Remark>) {
    let odd = |host: &&String| {
        host.contains([',', '*']) || host.contains(char::is_whitespace) || host.is_empty()
    };
    if let Some(host) = group.iter().find(odd) {
        remarks.push(Remark::new(
            Level::Warning,
            "host_syntax",
            format!("\"{host}\" is one host here"),
            "the daemon gives each host of a group as an argument of its own: separate them by blanks; \
             a * before a host means in mon.cf that it is disabled",
        ));
    }
}

fn end(run: &Seen, remarks: &mut Vec<Remark>) {
    match &run.ended {
        Ended::Exited(_) => {}
        Ended::Signalled(signal) => remarks.push(Remark::new(
            Level::Problem,
            "signal",
            format!("it was killed by signal {signal}"),
            "that is a failure, and the state of no host is known",
        )),
        Ended::TimedOut(limit) => remarks.push(Remark::new(
            Level::Problem,
            "limit",
            format!(
                "it was still running after {} and was killed",
                Readable(*limit)
            ),
            "that is a failure, and the state of no host is known; give each host a limit of its \
             own, below the interval",
        )),
        Ended::NotStarted(why) => remarks.push(Remark::new(
            Level::Problem,
            "not_started",
            why.clone(),
            "each run of it is a failure, and the state of no host is known",
        )),
    }
}

fn output(run: &Seen, remarks: &mut Vec<Remark>) {
    let Ended::Exited(exit) = run.ended else {
        return;
    };
    if run.output.len() >= Report::OUTPUT_MAX {
        remarks.push(Remark::new(
            Level::Warning,
            "output_cut",
            format!(
                "its output is longer than {} bytes and was cut",
                Report::OUTPUT_MAX
            ),
            "print what the reader of an alert needs",
        ));
    }
    if std::str::from_utf8(&run.output).is_err() {
        remarks.push(Remark::new(
            Level::Warning,
            "not_utf8",
            "its output is not UTF-8",
            "wrong bytes are replaced in mail, variables and listings",
        ));
    }
    let first = run.output.split(|&byte| byte == b'\n').next();
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\r".contains(byte);
    if first.is_some_and(|line| line.iter().any(is_control)) {
        remarks.push(Remark::new(
            Level::Warning,
            "control_characters",
            "there are control characters in the summary",
            "colours and the like have no place in a subject line",
        ));
    }
    if exit == 0 {
        return;
    }
    if run.output.iter().all(u8::is_ascii_whitespace) {
        remarks.push(Remark::new(
            Level::Problem,
            "no_output",
            "it failed without a word",
            "alerts say (NO SUMMARY), and no host is judged: print the failing hosts on one line",
        ));
    } else if first.is_some_and(|line| line.iter().all(u8::is_ascii_whitespace)) {
        remarks.push(Remark::new(
            Level::Problem,
            "blank_summary",
            "its first line is blank",
            "the first line is the summary: alerts say (NO SUMMARY), and no host is judged",
        ));
    } else if run.summary.len() > SUMMARY_LONG {
        remarks.push(Remark::new(
            Level::Hint,
            "long_summary",
            format!("the summary has {} bytes", run.summary.len()),
            "it is the subject of mails: keep it to the names of the hosts, the rest belongs below",
        ));
    }
}

/// Which hosts the summary names.
fn names(run: &Seen, told: &Told<'_>, remarks: &mut Vec<Remark>) {
    let Ended::Exited(exit) = run.ended else {
        return;
    };
    let words = verdict::words(&run.summary);
    let is_member = |word: &&&str| told.group.iter().any(|host| host == **word);
    let named: Vec<&&str> = words.iter().filter(is_member).collect();
    if exit == 0 {
        if let Some(host) = named.first() {
            remarks.push(Remark::new(
                Level::Warning,
                "exit_0_names_host",
                format!("it names {host} in its first line and ends with exit value 0"),
                "exit value 0 says that all hosts are good, whatever is printed; in a shell script \
                 the status of the last command is that of the script",
            ));
        }
        return;
    }
    let is_blank = run.output.iter().all(u8::is_ascii_whitespace) || words.is_empty();
    if told.group.is_empty() || is_blank || told.all_hosts_on_failure && named.is_empty() {
        return;
    }
    if named.is_empty() {
        remarks.push(no_host_named(run, told));
        return;
    }
    let strangers: Vec<&str> = words
        .iter()
        .filter(|word| !is_member(word) && looks_like_host(word, told.group))
        .copied()
        .collect();
    if !strangers.is_empty() {
        // In a list of hosts it is one; in a sentence it may be a reason.
        let is_list = strangers.len() + named.len() == words.len();
        remarks.push(Remark::new(
            if is_list {
                Level::Problem
            } else {
                Level::Warning
            },
            "unknown_host",
            format!(
                "the summary names {}, which is not in the group",
                strangers.join(", ")
            ),
            "only hosts as they came in the arguments are judged; this one counts as nothing",
        ));
    }
    let mut sorted = named.clone();
    sorted.sort();
    if sorted != named {
        remarks.push(Remark::new(
            Level::Hint,
            "not_sorted",
            "the hosts in the summary are not sorted",
            "the same failure should always read the same, else alertevery takes it for a new one",
        ));
    }
}

fn no_host_named(run: &Seen, told: &Told<'_>) -> Remark {
    let lower = |text: &str| text.to_ascii_lowercase();
    let words = verdict::words(&run.summary);
    let near = told.group.iter().find_map(|host| {
        let short = lower(host.split('.').next().unwrap_or(host));
        let is_near = |word: &&&str| {
            let word = lower(word);
            let word_short = word.split('.').next().unwrap_or(&word);
            word == lower(host) || (word_short == short && short.parse::<u8>().is_err())
        };
        words.iter().find(is_near).map(|word| (*word, host))
    });
    let in_detail = told.group.iter().find(|host| {
        let words = verdict::words(&run.detail);
        words
            .iter()
            .any(|word| word.trim_end_matches(':') == host.as_str())
    });
    let text = match (near, in_detail) {
        (Some((word, host)), _) => {
            format!("the summary names no host of the group; it says {word}, the group says {host}")
        }
        (None, Some(host)) => {
            format!("the summary names no host of the group; {host} stands in the detail only")
        }
        (None, None) => "the summary names no host of the group".to_owned(),
    };
    Remark::new(
        Level::Problem,
        "no_host_named",
        text,
        "the service fails, but no host is judged and the table stays as it is: print the failing \
         hosts, as they came in the arguments, on the first line (or set all_hosts_on_failure)",
    )
}

/// Whether a word could be meant as a host: an address, or a name built like those of the group.
fn looks_like_host(word: &str, group: &[String]) -> bool {
    if word.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !word.chars().all(is_plain) {
        return false;
    }
    let shape = |text: &str| -> String {
        let shape = text.chars().filter(|c| !c.is_ascii_digit());
        shape.collect()
    };
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    group
        .iter()
        .any(|host| shape(host) == shape(word) && (has_digit(host) == has_digit(word)))
        || (word.matches('.').count() >= 2 && has_letter(word))
}

fn has_letter(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_alphabetic())
}

fn duration(run: &Seen, told: &Told<'_>, remarks: &mut Vec<Remark>) {
    let share = |of: Duration| run.took.as_secs_f64() / of.as_secs_f64().max(0.001);
    if matches!(run.ended, Ended::TimedOut(_)) {
        return;
    }
    if let Some(interval) = told.interval.filter(|&interval| share(interval) > NEAR) {
        let (level, advice) = if run.took > interval {
            (
                Level::Problem,
                "a run that takes longer than the interval makes the next one wait",
            )
        } else {
            (
                Level::Warning,
                "on a bad day a run will meet the next one, which then waits",
            )
        };
        let text = format!(
            "it took {} of an interval of {}",
            Readable(run.took),
            Readable(interval)
        );
        remarks.push(Remark::new(level, "slow", text, advice));
    } else if let Some(limit) = told.limit.filter(|&limit| share(limit) > NEAR) {
        let text = format!(
            "it took {} of a limit of {}",
            Readable(run.took),
            Readable(limit)
        );
        remarks.push(Remark::new(
            Level::Warning,
            "slow",
            text,
            "beyond the limit it is killed, which is a failure without a verdict on any host",
        ));
    }
}

/// What differs from run to run.
fn between(runs: &[Seen], remarks: &mut Vec<Remark>) {
    for pair in runs.windows(2) {
        let [one, two] = pair else { continue };
        let (Ended::Exited(first), Ended::Exited(second)) = (&one.ended, &two.ended) else {
            continue;
        };
        let is_failure = *first != 0 && *second != 0;
        if (*first == 0) != (*second == 0) || (is_failure && one.named != two.named) {
            remarks.push(Remark::new(
                Level::Warning,
                "results_differ",
                "two runs, one after the other, came to different results",
                "either something changed meanwhile, or the check depends on chance",
            ));
            return;
        }
        if one.summary != two.summary {
            let text = format!(
                "the summary changes from run to run: \"{}\", then \"{}\"",
                cut(&one.summary),
                cut(&two.summary)
            );
            let level = if is_failure {
                Level::Problem
            } else {
                Level::Hint
            };
            remarks.push(Remark::new(
                level,
                "summary_changes",
                text,
                "a new summary is a new failure: alertevery is passed over and each run alerts; \
                 keep times and counters to the detail",
            ));
            return;
        }
    }
}

/// The beginning of a summary.
fn cut(text: &str) -> &str {
    crate::text::cut(text, 80)
}

/// What the run with streams apart showed.
fn streams(probe: &Probe, run: &Seen, remarks: &mut Vec<Remark>) {
    let first_error = probe.errors.lines().find(|line| !line.trim().is_empty());
    match first_error {
        Some(line) if run.summary.trim() == line.trim() => remarks.push(Remark::new(
            Level::Problem,
            "stderr_in_summary",
            format!("the summary is a line of standard error: {}", cut(line)),
            "both streams are one for the daemon, and what comes first is the summary; send \
             complaints behind the summary, or to a file",
        )),
        Some(line) if matches!(run.ended, Ended::Exited(_)) => remarks.push(Remark::new(
            Level::Hint,
            "stderr",
            format!("it writes to standard error: {}", cut(line)),
            "the daemon joins both streams in the order of writing; in a bad hour this comes first \
             and is the summary",
        )),
        Some(_) | None => {}
    }
    if probe.reads_input {
        remarks.push(Remark::new(
            Level::Warning,
            "reads_input",
            "it reads standard input",
            "that is empty in the daemon; ssh and others inside of loops need </dev/null or -n",
        ));
    }
    if probe.leaves_children {
        remarks.push(Remark::new(
            Level::Warning,
            "leaves_children",
            "it leaves processes behind when it ends",
            "the daemon does not wait for them and does not end them, so they can become many",
        ));
    }
}
