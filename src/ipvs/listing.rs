//! The form of `ipvsadm -Sn`: read into a table, and written.
//!
//! Pure. Written as ipvsadm(8) 1.31 prints it; read also as a person may write it for
//! ipvsadm (ports, weights and methods left out, long options, comments). `ipvsadm -Sn` shows no
//! thresholds, though it takes them; these and numbers of connections are read in `counts`, the
//! synchronisation daemons in `daemons`.

pub(super) mod counts;
pub(super) mod daemons;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::lvs::{
    Command, Family, Forwarding, GueChecksum, Protocol, RealServer, RealServerKey, Scheduler,
    ServiceFlags, Table, TableEntry, Tunnel, VirtualService, VirtualServiceKey, Weight,
};

/// ipvsadm's persistence where `-p` has no number, in seconds.
const DEFAULT_PERSISTENCE: u32 = 360;

/// A line that is no line of `ipvsadm -Sn`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the listing, \"{text}\": {why}")]
pub struct ListingError {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads a listing. Blank lines and lines that begin with `#` say nothing.
///
/// # Errors
///
/// The first line that makes no sense, or a real server before its virtual service.
pub fn parse(text: &str) -> Result<Table, ListingError> {
    let mut table = Table::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        read_line(line, &mut table).map_err(|why| ListingError {
            line: index + 1,
            text: line.chars().take(200).collect(),
            why,
        })?;
    }
    Ok(table)
}

/// Writes a listing that [`parse`] and `ipvsadm -R` read.
#[must_use]
pub fn format(table: &Table) -> String {
    let mut text = String::new();
    for (key, entry) in table {
        let add = Command::AddService(*key, entry.service.clone());
        text.push_str(&words(&add).join(" "));
        text.push('\n');
        for (server, settings) in &entry.servers {
            let add = Command::AddServer(*key, *server, *settings);
            text.push_str(&words(&add).join(" "));
            text.push('\n');
        }
    }
    text
}

/// The words after `ipvsadm` that make a change.
#[must_use]
pub fn words(command: &Command) -> Vec<String> {
    let mut words = Vec::new();
    match command {
        Command::AddService(key, service) => {
            words.push("-A".into());
            key_words(&mut words, *key);
            service_words(&mut words, key.family(), service);
        }
        Command::EditService(key, service) => {
            words.push("-E".into());
            key_words(&mut words, *key);
            service_words(&mut words, key.family(), service);
        }
        Command::DeleteService(key) => {
            words.push("-D".into());
            key_words(&mut words, *key);
        }
        Command::AddServer(key, server, to) => {
            words.push("-a".into());
            server_words(&mut words, *key, *server);
            setting_words(&mut words, *to);
        }
        Command::EditServer(key, server, to) => {
            words.push("-e".into());
            server_words(&mut words, *key, *server);
            setting_words(&mut words, *to);
        }
        Command::DeleteServer(key, server) => {
            words.push("-d".into());
            server_words(&mut words, *key, *server);
        }
    }
    words
}

fn key_words(words: &mut Vec<String>, key: VirtualServiceKey) {
    match key {
        VirtualServiceKey::Address(protocol, address) => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            words.extend([option.into(), address.to_string()]);
        }
        VirtualServiceKey::Mark(family, mark) => {
            words.extend(["-f".into(), mark.to_string()]);
            if family == Family::V6 {
                words.push("-6".into());
            }
        }
    }
}

fn service_words(words: &mut Vec<String>, family: Family, service: &VirtualService) {
    words.extend(["-s".into(), service.scheduler.to_string()]);
    if service.is_persistent() {
        words.extend(["-p".into(), service.persistence_seconds.to_string()]);
    }
    if service.netmask != VirtualService::single_client(family) {
        let mask = match family {
            Family::V4 => Ipv4Addr::from(service.netmask).to_string(),
            Family::V6 => service.netmask.to_string(),
        };
        words.extend(["-M".into(), mask]);
    }
    if service.flags.has(ServiceFlags::ONE_PACKET) {
        words.push("-o".into());
    }
    let flags: Vec<&str> = service.flags.general_words().collect();
    if !flags.is_empty() {
        words.extend(["-b".into(), flags.join(",")]);
    }
    if let Some(engine) = &service.persistence_engine {
        words.extend(["--pe".into(), engine.to_string()]);
    }
}

fn server_words(words: &mut Vec<String>, key: VirtualServiceKey, server: RealServerKey) {
    key_words(words, key);
    words.extend(["-r".into(), server.to_string()]);
}

