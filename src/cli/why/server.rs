//! `lvsmon why SERVER`: one real server, in each virtual service that it is in.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::cli::output::{Output, Tone};
use crate::cli::why::readable;
use crate::cli::why::section::whole;
use crate::cli::why::sheet::Sheet;
use crate::cli::why::weight::weight;
use crate::engine::event::Reason;
use crate::lvs::RealServerKey;
use crate::model::HostName;
use crate::wire::contest::ContestRow;
use crate::wire::server::{
    BackOffRow, CheckRow, CountRow, DrainRow, LastRow, LookRow, OperatorRow, OwnRule, RoleRow,
    SectionRow, ServerAnswer, ServerWhy, TripwireRow, WaitsFor,
};
use crate::wire::{ServerActual, ServerWanted, Source, Verdict};

/// Prints the answer. 0 where the server is in everywhere with a weight above 0, else 1.
pub(super) fn print(answer: &ServerAnswer, out: &mut Output) -> io::Result<ExitCode> {
    if answer.source == Some(Source::Observer) {
        let text = "lvsmon only observes: this is what it wants, and nothing is changed";
        out.line(&out.paint(Tone::Odd, text))?;
    }
    for (index, server) in answer.servers.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        let sheet = Sheet::new(answer.time, out);
        let source = answer.source;
        Page {
            server,
            source,
            sheet,
        }
        .print()?;
    }
    Ok(exit_code(answer))
}

pub(super) fn exit_code(answer: &ServerAnswer) -> ExitCode {
    if answer.servers.iter().all(is_in) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether new connections may reach it.
fn is_in(server: &ServerWhy) -> bool {
    let is_there = matches!(server.actual, ServerActual::In | ServerActual::Differs);
    is_there && server.weight.is_some_and(|weight| weight > 0)
}

struct Page<'a> {
    server: &'a ServerWhy,
    source: Option<Source>,
    sheet: Sheet<'a>,
}

/// What a virtual service does with a real server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// New connections reach it.
    In,
    /// It has weight 0.
    Quiesced,
    Out,
}

impl Place {
    const fn with(weight: u32) -> Self {
        match weight {
            0 => Self::Quiesced,
            1.. => Self::In,
        }
    }

    /// None where nothing is wanted, or nobody wrote it down.
    fn wanted(server: &ServerWhy) -> Option<Self> {
        match (server.wanted, server.wanted_weight) {
            (ServerWanted::In, weight) => Some(weight.map_or(Self::In, Self::with)),
            (ServerWanted::Out, _) if server.stranger => None,
            (ServerWanted::Out, _) => Some(Self::Out),
            (ServerWanted::AsFound, _) => None,
        }
    }

    /// None where nobody looked yet.
    fn actual(server: &ServerWhy) -> Option<Self> {
        match (server.actual, server.weight) {
            (ServerActual::Unknown, _) => None,
            (ServerActual::Out, _) | (_, None) => Some(Self::Out),
            (ServerActual::In | ServerActual::Differs, Some(weight)) => Some(Self::with(weight)),
        }
    }
}

/// What is wanted of a real server and what the kernel does with it, where the two differ.
#[derive(Debug, PartialEq, Eq)]
struct Odds {
    /// Before the name of the virtual service.
    wanted: &'static str,
    /// Behind it.
    with: &'static str,
    actual: String,
    why: &'static str,
}

impl Odds {
    /// None where they agree, and where nothing is wanted or nobody looked yet.
    fn of(server: &ServerWhy, source: Option<Source>) -> Option<Self> {
        let wanted = Place::wanted(server)?;
        let actual = match server.look {
            LookRow::Unreadable { last } => LastRow::unknown(last),
            LookRow::Read | LookRow::NotYet => {
                let actual = Place::actual(server)?;
                if wanted == actual {
                    return None;
                }
                let weight = server.weight.unwrap_or_default();
                match actual {
                    Place::Out => "is not in the table".to_owned(),
                    Place::In | Place::Quiesced => format!("is in the table with weight {weight}"),
                }
            }
        };
        let rests = |it: &ContestRow| it.rests_until.is_some();
        Some(Self {
            wanted: match wanted {
                Place::In | Place::Quiesced => "wanted in",
                Place::Out => "wanted out of",
            },
            with: match wanted {
                Place::Quiesced => " with weight 0",
                Place::In | Place::Out => "",
            },
            actual,
            why: if source == Some(Source::Observer) {
                ": lvsmon only observes"
            } else if server.contested.iter().any(rests) {
                ": somebody else changes it again and again, left so for a while"
            } else {
                ""
            },
        })
    }
}

