//! Reading a story: a configuration, scripted monitors, what happens in between, what is called.
//!
//! Three parts, divided by lines `----`. First the configuration, which the whole story goes
//! by. Then steps, the answers of clients indented under them:
//!
//! ```text
//! runs web/http: 1 "h1\nmore\n" x3; 0; signal=9; 1 takes=30s
//!                      what the monitor does, run by run: exit value, output, how often, how
//!                      long (0.1 s); behind the last entry it hangs
//! before web/http 3: ACTION...     while the third run goes on, before its result
//! +30s: ACTION                     so long after the start (not on a real daemon)
//! show MON_ACK MON_RETVAL          these variables are part of each call
//! until 90s                        the story is over (not on a real daemon: when all is said)
//! ```
//!
//! An action is a line of a client, or one of
//!
//! ```text
//! !trap web/http 1 "summary" "detail"       a trap that was let in
//! !reload "old text" "new text"             SIGHUP, with another text in the file
//! !reload
//! !restart                                  kill -9, and a new daemon; also with a change
//! ```
//!
//! Last come the calls, service by service and in the order in which they were made:
//!
//! ```text
//! web/http 3 failure: page.alert ops | h1 h2 | 1 fail | "h1\nmore\n"
//! ```
//!
//! where 3 is how often the monitor had been started by then; then hosts, exit value and
//! status, standard input.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use lvsmon::time::timeval;
use regex::Regex;

/// One story, as it is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) config: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) scripts: BTreeMap<String, Vec<Entry>>,
    pub(crate) shown: Vec<String>,
    pub(crate) until: Duration,
    /// What is expected to be called, in lines.
    pub(crate) calls: Vec<String>,
}

/// One line of the middle part, with what it takes to play it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// As it stands there.
    pub(crate) line: String,
    pub(crate) action: Option<(When, Action)>,
    /// The answers that are expected.
    pub(crate) answers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// While this run of this service goes on.
    Before(String, usize),
    After(Duration),
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Client(String),
    Trap(Vec<String>),
    Reload(Option<(String, String)>),
    Restart(Option<(String, String)>),
}

/// What one run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) exit: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) output: String,
    pub(crate) takes: Duration,
}

/// One call of an alert.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `GROUP/SERVICE`
    pub(crate) service: String,
    pub(crate) run: usize,
    pub(crate) kind: String,
    /// Program and words.
    pub(crate) command: String,
    pub(crate) hosts: String,
    /// Exit value; `-` without one.
    pub(crate) exit: String,
    /// Word of the status.
    pub(crate) status: String,
    pub(crate) input: String,
    pub(crate) variables: BTreeMap<String, String>,
}

impl Call {
    /// The line of a story, with the variables that it shows.
    pub(crate) fn line(&self, shown: &[String]) -> String {
        let mut line = format!(
            "{} {} {}: {} | {} | {} {} | {:?}",
            self.service,
            self.run,
            self.kind,
            self.command,
            self.hosts,
            self.exit,
            self.status,
            self.input
        );
        for name in shown {
            let _ = match self.variables.get(name) {
                Some(value) => write!(line, " {name}={:?}", masked(value)),
                None => write!(line, " {name} unset"),
            };
        }
        line
    }
}

impl Story {
    /// Reads one; the message names the line that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split("\n----\n");
        let (Some(config), Some(steps), Some(calls), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("a story has three parts with lines ---- between".to_owned());
        };
        let mut story = Self {
            config: format!("{config}\n"),
            calls: calls.lines().map(str::to_owned).collect(),
            until: Duration::from_secs(600),
            ..Self::default()
        };
        for line in steps.lines() {
            story
                .step(line)
                .map_err(|error| format!("{line}: {error}"))?;
        }
        Ok(story)
    }

    /// The text of the story with other answers and calls.
    pub(crate) fn retold(&self, answers: &[Vec<String>], calls: &[String]) -> String {
        let mut text = format!("{}----\n", self.config);
        for (step, answers) in self.steps.iter().zip(answers) {
            let _ = writeln!(text, "{}", step.line);
            for answer in answers {
                let _ = writeln!(text, "    {answer}");
            }
        }
        text.push_str("----\n");
        for call in calls {
            let _ = writeln!(text, "{call}");
        }
        text
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        if let Some(answer) = line.strip_prefix("    ") {
            let step = self.steps.last_mut().ok_or("an answer to nothing")?;
            step.answers.push(answer.to_owned());
            return Ok(());
        }
        let mut action = None;
        if let Some(rest) = line.strip_prefix("runs ") {
            let (service, script) = rest.split_once(": ").ok_or("runs GROUP/SERVICE: ...")?;
            self.scripts.insert(service.to_owned(), entries(script)?);
        } else if let Some(rest) = line.strip_prefix("before ") {
            let (run, what) = rest.split_once(": ").ok_or("before GROUP/SERVICE N: ...")?;
            let (service, number) = run.split_once(' ').ok_or("before GROUP/SERVICE N: ...")?;
            let number = number.parse().map_err(|_| "no number of a run")?;
            let when = When::Before(service.to_owned(), number);
            action = Some((when, self::action(what)?));
        } else if let Some(rest) = line.strip_prefix('+') {
            let (after, what) = rest.split_once(": ").ok_or("+TIME: ...")?;
            action = Some((When::After(span(after)?), self::action(what)?));
        } else if let Some(rest) = line.strip_prefix("show ") {
            self.shown = rest.split(' ').map(str::to_owned).collect();
        } else if let Some(rest) = line.strip_prefix("until ") {
            self.until = span(rest)?;
        } else if !line.is_empty() {
            return Err("no step".to_owned());
        }
        self.steps.push(Step {
            line: line.to_owned(),
            action,
            answers: Vec::new(),
        });
        Ok(())
    }
}

