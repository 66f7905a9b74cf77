//! `lvsmon alert NAME`: a built-in alert as a program, for mon itself or for a person.
//!
//! The words are mon's marks (`-s -g -h -t -l`, `-u -T -O -a -D`) and the options of the
//! built-in, in any order; `MON_*` variables say what marks cannot. It delivers once, without
//! a spool: whoever calls it learns from the exit status. Where mail goes is said by
//! `LVSMON_MAIL_RELAY`, `LVSMON_MAIL_FROM`, `LVSMON_MAIL_DOMAIN` and `LVSMON_MAIL_LOGIN`,
//! which mean what the globals `mail_relay` and so on mean; a service of mon.cf can set them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::alert::lvs;
use crate::alert::mail::{self, Email, Mailer};
use crate::alert::message;
use crate::alert::notice::{Notice, detail_of, summary_of};
use crate::alert::secret::Secret;
use crate::alert::trap::{self, Told};
use crate::alert::webhook::{Posted, Poster};
use crate::clock::Clock;
use crate::engine::event::{AlertKind, Status};
use crate::model::{MailRelay, MailSettings};
use crate::options::mail::MailOptions;
use crate::options::trap::TrapOptions;
use crate::options::webhook::WebhookOptions;
use crate::options::words::{Word, words};
use crate::options::{AlertOptions, OptionError, OptionErrors};
use crate::time::Wall;

/// Why a stand-alone alert did nothing, or not all it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StandaloneError {
    /// Wrong words on the command line: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Not delivered: exit status 1.
    #[error("{0}")]
    Failed(String),
}

/// Delivers one alert, once.
///
/// `name` is that of the built-in with or without `.alert`; `stdin` was read by the caller to
/// its end. With `--help` it prints how it is used.
///
/// # Errors
///
/// Wrong words, or a delivery that failed.
pub async fn standalone(name: &str, args: &[String], stdin: &[u8]) -> Result<(), StandaloneError> {
    let bare = name.strip_suffix(".alert").unwrap_or(name);
    let Some(usage) = usage(bare) else {
        let known = AlertOptions::NAMES.map(|name| name.trim_end_matches(".alert"));
        let text = format!(
            "no built-in is called \"{name}\"; known are {}",
            known.join(", ")
        );
        return Err(StandaloneError::Usage(text));
    };
    if args.first().is_some_and(|first| first == "--help") {
        // A closed pipe is no fault.
        let _ = writeln!(std::io::stdout(), "usage: lvsmon alert {usage}\n{MARKS}");
        return Ok(());
    }
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let wrong = |error: OptionErrors| {
        StandaloneError::Usage(format!("{error}\nusage: lvsmon alert {usage}"))
    };
    let now = Clock::start().now().wall;
    match bare {
        "mail" => {
            let (marks, own) = marks(args, MailOptions::LETTERS).map_err(wrong)?;
            let options = MailOptions::parse(&own).map_err(wrong)?;
            let notice = marks.notice(&environment, stdin, options.subject.as_deref(), now);
            mail(&options, notice, settings(&environment)?).await
        }
        "webhook" => {
            let (marks, own) = marks(args, WebhookOptions::LETTERS).map_err(wrong)?;
            let options = WebhookOptions::parse(&own).map_err(wrong)?;
            let notice = marks.notice(&environment, stdin, None, now);
            webhook(&options, &notice, now).await
        }
        "trap" => {
            let (marks, own) = marks(args, TrapOptions::LETTERS).map_err(wrong)?;
            let options = TrapOptions::parse(&own).map_err(wrong)?;
            let notice = marks.notice(&environment, stdin, None, now);
            trap(&options, &notice, &environment, stdin).await
        }
        "lvs" | "ipvs" => lvs::standalone(args, &environment, stdin).await,
        _ => Err(StandaloneError::Failed(format!(
            "{bare} cannot stand alone yet"
        ))),
    }
}

const MARKS: &str = "\
mon adds: -s SERVICE -g GROUP -h \"HOST...\" -t EPOCH [-u|-a|-D|-T|-O]
standard input: first line = summary, the rest = detail";

fn usage(bare: &str) -> Option<&'static str> {
    Some(match bare {
        "mail" => "mail [-f FROM] [-S SUBJECT] ADDRESS...",
        "trap" => "trap [-U USER] [-P PASSWORD | -f FILE] [-o OPSTATUS] HOST[:PORT]...",
        "webhook" => "webhook [-k KEYFILE] [-w SECS] [-H 'NAME: VALUE']... URL",
        "lvs" | "ipvs" => lvs::USAGE,
        _ => return None,
    })
}

/// What mon passes to every alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks {
    service: String,
    group: String,
    hosts: String,
    time: Option<i64>,
    next_alert: Option<String>,
    kind: Option<AlertKind>,
}

