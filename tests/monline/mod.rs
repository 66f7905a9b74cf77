//! `lvsmon mon` and the name `mon`: mon's command line, the background, the files of the process.

mod clients;
mod debian;
mod limits;
mod records;
mod restarts;
mod sections;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Running, TempDir, free_port, free_udp_port, lvsmon, lvsmon_path, wait_for, wait_until,
};

/// Limit of what happens within a second; far more, for busy machines.
const SOON: Duration = Duration::from_secs(30);

/// A monitor that says where it lies, and nothing else happens.
const WHERE: &str = "#!/bin/sh\necho \"$0\" >>\"$MON_LOGDIR/where\"\n";

/// A folder with a mon.cf, and what is needed to start mon with it.
struct Site {
    folder: TempDir,
    port: u16,
    trapport: u16,
}

impl Site {
    fn new() -> Self {
        let folder = TempDir::new();
        for name in ["state", "log"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        folder.write_executable("mon.d/where.monitor", WHERE);
        folder.write_executable("other.d/where.monitor", WHERE);
        folder.write("auth.cf", "command section\nlist: all\n");
        let site = Self {
            folder,
            port: free_port(),
            trapport: free_udp_port(),
        };
        site.configure("");
        site
    }

    /// Writes mon.cf: everything in the folder, one service that runs often, and these lines.
    fn configure(&self, lines: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "mondir = {folder}/mon.d\nalertdir = {folder}/alert.d\nstatedir = {folder}/state\n\
             logdir = {folder}/log\ncfbasedir = {folder}\nipvs_backend = memory\n\
             serverbind = 127.0.0.1\ntrapbind = 127.0.0.1\nserverport = {}\ntrapport = {}\n\
             pidfile = {folder}/mon.pid\nmonerrfile = {folder}/errors\n{lines}\n\
             hostgroup web web1\n\nwatch web\n service http\n  interval 0.2s\n  \
             monitor where.monitor\n",
            self.port, self.trapport
        );
        self.folder.write("mon.cf", text);
    }

    /// mon with these words behind the file's name.
    fn mon<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = lvsmon(["mon", "-c"]);
        command.arg(self.folder.join("mon.cf")).args(words);
        command
    }

    /// The daemon in the foreground, its log in the file `stderr`.
    fn start<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Running {
        let log = fs::File::create(self.folder.join("stderr")).unwrap();
        Running::start(self.mon(words).stdin(Stdio::null()).stderr(log))
    }

    /// Waits until a file of the folder contains a text.
    #[track_caller]
    fn wait_for_text(&self, file: &str, text: &str) {
        wait_until(&format!("{text:?} in {file}"), SOON, || {
            self.folder.read(file).contains(text)
        });
    }

    /// The number in the pidfile.
    fn pid(&self) -> Option<Pid> {
        self.folder
            .read("mon.pid")
            .trim()
            .parse()
            .ok()
            .map(Pid::from_raw)
    }

    /// Where the monitor that ran last lies.
    fn ran_from(&self) -> Option<PathBuf> {
        let where_ = self.folder.read("log/where");
        Some(
            PathBuf::from(where_.lines().next_back()?)
                .parent()?
                .to_owned(),
        )
    }

    #[track_caller]
    fn wait_for_run_from(&self, name: &str) {
        let expected = self.folder.join(name);
        wait_until(&format!("a run from {name}"), SOON, || {
            self.ran_from().as_ref() == Some(&expected)
        });
    }
}

/// A daemon in the background, killed when the test ends.
struct Background(Pid);

impl Background {
    /// Whether it has ended; nobody may be there to reap it.
    fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.0)).unwrap_or_default()
    }

    fn link(&self, name: &str) -> PathBuf {
        fs::read_link(format!("/proc/{}/{name}", self.0)).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn help_and_version_are_answered_and_an_unknown_flag_is_wrong_usage() {
    let help = output(&mut lvsmon(["mon", "-h"]));
    assert_eq!(help.status.code(), Some(0));
    for flag in ["-A, --authfile", "-l, --loadstate", "-t, --trapport"] {
        assert!(text(&help.stdout).contains(flag), "{}", text(&help.stdout));
    }
    assert!(!text(&help.stdout).contains("detached"));
    let version = output(&mut lvsmon(["mon", "-v"]));
    assert_eq!(version.status.code(), Some(0));
    assert!(
        text(&version.stdout).contains("mon-1.3.6"),
        "{}",
        text(&version.stdout)
    );
    // C-25: mon ends with 0.
    let unknown = output(&mut lvsmon(["mon", "-x"]));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown.stderr).contains("Usage"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn a_link_of_the_name_mon_has_the_command_line_of_mon() {
    let folder = TempDir::new();
    let link = folder.join("mon");
    symlink(lvsmon_path(), &link).unwrap();
    let version = output(Command::new(&link).arg("-v"));
    assert!(
        text(&version.stdout).contains("mon-1.3.6"),
        "{}",
        text(&version.stdout)
    );
    let named = output(Command::new(lvsmon_path()).arg0("mon").arg("--version"));
    assert!(
        text(&named.stdout).contains("mon-1.3.6"),
        "{}",
        text(&named.stdout)
    );
}

#[test]
fn in_the_foreground_a_signal_ends_it_with_0_and_takes_the_pidfile_away() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let site = Site::new();
        let mut daemon = Running::start(site.mon([]).stderr(Stdio::null()));
        site.wait_for_run_from("mon.d");
        assert_eq!(site.pid().unwrap().as_raw().unsigned_abs(), daemon.0.id());
        daemon.signal(signal);
        assert_eq!(daemon.wait(SOON).code(), Some(0), "{signal}");
        assert_eq!(site.pid(), None);
        assert!(!site.folder.join("mon.pid").exists());
    }
}

