//! What does a checker of a real server come to?

use std::time::Duration;

use crate::config::diagnostic::nearest;
use crate::import::checks::{Check, Content, Exits, MendedPages, PLUGINS_NEEDED, Page, argument};
use crate::import::keepalived::blocks::{Block, CHECKERS, Extent};
use crate::import::keepalived::defaults::Defaults;
use crate::import::keepalived::hex::printable;
use crate::import::keepalived::virtual_server::unknown;
use crate::import::keepalived::{is_on, swallowed, timer};
use crate::import::plan::{Policy, Server, Service};
use crate::import::words::is_host;
use crate::import::{Remarks, shown};
use crate::model::{Initial, OnFailure, OwnRules};

/// Whether a word begins a checker.
pub(super) fn is_one(word: &str) -> bool {
    word.ends_with("_CHECK") || matches!(word, "HTTP_GET" | "SSL_GET")
}

/// A statement of a real server that is none, and whether a checker may be meant: keepalived skips
/// a block that it does not know.
pub(super) fn is_meant(line: &Block, remarks: &mut Remarks) -> bool {
    let name = line.name();
    let nearest = nearest(name, CHECKERS);
    match nearest {
        Some(nearest) => {
            let name = shown(name);
            let text = format!("\"{name}\" is not known here; did you mean {nearest}?");
            remarks.lost(&line.place, text);
        }
        None => unknown(line, remarks),
    }
    nearest.is_some() || line.extent != Extent::Words
}

/// What was found of checkers: of one, of a real server, of a virtual server.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) services: Vec<Service>,
    /// `retry`, the largest.
    pub(super) retries: u32,
    /// `delay_before_retry`, the largest.
    pub(super) pause: Option<Duration>,
    /// Whether these two differ.
    pub(super) differs: bool,
    /// Checkers seen, and those without an equivalent.
    checkers: usize,
    pub(super) lost: usize,
    /// Real servers with `inhibit_on_failure`, and with `alpha`.
    quiesced: usize,
    kept_out: usize,
    pub(super) sets_weight: bool,
}

impl Found {
    /// Of a real server with these checkers. It is out at first where one of them is taken to have
    /// failed: its own `alpha` is what they have for theirs.
    pub(super) fn of_server(defaults: &Defaults, checkers: &[Self]) -> Self {
        let mut found = Self {
            quiesced: usize::from(defaults.inhibit),
            ..Self::default()
        };
        for one in checkers {
            found.add(one);
        }
        let is_kept_out = match checkers {
            [] => defaults.alpha,
            _ => found.kept_out > 0,
        };
        found.kept_out = usize::from(is_kept_out);
        found
    }

    /// What it comes to on the line of a real server.
    pub(super) fn rules(&self) -> OwnRules {
        OwnRules {
            on_failure: (self.quiesced > 0).then_some(OnFailure::Quiesce),
            initial: (self.kept_out > 0).then_some(Initial::Out),
        }
    }

    /// Adds what was found elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        let is_other = self.retries != other.retries || self.pause != other.pause;
        let both = self.checkers > 0 && other.checkers > 0;
        self.differs |= other.differs || (both && is_other);
        self.services.extend(other.services.iter().cloned());
        self.retries = self.retries.max(other.retries);
        self.pause = self.pause.max(other.pause);
        self.checkers += other.checkers;
        self.lost += other.lost;
        self.quiesced += other.quiesced;
        self.kept_out += other.kept_out;
        self.sets_weight |= other.sets_weight;
    }
}

/// Words of checkers and of pages that take one word.
const ONE_WORD: [&str; 7] = [
    "connect_ip",
    "connect_port",
    "path",
    "regex",
    "digest",
    "misc_timeout",
    "helo_name",
];

/// A checker to be read.
pub(super) struct Look<'a> {
    pub(super) block: &'a Block,
    pub(super) defaults: &'a Defaults,
    pub(super) server: &'a Server,
    pub(super) policy: &'a Policy,
    pub(super) has_certificates: bool,
    pub(super) mended: &'a MendedPages,
}

/// Options that every checker may have, and those of its own kind.
struct Options<'a> {
    defaults: Defaults,
    host: Option<String>,
    port: u16,
    rest: Vec<&'a Block>,
}