fn setting_words(words: &mut Vec<String>, to: RealServer) {
    // `Local` and `Bypass` are the kernel's own; ipvsadm has no option for them and would
    // make a direct route of them, as its `-S` does.
    let method = match to.forwarding {
        Forwarding::Nat => "-m",
        Forwarding::Tun(_) => "-i",
        Forwarding::Dr | Forwarding::Local | Forwarding::Bypass => "-g",
    };
    words.extend([method.into(), "-w".into(), to.weight.to_string()]);
    if let Forwarding::Tun(tunnel) = to.forwarding {
        tunnel_words(words, tunnel);
    }
    for (option, threshold) in [("-x", to.upper_threshold), ("-y", to.lower_threshold)] {
        if threshold > 0 {
            words.extend([option.into(), threshold.to_string()]);
        }
    }
}

/// The kind is left out where it is the usual one: ipvsadm before 1.30 does not know the option.
fn tunnel_words(words: &mut Vec<String>, tunnel: Tunnel) {
    match tunnel {
        Tunnel::Ipip => {}
        Tunnel::Gre { checksum } => {
            let checksum = if checksum {
                "--tun-csum"
            } else {
                "--tun-nocsum"
            };
            words.extend(["--tun-type".into(), "gre".into(), checksum.into()]);
        }
        Tunnel::Gue { port, checksum } => {
            let checksum = match checksum {
                GueChecksum::None => "--tun-nocsum",
                GueChecksum::Csum => "--tun-csum",
                GueChecksum::Remcsum => "--tun-remcsum",
            };
            words.extend(["--tun-type".into(), "gue".into()]);
            words.extend(["--tun-port".into(), port.to_string(), checksum.into()]);
        }
    }
}

/// What the words of one line say, in whatever order.
#[derive(Default)]
struct Line<'a> {
    protocol: Option<(Protocol, &'a str)>,
    mark: Option<u32>,
    v6: bool,
    server: Option<&'a str>,
    scheduler: Option<&'a str>,
    persistence: u32,
    netmask: Option<&'a str>,
    one_packet: bool,
    flags: Option<&'a str>,
    engine: Option<&'a str>,
    method: Option<Method>,
    tunnel: Option<&'a str>,
    tunnel_port: Option<&'a str>,
    checksum: GueChecksum,
    weight: Option<u32>,
    upper: u32,
    lower: u32,
}

/// `-m`, `-i` and `-g`.
#[derive(Clone, Copy)]
enum Method {
    Nat,
    Tun,
    Dr,
}

fn read_line(text: &str, table: &mut Table) -> Result<(), String> {
    let mut words = text.split_whitespace().peekable();
    if words.peek() == Some(&"ipvsadm") {
        words.next();
    }
    let action = words.next().unwrap_or_default();
    let mut line = Line::default();
    while let Some(word) = words.next() {
        let next = words.next_if(|next| !next.starts_with('-') || is_negative(next));
        read_option(&mut line, word, next)?;
    }
    let key = line.key()?;
    match action {
        "-A" | "--add-service" => {
            let service = line.service(key.family())?;
            let servers = BTreeMap::new();
            table.insert(key, TableEntry { service, servers });
        }
        "-a" | "--add-server" => {
            let (server, settings) = line.real_server(key)?;
            let entry = table
                .get_mut(&key)
                .ok_or("its virtual service is not in the lines before it")?;
            entry.servers.insert(server, settings);
        }
        _ => return Err("a line begins with -A or -a".into()),
    }
    Ok(())
}

/// ipvsadm prints marks from 2147483648 on as negative numbers.
fn is_negative(word: &str) -> bool {
    word.parse::<i64>().is_ok()
}

fn read_option<'a>(
    line: &mut Line<'a>,
    option: &str,
    value: Option<&'a str>,
) -> Result<(), String> {
    let needed = || value.ok_or_else(|| format!("{option} needs a value"));
    match option {
        "-t" | "--tcp-service" => line.protocol = Some((Protocol::Tcp, needed()?)),
        "-u" | "--udp-service" => line.protocol = Some((Protocol::Udp, needed()?)),
        "--sctp-service" => line.protocol = Some((Protocol::Sctp, needed()?)),
        "-f" | "--fwmark-service" => line.mark = Some(read_mark(needed()?)?),
        "-6" | "--ipv6" => line.v6 = true,
        "-r" | "--real-server" => line.server = Some(needed()?),
        "-s" | "--scheduler" => line.scheduler = Some(needed()?),
        "-p" | "--persistent" => {
            line.persistence = value.map_or(Ok(DEFAULT_PERSISTENCE), number)?;
        }
        "-M" | "--netmask" => line.netmask = Some(needed()?),
        "-o" | "--ops" => line.one_packet = true,
        "-b" | "--sched-flags" => line.flags = Some(needed()?),
        "--pe" => line.engine = Some(needed()?),
        "-m" | "--masquerading" => line.method = Some(Method::Nat),
        "-i" | "--ipip" => line.method = Some(Method::Tun),
        "-g" | "--gatewaying" => line.method = Some(Method::Dr),
        "-w" | "--weight" => line.weight = Some(number(needed()?)?),
        "-x" | "--u-threshold" => line.upper = number(needed()?)?,
        "-y" | "--l-threshold" => line.lower = number(needed()?)?,
        "--tun-type" => line.tunnel = Some(needed()?),
        "--tun-port" => line.tunnel_port = Some(needed()?),
        "--tun-nocsum" => line.checksum = GueChecksum::None,
        "--tun-csum" => line.checksum = GueChecksum::Csum,
        "--tun-remcsum" => line.checksum = GueChecksum::Remcsum,
        unknown => return Err(format!("unknown option {unknown}")),
    }
    Ok(())
}

