//! Which monitor makes a check of ldirectord's or keepalived's?
//!
//! The built-in one where there is one that says the same; else a check plugin of the package
//! monitoring-plugins under `plugin.monitor`; programs of the operator's own under `misc.monitor`.
//!
//! ldirectord and keepalived look at the status *and* at the page, which `http.monitor -m` has
//! in one expression over the whole response.

use std::cell::RefCell;
use std::time::Duration;

use crate::effort::visit;
use crate::import::{Place, Remarks};
use crate::options::http::HttpOptions;

/// Said of each section that uses check plugins.
pub(super) const PLUGINS_NEEDED: &str =
    "needs check plugins: the packages monitoring-plugins-basic and monitoring-plugins-standard";

/// How a real server is looked at. Limits are for one real server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Check {
    /// An echo request.
    Ping { limit: Duration, tries: u32 },
    /// A TCP connection.
    Connect { port: u16, limit: Duration },
    /// A page.
    Page(Page),
    /// The greeting of an FTP server.
    Ftp { port: u16, limit: Duration },
    /// A plugin of monitoring-plugins; `%h` in its arguments stands for the host.
    Plugin {
        name: &'static str,
        args: Vec<String>,
        limit: Duration,
    },
    /// A program of the operator's; `%h` in its arguments stands for the host.
    Program {
        words: Vec<String>,
        limit: Duration,
        exits: Exits,
    },
}

impl Check {
    /// A plugin that is told host and port as all of them are.
    pub(super) fn plugin(name: &'static str, port: u16, args: &[&str], limit: Duration) -> Self {
        let common = ["-H", "%h", "-p", &port.to_string()].map(str::to_owned);
        let args = args.iter().map(|it| (*it).to_owned());
        Self::Plugin {
            name,
            args: common.into_iter().chain(args).collect(),
            limit,
        }
    }
}

/// A page and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub(super) port: u16,
    pub(super) limit: Duration,
    pub(super) path: String,
    /// Host header, and the name in TLS.
    pub(super) name: Option<String>,
    pub(super) is_tls: bool,
    /// Good status codes, each range with both ends.
    pub(super) statuses: Vec<(u16, u16)>,
    pub(super) content: Option<Content>,
}

/// What a page has to contain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    /// The expression as it stands in the file.
    pub(super) regex: String,
    /// Its flags as letters of the `regex` crate, such as `i`.
    pub(super) flags: String,
}

/// What exit values of a program mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exits {
    /// 0 is good, all others are not.
    Zero,
    /// keepalived's `misc_dynamic`: only 1 is bad, and those above give the weight.
    Weight,
}

impl Check {
    /// What is left of it where letters of its words could not be read: it would ask for
    /// something that nobody wrote. Of a page the connection is, of others nothing.
    pub(super) fn legible(self, place: &Place, remarks: &mut Remarks) -> Option<Self> {
        if !self.words().iter().any(|word| word.contains('\u{fffd}')) {
            return Some(self);
        }
        let name = self.name();
        let (left, instead) = match self {
            Self::Page(page) => {
                let (port, limit) = (page.port, page.limit);
                let left = Self::Connect { port, limit };
                (Some(left), "a connection is checked instead")
            }
            Self::Ping { .. }
            | Self::Connect { .. }
            | Self::Ftp { .. }
            | Self::Plugin { .. }
            | Self::Program { .. } => (None, "it is left out"),
        };
        let text = format!(
            "the check {name} has letters that are not in UTF-8; {instead}. Save the file in UTF-8 \
             and import it again"
        );
        remarks.lost(place, text);
        left
    }

    /// The name of its service.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ping { .. } => "ping",
            Self::Connect { .. } => "tcp",
            Self::Page(page) if page.is_tls => "https",
            Self::Page(_) => "http",
            Self::Ftp { .. } => "ftp",
            Self::Plugin { name, .. } => name.strip_prefix("check_").unwrap_or(name),
            Self::Program { .. } => "program",
        }
    }

    /// The words of its monitor line.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Self::Ping { limit, tries } => {
                // fping.monitor takes -r 0 for its default, and waits longer for each further try.
                let retries = tries.saturating_sub(1).clamp(1, 10).to_string();
                let limit = limit.as_millis().clamp(10, 60_000).to_string();
                of(&["fping.monitor", "-t", &limit, "-r", &retries])
            }
            Self::Connect { port, limit } => on_port("tcp.monitor", *port, *limit),
            Self::Ftp { port, limit } => on_port("ftp.monitor", *port, *limit),
            Self::Page(page) => page.words(),
            Self::Plugin { name, args, limit } => {
                let own = whole_seconds(*limit);
                // The plugin's own limit comes first: it ends with a verdict.
                let outer = whole_seconds(limit.saturating_add(Duration::from_secs(5)));
                let mut words = of(&["plugin.monitor", "-t", &outer, "--", name]);
                words.extend(args.iter().cloned());
                words.extend(of(&["-t", &own]));
                words
            }
            Self::Program {
                words: program,
                limit,
                exits,
            } => program_words(program, *limit, *exits),
        }
    }
}

