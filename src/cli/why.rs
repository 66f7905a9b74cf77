//! `lvsmon why GROUP/SERVICE`: everything the daemon knows of one service. For a real server:
//! `server`, `section` and `weight` for two of its lines; how the lines are laid out: `sheet`.

mod section;
mod server;
mod sheet;
mod weight;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output, Tone, complain, fail};
use crate::cli::why::sheet::Sheet;
use crate::cli::wishes::AimArgs;
use crate::cli::{Outcome, WhereArgs, refused};
use crate::client::Client;
use crate::pair::post::OVERTAKEN;
use crate::text::counted;
use crate::time::Readable;
use crate::wire::refusal::RefusalReason;
use crate::wire::server::{NAME_HOSTS, last_reports};
use crate::wire::why::{AlertRow, DeliveryRow, DisabledAs, HeldRow, ResultRow, WhyAnswer};
use crate::wire::{ServiceStatus, Verdict};

/// Exit code where nobody can be asked, or nobody knows the service.
const UNKNOWN: u8 = 3;

/// Lines of the detail that are shown; `--json` has more.
const DETAIL_LINES: usize = 20;

/// Show all the daemon knows of a service, or why a real server is in or out
#[derive(Debug, Args)]
#[command(after_help = "\
A name with a slash is a service; a name, an address, ADDRESS:PORT or [IPV6]:PORT a real server, in all \
its virtual services unless one is named.

Exit status: 0 the service is good or was not tested yet, the real server is in with a weight above 0; \
1 it is not; 2 wrong usage; 3 the daemon cannot be asked or does not know it.")]
pub(super) struct WhyArgs {
    /// GROUP/SERVICE, or a real server
    #[arg(value_name = "GROUP/SERVICE | SERVER")]
    what: String,
    /// Of a real server: only in this virtual service, as in 10.0.0.3:80
    #[arg(value_name = "in VIRTUAL")]
    within: Vec<String>,
    #[command(flatten)]
    place: WhereArgs,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn why(args: &WhyArgs, out: &mut Output) -> Outcome {
    match service_meant(&args.what, &args.within) {
        Some((group, service)) => of_service(args, group, service, out),
        None => of_server(args, out),
    }
}

/// Group and service, where a person means no real server: those have no slash, and behind a
/// colon a port.
fn service_meant<'a>(what: &'a str, within: &[String]) -> Option<(&'a str, &'a str)> {
    if !within.is_empty() {
        return None;
    }
    if let Some(found) = what.split_once('/') {
        return Some(found);
    }
    let (group, service) = what.split_once(':')?;
    // A name may be all digits, but that of no service is what a port would be.
    let is_number = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit());
    let is_service = !service.contains(':') && !is_number;
    is_service.then_some((group, service))
}

fn of_server(args: &WhyArgs, out: &mut Output) -> Outcome {
    let aim = AimArgs {
        server: args.what.clone(),
        within: args.within.clone(),
    };
    let aim = match aim.aim() {
        Ok(aim) => aim,
        Err(why) => return Ok(misused("why", Form::of(args.json), &why)),
    };
    let asked = args.place.statedir().and_then(|statedir| {
        let client = Client::connect_also_observer(&statedir);
        let answer = client.and_then(|mut daemon| {
            let answer = daemon.why_server(&aim)?;
            Ok((answer, daemon.refused_reload().cloned()))
        });
        answer.map_err(|error| {
            let hint = match error.reason() {
                Some(RefusalReason::Unknown) => "; a service is named GROUP/SERVICE",
                Some(_) | None => "",
            };
            format!("{error}{hint}")
        })
    });
    match asked {
        Ok((answer, refused)) if args.json => {
            out.line(&refused::json(&answer, refused.as_ref())?)?;
            Ok(server::exit_code(&answer))
        }
        Ok((answer, refused)) => {
            let code = server::print(&answer, out)?;
            refused::line(refused.as_ref(), out)?;
            Ok(code)
        }
        Err(why) => Ok(not_known(args, &why)),
    }
}

/// Nobody can be asked, or nobody knows it.
fn not_known(args: &WhyArgs, why: &str) -> ExitCode {
    complain(&format!("lvsmon why: {why}"));
    fail(Form::of(args.json), why);
    ExitCode::from(UNKNOWN)
}

