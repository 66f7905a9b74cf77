//! What is written on the wire: pipelines, logins, resets, ends.

use std::net::Shutdown;
use std::process::Stdio;

use super::daemon::{LIMIT, Served};
use crate::support::{free_port, have, lvsmon, skip, wait_for, wait_until};

#[test]
fn requests_that_come_together_are_answered_in_order_also_when_the_client_has_closed_its_side() {
    let served = Served::open();
    let mut client = served.client();
    client.send("version\r\nlist state\nlist views\n\nprotid 9745\nlist gr");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut lines = Vec::new();
    while let Some(line) = client.line() {
        lines.push(line);
    }
    assert_eq!(
        lines,
        [
            "version 9745",
            "220 version completed",
            "scheduler running",
            "220 list state completed",
            "views left",
            "220 list group completed",
            "220 protocol match",
        ]
    );
}

#[test]
fn a_login_gives_what_the_user_may_and_a_wrong_password_takes_nothing() {
    let served = Served::with("", "list: all\nservertime: AUTH_ANY,!guest\nstop: admin\n");
    let mut client = served.client();
    let unknown = ["520 command could not be executed, unknown command"];
    assert_eq!(client.ask("servertime"), unknown);
    // Everybody is trusted on this machine, but not without a name.
    assert_eq!(client.ask("login"), ["530 login unsuccessful"]);
    assert_eq!(client.ask("login admin secret"), ["220 login accepted"]);
    assert_eq!(client.ask("servertime").len(), 2);
    assert_eq!(client.ask("stop"), ["220 stop completed"]);
    assert_eq!(client.ask("login guest any"), ["220 login accepted"]);
    assert_eq!(client.ask("servertime"), unknown);
    assert_eq!(served.client().ask("servertime"), unknown);
    // The log is written beside the answers.
    let refused = |log: &str| log.matches("may not do this").count();
    let log = wait_for("nobody, guest and nobody refused", LIMIT, || {
        let log = served.folder.read("log");
        (refused(&log) >= 3).then_some(log)
    });
    assert!(!log.contains("secret"));
    assert_eq!(refused(&log), 3, "{log}");
    let denied: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("may not do this"))
        .collect();
    assert!(
        denied[1].contains("guest") && denied[1].contains("servertime"),
        "{denied:?}"
    );
}

#[test]
fn reload_auth_takes_effect_and_a_wrong_file_leaves_the_old_rules() {
    let served = Served::with("", "list: all\nreload: all\nstop: all\n");
    let mut client = served.client();
    served.folder.write("auth.cf", "list: all\nreload: all\n");
    assert_eq!(client.ask("stop"), ["220 stop completed"]);
    assert_eq!(client.ask("reload auth"), ["220 reload completed"]);
    let unknown = ["520 command could not be executed, unknown command"];
    assert_eq!(client.ask("stop"), unknown);
    served.folder.write("auth.cf", "stop all\n");
    let refused = client.ask("reload auth");
    assert!(refused[0].starts_with("520 "), "{refused:?}");
    assert!(refused[0].contains("auth.cf:1: "), "{refused:?}");
    assert_eq!(client.ask("list state").len(), 2);
}

#[test]
fn a_reset_answers_when_the_new_file_is_in_force() {
    let served = Served::open();
    let mut client = served.client();
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_string_lossy();
    let pid = served.running.0.id();
    let text = served.folder.read("mon.cf").replace("h1 h2", "h1 h3");
    served.folder.write("mon.cf", &text);
    let test = client.ask("test config");
    assert_eq!(test, ["220 test config completed OK, no errors found"]);
    let done = [format!("220 reset PID {pid}@{host}")];
    assert_eq!(client.ask("reset stopped keepstate"), done);
    assert_eq!(client.ask("list group web")[0], "hostgroup web h1 h3");
    assert!(client.ask("list state")[0].starts_with("scheduler stopped since "));
    assert_eq!(client.ask("start"), ["220 start completed"]);
    served
        .folder
        .write("mon.cf", text.replace("interval", "intervall"));
    let failed = [format!(
        "520 reset PID {pid}@{host} failed, error in config file"
    )];
    assert_eq!(client.ask("reset"), failed);
    let test = client.ask("test config");
    assert_eq!(
        test.last().unwrap(),
        "520 test config completed, errors found in config file"
    );
    assert!(test[0].contains("mon.cf:"), "{test:?}");
    assert_eq!(client.ask("list group web")[0], "hostgroup web h1 h3");
}