fn program_words(program: &[String], limit: Duration, exits: Exits) -> Vec<String> {
    let mut words = of(&["misc.monitor", "-t", &seconds(limit)]);
    match exits {
        Exits::Zero => {}
        Exits::Weight => words.push("-d".to_owned()),
    }
    words.push("--".to_owned());
    // The monitor wants to know where it is; keepalived looks along PATH.
    if !program.first().is_some_and(|it| it.starts_with('/')) {
        words.push("/usr/bin/env".to_owned());
    }
    words.extend(program.iter().cloned());
    words
}

impl Page {
    fn words(&self) -> Vec<String> {
        let mut words = on_port("http.monitor", self.port, self.limit);
        if self.is_tls {
            // Neither of the two programs looks at certificates.
            words.extend(of(&["-s", "-k"]));
        }
        if let Some(name) = &self.name {
            words.extend(of(&["-n", name]));
        }
        words.extend(of(&["-u", &self.path, "-m", &self.pattern()]));
        words
    }

    /// One expression over status line, headers and page.
    fn pattern(&self) -> String {
        let codes: Vec<String> = self.statuses.iter().map(|it| codes(*it)).collect();
        let codes = match codes.as_slice() {
            [one] if !one.contains('|') => one.clone(),
            _ => format!("(?:{})", codes.join("|")),
        };
        let status = format!("^HTTP/[0-9.]+ {codes}");
        let Some(content) = &self.content else {
            return status;
        };
        let flags = match content.flags.contains('s') {
            true => content.flags.clone(),
            false => format!("{}-s", content.flags),
        };
        let each = alternatives(&content.regex).into_iter().map(|regex| {
            // The page begins after the blank line, not where the response does.
            let (between, regex) = match regex.strip_prefix('^') {
                Some(rest) => ("", rest),
                None => (".*", regex),
            };
            format!("{between}(?{flags}:{})", with_last_newline(regex))
        });
        let each: Vec<String> = each.collect();
        let page = match each.as_slice() {
            [one] => one.clone(),
            _ => format!("(?:{})", each.join("|")),
        };
        format!(r"{status}.*?\r?\n\r?\n{page}")
    }

    /// Takes out what the monitor would refuse, and says of each why.
    fn mend(&mut self) -> Vec<String> {
        let refusal = |page: &Self| {
            visit();
            let words = page.words();
            HttpOptions::parse(words.get(1..).unwrap_or_default()).err()
        };
        let is_of_lines = |it: &Content| it.flags.contains('m') || it.regex.contains("(?");
        let never_matches = |it: &Content| !is_of_lines(it) && has_inner_start(&it.regex);
        let content = self.content.as_ref();
        let never_matches = content.is_some_and(never_matches);
        // Nothing is to be mended in most pages: one try shows it.
        if !never_matches && refusal(self).is_none() {
            return Vec::new();
        }
        let mut found = Vec::new();
        // Each by itself, so that one is not left out for another's sake.
        let plain = Self {
            path: "/".to_owned(),
            name: None,
            content: None,
            ..self.clone()
        };
        let name = Self {
            name: self.name.clone(),
            ..plain.clone()
        };
        if refusal(&name).is_some() {
            found.push("the virtual host is no host name and is left out".to_owned());
            self.name = None;
        }
        let path = Self {
            path: self.path.clone(),
            ..plain.clone()
        };
        if refusal(&path).is_some() {
            found.push("the path cannot be asked for as it stands; / is asked for".to_owned());
            self.path = "/".to_owned();
        }
        if never_matches {
            let text = "the page is not compared: write ^ at the beginning of the expression or \
                        of an alternative, not inside";
            found.push(text.to_owned());
            self.content = None;
        }
        let content = Self {
            content: self.content.clone(),
            ..plain
        };
        if let Some(error) = refusal(&content) {
            found.push(format!(
                "the page is not compared, since the expression is not understood: {error}"
            ));
            self.content = None;
        }
        found
    }
}

/// How many pages are remembered that were mended: a virtual service asks for a few.
const MENDED_MAX: usize = 16;