fn of_service(args: &WhyArgs, group: &str, service: &str, out: &mut Output) -> Outcome {
    let asked = args.place.statedir().and_then(|statedir| {
        let client = Client::connect_also_observer(&statedir);
        let answer = client.and_then(|mut daemon| {
            let answer = daemon.why(group, service)?;
            Ok((answer, daemon.refused_reload().cloned()))
        });
        answer.map_err(|error| error.to_string())
    });
    let (answer, refused) = match asked {
        Ok(answered) => answered,
        Err(why) => return Ok(not_known(args, &why)),
    };
    if args.json {
        out.line(&refused::json(&answer, refused.as_ref())?)?;
    } else {
        Page::of(&answer, out).print()?;
        refused::line(refused.as_ref(), out)?;
    }
    Ok(match is_good(answer.service.status) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// When the latest run of a service began, and how long it took; of the first one no end is known
/// while it goes on.
fn last_run(began: &str, took: Option<f64>, is_running: bool) -> String {
    match took {
        Some(took) => format!("last {began}, took {}", readable(took)),
        None if is_running => format!("begun {began}"),
        None => format!("last {began}"),
    }
}

/// As dependencies see it.
const fn is_good(status: ServiceStatus) -> bool {
    match status {
        ServiceStatus::Ok
        | ServiceStatus::Untested
        | ServiceStatus::Coldstart
        | ServiceStatus::Warmstart
        | ServiceStatus::Unknown => true,
        ServiceStatus::Fail
        | ServiceStatus::Linkdown
        | ServiceStatus::Timeout
        | ServiceStatus::Dependency
        | ServiceStatus::Warn => false,
    }
}

/// The answer on its way to a terminal.
struct Page<'a> {
    answer: &'a WhyAnswer,
    sheet: Sheet<'a>,
}

impl<'a> Page<'a> {
    fn of(answer: &'a WhyAnswer, out: &'a mut Output) -> Self {
        let sheet = Sheet::new(answer.time, out);
        Self { answer, sheet }
    }

    fn print(&mut self) -> io::Result<()> {
        self.status()?;
        self.schedule()?;
        self.persons()?;
        self.hosts()?;
        self.periods()?;
        let answer = self.answer;
        self.list("results", &answer.results, Self::result)?;
        self.list("alerts", &answer.alerts, Self::alert)?;
        self.list("held back", &answer.held_back, Self::held)?;
        if answer.alerts.is_empty() && answer.held_back.is_empty() {
            self.sheet
                .field("alerts", "none since the daemon began, and none held back")?;
        }
        Ok(())
    }

    fn status(&mut self) -> io::Result<()> {
        let service = &self.answer.service;
        let tone = match (service.status, is_good(service.status)) {
            (ServiceStatus::Untested, _) => Tone::Odd,
            (_, true) => Tone::Good,
            (_, false) => Tone::Bad,
        };
        let since = match service.first_failure {
            Some(first) => format!(
                " since {}, {} in a row",
                self.sheet.moment(first),
                counted(service.failures, "failure")
            ),
            None => String::new(),
        };
        let name = format!("{}/{}", service.group, service.service);
        let name = self.sheet.out.paint(Tone::Heading, &name);
        let status = self.sheet.out.paint(tone, service.status.word());
        self.sheet.out.line(&format!("{name} is {status}{since}"))?;
        if let Some(text) = &self.answer.description {
            self.sheet.field("what", text)?;
        }
        if !service.summary.is_empty() {
            self.sheet.field("summary", &service.summary)?;
        }
        let lines = self
            .answer
            .detail
            .lines()
            .skip_while(|line| line.is_empty());
        for (index, line) in lines.take(DETAIL_LINES).enumerate() {
            self.sheet
                .field(if index == 0 { "detail" } else { "" }, &format!("| {line}"))?;
        }
        if let Some(time) = service.last_success.filter(|_| !is_good(service.status)) {
            self.sheet
                .field("good", &format!("last {}", self.sheet.moment(time)))?;
        }
        Ok(())
    }

    fn schedule(&mut self) -> io::Result<()> {
        let answer = self.answer;
        match &answer.monitor {
            Some(monitor) => self.sheet.field("monitor", monitor)?,
            None => self.sheet.field("monitor", "none: it lives on traps")?,
        }
        let mut parts = Vec::new();
        if let Some(time) = answer.service.last_check {
            let (took, is_running) = (answer.took, answer.service.running);
            parts.push(last_run(&self.sheet.moment(time), took, is_running));
        }
        match answer.next_run {
            Some(_) if !answer.held_up.is_empty() && !answer.service.running => {}
            _ if answer.service.running => parts.push("running now".to_owned()),
            Some(left) if left < 0.0 => {
                parts.push(format!("due since {}, waits for its turn", readable(-left)));
            }
            Some(left) => parts.push(format!("next in {}", readable(left))),
            None => {}
        }
        if let Some(interval) = answer.interval {
            parts.push(format!("every {}", readable(interval)));
        }
        if !parts.is_empty() {
            self.sheet.field("runs", &parts.join("; "))?;
        }
        if answer.restored {
            let text = "nothing was heard of it since the restart: what stands here is of before";
            self.sheet.painted("restart", Tone::Odd, text)?;
        }
        for row in &answer.held_up {
            self.sheet.held_up(row, "")?;
        }
        if let Some(trap) = &answer.last_trap {
            let from = trap.from.as_ref().map(|from| format!(" from {from}"));
            let text = format!(
                "last {}{}",
                self.sheet.moment(trap.time),
                from.unwrap_or_default()
            );
            self.sheet.field("traps", &text)?;
        }
        Ok(())
    }

    fn persons(&mut self) -> io::Result<()> {
        let answer = self.answer;
        if let Some(since) = answer.stopped_since {
            let text = format!(
                "since {}: nothing runs, nobody is told",
                self.sheet.moment(since)
            );
            self.sheet.painted("stopped", Tone::Odd, &text)?;
        }
        if let Some(cut_off) = &answer.cut_off {
            let text = format!(
                "since {}: failures count for nothing until {} is good",
                self.sheet.moment(cut_off.since),
                cut_off.witnesses.join(" or ")
            );
            self.sheet.painted("cut off", Tone::Odd, &text)?;
        }
        if let Some(what) = &answer.disabled {
            let what = match what {
                DisabledAs::Service => "service",
                DisabledAs::Watch => "watch",
            };
            let text = format!("the {what} is disabled: it runs, but nobody is told");
            self.sheet.painted("disabled", Tone::Odd, &text)?;
        }
        if !answer.disabled_hosts.is_empty() {
            let text = format!("hosts {}", answer.disabled_hosts.join(" "));
            self.sheet.painted("disabled", Tone::Odd, &text)?;
        }
        if let Some(ack) = &answer.ack {
            let text = format!("{} ({})", ack.comment, self.sheet.moment(ack.time));
            self.sheet.painted("acked", Tone::Odd, &text)?;
        }
        for (hosts, why) in [
            (&answer.excluded_hosts, "exclude_hosts: never checked"),
            (
                &answer.left_out_hosts,
                "not checked, as a failing service on which this one depends names them",
            ),
        ] {
            if !hosts.is_empty() {
                let text = format!("hosts {}: {why}", hosts.join(" "));
                self.sheet.painted("left out", Tone::Odd, &text)?;
            }
        }
        for line in &answer.depends {
            let failing = match line.failing.as_slice() {
                [] => String::new(),
                some => format!("; not good: {}", some.join(", ")),
            };
            let text = format!("{} {}{failing}", line.keyword, line.expression);
            match &line.follows {
                None => self.sheet.field("depends", &text)?,
                Some(follows) => {
                    let text = format!("{text}; {follows}");
                    self.sheet.painted("depends", Tone::Odd, &text)?;
                }
            }
        }
        let is_said = answer.depends.iter().any(|line| line.follows.is_some());
        if answer.depend_status == Some(false) && !is_said {
            self.sheet
                .painted("depends", Tone::Odd, "it failed when it was asked last")?;
        }
        Ok(())
    }

    fn hosts(&mut self) -> io::Result<()> {
        for (index, host) in self.answer.service.hosts.iter().enumerate() {
            let tone = match host.verdict {
                Verdict::Up => Tone::Good,
                Verdict::Down => Tone::Bad,
                Verdict::Unknown => Tone::Odd,
            };
            let verdict = self.sheet.out.paint(tone, host.verdict.word());
            let reason = host.reason.map(|reason| format!(" ({reason})"));
            let text = match host.text.as_str() {
                "" => String::new(),
                text => format!(": {text}"),
            };
            let line = format!(
                "{} {verdict}{}{text}",
                host.host,
                reason.unwrap_or_default()
            );
            self.sheet
                .field(if index == 0 { "hosts" } else { "" }, &line)?;
        }
        if let Some(count) = self.answer.unnamed {
            let reports = last_reports(count);
            let text = format!(
                "its {reports} failed and named no host, so its real servers stay as they are: \
                 {NAME_HOSTS}"
            );
            self.sheet.painted("table", Tone::Odd, &text)?;
        }
        Ok(())
    }

    fn periods(&mut self) -> io::Result<()> {
        for (index, period) in self.answer.periods.iter().enumerate() {
            let label = match period.label.as_str() {
                "" => "always",
                label => label,
            };
            let holds = match (period.holds, period.changes) {
                (true, None) => "in force".to_owned(),
                (true, Some(end)) => format!("in force until {}", self.sheet.moment(end)),
                (false, Some(start)) => format!("not now, next from {}", self.sheet.moment(start)),
                (false, None) => "never".to_owned(),
            };
            let sent = match period.alerts_sent {
                0 => String::new(),
                count => format!(", {} in this outage", counted(count, "alert")),
            };
            let name = if index == 0 { "periods" } else { "" };
            self.sheet.field(name, &format!("{label}: {holds}{sent}"))?;
        }
        Ok(())
    }

    /// The newest first, as a person looks for them.
    fn list<T>(&mut self, name: &str, rows: &[T], line: fn(&Self, &T) -> String) -> io::Result<()> {
        for (index, row) in rows.iter().rev().enumerate() {
            let text = line(self, row);
            self.sheet
                .field(if index == 0 { name } else { "" }, &text)?;
        }
        Ok(())
    }

    fn result(&self, row: &ResultRow) -> String {
        let exit = row.exit.map(|exit| format!(" exit {exit}"));
        let reason = row.reason.map(|reason| format!(" ({reason})"));
        let took = row.took.map(|span| format!(", {}", readable(span)));
        let summary = match row.summary.as_str() {
            "" => String::new(),
            text => format!(": {text}"),
        };
        format!(
            "{} {}{}{}{}{summary}",
            self.sheet.times(row.first, row.last, row.count),
            row.status,
            exit.unwrap_or_default(),
            reason.unwrap_or_default(),
            took.unwrap_or_default()
        )
    }

    fn alert(&self, row: &AlertRow) -> String {
        let period = match row.period.as_str() {
            "" => String::new(),
            label => format!(" of period {label}"),
        };
        let delivery = match &row.delivery {
            DeliveryRow::Waiting => "not yet delivered".to_owned(),
            DeliveryRow::Delivered => "delivered".to_owned(),
            DeliveryRow::Elsewhere => "told by the other director".to_owned(),
            DeliveryRow::Overtaken => format!("told to nobody: it {OVERTAKEN}"),
            DeliveryRow::Left => {
                "left to the other director, which was not heard to tell it".to_owned()
            }
            DeliveryRow::GivenUp(why) => format!("given up: {why}"),
        };
        let kind = row.kind.word();
        format!(
            "{} {kind} by {}{period}, {delivery}: {}",
            self.sheet.moment(row.time),
            row.alert,
            row.summary
        )
    }

    fn held(&self, row: &HeldRow) -> String {
        let period = match row.period.as_deref() {
            None | Some("") => String::new(),
            Some(label) => format!(" in period {label}"),
        };
        let times = self.sheet.times(row.first, row.last, row.count);
        format!("{times} {}{period}: {}", row.kind.word(), row.text)
    }
}

fn readable(seconds: f64) -> Readable {
    Readable(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_colon_is_a_port_where_it_is_a_number() {
        let meant = |what: &'static str| service_meant(what, &[]);
        for service in ["web/http", "web:http"] {
            assert_eq!(meant(service), Some(("web", "http")), "{service}");
        }
        for server in ["10.10.0.1:99999", "10.10.0.1:80", "web1", "2001:db8::1"] {
            assert_eq!(meant(server), None, "{server}");
        }
    }

    #[test]
    fn a_first_run_that_goes_on_is_not_the_last_one() {
        let said = |took, is_running| last_run("3:00", took, is_running);
        assert_eq!(said(None, true), "begun 3:00");
        assert_eq!(said(None, false), "last 3:00");
        assert_eq!(said(Some(2.0), true), "last 3:00, took 2s");
        assert_eq!(said(Some(2.0), false), "last 3:00, took 2s");
    }
}