impl Page<'_> {
    fn print(&mut self) -> io::Result<()> {
        self.head()?;
        let server = self.server;
        for check in server.checks.iter().filter(|it| it.withdraws.is_some()) {
            self.withdrawal(check)?;
        }
        if let Some(operator) = &server.operator {
            let text = self.wish(operator);
            self.sheet.painted("operator", Tone::Odd, &text)?;
        }
        self.kernel()?;
        if let Some(section) = &server.section {
            if let Some(by) = &section.weight_by {
                let (tone, text) = weight(by, |at| self.sheet.moment(at));
                self.sheet.toned("weight", tone, &text)?;
            }
            self.state(server, section)?;
            self.whole(section)?;
        }
        for check in server.checks.iter().filter(|it| it.withdraws.is_none()) {
            self.content(check)?;
        }
        if let Some(text) = unchecked(server) {
            self.sheet.painted("check", Tone::Odd, text)?;
        }
        for check in &server.checks {
            for row in &check.held_up {
                self.sheet.held_up(row, &check.service)?;
            }
        }
        for check in &server.checks {
            self.tripwire(check)?;
        }
        for trouble in &server.trouble {
            self.sheet.painted("trouble", Tone::Bad, trouble)?;
        }
        for contested in &server.contested {
            let text = contested.text(|seconds| self.sheet.moment(seconds));
            self.sheet.painted("trouble", Tone::Bad, &text)?;
        }
        for (index, back) in server.back.iter().enumerate() {
            let at = back.at.map(|at| format!(" at {}", self.sheet.moment(at)));
            let name = if index == 0 { "back with" } else { "and with" };
            self.sheet
                .field(name, &format!("{}{}", back.text, at.unwrap_or_default()))?;
        }
        Ok(())
    }

    fn head(&mut self) -> io::Result<()> {
        let server = self.server;
        let (word, tone) = match (server.wanted, server.wanted_weight) {
            (ServerWanted::In, Some(0)) => ("in with weight 0", Tone::Odd),
            (ServerWanted::In, _) => ("in", Tone::Good),
            (ServerWanted::Out, _) if server.stranger => ("unwanted", Tone::Bad),
            (ServerWanted::Out, _) => ("out", Tone::Bad),
            (ServerWanted::AsFound, _) => ("left as found", Tone::Odd),
        };
        let since = server
            .since
            .map(|since| format!(" since {}", self.sheet.moment(since)));
        let name = self.sheet.out.paint(Tone::Heading, &server.real_server);
        let word = self.sheet.out.paint(tone, word);
        let hosts = hosts(server);
        let since = since.unwrap_or_default();
        let service = &server.virtual_service;
        if let Some(odds) = Odds::of(server, self.source) {
            let wanted = self.sheet.out.paint(Tone::Odd, odds.wanted);
            let Odds {
                with, actual, why, ..
            } = odds;
            let line =
                format!("{name}{hosts} is {wanted} {service}{with}{since}, but {actual}{why}");
            return self.sheet.out.line(&line);
        }
        let of = match (server.wanted, server.wanted_weight) {
            (ServerWanted::Out, _) if server.stranger => " in",
            (ServerWanted::Out, _) => " of",
            (ServerWanted::In, Some(0)) | (ServerWanted::AsFound, _) => " in",
            (ServerWanted::In, _) => "",
        };
        let line = format!("{name}{hosts} is {word}{of} {service}{since}");
        self.sheet.out.line(&line)
    }

    fn withdrawal(&mut self, check: &CheckRow) -> io::Result<()> {
        let service = &check.service;
        let Some((withdrawn, checked)) = withdrawal(check, |at| self.sheet.moment(at)) else {
            return Ok(());
        };
        self.sheet.painted("withdrawn", Tone::Bad, &withdrawn)?;
        if let Some(checked) = checked {
            self.sheet.field("checked", &checked)?;
        }
        if let (Some(what), Some(since)) = (&check.lacks, check.kept_since) {
            let since = self.sheet.moment(since);
            let text = format!(
                "{service} has not run since {since} and never does, as it has no {what}: what it \
                 said then goes on counting; give it one, or let another service decide"
            );
            self.sheet.painted("kept", Tone::Odd, &text)?;
        }
        self.results(check)
    }

    /// The newest first, as a person looks for them.
    fn results(&mut self, check: &CheckRow) -> io::Result<()> {
        for (index, row) in check.results.iter().rev().enumerate() {
            let times = self.sheet.times(row.first, row.last, row.count);
            let name = if index == 0 { "results" } else { "" };
            self.sheet
                .field(name, &format!("{times} {}", row.words()))?;
        }
        Ok(())
    }

    fn content(&mut self, check: &CheckRow) -> io::Result<()> {
        let is_void = check.results.last().and_then(|it| it.reason) == Some(Reason::Witness);
        let verdict = match (check.verdict, check.count) {
            (Verdict::Up, _) if is_void => {
                "was up, and what it says now counts for nothing: the director is cut off"
                    .to_owned()
            }
            (Verdict::Up, _) => "up".to_owned(),
            (Verdict::Down, Some(CountRow { bad, fall, .. })) if bad < fall => {
                format!(
                    "down ({}), {bad} of the {fall} failures in a row that withdraw it",
                    code(check)
                )
            }
            (Verdict::Down, _) => format!("down ({}), and does not withdraw it (yet)", code(check)),
            (Verdict::Unknown, _) => "says nothing".to_owned(),
        };
        let time = match check.last_check {
            Some(time) => format!(", checked {}", self.sheet.moment(time)),
            None => ", not checked yet".to_owned(),
        };
        if check.restored && check.lacks.is_none() {
            let text = before_the_restart(check, &time);
            self.sheet.painted("check", Tone::Odd, &text)?;
            return self.results(check);
        }
        let lacks = match (&check.lacks, check.kept_since) {
            (None, _) => String::new(),
            (Some(what), None) => {
                format!("; it never runs, since it has no {what}: only a trap speaks for it")
            }
            (Some(what), Some(since)) => {
                let since = self.sheet.moment(since);
                format!(
                    "; it has not run since {since} and never does, as it has no {what}: what it \
                     said then goes on counting"
                )
            }
        };
        self.sheet.field(
            "check",
            &format!("{} {verdict}{time}{lacks}", check.service),
        )?;
        self.results(check)
    }

    /// What is special about its place in the section.
    fn state(&mut self, server: &ServerWhy, section: &SectionRow) -> io::Result<()> {
        let special = state(server, section, |at| self.sheet.moment(at));
        match special {
            Some((name, text)) => self.sheet.painted(name, Tone::Odd, &text),
            None => Ok(()),
        }
    }

    /// How the section as a whole stands.
    fn whole(&mut self, section: &SectionRow) -> io::Result<()> {
        let (tone, text) = whole(section, self.server.look);
        self.sheet.toned("section", tone, &text)
    }

    fn tripwire(&mut self, check: &CheckRow) -> io::Result<()> {
        let service = &check.service;
        let text = match check.tripwire {
            None => return Ok(()),
            Some(TripwireRow::Armed { since }) => {
                let since = self.sheet.moment(since);
                format!("{service}: armed, its connection is held since {since}")
            }
            Some(TripwireRow::BacksOff { why, wait, until }) => {
                let (wait, until) = (readable(wait), self.sheet.moment(until));
                let why = match why {
                    BackOffRow::Closes => "the server closes idle connections",
                    BackOffRow::Resets => {
                        "the server is good in ordinary checks but ends each connection at once \
                         and refuses the check behind it"
                    }
                };
                format!("{service}: backs off {wait} until {until}: {why}")
            }
            Some(TripwireRow::Tripped) => {
                format!("{service}: its connection ended, the check goes on")
            }
            Some(TripwireRow::Off) => format!("{service}: armed with the next good check"),
            Some(TripwireRow::NoRoom) => {
                format!("{service}: off, as many connections are held as there may be")
            }
        };
        self.sheet.field("tripwire", &text)
    }

    fn wish(&self, row: &OperatorRow) -> String {
        let mut text = format!("{} since {}", row.called(), self.sheet.moment(row.since));
        if let Some(until) = row.until {
            text.push_str(&format!(", until {}", self.sheet.moment(until)));
        }
        if row.gives_way {
            text.push_str(
                "; not obeyed: with what else is wished min_live would not hold; it counts again \
                 when others are enabled, or with --force",
            );
            return text;
        }
        match row.drain {
            Some(DrainRow::Draining {
                deadline,
                waits_for,
            }) => {
                text.push_str(&format!("; {}", waits_for.words()));
                if waits_for == WaitsFor::Connections {
                    text.push_str(&format!(" until {}", self.sheet.moment(deadline)));
                }
            }
            Some(DrainRow::Drained) => text.push_str("; drained"),
            Some(DrainRow::CutOff) => text.push_str("; out at the deadline"),
            Some(DrainRow::Left) => {
                text.push_str("; not drained: it left the table with active connections");
            }
            None => {}
        }
        text
    }

    fn kernel(&mut self) -> io::Result<()> {
        let server = self.server;
        let mut text = match (server.actual, server.weight) {
            (ServerActual::Unknown, _) => match server.look {
                LookRow::Read => "no address to look for".to_owned(),
                LookRow::NotYet => "not looked at yet".to_owned(),
                LookRow::Unreadable { last } => LastRow::unknown(last),
            },
            (ServerActual::Out, _) | (_, None) => "not in the table".to_owned(),
            (ServerActual::In | ServerActual::Differs, Some(weight)) => format!("weight {weight}"),
        };
        if let Some(counts) = server.connections {
            text.push_str(&format!(
                "; connections {} active, {} inactive, {} persistent",
                counts.active, counts.inactive, counts.persistent
            ));
        }
        let wanted = server
            .wanted_weight
            .filter(|wanted| Some(*wanted) != server.weight);
        if let Some(wanted) = wanted {
            text.push_str(&format!("; wanted with weight {wanted}"));
        }
        self.sheet.field("kernel", &text)
    }
}