/// Letters of mon's marks, as [`words`] wants them.
const MARK_LETTERS: &str = "s:g:h:t:l:uTOaD";

/// Tells mon's marks from the words of the built-in, whose letters are given.
fn marks(args: &[String], own_letters: &str) -> Result<(Marks, Vec<String>), OptionErrors> {
    let mut marks = Marks::default();
    let mut own = Vec::new();
    let mut plain = Vec::new();
    for (index, word) in words(args, &format!("{MARK_LETTERS}{own_letters}"))? {
        match word {
            Word::Value('s', value) => value.clone_into(&mut marks.service),
            Word::Value('g', value) => value.clone_into(&mut marks.group),
            Word::Value('h', value) => value.clone_into(&mut marks.hosts),
            Word::Value('l', value) => marks.next_alert = Some(value.to_owned()),
            Word::Value('t', value) => {
                let time = value.trim().parse().map_err(|_| {
                    OptionError::new(
                        index,
                        format!("-t takes seconds since 1970, not \"{value}\""),
                    )
                })?;
                marks.time = Some(time);
            }
            Word::Flag('u') => marks.kind = Some(AlertKind::Up),
            Word::Flag('T') => marks.kind = Some(AlertKind::Trap),
            Word::Flag('O') => marks.kind = Some(AlertKind::TrapTimeout),
            Word::Flag('a') => marks.kind = Some(AlertKind::Ack),
            Word::Flag('D') => marks.kind = Some(AlertKind::Disable),
            Word::Value(letter, value) => own.extend([format!("-{letter}"), value.to_owned()]),
            Word::Flag(letter) => own.push(format!("-{letter}")),
            Word::Plain(word) => plain.push(word.to_owned()),
        }
    }
    own.push("--".to_owned());
    own.extend(plain);
    Ok((marks, own))
}

impl Marks {
    fn notice(
        self,
        environment: &BTreeMap<String, String>,
        stdin: &[u8],
        subject: Option<&str>,
        now: Wall,
    ) -> Notice {
        let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let text = |mark: String, name: &str| {
            let found = if mark.is_empty() {
                variable(name).cloned()
            } else {
                Some(mark)
            };
            found.unwrap_or_else(|| "unknown".to_owned())
        };
        let kind = variable("MON_ALERTTYPE").and_then(|word| AlertKind::of(word));
        let kind = kind.or(self.kind).unwrap_or(AlertKind::Failure);
        let group = text(self.group, "MON_GROUP");
        let service = text(self.service, "MON_SERVICE");
        let seconds = self.time.unwrap_or_else(|| now.seconds());
        let first_failure = variable("MON_FIRST_FAILURE")
            .and_then(|value| value.parse().ok())
            .filter(|&seconds: &i64| seconds > 0);
        Notice {
            event: format!(
                "{group}/{service}/{}/{}/{seconds}",
                first_failure.unwrap_or(seconds),
                kind.word()
            ),
            kind,
            group,
            service,
            period: String::new(),
            description: variable("MON_DESCRIPTION").cloned(),
            hosts: self.hosts.split_whitespace().map(str::to_owned).collect(),
            time: Wall::from_seconds(seconds),
            summary: subject.map_or_else(|| summary_of(stdin), str::to_owned),
            detail: detail_of(stdin),
            status: match variable("MON_OPSTATUS").map(String::as_str) {
                Some("1") => Status::Ok,
                Some("7") => Status::Untested,
                Some(_) => Status::Fail,
                None if kind == AlertKind::Up => Status::Ok,
                None => Status::Fail,
            },
            exit: variable("MON_RETVAL").and_then(|value| value.parse().ok()),
            first_failure: first_failure.map(Wall::from_seconds),
            results: Vec::new(),
            next_alert: self.next_alert,
            left_out: 0,
        }
    }
}

fn settings(environment: &BTreeMap<String, String>) -> Result<MailSettings, StandaloneError> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let relay = match variable("LVSMON_MAIL_RELAY") {
        Some(text) => text
            .parse()
            .map_err(|why| StandaloneError::Usage(format!("LVSMON_MAIL_RELAY: {why}")))?,
        None => MailRelay::Default,
    };
    Ok(MailSettings {
        relay,
        from: variable("LVSMON_MAIL_FROM").cloned(),
        domain: variable("LVSMON_MAIL_DOMAIN").cloned(),
        login: variable("LVSMON_MAIL_LOGIN").map(PathBuf::from),
        ..MailSettings::default()
    })
}

