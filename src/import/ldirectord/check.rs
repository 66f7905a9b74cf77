//! How does ldirectord look at the real servers of a virtual service?

use std::time::Duration;

use crate::import::checks::{Check, Content, Exits, MendedPages, PLUGINS_NEEDED, Page, argument};
use crate::import::ldirectord::Value;
use crate::import::ldirectord::section::{Seen, port_of, split_port};
use crate::import::plan::{Policy, Server, Service};
use crate::import::words::{is_host, unquoted};
use crate::import::{Remarks, shown};
use crate::lvs::{Protocol, VirtualServiceKey};

/// `checktype`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Negotiate,
    External,
    Ping,
    Off,
    On,
    /// So many connections for each negotiation.
    Combined(u32),
}

/// What `service` a port has where the file names none.
const BY_PORT: [(u16, &str); 19] = [
    (21, "ftp"),
    (25, "smtp"),
    (53, "dns"),
    (80, "http"),
    (110, "pop"),
    (119, "nntp"),
    (143, "imap"),
    (389, "ldap"),
    (443, "https"),
    (587, "submission"),
    (636, "ldaps"),
    (993, "imaps"),
    (995, "pops"),
    (1521, "oracle"),
    (1812, "radius"),
    (3128, "http_proxy"),
    (3306, "mysql"),
    (5060, "sip"),
    (5432, "pgsql"),
];

/// The settings of a section that its checks come from.
pub(super) struct Checks<'a> {
    seen: &'a Seen<'a>,
    key: VirtualServiceKey,
    kind: Kind,
    service: String,
    /// `checkport`, where it is one.
    port: Option<u16>,
    interval: Duration,
    connect_limit: Duration,
    negotiate_limit: Duration,
    tries: u32,
    /// Pages of its real servers, which are mostly the same.
    mended: MendedPages,
}

/// A request to a real server.
struct Asked {
    host: Option<String>,
    port: u16,
    request: String,
    receive: String,
}

impl<'a> Checks<'a> {
    pub(super) fn new(
        seen: &'a Seen<'a>,
        key: VirtualServiceKey,
        interval: Duration,
        remarks: &mut Remarks,
    ) -> Self {
        let connect = seen.seconds("checktimeout", remarks);
        let negotiate = seen.seconds("negotiatetimeout", remarks);
        let mut kind = seen
            .get("checktype")
            .map_or(Kind::Negotiate, |value| kind(value, remarks));
        let service = seen.get("service").map(|value| value.text.clone());
        let by_port = || {
            let found = BY_PORT.iter().find(|(port, _)| Some(*port) == key.port());
            found.map_or("none", |(_, name)| name).to_owned()
        };
        // Half a file may lack just that line, and without a check they are in for ever.
        if kind == Kind::Negotiate && service.is_none() && by_port() == "none" {
            remarks.tolerated(
                &seen.block.head.place,
                "no service, and none is known by the port: ldirectord would check nothing; a \
                 connection is tried. service=none would leave the servers always in",
            );
            kind = Kind::Connect;
        }
        if kind == Kind::Off {
            remarks.lost(
                &seen.block.head.place,
                "checktype=off brings no server in; they are written with weight 0 and checked \
                 by nothing",
            );
        }
        Self {
            seen,
            key,
            kind,
            service: service.unwrap_or_else(by_port),
            port: check_port(seen, remarks),
            interval,
            connect_limit: connect.or(negotiate).unwrap_or(Duration::from_secs(5)),
            negotiate_limit: negotiate.or(connect).unwrap_or(Duration::from_secs(30)),
            tries: seen.number("checkcount", remarks).unwrap_or(1),
            mended: MendedPages::default(),
        }
    }