/// The words of the file that stand for a real server, behind its address.
fn hosts(server: &ServerWhy) -> String {
    let hosts: Vec<&str> = server.hosts.iter().map(String::as_str).collect();
    let address = server.real_server.parse::<SocketAddr>();
    let is_its_own = |host: &str| match &address {
        Ok(address) => RealServerKey(*address).is_called(host),
        Err(_) => server.real_server == host,
    };
    match hosts.as_slice() {
        [] if server.stranger => " (not in the file)".to_owned(),
        [] => " (no longer in the file)".to_owned(),
        [host] if is_its_own(host) => String::new(),
        hosts => format!(" ({})", hosts.join(" ")),
    }
}

/// Who withdraws it and why, and what the latest check says, where there was one; none where the
/// check does not withdraw it.
fn withdrawal(
    check: &CheckRow,
    moment: impl Fn(i64) -> String,
) -> Option<(String, Option<String>)> {
    let withdraws = check.withdraws?;
    let (service, since) = (&check.service, moment(withdraws.since));
    let text = match &*check.about.of(&check.text) {
        "" => String::new(),
        text => format!(": {text}"),
    };
    let withdrawn = format!("by {service} since {since}, {}", withdraws.reason);
    let Some(time) = check.last_check else {
        return Some((format!("{withdrawn}{text}"), None));
    };
    if check.restored {
        let checked = format!("last {}, before the restart{text}", moment(time));
        return Some((withdrawn, Some(checked)));
    }
    let now = match check.verdict {
        Verdict::Up => "this host is up".to_owned(),
        Verdict::Down => format!("this host is down ({})", code(check)),
        Verdict::Unknown => "says nothing about this host".to_owned(),
    };
    let checked = format!("last {}: {now}", moment(time));
    // The words are those of the latest check, which may be good, or fail for another reason.
    Some(
        if check.verdict == Verdict::Down && check.reason == Some(withdraws.reason) {
            (format!("{withdrawn}{text}"), Some(checked))
        } else {
            (withdrawn, Some(format!("{checked}{text}")))
        },
    )
}