#[test]
fn a_file_that_was_read_is_in_force_though_somebody_asked_again_meanwhile() {
    if !have("m4") {
        return skip(
            "a_file_that_was_read_is_in_force_though_somebody_asked_again_meanwhile",
            "m4",
        );
    }
    let served = Served::open();
    let place = served.folder.path().display();
    // Each reading waits for a file of its own.
    let slow = format!(
        "esyscmd(echo >>{place}/m4.runs; n=$(wc -l <{place}/m4.runs); \
         until test -e {place}/go.$n; do sleep 0.02; done)dnl\n"
    );
    served.folder.write("slow.m4", slow);
    let text = served.folder.read("mon.cf").replace("h1 h2", "h1 h3");
    let text = text.replacen("\nalias first", "\ninclude slow.m4\n\nalias first", 1);
    served.folder.write("mon.cf", text);
    let (mut first, mut second) = (served.client(), served.client());
    first.send("reset keepstate\n");
    wait_until("the first reading", LIMIT, || {
        served.folder.join("m4.runs").exists()
    });
    second.send("reset stopped keepstate\n");
    let mut other = served.client();
    wait_until("the second request", LIMIT, || {
        other.ask("list state")[0].starts_with("scheduler stopped since ")
    });
    served.folder.write("go.1", "");
    assert!(first.reply()[0].starts_with("220 reset "));
    assert_eq!(other.ask("list group web")[0], "hostgroup web h1 h3");
    served.folder.write("go.2", "");
    assert!(second.reply()[0].starts_with("220 reset "));
}

#[test]
fn reset_stopped_stops_whatever_the_file_says_and_starts_nothing_more() {
    let served = Served::open();
    served.wait_for_reports();
    let mut client = served.client();
    let good = served.folder.read("mon.cf");
    served
        .folder
        .write("mon.cf", good.replace("interval", "intervall"));
    assert!(client.ask("reset stopped")[0].starts_with("520 reset "));
    assert!(client.ask("list state")[0].starts_with("scheduler stopped since "));
    assert_eq!(client.ask("start"), ["220 start completed"]);
    let startup = "alert a.alert ops\n            startupalert a.alert began";
    served
        .folder
        .write("mon.cf", good.replace("alert a.alert ops", startup));
    assert!(client.ask("reset stopped")[0].starts_with("220 reset "));
    assert!(client.ask("list state")[0].starts_with("scheduler stopped since "));
    let history = client.ask("list alerthist");
    assert!(!history.concat().contains("began"), "{history:?}");
}

#[test]
fn a_reset_answers_when_the_new_rules_are_in_force() {
    let served = Served::with("", "list: all\nreset: all\nstop: all\n");
    let mut client = served.client();
    let unknown = ["520 command could not be executed, unknown command"];
    for _ in 0..20 {
        served.folder.write("auth.cf", "list: all\nreset: all\n");
        assert!(client.ask("reset")[0].starts_with("220 reset "));
        assert_eq!(client.ask("stop"), unknown);
        let rules = "list: all\nreset: all\nstop: all\n";
        served.folder.write("auth.cf", rules);
        assert!(client.ask("reset")[0].starts_with("220 reset "));
        assert_eq!(client.ask("stop"), ["220 stop completed"]);
    }
}