fn action(text: &str) -> Result<Action, String> {
    let words = words(text)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(match words.as_slice() {
        ["!trap", rest @ ..] => Action::Trap(rest.iter().map(|&word| word.to_owned()).collect()),
        ["!reload", change @ ..] => Action::Reload(self::change(change)?),
        ["!restart", change @ ..] => Action::Restart(self::change(change)?),
        [word, ..] if word.starts_with('!') => return Err(format!("no action {word}")),
        _ => Action::Client(text.to_owned()),
    })
}

fn change(words: &[&str]) -> Result<Option<(String, String)>, String> {
    match words {
        [] => Ok(None),
        [old, new] => Ok(Some(((*old).to_owned(), (*new).to_owned()))),
        _ => Err("nothing, or old and new text".to_owned()),
    }
}

/// `1 "h1\n" x3; 0; signal=9 takes=5s`
fn entries(script: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for part in split(script, ';')? {
        let mut entry = Entry {
            exit: 0,
            signal: None,
            output: String::new(),
            takes: Duration::from_millis(100),
        };
        let mut times = 1;
        for word in split(part.trim(), ' ')? {
            match word.split_once('=') {
                _ if word.starts_with('"') => entry.output = unescaped(&word),
                Some(("signal", signal)) => entry.signal = signal.parse().ok(),
                Some(("takes", span)) => entry.takes = self::span(span)?,
                Some(_) => return Err(format!("{word} is no part of a run")),
                None => match (word.strip_prefix('x'), word.parse()) {
                    (Some(count), _) => times = count.parse().map_err(|_| "x and a number")?,
                    (None, Ok(exit)) => entry.exit = exit,
                    (None, Err(_)) => return Err(format!("{word} is no part of a run")),
                },
            }
        }
        entries.extend(std::iter::repeat_n(entry, times));
    }
    Ok(entries)
}

/// `1h30m20.5s`: time values of mon.cf, one after another.
fn span(text: &str) -> Result<Duration, String> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let letter = |c: char| c.is_ascii_alphabetic();
        let end = rest.find(letter).ok_or("a time ends with its unit")? + 1;
        total += timeval(&rest[..end]).map_err(|why| why.to_string())?;
        rest = &rest[end..];
    }
    Ok(total)
}

/// Words at blanks, quoted ones without their quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let words = split(text, ' ')?;
    Ok(words.iter().map(|word| unescaped(word)).collect())
}

/// Parts between separators outside of double quotes.
fn split(text: &str, separator: char) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for letter in text.chars() {
        if letter == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = letter == '\\' && !escaped;
        parts.last_mut().unwrap().push(letter);
    }
    if quoted && separator != ' ' {
        return Err("a quote is not closed".to_owned());
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// A text without its quotes, as Rust writes it.
fn unescaped(word: &str) -> String {
    let inner = word
        .strip_prefix('"')
        .and_then(|word| word.strip_suffix('"'));
    let Some(inner) = inner else {
        return word.to_owned();
    };
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        text.push(match (letter, letters.as_str().chars().next()) {
            ('\\', Some(next)) => {
                letters.next();
                match next {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                }
            }
            _ => letter,
        });
    }
    text
}

/// What no two runs have in common, and what stands for it.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let masks = [
        (
            r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)( |\\20)[A-Z][a-z]{2}( |\\20){1,2}\d{1,2}( |\\20)\d\d:\d\d:\d\d( |\\20)\d{4}",
            "<ctime>",
        ),
        (r"\b(1[6-9]|2\d)\d{8}(\.\d+)?\b", "<time>"),
        (r"\\20(1[6-9]|2\d)\d{8}\b", "\\20<time>"),
        (
            r" (timer|failure_duration|monitor_duration|monitor_running)=[0-9.]+",
            " $1=<n>",
        ),
        (r"PID \d+@\S+", "PID <pid>"),
        (r"^server \d+$", "server <pid>"),
    ];
    let compiled = masks.map(|(pattern, mask)| (Regex::new(pattern).unwrap(), mask));
    compiled.into()
});

/// A text with `<time>`, `<n>` and `<pid>` in place of what no two runs have in common.
pub(crate) fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, mask) in &*MASKS {
        text = pattern.replace_all(&text, *mask).into_owned();
    }
    text
}
