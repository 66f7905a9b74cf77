//! What a mail says: subject and body, of one event or of many.
//!
//! Pure: values in, text out. The layout is that of `mail.alert` of
//! mon 1.3.6, with lines added for what mon does not know: kind, start of the
//! outage, one line for each host. Headers and encoding are made in `mail`.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::alert::notice::{HostLine, Notice};
use crate::engine::event::AlertKind;
use crate::text::cut;
use crate::time::{Readable, Wall};

/// Subject and body of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// One line without control characters, at most [`SUBJECT_MAX`] bytes.
    pub(crate) subject: String,
    /// Lines ended by `\n`.
    pub(crate) body: String,
}

/// Longest subject in bytes; mail programs show less.
pub(crate) const SUBJECT_MAX: usize = 250;
/// Events of a collected mail that are told in full; the others are in its list.
const FULL_EVENTS: usize = 30;
/// Bytes of full events in a collected mail; beyond, they are in its list only.
const FULL_BYTES: usize = 500_000;

/// The mail about these events, the oldest first; the classic form where it is one.
pub(crate) fn text(notices: &[Notice], zone: &TimeZone) -> Text {
    match notices {
        [one] => Text {
            subject: subject(one, zone),
            body: format!("\n{}", block(one, zone)),
        },
        many => collected(many, zone),
    }
}

/// The Message-ID of a mail about these events: the same whenever it is made again.
pub(crate) fn message_id<'a>(events: impl Iterator<Item = &'a str>, domain: &str) -> String {
    let mut hash = Sha256::new();
    for event in events {
        hash.update(event.as_bytes());
        hash.update(b"\n");
    }
    let mut id = String::from("<lvsmon.");
    for byte in hash.finalize().iter().take(16) {
        let _ = write!(id, "{byte:02x}");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let domain: String = domain.chars().filter(|&c| is_plain(c)).collect();
    let domain = if domain.is_empty() {
        "localhost"
    } else {
        &domain
    };
    let _ = write!(id, "@{domain}>");
    id
}

/// The word at the start of a subject: the keyword of mon.cf that asked for the alert.
///
/// mon says `ALERT` for all but recoveries; that is quirk A-1.
fn heading(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Failure | AlertKind::Trap | AlertKind::TrapTimeout => "ALERT",
        AlertKind::Up => "UPALERT",
        AlertKind::Startup => "STARTUPALERT",
        AlertKind::Ack => "ACKALERT",
        AlertKind::Disable => "DISABLEALERT",
        AlertKind::Test => "TEST ALERT",
    }
}

fn subject(notice: &Notice, zone: &TimeZone) -> String {
    let start = format!("{} {}: ", heading(notice.kind), notice.key());
    let end = format!(" ({})", format_time(notice.time, zone, "%a %b %e %H:%M:%S"));
    let start = one_line(&start);
    let start = cut(&start, SUBJECT_MAX / 2);
    let room = SUBJECT_MAX.saturating_sub(start.len() + end.len());
    let summary = one_line(&notice.summary);
    format!("{start}{}{end}", shortened(&summary, room))
}

/// A text without line breaks and other control characters: nothing of it can become a header.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_line_separator(c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

const fn is_line_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn shortened(text: &str, most: usize) -> String {
    const MARK: &str = "...";
    if text.len() <= most {
        text.to_owned()
    } else {
        format!("{}{MARK}", cut(text, most.saturating_sub(MARK.len())))
    }
}

fn format_time(time: Wall, zone: &TimeZone, format: &str) -> String {
    match Timestamp::from_microsecond(time.as_micros()) {
        Ok(stamp) => stamp.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => time.seconds().to_string(),
    }
}

const CTIME: &str = "%a %b %e %H:%M:%S %Y";

/// One event in full, as mon's mail.alert tells it.
fn block(notice: &Notice, zone: &TimeZone) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<22}: {}", one_line(value));
    };
    line("Group", &notice.group);
    line("Service", &notice.service);
    line("Time noticed", &format_time(notice.time, zone, CTIME));
    line(
        "Secs until next alert",
        notice.next_alert.as_deref().unwrap_or(""),
    );
    let _ = writeln!(out, "{:<22}: {}", "Members", members(&notice.hosts));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<22}: {}", one_line(value));
    };
    line("Kind", notice.kind.word());
    if let Some(exit) = notice.exit {
        line("Exit value", &exit.to_string());
    }
    if let Some(since) = notice.first_failure {
        let span = Readable(notice.time.since(since));
        let text = format!("{} ({span})", format_time(since, zone, CTIME));
        let name = if notice.kind == AlertKind::Up {
            "Failed since"
        } else {
            "Failing since"
        };
        line(name, &text);
    }
    if let Some(description) = &notice.description {
        line("Description", description);
    }
    line("Event", &notice.event);
    if notice.left_out > 0 {
        let _ = writeln!(out, "\n{}", left_out(notice.left_out));
    }
    host_results(&mut out, &notice.results);
    out.push_str("\nDetailed text (if any) follows:\n-------------------------------\n");
    out.push_str(&printable(&notice.detail));
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

