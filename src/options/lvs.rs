//! The words of `lvs.alert` and `ipvs.alert`: which real server of which virtual service.
//!
//! Those of the HOWTO's script (`-P -V -R -W -F -u`) and of its later form (`-S -B -D`),
//! with `-p` and `-6` added (D11). Not here: how `alert` and `upalert` lines become one
//! binding ([`crate::config`]), and what a stand-alone call does (`alert::lvs`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::lvs::{
    FOUR_IN_SIX, Family, Forwarding, Limit, Protocol, Scheduler, Tunnel, VirtualServiceKey, Weight,
    four_in_six,
};
use crate::options::words::{Faults, PlainWords, Word, split};
use crate::options::{OptionError, OptionErrors};

/// What one line says. What it leaves out may stand in the other line of the same entry, so
/// defaults are filled in by whoever joins the lines: [`LvsOptions::DEFAULT_FORWARDING`],
/// [`LvsOptions::DEFAULT_WEIGHT`], [`LvsOptions::real_port`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LvsOptions {
    /// `-P` and `-V`.
    pub virtual_service: VirtualServiceKey,
    /// `-R`; without it each host of the hostgroup is a real server (D8).
    pub real: Option<RealWord>,
    /// `-p`: the port of the real servers, where it is not that of `-V`.
    pub port: Option<u16>,
    /// `-F`
    pub forwarding: Option<Forwarding>,
    /// `-W`
    pub weight: Option<Weight>,
    /// `-B`: make the virtual service when it is absent, with this scheduler (`-S`, else
    /// `wlc`). `-S` without `-B` says nothing, as in the script.
    pub creates: Option<Scheduler>,
    /// `-D`
    pub takes: Takes,
    /// `-u`
    pub sense: Sense,
}

/// A host as `-R` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealWord {
    /// Name or address, without brackets.
    pub host: String,
    /// The port behind it.
    pub port: Option<u16>,
}

/// What a failure takes out of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// The real server.
    RealServer,
    /// `-D`: the virtual service with all its real servers.
    VirtualService,
}

/// Whether the line itself says in which direction it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// The kind of the alert decides.
    OfTheAlert,
    /// `-u`: it adds. mon passes it with each upalert; a file does not need it.
    Adds,
}

