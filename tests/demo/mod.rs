//! The demonstration tells its whole story, in a pipe and on a terminal, and leaves nothing
//! behind.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{self, Running, TempDir};

/// The issue's own bound for the story.
const STORY_LIMIT: Duration = Duration::from_secs(60);

/// What must be told, in this order. Each is part of one line.
const STORY: [&str; 21] = [
    "ipvs_backend    = memory",
    "the daemon starts",
    "shown all three servers are in the table",
    "in   127.0.0.12:",
    "127.0.0.12 is killed",
    "mail to ops@demo.example:",
    "shown it left the table, the others stay, ops got mail",
    "out  127.0.0.12  (killed)",
    "127.0.0.12 is started again",
    "mail to ops@demo.example:",
    "shown it is back, ops got mail",
    "127.0.0.13 answers 500",
    "shown a server that answers badly leaves too",
    "out  127.0.0.13  (answers 500)",
    "127.0.0.12 is killed while 127.0.0.13 is still broken",
    "127.0.0.13 is repaired while 127.0.0.12 is still dead",
    "shown one outage, two servers",
    "shown the farm is whole again",
    "somebody empties the table",
    "shown the daemon looked again and repaired it",
    "it ended with status 0 and left the table as it is",
];

#[test]
fn the_demo_tells_its_story_in_a_pipe_and_ends_by_itself() {
    let folder = TempDir::new();
    let mut child = Running::start(
        support::lvsmon(["demo"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut stdout = child.0.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let status = child.wait(STORY_LIMIT);
    let text = reader.join().expect("the reader").expect("text");
    assert!(status.success(), "{status}\n{text}");
    assert!(
        !text.contains('\x1b'),
        "control characters in a pipe:\n{text}"
    );
    let mut rest = text.as_str();
    for part in STORY {
        let found = rest.find(part);
        assert!(
            found.is_some(),
            "\"{part}\" is missing or out of order in:\n{text}"
        );
        rest = &rest[found.unwrap_or_default() + part.len()..];
    }
    assert_events(&text);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The daemon's own words are on the screen, not only ours.
fn assert_events(text: &str) {
    let events = text.lines().filter(|line| line.contains(" event ")).count();
    assert!(events >= 6, "{events} events in:\n{text}");
}

#[test]
fn the_demo_ends_when_its_reader_goes_away() {
    let folder = TempDir::new();
    let mut child = Running::start(
        support::lvsmon(["demo"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut line = String::new();
    let stdout = child.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert!(line.contains("lvsmon demo"), "{line}");
    // The reader is gone now.
    let status = child.wait(STORY_LIMIT);
    let mut stderr = String::new();
    let errors = child.0.stderr.as_mut().expect("a pipe");
    errors.read_to_string(&mut stderr).expect("text");
    assert!(status.success(), "{status} {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    support::wait_until("the demo's folder is gone", STORY_LIMIT, || {
        std::fs::read_dir(folder.path())
            .expect("the folder")
            .count()
            == 0
    });
}

#[test]
fn the_demo_draws_a_picture_on_a_terminal() {
    let Some(script) = support::find_program("script") else {
        support::skip("the_demo_draws_a_picture_on_a_terminal", "bsdutils");
        return;
    };
    let folder = TempDir::new();
    let command = format!("{} demo --pace 0", support::lvsmon_path().display());
    let mut child = Running::start(
        std::process::Command::new(script)
            .args(["-q", "-e", "-c", &command])
            .arg(folder.join("typescript"))
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(Stdio::null()),
    );
    let status = child.wait(STORY_LIMIT);
    let text = folder.read("typescript");
    assert!(status.success(), "{status}\n{text}");
    let frames = text.matches("\x1b[H").count();
    assert!(frames > 20, "{frames} frames");
    assert!(
        text.contains("\x1b[31m  out  127.0.0.12"),
        "no red line for a server that is out"
    );
    assert!(text.contains("\x1b[?25h"), "the cursor was not given back");
}

#[test]
fn a_terminal_that_cannot_draw_gets_lines() {
    let test = "a_terminal_that_cannot_draw_gets_lines";
    let Some(script) = support::find_program("script") else {
        return support::skip(test, "bsdutils");
    };
    let folder = TempDir::new();
    let terms = [("dumb", Some("dumb")), ("empty", Some("")), ("unset", None)];
    let children = terms.map(|(file, term)| {
        let command = format!("{} demo", support::lvsmon_path().display());
        let mut run = Command::new(&script);
        run.args(["-q", "-e", "-c", &command])
            .arg(folder.join(file))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        match term {
            Some(term) => run.env("TERM", term),
            None => run.env_remove("TERM"),
        };
        (file, Running::start(&mut run))
    });
    for (file, mut child) in children {
        let status = child.wait(STORY_LIMIT);
        let text = folder.read(file);
        assert!(status.success(), "{status}\n{text}");
        assert!(!text.contains('\x1b'), "TERM is {file}:\n{text}");
        let end = STORY[STORY.len() - 1];
        assert!(text.contains(end), "TERM is {file}:\n{text}");
    }
}

#[test]
fn the_demo_needs_no_root_no_right_and_no_network() {
    let test = "the_demo_needs_no_root_no_right_and_no_network";
    let needed = ["unshare", "setpriv", "ip"];
    if !support::is_root() || !needed.into_iter().all(support::have) {
        return support::skip(test, "root, unshare, setpriv and iproute2");
    }
    let folder = TempDir::new();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    };
    // The tree may lie where only root may look.
    let program = folder.join("lvsmon");
    std::fs::copy(support::lvsmon_path(), &program).expect("a copy of the program");
    let own = folder.join("tmp");
    std::fs::create_dir(&own).expect("a folder");
    open(folder.path(), 0o755);
    open(&own, 0o777);
    let script = "ip link set lo up || exit 99
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs --bounding-set=-all \
            \"$0\" demo";
    let clean = support::lvsmon(["--version"]);
    let mut command = Command::new("unshare");
    for (name, value) in clean.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command
        .args(["--net", "sh", "-c", script])
        .arg(&program)
        .env("TMPDIR", &own)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare failed") {
        return support::skip(test, "a network namespace of its own");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{text}");
    let end = STORY[STORY.len() - 1];
    assert!(text.contains(end), "{said}\n{text}");
}

#[test]
fn a_wrong_pace_is_wrong_usage() {
    for pace in ["-1", "NaN", "1000", "soon"] {
        let output = support::lvsmon(["demo", &format!("--pace={pace}")])
            .output()
            .expect("lvsmon runs");
        assert_eq!(output.status.code(), Some(2), "{pace}");
    }
}
