//! How do the alert history and the downtime log look on disk?
//!
//! One line for each call and for each outage (docs/mon.md, "Histories"). Reading passes over
//! what is no such line, and counts it: a file that was cut, or another one in its place, does
//! not go unsaid.

use std::collections::VecDeque;

use crate::engine::event::{AlertKind, DowntimeLine, HistoryLine};
use crate::text::one_line_with_tabs;
use crate::time::Wall;

/// A line of `historicfile`, with its newline.
#[must_use]
pub fn history_line(line: &HistoryLine) -> String {
    line.in_a_file() + "\n"
}

/// Lines of a file that are none of its kind; neither are empty ones and comments, which are
/// not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// How many.
    pub count: u64,
    /// The number of the first one of them in what was read, from 1 on; 0 where there is none.
    pub first: u64,
}

impl Strangers {
    /// The line of this number is one.
    pub const fn add(&mut self, number: u64) {
        if self.count == 0 {
            self.first = number;
        }
        self.count = self.count.saturating_add(1);
    }
}

/// Whether a line is no more than room, or what a person wrote.
#[must_use]
pub fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// The alert calls of a file, oldest first, at most the last `max`, and what in it is none.
#[must_use]
pub fn history(text: &str, max: usize) -> (Vec<HistoryLine>, Strangers) {
    let mut lines = VecDeque::new();
    let mut strangers = Strangers::default();
    for (number, line) in (1..).zip(text.lines()) {
        match read_history_line(line) {
            Some(line) => {
                lines.push_back(line);
                if lines.len() > max {
                    lines.pop_front();
                }
            }
            None if !is_comment(line) => strangers.add(number),
            None => {}
        }
    }
    (lines.into(), strangers)
}

fn read_history_line(line: &str) -> Option<HistoryLine> {
    let mut words = line.trim_start().splitn(5, ' ');
    let (kind, group, service) = (words.next()?, words.next()?, words.next()?);
    let mut kinds = AlertKind::ALL.into_iter();
    let kind = kinds.find(|known| known.history_word() == kind)?;
    let time = Wall::from_seconds(words.next()?.parse().ok()?);
    let (program, rest) = words.next()?.split_once(" (")?;
    let (args, summary) = rest.split_once(") ").or_else(|| rest.split_once(')'))?;
    Some(HistoryLine {
        kind,
        group: group.into(),
        service: service.into(),
        time,
        program: program.to_owned(),
        args: args.into(),
        summary: summary.to_owned(),
    })
}

/// What the downtime log gets at each start and reset.
#[must_use]
pub fn downtime_head(now: Wall) -> String {
    format!(
        "#\n# downtime log, begun {}\n# up again, group, service, first failure, seconds down, interval, summary\n",
        now.seconds()
    )
}

/// A line of the downtime log: `UP GROUP SERVICE FIRST_FAILURE SECONDS INTERVAL SUMMARY`, with
/// its newline.
#[must_use]
pub fn downtime_line(line: &DowntimeLine) -> String {
    let (group, service, interval) = (&line.group, &line.service, line.interval.as_secs());
    let (up, first) = (line.up.seconds(), line.first_failure.seconds());
    // Of whole seconds, so that the three numbers fit each other.
    let down = up.saturating_sub(first).max(0);
    let summary = &line.summary;
    let line = format!("{up} {group} {service} {first} {down} {interval} {summary}");
    one_line_with_tabs(&line) + "\n"
}

