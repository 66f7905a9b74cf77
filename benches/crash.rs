//! How soon does a crashed server leave the table, with and without the tripwire?
//!
//!     cargo bench --bench crash
//!
//! Starts the release build with one virtual service of 50 real servers, each a process in a
//! network namespace of its own, and a table in memory. Once all are in, each process is killed
//! at a moment of its own within one interval, and the time until the table is without it is
//! taken. Intervals of 1 s and 10 s, without and with `tripwire on`, side by side in one run; that
//! of 60 s in virtual time (see `simulated`), where each crash has the same world to itself. Needs
//! root for the namespaces, which it takes away again. Ends with status 1 where a server that has
//! the tripwire was in for longer than [`PROMISED`]. Takes about a minute;
//! `LVSMON_CRASH_INTERVALS=1` looks at 1 s only, for a quick answer; 60 needs no namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that meets the unexpected ends"
)]

#[path = "crash/simulated.rs"]
mod simulated;

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SERVERS: u8 = 50;
const INTERVALS: [u64; 3] = [1, 10, simulated::INTERVAL_S];
const PORT: u16 = 80;
/// How exactly a time is taken.
const LOOK: Duration = Duration::from_micros(500);
/// Longest wait for what should happen soon.
const SOON: Duration = Duration::from_secs(30);
/// Within this time a crashed server leaves the table, whatever the interval.
const PROMISED: Duration = Duration::from_millis(100);
/// Seed of the moments: the same in every run.
const SEED: u64 = 7;

/// Killed at its end, with its namespaces.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The namespaces: one for the director, one for each server, on one bridge.
struct Net(String);

impl Net {
    fn build() -> io::Result<Self> {
        let net = Self(format!("lvsmon-crash-{}", std::process::id()));
        let director = &net.0;
        let mut all = format!("netns add {director}\n");
        for number in 1..=SERVERS {
            let _ = writeln!(all, "netns add {director}-{number}");
        }
        ip("ip", &["-batch", "-"], &all)?;
        let mut inside = String::from(
            "link set lo up\nlink add name br0 type bridge\nlink set br0 up\n\
             address add 192.168.0.254/24 dev br0\n",
        );
        for number in 1..=SERVERS {
            let _ = write!(
                inside,
                "link add name p{number} type veth peer name eth0 netns {director}-{number}\n\
                 link set p{number} master br0\nlink set p{number} up\n"
            );
        }
        ip("ip", &["-n", director, "-batch", "-"], &inside)?;
        for number in 1..=SERVERS {
            let server = format!("{director}-{number}");
            let lines = format!(
                "link set lo up\nlink set eth0 up\naddress add {}/24 dev eth0\n",
                address(number)
            );
            ip("ip", &["-n", &server, "-batch", "-"], &lines)?;
        }
        Ok(net)
    }