    /// The services that decide over a real server, which gets weight 0 with `checktype=off`.
    pub(super) fn of(
        &self,
        server: &Server,
        own: Option<&(String, String)>,
        policy: &Policy,
        remarks: &mut Remarks,
    ) -> Vec<Service> {
        let checks: Vec<(Option<String>, Check, u32)> = match self.kind {
            Kind::Off | Kind::On => Vec::new(),
            Kind::Ping => vec![(None, self.ping(), 1)],
            Kind::Connect => vec![(None, self.connect(server, remarks), 1)],
            Kind::External => vec![(None, self.external(server, remarks), 1)],
            Kind::Negotiate => self
                .negotiate(server, own, remarks)
                .into_iter()
                .map(|(host, check)| (host, check, 1))
                .collect(),
            Kind::Combined(times) => {
                let mut list = vec![(None, self.connect(server, remarks), 1)];
                let negotiate = self.negotiate(server, own, remarks);
                list.extend(negotiate.map(|(host, check)| (host, check, times.saturating_add(1))));
                list
            }
        };
        let place = &self.seen.block.head.place;
        let service = |(host, check, times): (Option<String>, Check, u32)| {
            let check = check.legible(place, remarks)?;
            Some(Service {
                name: check.name().to_owned(),
                host,
                description: self.description(),
                interval: self.interval.saturating_mul(times),
                monitor: check.words(),
                policy: policy.clone(),
            })
        };
        checks.into_iter().filter_map(service).collect()
    }

    /// Whether real servers are to be kept out.
    pub(super) fn are_off(&self) -> bool {
        self.kind == Kind::Off
    }

    fn description(&self) -> Option<String> {
        let settings = &self.seen.block.settings;
        let words = ["servicename", "comment"].map(|word| settings.get(word));
        let words: Vec<&str> = words
            .into_iter()
            .flatten()
            .map(|value| unquoted(&value.text))
            .filter(|text| !text.is_empty())
            .collect();
        (!words.is_empty()).then(|| words.join(": "))
    }

    fn is_udp(&self) -> bool {
        matches!(self.key, VirtualServiceKey::Address(Protocol::Udp, _))
    }

    /// `checkport`, the port of the server, or that of the service.
    fn port(&self, server: &Server) -> Option<u16> {
        let own = Some(server.check_port).filter(|port| *port > 0);
        let by_service = || {
            let found = BY_PORT.iter().find(|(_, name)| *name == self.service);
            found.map(|(port, _)| *port)
        };
        self.port.or(own).or_else(by_service)
    }

    fn ping(&self) -> Check {
        Check::Ping {
            limit: self.connect_limit,
            tries: self.tries,
        }
    }

    fn connect(&self, server: &Server, remarks: &mut Remarks) -> Check {
        match self.port(server) {
            Some(port) if !self.is_udp() => Check::Connect {
                port,
                limit: self.connect_limit,
            },
            Some(_) => self.ping(),
            None => {
                let text = "no port to connect to; ping is used. checkport would name one";
                remarks.lost(&self.seen.block.head.place, text);
                self.ping()
            }
        }
    }

    fn external(&self, server: &Server, remarks: &mut Remarks) -> Check {
        let Some(value) = self.seen.get("checkcommand") else {
            let text = "without checkcommand an external check is always good; a connection is \
                        tried. checktype=on would leave the servers always in";
            remarks.tolerated(&self.seen.block.head.place, text);
            return self.connect(server, remarks);
        };
        let is_perl = self
            .seen
            .get("checktype")
            .is_some_and(|it| it.text == "external-perl");
        let (host, port) = match self.key {
            VirtualServiceKey::Address(_, address) => (address.ip().to_string(), address.port()),
            VirtualServiceKey::Mark(_, mark) => (mark.to_string(), 0),
        };
        let mut words = Vec::new();
        let command = unquoted(&value.text);
        if is_perl {
            words.push("/usr/bin/perl".to_owned());
        }
        if !is_perl && command.starts_with('/') {
            words.push(command.to_owned());
        } else {
            words.push(argument(command));
        }
        words.extend([
            host,
            port.to_string(),
            "%h".to_owned(),
            server.check_port.to_string(),
        ]);
        Check::Program {
            words,
            limit: self.connect_limit,
            exits: Exits::Zero,
        }
    }