/// What a service says of which nothing was heard since the restart; `time` is of before.
fn before_the_restart(check: &CheckRow, time: &str) -> String {
    let before = match check.verdict {
        Verdict::Up => "up".to_owned(),
        Verdict::Down => format!("down ({})", code(check)),
        Verdict::Unknown => "nothing is known of this host".to_owned(),
    };
    format!(
        "{} no verdict since the restart; before it {before}{time}",
        check.service
    )
}

/// Whether it is the fallback of its section.
fn is_fallback(server: &ServerWhy, section: &SectionRow) -> bool {
    let is_its_role = matches!(
        section.role,
        Some(RoleRow::FallbackIn | RoleRow::FallbackOut)
    );
    let is_it = server.checks.is_empty() && section.role == Some(RoleRow::AsFound);
    is_its_role
        || is_it
            && section
                .fallback
                .as_deref()
                .is_some_and(|it| is_called(server, it))
}

/// Whether a `HOST:PORT` of the file stands for it.
fn is_called(server: &ServerWhy, fallback: &str) -> bool {
    let port = server.real_server.parse::<SocketAddr>().map(|it| it.port());
    let mut hosts = server.hosts.iter();
    server.real_server == fallback
        || port.is_ok_and(|port| hosts.any(|host| HostName::new(host).with_port(port) == fallback))
}

