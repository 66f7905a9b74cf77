//! What a daemon costs at rest: memory for each service, processor time.

use std::fmt::Write as _;
use std::fs;

use lvsmon::clock::Stopwatch;
use nix::sys::signal::Signal;

use super::farm::SOON;
use crate::support::{Running, TempDir, lvsmon, wait_for, wait_until};

/// Half of what mon needs for a service, in bytes.
const GROWTH_MAX: u64 = 2_700;

/// A daemon with that many services that are never due while the test runs.
struct Idle {
    daemon: Running,
    _folder: TempDir,
}

impl Idle {
    fn start(services: usize) -> Self {
        let folder = TempDir::new();
        let path = folder.path().display();
        let mut text = format!("statedir = {path}/state\nipvs_backend = memory\n\n");
        for number in 0..services {
            let (high, low) = (number / 250, number % 250 + 1);
            write!(
                text,
                "hostgroup g{number} 127.1.{high}.{low}\n\nwatch g{number}\n    service tcp\n\t\
                 interval 1d\n\tmonitor tcp.monitor -p 9\n\tperiod wd {{Sun-Sat}}\n\t    \
                 alert mail.alert root\n\t    upalert mail.alert root\n\n"
            )
            .unwrap();
        }
        folder.write("mon.cf", text);
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = lvsmon(["run", "--config"]);
        command.arg(folder.join("mon.cf")).stderr(log);
        let daemon = Running::start(&mut command);
        wait_until("the control socket", SOON, || {
            assert!(
                !folder.read("log").contains("mistake"),
                "{}",
                folder.read("log")
            );
            folder.join("state/control").exists()
        });
        Self {
            daemon,
            _folder: folder,
        }
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.daemon.0.id())).unwrap()
    }

    /// Resident memory in bytes, without pages of files.
    fn resident(&self) -> u64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// Processor time so far, in ticks of 10 ms, and times the process gave up the processor.
    fn spent(&self) -> (u64, u64) {
        let stat = self.proc("stat");
        let words: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks = words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
        let status = self.proc("status");
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        (ticks, switches.unwrap().trim().parse().unwrap())
    }
}

#[test]
fn a_service_at_rest_takes_little_memory_and_an_idle_daemon_no_time() {
    let few = Idle::start(100);
    let many = Idle::start(10_000);
    // Calm: three looks in a row find that nothing was spent in between.
    let mut last = (many.spent(), 0);
    wait_until("the end of the start", SOON, || {
        let spent = many.spent();
        last = if spent == last.0 {
            (spent, last.1 + 1)
        } else {
            (spent, 0)
        };
        last.1 > 30
    });
    let (ticks, switches) = many.spent();
    let start = Stopwatch::start();
    wait_for("three seconds at rest", SOON, || {
        (start.elapsed().as_secs() >= 3).then_some(())
    });
    let (ticks, switches) = (many.spent().0 - ticks, many.spent().1 - switches);
    let growth = many.resident().saturating_sub(few.resident()) / 9_900;
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!(
            "idle daemon, 10,000 services: {growth} bytes a service above one with 100 \
             ({} kB in all), {ticks} ticks and {switches} wake-ups in 3 s\n",
            many.resident() / 1024
        )
        .as_bytes(),
    );
    assert!(growth < GROWTH_MAX, "{growth} bytes a service");
    assert!(
        ticks <= 3 && switches <= 10,
        "{ticks} ticks, {switches} wake-ups"
    );
    many.daemon.signal(Signal::SIGTERM);
    let mut many = many;
    assert_eq!(many.daemon.wait(SOON).code(), Some(0));
}
