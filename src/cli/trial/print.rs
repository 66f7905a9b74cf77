//! How a trial looks: for a person, or as one JSON object.

use std::collections::BTreeMap;
use std::io;

use crate::cli::output::{Output, Tone};
use crate::cli::trial::alert::{AlertTrial, CallRow};
use crate::cli::trial::monitor::{HostRow, MonitorTrial, RunRow};
use crate::cli::trial::remarks::{Level, Remark};
use crate::engine::event::Status;

/// Lines of an output that are shown; `--json` has all.
const LINES_MAX: usize = 40;

pub(super) fn monitor(trial: &MonitorTrial, json: bool, out: &mut Output) -> io::Result<()> {
    if json {
        return out.line(&serde_json::to_string_pretty(trial)?);
    }
    let name = match &trial.service {
        Some(service) => format!("{} of {service}, {}", trial.name, trial.became),
        None => format!("{}, {}", trial.name, trial.became),
    };
    field("monitor", &name, out)?;
    if !trial.why.is_empty() {
        field("because", &trial.why, out)?;
    }
    if !trial.argv.is_empty() {
        field("runs", &shown(&trial.argv), out)?;
    }
    let hosts = match (trial.hosts.is_empty(), trial.hosts_guessed) {
        (true, _) => "none".to_owned(),
        (false, false) => trial.hosts.join(" "),
        (false, true) => format!(
            "{} (guessed: write -- before the hosts to be sure)",
            trial.hosts.join(" ")
        ),
    };
    field("hosts", &hosts, out)?;
    if let Some(limit) = trial.limit_s {
        field("limit", &format!("{limit} s"), out)?;
    }
    environment(&trial.environment, None, out)?;
    let mut before: Option<&RunRow> = None;
    for (number, run) in (1..).zip(&trial.runs) {
        out.line("")?;
        self::run(number, run, before, out)?;
        before = Some(run);
    }
    out.line("")?;
    remarks(&trial.remarks, out)
}

fn run(number: u32, run: &RunRow, before: Option<&RunRow>, out: &mut Output) -> io::Result<()> {
    let (tone, word) = if run.status == Status::Ok {
        (Tone::Good, "all is well")
    } else {
        (Tone::Bad, "a failure")
    };
    let text = format!("{} after {} ms: {word}", run.ended, run.took_ms);
    field(&format!("run {number}"), &out.paint(tone, &text), out)?;
    let is_same = |before: &RunRow| {
        (&before.summary, &before.detail) == (&run.summary, &run.detail) && before.exit == run.exit
    };
    if before.is_some_and(is_same) {
        return field("output", "the same", out);
    }
    let summary = if run.summary.is_empty() {
        "(none)"
    } else {
        &run.summary
    };
    field("summary", summary, out)?;
    block("detail", &run.detail, out)?;
    for (index, host) in run.hosts.iter().enumerate() {
        let word = if index == 0 { "taken as" } else { "" };
        field(word, &host_line(host, out), out)?;
    }
    for (index, alert) in run.alerts.iter().enumerate() {
        let word = if index == 0 { "alerts" } else { "" };
        field(word, alert, out)?;
    }
    Ok(())
}

fn host_line(host: &HostRow, out: &Output) -> String {
    let tone = match host.verdict {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        _ => Tone::Odd,
    };
    let verdict = out.paint(tone, host.verdict);
    let reason = host.reason.map(|reason| format!(" ({reason})"));
    let text = match host.text.as_str() {
        "" => String::new(),
        text => format!(": {text}"),
    };
    let weight = host.weight.as_ref();
    let weight = weight.map(|weight| format!(", weight {weight}"));
    format!(
        "{} {verdict}{}{}{text}",
        host.host,
        reason.unwrap_or_default(),
        weight.unwrap_or_default()
    )
}