    fn negotiate(
        &self,
        server: &Server,
        own: Option<&(String, String)>,
        remarks: &mut Remarks,
    ) -> Option<(Option<String>, Check)> {
        if self.service == "none" {
            return None;
        }
        let text = |word: &str| {
            let value = self.seen.get(word);
            value.map(|value| unquoted(&value.text).to_owned())
        };
        let Some(port) = self.port(server) else {
            let text = format!(
                "no port for service={}; the servers are always in",
                shown(&self.service)
            );
            remarks.lost(&self.seen.block.head.place, text);
            return None;
        };
        let (request, receive) = match own {
            Some((request, receive)) => (Some(request.clone()), Some(receive.clone())),
            None => (text("request"), text("receive")),
        };
        let asked = Asked {
            host: None,
            port,
            request: request.unwrap_or_default(),
            receive: receive.unwrap_or_default(),
        };
        match self.service.as_str() {
            "http" => Some(self.page(asked, false, remarks)),
            "https" => Some(self.page(asked, true, remarks)),
            _ => {
                let check = self.dialogue(&asked, remarks);
                if matches!(check, Check::Plugin { .. }) {
                    remarks.note(&self.seen.block.head.place, PLUGINS_NEEDED);
                }
                Some((None, check))
            }
        }
    }

    fn page(
        &self,
        mut asked: Asked,
        is_tls: bool,
        remarks: &mut Remarks,
    ) -> (Option<String>, Check) {
        let mut is_tls = is_tls;
        let mut path = asked.request.clone();
        // A whole address in place of a path: it is asked, not the real server.
        let whole = asked.request.trim_start_matches('/').to_owned();
        for (scheme, port) in [("http:", 80), ("https:", 443)] {
            let Some(rest) = whole.strip_prefix(scheme) else {
                continue;
            };
            let rest = rest.trim_start_matches('/');
            let (target, rest) = rest.split_once('/').unwrap_or((rest, ""));
            let (host, own) = split_port(target);
            asked.host = Some(host.to_owned()).filter(|it| is_host(it));
            asked.port = own.and_then(port_of).unwrap_or(port);
            is_tls = scheme == "https:";
            path = rest.to_owned();
        }
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let settings = &self.seen.block.settings;
        if let Some(value) = settings.get("httpmethod")
            && value.text.eq_ignore_ascii_case("head")
        {
            remarks.lost(&value.place, "httpmethod: lvsmon asks with GET");
        }
        let name = settings.get(super::VIRTUALHOST);
        let mut page = Page {
            port: asked.port,
            limit: self.negotiate_limit,
            path,
            name: name.map(|value| unquoted(&value.text).to_owned()),
            is_tls,
            statuses: vec![(200, 299)],
            content: (!asked.receive.is_empty()).then_some(Content {
                regex: asked.receive,
                flags: String::new(),
            }),
        };
        let place = |word: &str| {
            settings
                .get(word)
                .map_or(&self.seen.block.head.place, |it| &it.place)
        };
        for text in self.mended.mend(&mut page) {
            remarks.lost(place("receive"), text);
        }
        remarks.note(
            place("request"),
            "ldirectord follows redirects and lvsmon does not: a page that redirects is a failure",
        );
        (asked.host, Check::Page(page))
    }

