//! Checking the hosts of a group at the same time, and the words all reports begin with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock::Stopwatch;
use crate::engine::event::{Ended, HostName, HostResult, HostVerdict, Report};
use crate::lvs::GivenWeight;
use crate::monitor::Tools;
use crate::monitor::dial::Trouble;

/// Hosts of one check at once, so that one big dead group leaves places to the others.
const HOSTS_AT_ONCE: usize = 200;

/// What one host's check found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) verdict: HostVerdict,
    /// One line for a person.
    pub(crate) text: String,
    /// What was heard, for the detail of the output.
    pub(crate) heard: Vec<u8>,
    /// The weight that it gives the host.
    pub(crate) weight: Option<GivenWeight>,
    /// The exit value that this host alone would give.
    pub(crate) exit: i32,
}

impl Finding {
    pub(crate) fn up(text: impl Into<String>, heard: Vec<u8>) -> Self {
        Self {
            verdict: HostVerdict::Up,
            text: text.into(),
            heard,
            weight: None,
            exit: 0,
        }
    }

    pub(crate) fn failed(trouble: Trouble, heard: Vec<u8>) -> Self {
        Self {
            verdict: trouble.verdict,
            text: trouble.text,
            heard,
            weight: None,
            exit: 1,
        }
    }
}

/// A host with what was found.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) host: HostName,
    pub(crate) finding: Finding,
    pub(crate) took: Duration,
}

impl Checked {
    pub(crate) fn is_up(&self) -> bool {
        self.finding.verdict == HostVerdict::Up
    }

    fn result(&self) -> HostResult {
        HostResult {
            host: self.host.clone(),
            verdict: self.finding.verdict,
            text: self.finding.text.clone(),
            weight: self.finding.weight,
            took: self.took,
        }
    }
}

/// Runs `check` for each host over connections, and returns them in the order of `hosts`; each is
/// told as soon as it is over.
///
/// All at the same time as far as [`HOSTS_AT_ONCE`] and the connections of the process allow. A
/// host's time begins when its turn comes: these limits delay a check, they do not fail it.
/// Dropping the future ends all.
pub(crate) async fn each<F, C>(hosts: &[HostName], tools: &Tools, check: F) -> Vec<Checked>
where
    F: Fn(HostName) -> C,
    C: Future<Output = Finding> + Send + 'static,
{
    each_in(hosts, HOSTS_AT_ONCE, tools.places(), |host| {
        let tools = tools.clone();
        let checking = check(host.clone());
        async move {
            let finding = checking.await;
            tools.checked(&host, finding.verdict);
            finding
        }
    })
    .await
}

/// The same with other places: `at_once` for this group, `everywhere` for all of the process.
pub(crate) async fn each_in<F, C>(
    hosts: &[HostName],
    at_once: usize,
    everywhere: &Arc<Semaphore>,
    check: F,
) -> Vec<Checked>
where
    F: Fn(HostName) -> C,
    C: Future<Output = Finding> + Send + 'static,
{
    let here = Arc::new(Semaphore::new(at_once));
    each_at_once(hosts, |host| {
        let check = check(host);
        let (here, everywhere) = (Arc::clone(&here), Arc::clone(everywhere));
        async move {
            // Both fail only when closed, which nobody does.
            let _here = here.acquire().await;
            let _everywhere = everywhere.acquire().await;
            let watch = Stopwatch::start();
            (check.await, watch.elapsed())
        }
    })
    .await
}

/// The same for checks that open nothing: no limit.
pub(crate) async fn each_unlimited<F, C>(hosts: &[HostName], check: F) -> Vec<Checked>
where
    F: Fn(HostName) -> C,
    C: Future<Output = Finding> + Send + 'static,
{
    each_at_once(hosts, |host| {
        let check = check(host);
        async move {
            let watch = Stopwatch::start();
            (check.await, watch.elapsed())
        }
    })
    .await
}

