//! The lab: a Linux kernel of its own (user-mode-linux), started by a test, in which scenarios
//! run one after the other. This file is the side of the host; `guest` is the other.
//!
//! Each scenario is a test of its own; those of one file share one start of the kernel. The
//! first test that runs starts the labs, a few at once. Everything a lab wrote stays in
//! `target/tmp/lab/`.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::BOOTS;
use super::guest::Farm;
use super::registers;
use crate::support::{find_program, skip, wait_for, wait_until};

/// What one start of the kernel goes through.
pub(super) struct Boot {
    /// The file of the scenarios.
    pub(super) name: &'static str,
    /// Name and function of each, in the order in which they run.
    pub(super) scenarios: &'static [(&'static str, Scenario)],
}

/// Breaks something and waits for the table that has to follow.
pub(super) type Scenario = fn(&mut Farm);

/// Makes a test of each scenario, and the [`Boot`] that runs them.
macro_rules! scenarios {
    ($boot:literal, [$($scenario:ident),* $(,)?]) => {
        pub(super) const BOOT: super::lab::Boot = super::lab::Boot {
            name: $boot,
            scenarios: &[$((stringify!($scenario), $scenario)),*],
        };

        mod in_the_lab {
            $(#[test]
            fn $scenario() {
                crate::ipvs::lab::check(&super::BOOT, stringify!($scenario));
            })*
        }
    };
}
pub(super) use scenarios;

/// Programs that the lab cannot do without, each with its Debian package.
const PROGRAMS: [(&str, &str); 7] = [
    ("linux.uml", "user-mode-linux"),
    ("ipvsadm", "ipvsadm"),
    ("ip", "iproute2"),
    ("modprobe", "kmod"),
    ("busybox", "busybox"),
    ("python3", "python3"),
    ("keepalived", "keepalived"),
];
/// What single scenarios need beside these: scenario, program, package.
const ALSO: [(&str, &str, &str); 2] = [
    (
        "what_is_imported_from_ldirectord_makes_the_tables_that_it_made",
        "ldirectord",
        "ldirectord",
    ),
    (
        "an_observer_beside_ldirectord_sees_what_differs_and_changes_nothing",
        "ldirectord",
        "ldirectord",
    ),
];
/// A lab that takes longer than this is stopped. On an idle machine the longest takes 3 minutes.
const BOOT_LIMIT: Duration = Duration::from_secs(900);
/// Labs that run at once: with more of them two processors are so busy that checks with a limit of
/// a second fail for no other reason.
const AT_ONCE: usize = 4;
/// The labs that run behind all others, one by one: two directors notice within a second or two
/// that the other is gone, and a machine that is busy looks just like that.
const ALONE: [&str; 2] = ["pair", "stuck"];
/// All labs are over by then.
const ALL_LIMIT: Duration = Duration::from_secs(2_400);
/// What a machine lacks on which user-mode-linux is installed and does not start.
const NO_PTRACE: &str = "ptrace, which this machine forbids";
/// What is left of it for ending in order.
const ENDING: Duration = Duration::from_secs(20);

/// A lab that runs, or waits until it may.
#[derive(Clone)]
struct Run {
    boot: &'static Boot,
    results: PathBuf,
}

/// The package of the first program that is missing.
fn missing_package() -> Option<&'static str> {
    let missing = |(program, _): &&(&str, &str)| find_program(program).is_none();
    PROGRAMS.iter().find(missing).map(|(_, package)| *package)
}

