//! `lvsmon drain`, `quiesce`, `disable`, `weight` and `enable`: what operators wish of real
//! servers. Whether the table has become so: `settled`; whose wish ended a drain: `ended`; what if
//! the daemon ends meanwhile: `gone`; what a script reads: `script`.

mod ended;
mod gone;
mod script;
mod settled;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::misuse::{misused, short};
use crate::cli::output::{self, Form, Output, Tone, complain};
use crate::cli::wishes::ended::{SeenDrain, watch};
use crate::cli::wishes::gone::unless_gone;
use crate::cli::{Outcome, WhereArgs, refused};
use crate::client::{Client, ClientError};
use crate::clock::Clock;
use crate::engine::event::{Aim, Caution, ManualWish, RealServerName};
use crate::engine::manual::REASON_MAX;
use crate::lvs::Weight;
use crate::time::timeval;
use crate::wire::refusal::RefusalReason;
use crate::wire::server::{DrainRow, ServerAnswer, ServerWhy};
use crate::wire::{Desire, Source};

/// Exit code where a real server is out with connections still active: at the deadline of its
/// drain, or since it left the table before.
const CUT_OFF: u8 = 4;

/// Exit code where the wish was ended or replaced while we waited, by somebody or by its own time,
/// or the file lost the real server.
const ENDED: u8 = 5;

/// Exit code where the wish is noted, and the kernel's table is not so.
const NOT_SO: u8 = 6;

/// What became of a real server that the daemon knows no more.
const GONE: &str = "not drained: a reload took it from the file, whatever was connected to it";

/// How long a drain waits for connections where nobody says: most requests and downloads end by
/// themselves within minutes, and a maintenance window is longer.
const DEADLINE: &str = "10m";

/// Pause between two looks at a drain; the daemon itself looks once a second.
const PAUSE: Duration = Duration::from_millis(500);

/// What the help of the commands says that wait for the table.
const STATUS: &str = "\
Waits some seconds for the kernel's table to become so. Exit status: 0 it is so, or, of a weight, will \
be once the server is in; 1 refused or failed; 2 wrong usage; 6 noted, but the kernel's table is not \
so, as where the kernel refuses: lvsmon tries again until it is.";

/// Let a real server's connections end, then take it out
#[derive(Debug, Args)]
#[command(after_help = "\
Weight 0 first: connections go on, new ones go elsewhere. Out once no connection is active, at the \
latest at the deadline. Waits until then, unless --no-wait is given; an interrupt ends the waiting, \
not the drain. `lvsmon enable SERVER` ends it.

Exit status: 0 done (it is out, or with --no-wait the drain has begun); 1 refused or failed; 2 wrong \
usage; 4 out with active connections: at the deadline, or since the server failed or was taken out \
before; 5 the drain ended before the server was out: somebody ended it or wished something else, the \
time of --for was over, or a reload took the server from the file; 6 noted, but the kernel's table is \
not so, as where the kernel refuses.")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    pub(super) what: WishArgs,
    /// Out after this long although connections are active
    #[arg(
        long,
        value_name = "TIME",
        default_value = DEADLINE,
        allow_hyphen_values = true,
        value_parser = span
    )]
    deadline: Duration,
    /// Do not wait for the end of the drain
    #[arg(long)]
    no_wait: bool,
}

/// Send a real server no new connections: weight 0, until it is enabled
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub(super) struct QuiesceArgs {
    #[command(flatten)]
    pub(super) what: WishArgs,
}

/// Take a real server out at once, until it is enabled
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub(super) struct DisableArgs {
    #[command(flatten)]
    pub(super) what: WishArgs,
}

/// Give a real server another weight than the file, until it is enabled
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub(super) struct WeightArgs {
    /// 0 to 65535
    #[arg(
        value_name = "WEIGHT",
        allow_negative_numbers = true,
        value_parser = a_weight
    )]
    weight: u32,
    #[command(flatten)]
    pub(super) what: WishArgs,
}

