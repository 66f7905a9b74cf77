//! What do the `real` and `fallback` lines of ldirectord.cf come to?

use crate::import::ldirectord::section::{Seen, port_of, split_port};
use crate::import::ldirectord::{Value, check};
use crate::import::plan::{Policy, Server, THRESHOLD_MAX};
use crate::import::words::{fit_port, is_host};
use crate::import::{Format, Place, Remarks, range, shown, words};
use crate::lvs::{Family, Forwarding, RealServer, Tunnel, VirtualServiceKey, Weight};

/// The servers of a `real` line.
pub(super) fn real_servers(
    real: &Value,
    checks: &check::Checks<'_>,
    policy: &Policy,
    key: VirtualServiceKey,
    remarks: &mut Remarks,
) -> Vec<Server> {
    let Some((target, rest)) = real.text.split_once(char::is_whitespace) else {
        let text = "a real server without gate, masq or ipip; the line may be cut, and is left out";
        remarks.lost(&real.place, text);
        return Vec::new();
    };
    let Some(line) = RealLine::read(rest, &real.place, remarks) else {
        return Vec::new();
    };
    let (target, last) = match target.split_once("->") {
        Some((first, last)) => {
            let (last, port) = split_port(last);
            (
                format!(
                    "{first}{}",
                    port.map_or_else(String::new, |it| format!(":{it}"))
                ),
                Some(last),
            )
        }
        None => (target.to_owned(), None),
    };
    let (host, port) = split_port(&target);
    let port = match port.map(port_of) {
        Some(Some(port)) => port,
        None => 0,
        Some(None) => {
            remarks.lost(
                &real.place,
                "no port; write it as a number. The server is left out",
            );
            return Vec::new();
        }
    };
    let hosts = match hosts(host, last) {
        Ok(hosts) => hosts,
        Err(why) => {
            remarks.lost(&real.place, format!("{why}; it is left out"));
            return Vec::new();
        }
    };
    let mut servers = Vec::new();
    for host in hosts {
        let forwarding = line.settings.forwarding;
        let mut server = Server::new(Format::Ldirectord, &host, port, forwarding);
        server.settings = line.settings;
        if !is_host(&server.host) {
            remarks.lost(
                &real.place,
                "no address and no name; the server is left out",
            );
            continue;
        }
        if let Some(why) = server.obstacle(key) {
            remarks.lost(&real.place, format!("left out: {why}"));
            continue;
        }
        server.fit_thresholds(&real.place, remarks);
        fit_port(&mut server, key, &real.place, remarks);
        server.checks = checks.of(&server, line.own.as_ref(), policy, remarks);
        if checks.are_off() {
            server.settings.weight = Weight(0);
        }
        servers.push(server);
    }
    servers
}

/// The hosts of a `real` line: one, or a range of addresses.
fn hosts(first: &str, last: Option<&str>) -> Result<Vec<String>, String> {
    let Some(last) = last else {
        return Ok(vec![first.to_owned()]);
    };
    let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else {
        return Err("a range of names cannot be counted here, write addresses".to_owned());
    };
    let list = range::between(first, last)?;
    Ok(list.iter().map(ToString::to_string).collect())
}

/// What follows the address on a `real` line.
struct RealLine {
    settings: RealServer,
    /// Request and expression of its own.
    own: Option<(String, String)>,
}

impl RealLine {
    fn read(text: &str, place: &Place, remarks: &mut Remarks) -> Option<Self> {
        let text = text.trim();
        let (word, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let Some(forwarding) = forwarding(word) else {
            let text = format!(
                "\"{}\" is not gate, masq or ipip; the server is left out",
                shown(word)
            );
            remarks.lost(place, text);
            return None;
        };
        let mut settings = RealServer::new(forwarding, Weight(1));
        rest = rest.trim_start();
        let digits = rest.len()
            - rest
                .trim_start_matches(|it: char| it.is_ascii_digit())
                .len();
        if let Some((weight, after)) = rest.split_at_checked(digits)
            && digits > 0
        {
            settings.weight = words::weight(weight, place, remarks);
            rest = after;
        }
        let mut own = None;
        if let Some((request, receive, after)) = quoted_pair(rest) {
            if request.starts_with('/') {
                let text = "ldirectord 1.186 passes over such a \"request\", \"receive\" that begins \
                            with / and what stands behind it, against its manual page; lvsmon goes \
                            by them: a pair that is out of date takes the server out after the move";
                remarks.note(place, text);
            }
            own = Some((request, receive));
            rest = after;
        }
        for word in rest.split_whitespace() {
            let word = word.trim_matches('"');
            let threshold = |text: &str| text.parse().ok().filter(|it| *it <= THRESHOLD_MAX);
            let lower = word.strip_prefix("l:").and_then(threshold);
            let upper = word.strip_prefix("u:").and_then(threshold);
            match (lower, upper) {
                (Some(lower), _) => settings.lower_threshold = lower,
                (_, Some(upper)) => settings.upper_threshold = upper,
                (None, None) => {
                    let text = format!("\"{}\" on the line of a real server", shown(word));
                    remarks.lost(place, text);
                }
            }
        }
        Some(Self { settings, own })
    }
}

/// `"REQUEST", "RECEIVE"` and what follows.
fn quoted_pair(text: &str) -> Option<(String, String, &str)> {
    let (request, rest) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let rest = rest.trim_start_matches([',', ' ', '\t']);
    let (receive, rest) = rest.strip_prefix('"')?.split_once('"')?;
    Some((request.to_owned(), receive.to_owned(), rest))
}

fn forwarding(word: &str) -> Option<Forwarding> {
    match word {
        "gate" => Some(Forwarding::Dr),
        "masq" => Some(Forwarding::Nat),
        "ipip" => Some(Forwarding::Tun(Tunnel::Ipip)),
        _ => None,
    }
}

/// The fallback server of a section, its own or that of the file.
pub(super) fn fallback(
    seen: &Seen<'_>,
    key: VirtualServiceKey,
    remarks: &mut Remarks,
) -> Option<Server> {
    // That of the other family is no fallback of this service.
    let global = match key.family() {
        Family::V4 => "fallback",
        Family::V6 => "fallback6",
    };
    let own = &seen.block.settings;
    let value = own
        .get("fallback")
        .or_else(|| own.get("fallback6"))
        .or_else(|| seen.global.get(global))?;
    let mut words = value.text.split_whitespace();
    let (host, port) = split_port(words.next().unwrap_or_default());
    let forwarding = match words.next() {
        None => Some(Forwarding::Dr),
        Some(word) => forwarding(word),
    };
    let port = port.map_or(Some(0), port_of);
    let (Some(forwarding), Some(port), true) = (forwarding, port, is_host(host)) else {
        remarks.lost(
            &value.place,
            "the fallback server is not understood and left out",
        );
        return None;
    };
    let mut server = Server::new(Format::Ldirectord, host, port, forwarding);
    if let Some(why) = server.obstacle(key) {
        remarks.lost(
            &value.place,
            format!("the fallback server is left out: {why}"),
        );
        return None;
    }
    fit_port(&mut server, key, &value.place, remarks);
    Some(server)
}
