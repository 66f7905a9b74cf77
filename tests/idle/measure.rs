//! What an idle daemon costs: memory for each service, processor time while nothing is due.
//!
//! Shared by the test beside it, which sets the bounds, and by `benches/idle.rs`, which prints
//! the figures. The daemon is the real one; its services are checked once, at the start, against
//! a listener on loopback that counts, and then rest for an hour.

use std::fmt::{self, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for the first checks: a debug build on a busy machine, 10,000 services.
const FIRST_CHECKS_LIMIT: Duration = Duration::from_secs(120);
/// Longest wait for all that follows them.
const CALM_LIMIT: Duration = Duration::from_secs(180);
/// The first checks of all services are spread over this span.
const SPREAD: &str = "15s";
/// After the last first check the journal is written, the table is made and helper threads
/// end. That is over when so few wake-ups are seen in this span: a look at the table is one or
/// two.
const CALM: (u64, Duration) = (3, Duration::from_secs(2));

/// What the services are told to do besides being checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// `alert` and `upalert` lines of mail.alert.
    Mail,
    /// Those, and lines of lvs.alert: each service decides over a real server of its own.
    MailAndTable,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Memory of the daemon.
    pub(crate) memory: Memory,
    /// Processor time of the daemon during the window, its children included.
    pub(crate) cpu: Duration,
    /// Times that one of its threads woke up during the window.
    pub(crate) wakeups: u64,
    /// From the start of the program to the first check's connection.
    pub(crate) first_check: Duration,
}

/// What a process has in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All that is resident. Most of it are pages of the program's own file, as many as the kernel
    /// has at hand: that differs by megabytes between two runs of one program.
    resident_kb: u64,
    /// What is its own and no file's.
    pub(crate) own_kb: u64,
}

impl Memory {
    fn of(pid: u32) -> Self {
        Self {
            resident_kb: memory_kb(pid, "VmRSS:"),
            own_kb: memory_kb(pid, "RssAnon:"),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resident_kb,
            own_kb,
        } = self;
        write!(f, "{own_kb:>6} kB of its own, {resident_kb:>6} kB resident")
    }
}

/// A daemon that is ended with the value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `program` with `count` services, waits until each was checked once, and looks at it
/// for `window`.
///
/// # Panics
/// When the checks do not come in time or the daemon ends.
pub(crate) fn measure(
    program: &Path,
    folder: &Path,
    count: usize,
    lines: Lines,
    window: Duration,
) -> Figures {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let port = listener.local_addr().expect("its address").port();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    // Ends with the test process; it holds nothing but the port.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let path = write_configuration(folder, count, lines, port);
    let log = std::fs::File::create(folder.join("log")).expect("a log file");
    let start = now();
    let child = Command::new(program)
        .arg("run")
        .arg("--config")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the daemon starts");
    let mut daemon = Daemon(child);
    let mut first_check = None;
    while seen.load(Ordering::Relaxed) < count {
        if first_check.is_none() && seen.load(Ordering::Relaxed) > 0 {
            first_check = Some(start.elapsed());
        }
        let ended = daemon.0.try_wait().expect("its status");
        assert!(
            ended.is_none() && start.elapsed() < FIRST_CHECKS_LIMIT,
            "{} of {count} services were checked; daemon: {ended:?}; log:\n{}",
            seen.load(Ordering::Relaxed),
            std::fs::read_to_string(folder.join("log")).unwrap_or_default(),
        );
        rest(Duration::from_millis(5));
    }
    let pid = daemon.0.id();
    let mut last = wakeups(pid);
    loop {
        rest(CALM.1);
        let count = wakeups(pid);
        if count.saturating_sub(last) <= CALM.0 {
            break;
        }
        last = count;
        assert!(start.elapsed() < CALM_LIMIT, "it does not come to rest");
    }
    let before = (cpu(pid), wakeups(pid));
    rest(window);
    let figures = Figures {
        memory: Memory::of(pid),
        cpu: cpu(pid).saturating_sub(before.0),
        wakeups: wakeups(pid).saturating_sub(before.1),
        first_check: first_check.unwrap_or_else(|| start.elapsed()),
    };
    assert!(
        daemon.0.try_wait().expect("its status").is_none(),
        "the daemon ended"
    );
    figures
}

fn write_configuration(folder: &Path, count: usize, lines: Lines, port: u16) -> PathBuf {
    let place = folder.display();
    let mut text = format!(
        "statedir = {place}/state\nlogdir = {place}\nmondir = {place}\nalertdir = {place}\n\
         serverport = 0\ntrapport = 0\n\
         ipvs_backend = memory\nrandstart = {SPREAD}\nmail_relay = smtp://127.0.0.1:1\n\n"
    );
    for number in 0..count {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "hostgroup web{number} 127.0.0.1\n\nwatch web{number}\n    service tcp\n        \
             interval 1h\n        monitor tcp.monitor -p {port}\n        period wd {{Sun-Sat}}\n            \
             alertevery 1h\n            alert mail.alert ops\n            upalert mail.alert ops\n"
        );
        if lines == Lines::MailAndTable {
            let (virtual_server, server) = (number / 100, number % 100);
            let words = format!(
                "-P tcp -V 192.0.{}.{}:80 -R 10.{}.{}.{server} -W 5 -F dr -B",
                virtual_server / 250,
                virtual_server % 250 + 1,
                virtual_server / 250,
                virtual_server % 250,
            );
            let _ = write!(
                text,
                "            alert lvs.alert {words}\n            upalert lvs.alert {words}\n"
            );
        }
        text.push('\n');
    }
    let path = folder.join("mon.cf");
    std::fs::create_dir_all(folder.join("state")).expect("a state folder");
    std::fs::write(&path, text).expect("the configuration");
    path
}

/// What a process has in memory, by its name in proc_pid_status(5).
fn memory_kb(pid: u32, kind: &str) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .expect("the daemon's status")
        .lines()
        .find_map(|line| {
            line.strip_prefix(kind)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .expect("a size")
}

/// Times that the threads of a process gave up the processor by themselves. A thread that ended
/// takes its count along, which makes the sum smaller, never larger.
fn wakeups(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the daemon's threads");
    let status = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("status"));
    let count = |status: String| -> Option<u64> {
        let line = |line: &str| Some(line.strip_prefix("voluntary_ctxt_switches:")?.to_owned());
        status.lines().find_map(line)?.trim().parse().ok()
    };
    let counts = threads.filter_map(|thread| count(status(thread.ok()?).ok()?));
    counts.sum()
}

/// User and system time of a process and its reaped children.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the daemon's times");
    let (_, fields) = stat.rsplit_once(") ").expect("the name in parentheses");
    // Field 14 of proc(5) is the twelfth behind the name.
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100);
    Duration::from_millis(ticks * 1000 / per_second)
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