impl<'a> Options<'a> {
    fn take(&mut self, line: &'a Block, server: &Server, remarks: &mut Remarks) {
        if ONE_WORD.contains(&line.name()) {
            swallowed(line, 1, remarks);
        }
        match line.name() {
            "connect_ip" => match line.word(1).filter(|it| is_host(it)) {
                Some(host) if host != server.host => self.host = Some(host.to_owned()),
                Some(_) => {}
                None => remarks.lost(&line.place, "connect_ip: no address"),
            },
            "connect_port" => match line.word(1).and_then(|it| it.parse().ok()) {
                Some(port) if port > 0 => self.port = port,
                Some(_) | None => remarks.tolerated(
                    &line.place,
                    "connect_port is no number from 1 to 65535; left out",
                ),
            },
            "bindto" | "bind_if" | "bind_port" | "fwmark" => {
                let text = format!("{}: checks leave by the usual route", line.name());
                remarks.lost(&line.place, text);
            }
            "alpha" | "connect_timeout" | "retry" | "nb_get_retry" | "delay_before_retry"
            | "delay_loop" | "warmup" => self.defaults.take(line, remarks),
            "log_all_failures" => {}
            _ => self.rest.push(line),
        }
    }
}

impl Look<'_> {
    /// Its services: one, one for each URL, or none without an equivalent.
    pub(super) fn services(&self, remarks: &mut Remarks) -> Found {
        let kind = self.block.name();
        let options = self.options(remarks);
        let limit = options.defaults.connect_timeout;
        let limit = limit.unwrap_or(Duration::from_secs(5));
        let mut sets_weight = false;
        let checks = match kind {
            "TCP_CHECK" => self.on_port(&options, remarks, |port| Check::Connect { port, limit }),
            "PING_CHECK" => vec![Check::Ping { limit, tries: 1 }],
            "HTTP_GET" | "SSL_GET" => self.pages(&options, limit, remarks),
            "SMTP_CHECK" => {
                for line in options.rest.iter().filter(|it| it.name() == "helo_name") {
                    remarks.lost(
                        &line.place,
                        "helo_name: check_smtp greets with its own name",
                    );
                }
                let hosts = options.rest.iter().filter(|it| it.name() == "host");
                for line in hosts.skip(1) {
                    remarks.lost(&line.place, "host: the first one alone is asked");
                }
                self.on_port(&options, remarks, |port| {
                    Check::plugin("check_smtp", port, &[], limit)
                })
            }
            "DNS_CHECK" => self.dns(&options, limit, remarks),
            "MISC_CHECK" => self.program(&options, &mut sets_weight, remarks),
            "UDP_CHECK" => self.udp(&options, limit, remarks),
            _ => {
                remarks.lost(&self.block.place, no_equivalent(kind));
                Vec::new()
            }
        };
        let legible = |check: Check| check.legible(&self.block.place, remarks);
        let checks: Vec<Check> = checks.into_iter().filter_map(legible).collect();
        if checks.iter().any(|it| matches!(it, Check::Plugin { .. })) {
            remarks.note(&self.block.place, PLUGINS_NEEDED);
        }
        self.found(&options, checks, sets_weight)
    }

    fn found(&self, options: &Options<'_>, checks: Vec<Check>, sets_weight: bool) -> Found {
        let (retries, pause) = match self.block.name() {
            "DNS_CHECK" => (3, options.defaults.interval()),
            "MISC_CHECK" => (0, Duration::from_secs(1)),
            "HTTP_GET" | "SSL_GET" => (1, Duration::from_secs(3)),
            _ => (1, Duration::from_secs(1)),
        };
        let retries = options.defaults.retry.unwrap_or(retries);
        let interval = options.defaults.interval();
        let pause = options.defaults.pause.unwrap_or(pause).min(interval);
        let lost = usize::from(checks.is_empty());
        let service = |check: Check| Service {
            name: check.name().to_owned(),
            host: options.host.clone(),
            description: None,
            interval,
            monitor: check.words(),
            policy: self.policy.clone(),
        };
        Found {
            services: checks.into_iter().map(service).collect(),
            retries,
            pause: Some(pause).filter(|_| lost == 0),
            checkers: 1 - lost,
            lost,
            kept_out: usize::from(options.defaults.alpha),
            sets_weight,
            ..Found::default()
        }
    }

    fn options(&self, remarks: &mut Remarks) -> Options<'_> {
        let mut options = Options {
            defaults: self.defaults.clone(),
            host: None,
            port: self.server.check_port,
            rest: Vec::new(),
        };
        for line in &self.block.inner {
            options.take(line, self.server, remarks);
        }
        // Whom a check of mail asks, in a block of its own; the first one.
        let host = options.rest.iter().find(|it| it.name() == "host").copied();
        if let Some(host) = host.filter(|_| self.block.name() == "SMTP_CHECK") {
            let known = options.rest.len();
            for line in &host.inner {
                options.take(line, self.server, remarks);
            }
            for line in options.rest.drain(known..) {
                unknown(line, remarks);
            }
        }
        let known: &[&str] = match self.block.name() {
            "HTTP_GET" | "SSL_GET" => &[
                "url",
                "virtualhost",
                "enable_sni",
                "sni_name",
                "fast_recovery",
                "http_protocol",
            ],
            "SMTP_CHECK" => &["helo_name", "host"],
            "DNS_CHECK" => &["type", "name"],
            "MISC_CHECK" => &["misc_path", "misc_timeout", "misc_dynamic", "user"],
            "UDP_CHECK" => &[
                "payload",
                "require_reply",
                "min_reply_length",
                "max_reply_length",
            ],
            "TCP_CHECK" | "PING_CHECK" => &[],
            // Said as a whole.
            _ => return options,
        };
        for line in options.rest.iter().filter(|it| !known.contains(&it.name())) {
            unknown(line, remarks);
        }
        options
    }

    fn on_port(
        &self,
        options: &Options<'_>,
        remarks: &mut Remarks,
        check: impl FnOnce(u16) -> Check,
    ) -> Vec<Check> {
        if options.port == 0 {
            let text = format!(
                "{}: no port to connect to; write connect_port",
                self.block.name()
            );
            remarks.lost(&self.block.place, text);
            return Vec::new();
        }
        vec![check(options.port)]
    }

    fn pages(&self, options: &Options<'_>, limit: Duration, remarks: &mut Remarks) -> Vec<Check> {
        let is_tls = self.block.name() == "SSL_GET";
        if is_tls && self.has_certificates {
            remarks.note(&self.block.place, "-k takes any certificate");
        }
        let port = match (options.port, is_tls) {
            (0, true) => 443,
            (0, false) => 80,
            (port, _) => port,
        };
        let own = |name: &str| {
            let line = options.rest.iter().rfind(|it| it.name() == name);
            line.and_then(|it| it.word(1)).map(str::to_owned)
        };
        let name = own("virtualhost").or_else(|| options.defaults.virtualhost.clone());
        let sni = own("sni_name");
        let page = |name: Option<String>| Page {
            port,
            limit,
            path: "/".to_owned(),
            name: name.or_else(|| sni.clone()),
            is_tls,
            statuses: vec![(200, 299)],
            content: None,
        };
        let mut pages = Vec::new();
        for url in options.rest.iter().filter(|it| it.name() == "url") {
            let mut one = page(name.clone());
            url_lines(url, &mut one, remarks);
            for text in self.mended.mend(&mut one) {
                remarks.lost(&url.place, text);
            }
            pages.push(Check::Page(one));
        }
        if pages.is_empty() {
            let mut one = page(name);
            for text in self.mended.mend(&mut one) {
                remarks.lost(&self.block.place, text);
            }
            pages.push(Check::Page(one));
        }
        pages
    }

    fn dns(&self, options: &Options<'_>, limit: Duration, remarks: &mut Remarks) -> Vec<Check> {
        let own = options.rest.iter();
        for line in own.filter(|it| matches!(it.name(), "type" | "name")) {
            swallowed(line, 1, remarks);
        }
        let own = |name: &str, default: &str| {
            let line = options.rest.iter().rfind(|it| it.name() == name);
            let word = line.and_then(|it| it.word(1)).unwrap_or(default);
            argument(word)
        };
        let (name, kind) = (own("name", "."), own("type", "SOA"));
        self.on_port(options, remarks, |port| {
            Check::plugin("check_dig", port, &["-l", &name, "-T", &kind], limit)
        })
    }

    fn program(
        &self,
        options: &Options<'_>,
        sets_weight: &mut bool,
        remarks: &mut Remarks,
    ) -> Vec<Check> {
        let mut limit = None;
        let mut words = Vec::new();
        for line in &options.rest {
            match line.name() {
                "misc_path" => words = self.words(&line.args().join(" ")),
                "misc_timeout" => match line.word(1).and_then(timer).filter(|it| !it.is_zero()) {
                    Some(span) => limit = Some(span),
                    None => remarks.tolerated(
                        &line.place,
                        format!(
                            "misc_timeout without a time above 0; delay_loop counts, {} s",
                            options.defaults.interval().as_secs_f64()
                        ),
                    ),
                },
                "misc_dynamic" => *sets_weight = is_on(line, remarks).unwrap_or(*sets_weight),
                "user" => remarks.lost(
                    &line.place,
                    "user: monitor_user, one for all monitors, says as whom they run",
                ),
                _ => {}
            }
        }
        if words.is_empty() {
            remarks.lost(&self.block.place, "MISC_CHECK without misc_path");
            return Vec::new();
        }
        if words.iter().any(|word| word == "--") {
            let text = "misc_path: misc.monitor takes -- for the end of the program's words";
            remarks.lost(&self.block.place, text);
        }
        vec![Check::Program {
            words,
            limit: limit.unwrap_or_else(|| options.defaults.interval()),
            exits: if *sets_weight {
                Exits::Weight
            } else {
                Exits::Zero
            },
        }]
    }

    /// Words of a command, the server's own address as `%h`, so that servers can share a watch.
    fn words(&self, text: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for letter in text.chars() {
            match (letter, quote) {
                (_, Some(open)) if letter == open => quote = None,
                ('\'' | '"', None) => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (_, None) if letter.is_whitespace() => words.extend(word.take()),
                (other, _) => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        let own = &self.server.host;
        let filled = |(index, word): (usize, String)| match index > 0 && word == *own {
            true => "%h".to_owned(),
            // The path itself is taken as it stands.
            false if index == 0 && word.starts_with('/') => word,
            false => argument(&word),
        };
        words.into_iter().enumerate().map(filled).collect()
    }

    fn udp(&self, options: &Options<'_>, limit: Duration, remarks: &mut Remarks) -> Vec<Check> {
        let own = |name: &str| options.rest.iter().rfind(|it| it.name() == name);
        let text_of = |line: Option<&&Block>| {
            let hex = line.map(|it| it.args().join(" "))?;
            printable(&hex)
        };
        let sent = text_of(own("payload"));
        let expected = text_of(own("require_reply"));
        if let (Some(sent), Some(expected)) = (sent, expected)
            && options.port > 0
        {
            for name in ["min_reply_length", "max_reply_length"] {
                if let Some(line) = own(name) {
                    let text = format!("{name}: the length of the reply is not looked at");
                    remarks.lost(&line.place, text);
                }
            }
            let args = ["-s", &argument(&sent), "-e", &argument(&expected)];
            return vec![Check::plugin("check_udp", options.port, &args, limit)];
        }
        let text = "UDP_CHECK: a ping is sent instead; it does not tell a closed port, nor what \
                    the server answers";
        remarks.lost(&self.block.place, text);
        vec![Check::Ping { limit, tries: 1 }]
    }
}

/// What is said of a checker that has none.
fn no_equivalent(kind: &str) -> String {
    match kind {
        "BFD_CHECK" => "BFD_CHECK: BFD stays with the routing daemon".to_owned(),
        "FILE_CHECK" => {
            "FILE_CHECK: a service without a monitor takes traps, `lvsmon trap`".to_owned()
        }
        _ => {
            let meant = nearest(kind, CHECKERS);
            let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
            format!("a checker that is not known here{meant}")
        }
    }
}

fn url_lines(url: &Block, page: &mut Page, remarks: &mut Remarks) {
    let mut content = None;
    let mut flags = String::new();
    for line in &url.inner {
        let place = &line.place;
        if ONE_WORD.contains(&line.name()) {
            swallowed(line, 1, remarks);
        }
        match line.name() {
            "path" => page.path = line.word(1).unwrap_or("/").to_owned(),
            "virtualhost" => page.name = line.word(1).map(str::to_owned),
            "status_code" => match line.args().iter().map(|it| statuses(it)).collect() {
                Some(list) => page.statuses = list,
                None => remarks.lost(
                    place,
                    "status_code: no code from 100 to 599; 200 to 299 is taken",
                ),
            },
            "digest" => remarks.lost(
                place,
                "digest: the page itself is not compared; regex would look for a part of it",
            ),
            "regex" => content = line.word(1).map(str::to_owned),
            "regex_no_match" => {
                content = None;
                remarks.lost(
                    place,
                    "regex_no_match: what must not be on the page is not looked for",
                );
            }
            "regex_options" => {
                for word in line.args() {
                    match word.as_str() {
                        "caseless" => flags.push('i'),
                        "dotall" => flags.push('s'),
                        "multiline" => flags.push('m'),
                        "extended" => flags.push('x'),
                        other => {
                            remarks.lost(place, format!("regex_options {}", shown(other)));
                        }
                    }
                }
            }
            "regex_stack" => {}
            "regex_min_offset" | "regex_max_offset" => {
                remarks.lost(
                    place,
                    format!("{}: all of the page is looked at", line.name()),
                );
            }
            _ => unknown(line, remarks),
        }
    }
    let is_reversed = url.inner.iter().any(|it| it.name() == "regex_no_match");
    page.content = content
        .filter(|_| !is_reversed)
        .map(|regex| Content { regex, flags });
    if page.statuses.is_empty() {
        page.statuses = vec![(200, 299)];
    }
}

/// `200` or `200-299`.
fn statuses(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let is_range = (100..=599).contains(&first) && first <= last && last <= 599;
    is_range.then_some((first, last))
}
