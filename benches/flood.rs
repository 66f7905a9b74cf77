//! What floods do to the checks: how late 1,000 services run with and without them.
//!
//!     cargo bench --bench flood
//!
//! Starts the release build with 1,000 services at 10 s, each against an address of its own on
//! loopback, and notes when each connection comes. A window of calm is followed by one with
//! 50,000 traps a second (rubbish, unknown users, wrong passwords), 2,000 clients that are idle
//! or poll, and one that asks and never reads. Both windows are of one run of one daemon, so
//! their ratio says something on any machine. `LVSMON_FLOOD_INTERVAL=2` looks at services at
//! 2 s, for a quick answer. Takes eight intervals and some seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that meets the unexpected ends"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

const SERVICES: u32 = 1_000;
const INTERVAL_SECONDS: u64 = 10;
const TRAPS_PER_SECOND: u32 = 50_000;
const IDLE_CLIENTS: usize = 1_900;
const POLLING_CLIENTS: usize = 100;
/// Each polling client asks so often.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Intervals of each window.
const WINDOW: u32 = 3;
/// Files that the measurement itself opens beside its clients.
const FILES_SPARE: u64 = 500;

/// When each service was checked, since the start.
type Seen = Arc<Mutex<BTreeMap<Ipv4Addr, Vec<Duration>>>>;

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> io::Result<()> {
    raise_file_limit();
    let seconds = std::env::var("LVSMON_FLOOD_INTERVAL");
    let seconds = seconds.ok().and_then(|text| text.parse().ok());
    let interval = Duration::from_secs(seconds.unwrap_or(INTERVAL_SECONDS));
    let folder = tempfile::tempdir()?;
    let start = now();
    let seen: Seen = Arc::default();
    let checked = listen(start, &seen)?;
    let (clients, traps) = (free_tcp_port()?, free_udp_port()?);
    configure(folder.path(), interval, checked, clients, traps)?;
    let log = std::fs::File::create(folder.path().join("log"))?;
    let child = Command::new(env!("CARGO_BIN_EXE_lvsmon"))
        .args(["run", "--config"])
        .arg(folder.path().join("mon.cf"))
        .env("LVSMON_LOG", "warn")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()?;
    let daemon = Daemon(child);
    let pid = daemon.0.id();

    // The first runs are spread over an interval; the grid shows from the second on.
    rest(interval * 2);
    let calm_from = start.elapsed();
    rest(interval * WINDOW);
    let calm = (calm_from, start.elapsed());
    let calm_memory = resident_kb(pid);

    let flood = Flood::start(clients, traps, start + calm.1 + interval * (WINDOW + 1));
    rest(interval);
    let flood_from = start.elapsed();
    let cpu = cpu(pid);
    rest(interval * WINDOW);
    let flooded = (flood_from, start.elapsed());
    let flood_memory = resident_kb(pid);
    let cpu = cpu_since(pid, cpu);
    let floods = flood.end();

    let seen = seen.lock().expect("nobody else has it").clone();
    let grid = Grid::of(&seen, interval);
    let calm = grid.lateness(&seen, calm);
    let flooded_lateness = grid.lateness(&seen, flooded);
    let mut out = io::stdout();
    writeln!(out, "{SERVICES} services at {} s", interval.as_secs())?;
    for (name, figures, memory) in [
        ("calm", &calm, calm_memory),
        ("flooded", &flooded_lateness, flood_memory),
    ] {
        writeln!(
            out,
            "{name:>8}: {:>5} checks, late by {:>8.3} ms on average, {:>8.3} ms in 99 of 100, {:>8.3} ms at most; {memory:>6} kB resident",
            figures.count, figures.mean_ms, figures.most_of_ms, figures.worst_ms,
        )?;
    }
    writeln!(
        out,
        "   ratio: {:.2} on average; daemon: {:.0} % of a processor while flooded",
        flooded_lateness.mean_ms / calm.mean_ms,
        cpu.as_secs_f64() * 100.0 / (flooded.1 - flooded.0).as_secs_f64(),
    )?;
    writeln!(out, "   {floods}")?;
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    writeln!(out, "   {} lines of log", log.lines().count())
}

/// Where each service's grid begins: the earliest that its checks came, less whole intervals.
struct Grid {
    phases: BTreeMap<Ipv4Addr, Duration>,
    interval: Duration,
}