impl LvsOptions {
    /// What the script does where `-F` is missing.
    pub const DEFAULT_FORWARDING: Forwarding = Forwarding::Dr;
    /// What ipvsadm does where `-w` is missing.
    pub const DEFAULT_WEIGHT: Weight = Weight(1);
    /// The letters, as getopt describes them.
    pub(crate) const LETTERS: &'static str = "P:V:R:p:W:F:S:BDu6";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut faults = Faults::default();
        let found = split(args, Self::LETTERS, PlainWords::Stray, &mut faults);
        Self::read(&found, args.len(), faults)
    }

    /// The options among words that are split already; letters of others are passed over.
    pub(crate) fn from_words(
        found: &[(usize, Word<'_>)],
        words_count: usize,
    ) -> Result<Self, OptionErrors> {
        Self::read(found, words_count, Faults::default())
    }

    fn read(
        found: &[(usize, Word<'_>)],
        words_count: usize,
        mut faults: Faults,
    ) -> Result<Self, OptionErrors> {
        let typed = Typed::collect(found, &mut faults);
        if typed.virtual_service.is_none() && !faults.lacks('V') {
            faults.add(words_count, "-V is missing: write -V ADDRESS:PORT");
        }
        let real = typed.real.and_then(|(at, text)| {
            let read = real_word(text).map_err(|message| OptionError::new(at, message));
            faults.take(read)
        });
        let address = real.as_ref().and_then(RealWord::address);
        let virtual_service = typed.virtual_service.and_then(|(at, text)| {
            let tcp = ProtocolWord::Transport(Protocol::Tcp);
            let read = match typed.protocol {
                // It may be a mark.
                None if number::<u32>(text).is_some() => Ok(None),
                protocol => {
                    virtual_key(protocol.unwrap_or(tcp), typed.six, text, address).map(Some)
                }
            };
            let read = read.map_err(|message| OptionError::new(at, message));
            faults.take(read).flatten()
        });
        let own_port = real.as_ref().and_then(|real| real.port);
        if let (Some(own), Some((at, port))) = (own_port, typed.port)
            && own != port
        {
            let message = format!("-R says port {own} and -p says {port}; leave out one of them");
            faults.add(at, message);
        }
        let Some(virtual_service) = virtual_service else {
            return Err(faults.into_errors());
        };
        let options = Self {
            virtual_service,
            real,
            port: typed.port.map(|(_, port)| port),
            forwarding: typed.forwarding,
            weight: typed.weight,
            creates: typed
                .creates
                .then(|| typed.scheduler.unwrap_or_else(Scheduler::wlc)),
            takes: typed.takes,
            sense: typed.sense,
        };
        // A word that could not be read contradicts nothing.
        let is_real_known = options.real.is_some() || typed.real.is_none();
        let virtual_at = typed.virtual_service.map_or(words_count, |(at, _)| at);
        let real_at = typed.port.map(|(at, _)| at);
        let real_at = real_at.or(typed.real.map(|(at, _)| at));
        if let Some(message) = options.cannot_create() {
            faults.add(virtual_at, message);
        }
        if is_real_known && let Err(message) = options.agrees() {
            faults.add(real_at.unwrap_or(virtual_at), message);
        }
        faults.finish(options)
    }

    /// The port of the real servers: that of `-R`, of `-p`, of the virtual service, or 0 in a
    /// mark service.
    #[must_use]
    pub fn real_port(&self) -> u16 {
        let own = self.real.as_ref().and_then(|real| real.port);
        own.or(self.port)
            .or(self.virtual_service.port())
            .unwrap_or(0)
    }

    /// Why `-B` cannot make this virtual service.
    fn cannot_create(&self) -> Option<&'static str> {
        let is_any_port = self.virtual_service.port() == Some(0);
        (self.creates.is_some() && is_any_port).then_some(
            "-B cannot make a virtual service on port 0: that needs persistence; make it with ipvsadm -A -p and leave out -B",
        )
    }

    /// What the words about the real server say against each other and the virtual service.
    fn agrees(&self) -> Result<(), String> {
        let address = self.real.as_ref().and_then(RealWord::address);
        let forwarding = self.forwarding.unwrap_or(Self::DEFAULT_FORWARDING);
        let limit = Limit::of(self.virtual_service, forwarding, address, self.real_port());
        match limit {
            // What the other line of the entry may yet say with its -F.
            Some(Limit::Port { .. } | Limit::Loopback) if self.forwarding.is_none() => Ok(()),
            Some(limit) => Err(limit_text(limit)),
            None => Ok(()),
        }
    }
}

impl RealWord {
    /// The address, where the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Whether the kernel would carry packets to this real server as the line says (D12).
///
/// `address` is none for a name that is not looked up yet.
///
/// # Errors
///
/// What does not work and what does: another port with `dr` or `tun` (it would be changed
/// silently), `nat` to the director's own loopback (the packets would be dropped), an address
/// that is no host's or of the wrong family.
pub fn check_limits(
    virtual_service: VirtualServiceKey,
    forwarding: Forwarding,
    address: Option<IpAddr>,
    port: u16,
) -> Result<(), String> {
    match Limit::of(virtual_service, forwarding, address, port) {
        Some(limit) => Err(limit_text(limit)),
        None => Ok(()),
    }
}

/// A limit in the words of `lvs.alert`, where each method stands behind `-F`.
fn limit_text(limit: Limit) -> String {
    let text = limit.to_string().replace("use ", "use -F ");
    match limit {
        Limit::Port { .. } | Limit::Loopback => format!("-F {text}"),
        Limit::OtherFamily {
            virtual_service: VirtualServiceKey::Mark(Family::V6, _),
            ..
        } => format!("{text}, or leave out -6"),
        Limit::OtherFamily { .. } | Limit::NoHost(_) | Limit::FourInSix(..) => text,
    }
}

/// The words of one line before they are set against each other.
struct Typed<'a> {
    /// None where it cannot be read.
    protocol: Option<ProtocolWord>,
    virtual_service: Option<(usize, &'a str)>,
    real: Option<(usize, &'a str)>,
    port: Option<(usize, u16)>,
    forwarding: Option<Forwarding>,
    weight: Option<Weight>,
    scheduler: Option<Scheduler>,
    creates: bool,
    takes: Takes,
    sense: Sense,
    six: bool,
}

/// What `-P` can say.
#[derive(Clone, Copy)]
enum ProtocolWord {
    Transport(Protocol),
    Mark,
}

impl<'a> Typed<'a> {
    fn collect(found: &[(usize, Word<'a>)], faults: &mut Faults) -> Self {
        let mut typed = Self {
            // The HOWTO's own remark on NAT writes a line without -P.
            protocol: Some(ProtocolWord::Transport(Protocol::Tcp)),
            virtual_service: None,
            real: None,
            port: None,
            forwarding: None,
            weight: None,
            scheduler: None,
            creates: false,
            takes: Takes::RealServer,
            sense: Sense::OfTheAlert,
            six: false,
        };
        for &(at, word) in found {
            match word {
                Word::Value(letter, value) => {
                    if let Err(message) = typed.value(at, letter, value) {
                        faults.add(at, message);
                    }
                }
                Word::Flag('B') => typed.creates = true,
                Word::Flag('D') => typed.takes = Takes::VirtualService,
                Word::Flag('u') => typed.sense = Sense::Adds,
                Word::Flag('6') => typed.six = true,
                // A mark that mon passes to a stand-alone call.
                Word::Flag(_) => {}
                Word::Plain(plain) => faults.add(
                    at,
                    format!(
                        "\"{plain}\" is not understood: the real server stands behind -R, the virtual service behind -V"
                    ),
                ),
            }
        }
        typed
    }

    fn value(&mut self, at: usize, letter: char, value: &'a str) -> Result<(), String> {
        match letter {
            'P' => {
                self.protocol = None;
                self.protocol = Some(protocol(value)?);
            }
            'V' => self.virtual_service = Some((at, value)),
            'R' => self.real = Some((at, value)),
            'p' => self.port = Some((at, port("-p", value)?)),
            'W' => self.weight = Some(weight(value)?),
            'F' => self.forwarding = Some(forwarding(value)?),
            'S' => self.scheduler = Some(scheduler(value)?),
            // A value that mon passes to a stand-alone call.
            _ => {}
        }
        Ok(())
    }
}

fn protocol(value: &str) -> Result<ProtocolWord, String> {
    Ok(match value {
        "tcp" => ProtocolWord::Transport(Protocol::Tcp),
        "udp" => ProtocolWord::Transport(Protocol::Udp),
        "sctp" => ProtocolWord::Transport(Protocol::Sctp),
        "fwm" => ProtocolWord::Mark,
        _ => return Err(format!("-P {value}: write tcp, udp, sctp or fwm")),
    })
}

fn forwarding(value: &str) -> Result<Forwarding, String> {
    Ok(match value {
        "nat" => Forwarding::Nat,
        "tun" => Forwarding::Tun(Tunnel::Ipip),
        "dr" => Forwarding::Dr,
        _ => return Err(format!("-F {value}: write nat, tun or dr")),
    })
}

fn weight(value: &str) -> Result<Weight, String> {
    number::<u32>(value)
        .filter(|&weight| weight <= Weight::MAX)
        .map(Weight)
        .ok_or_else(|| format!("-W {value}: write a weight from 0 to {}", Weight::MAX))
}

fn scheduler(value: &str) -> Result<Scheduler, String> {
    Scheduler::new(value).ok_or_else(|| {
        format!("-S {value}: write the name of a scheduler, such as wlc, rr, wrr or sh")
    })
}

fn port(what: &str, value: &str) -> Result<u16, String> {
    number(value).ok_or_else(|| format!("{what} {value}: write a port from 0 to 65535"))
}

/// A number of decimal digits only: `parse` alone would take a sign.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn virtual_key(
    protocol: ProtocolWord,
    six: bool,
    text: &str,
    real: Option<IpAddr>,
) -> Result<VirtualServiceKey, String> {
    let protocol = match protocol {
        ProtocolWord::Mark => {
            let mark = number::<u32>(text).filter(|&mark| mark != 0);
            let mark = mark.ok_or_else(|| {
                format!("-V {text}: with -P fwm write the firewall mark, a number from 1")
            })?;
            let family = match real.map(Family::of) {
                Some(Family::V6) => Family::V6,
                Some(Family::V4) | None if six => Family::V6,
                Some(Family::V4) | None => Family::V4,
            };
            return Ok(VirtualServiceKey::Mark(family, mark));
        }
        ProtocolWord::Transport(protocol) => protocol,
    };
    let address: SocketAddr = text.parse().map_err(|_| virtual_advice(text, protocol))?;
    if address.ip().is_unspecified() {
        return Err(format!(
            "-V {text}: write the address that the clients connect to"
        ));
    }
    if let Some(four) = four_in_six(address.ip()) {
        return Err(format!(
            "-V {text} {FOUR_IN_SIX}: write -V {four}:{}",
            address.port()
        ));
    }
    if six && address.is_ipv4() {
        return Err(format!("-V {text} is IPv4 and -6 says IPv6; leave out -6"));
    }
    Ok(VirtualServiceKey::Address(protocol, address))
}

/// What is right instead of a `-V` that is not ADDRESS:PORT.
fn virtual_advice(text: &str, protocol: Protocol) -> String {
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            format!("-V {text}: the port is missing; write -V {address}:PORT")
        }
        Ok(IpAddr::V6(address)) => {
            format!("-V {text}: the port is missing; write -V [{address}]:PORT")
        }
        Err(_) if number::<u32>(text).is_some() => {
            format!("-V {text}: for a firewall mark write -P fwm, for {protocol} -V ADDRESS:PORT")
        }
        Err(_) => format!(
            "-V {text}: write ADDRESS:PORT with numbers, such as 10.0.0.3:80 or [2001:db8::3]:80"
        ),
    }
}

/// Reads HOST, HOST:PORT, an IPv6 address with or without brackets.
fn real_word(text: &str) -> Result<RealWord, String> {
    let (host, behind) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, behind) = rest
                .split_once(']')
                .ok_or_else(|| format!("-R {text}: the closing bracket is missing"))?;
            if inner.parse::<Ipv6Addr>().is_err() {
                return Err(format!(
                    "-R {text}: {inner} is not an IPv6 address; brackets stand around these only"
                ));
            }
            (inner, behind)
        }
        None if text.parse::<Ipv6Addr>().is_ok() => (text, ""),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match behind.strip_prefix(':') {
        Some(digits) if digits.contains(':') => {
            return Err(format!(
                "-R {text}: write an IPv6 address with a port as [ADDRESS]:PORT"
            ));
        }
        Some(digits) => Some(
            port("-R", digits)
                .map_err(|_| format!("-R {text}: write HOST:PORT with a port from 0 to 65535"))?,
        ),
        None if behind.is_empty() => None,
        None => return Err(format!("-R {text}: write HOST, HOST:PORT or [IPV6]:PORT")),
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!("-R {text}: write HOST, HOST:PORT or [IPV6]:PORT"));
    }
    Ok(RealWord {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LvsOptions, OptionErrors> {
        let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
        LvsOptions::parse(&args)
    }

    fn key(text: &str) -> VirtualServiceKey {
        text.parse().unwrap()
    }

    #[test]
    fn the_lines_of_the_howto() {
        let line = parse("-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr").unwrap();
        assert_eq!(line.virtual_service, key("10.0.0.3:80/tcp"));
        let real = line.real.clone().unwrap();
        assert_eq!((real.host.as_str(), real.port), ("192.168.0.1", None));
        assert_eq!(line.real_port(), 80);
        assert_eq!(line.weight, Some(Weight(5)));
        assert_eq!(line.forwarding, Some(Forwarding::Dr));
        assert_eq!(line.creates, None);
        assert_eq!(
            (line.takes, line.sense),
            (Takes::RealServer, Sense::OfTheAlert)
        );
        let line = parse("-V 10.0.0.3:80 -R 192.168.0.3:8080").unwrap();
        assert_eq!(line.virtual_service, key("10.0.0.3:80/tcp"));
        assert_eq!((line.real_port(), line.forwarding), (8080, None));
    }

    #[test]
    fn the_words_of_ipvs_alert_and_ours() {
        let line = parse("-B -S wrr -D -u -P udp -V [2001:db8::3]:53 -R [2001:db8::7]:53").unwrap();
        assert_eq!(line.virtual_service, key("[2001:db8::3]:53/udp"));
        assert_eq!(line.creates, Scheduler::new("wrr"));
        assert_eq!(
            (line.takes, line.sense),
            (Takes::VirtualService, Sense::Adds)
        );
        let line = parse("-P sctp -V 10.0.0.3:5060 -p 5061 -F nat -B").unwrap();
        assert_eq!((line.real.is_none(), line.real_port()), (true, 5061));
        assert_eq!(line.creates, Some(Scheduler::wlc()));
        assert_eq!(parse("-V 10.0.0.3:80 -S rr").unwrap().creates, None);
    }

    #[test]
    fn the_family_of_a_mark_comes_from_the_real_server_or_from_6() {
        let cases = [
            ("-P fwm -V 7 -R 192.168.0.1", "fwmark 7"),
            ("-P fwm -V 7 -R www1", "fwmark 7"),
            ("-P fwm -V 7 -R www1 -6", "fwmark 7/v6"),
            ("-P fwm -V 7 -R 2001:db8::1", "fwmark 7/v6"),
            ("-P fwm -V 7", "fwmark 7"),
        ];
        for (text, expected) in cases {
            let line = parse(text).unwrap();
            assert_eq!(line.virtual_service, key(expected), "{text}");
            assert_eq!(line.real_port(), 0, "{text}");
        }
        let line = parse("-P fwm -V 7 -R 192.168.0.1:8080 -F nat").unwrap();
        assert_eq!(line.real_port(), 8080);
    }

    #[test]
    fn real_servers_are_read_in_every_form() {
        let cases = [
            ("www1.domain.com", "www1.domain.com", None),
            ("www1:8080", "www1", Some(8080)),
            ("192.168.0.1:0", "192.168.0.1", Some(0)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:80", "2001:db8::1", Some(80)),
        ];
        for (text, host, port) in cases {
            let real = real_word(text).unwrap();
            assert_eq!((real.host.as_str(), real.port), (host, port), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_is_right() {
        let cases = [
            ("-R 192.168.0.1", 2, "-V is missing"),
            ("-V 10.0.0.3", 0, "write -V 10.0.0.3:PORT"),
            ("-V [2001:db8::3]", 0, "write -V [2001:db8::3]:PORT"),
            ("-V www:80", 0, "with numbers, such as 10.0.0.3:80"),
            ("-V 7", 0, "for a firewall mark write -P fwm"),
            ("-V 0.0.0.0:80", 0, "that the clients connect to"),
            ("-V [::ffff:10.0.0.3]:80", 0, "IPv4 in IPv6 form"),
            ("-V [::ffff:10.0.0.3]:80", 0, "write -V 10.0.0.3:80"),
            ("-P fwm -V 0", 2, "a number from 1"),
            ("-P fwm -V +7", 2, "a number from 1"),
            ("-P icmp -V 10.0.0.3:80", 0, "write tcp, udp, sctp or fwm"),
            ("-V 10.0.0.3:80 -W 65536", 2, "from 0 to 65535"),
            ("-V 10.0.0.3:80 -W +5", 2, "from 0 to 65535"),
            ("-V 10.0.0.3:80 -F gate", 2, "write nat, tun or dr"),
            ("-V 10.0.0.3:80 -S w/c", 2, "such as wlc"),
            ("-V 10.0.0.3:80 -p http", 2, "a port from 0 to 65535"),
            ("-V 10.0.0.3:80 -R a:b", 2, "HOST:PORT with a port"),
            ("-V 10.0.0.3:80 -R 2001:db8::1:g", 2, "[ADDRESS]:PORT"),
            ("-V 10.0.0.3:80 -R [www1]:80", 2, "is not an IPv6 address"),
            ("-V 10.0.0.3:80 -R [::1", 2, "closing bracket"),
            ("-V 10.0.0.3:80 -R [2001:db8::1]80", 2, "[IPV6]:PORT"),
            ("-V 10.0.0.3:80 -R :80", 2, "write HOST"),
            ("-V 10.0.0.3:80 -R 10.0.0.7:80 -p 81", 4, "leave out one"),
            ("-V 10.0.0.3:80 -6", 0, "leave out -6"),
            ("-V 10.0.0.3:0 -B", 0, "needs persistence"),
            ("-V 10.0.0.3:80 -x", 2, "unknown option -x"),
            ("-V 10.0.0.3:80 192.168.0.1", 2, "stands behind -R"),
            ("-V", 1, "needs a value"),
        ];
        for (text, index, expected) in cases {
            let errors = parse(text).unwrap_err();
            let [error] = errors.list() else {
                panic!("{text}: not one mistake:\n{errors}");
            };
            assert_eq!(error.index, index, "{text}: {error}");
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn all_mistakes_of_a_line_are_named() {
        let cases: [(&str, &[usize]); 11] = [
            (
                "-P icmp -V 7 -W x -F gate -S w/c -p http -R a:b -Q",
                &[0, 4, 6, 8, 10, 12, 14],
            ),
            ("-V www:80 -R [::1 -W 70000", &[0, 2, 4]),
            ("10.0.0.3:80 -R 192.168.0.1 -W x", &[0, 3, 5]),
            ("-v 10.0.0.3 -r 10.0.0.7 -F x", &[0, 0, 2, 4]),
            ("-V 10.0.0.3:0 -B -R 2001:db8::1 -W x", &[0, 3, 5]),
            ("-V 10.0.0.3:80 -R 10.0.0.7:81 -F dr -W x -V", &[2, 6, 9]),
            ("-R 10.0.0.7:81 -F dr -W x -V", &[4, 7]),
            ("-V 10.0.0.3:80 -R a:b -p 81 -F dr", &[2]),
            ("-V www:80 -R 10.0.0.7:80 -p 81", &[0, 4]),
            ("-P icmp -V 10.0.0.3 -R 10.0.0.7", &[0, 2]),
            ("-P icmp -V 10.0.0.3:80 -R ::1", &[0, 4]),
        ];
        for (text, places) in cases {
            let errors = parse(text).unwrap_err();
            let found: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
            assert_eq!(found, places, "{text}:\n{errors}");
        }
    }

    #[test]
    fn limits_of_the_kernel_are_errors() {
        let cases = [
            (
                "-V 10.0.0.3:80 -R 192.168.0.1:8080 -F dr",
                "cannot change the port",
            ),
            ("-V 10.0.0.3:80 -p 8080 -F tun", "cannot change the port"),
            ("-V 10.0.0.3:80 -R 127.0.0.1 -F nat", "loopback"),
            ("-V [2001:db8::3]:80 -R ::1 -F nat", "loopback"),
            ("-V 10.0.0.3:80 -R 2001:db8::1", "IPv4 address"),
            ("-V [2001:db8::3]:80 -R 10.0.0.7", "IPv6 address"),
            ("-P fwm -V 7 -6 -R 10.0.0.7", "or leave out -6"),
            ("-V 10.0.0.3:80 -R 0.0.0.0", "not the address of a host"),
            ("-V 10.0.0.3:80 -R 224.0.0.1", "not the address of a host"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        for text in [
            "-V 10.0.0.3:80 -R 192.168.0.1:8080 -F nat",
            "-V 10.0.0.3:80 -R 127.0.0.1 -F dr",
            "-V 10.0.0.3:80 -R 2001:db8::1 -F tun",
            "-V [2001:db8::3]:80 -R 10.0.0.7 -F tun",
            "-V 10.0.0.3:80 -R 192.168.0.1:80 -F dr",
            "-P fwm -V 7 -R 192.168.0.1:80 -F dr",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }
}