pub(crate) fn left_out(count: u32) -> String {
    let (messages, were) = if count == 1 {
        ("message", "was")
    } else {
        ("messages", "were")
    };
    format!("{count} earlier {messages} to this receiver {were} left out: the outbox was full.")
}

/// Wrapped as mon does: continuation lines are indented by three tabs.
fn members(hosts: &[String]) -> String {
    const WIDTH: usize = 54;
    let mut out = String::new();
    let mut column = 0;
    for host in hosts {
        let host = one_line(host);
        if column > 0 && column + 1 + host.len() > WIDTH {
            out.push_str("\n\t\t\t");
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(&host);
        column += host.len();
    }
    out
}

fn host_results(out: &mut String, results: &[HostLine]) {
    if results.is_empty() {
        return;
    }
    out.push_str("\nHost results:\n");
    let width = results
        .iter()
        .map(|line| line.host.len())
        .max()
        .unwrap_or(0);
    let width = width.min(40);
    for line in results {
        let reason = line.reason.as_deref().unwrap_or("");
        let text = format!(
            "  {:<width$}  {:<7}  {reason:<13}  {}",
            line.host, line.verdict, line.text
        );
        let _ = writeln!(out, "{}", one_line(&text).trim_end());
    }
}

/// Text with line breaks and tabs, but no other control character: a monitor's output must
/// not drive the terminal of the reader.
fn printable(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn collected(notices: &[Notice], zone: &TimeZone) -> Text {
    let mut body = format!("\n{} events, oldest first:\n\n", notices.len());
    for notice in notices {
        let line = format!(
            "{}  {:<12}  {}: {}",
            format_time(notice.time, zone, "%a %b %e %H:%M:%S"),
            heading(notice.kind),
            notice.key(),
            shortened(&notice.summary, 100)
        );
        let _ = writeln!(body, "{}", one_line(&line));
    }
    let start = body.len();
    for (index, notice) in notices.iter().enumerate() {
        let block = block(notice, zone);
        if index >= FULL_EVENTS || body.len() - start + block.len() > FULL_BYTES {
            let _ = writeln!(
                body,
                "\n{} more events are not told in full.",
                notices.len() - index
            );
            break;
        }
        let _ = write!(body, "\n{}\n\n{block}", "=".repeat(70));
    }
    Text {
        subject: collected_subject(notices, zone),
        body,
    }
}

/// Such as `ALERT 3 events (2 ALERT, 1 UPALERT): farm/http, farm/ping (Wed Nov 21 ...)`.
fn collected_subject(notices: &[Notice], zone: &TimeZone) -> String {
    let any_problem = notices.iter().any(|notice| notice.kind.is_problem());
    let all_up = notices.iter().all(|notice| notice.kind == AlertKind::Up);
    let first = match (any_problem, all_up, notices) {
        (false, true, _) => "UPALERT",
        (false, false, [one, ..]) => heading(one.kind),
        _ => "ALERT",
    };
    let mut counts = String::new();
    let mut seen: Vec<&str> = Vec::new();
    for notice in notices {
        let word = heading(notice.kind);
        if !seen.contains(&word) {
            seen.push(word);
            let count = notices.iter().filter(|n| heading(n.kind) == word).count();
            let comma = if counts.is_empty() { "" } else { ", " };
            let _ = write!(counts, "{comma}{count} {word}");
        }
    }
    let mut names: Vec<String> = Vec::new();
    for notice in notices {
        let key = notice.key();
        if !names.contains(&key) {
            names.push(key);
        }
    }
    let end = match notices.last() {
        Some(last) => format!(" ({})", format_time(last.time, zone, "%a %b %e %H:%M:%S")),
        None => String::new(),
    };
    let start = format!("{first} {} events ({counts}): ", notices.len());
    let room = SUBJECT_MAX.saturating_sub(start.len() + end.len());
    format!(
        "{start}{}{end}",
        shortened(&one_line(&names.join(", ")), room)
    )
}

#[cfg(test)]
mod tests;