struct Figures {
    count: usize,
    mean_ms: f64,
    most_of_ms: f64,
    worst_ms: f64,
}

impl Grid {
    fn of(seen: &BTreeMap<Ipv4Addr, Vec<Duration>>, interval: Duration) -> Self {
        let phase = |times: &Vec<Duration>| {
            let first = *times.first()?;
            // Positions relative to the first check, so that none wraps around.
            let offset = |time: &Duration| {
                let steps = (*time - first).as_secs_f64() / interval.as_secs_f64();
                time.as_secs_f64() - steps.round() * interval.as_secs_f64()
            };
            let least = times.iter().map(offset).fold(f64::INFINITY, f64::min);
            Some(Duration::from_secs_f64(least.max(0.0)))
        };
        let phases = seen
            .iter()
            .filter_map(|(address, times)| Some((*address, phase(times)?)))
            .collect();
        Self { phases, interval }
    }

    fn lateness(
        &self,
        seen: &BTreeMap<Ipv4Addr, Vec<Duration>>,
        (from, until): (Duration, Duration),
    ) -> Figures {
        let mut all = Vec::new();
        for (address, times) in seen {
            let Some(phase) = self.phases.get(address) else {
                continue;
            };
            for time in times.iter().filter(|time| (from..until).contains(time)) {
                let since = time.saturating_sub(*phase).as_secs_f64();
                let step = self.interval.as_secs_f64();
                all.push((since - (since / step + 0.25).floor() * step).max(0.0) * 1000.0);
            }
        }
        all.sort_by(f64::total_cmp);
        let count = all.len();
        assert!(count > 0, "no check was seen");
        Figures {
            count,
            mean_ms: all.iter().sum::<f64>() / count as f64,
            most_of_ms: all[count * 99 / 100],
            worst_ms: all[count - 1],
        }
    }
}

/// Takes connections on every loopback address and notes for whom they are.
fn listen(start: Instant, seen: &Seen) -> io::Result<u16> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let port = listener.local_addr()?.port();
    let seen = Arc::clone(seen);
    // Ends with the program.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let time = start.elapsed();
            if let Ok(SocketAddr::V4(address)) = stream.local_addr() {
                let mut seen = seen.lock().expect("nobody panicked");
                seen.entry(*address.ip()).or_default().push(time);
            }
        }
    });
    Ok(port)
}

fn configure(
    folder: &Path,
    interval: Duration,
    checked: u16,
    clients: u16,
    traps: u16,
) -> io::Result<()> {
    let place = folder.display();
    let seconds = interval.as_secs();
    let mut text = format!(
        "statedir = {place}/state\nlogdir = {place}\ncfbasedir = {place}\nmondir = {place}\n\
         alertdir = {place}\nauthfile = auth.cf\nserverbind = 127.0.0.1\nserverport = {clients}\n\
         trapbind = 127.0.0.1\ntrapport = {traps}\ncltimeout = 1h\nipvs_backend = memory\n\
         randstart = {seconds}s\n\n"
    );
    for number in 0..SERVICES {
        let address = Ipv4Addr::from_bits(0x7f01_0000 + number);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "hostgroup g{number} {address}\n\nwatch g{number}\n    service tcp\n        \
             interval {seconds}s\n        monitor tcp.monitor -p {checked}\n\n"
        );
    }
    std::fs::create_dir_all(folder.join("state"))?;
    std::fs::write(folder.join("mon.cf"), text)?;
    // The hash of "secret".
    let rules = "command section\nlist: all\nservertime: all\ntrap section\n* ops \
                 $6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.\n";
    std::fs::write(folder.join("auth.cf"), rules)
}

/// Everything that is thrown at the daemon.
struct Flood {
    ends: Arc<AtomicBool>,
    traps: Arc<AtomicU64>,
    polls: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// They only exist.
    idle: Vec<TcpStream>,
    start: Instant,
}