async fn each_at_once<F, C>(hosts: &[HostName], check: F) -> Vec<Checked>
where
    F: Fn(HostName) -> C,
    C: Future<Output = (Finding, Duration)> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (at, host) in hosts.iter().enumerate() {
        let check = check(host.clone());
        running.spawn(async move { (at, check.await) });
    }
    let mut found: Vec<Option<(Finding, Duration)>> = hosts.iter().map(|_| None).collect();
    while let Some(ended) = running.join_next().await {
        // A check that panicked leaves its place empty.
        if let Ok((at, finding)) = ended
            && let Some(place) = found.get_mut(at)
        {
            *place = Some(finding);
        }
    }
    hosts
        .iter()
        .zip(found)
        .map(|(host, found)| {
            let (finding, took) = found.unwrap_or_else(|| {
                let trouble = Trouble::unknown("the check itself failed; please report this");
                (Finding::failed(trouble, Vec::new()), Duration::ZERO)
            });
            Checked {
                host: host.clone(),
                finding,
                took,
            }
        })
        .collect()
}

/// Hosts among the arguments, then those of the hostgroup, each once.
pub(crate) fn hosts(arguments: &[String], group: &[HostName]) -> Vec<HostName> {
    let mut seen = BTreeSet::new();
    arguments
        .iter()
        .map(|host| HostName::new(host))
        .chain(group.iter().cloned())
        .filter(|host| seen.insert(host.clone()))
        .collect()
}

/// The summary: names sorted, joined by one blank.
pub(crate) fn summary<'c>(hosts: impl Iterator<Item = &'c Checked>) -> String {
    let mut names: Vec<&str> = hosts.map(|checked| checked.host.as_str()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// Puts a report together.
pub(crate) fn report(checked: &[Checked], exit: i32, output: Output, took: Duration) -> Report {
    Report {
        ended: Ended::Exited(exit),
        output: output.finish(),
        hosts: checked.iter().map(Checked::result).collect(),
        took,
    }
}

/// An output under construction, cut at its bound.
#[derive(Debug, Default)]
pub(crate) struct Output(Vec<u8>);

impl Output {
    const NOTE: &str = "\n(lvsmon: the output was longer and is cut here)\n";

    /// Adds a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'\n');
    }

    /// Adds a line of what a program said.
    pub(crate) fn text(&mut self, text: &str) {
        self.heard(text.as_bytes());
        self.0.push(b'\n');
    }

    /// Adds what a host sent, made fit for a terminal, a mail and an environment variable.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().map(|byte| match byte {
            b'\n' | b'\r' | b'\t' | b' '..=b'~' | 128.. => *byte,
            _ => b'?',
        }));
    }

    fn finish(mut self) -> Vec<u8> {
        if self.0.len() > Report::OUTPUT_MAX {
            self.0.truncate(Report::OUTPUT_MAX - Self::NOTE.len());
            self.0.extend_from_slice(Self::NOTE.as_bytes());
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_line_come_first_and_none_comes_twice() {
        let group = [HostName::new("b"), HostName::new("a")];
        let all = hosts(&["c".to_owned(), "a".to_owned()], &group);
        let names: Vec<&str> = all.iter().map(HostName::as_str).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }

    #[test]
    fn a_check_that_panics_leaves_its_host_unknown_and_the_others_alone() {
        let hosts = ["a", "b", "c"].map(HostName::new);
        let checks = each_unlimited(&hosts, |host| async move {
            assert_ne!(host.as_str(), "b", "a defect");
            Finding::up("fine", Vec::new())
        });
        let checked = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(checks);
        let verdicts: Vec<HostVerdict> = checked.iter().map(|one| one.finding.verdict).collect();
        let unknown = HostVerdict::Unknown(crate::engine::event::Reason::Limit);
        assert_eq!(verdicts, [HostVerdict::Up, unknown, HostVerdict::Up]);
        assert!(checked[1].finding.text.contains("please report"));
    }

    #[test]
    fn a_long_output_is_cut_and_says_so() {
        let mut output = Output::default();
        output.heard(&vec![7; Report::OUTPUT_MAX + 1]);
        let bytes = output.finish();
        assert_eq!(bytes.len(), Report::OUTPUT_MAX);
        assert!(bytes.starts_with(b"???"));
        assert!(bytes.ends_with(Output::NOTE.as_bytes()));
    }
}
