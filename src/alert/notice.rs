//! What a message says about one event: everything a mail or a webhook needs, fit to be kept.
//!
//! Made once from an alert call, written to the spool, read back after a restart. It holds
//! text only and no settings, so that it stays readable whatever the configuration becomes.

use serde::{Deserialize, Serialize};

use crate::engine::event::{AlertCall, AlertKind, HostVerdict, Report, Status};
use crate::engine::state::NO_SUMMARY;
use crate::model::HostName;
use crate::text::cut;
use crate::time::Wall;

/// One event, as it is told to people and to programs of other makers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The stable id of the event.
    pub event: String,
    /// Why it is sent.
    pub kind: AlertKind,
    /// The watch.
    pub group: String,
    /// The service.
    pub service: String,
    /// The label of the period; empty for an alert made by hand.
    pub period: String,
    /// Free text of the service.
    pub description: Option<String>,
    /// The enabled members.
    pub hosts: Vec<String>,
    /// When it was noticed.
    pub time: Wall,
    /// First line of the monitor's output, or `-S`.
    pub summary: String,
    /// The other lines, at most [`Notice::DETAIL_MAX`] bytes.
    pub detail: String,
    /// Status of the service.
    pub status: Status,
    /// Exit value of the monitor; none for acknowledgements and disables.
    pub exit: Option<i32>,
    /// When the outage began.
    pub first_failure: Option<Wall>,
    /// What the report said about single hosts, at most [`Notice::RESULTS_MAX`].
    pub results: Vec<HostLine>,
    /// Seconds until the next alert, where the caller said so (`-l`; mon never does).
    pub next_alert: Option<String>,
    /// Earlier messages to the same receiver that were left out because the outbox was full.
    pub left_out: u32,
}

/// What a report said about one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLine {
    /// The host.
    pub host: String,
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// The reason code (D34); none for `up`.
    pub reason: Option<String>,
    /// One line for a person.
    pub text: String,
}

impl Notice {
    /// Detail kept: as much as a report keeps of a run.
    pub const DETAIL_MAX: usize = Report::OUTPUT_MAX;
    /// Host results kept: more than a person reads, small in the spool.
    pub const RESULTS_MAX: usize = 500;

    /// What an alert call tells. `subject` (`-S`) stands in place of the summary.
    #[must_use]
    pub fn new(call: &AlertCall, subject: Option<&str>) -> Self {
        let variable = |name: &str| {
            let found = call.environment.iter().rev().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        Self {
            event: call.event.clone(),
            kind: call.kind,
            group: call.group.to_string(),
            service: call.name.to_string(),
            period: call.period.to_string(),
            description: variable("MON_DESCRIPTION"),
            hosts: call.hosts.split_whitespace().map(str::to_owned).collect(),
            time: call.time,
            summary: subject.unwrap_or(&call.summary).to_owned(),
            detail: detail_of(&call.input),
            status: call.status,
            exit: call.exit,
            first_failure: call.first_failure,
            results: host_lines(&call.results),
            next_alert: None,
            left_out: 0,
        }
    }

    /// `group/service`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.group, self.service)
    }
}

/// The first line of an alert's standard input.
#[must_use]
pub(crate) fn summary_of(input: &[u8]) -> String {
    let line = input.split(|&byte| byte == b'\n').next().unwrap_or(input);
    let line = String::from_utf8_lossy(line).trim().to_owned();
    if line.is_empty() {
        NO_SUMMARY.to_owned()
    } else {
        line
    }
}

/// What follows the first line, cut to [`Notice::DETAIL_MAX`] bytes.
#[must_use]
pub(crate) fn detail_of(input: &[u8]) -> String {
    let rest = match input.iter().position(|&byte| byte == b'\n') {
        Some(end) => input.get(end + 1..).unwrap_or_default(),
        None => &[],
    };
    let text = String::from_utf8_lossy(rest);
    let kept = cut(&text, Notice::DETAIL_MAX);
    if kept.len() == text.len() {
        kept.to_owned()
    } else {
        format!("{kept}\n[cut: {} bytes more]\n", text.len() - kept.len())
    }
}