/// Whether a line is one of the downtime log. mon leaves the interval of a service empty that
/// has none.
#[must_use]
pub fn is_downtime_line(line: &str) -> bool {
    let is_number = |word: &str| word.parse::<i64>().is_ok();
    let words: Vec<&str> = line.splitn(7, ' ').collect();
    match words[..] {
        [up, _, _, first, down, interval, _] => {
            is_number(up)
                && is_number(first)
                && is_number(down)
                && (interval.is_empty() || is_number(interval))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(kind: AlertKind, seconds: i64) -> HistoryLine {
        HistoryLine {
            kind,
            group: "g".into(),
            service: "s".into(),
            time: Wall::from_seconds(seconds),
            program: "/usr/lib/mon/alert.d/a b.alert".to_owned(),
            args: r#"x  'y z' "" "q\"\\""#.into(),
            summary: "h1 (x) = 1".to_owned(),
        }
    }

    #[test]
    fn a_line_of_the_history_is_read_as_it_was_written() {
        for (word, kind) in [
            ("alert", AlertKind::Failure),
            ("upalert", AlertKind::Up),
            ("startupalert", AlertKind::Startup),
            ("trapalert", AlertKind::Trap),
            ("traptimeoutalert", AlertKind::TrapTimeout),
            ("ackalert", AlertKind::Ack),
            ("disablealert", AlertKind::Disable),
        ] {
            let written = history_line(&line(kind, 1_795_251_344));
            let expected = format!(
                "{word} g s 1795251344 /usr/lib/mon/alert.d/a b.alert (x  'y z' \"\" \"q\\\"\\\\\") h1 (x) = 1\n"
            );
            assert_eq!(written, expected);
            assert_eq!(history(&written, 9).0, [line(kind, 1_795_251_344)]);
        }
        let mut bare = line(AlertKind::Failure, 7);
        bare.args = "".into();
        bare.summary.clear();
        assert_eq!(history(&history_line(&bare), 9).0, [bare.clone()]);
        bare.summary = "two\nlines".to_owned();
        assert_eq!(history_line(&bare).lines().count(), 1);
    }

    #[test]
    fn of_a_history_the_newest_lines_are_read_and_what_is_none_is_counted() {
        let mut text =
            String::from("# by hand\n\nalert g s\nalert g s x /a () b\nnonsense g s 1 /a () b\n");
        for seconds in 1..=9 {
            text += &history_line(&line(AlertKind::Up, seconds));
        }
        let times = |max| -> Vec<i64> {
            let (lines, strangers) = history(&text, max);
            assert_eq!(strangers, Strangers { count: 3, first: 3 });
            lines.iter().map(|line| line.time.seconds()).collect()
        };
        assert_eq!(times(3), [7, 8, 9]);
        assert_eq!(times(100).len(), 9);
        assert!(times(0).is_empty());
    }

    #[test]
    fn tabs_stay_and_line_ends_do_not() {
        let mut call = line(AlertKind::Failure, 5);
        call.summary = "a\tb\nc".to_owned();
        let text = history_line(&call);
        assert!(text.ends_with(" a\tb c\n"), "{text:?}");
        let (back, strangers) = history(&text, 9);
        assert_eq!(strangers.count, 0);
        assert_eq!(back[0].summary, "a\tb c");
    }

    #[test]
    fn an_outage_is_one_line_of_the_downtime_log() {
        let mut line = DowntimeLine {
            up: Wall::from_seconds(1_795_215_944),
            group: "g1".into(),
            service: "tr".into(),
            first_failure: Wall::from_seconds(1_795_215_938),
            interval: Duration::from_secs(30),
            summary: "summ one".to_owned(),
        };
        assert_eq!(
            downtime_line(&line),
            "1795215944 g1 tr 1795215938 6 30 summ one\n"
        );
        assert!(is_downtime_line(
            downtime_line(&line).trim_end_matches('\n')
        ));
        assert!(is_downtime_line("1795215944 g1 tr 1795215938 6  summ one"));
        for other in [
            "",
            "1795215944 g1 tr",
            "220 list dtlog completed",
            "a b c 1 1 1 d",
        ] {
            assert!(!is_downtime_line(other), "{other}");
        }
        line.summary = "tab\tand\rline\nends".to_owned();
        assert!(downtime_line(&line).ends_with(" tab\tand line ends\n"));
        line.summary = "summ one".to_owned();
        line.first_failure = Wall::from_micros(1_795_215_938_900_000);
        assert!(downtime_line(&line).contains(" 1795215938 6 "));
        // The clock was set back during the outage.
        line.first_failure = Wall::from_seconds(1_795_215_999);
        assert_eq!(
            downtime_line(&line),
            "1795215944 g1 tr 1795215999 0 30 summ one\n"
        );
        let head = downtime_head(Wall::from_seconds(5));
        assert!(head.lines().all(|line| line.starts_with('#')) && head.lines().count() == 3);
        assert!(head.contains(" 5\n"), "{head}");
    }
}