/// End what was wished of a real server, and a withdrawal that nothing else would end
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub(super) struct EnableArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// What the daemon knows of the server afterwards, as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    place: WhereArgs,
}

/// Which real servers are meant.
#[derive(Debug, Args)]
pub(super) struct AimArgs {
    /// The real server: address or name, with or without a port
    #[arg(value_name = "SERVER")]
    pub(super) server: String,
    /// Only in this virtual service: in 10.0.0.3:80, in 10.0.0.3:53/udp, in fwmark 7
    #[arg(value_name = "in VIRTUAL")]
    pub(super) within: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct WishArgs {
    #[command(flatten)]
    aim: AimArgs,
    /// End by itself after this long, as in 30m or 2h
    #[arg(long = "for", value_name = "TIME", allow_hyphen_values = true, value_parser = span)]
    span: Option<Duration>,
    /// Why, for those who read it later
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        value_parser = reason
    )]
    reason: String,
    /// Also where it leaves fewer real servers than min_live
    #[arg(long)]
    force: bool,
    /// What the daemon knows of the server afterwards, as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    place: WhereArgs,
}

fn a_weight(text: &str) -> Result<u32, String> {
    let weight = text.parse().ok().filter(|weight| *weight <= Weight::MAX);
    weight.ok_or_else(|| {
        let most = Weight::MAX;
        format!(
            "a weight is a whole number from 0 to {most}, and stands before the real server: lvsmon \
             weight 5 10.0.0.1"
        )
    })
}