/// The result of one scenario, as the lab wrote it.
pub(super) fn check(boot: &Boot, scenario: &str) {
    if let Some(package) = missing_package() {
        return skip(scenario, package);
    }
    let also = ALSO.iter().find(|(name, ..)| *name == scenario);
    if let Some((_, program, package)) = also
        && find_program(program).is_none()
    {
        return skip(scenario, package);
    }
    let run = runs()
        .iter()
        .find(|run| run.boot.name == boot.name)
        .expect("a lab of that name is in BOOTS");
    let result = run.results.join(scenario);
    let ended = run.results.join("host-ended");
    let text = wait_for("the result of a scenario", ALL_LIMIT, || {
        // Looked at in this order: a result may come just before the end.
        let over = ended.exists();
        let text = fs::read_to_string(&result).ok();
        text.or_else(|| over.then(|| no_result(&run.results)))
    });
    if text.contains("ptrace") && text.starts_with("no result") {
        return skip(scenario, NO_PTRACE);
    }
    assert!(text == "ok", "{text}\n(more in {})", run.results.display());
}

/// Waits for the end of every lab that was started: each has to halt by itself, its driver
/// having gone through the whole job.
pub(super) fn all_end_in_order() {
    if let Some(package) = missing_package() {
        return skip("every_lab_ends_in_order", package);
    }
    for run in runs() {
        let ended = run.results.join("host-ended");
        wait_until("the end of a lab", ALL_LIMIT, || ended.exists());
        let text = fs::read_to_string(run.results.join("ended")).unwrap_or_default();
        let console = fs::read_to_string(run.results.join("console")).unwrap_or_default();
        if text.is_empty() && console.contains("ptrace") {
            return skip("every_lab_ends_in_order", NO_PTRACE);
        }
        assert_eq!(
            text, "driver ended with 0\n",
            "{}: {console}",
            run.boot.name
        );
    }
}

fn no_result(results: &Path) -> String {
    let read = |name| fs::read_to_string(results.join(name)).unwrap_or_default();
    format!(
        "no result: the lab ended before it.\n{}\n{}\n{}",
        read("driver.log"),
        read("ended"),
        read("console")
    )
}

fn runs() -> &'static [Run] {
    static RUNS: OnceLock<Vec<Run>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let runs: Vec<Run> = BOOTS.iter().filter_map(|boot| prepare(boot)).collect();
        let all = runs.iter().cloned();
        let (alone, others) = all.partition(|run| ALONE.contains(&run.boot.name));
        std::thread::spawn(move || {
            go_through(others, AT_ONCE);
            go_through(alone, 1);
        });
        runs
    })
}

/// Runs all of them, so many at once.
fn go_through(runs: Vec<Run>, at_once: usize) {
    let waiting = Mutex::new(runs.into_iter());
    let next = || waiting.lock().expect("nobody panics with it").next();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(run) = next() {
                    let mut kernel = kernel(run.boot, &run.results);
                    if !ends_within(&mut kernel, BOOT_LIMIT) {
                        stop(&mut kernel);
                    }
                    fs::write(run.results.join("host-ended"), "").expect("the lab's end");
                }
            });
        }
    });
}

/// The scenarios that this run of the tests asks for: the lab does not know the others.
fn asked_for(boot: &Boot) -> Vec<&'static str> {
    let asked = Asked::of(std::env::args().skip(1));
    let names = boot.scenarios.iter().map(|(name, _)| *name);
    let is_asked = |name: &&str| asked.has(&format!("ipvs::{}::in_the_lab::{name}", boot.name));
    names.filter(is_asked).collect()
}

/// Which tests the arguments of this program ask for, as its harness reads them.
#[derive(Default)]
struct Asked {
    filters: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
}

impl Asked {
    fn of(args: impl IntoIterator<Item = String>) -> Self {
        let mut asked = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--skip" => asked.skipped.extend(args.next()),
                "--exact" => asked.is_exact = true,
                "--test-threads" | "--color" | "--format" | "--logfile" | "--shuffle-seed"
                | "-Z" => drop(args.next()),
                option if option.starts_with('-') => {
                    asked
                        .skipped
                        .extend(option.strip_prefix("--skip=").map(str::to_owned));
                }
                _ => asked.filters.push(arg),
            }
        }
        asked
    }

    fn has(&self, path: &str) -> bool {
        let matches = |filter: &String| match self.is_exact {
            true => path == filter,
            false => path.contains(filter.as_str()),
        };
        let is_wanted = self.filters.is_empty() || self.filters.iter().any(matches);
        is_wanted && !self.skipped.iter().any(matches)
    }
}

