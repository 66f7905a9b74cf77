//! Debian's package mon: its configuration, its examples and its init script.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lvsmon::config::Diagnostic;
use lvsmon::site::{self, LoadOptions, Loaded};

use super::{Background, SOON, Site};
use crate::support::{TempDir, is_root, lvsmon, lvsmon_path, skip, wait_until};

const EXAMPLES: &str = "/usr/share/doc/mon/examples";

/// A file of the package, unpacked where it is packed; none, and said, without the package.
fn shipped(test: &str, path: &str, folder: &TempDir) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    if !path.exists() {
        skip(test, format!("{} of Debian's package mon", path.display()));
        return None;
    }
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Some(path);
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
    assert!(unpacked.status.success());
    let name = path.file_stem().unwrap().to_str().unwrap();
    Some(folder.write(name, unpacked.stdout))
}

fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    site::load(path, &LoadOptions::default())
}

#[test]
fn the_configuration_of_the_package_loads_and_means_what_it_says() {
    let test = "the_configuration_of_the_package_loads_and_means_what_it_says";
    let folder = TempDir::new();
    let Some(path) = shipped(test, "/etc/mon/mon.cf", &folder) else {
        return;
    };
    let loaded = load(&path).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let globals = &loaded.model.globals;
    assert_eq!(globals.auth.authfile, Path::new("/etc/mon/auth.cf"));
    let history = globals.history.historicfile.as_deref();
    assert_eq!(history, Some(Path::new("/var/log/mon/history.log")));
    assert_eq!(globals.downtime.dtlogfile, Path::new("/var/log/mon/dtlog"));
    assert_eq!(globals.server.bind.host(), "127.0.0.1");
    let allows = |address: &str| globals.clients.allow(address.parse().unwrap());
    assert!(allows("127.0.0.1") && !allows("127.0.0.2"));
    let services: Vec<&str> = loaded.model.services.iter().map(|one| &*one.name).collect();
    assert_eq!(services, ["trap", "ping", "http", "smtp"]);
    for program in &loaded.programs {
        assert!(!program.why.contains("missing"), "{program:?}");
    }
}

#[test]
fn the_examples_of_the_package_load() {
    let test = "the_examples_of_the_package_load";
    for (name, services) in [
        ("very-simple.cf", 2),
        ("example.cf.gz", 23),
        ("example.m4.gz", 23),
    ] {
        let folder = TempDir::new();
        let Some(path) = shipped(test, &format!("{EXAMPLES}/{name}"), &folder) else {
            return;
        };
        let loaded = load(&path).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:#?}"));
        assert_eq!(loaded.model.services.len(), services, "{name}");
    }
}

/// The init script of the package with its words replaced: the one that an operator changes, and
/// those that keep a test in its folder.
fn init_script(folder: &TempDir, config: &Path, log: &Path) -> PathBuf {
    let script = fs::read_to_string("/etc/init.d/mon").unwrap();
    let at = folder.path().display();
    let own = [
        ("--exec /usr/bin/perl", "--exec $DAEMON".to_owned()),
        ("DAEMON=/usr/sbin/mon", format!("DAEMON={at}/mon")),
        (
            "PIDFILE=/run/mon/$NAME.pid",
            format!("PIDFILE={at}/mon.pid"),
        ),
        ("DAEMONUSER=mon", "DAEMONUSER=root".to_owned()),
        ("/etc/default/$NAME", format!("{at}/default")),
        ("/run/mon", format!("{at}/run")),
        ("chown mon:mon", "chown root:root".to_owned()),
    ];
    let script = own.iter().fold(script, |script, (old, new)| {
        assert!(script.contains(old), "{old} is in the script");
        script.replace(old, new)
    });
    let options = format!("-f -c {} -L {}", config.display(), log.display());
    folder.write(
        "default",
        format!("ENABLED=yes\nDAEMON_OPTS=\"{options}\"\n"),
    );
    folder.write_executable("init", script)
}

#[test]
fn the_init_script_of_the_package_starts_asks_and_stops_it_with_one_word_changed() {
    let test = "the_init_script_of_the_package_starts_asks_and_stops_it_with_one_word_changed";
    let needs = [
        "/etc/init.d/mon",
        "/lib/lsb/init-functions",
        "/usr/sbin/start-stop-daemon",
    ];
    if needs.iter().any(|path| !Path::new(path).exists()) || !is_root() {
        return skip(
            test,
            "root, Debian's package mon, and an init script's functions",
        );
    }
    let site = Site::new();
    let folder = &site.folder;
    symlink(lvsmon_path(), folder.join("mon")).unwrap();
    let script = init_script(folder, &folder.join("mon.cf"), &folder.join("log"));
    let run = |word: &str| {
        let mut command = Command::new(&script);
        let output = command.arg(word).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    assert_eq!(run("status").0, Some(1));
    assert_eq!(run("start").0, Some(0));
    let daemon = Background(site.pid().expect("a pidfile"));
    let (code, said) = run("status");
    assert_eq!(code, Some(0), "{said}");
    site.wait_for_run_from("mon.d");
    assert!(run("start").1.contains("already running"));
    assert_eq!(run("restart").0, Some(0));
    let second = Background(site.pid().expect("a pidfile"));
    assert_ne!(second.0, daemon.0);
    let (code, said) = run("stop");
    assert_eq!(code, Some(0), "{said}");
    wait_until("the end of the daemon", SOON, || second.has_ended());
    assert!(!folder.join("mon.pid").exists());
    assert_eq!(run("status").0, Some(1));
}

#[test]
fn strict_refuses_what_check_only_warns_of() {
    let folder = TempDir::new();
    let text =
        "hostgroup unused a\n\nwatch b\n service s\n  interval 1m\n  monitor tcp.monitor -p 80\n";
    folder.write("mon.cf", text);
    let check = |words: &[&str]| {
        let mut command = lvsmon(["check", "--config"]);
        command.arg(folder.join("mon.cf")).args(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().code()
    };
    assert_eq!((check(&[]), check(&["--strict"])), (Some(0), Some(1)));
    fs::write(folder.join("mon.cf"), "maxprocs = 5\n").unwrap();
    assert_eq!((check(&[]), check(&["--strict"])), (Some(0), Some(0)));
}