/// What is said of a real server of a section that no service checks; the fallback needs none.
fn unchecked(server: &ServerWhy) -> Option<&'static str> {
    let is_fallback = is_fallback(server, server.section.as_ref()?);
    (server.checks.is_empty() && !is_fallback && !server.stranger).then_some(
        "none: no service of its section checks it (none is named there, or exclude_hosts names \
         it), so nothing withdraws it",
    )
}

/// What is special about the place of a real server in its section, and what that is called.
fn state(
    server: &ServerWhy,
    section: &SectionRow,
    moment: impl Fn(i64) -> String,
) -> Option<(&'static str, String)> {
    let until = section.role_ends.map(moment);
    let until = until.unwrap_or_else(|| "its time is over".to_owned());
    let said_by = |rule| match section.own_rules.contains(&rule) {
        true => "its own line",
        false => "its section",
    };
    let text = match (section.role?, section.slow_start) {
        (RoleRow::Serves, Some(share)) => {
            let text = format!("at {share}% of its weight, all of it at {until}");
            return Some(("slow start", text));
        }
        (RoleRow::Kept, _) => {
            let least = section.min_live;
            let what = match server.checks.iter().any(|check| check.withdraws.is_some()) {
                true => "it is withdrawn",
                false => "it has weight 0 by its check",
            };
            format!("kept in although {what}: min_live asks for {least}")
        }
        (RoleRow::QuiescedByCheck, _) => {
            "healthy, with weight 0 by its check: new connections go elsewhere".to_owned()
        }
        (RoleRow::QuiescedByFile, _) => {
            "weight 0 in the file: new connections go elsewhere".to_owned()
        }
        (RoleRow::Quiesced, _) => {
            let by = said_by(OwnRule::OnFailure);
            format!("weight 0 while it is withdrawn (on_failure quiesce, by {by})")
        }
        (RoleRow::Draining, _) => {
            format!("weight 0 until its connections have ended, at {until} at the latest")
        }
        (RoleRow::InUntested, _) => "in before its first verdict".to_owned(),
        (RoleRow::OutUntested, _) => {
            let by = said_by(OwnRule::Initial);
            format!("out before its first verdict (initial out, by {by})")
        }
        (RoleRow::AsFound, _) if is_fallback(server, section) => {
            "it is the fallback, left as it was found until the real servers have verdicts"
                .to_owned()
        }
        (RoleRow::AsFound, _) => {
            "left as it was found before its first verdict (initial as_found)".to_owned()
        }
        (RoleRow::Unseen, _) => {
            "nothing changes before the first look at the kernel's table".to_owned()
        }
        (RoleRow::FallbackIn, _) if server.wanted_weight == Some(0) => {
            "it is the fallback, with weight 0: it takes nobody's place".to_owned()
        }
        (RoleRow::FallbackIn, _) if Place::actual(server) == Some(Place::In) => {
            "it is the fallback, and serves until a real server does again".to_owned()
        }
        (RoleRow::FallbackIn, _) => {
            "it is the fallback, wanted to serve until a real server does again".to_owned()
        }
        (RoleRow::FallbackOut, _) => {
            "it is the fallback, in only while no real server serves".to_owned()
        }
        // What an operator wishes has its own line.
        (RoleRow::Serves | RoleRow::Out | RoleRow::QuiescedByWish | RoleRow::OutByWish, _) => {
            return None;
        }
    };
    Some(("state", text))
}