/// Pages that were mended already. To try one, expressions are compiled, which takes a hundred
/// times as long as all else of a real server, and thousands of them may ask for the same page.
#[derive(Debug, Default)]
pub(super) struct MendedPages(RefCell<Vec<Mended>>);

#[derive(Debug)]
struct Mended {
    before: Page,
    after: Page,
    remarks: Vec<String>,
}

impl MendedPages {
    /// Takes out of a page what the monitor would refuse, and says of each why.
    pub(super) fn mend(&self, page: &mut Page) -> Vec<String> {
        let mut known = self.0.borrow_mut();
        if let Some(found) = known.iter().find(|it| it.before == *page) {
            page.clone_from(&found.after);
            return found.remarks.clone();
        }
        let before = page.clone();
        let remarks = page.mend();
        if known.len() == MENDED_MAX {
            known.remove(0);
        }
        known.push(Mended {
            before,
            after: page.clone(),
            remarks: remarks.clone(),
        });
        remarks
    }
}

/// The alternatives of an expression, as far as any of them begins with `^`: that is then said
/// of this one alone. Those in groups are left as they are.
fn alternatives(regex: &str) -> Vec<&str> {
    let mut bars = vec![];
    let mut depth = 0_usize;
    for (at, letter) in bare(regex) {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => bars.push(at),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let mut rest = regex;
    for at in bars.into_iter().rev() {
        let (before, after) = rest.split_at(at);
        found.push(after.strip_prefix('|').unwrap_or(after));
        rest = before;
    }
    found.push(rest);
    found.reverse();
    if found.iter().any(|it| it.starts_with('^')) {
        found
    } else {
        vec![regex]
    }
}

/// An expression whose `$` fits before a last newline too, as it does for Perl and PCRE.
fn with_last_newline(regex: &str) -> String {
    let dollars: Vec<usize> = bare(regex)
        .filter_map(|(at, letter)| (letter == '$').then_some(at))
        .collect();
    let mut text = String::with_capacity(regex.len());
    for (at, letter) in regex.char_indices() {
        match dollars.binary_search(&at) {
            Ok(_) => text.push_str(r"(?:\n?$)"),
            Err(_) => text.push(letter),
        }
    }
    text
}

/// Whether a `^` stands where it can never match: behind the status line, in a group.
fn has_inner_start(regex: &str) -> bool {
    let each = alternatives(regex).into_iter();
    let rests = each.map(|it| it.strip_prefix('^').unwrap_or(it));
    rests
        .into_iter()
        .any(|it| bare(it).any(|(_, letter)| letter == '^'))
}

/// The letters of an expression that may mean something, with their places: those that are not
/// escaped and stand in no class.
fn bare(regex: &str) -> impl Iterator<Item = (usize, char)> {
    let mut is_escaped = false;
    // Letters of the class so far; the first may be `]` and mean itself.
    let mut class: Option<usize> = None;
    regex.char_indices().filter(move |&(_, letter)| {
        if is_escaped {
            is_escaped = false;
            class = class.map(|count| count + 1);
            return false;
        }
        match (letter, class) {
            ('\\', _) => is_escaped = true,
            ('[', None) => class = Some(0),
            (']', Some(1..)) => class = None,
            ('^', Some(0)) => {}
            (_, Some(count)) => class = Some(count + 1),
            (_, None) => return true,
        }
        false
    })
}

/// An expression for the codes of a range.
fn codes((first, last): (u16, u16)) -> String {
    if first % 100 == 0 && last == first + 99 {
        return format!("{}[0-9][0-9]", first / 100);
    }
    let list: Vec<String> = (first..=last).map(|code| code.to_string()).collect();
    list.join("|")
}

fn on_port(monitor: &str, port: u16, limit: Duration) -> Vec<String> {
    of(&[monitor, "-p", &port.to_string(), "-t", &seconds(limit)])
}

/// Seconds with their fraction, more than zero: what each of the monitors takes.
fn seconds(limit: Duration) -> String {
    if limit.is_zero() {
        return "1".to_owned();
    }
    let limit = limit.min(Duration::from_secs(86_400));
    limit.as_secs_f64().to_string()
}

/// Whole seconds, at least one: what a check plugin takes.
fn whole_seconds(limit: Duration) -> String {
    let up = u64::from(limit.subsec_nanos() > 0);
    limit
        .as_secs()
        .saturating_add(up)
        .clamp(1, 86_400)
        .to_string()
}

fn of(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A foreign word as an argument of `plugin.monitor` or `misc.monitor`, where a percent sign means
/// something.
pub(super) fn argument(word: &str) -> String {
    word.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(regex: &str) -> Page {
        Page {
            port: 80,
            limit: Duration::from_millis(1_500),
            path: "/x".to_owned(),
            name: None,
            is_tls: false,
            statuses: vec![(200, 299)],
            content: Some(Content {
                regex: regex.to_owned(),
                flags: String::new(),
            }),
        }
    }

    fn matches(page: &Page, response: &str) -> bool {
        let words = page.words();
        let options = HttpOptions::parse(&words[1..]).unwrap();
        options.pattern.unwrap().matches(response.as_bytes())
    }

    #[test]
    fn status_and_page_both_count() {
        let welcome = page("Wel.ome");
        for (response, is_good) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nso Welcome", true),
            ("HTTP/1.0 204 OK\n\nWelcome", true),
            ("HTTP/1.1 404 No\r\n\r\nWelcome", false),
            ("HTTP/1.1 200 OK\r\nServer: Welcome\r\n\r\nBye", false),
            ("HTTP/1.1 200 OK\r\n\r\nWel\nome", false),
        ] {
            assert_eq!(matches(&welcome, response), is_good, "{response:?}");
        }
        let first = page("^Welcome|Hello");
        assert!(matches(&first, "HTTP/1.1 200 OK\r\n\r\nWelcome"));
        assert!(!matches(&first, "HTTP/1.1 200 OK\r\n\r\nso Welcome"));
    }

    #[test]
    fn the_end_and_alternatives_mean_what_they_mean_in_perl() {
        // Expression, page, whether Perl finds the one in the other.
        let cases = [
            ("^OK$", "OK", true),
            ("^OK$", "OK\n", true),
            ("^OK$", "OK\n\n", false),
            ("^OK$", "OK then", false),
            ("OK$", "so OK\n", true),
            (r"OK\$", "OK$", true),
            (r"OK\$", "OK\n", false),
            ("OK[$]", "OK$", true),
            ("OK[]$]", "OK\n", false),
            ("(OK|GOOD)$", "GOOD\n", true),
            ("^OK|^GOOD", "GOOD", true),
            ("^OK|^GOOD", "so GOOD", false),
            ("^OK|GOOD", "so GOOD", true),
            ("foo|^bar", "bar", true),
            ("foo|^bar", "a bar", false),
            ("foo|^bar", "a foo", true),
            (r"^a\|b|[|^]|^(c|d)$", "d\n", true),
            (r"^a\|b|[|^]|^(c|d)$", "a|b", true),
            (r"^a\|b|[|^]|^(c|d)$", "x^", true),
            (r"^a\|b|[|^]|^(c|d)$", "xd", false),
        ];
        for (regex, text, is_good) in cases {
            let mut page = page(regex);
            assert_eq!(page.mend(), Vec::<String>::new(), "{regex}");
            let response = format!("HTTP/1.1 200 OK\r\n\r\n{text}");
            assert_eq!(matches(&page, &response), is_good, "{regex} {text:?}");
        }
        for regex in ["(^a|b)", "a^b"] {
            let mut page = page(regex);
            assert!(page.mend()[0].contains("not inside"), "{regex}");
            assert_eq!(page.content, None);
        }
    }

    #[test]
    fn codes_are_those_that_were_asked_for() {
        let mut page = page("");
        page.content = None;
        page.statuses = vec![(200, 200), (400, 499), (503, 505)];
        for (code, is_good) in [
            (200, true),
            (201, false),
            (404, true),
            (503, true),
            (505, true),
            (506, false),
        ] {
            let response = format!("HTTP/1.1 {code} x\r\n\r\n");
            assert_eq!(matches(&page, &response), is_good, "{code}");
        }
    }

    #[test]
    fn what_the_monitor_would_refuse_is_taken_out_and_said() {
        let mut odd = page("(?=a)b");
        odd.path = "/a b".to_owned();
        odd.name = Some("a/b".to_owned());
        let found = odd.mend();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(page("x").mend(), Vec::<String>::new());
        assert!(HttpOptions::parse(&odd.words()[1..]).is_ok());
        assert_eq!((odd.name, odd.content), (None, None));
    }

    #[test]
    fn limits_keep_their_fraction_but_for_plugins() {
        for (millis, text, whole) in [
            (0, "1", "1"),
            (1, "0.001", "1"),
            (250, "0.25", "1"),
            (1_000, "1", "1"),
            (2_500, "2.5", "3"),
            (90_000_000, "86400", "86400"),
        ] {
            let limit = Duration::from_millis(millis);
            assert_eq!(seconds(limit), text);
            assert_eq!(whole_seconds(limit), whole);
        }
    }
}