#[test]
fn what_is_saved_is_loaded_again() {
    let served = Served::open();
    let mut client = served.client();
    client.ask("disable host h2");
    client.ask("disable service mail smtp");
    let disabled = client.ask("list disabled");
    assert_eq!(
        disabled,
        [
            "group web: h2",
            "watch mail service smtp",
            "220 list disabled completed"
        ]
    );
    let saved = ["220 savestate completed"];
    assert_eq!(client.ask("savestate disabled opstatus"), saved);
    let kept = served.folder.read("state/disabled");
    client.ask("enable host h2");
    client.ask("enable service mail smtp");
    assert_eq!(client.ask("list disabled").len(), 1);
    // Each change is written, so that a restart of mon would find it.
    wait_until("the file to follow", LIMIT, || {
        let now = served.folder.read("state/disabled");
        !now.contains("h2") && !now.contains("smtp")
    });
    served.folder.write("state/disabled", kept);
    assert_eq!(
        client.ask("loadstate disabled"),
        ["220 loadstate completed"]
    );
    assert_eq!(client.ask("list disabled"), disabled);
}

#[test]
fn what_is_disabled_while_the_journal_cannot_be_written_is_said_not_to_outlive_a_kill() {
    let served = Served::open();
    let mut client = served.client();
    assert_eq!(
        client.ask("disable host h1"),
        ["220 disable host completed"]
    );
    let state = served.folder.join("state");
    wait_until("the journal", LIMIT, || state.join("journal").exists());
    // In the way of each new one.
    std::fs::create_dir(state.join("journal.new")).unwrap();
    std::fs::remove_file(state.join("journal")).unwrap();
    client.ask("enable host h1");
    wait_until("a journal that cannot be written", LIMIT, || {
        served
            .folder
            .read("log")
            .contains("cannot write the journal")
    });
    let unkept = "the journal cannot be written: a crash would forget this; the log says why";
    for (words, done) in [
        ("disable host h1", "220 disable host completed"),
        ("enable host h1", "220 enable completed"),
        ("disable service web ping", "220 disable service completed"),
        ("stop", "220 stop completed"),
    ] {
        assert_eq!(client.ask(words), [unkept, done]);
    }
    // Nothing of this is to last.
    assert_eq!(
        client.ask("test monitor mail smtp"),
        ["220 test monitor completed"]
    );
}

#[test]
fn term_says_so_and_ends_the_daemon_with_success() {
    let mut served = Served::open();
    let mut client = served.client();
    let unknown = ["520 command could not be executed, unknown command"];
    assert_eq!(client.ask("term"), unknown);
    client.ask("login admin secret");
    assert_eq!(client.ask("term"), ["220 terminating server"]);
    assert_eq!(client.line(), None);
    assert!(served.running.wait(LIMIT).success());
}

#[test]
fn term_takes_the_pidfile_away_and_stop_does_not() {
    let auth = "list: all\nstop: all\nterm: all\n";
    let mut served = Served::with("pidfile = @DIR@/pid", auth);
    let pid = served.running.0.id().to_string();
    wait_until("the pidfile", LIMIT, || {
        served.folder.join("pid").exists() && served.folder.read("pid").trim() == pid
    });
    let mut client = served.client();
    assert_eq!(client.ask("stop"), ["220 stop completed"]);
    assert!(client.ask("list state")[0].starts_with("scheduler stopped since "));
    assert!(served.folder.join("pid").exists());
    assert_eq!(client.ask("term"), ["220 terminating server"]);
    assert_eq!(served.running.wait(LIMIT).code(), Some(0));
    assert!(!served.folder.join("pid").exists());
}

