//! What a report says about each host, and about the service as a whole (D9).
//!
//! Pure. A native check says it itself; of an executable the first line of its output is
//! read, by the conventions of docs/mon.md, "Runs". What follows from a verdict is
//! decided in [`crate::engine::binding`].

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::{Ended, HostResult, HostVerdict, Reason, Report};
use crate::model::HostName;

/// The verdict on each checked member, case of names as given.
///
/// Exit 0: all up. Another exit value with at least one member named in the summary: these
/// are down, the others up. A failure that names none, a signal, a time limit, or a run that
/// did not start: unknown, or all down where `all_hosts_on_failure` is set. A native check's
/// own results come first; a member it left out is unknown.
pub(crate) fn hosts(
    report: &Report,
    members: &[HostName],
    all_hosts_on_failure: bool,
) -> BTreeMap<HostName, HostVerdict> {
    if !report.hosts.is_empty() {
        return native(report, members);
    }
    let all = |verdict| members.iter().map(|host| (host.clone(), verdict)).collect();
    let unclear = match report.ended {
        Ended::Exited(0) => return all(HostVerdict::Up),
        Ended::Exited(_) => {
            let named = named(&report.output, members);
            if !named.is_empty() {
                let verdict = |host: &HostName| {
                    if named.contains(host) {
                        HostVerdict::Down(Reason::Exit)
                    } else {
                        HostVerdict::Up
                    }
                };
                return members
                    .iter()
                    .map(|host| (host.clone(), verdict(host)))
                    .collect();
            }
            Reason::NoHostNamed
        }
        Ended::Signalled(_) => Reason::Signal,
        Ended::TimedOut(_) => Reason::Limit,
        Ended::NotStarted(_) => Reason::Exit,
    };
    if all_hosts_on_failure {
        all(HostVerdict::Down(service_reason(report)))
    } else {
        all(HostVerdict::Unknown(unclear))
    }
}

/// Why the service as a whole fails; meaningless for a success.
///
/// Of several reasons of a native check the first in file order counts.
pub(crate) fn service_reason(report: &Report) -> Reason {
    let mut down = report.hosts.iter().filter_map(|host| match host.verdict {
        HostVerdict::Down(reason) => Some(reason),
        HostVerdict::Up | HostVerdict::Unknown(_) => None,
    });
    down.next().unwrap_or(match report.ended {
        Ended::Exited(_) | Ended::NotStarted(_) => Reason::Exit,
        Ended::Signalled(_) => Reason::Signal,
        Ended::TimedOut(_) => Reason::Limit,
    })
}

/// Whether a failing report says nothing about any server: the run never started, or a native
/// check could not look at a single host (no file descriptor, no right to ping).
///
/// (D9) lets the service's verdict alone count where `-R` is given; this is no verdict on
/// anything but the director itself.
pub(crate) fn is_blind(report: &Report) -> bool {
    let is_unknown = |host: &HostResult| matches!(host.verdict, HostVerdict::Unknown(_));
    match report.ended {
        Ended::NotStarted(_) => true,
        Ended::Exited(_) => !report.hosts.is_empty() && report.hosts.iter().all(is_unknown),
        Ended::Signalled(_) | Ended::TimedOut(_) => false,
    }
}

fn native(report: &Report, members: &[HostName]) -> BTreeMap<HostName, HostVerdict> {
    let found: BTreeMap<&HostName, HostVerdict> = report
        .hosts
        .iter()
        .map(|result| (&result.host, result.verdict))
        .collect();
    let verdict = |host| {
        let left_out = HostVerdict::Unknown(Reason::NoHostNamed);
        found.get(host).copied().unwrap_or(left_out)
    };
    members
        .iter()
        .map(|host| (host.clone(), verdict(host)))
        .collect()
}

/// The members that the summary, the first line, names as whole words.
pub(crate) fn named<'a>(output: &[u8], members: &'a [HostName]) -> BTreeSet<&'a HostName> {
    let first = output.split(|&byte| byte == b'\n').next().unwrap_or(output);
    let summary = String::from_utf8_lossy(first);
    let mut words: BTreeSet<&str> = BTreeSet::new();
    for word in words_outside_parentheses(&summary) {
        // Uncut first: a member may be an IPv6 address or a URL with a port of its own.
        let bare = word.split('(').next().unwrap_or(word);
        words.extend([word, bare, without_port(bare)]);
    }
    members
        .iter()
        .filter(|member| words.contains(member.as_str()))
        .collect()
}

/// The words of a summary as hosts are sought in them: without `(...)` and port.
pub(crate) fn words(summary: &str) -> Vec<&str> {
    let words = words_outside_parentheses(summary).into_iter();
    words
        .map(|word| without_port(word.split('(').next().unwrap_or(word)))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Splits at blanks and commas, but not inside `(...)`: some monitors put a time or a reason
/// with blanks there. One that is never closed (a cut line) reaches to the end.
fn words_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let separator = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (letter.is_whitespace() || letter == ',')
    };
    text.split(separator).collect()
}