#[test]
fn in_the_background_the_starter_ends_with_0_once_the_daemon_is_ready() {
    let site = Site::new();
    let link = site.folder.join("mon");
    symlink(lvsmon_path(), &link).unwrap();
    let mut command = Command::new(&link);
    command.arg("-f").arg("-c").arg(site.folder.join("mon.cf"));
    // Inherited by whoever forgets to let go of it: then this would not end.
    let started = output(command.current_dir(site.folder.path()));
    assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
    let daemon = Background(site.pid().expect("a pidfile when the starter has ended"));
    assert!(!daemon.has_ended());
    let errors = site.folder.join("errors");
    let outputs = ["fd/0", "fd/1", "fd/2", "cwd"].map(|name| daemon.link(name));
    let null = PathBuf::from("/dev/null");
    assert_eq!(
        outputs,
        [null, errors.clone(), errors, site.folder.path().to_owned()]
    );
    let stat = daemon.proc("stat");
    let after_name: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // proc(5): state, parent, group, session, terminal.
    assert_eq!(
        after_name[3],
        daemon.0.to_string(),
        "a session of its own: {stat}"
    );
    assert_eq!(after_name[4], "0", "no terminal: {stat}");
    assert!(
        daemon.proc("status").contains("Umask:\t0022"),
        "{}",
        daemon.proc("status")
    );
    assert!(
        daemon
            .proc("cmdline")
            .starts_with(&*link.display().to_string())
    );
    site.wait_for_run_from("mon.d");
    kill(daemon.0, Signal::SIGTERM).unwrap();
    wait_until("the end of the daemon", SOON, || daemon.has_ended());
    assert!(!site.folder.join("mon.pid").exists());
    let log = site.folder.read("errors");
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn in_the_background_what_hinders_a_start_is_said_by_the_starter_who_fails() {
    let site = Site::new();
    site.configure("maxprok = 1");
    let refused = output(&mut site.mon(["-f"]));
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("unknown variable") && said.contains("maxprocs"),
        "{said}"
    );
    assert!(!site.folder.join("mon.pid").exists());

    site.configure("");
    let mut first = Running::start(site.mon([]).stderr(Stdio::null()));
    site.wait_for_run_from("mon.d");
    let second = output(&mut site.mon(["-f"]));
    assert_eq!(second.status.code(), Some(1), "the state folder is in use");
    let said = text(&second.stderr);
    assert!(said.contains("state"), "{said}");
    assert_eq!(site.pid().unwrap().as_raw().unsigned_abs(), first.0.id());
    assert!(first.runs());
}

#[test]
fn a_base_folder_that_is_missing_is_refused() {
    let site = Site::new();
    let refused = output(&mut site.mon(["-b", "/nowhere/at/all"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("/nowhere/at/all"));
}

#[test]
fn c26_a_flag_wins_over_the_file_after_a_reload_too() {
    let site = Site::new();
    let other = site.folder.join("other.d").display().to_string();
    let mut daemon = Running::start(site.mon(["-s", &other]).stderr(Stdio::null()));
    site.wait_for_run_from("other.d");
    // Both folders stand in the file by now; a reload takes hold with a changed service.
    site.folder.write_executable("other.d/new.monitor", WHERE);
    let text = site
        .folder
        .read("mon.cf")
        .replace("monitor where.monitor", "monitor new.monitor");
    site.folder.write("mon.cf", text);
    daemon.signal(Signal::SIGHUP);
    wait_for("a run of the new monitor", SOON, || {
        let ran = site.folder.read("log/where");
        ran.contains("new.monitor").then_some(())
    });
    site.wait_for_run_from("other.d");
    assert!(daemon.runs());
}

#[test]
fn a_pidfile_of_the_command_line_is_the_one_and_an_empty_one_is_none() {
    let site = Site::new();
    let own = site.folder.join("own.pid");
    let words = ["-P", own.to_str().unwrap()];
    let mut daemon = Running::start(site.mon(words).stderr(Stdio::null()));
    site.wait_for_run_from("mon.d");
    assert!(own.exists() && !site.folder.join("mon.pid").exists());
    daemon.signal(Signal::SIGTERM);
    daemon.wait(SOON);
    assert!(!own.exists());

    fs::remove_file(site.folder.join("log/where")).unwrap();
    let _daemon = Running::start(site.mon(["-P", ""]).stderr(Stdio::null()));
    site.wait_for_run_from("mon.d");
    assert_eq!(site.pid(), None);
}

#[test]
fn a_run_of_our_own_manner_writes_a_pidfile_only_where_the_file_names_one() {
    let site = Site::new();
    let mut run = lvsmon(["run", "--config"]);
    run.arg(site.folder.join("mon.cf")).stderr(Stdio::null());
    let daemon = Running::start(&mut run);
    site.wait_for_run_from("mon.d");
    assert_eq!(site.pid().unwrap().as_raw().unsigned_abs(), daemon.0.id());
    assert!(Path::new("/proc").join(daemon.0.id().to_string()).exists());
}

#[test]
fn words_without_a_flag_are_counted_and_not_repeated() {
    let site = Site::new();
    let mut daemon = site.start(["s3cret", "other"]);
    site.wait_for_text("stderr", "words without a flag");
    site.wait_for_run_from("mon.d");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(SOON).code(), Some(0));
    let log = site.folder.read("stderr");
    assert!(log.contains("stray=2"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}