/// Sends one mail to all recipients of a line, once.
pub(crate) async fn mail(
    options: &MailOptions,
    notice: Notice,
    settings: MailSettings,
) -> Result<(), StandaloneError> {
    let mailer = Mailer::new(settings);
    let failed = StandaloneError::Failed;
    let from = mailer.sender(options.from.as_deref()).map_err(failed)?;
    let mut faults = Vec::new();
    let mut to = Vec::new();
    for word in &options.recipients {
        match mailer.complete(word) {
            Ok(address) if to.contains(&address) => {}
            Ok(address) => to.push(address),
            Err(why) => faults.push(why),
        }
    }
    if !to.is_empty() {
        let events = vec![notice.event.clone()];
        let email = Email {
            message_id: message::message_id(
                events.iter().chain(&to).map(String::as_str),
                mailer.domain(),
            ),
            date: notice.time,
            from: from.clone(),
            to: to.clone(),
            text: message::text(&[notice], &TimeZone::system()),
            events,
        };
        let bytes = mail::bytes(&email).map_err(failed)?;
        let mut session = mailer.open().await.map_err(failed)?;
        let results = session.send(&from, &to, &bytes).await.map_err(failed)?;
        session.close().await;
        for (recipient, result) in to.iter().zip(results) {
            if let Err(fault) = result {
                faults.push(format!("{recipient}: {}", fault.reason()));
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(StandaloneError::Failed(faults.join("; ")))
    }
}

/// Posts one message, once.
pub(crate) async fn webhook(
    options: &WebhookOptions,
    notice: &Notice,
    now: Wall,
) -> Result<(), StandaloneError> {
    let mailer = Mailer::new(MailSettings::default());
    match Poster::new()
        .post(options, notice, mailer.host(), now)
        .await
    {
        Posted::Done => Ok(()),
        Posted::Refused(why)
        | Posted::Later(why)
        | Posted::Closed(why, _)
        | Posted::Unsent(why) => Err(StandaloneError::Failed(why)),
    }
}

async fn trap(
    options: &TrapOptions,
    notice: &Notice,
    environment: &BTreeMap<String, String>,
    stdin: &[u8],
) -> Result<(), StandaloneError> {
    let number = environment.get("MON_OPSTATUS");
    let number = number.and_then(|number| number.parse().ok());
    let told = Told {
        group: &notice.group,
        service: &notice.service,
        exit: notice.exit,
        opstatus: number.unwrap_or(notice.status.number()),
        input: stdin,
        time: notice.time.seconds(),
        user: environment.get("MON_TRAP_USER").cloned(),
        password: environment.get("MON_TRAP_PASS").cloned().map(Secret::new),
    };
    if told.exit.is_none() {
        let why = "nothing is sent without MON_RETVAL, which acknowledgements and disables lack";
        return Err(StandaloneError::Failed(why.to_owned()));
    }
    let sent = trap::tell(options, told).await;
    sent.map_err(StandaloneError::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn marks_and_own_options_are_told_apart_in_any_order() {
        let line = [
            "-S",
            "text",
            "-s",
            "http",
            "-g",
            "farm",
            "-h",
            "web1 web2",
            "-t",
            "17",
            "-u",
            "root",
            "-x",
        ];
        let (marks, own) = marks(&args(&line), MailOptions::LETTERS).unwrap();
        assert_eq!(own, ["-S", "text", "--", "root", "-x"]);
        let expected = Marks {
            service: "http".to_owned(),
            group: "farm".to_owned(),
            hosts: "web1 web2".to_owned(),
            time: Some(17),
            next_alert: None,
            kind: Some(AlertKind::Up),
        };
        assert_eq!(marks, expected);
        assert!(super::marks(&args(&["-t", "noon"]), "").is_err());
        assert!(super::marks(&args(&["-q"]), "").is_err());
    }

    #[test]
    fn variables_say_what_marks_cannot() {
        let environment: BTreeMap<String, String> = [
            ("MON_ALERTTYPE", "startup"),
            ("MON_GROUP", "farm"),
            ("MON_SERVICE", "http"),
            ("MON_FIRST_FAILURE", "11"),
            ("MON_RETVAL", "3"),
            ("MON_OPSTATUS", "7"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let now = Wall::from_seconds(20);
        let notice = Marks::default().notice(&environment, b"sum\ndetail", None, now);
        assert_eq!(notice.event, "farm/http/11/startup/20");
        assert_eq!((notice.exit, notice.status), (Some(3), Status::Untested));
        assert_eq!(
            (notice.summary.as_str(), notice.detail.as_str()),
            ("sum", "detail")
        );
        let plain = Marks::default().notice(&BTreeMap::new(), b"", Some("subject"), now);
        assert_eq!(plain.kind, AlertKind::Failure);
        assert_eq!(
            (plain.group.as_str(), plain.summary.as_str()),
            ("unknown", "subject")
        );
    }
}