    /// Every other protocol.
    fn dialogue(&self, asked: &Asked, remarks: &mut Remarks) -> Check {
        let limit = self.negotiate_limit;
        let port = asked.port;
        let place = &self.seen.block.head.place;
        let plugin = |name, args: &[&str]| Check::plugin(name, port, args, limit);
        self.without_login(remarks);
        let request = argument(&asked.request);
        let receive = argument(&asked.receive);
        match self.service.as_str() {
            "ftp" => Check::Ftp { port, limit },
            "smtp" | "submission" => plugin("check_smtp", &[]),
            "imap" => plugin("check_imap", &[]),
            "imaps" => plugin("check_simap", &[]),
            "pop" => plugin("check_pop", &[]),
            "pops" => plugin("check_spop", &[]),
            "nntp" => plugin("check_nntp", &[]),
            "dns" if !request.is_empty() => {
                let name = request.trim_start_matches('/');
                if receive.is_empty() {
                    plugin("check_dig", &["-l", name])
                } else {
                    plugin("check_dig", &["-l", name, "-a", &receive])
                }
            }
            "ldap" => plugin("check_ldap", &["-b", request.trim_start_matches('/')]),
            "ldaps" => plugin("check_ldaps", &["-b", request.trim_start_matches('/')]),
            "simpletcp" => {
                let send = request.strip_prefix('/').unwrap_or(&request);
                plugin("check_tcp", &["-E", "-s", send, "-e", &receive])
            }
            "sip" => {
                let message = sip_options();
                let name = if self.is_udp() {
                    "check_udp"
                } else {
                    "check_tcp"
                };
                plugin(name, &["-E", "-s", &message, "-e", "SIP/2.0 200"])
            }
            other => {
                let check = if self.is_udp() || other == "radius" {
                    self.ping()
                } else {
                    Check::Connect { port, limit }
                };
                let text = format!(
                    "service={}: there is no check for it here; {} is checked instead. A check \
                     plugin of your own would do: README, plugin.monitor",
                    shown(other),
                    check.name()
                );
                remarks.lost(place, text);
                check
            }
        }
    }

    /// Passwords stay where they are: a word of mon.cf shows in lists and in `ps`.
    fn without_login(&self, remarks: &mut Remarks) {
        for word in ["login", "passwd", "database", "secret"] {
            if let Some(value) = self.seen.block.settings.get(word) {
                let text = format!("{word} is not imported: the check does not log in");
                remarks.lost(&value.place, text);
            }
        }
        let is_ftp = self.service == "ftp";
        for word in ["request", "receive"] {
            let value = self.seen.block.settings.get(word);
            if let Some(value) = value.filter(|_| is_ftp) {
                let text = format!("{word}: of ftp only the greeting is checked");
                remarks.lost(&value.place, text);
            }
        }
    }
}

/// An OPTIONS request of SIP, in the escapes of `check_udp -E`.
fn sip_options() -> String {
    [
        "OPTIONS sip:%h SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK-lvsmon",
        "Max-Forwards: 70",
        "To: <sip:%h>",
        "From: <sip:lvsmon@%h>;tag=lvsmon",
        "Call-ID: lvsmon@%h",
        "CSeq: 1 OPTIONS",
        "Accept: application/sdp",
        "Content-Length: 0",
        "",
        "",
    ]
    .join(r"\r\n")
}

/// `checkport`. One that is no port says nothing: the program does not start with it, and no server
/// is to be in unchecked for it.
fn check_port(seen: &Seen<'_>, remarks: &mut Remarks) -> Option<u16> {
    let value = seen.get("checkport")?;
    let text = unquoted(&value.text);
    let port = port_of(text).filter(|port| *port > 0);
    if port.is_none() {
        let text = format!(
            "checkport {}: not a port from 1 to 65535; left out, each real server is checked at \
             its own port",
            shown(text)
        );
        remarks.tolerated(&value.place, text);
    }
    port
}

fn kind(value: &Value, remarks: &mut Remarks) -> Kind {
    match unquoted(&value.text) {
        "connect" => Kind::Connect,
        "negotiate" => Kind::Negotiate,
        "external" | "external-perl" => Kind::External,
        "ping" => Kind::Ping,
        "off" => Kind::Off,
        "on" => Kind::On,
        other => match other.parse() {
            Ok(times) => Kind::Combined(times),
            Err(_) => {
                let text = format!(
                    "checktype \"{}\" is not known; negotiate is taken",
                    shown(other)
                );
                remarks.lost(&value.place, text);
                Kind::Negotiate
            }
        },
    }
}
