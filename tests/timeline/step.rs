//! Reading one step of a timeline.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lvsmon::engine::event::{
    AnswerAge, Ended, Event, HostResult, HostVerdict, Memory, Reason, Report, Resolved,
};
use lvsmon::lvs::{ConnectionCounts, GivenWeight, RealServerKey, Weight};
use lvsmon::model::HostName;
use lvsmon::time::{Wall, timeval};

use super::wish::{self, Asked};

/// One line of a story.
pub(crate) enum Step {
    Start { local: DateTime, zone: TimeZone },
    Show(Shown),
    At { after: Duration, doing: Doing },
}

/// What becomes part of the answers from here on.
pub(crate) enum Shown {
    /// Starts of monitors.
    Runs,
    /// Of each call also hosts, exit value, status and standard input.
    Calls,
    /// Of each call and each run also these variables.
    Variables(Vec<String>),
    /// Lines of the alert history.
    History,
    /// Lines of the downtime log.
    Downtime,
}

/// What happens at a moment.
pub(crate) enum Doing {
    Nothing,
    Report {
        service: String,
        report: Told,
    },
    /// A check ends at an address that its name has left.
    Former {
        service: String,
        report: Told,
    },
    SetWall(DateTime),
    Restart(Change),
    Reload(Change, Memory),
    Tell(Box<Event>),
    Ask(Asked),
    Look(Seen),
    /// Somebody put this real server into the kernel.
    Found(RealServerKey, Weight),
    /// Somebody empties the kernel's table.
    Flushed,
}

/// Connections that a look at the kernel's table finds.
pub(crate) struct Seen {
    pub(crate) server: RealServerKey,
    pub(crate) counts: ConnectionCounts,
}

/// How a file differs from the configuration of the story.
pub(crate) enum Change {
    None,
    /// Lines with this text are gone.
    Without(String),
    /// The second text stands in place of the first.
    Replaced(String, String),
}

impl Change {
    /// The file after the change.
    pub(crate) fn of(&self, config: &str) -> String {
        let changed = match self {
            Self::None => return config.to_owned(),
            Self::Without(text) => {
                let lines = config.lines().filter(|line| !line.contains(text));
                lines.collect::<Vec<&str>>().join("\n")
            }
            Self::Replaced(old, new) => config.replace(old, new),
        };
        assert_ne!(changed, config, "the reload changes nothing");
        changed
    }
}

/// What a run found, before it is known which hosts it checked.
pub(crate) struct Told {
    ended: Ended,
    output: String,
    hosts: Vec<(String, HostVerdict, Option<GivenWeight>)>,
}

impl Step {
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let words = split(line)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["start", day, time, zone] => Ok(Self::Start {
                local: local(day, time)?,
                zone: self::zone(zone)?,
            }),
            ["show", rest @ ..] => Ok(Self::Show(shown(rest)?)),
            [at, rest @ ..] => {
                let after = at.strip_prefix('+').ok_or("a step begins with +TIME")?;
                Ok(Self::At {
                    after: span(after)?,
                    doing: doing(rest)?,
                })
            }
            [] => Err("an empty step".to_owned()),
        }
    }
}

fn shown(words: &[&str]) -> Result<Shown, String> {
    Ok(match words {
        ["runs"] => Shown::Runs,
        ["calls"] => Shown::Calls,
        ["history"] => Shown::History,
        ["downtime"] => Shown::Downtime,
        ["variables", names @ ..] => {
            Shown::Variables(names.iter().map(|&name| name.to_owned()).collect())
        }
        _ => return Err("runs, calls, variables NAME..., history or downtime".to_owned()),
    })
}

fn doing(words: &[&str]) -> Result<Doing, String> {
    if let Some(asked) = Asked::parse(words)? {
        return Ok(Doing::Ask(asked));
    }
    if let Some(trap) = wish::trap(words) {
        return Ok(Doing::Tell(Box::new(Event::Trap(trap))));
    }
    Ok(match words {
        [] => Doing::Nothing,
        ["wall", day, time] => Doing::SetWall(local(day, time)?),
        ["restart", rest @ ..] => Doing::Restart(change(rest)?),
        ["reload", rest @ ..] => Doing::Reload(change(rest)?, Memory::Kept),
        ["look", server, active, persistent] => {
            let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
            let server = server.parse().map_err(|_| "not an address")?;
            Doing::Look(Seen {
                server: RealServerKey(server),
                counts: ConnectionCounts {
                    active: number(active)?,
                    inactive: 0,
                    persistent: number(persistent)?,
                },
            })
        }
        ["found", server, weight] => {
            let server = server.parse().map_err(|_| "not an address")?;
            let weight = weight.parse().map_err(|_| "not a weight")?;
            Doing::Found(RealServerKey(server), Weight(weight))
        }
        ["flushed"] => Doing::Flushed,
        ["reset"] => Doing::Reload(Change::None, Memory::Forgotten),
        [word @ ("resolved" | "kept"), host, answer @ ..] => {
            let addresses: Result<Vec<_>, _> = answer.iter().map(|text| text.parse()).collect();
            Doing::Tell(Box::new(Event::Resolved(vec![Resolved {
                host: HostName::new(host),
                answer: Ok(addresses.map_err(|_| "not an address")?),
                age: match *word {
                    "kept" => AnswerAge::Kept,
                    _ => AnswerAge::Fresh,
                },
            }])))
        }
        ["former", service, rest @ ..] => Doing::Former {
            service: (*service).to_owned(),
            report: told(rest)?,
        },
        [service, rest @ ..] => Doing::Report {
            service: (*service).to_owned(),
            report: told(rest)?,
        },
    })
}