impl Line<'_> {
    fn key(&self) -> Result<VirtualServiceKey, String> {
        match (self.protocol, self.mark) {
            (Some((protocol, address)), None) => Ok(VirtualServiceKey::Address(
                protocol,
                read_address(address, 0)?,
            )),
            (None, Some(mark)) => {
                let family = if self.v6 { Family::V6 } else { Family::V4 };
                Ok(VirtualServiceKey::Mark(family, mark))
            }
            _ => Err("one of -t, -u, --sctp-service and -f is needed".into()),
        }
    }

    fn service(&self, family: Family) -> Result<VirtualService, String> {
        let scheduler = match self.scheduler {
            Some(name) => {
                Scheduler::new(name).ok_or_else(|| format!("\"{name}\" is no scheduler"))?
            }
            None => Scheduler::wlc(),
        };
        let mut service = VirtualService::plain(family, scheduler);
        service.flags = self.flags(&service.scheduler)?;
        service.persistence_seconds = self.persistence;
        if let Some(mask) = self.netmask {
            let wrong = || format!("\"{mask}\" is no netmask");
            service.netmask = match family {
                Family::V4 => mask.parse::<Ipv4Addr>().map_err(|_| wrong())?.into(),
                Family::V6 => mask.parse().map_err(|_| wrong())?,
            };
        }
        service.persistence_engine = self.engine.map(Into::into);
        Ok(service)
    }

    fn flags(&self, scheduler: &Scheduler) -> Result<ServiceFlags, String> {
        let mut flags = ServiceFlags::NONE;
        if self.one_packet {
            flags = ServiceFlags::ONE_PACKET;
        }
        for word in self.flags.iter().flat_map(|words| words.split(',')) {
            let flag = ServiceFlags::of_scheduler(scheduler, word)
                .ok_or_else(|| format!("unknown scheduler flag {word} of {scheduler}"))?;
            flags = flags.with(flag);
        }
        Ok(flags)
    }

    fn forwarding(&self) -> Result<Forwarding, String> {
        Ok(match self.method.unwrap_or(Method::Dr) {
            Method::Nat => Forwarding::Nat,
            Method::Tun => Forwarding::Tun(self.tunnel()?),
            Method::Dr => Forwarding::Dr,
        })
    }

    fn tunnel(&self) -> Result<Tunnel, String> {
        match self.tunnel.unwrap_or("ipip") {
            "ipip" => Ok(Tunnel::Ipip),
            "gre" => Ok(Tunnel::Gre {
                checksum: self.checksum == GueChecksum::Csum,
            }),
            "gue" => {
                let port = self.tunnel_port.ok_or("--tun-port is needed for gue")?;
                let wrong = |_| format!("\"{port}\" is no port of a tunnel");
                let port = port.parse().map_err(wrong)?;
                let checksum = self.checksum;
                Ok(Tunnel::Gue { port, checksum })
            }
            other => Err(format!("\"{other}\" is no kind of tunnel")),
        }
    }

    fn real_server(&self, key: VirtualServiceKey) -> Result<(RealServerKey, RealServer), String> {
        let server = self.server.ok_or("-r is needed")?;
        let address = read_address(server, key.port().unwrap_or(0))?;
        let settings = RealServer {
            forwarding: self.forwarding()?,
            weight: Weight(self.weight.unwrap_or(1)),
            upper_threshold: self.upper,
            lower_threshold: self.lower,
        };
        Ok((RealServerKey(address), settings))
    }
}

fn read_address(text: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<IpAddr>(),
    };
    address
        .map(|address| SocketAddr::new(address, port))
        .map_err(|_| format!("\"{text}\" is no address"))
}

fn read_mark(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().or_else(|| {
        let negative = text.parse::<i32>().ok()?;
        Some(negative.cast_unsigned())
    });
    number
        .filter(|&mark| mark != 0)
        .ok_or_else(|| format!("\"{text}\" is no firewall mark"))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no number"))
}

#[cfg(test)]
mod tests;