#[test]
fn a_login_that_cannot_succeed_says_why_in_the_log() {
    let served = Served::with("", "list: all\n");
    let settings = [
        ("bsdi", "_J9..CCCCXBrJUJV154M", "extended DES"),
        ("scrypt", "$7$CU..../....x$y", "\"$7$\" (scrypt)"),
        ("gost", "$gy$j9T$x$y", "gost-yescrypt"),
        ("sha1", "$sha1$4$x$y", "PBKDF1"),
    ];
    let users: String = settings
        .iter()
        .map(|(user, hash, _)| format!("{user}: {hash}\n"))
        .collect();
    served.folder.write("users", users);
    // The rules in force are those of the start until then.
    served.running.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the reload", LIMIT, || {
        served.folder.read("log").contains("no login for")
    });
    // trustlocal lets everybody in who comes from this machine.
    let text = served.folder.read("mon.cf");
    let text = text.replace("authtype = userfile trustlocal", "authtype = userfile");
    served.folder.write("mon.cf", text);
    served.running.signal(nix::sys::signal::Signal::SIGHUP);
    let mut client = served.client();
    wait_until("the new way to log in", LIMIT, || {
        client.ask("login anybody x") == ["530 login unsuccessful"]
    });
    for (user, hash, kind) in settings {
        let refused = client.ask(&format!("login {user} secret"));
        assert_eq!(refused, ["530 login unsuccessful"]);
        // The log is written beside the answer.
        let line = wait_for(&format!("the refusal of {user}"), LIMIT, || {
            let log = served.folder.read("log");
            let mut lines = log.lines();
            let found = lines.find(|line| line.contains("login refused") && line.contains(kind));
            found.map(str::to_owned)
        });
        assert!(line.contains("openssl passwd -6"), "{line}");
        let log = served.folder.read("log");
        assert!(!log.contains(hash), "{log}");
    }
}

#[test]
fn who_is_not_allowed_is_turned_away_without_a_byte() {
    let served = Served::with("clientallow = 10.0.0.0/8 192.168.1.\\d+", "list: all\n");
    assert_eq!(served.client().line(), None);
}

#[test]
fn a_silent_client_is_left_after_its_time() {
    let served = Served::with("cltimeout = 1s", "list: all\n");
    let mut client = served.client();
    client.ask("list state");
    assert_eq!(client.line(), None);
}

#[test]
fn a_port_in_use_ends_the_start_with_its_name() {
    let served = Served::open();
    let other = Served::open();
    let port = served.port;
    let text = other.folder.read("mon.cf");
    let place = other.folder.path().display().to_string();
    let text = text
        .replace("serverport = 0", &format!("serverport = {port}"))
        .replace(&format!("{place}/state"), &format!("{place}/state2"));
    other.folder.write("second.cf", text);
    let output = lvsmon(["run", "--config"])
        .arg(other.folder.join("second.cf"))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let named = format!("cannot listen for clients on 127.0.0.1 port {port}");
    assert!(said.contains(&named), "{said}");
    assert_ne!(free_port(), port);
}

#[test]
fn the_start_and_check_name_the_same_oddities_each_with_its_line() {
    let served = Served::with("pamservice = mon", "trap section\n* ann none\nh1 * x\n");
    served.folder.write("users", "# users\nann\nbob: nohash\n");
    let said = |log: &str| -> Vec<bool> {
        [
            "users:2",
            "users:3",
            "auth.cf:2",
            "mon.cf:",
            "\"pamservice\" has no effect",
            "serverbind and trapbind not set",
        ]
        .iter()
        .map(|part| log.replace("\\\"", "\"").contains(part))
        .collect()
    };
    let config = served.folder.join("mon.cf");
    let checked = lvsmon(["check", "--config"]).arg(&config).output().unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(said(&checked), [true; 6], "{checked}");
    assert!(checked.contains("no mistakes"), "{checked}");
    // The user file was another one at the start.
    served.running.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the reload", LIMIT, || {
        served.folder.read("log").contains("users:3")
    });
    let log = served.folder.read("log");
    assert_eq!(said(&log), [true; 6], "{log}");
    assert!(!log.contains("nohash"), "{log}");
}