pub(super) fn alert(trial: &AlertTrial, json: bool, out: &mut Output) -> io::Result<()> {
    if json {
        return out.line(&serde_json::to_string_pretty(trial)?);
    }
    if let Some(service) = &trial.service {
        field("alerts of", service, out)?;
    }
    if let Some(why) = trial.why.as_ref().filter(|why| !why.is_empty()) {
        field("because", why, out)?;
    }
    let mut before: Option<&CallRow> = None;
    for row in &trial.calls {
        if before.is_some() || trial.why.is_some() || trial.service.is_some() {
            out.line("")?;
        }
        call(row, before, out)?;
        before = Some(row);
    }
    out.line("")?;
    remarks(&trial.remarks, out)
}

fn call(row: &CallRow, before: Option<&CallRow>, out: &mut Output) -> io::Result<()> {
    let title = match row.period.as_str() {
        "" => format!("{} by {}", row.kind, row.alert),
        period => format!("{} by {} of period {period}", row.kind, row.alert),
    };
    field("event", &out.paint(Tone::Heading, &title), out)?;
    field("runs", &shown(&row.argv), out)?;
    environment(
        &row.environment,
        before.map(|before| &before.environment),
        out,
    )?;
    block("stdin", &row.stdin, out)?;
    let tone = if row.is_good { Tone::Good } else { Tone::Bad };
    let text = match row.exit {
        Some(_) => format!("{} after {} ms", row.outcome, row.took_ms),
        None => row.outcome.clone(),
    };
    field("result", &out.paint(tone, &text), out)?;
    block("output", &row.output, out)
}

fn remarks(remarks: &[Remark], out: &mut Output) -> io::Result<()> {
    if remarks.is_empty() {
        return out.line(&out.paint(Tone::Good, "nothing to remark"));
    }
    for remark in remarks {
        let (tone, word) = match remark.level {
            Level::Problem => (Tone::Bad, "problem"),
            Level::Warning => (Tone::Odd, "warning"),
            Level::Hint => (Tone::Faint, "hint"),
        };
        let word = out.paint(tone, &format!("{word:9}"));
        out.line(&format!("{word}{}", remark.text))?;
        out.line(&format!("         {}", remark.advice))?;
    }
    Ok(())
}

/// The variables; where there were others before, only those that differ.
fn environment(
    variables: &BTreeMap<String, String>,
    before: Option<&BTreeMap<String, String>>,
    out: &mut Output,
) -> io::Result<()> {
    let mut word = "variables";
    let is_new =
        |name: &String, value: &String| before.and_then(|before| before.get(name)) != Some(value);
    for (name, value) in variables.iter().filter(|(name, value)| is_new(name, value)) {
        field(word, &format!("{name}={}", one_line(value)), out)?;
        word = "";
    }
    let gone = before.into_iter().flatten();
    for (name, _) in gone.filter(|(name, _)| !variables.contains_key(*name)) {
        field(word, &format!("{name} is not set"), out)?;
        word = "";
    }
    Ok(())
}

fn field(name: &str, text: &str, out: &mut Output) -> io::Result<()> {
    let name = out.paint(Tone::Faint, &format!("{name:9}"));
    out.line(format!("{name} {text}").trim_end())
}

/// Some lines behind a bar; nothing where there are none.
fn block(name: &str, text: &str, out: &mut Output) -> io::Result<()> {
    let mut word = name;
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().take(LINES_MAX) {
        field(word, &format!("| {}", visible(line)), out)?;
        word = "";
    }
    match lines.len().saturating_sub(LINES_MAX) {
        0 => Ok(()),
        more => field("", &format!("(and {more} lines; --json shows all)"), out),
    }
}

/// Control characters as they are written in programs.
fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => c.to_string(),
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

fn one_line(value: &str) -> String {
    const MOST: usize = 100;
    let text = visible(&value.replace('\n', "\\n"));
    let kept = crate::text::cut(&text, MOST);
    if kept.len() < text.len() {
        format!("{kept}...")
    } else {
        text
    }
}

/// Words as one would type them.
fn shown(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", visible(&word.replace('\'', "'\\''")))
        }
    };
    let words: Vec<String> = words.iter().map(quoted).collect();
    words.join(" ")
}