    /// A command in the director's namespace, or in that of a server.
    fn command(&self, server: Option<u8>) -> Command {
        let name = match server {
            None => self.0.clone(),
            Some(number) => format!("{}-{number}", self.0),
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{name}"));
        command
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let mut all = format!("netns del {}\n", self.0);
        for number in 1..=SERVERS {
            let _ = writeln!(all, "netns del {}-{number}", self.0);
        }
        let _ = ip("ip", &["-force", "-batch", "-"], &all);
    }
}

fn main() -> io::Result<()> {
    if std::env::args().any(|word| word == "serve") {
        return serve();
    }
    let longest = measure_all()?;
    if longest > PROMISED {
        let words = format!(
            "a server with the tripwire was in for {longest:.1?}, promised are {PROMISED:?}"
        );
        return Err(io::Error::other(words));
    }
    Ok(())
}

/// All intervals; the longest time that a server with the tripwire was in.
fn measure_all() -> io::Result<Duration> {
    let mut longest = Duration::ZERO;
    let mut out = io::stdout();
    writeln!(out, "{SERVERS} servers, each killed once")?;
    let asked = std::env::var("LVSMON_CRASH_INTERVALS").unwrap_or_default();
    let asked: Vec<u64> = asked.split(' ').flat_map(str::parse).collect();
    let intervals = if asked.is_empty() {
        INTERVALS.to_vec()
    } else {
        asked
    };
    let mut net = None;
    for interval in intervals {
        if interval == simulated::INTERVAL_S {
            let (without, with) = (simulated::measure("off"), simulated::measure("on"));
            tell(&mut out, interval, &without, &with)?;
            longest = longest.max(most(&with));
            continue;
        }
        if net.is_none() {
            net = Some(Net::build()?);
        }
        if let Some(net) = &net {
            let without = measure(net, interval, "off")?;
            let with = measure(net, interval, "on")?;
            tell(&mut out, interval, &without, &with)?;
            longest = longest.max(most(&with));
        }
    }
    Ok(longest)
}

fn most(times: &[Duration]) -> Duration {
    times.iter().copied().max().unwrap_or_default()
}

fn tell(
    out: &mut io::Stdout,
    interval: u64,
    without: &[Duration],
    with: &[Duration],
) -> io::Result<()> {
    for (name, times) in [("without", without), ("with", with)] {
        writeln!(
            out,
            "interval {interval:>2} s, {name:>7} tripwire: out after {:>9.3} ms in the middle, \
             {:>9.3} ms in 9 of 10, {:>9.3} ms at most",
            of_all(times, 50),
            of_all(times, 90),
            of_all(times, 100),
        )?;
    }
    let ratio = of_all(without, 50) / of_all(with, 50);
    writeln!(out, "   ratio in the middle: {ratio:.0}")
}

/// Kills each server at its moment; how long each was in the table after that.
fn measure(net: &Net, interval: u64, tripwire: &str) -> io::Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let mut servers: Vec<Option<Process>> = Vec::new();
    for number in 1..=SERVERS {
        let mut command = net.command(Some(number));
        let mut child = command
            .arg(&own)
            .args(["serve", &address(number).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0];
        child.stdout.take().expect("piped").read_exact(&mut ready)?;
        servers.push(Some(Process(child)));
    }
    configure(folder.path(), interval, tripwire)?;
    let daemon = net
        .command(None)
        .arg(env!("CARGO_BIN_EXE_lvsmon"))
        .args(["run", "--config"])
        .arg(folder.path().join("mon.cf"))
        .env("LVSMON_LOG", "warn")
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log"))?)
        .spawn()?;
    let _daemon = Process(daemon);
    let table = folder.path().join("state/table");
    let is_in = |number: u8| {
        let text = std::fs::read_to_string(&table).unwrap_or_default();
        text.contains(&format!(" {}:{PORT} ", address(number)))
    };
    wait(|| (1..=SERVERS).all(is_in));
    // A check later the tripwires are stretched, too.
    let interval = Duration::from_secs(interval);
    rest(interval + Duration::from_millis(500));

    let mut random = fastrand::Rng::with_seed(SEED);
    let start = now();
    let mut moments: Vec<(Duration, u8)> = (1..=SERVERS)
        .map(|number| (interval.mul_f64(random.f64()), number))
        .collect();
    moments.sort_unstable();
    let mut killed: Vec<(Instant, u8)> = Vec::new();
    let mut times = Vec::new();
    let mut moments = moments.into_iter().peekable();
    while moments.peek().is_some() || !killed.is_empty() {
        while let Some((_, number)) = moments.next_if(|(due, _)| start.elapsed() >= *due) {
            killed.push((now(), number));
            servers[usize::from(number) - 1] = None;
        }
        let text = std::fs::read_to_string(&table).unwrap_or_default();
        killed.retain(|(since, number)| {
            let is_in = text.contains(&format!(" {}:{PORT} ", address(*number)));
            if !is_in {
                times.push(since.elapsed());
            }
            is_in
        });
        assert!(
            start.elapsed() < interval + SOON,
            "servers stay in the table"
        );
        rest(LOOK);
    }
    times.sort_unstable();
    Ok(times)
}

fn configure(folder: &Path, interval: u64, tripwire: &str) -> io::Result<()> {
    let place = folder.display();
    let hosts: Vec<String> = (1..=SERVERS).map(|it| address(it).to_string()).collect();
    let text = format!(
        "statedir = {place}/state\nmondir = {place}/mon.d\nalertdir = {place}/alert.d\nipvs_backend = memory\nserverport = 0\n\n\
         hostgroup web {}\n\nwatch web\n    service tcp\n        interval {interval}s\n        \
         monitor tcp.monitor -p {PORT} -t 1\n        tripwire {tripwire}\n\n\
         virtual 10.0.0.3:{PORT}\n    scheduler wlc\n    real web\n    service web:tcp\n",
        hosts.join(" ")
    );
    // Empty folders: the built-in monitor counts, whatever this machine has.
    for name in ["state", "mon.d", "alert.d"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    std::fs::write(folder.join("mon.cf"), text)
}

/// The real server: takes connections and says nothing, until the client leaves or it is killed.
fn serve() -> io::Result<()> {
    let address = std::env::args().next_back().unwrap_or_default();
    let listener = TcpListener::bind((address.as_str(), PORT))?;
    let mut out = io::stdout();
    out.write_all(b"!")?;
    out.flush()?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        // As servers do: closed when the client has.
        std::thread::spawn(
            move || while stream.read(&mut [0; 64]).is_ok_and(|length| length > 0) {},
        );
    }
    Ok(())
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 0, number)
}

fn ip(program: &str, words: &[&str], input: &str) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(input.as_bytes())?;
    drop(pipe);
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{program} {words:?} failed"))),
    }
}

/// In milliseconds; so many of a hundred take no longer.
fn of_all(times: &[Duration], share: usize) -> f64 {
    let at = (times.len() * share).div_ceil(100).max(1) - 1;
    times[at].as_secs_f64() * 1000.0
}

fn wait(condition: impl Fn() -> bool) {
    let start = now();
    while !condition() {
        assert!(start.elapsed() < SOON, "the servers do not enter the table");
        rest(LOOK);
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}