fn reason(text: &str) -> Result<String, String> {
    let length = text.trim().len();
    if length > REASON_MAX {
        return Err(format!(
            "a reason is one line of at most {REASON_MAX} bytes; this one has {length}"
        ));
    }
    Ok(text.to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    // What is wrong with it repeats it.
    match timeval(&short(text)) {
        Ok(span) if span < Duration::from_secs(1) => Err("give a second or more".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

impl AimArgs {
    /// Who is meant; the words behind the server may be wrong.
    pub(super) fn aim(&self) -> Result<Aim, String> {
        let within = match self.within.as_slice() {
            [] => None,
            [first, rest @ ..] if first == "in" && !rest.is_empty() => Some(rest.join(" ")),
            [first, ..] => {
                let why = match first.as_str() {
                    "in" => "\"in\" is not understood with nothing behind it".to_owned(),
                    other => format!(
                        "\"{}\" is not understood behind {}: servers are named one at a time",
                        other.escape_debug(),
                        self.server.escape_debug()
                    ),
                };
                return Err(format!("{why}; write SERVER, or SERVER in VIRTUAL"));
            }
        };
        let server = RealServerName(self.server.clone());
        Ok(Aim { server, within })
    }
}

pub(super) fn enable(args: &EnableArgs, out: &mut Output) -> Outcome {
    let aim = match args.aim.aim() {
        Ok(aim) => aim,
        Err(why) => return Ok(misused("enable", Form::of(args.json), &why)),
    };
    let mut daemon = connect(&args.place)?;
    let text = daemon.enable(aim.clone())?;
    if !args.json {
        out.line(&text)?;
    }
    let outcome = enabled(args, &mut daemon, &aim, out);
    let trouble = daemon.journal_trouble();
    unless_gone("enable", &aim, args.json, trouble, outcome)
}

/// Whether the table becomes so without the wish.
fn enabled(args: &EnableArgs, daemon: &mut Client, aim: &Aim, out: &mut Output) -> Outcome {
    let answer = match settled::settled(daemon, aim) {
        // It was kept of a real server that the file lost: nothing in the table waits for it.
        Err(error) if error.reason() == Some(RefusalReason::Unknown) => ServerAnswer {
            time: Clock::start().now().wall.seconds(),
            source: Some(Source::Daemon),
            ..ServerAnswer::default()
        },
        answer => answer?,
    };
    if args.json {
        out.line(&script::json(daemon, &answer)?)?;
        return Ok(code_of(&answer));
    }
    let code = show(&answer, out)?;
    if !answer.servers.is_empty() {
        say_so(code, &answer, out)?;
    }
    refused::line(daemon.refused_reload(), out)?;
    Ok(code)
}

/// What the table has where that is not what was wished, and the exit code.
fn show(answer: &ServerAnswer, out: &mut Output) -> io::Result<ExitCode> {
    let lines = settled::lines(answer);
    for line in &lines {
        out.line(&out.paint(Tone::Bad, line))?;
    }
    Ok(code_of(answer))
}

/// Whether the table has become so.
fn code_of(answer: &ServerAnswer) -> ExitCode {
    if settled::lines(answer).is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_SO)
    }
}

pub(super) fn quiesce(args: &QuiesceArgs, out: &mut Output) -> Outcome {
    order("quiesce", &args.what, ManualWish::Quiesce, out)
}

pub(super) fn disable(args: &DisableArgs, out: &mut Output) -> Outcome {
    order("disable", &args.what, ManualWish::Disable, out)
}

pub(super) fn weight(args: &WeightArgs, out: &mut Output) -> Outcome {
    let weight = args.weight;
    order("weight", &args.what, ManualWish::Weight { weight }, out)
}

pub(super) fn drain(args: &DrainArgs, out: &mut Output) -> Outcome {
    let limit_s = args.deadline.as_secs();
    let wish = ManualWish::Drain { limit_s };
    let aim = match args.what.aim.aim() {
        Ok(aim) => aim,
        Err(why) => return Ok(misused("drain", Form::of(args.what.json), &why)),
    };
    let mut daemon = begin(&args.what, &aim, wish, out)?;
    let outcome = follow(args, &mut daemon, &aim, out);
    let trouble = daemon.journal_trouble();
    unless_gone("drain", &aim, args.what.json, trouble, outcome)
}

/// How the drain goes on, until it is over.
fn follow(args: &DrainArgs, daemon: &mut Client, aim: &Aim, out: &mut Output) -> Outcome {
    let mut answer = settled::settled(daemon, aim)?;
    for warning in answer.warnings() {
        complain(&format!("lvsmon drain: {warning}"));
    }
    let mut code = ended(&args.what, &answer, out)?;
    let is_observer = answer.source == Some(Source::Observer);
    if !args.no_wait && !is_observer {
        let drained = names(&answer);
        let drains;
        (answer, drains) = wait(daemon, aim, answer, &args.what, out)?;
        let gone = gone(&drained, &answer);
        if !args.what.json {
            say_end(&answer, &drains, &gone, out)?;
        }
        code = match ended(&args.what, &answer, out)? {
            ExitCode::SUCCESS if gone.is_empty() => came_to(&answer),
            ExitCode::SUCCESS => ExitCode::from(ENDED),
            code => code,
        };
    }
    finish(&args.what, daemon, &answer, out)?;
    Ok(code)
}

/// The exit code of a wish, by what the table has; a person reads what it is not.
fn ended(what: &WishArgs, answer: &ServerAnswer, out: &mut Output) -> io::Result<ExitCode> {
    if !what.json {
        return show(answer, out);
    }
    Ok(code_of(answer))
}

/// What is said behind all else.
fn finish(
    what: &WishArgs,
    daemon: &Client,
    answer: &ServerAnswer,
    out: &mut Output,
) -> Result<(), Box<dyn std::error::Error>> {
    if what.json {
        out.line(&script::json(daemon, answer)?)?;
    } else {
        refused::line(daemon.refused_reload(), out)?;
    }
    Ok(())
}

/// What came of a drain that was waited for.
fn came_to(answer: &ServerAnswer) -> ExitCode {
    let drains = || {
        let servers = declared(answer);
        servers.map(|server| server.operator.as_ref().and_then(|operator| operator.drain))
    };
    if drains().any(|drain| drain.is_none()) {
        return ExitCode::from(ENDED);
    }
    let is_cut = |drain| matches!(drain, Some(DrainRow::CutOff | DrainRow::Left));
    if drains().any(is_cut) {
        return ExitCode::from(CUT_OFF);
    }
    ExitCode::SUCCESS
}

/// A virtual service and a real server, as answers call them.
type Name = (String, String);

/// Without those that only have the address that was asked for: nothing can be wished of them.
fn declared(answer: &ServerAnswer) -> impl Iterator<Item = &ServerWhy> {
    answer.servers.iter().filter(|it| !it.is_undeclared())
}

fn names(answer: &ServerAnswer) -> BTreeSet<Name> {
    let names = declared(answer).map(|it| (it.virtual_service.clone(), it.real_server.clone()));
    names.collect()
}

/// Those of which the daemon knows no more: a reload took them from the file.
fn gone(drained: &BTreeSet<Name>, answer: &ServerAnswer) -> Vec<Name> {
    drained.difference(&names(answer)).cloned().collect()
}

/// What the daemon knows of the real servers; nothing where it knows them no more.
fn known(
    answer: Result<ServerAnswer, ClientError>,
    before: &ServerAnswer,
) -> Result<ServerAnswer, ClientError> {
    match answer {
        Err(error) if error.reason() == Some(RefusalReason::Unknown) => Ok(ServerAnswer {
            servers: Vec::new(),
            ..before.clone()
        }),
        answer => answer,
    }
}

/// Shows the connections until no drain waits for any more: on a terminal in one line that
/// changes, else a line for each change. What the daemon knows then, and what was seen before.
fn wait(
    daemon: &mut Client,
    aim: &Aim,
    mut answer: ServerAnswer,
    what: &WishArgs,
    out: &mut Output,
) -> Result<(ServerAnswer, BTreeMap<Name, SeenDrain>), Box<dyn std::error::Error>> {
    let is_live = io::stdout().is_terminal() && output::takes_escapes();
    let mut last = Vec::new();
    let mut drains = BTreeMap::new();
    while answer.is_draining() {
        watch(&mut drains, &answer);
        let lines = answer.drain_lines();
        // Without the time that is left, which changes each second.
        let counts = |line: &String| line.split(';').next().unwrap_or_default().to_owned();
        let counts: Vec<String> = lines.iter().map(counts).collect();
        if is_live && !what.json {
            out.live(&lines.join("  |  "))?;
        } else if counts != last && !what.json {
            for line in &lines {
                out.line(line)?;
            }
            out.flush()?;
        }
        last = counts;
        pause(PAUSE);
        let next = known(daemon.why_server(aim), &answer);
        if next.is_err() && is_live && !what.json {
            out.live("")?;
        }
        answer = next?;
    }
    if is_live && !what.json {
        out.live("")?;
    }
    let answer = known(settled::settled(daemon, aim), &answer)?;
    Ok((answer, drains))
}

/// A line on each drain that was waited for.
fn say_end(
    answer: &ServerAnswer,
    drains: &BTreeMap<Name, SeenDrain>,
    gone: &[Name],
    out: &mut Output,
) -> io::Result<()> {
    for (service, name) in gone {
        out.line(&format!("{name} in {service}: {GONE}"))?;
    }
    for server in declared(answer) {
        let (name, service) = (&server.real_server, &server.virtual_service);
        let key = (service.clone(), name.clone());
        let text = end_of(server, drains.get(&key), answer.time);
        out.line(&format!("{name} in {service}: {text}"))?;
    }
    Ok(())
}

/// What came of a drain that was waited for, of which this was seen before.
fn end_of(server: &ServerWhy, seen: Option<&SeenDrain>, now: i64) -> String {
    let wish = server.operator.as_ref();
    let drain = wish.and_then(|operator| operator.drain);
    let text = match (drain, settled::is_settled(server)) {
        (Some(DrainRow::Drained), true) => "drained, and out",
        (Some(DrainRow::Drained), false) => "drained, and to be out",
        (Some(DrainRow::CutOff), true) => "out at the deadline, with active connections",
        (Some(DrainRow::CutOff), false) => "to be out, since the deadline came",
        (Some(DrainRow::Left), _) => return format!("not drained: {}", left(server)),
        (Some(DrainRow::Draining { .. }), _) => "still draining",
        (None, _) => match wish {
            Some(wish) if wish.gives_way => {
                "the drain is not obeyed: with what else is wished min_live would not hold"
            }
            Some(wish) => return format!("not drained: meanwhile there is {}", wish.called()),
            None => {
                let why = seen.map(|seen| seen.ended(now));
                let why = why.unwrap_or_else(|| "it ended at once".to_owned());
                return format!("not drained: {why}");
            }
        },
    };
    text.to_owned()
}

/// How a real server left before its connections had ended.
fn left(server: &ServerWhy) -> String {
    let checks = server.checks.iter();
    let by = checks.filter(|it| it.withdraws.is_some());
    let by: Vec<&str> = by.map(|it| &*it.service).collect();
    let who = match by.as_slice() {
        [] => "somebody or its checks took it out".to_owned(),
        by => format!("its checks took it out ({})", by.join(", ")),
    };
    let where_it_is = match settled::is_settled(server) {
        true => "and it is out",
        false => "and it is to be out",
    };
    format!("{who} with active connections, {where_it_is}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line has no runtime, and nothing else to do"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn order(command: &str, what: &WishArgs, wish: ManualWish, out: &mut Output) -> Outcome {
    let aim = match what.aim.aim() {
        Ok(aim) => aim,
        Err(why) => return Ok(misused(command, Form::of(what.json), &why)),
    };
    let mut daemon = begin(what, &aim, wish, out)?;
    let outcome = settle(what, &mut daemon, &aim, out);
    let trouble = daemon.journal_trouble();
    unless_gone(command, &aim, what.json, trouble, outcome)
}

/// Whether the table becomes as it was wished.
fn settle(what: &WishArgs, daemon: &mut Client, aim: &Aim, out: &mut Output) -> Outcome {
    let answer = settled::settled(daemon, aim)?;
    let code = ended(what, &answer, out)?;
    if !what.json {
        say_so(code, &answer, out)?;
    }
    finish(what, daemon, &answer, out)?;
    Ok(code)
}

/// What was wished is so, or holds once a real server is in.
fn say_so(code: ExitCode, answer: &ServerAnswer, out: &mut Output) -> io::Result<()> {
    if code != ExitCode::SUCCESS {
        return Ok(());
    }
    let noted = settled::noted(answer);
    for line in &noted {
        out.line(&out.paint(Tone::Odd, line))?;
    }
    if noted.is_empty() {
        out.line(&out.paint(Tone::Good, "the kernel's table is so"))?;
    }
    Ok(())
}

/// The daemon that works. One that only observes changes nothing, and is asked by its own folder
/// only.
fn connect(place: &WhereArgs) -> Result<Client, Box<dyn std::error::Error>> {
    Client::connect(&place.statedir()?).map_err(|error| match error {
        ClientError::OnlyObserver { .. } => {
            format!("{error}; wish it of whoever works, such as ldirectord or keepalived").into()
        }
        ClientError::NoDaemon(_)
        | ClientError::NoSocket { .. }
        | ClientError::NotASocket { .. }
        | ClientError::Forbidden(_)
        | ClientError::Slow { .. }
        | ClientError::Deaf { .. }
        | ClientError::Broken { .. }
        | ClientError::Refused(_) => error.into(),
    })
}

fn begin(
    what: &WishArgs,
    aim: &Aim,
    wish: ManualWish,
    out: &mut Output,
) -> Result<Client, Box<dyn std::error::Error>> {
    let mut daemon = connect(&what.place)?;
    let text = daemon.wish(Desire {
        aim: aim.clone(),
        wish,
        for_s: what.span.map(|span| span.as_secs()),
        login: login(),
        reason: what.reason.clone(),
        caution: if what.force {
            Caution::Force
        } else {
            Caution::Refuse
        },
    })?;
    if !what.json {
        out.line(&text)?;
        out.flush()?;
    }
    Ok(daemon)
}

/// Who sits at the terminal, where that is known: behind sudo the one who called it.
fn login() -> Option<String> {
    let names = ["SUDO_USER", "DOAS_USER", "LOGNAME", "USER"];
    let mut names = names.iter().filter_map(|name| env::var(name).ok());
    names.find(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ServerWanted;
    use crate::wire::refusal::Refusal;
    use crate::wire::server::{Expiry, OperatorRow, fixture};

    /// One that is out, by a drain that came so far.
    fn drained(drain: DrainRow) -> ServerWhy {
        ServerWhy {
            hosts: vec!["web1".to_owned()],
            operator: Some(OperatorRow {
                wish: ManualWish::Drain { limit_s: 60 },
                by: "ann".to_owned(),
                reason: String::new(),
                since: 0,
                until: None,
                drain: Some(drain),
                gives_way: false,
            }),
            ..fixture::server(ServerWanted::Out, None)
        }
    }

    #[test]
    fn an_entry_of_the_same_address_that_nobody_declared_is_no_part_of_a_drain() {
        let stranger = ServerWhy {
            virtual_service: "10.0.0.4:80/tcp".to_owned(),
            stranger: true,
            ..fixture::server(ServerWanted::AsFound, Some(1))
        };
        let answer = |servers| ServerAnswer {
            time: 0,
            source: Some(Source::Daemon),
            servers,
            expiry: Expiry::default(),
        };
        let before = answer(vec![drained(DrainRow::Drained), stranger.clone()]);
        assert_eq!(gone(&names(&before), &before), []);
        assert_eq!(came_to(&before), ExitCode::SUCCESS);
        let cut_off = answer(vec![drained(DrainRow::CutOff), stranger.clone()]);
        assert_eq!(came_to(&cut_off), ExitCode::from(CUT_OFF));
        let lost = gone(&names(&before), &answer(vec![stranger]));
        let lost: Vec<&str> = lost.iter().map(|(service, _)| &**service).collect();
        assert_eq!(lost, ["10.0.0.3:80/tcp"]);
    }

    #[test]
    fn only_a_name_that_nobody_has_any_more_is_gone_from_the_file() {
        let before = ServerAnswer {
            time: 0,
            source: Some(Source::Daemon),
            servers: vec![drained(DrainRow::Drained)],
            expiry: Expiry::default(),
        };
        let refused = |reason| Err(ClientError::Refused(Refusal::new(reason, "so")));
        let unknown = known(refused(RefusalReason::Unknown), &before);
        assert_eq!(unknown.expect("an answer").servers, []);
        for reason in [RefusalReason::Unclear, RefusalReason::Other] {
            assert_eq!(
                known(refused(reason), &before).unwrap_err().reason(),
                Some(reason)
            );
        }
    }

    #[test]
    fn of_several_servers_each_wants_a_command_of_its_own() {
        let refused = |words: &[&str]| {
            let args = AimArgs {
                server: "10.0.0.1".to_owned(),
                within: words.iter().map(|it| (*it).to_owned()).collect(),
            };
            args.aim().unwrap_err()
        };
        let way = "; write SERVER, or SERVER in VIRTUAL";
        let text =
            "\"10.0.0.2\" is not understood behind 10.0.0.1: servers are named one at a time";
        assert_eq!(refused(&["10.0.0.2", "10.0.0.3"]), format!("{text}{way}"));
        let text = "\"in\" is not understood with nothing behind it";
        assert_eq!(refused(&["in"]), format!("{text}{way}"));
    }

    #[test]
    fn a_reason_that_would_be_cut_is_refused_with_the_bound() {
        let most = "x".repeat(REASON_MAX);
        assert_eq!(reason(&most), Ok(most.clone()));
        let why = reason(&"x".repeat(20_000)).unwrap_err();
        assert!(
            why.contains("at most 200 bytes; this one has 20000"),
            "{why}"
        );
    }
}