fn code(check: &CheckRow) -> &'static str {
    check.reason.map_or("no reason", |reason| reason.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::recent::About;
    use crate::wire::server::fixture::{self, section};
    use crate::wire::server::{ServedRow, WithdrawsRow};

    fn server(wanted: Option<u32>, kernel: Option<u32>) -> ServerWhy {
        ServerWhy {
            wanted_weight: wanted,
            ..fixture::server(
                wanted.map_or(ServerWanted::Out, |_| ServerWanted::In),
                kernel,
            )
        }
    }

    fn said(server: &ServerWhy, source: Source) -> String {
        Odds::of(server, Some(source)).map_or_else(String::new, |it| {
            let (wanted, with) = (it.wanted, it.with);
            format!("{wanted} V{with}, but {}{}", it.actual, it.why)
        })
    }

    #[test]
    fn what_is_wanted_and_what_the_kernel_has_are_both_said_where_they_differ() {
        for (wanted, kernel, expected) in [
            (Some(5), Some(5), ""),
            (Some(5), Some(3), ""),
            (Some(0), Some(0), ""),
            (None, None, ""),
            (Some(5), None, "wanted in V, but is not in the table"),
            (
                Some(0),
                None,
                "wanted in V with weight 0, but is not in the table",
            ),
            (
                Some(5),
                Some(0),
                "wanted in V, but is in the table with weight 0",
            ),
            (
                Some(0),
                Some(5),
                "wanted in V with weight 0, but is in the table with weight 5",
            ),
            (
                None,
                Some(5),
                "wanted out of V, but is in the table with weight 5",
            ),
        ] {
            let server = server(wanted, kernel);
            assert_eq!(said(&server, Source::Daemon), expected);
        }
        let missing = server(Some(5), None);
        assert_eq!(
            said(&missing, Source::Observer),
            "wanted in V, but is not in the table: lvsmon only observes"
        );
        let contested = |rests_until| ServerWhy {
            contested: vec![ContestRow {
                virtual_service: missing.virtual_service.clone(),
                real_server: Some(missing.real_server.clone()),
                what: "takes it out".to_owned(),
                rests_until,
            }],
            ..missing.clone()
        };
        assert_eq!(
            said(&contested(Some(9)), Source::Daemon),
            "wanted in V, but is not in the table: somebody else changes it again and again, left \
             so for a while"
        );
        assert_eq!(
            said(&contested(None), Source::Daemon),
            "wanted in V, but is not in the table"
        );
        let unseen = ServerWhy {
            actual: ServerActual::Unknown,
            ..missing.clone()
        };
        let stranger = ServerWhy {
            stranger: true,
            ..server(None, Some(5))
        };
        let as_found = ServerWhy {
            wanted: ServerWanted::AsFound,
            ..missing.clone()
        };
        for nothing in [unseen, stranger, as_found] {
            assert_eq!(said(&nothing, Source::Daemon), "");
        }
    }

    #[test]
    fn it_is_said_whether_the_line_or_the_section_says_the_rule() {
        let said = |role, own_rules: &[OwnRule]| {
            let section = SectionRow {
                role: Some(role),
                own_rules: own_rules.to_vec(),
                ..section()
            };
            state(&server(Some(5), Some(5)), &section, |_| String::new()).map(|(_, text)| text)
        };
        let (failure, initial) = (OwnRule::OnFailure, OwnRule::Initial);
        for (role, own, expected) in [
            (
                RoleRow::Quiesced,
                [failure],
                "weight 0 while it is withdrawn (on_failure quiesce, by its own line)",
            ),
            (
                RoleRow::Quiesced,
                [initial],
                "weight 0 while it is withdrawn (on_failure quiesce, by its section)",
            ),
            (
                RoleRow::OutUntested,
                [initial],
                "out before its first verdict (initial out, by its own line)",
            ),
            (
                RoleRow::OutUntested,
                [failure],
                "out before its first verdict (initial out, by its section)",
            ),
        ] {
            assert_eq!(said(role, &own).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_wanted_is_called_wanted_where_the_table_cannot_be_read() {
        let unread = |last, wanted, role| ServerWhy {
            actual: ServerActual::Unknown,
            look: LookRow::Unreadable { last },
            section: Some(SectionRow {
                role: Some(role),
                served_by: Some(ServedRow::Fallback),
                ..section()
            }),
            ..server(wanted, None)
        };
        let (out, serves) = (RoleRow::Out, RoleRow::Serves);
        for (server, head) in [
            (
                unread(Some(LastRow::In(1)), None, out),
                "wanted out of V, but nobody knows what the kernel has (last seen: in the table with \
                 weight 1)",
            ),
            (
                unread(Some(LastRow::Out), Some(5), serves),
                "wanted in V, but nobody knows what the kernel has (last seen: not in the table)",
            ),
            (
                unread(None, Some(5), serves),
                "wanted in V, but nobody knows what the kernel has",
            ),
        ] {
            assert_eq!(said(&server, Source::Daemon), head);
            let section = server.section.as_ref().unwrap();
            assert_eq!(
                whole(section, server.look).1,
                "2 of 9 real servers are wanted to serve, min_live 1; the fallback is wanted to \
                 serve; but nobody knows whom new connections reach"
            );
        }
        let unseen = unread(None, None, RoleRow::Unseen);
        let section = unseen.section.as_ref().unwrap();
        assert_eq!(
            whole(section, unseen.look).1,
            "nobody knows how many of 9 real servers serve, min_live 1: nothing is decided before \
             the first look at the kernel's table"
        );
        let fallback = unread(Some(LastRow::Out), Some(1), RoleRow::FallbackIn);
        let section = fallback.section.as_ref().unwrap();
        let (_, text) = state(&fallback, section, |_| String::new()).unwrap();
        assert_eq!(
            text,
            "it is the fallback, wanted to serve until a real server does again"
        );
    }

    #[test]
    fn an_address_that_the_file_says_is_not_said_twice() {
        for (real_server, host, expected) in [
            ("192.168.0.1:80", "192.168.0.1", ""),
            ("[fd00::1]:80", "fd00::1", ""),
            ("[fd00::1]:80", "FD00:0::1", ""),
            ("[fd00::1]:80", "www1", " (www1)"),
            ("192.168.0.1:80", "192", " (192)"),
            ("www1", "www1", ""),
        ] {
            let server = ServerWhy {
                real_server: real_server.to_owned(),
                hosts: vec![host.to_owned()],
                ..server(None, None)
            };
            assert_eq!(hosts(&server), expected, "{real_server} {host}");
        }
    }

    #[test]
    fn the_time_of_a_withdrawal_is_not_that_of_its_newest_reason() {
        let (timeout, refused) = (Reason::Timeout, Reason::Refused);
        let first = "by web/http since 3, ";
        for (withdrawn, verdict, reason, last, expected) in [
            // The newest reason is what withdraws it.
            (
                refused,
                Verdict::Down,
                Some(refused),
                Some(9),
                ("refused: why", Some("last 9: this host is down (refused)")),
            ),
            // Nobody has looked again since a restart.
            (
                refused,
                Verdict::Unknown,
                None,
                None,
                ("refused: why", None),
            ),
            // What only a person ends keeps its reason.
            (
                timeout,
                Verdict::Down,
                Some(refused),
                Some(9),
                ("timeout", Some("last 9: this host is down (refused): why")),
            ),
            (
                timeout,
                Verdict::Up,
                None,
                Some(9),
                ("timeout", Some("last 9: this host is up: why")),
            ),
            (
                timeout,
                Verdict::Unknown,
                None,
                Some(9),
                ("timeout", Some("last 9: says nothing about this host: why")),
            ),
        ] {
            let check = CheckRow {
                verdict,
                reason,
                text: "why".to_owned(),
                last_check: last,
                withdraws: Some(WithdrawsRow {
                    reason: withdrawn,
                    since: 3,
                    until_enabled: withdrawn == timeout,
                }),
                ..fixture::check()
            };
            let (withdrawn, checked) = withdrawal(&check, |at| at.to_string()).unwrap();
            let found = (withdrawn.as_str(), checked.as_deref());
            let words = format!("{first}{}", expected.0);
            assert_eq!(found, (words.as_str(), expected.1));
        }
    }

    #[test]
    fn what_a_check_found_before_a_restart_is_said_to_be_of_then() {
        let check = |verdict, reason, about, withdraws: Option<i64>| CheckRow {
            verdict,
            reason,
            about,
            text: "h1".to_owned(),
            last_check: Some(9),
            restored: true,
            withdraws: withdraws.map(|since| WithdrawsRow {
                reason: Reason::Timeout,
                since,
                until_enabled: false,
            }),
            ..fixture::check()
        };
        let known = check(Verdict::Unknown, None, About::Named, Some(3));
        let expected = (
            "by web/http since 3, timeout".to_owned(),
            Some("last 9, before the restart: named in \"h1\"".to_owned()),
        );
        assert_eq!(withdrawal(&known, |at| at.to_string()), Some(expected));
        for (verdict, reason, expected) in [
            (Verdict::Up, None, "up"),
            (Verdict::Down, Some(Reason::Refused), "down (refused)"),
            (Verdict::Unknown, None, "nothing is known of this host"),
        ] {
            let check = check(verdict, reason, About::Host, None);
            let text = before_the_restart(&check, ", checked 9");
            let said = "web/http no verdict since the restart; before it";
            assert_eq!(text, format!("{said} {expected}, checked 9"));
        }
    }

    #[test]
    fn a_fallback_that_was_found_in_is_said_to_be_the_fallback() {
        let found = |real_server: &str, hosts: &[&str]| {
            let section = SectionRow {
                role: Some(RoleRow::AsFound),
                fallback: Some("sorry:81".to_owned()),
                ..section()
            };
            ServerWhy {
                section: Some(section),
                real_server: real_server.to_owned(),
                hosts: hosts.iter().map(ToString::to_string).collect(),
                checks: Vec::new(),
                ..server(Some(5), Some(5))
            }
        };
        let said = |server: &ServerWhy| {
            let section = server.section.as_ref().unwrap();
            let (_, text) = state(server, section, |at| at.to_string()).unwrap();
            (text, unchecked(server).is_some())
        };
        let it = "it is the fallback, left as it was found until the real servers have verdicts";
        let other = "left as it was found before its first verdict (initial as_found)";
        for (real_server, hosts, text, is_unchecked) in [
            ("10.0.0.1:81", &["sorry"][..], it, false),
            ("10.0.0.1:80", &["sorry"], other, true),
            ("10.0.0.1:81", &["web"], other, true),
        ] {
            let found = said(&found(real_server, hosts));
            assert_eq!(
                found,
                (text.to_owned(), is_unchecked),
                "{real_server} {hosts:?}"
            );
        }
    }

    #[test]
    fn a_server_that_no_service_checks_is_said_to_be_so() {
        let with = |role| {
            let section = SectionRow {
                role: Some(role),
                ..section()
            };
            ServerWhy {
                section: Some(section),
                ..server(Some(5), Some(5))
            }
        };
        let text = unchecked(&with(RoleRow::Serves)).unwrap_or_default();
        assert!(
            text.starts_with("none: no service of its section"),
            "{text}"
        );
        assert_eq!(unchecked(&with(RoleRow::FallbackOut)), None);
        assert_eq!(unchecked(&server(Some(5), Some(5))), None);
    }
}
