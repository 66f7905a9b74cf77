//! What a `real` or `fallback` line says.

use std::net::Ipv6Addr;

use crate::config::check::host_word::is_host_name;
use crate::config::check::section::judges::{Judges, Known};
use crate::config::check::section::settings;
use crate::config::check::section::words::{Line, number};
use crate::config::lines::Span;
use crate::lvs::{Forwarding, Weight};
use crate::model::{Initial, OnFailure};

/// How a weight is written.
pub(super) const WEIGHT: &str = "write a weight from 0 to 65535";

/// Most connections that a threshold may name: ipvsadm's own bound.
const THRESHOLD_MAX: u32 = 2_147_483_647;

/// With what a line of a server may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineOption {
    Weight,
    Forward,
    Port,
    Upper,
    Lower,
    OnFailure,
    Initial,
    Service,
}

impl LineOption {
    const fn word(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Forward => "forward",
            Self::Port => "port",
            Self::Upper => "upper",
            Self::Lower => "lower",
            Self::OnFailure => "on_failure",
            Self::Initial => "initial",
            Self::Service => "service",
        }
    }
}

/// With what a `real` line goes on.
const REAL_OPTIONS: &[LineOption] = &[
    LineOption::Weight,
    LineOption::Forward,
    LineOption::Port,
    LineOption::Upper,
    LineOption::Lower,
    LineOption::OnFailure,
    LineOption::Initial,
    LineOption::Service,
];

/// With what a `fallback` line goes on.
const FALLBACK_OPTIONS: &[LineOption] =
    &[LineOption::Weight, LineOption::Forward, LineOption::Port];

/// A line of one server, or of a hostgroup of them.
pub(super) struct ServerLine {
    /// The word that names it.
    pub(super) word: Span,
    /// Name, address without brackets, or hostgroup.
    pub(super) host: String,
    /// The port of the word itself.
    pub(super) own_port: Option<u16>,
    /// The port of the word, or behind `port`.
    pub(super) port: Option<u16>,
    pub(super) forwarding: Option<(Forwarding, Span)>,
    pub(super) weight: Option<Weight>,
    pub(super) upper: Option<(u32, Span)>,
    pub(super) lower: Option<(u32, Span)>,
    pub(super) on_failure: Option<(OnFailure, Span)>,
    pub(super) initial: Option<Initial>,
    pub(super) judges: Judges,
}

impl ServerLine {
    /// `real HOSTGROUP|HOST[:PORT] ...`
    pub(super) fn real(line: Line<'_, '_>, known: &Known<'_>) -> Option<Self> {
        Self::read(line, known, REAL_OPTIONS)
    }

    /// `fallback HOST[:PORT] ...`
    pub(super) fn fallback(line: Line<'_, '_>, known: &Known<'_>) -> Option<Self> {
        Self::read(line, known, FALLBACK_OPTIONS)
    }

    fn read(mut line: Line<'_, '_>, known: &Known<'_>, options: &[LineOption]) -> Option<Self> {
        let help = "write HOST, HOST:PORT, [IPV6]:PORT or a hostgroup";
        let (word, text) = line.need(help)?;
        let found = host_word(text);
        if found.is_none() {
            line.invalid(word, "server", help);
        }
        let (host, own_port) = found.unwrap_or_default();
        let mut server = Self {
            word,
            host: host.to_owned(),
            own_port,
            port: own_port,
            forwarding: None,
            weight: None,
            upper: None,
            lower: None,
            on_failure: None,
            initial: None,
            judges: Judges::default(),
        };
        let mut seen = Vec::new();
        while let Some((place, text)) = line.next() {
            let mut known_here = options.iter().copied();
            let Some(option) = known_here.find(|option| option.word() == text) else {
                let words: Vec<&str> = options.iter().map(|option| option.word()).collect();
                line.surplus(place, &words);
                return None;
            };
            if seen.contains(&option) {
                let message = format!("\"{text}\" is given again on this line");
                let help = "remove the one that is not meant";
                line.report.error(place, message, help);
            }
            seen.push(option);
            server.option(&mut line, known, option, place)?;
        }
        found.map(|_| server)
    }