/// Cuts `:389`, and the colon of `host: reason`; `[2001:db8::7]:389` loses its brackets too.
fn without_port(word: &str) -> &str {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, behind)) if behind.strip_prefix(':').is_none_or(is_port) => inside,
        Some(_) => word,
        None => match word.split_once(':') {
            Some((host, port)) if is_port(port) => host,
            Some(_) | None => word,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::event::HostResult;

    fn members(text: &str) -> Vec<HostName> {
        text.split(' ').map(HostName::new).collect()
    }

    fn report(ended: Ended, output: &str) -> Report {
        Report {
            ended,
            output: output.as_bytes().to_vec(),
            hosts: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// The hosts that are down, up and unknown, each joined by blanks.
    fn sorted(verdicts: &BTreeMap<HostName, HostVerdict>) -> [String; 3] {
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for (host, verdict) in verdicts {
            let list = match verdict {
                HostVerdict::Down(_) => 0,
                HostVerdict::Up => 1,
                HostVerdict::Unknown(_) => 2,
            };
            lists[list].push(host.to_string());
        }
        lists.map(|list| list.join(" "))
    }

    #[test]
    fn a_failing_executable_is_read_word_by_word() {
        let cases = [
            ("h1 h3", "h1 h3", "h2"),
            ("h1,h2", "h1 h2", "h3"),
            ("h1(3.2) h2(expires soon)\ndetail about h3", "h1 h2", "h3"),
            ("h1(can't reach h2) ", "h1", "h2 h3"),
            ("h2:389", "h2", "h1 h3"),
            ("h3: connection refused", "h3", "h1 h2"),
            ("timeout from h2 (after h1", "h2", "h1 h3"),
            ("\t h2\r", "h2", "h1 h3"),
        ];
        for (output, down, up) in cases {
            let verdicts = hosts(
                &report(Ended::Exited(2), output),
                &members("h1 h2 h3"),
                false,
            );
            assert_eq!(sorted(&verdicts), [down, up, ""], "{output}");
        }
    }

    #[test]
    fn parts_of_words_and_other_spellings_name_nobody() {
        for output in [
            "h11 xh1 h1.example",
            "H1",
            "h1:http",
            "h1@proxy",
            "",
            "\nh1",
        ] {
            let verdicts = hosts(&report(Ended::Exited(1), output), &members("h1 h2"), false);
            assert_eq!(sorted(&verdicts), ["", "", "h1 h2"], "{output}");
            assert_eq!(
                verdicts[&HostName::new("h1")],
                HostVerdict::Unknown(Reason::NoHostNamed)
            );
        }
    }

    #[test]
    fn addresses_and_urls_are_members_like_others() {
        let group = members("2001:db8::7 2001:db8::8 http://w/a(1) 10.0.0.7");
        let output = "[2001:db8::7]:389 http://w/a(1) 10.0.0.7:80";
        let verdicts = hosts(&report(Ended::Exited(1), output), &group, false);
        assert_eq!(
            sorted(&verdicts),
            ["10.0.0.7 2001:db8::7 http://w/a(1)", "2001:db8::8", ""]
        );
        let verdicts = hosts(&report(Ended::Exited(1), "2001:db8::8"), &group, false);
        assert_eq!(sorted(&verdicts)[0], "2001:db8::8");
    }

    #[test]
    fn success_is_success_of_all_whatever_is_printed() {
        let verdicts = hosts(&report(Ended::Exited(0), "h1"), &members("h1 h2"), true);
        assert_eq!(sorted(&verdicts), ["", "h1 h2", ""]);
    }

    #[test]
    fn an_end_that_names_nobody_leaves_all_unknown_or_takes_all() {
        let cases = [
            (Ended::Exited(1), Reason::NoHostNamed, Reason::Exit),
            (Ended::Signalled(9), Reason::Signal, Reason::Signal),
            (
                Ended::TimedOut(Duration::from_secs(5)),
                Reason::Limit,
                Reason::Limit,
            ),
            (
                Ended::NotStarted("no such file".to_owned()),
                Reason::Exit,
                Reason::Exit,
            ),
        ];
        for (ended, unknown, down) in cases {
            // Names in the output of a run that was cut short say nothing.
            let output = match ended {
                Ended::Exited(_) => "",
                Ended::Signalled(_) | Ended::TimedOut(_) | Ended::NotStarted(_) => "h1",
            };
            let report = report(ended, output);
            let group = members("h1 h2");
            let verdicts = hosts(&report, &group, false);
            assert!(
                verdicts
                    .values()
                    .all(|&v| v == HostVerdict::Unknown(unknown))
            );
            let verdicts = hosts(&report, &group, true);
            assert!(verdicts.values().all(|&v| v == HostVerdict::Down(down)));
            assert_eq!(service_reason(&report), down);
        }
    }

    #[test]
    fn native_results_count_as_they_are() {
        let result = |host, verdict| HostResult {
            host: HostName::new(host),
            verdict,
            text: String::new(),
            weight: None,
            took: Duration::ZERO,
        };
        let mut report = report(Ended::Exited(1), "h1");
        report.hosts = vec![
            result("h1", HostVerdict::Up),
            result("h2", HostVerdict::Down(Reason::Timeout)),
            result("h3", HostVerdict::Down(Reason::Refused)),
            result("elsewhere", HostVerdict::Down(Reason::Tls)),
        ];
        let verdicts = hosts(&report, &members("h1 h2 h3 h4"), true);
        assert_eq!(sorted(&verdicts), ["h2 h3", "h1", "h4"]);
        assert_eq!(service_reason(&report), Reason::Timeout);
    }
}