/// Failing hosts first when there are too many for all.
fn host_lines(results: &[(HostName, HostVerdict, String)]) -> Vec<HostLine> {
    let line = |(host, verdict, text): &(HostName, HostVerdict, String)| {
        let (verdict, reason) = match verdict {
            HostVerdict::Up => ("up", None),
            HostVerdict::Down(reason) => ("down", Some(reason.code().to_owned())),
            HostVerdict::Unknown(reason) => ("unknown", Some(reason.code().to_owned())),
        };
        HostLine {
            host: host.to_string(),
            verdict: verdict.to_owned(),
            reason,
            text: cut(text, 300).to_owned(),
        }
    };
    if results.len() <= Notice::RESULTS_MAX {
        return results.iter().map(line).collect();
    }
    let is_up = |result: &&(HostName, HostVerdict, String)| matches!(result.1, HostVerdict::Up);
    let bad = results.iter().filter(|result| !is_up(result));
    bad.chain(results.iter().filter(is_up))
        .take(Notice::RESULTS_MAX)
        .map(line)
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::event::{AlertId, Reason};
    use crate::model::{AlertCommand, AlertProgram, ServiceId};

    /// A failure of `farm/http`, for the tests of this folder and of the outbox.
    pub(crate) fn call() -> AlertCall {
        AlertCall {
            id: AlertId(7),
            record: "service farm/http".into(),
            event: "farm/http/1795215956/failure/1".to_owned(),
            service: Some(ServiceId(0)),
            kind: AlertKind::Failure,
            command: Arc::new(AlertCommand {
                exit: None,
                name: "mail.alert".into(),
                args: vec!["root".to_owned()],
                written: "root".into(),
                program: AlertProgram::Missing("a test".to_owned()),
            }),
            group: "farm".into(),
            name: "http".into(),
            period: "always".into(),
            hosts: "web1 web2".to_owned(),
            time: Wall::from_seconds(1_795_215_956),
            summary: "web1".to_owned(),
            input: b"web1\n\nHOST web1: refused\n".as_slice().into(),
            environment: [("MON_DESCRIPTION".to_owned(), "the farm".to_owned())].into(),
            results: vec![
                (
                    HostName::new("web1"),
                    HostVerdict::Down(Reason::Refused),
                    "connection refused by 10.0.0.7:80".to_owned(),
                ),
                (HostName::new("web2"), HostVerdict::Up, String::new()),
            ],
            status: Status::Fail,
            exit: Some(1),
            first_failure: Some(Wall::from_seconds(1_795_215_956)),
        }
    }

    /// What [`call`] tells.
    pub(crate) fn notice() -> Notice {
        Notice::new(&call(), None)
    }

    #[test]
    fn detail_is_the_input_without_its_first_line() {
        assert_eq!(detail_of(b"one\ntwo\n"), "two\n");
        assert_eq!(detail_of(b"one"), "");
        assert_eq!(detail_of(b""), "");
        assert_eq!(detail_of(b"one\n\xff\n"), "\u{fffd}\n");
        let long = detail_of(format!("s\n{}", "é".repeat(100_000)).as_bytes());
        assert!(
            long.ends_with("[cut: 80000 bytes more]\n"),
            "{}",
            &long[119_990..]
        );
    }

    #[test]
    fn a_blank_first_line_is_no_summary() {
        assert_eq!(summary_of(b"  \nx"), "(NO SUMMARY)");
        assert_eq!(summary_of(b"web1 web2\r\nx"), "web1 web2");
    }

    #[test]
    fn of_too_many_hosts_the_failing_ones_are_kept() {
        let mut call = call();
        call.results = (0..2000)
            .map(|number| {
                let verdict = if number % 10 == 9 {
                    HostVerdict::Down(Reason::Timeout)
                } else {
                    HostVerdict::Up
                };
                (HostName::new(&format!("h{number}")), verdict, String::new())
            })
            .collect();
        let lines = Notice::new(&call, None).results;
        assert_eq!(lines.len(), Notice::RESULTS_MAX);
        let down = lines.iter().take_while(|line| line.verdict == "down");
        assert_eq!(down.count(), 200);
    }

    #[test]
    fn it_survives_being_written_and_read() {
        let text = serde_json::to_string(&notice()).unwrap();
        assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice());
    }
}