    /// One option; none where it cannot be read, which is reported.
    fn option(
        &mut self,
        line: &mut Line<'_, '_>,
        known: &Known<'_>,
        option: LineOption,
        place: Span,
    ) -> Option<()> {
        match option {
            LineOption::Weight => self.weight = Some(line.value("weight", WEIGHT, weight)?),
            LineOption::Forward => self.forwarding = Some(forwarding(line)?),
            LineOption::Port => {
                let port = line.value("port", "write a port from 0 to 65535", port)?;
                if self.own_port.is_some_and(|own| own != port) {
                    let message = "the server is given two ports";
                    let help = "leave out one of them";
                    line.report.error(place, message, help);
                }
                self.port = Some(port);
            }
            LineOption::Upper => self.upper = Some((threshold(line)?, place)),
            LineOption::Lower => self.lower = Some((threshold(line)?, place)),
            LineOption::OnFailure => self.on_failure = Some((settings::on_failure(line)?, place)),
            LineOption::Initial => self.initial = Some(settings::initial(line)?),
            LineOption::Service => self.judges.add(line, known),
        }
        Some(())
    }
}

/// The words of a forwarding method and the place of all of them.
pub(super) fn forwarding(line: &mut Line<'_, '_>) -> Option<(Forwarding, Span)> {
    let help = "write dr, nat, tun, \"tun gre [csum]\" or \"tun gue PORT [csum | remcsum]\"";
    let (first, word) = line.need(help)?;
    let mut place = first;
    let mut text = word.to_owned();
    let mut take = |line: &mut Line<'_, '_>, fits: &dyn Fn(&str) -> bool| {
        let is_next = line.peek().is_some_and(fits);
        if let Some((span, word)) = line.next_if(is_next) {
            place = first.to(span);
            text.push(' ');
            text.push_str(word);
        }
        is_next
    };
    if word == "tun" && !take(line, &|word| word == "ipip") {
        if take(line, &|word| word == "gre") {
            take(line, &|word| word == "csum");
        } else if take(line, &|word| word == "gue") {
            take(line, &|_| true);
            take(line, &|word| word == "csum" || word == "remcsum");
        }
    }
    match text.parse() {
        Ok(forwarding) => Some((forwarding, place)),
        Err(_) => {
            line.invalid(place, "forwarding method", help);
            None
        }
    }
}

/// A weight as a file may give it (D13).
pub(super) fn weight(text: &str) -> Option<Weight> {
    number(text, 0, Weight::MAX).map(Weight)
}

fn port(text: &str) -> Option<u16> {
    number(text, 0, u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
}

fn threshold(line: &mut Line<'_, '_>) -> Option<u32> {
    let help = "write a number of connections, 0 for no limit";
    line.value("threshold", help, |text| number(text, 0, THRESHOLD_MAX))
}

/// HOST, HOST:PORT, an IPv6 address with or without brackets, \[IPV6\]:PORT.
fn host_word(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, behind) = rest.split_once(']')?;
        inner.parse::<Ipv6Addr>().ok()?;
        return match behind.strip_prefix(':') {
            Some(digits) => port(digits).map(|port| (inner, Some(port))),
            None => behind.is_empty().then_some((inner, None)),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text, None));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (text, None),
    };
    is_host_name(host).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_every_form() {
        for (text, expected) in [
            ("web", Some(("web", None))),
            (
                "www1.example.org:8080",
                Some(("www1.example.org", Some(8080))),
            ),
            ("10.0.0.7:0", Some(("10.0.0.7", Some(0)))),
            ("2001:db8::7", Some(("2001:db8::7", None))),
            ("[2001:db8::7]", Some(("2001:db8::7", None))),
            ("[2001:db8::7]:80", Some(("2001:db8::7", Some(80)))),
            ("[2001:db8::7]80", None),
            ("[2001:db8::7", None),
            ("[web]:80", None),
            ("web:", None),
            ("web:65536", None),
            ("web:+80", None),
            (":80", None),
            ("a:b:c", None),
            ("we/b", None),
        ] {
            assert_eq!(host_word(text), expected, "{text}");
        }
    }
}