impl Flood {
    fn start(clients: u16, traps: u16, until: Instant) -> Self {
        let mut flood = Self {
            ends: Arc::default(),
            traps: Arc::default(),
            polls: Arc::default(),
            threads: Vec::new(),
            idle: Vec::new(),
            start: now(),
        };
        let client = || TcpStream::connect((Ipv4Addr::LOCALHOST, clients));
        flood.idle = (0..IDLE_CLIENTS).filter_map(|_| client().ok()).collect();
        let polling: Vec<TcpStream> = (0..POLLING_CLIENTS).filter_map(|_| client().ok()).collect();
        let (ends, polls) = (Arc::clone(&flood.ends), Arc::clone(&flood.polls));
        flood.thread(move || poll(&polling, until, &ends, &polls));
        let ends = Arc::clone(&flood.ends);
        if let Ok(deaf) = client() {
            flood.thread(move || never_read(&deaf, until, &ends));
        }
        let (ends, sent) = (Arc::clone(&flood.ends), Arc::clone(&flood.traps));
        flood.thread(move || send_traps(traps, until, &ends, &sent));
        flood
    }

    fn thread(&mut self, work: impl FnOnce() + Send + 'static) {
        self.threads.push(std::thread::spawn(work));
    }

    fn end(self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no thread panicked");
        }
        format!(
            "floods: {:.0} traps and {:.0} answered requests a second, {} idle clients",
            self.traps.load(Ordering::Relaxed) as f64 / seconds,
            self.polls.load(Ordering::Relaxed) as f64 / seconds,
            self.idle.len(),
        )
    }
}

/// Asks in turn, each client once in [`POLL_EVERY`], and reads the answers.
fn poll(clients: &[TcpStream], until: Instant, ends: &AtomicBool, polls: &AtomicU64) {
    let pause = POLL_EVERY / u32::try_from(clients.len().max(1)).expect("few clients");
    let mut buffer = vec![0; 65_536];
    while !ends.load(Ordering::Relaxed) && now() < until {
        for mut client in clients {
            if ends.load(Ordering::Relaxed) {
                return;
            }
            let limit = Some(Duration::from_secs(5));
            client.set_read_timeout(limit).expect("a limit");
            if client.write_all(b"list failures\n").is_ok() {
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    if buffer[..length].ends_with(b"completed\n") {
                        polls.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
            }
            rest(pause);
        }
    }
}

/// Asks for long listings and reads none.
fn never_read(mut client: &TcpStream, until: Instant, ends: &AtomicBool) {
    client.set_nonblocking(true).expect("its mode");
    while !ends.load(Ordering::Relaxed) && now() < until {
        let _ = client.write(b"list opstatus\n");
        rest(Duration::from_millis(1));
    }
}

/// Rubbish of four kinds, so many a second.
fn send_traps(port: u16, until: Instant, ends: &AtomicBool, sent: &AtomicU64) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket
        .connect((Ipv4Addr::LOCALHOST, port))
        .expect("its receiver");
    let start = now();
    let mut count: u64 = 0;
    while !ends.load(Ordering::Relaxed) && now() < until {
        let due = start.elapsed().as_secs_f64() * f64::from(TRAPS_PER_SECOND);
        while (count as f64) < due {
            let usual = "grp='g1'\nsvc='tcp'\nsta='1'\nsum='no\\20trap'\n";
            let packet = match count % 4 {
                0 => format!("rubbish {count} \u{1}\u{2}=\n\n'''"),
                1 => format!("pro='0.3807'\nusr='nobody{count}'\npas='x'\n{usual}"),
                2 => format!("pro='0.3807'\nusr='ops'\npas='guess{count}'\n{usual}"),
                _ => format!("pro='0.3000'\nusr='ops'\npas='secret'\n{usual}"),
            };
            // Where the daemon has no room the packet is lost, as on a network.
            if socket.send(packet.as_bytes()).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
            count += 1;
        }
        rest(Duration::from_millis(1));
    }
}

fn raise_file_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    let wanted = (IDLE_CLIENTS + POLLING_CLIENTS) as u64 + FILES_SPARE;
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).expect("a higher limit");
    }
}

fn free_tcp_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn free_udp_port() -> io::Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the daemon lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    size.expect("a resident size")
}

/// User and system time of a process.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the daemon lives");
    let (_, fields) = stat.rsplit_once(") ").expect("the name in parentheses");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(ticks * 10)
}

fn cpu_since(pid: u32, before: Duration) -> Duration {
    cpu(pid).saturating_sub(before)
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement over a span of real time"
)]
fn rest(span: Duration) {
    std::thread::sleep(span);
}