fn change(words: &[&str]) -> Result<Change, String> {
    Ok(match words {
        [] => Change::None,
        ["without", text] => Change::Without(unquoted(text)),
        [old, new] => Change::Replaced(unquoted(old), unquoted(new)),
        _ => return Err("nothing, without TEXT, or OLD NEW".to_owned()),
    })
}

fn told(words: &[&str]) -> Result<Told, String> {
    let mut told = Told {
        ended: Ended::Exited(0),
        output: String::new(),
        hosts: Vec::new(),
    };
    for word in words {
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
        match word.split_once('=') {
            _ if word.starts_with('"') => told.output = unquoted(word),
            Some(("exit", exit)) => told.ended = Ended::Exited(number(exit)?),
            Some(("signal", signal)) => told.ended = Ended::Signalled(number(signal)?),
            Some(("cannot", reason)) => told.ended = Ended::NotStarted(unquoted(reason)),
            Some((host, verdict)) => {
                let (code, weight) = match verdict.split_once('@') {
                    Some((code, weight)) => {
                        let weight = GivenWeight::parse(weight).ok_or("not a weight")?;
                        (code, Some(weight))
                    }
                    None => (verdict, None),
                };
                let verdict = match code {
                    "up" => HostVerdict::Up,
                    _ => HostVerdict::Down(reason(code)?),
                };
                told.hosts.push((host.to_owned(), verdict, weight));
            }
            None if *word == "timeout" => told.ended = Ended::TimedOut(Duration::from_secs(600)),
            None => return Err(format!("{word} is no part of a report")),
        }
    }
    Ok(told)
}

impl Told {
    /// The report of a run that checked these hosts.
    pub(crate) fn of(self, checked: &[HostName]) -> Report {
        let results = self.hosts.into_iter().map(|(host, verdict, weight)| {
            let host = HostName::new(&host);
            assert!(checked.contains(&host), "{host} was not checked");
            HostResult {
                text: String::new(),
                weight,
                took: Duration::ZERO,
                host,
                verdict,
            }
        });
        Report {
            ended: self.ended,
            output: self.output.into_bytes(),
            hosts: results.collect(),
            took: Duration::from_millis(1),
        }
    }
}

fn reason(code: &str) -> Result<Reason, String> {
    let value = serde_json::Value::String(code.to_owned());
    serde_json::from_value(value).map_err(|_| format!("{code} is no reason"))
}

fn local(day: &str, time: &str) -> Result<DateTime, String> {
    let text = format!("{day}T{time}");
    text.parse().map_err(|why| format!("{text}: {why}"))
}

/// POSIX zones need no files, so the stories are the same on every machine.
fn zone(text: &str) -> Result<TimeZone, String> {
    match text {
        "UTC" => Ok(TimeZone::UTC),
        posix => TimeZone::posix(posix).map_err(|why| why.to_string()),
    }
}

/// The moment of a local time; of two in autumn the first.
pub(crate) fn wall(local: DateTime, zone: &TimeZone) -> Wall {
    let moment = zone.to_ambiguous_zoned(local).compatible().unwrap();
    Wall::from_micros(moment.timestamp().as_microsecond())
}

/// `1h30m20.5s`: time values of mon.cf, one after another.
fn span(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let letter = |c: char| c.is_ascii_alphabetic();
        let end = rest.find(letter).ok_or("a time ends with its unit")? + 1;
        total += timeval(&rest[..end]).map_err(|why| why.to_string())?;
        rest = &rest[end..];
    }
    Ok(total)
}

/// Words at blanks; a quoted text is one word, or the end of one.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        if letter == '"' {
            quoted = !quoted;
        }
        if letter == ' ' && !quoted {
            words.push(String::new());
        } else {
            words.last_mut().unwrap().push(letter);
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// A word without its quotes; `\n` is a new line.
pub(crate) fn unquoted(word: &str) -> String {
    word.trim_matches('"').replace("\\n", "\n")
}