#[test]
fn a_run_asks_for_what_its_harness_would_run() {
    let asks = |args: &str, path: &str| {
        let args = args.split_whitespace().map(str::to_owned);
        Asked::of(args).has(path)
    };
    let path = "ipvs::pair::in_the_lab::a";
    let asked = [
        "",
        "pair",
        "--test-threads 2 -q",
        "x ipvs:: --nocapture",
        "--skip x",
        "--exact --skip pair ipvs::pair::in_the_lab::a",
    ];
    for args in asked {
        assert!(asks(args, path), "{args}");
    }
    for args in [
        "x",
        "--skip pair",
        "--skip=lab",
        "pair --skip ipvs::",
        "--exact pair",
    ] {
        assert!(!asks(args, path), "{args}");
    }
}

fn prepare(boot: &'static Boot) -> Option<Run> {
    let names = asked_for(boot);
    if names.is_empty() {
        return None;
    }
    let results = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("lab")
        .join(boot.name);
    // Results of an earlier run must not be taken for those of this one.
    let _ = fs::remove_dir_all(&results);
    fs::create_dir_all(&results).expect("a folder for the lab");
    let job = format!("{}\n{}\n", boot.name, names.join("\n"));
    fs::write(results.join("job"), job).expect("the lab's job");
    Some(Run { boot, results })
}

fn kernel(boot: &Boot, results: &Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let init = crate::support::root().join("tests/ipvs/guest/init.sh");
    let console = File::create(results.join("console")).expect("the console's file");
    let complaints = console.try_clone().expect("the console's file");
    let mut command = Command::new(find_program("linux.uml").expect("looked for before"));
    if !has_room("/dev/shm") {
        // The kernel's memory is a file; on a disk it is slower, but it is there.
        command.env("TMPDIR", results);
    }
    if let Some(library) = registers::library() {
        command.env("LD_PRELOAD", library);
    }
    command
        .args(["mem=256M", "root=/dev/root", "rootfstype=hostfs"])
        .args(["rootflags=/", "ro", "con=null", "con0=fd:0,fd:1", "quiet"])
        .arg(format!("umid=lvsmon-{}-{}", boot.name, std::process::id()))
        .arg(format!("uml_dir={}", results.display()))
        .arg(format!("init={}", init.display()))
        .arg(format!("LAB_PROGRAM={}", program.display()))
        .arg(format!("LAB_RESULTS={}", results.display()))
        .arg(format!("LAB_LIMIT={}", (BOOT_LIMIT - ENDING).as_secs()))
        .stdin(Stdio::null())
        .stdout(console)
        .stderr(complaints)
        .process_group(0)
        .spawn()
        .expect("linux.uml starts")
}

/// Whether all labs find memory there; some containers limit it to 64 MiB.
fn has_room(folder: &str) -> bool {
    let wanted = 256 * 1024 * 1024 * u64::try_from(AT_ONCE).expect("a few");
    nix::sys::statvfs::statvfs(folder)
        .is_ok_and(|it| it.blocks_available() * it.fragment_size() >= wanted)
}

fn ends_within(kernel: &mut Child, limit: Duration) -> bool {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("the end of the lab", limit, || {
            kernel.try_wait().expect("the lab's status")
        });
    }));
    ended.is_ok()
}

/// TERM ends the kernel and all that belongs to it; KILL alone would leave helpers behind.
fn stop(kernel: &mut Child) {
    let group = Pid::from_raw(i32::try_from(kernel.id()).expect("a process id"));
    let _ = killpg(group, Signal::SIGTERM);
    if !ends_within(kernel, ENDING) {
        let _ = killpg(group, Signal::SIGKILL);
        let _ = kernel.wait();
    }
}
