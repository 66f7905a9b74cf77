//! The built-ins alone, their stand-ins, our samples, and servers that are not ours.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use lvsmon::engine::event::Report;
use lvsmon::options::MonitorOptions;

use super::peer::{Peer, head, say};
use super::{SOON, check, exit, text};
use crate::support::{
    Running, TempDir, find_program, free_port, have, lvsmon, lvsmon_path, root, skip, wait_until,
};

const GOOD: &str = "HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok";

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    (
        status.code(),
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

fn shipped(name: &str) -> PathBuf {
    root().join("mon.d").join(name)
}

/// A shipped monitor with the program in its environment.
fn monitor(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(shipped(name));
    command.args(args).env("LVSMON", lvsmon_path());
    command
}

fn alone(name: &str, args: &[&str]) -> Command {
    let mut words = vec!["monitor", name];
    words.extend(args);
    lvsmon(words)
}

#[test]
fn stand_ins_are_two_lines_and_executable() {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, bytes) in MonitorOptions::STAND_INS {
        let bare = name.trim_end_matches(".monitor");
        let expected = format!("#!/bin/sh\nexec \"${{LVSMON:-lvsmon}}\" monitor {bare} \"$@\"\n");
        assert_eq!(String::from_utf8_lossy(bytes), expected);
        let file = shipped(name);
        assert_eq!(std::fs::read(&file).expect("the file"), bytes);
        let mode = file.metadata().expect("the file").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name}");
    }
    for name in ["sample.monitor", "sample-py.monitor"] {
        let mode = shipped(name).metadata().expect("the file").permissions();
        assert_eq!(mode.mode() & 0o111, 0o111, "{name}");
    }
}

#[test]
fn alone_through_the_stand_in_and_in_process_are_the_same() {
    let web = Peer::answering(GOOD);
    let ftp = Peer::new(|mut stream| {
        say(&mut stream, b"220 hello\r\n");
        let mut quit = [0; 6];
        let _ = std::io::Read::read_exact(&mut stream, &mut quit);
        say(&mut stream, b"221 bye\r\n");
    });
    let (web, ftp) = (web.port(), ftp.port());
    let closed = free_port().to_string();
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("http", &["-p", &web], &["127.0.0.1"]),
        (
            "http",
            &["-p", &web, "-t", "5"],
            &["127.0.0.1", "127.0.0.9"],
        ),
        ("http", &["-p", &web, "-m", "nothing"], &["127.0.0.1"]),
        ("tcp", &["-p", &web], &["127.0.0.1"]),
        ("tcp", &["-p", &closed], &["127.0.0.2", "127.0.0.1"]),
        ("ftp", &["-p", &ftp], &["127.0.0.1"]),
        ("ftp", &["-p", &closed], &["127.0.0.1"]),
    ];
    for (name, args, hosts) in cases {
        let report: Report = check(&format!("{name}.monitor"), args, hosts);
        let words: Vec<&str> = args.iter().chain(hosts).copied().collect();
        let expected = (Some(exit(&report)), text(&report), String::new());
        assert_eq!(output(alone(name, &words)), expected, "{name} {words:?}");
        let file = format!("{name}.monitor");
        assert_eq!(output(alone(&file, &words)), expected, "{file} {words:?}");
        assert_eq!(output(monitor(&file, &words)), expected, "{file} {words:?}");
    }
}

#[test]
fn a_stand_in_without_variable_finds_the_program_in_the_path() {
    let folder = TempDir::new();
    std::os::unix::fs::symlink(lvsmon_path(), folder.join("lvsmon")).expect("a link");
    let mut command = Command::new(shipped("tcp.monitor"));
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    command
        .args(["-p", "1", "127.0.0.1"])
        .env_remove("LVSMON")
        .env("PATH", path);
    let (status, stdout, _) = output(command);
    assert_eq!(status, Some(1));
    assert!(stdout.starts_with("127.0.0.1\n\n"), "{stdout}");
}

#[test]
fn without_hosts_nothing_is_printed() {
    for name in ["fping", "http", "tcp", "ftp"] {
        let expected = (Some(0), String::new(), String::new());
        assert_eq!(output(alone(name, &[])), expected, "{name}");
    }
}

#[test]
fn wrong_usage_is_told_with_the_right_one() {
    let (status, stdout, stderr) = output(alone("http", &["-P", "80", "h1"]));
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.starts_with("lvsmon monitor http: unknown option -P; did you mean -p?")
            && stderr.contains("\nusage: lvsmon monitor http [-p PORT]"),
        "{stderr}"
    );
    let (status, _, stderr) = output(alone("nosuch", &[]));
    assert_eq!(status, Some(2));
    assert_eq!(
        stderr,
        "lvsmon monitor: no built-in is called \"nosuch\"; known are agent, fping, ftp, http, misc, plugin, tcp\n"
    );
    let (status, stdout, _) = output(alone("fping", &["-h"]));
    assert_eq!(status, Some(0));
    assert!(
        stdout.starts_with("usage: lvsmon monitor fping "),
        "{stdout}"
    );
}

#[test]
fn a_reader_that_leaves_early_still_gets_the_status() {
    let mut command = alone("tcp", &["-p", "1", "127.0.0.1"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    drop(child.stdout.take());
    let end = child.wait_with_output().expect("its end");
    assert_eq!(end.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&end.stderr), "");
}

#[test]
fn the_sample_in_sh_does_what_its_comments_say() {
    let good = Peer::new(|mut stream| {
        say(&mut stream, b"SSH-2.0-test\r\n");
    });
    let other = Peer::new(|mut stream| {
        say(&mut stream, b"220 hello\r\n");
    });
    let (good, other) = (good.port(), other.port());
    let nothing = (Some(0), String::new(), String::new());
    assert_eq!(
        output(monitor("sample.monitor", &["-p", &good, "127.0.0.1"])),
        nothing
    );
    assert_eq!(output(monitor("sample.monitor", &[])), nothing);
    let args = ["-p", &good, "127.0.0.9", "127.0.0.1", "127.0.0.10"];
    let (status, stdout, stderr) = output(monitor("sample.monitor", &args));
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "127.0.0.10 127.0.0.9",
            "",
            "127.0.0.9: no answer on port PORT within 5 seconds",
            "127.0.0.1: ok: SSH-2.0-test",
            "127.0.0.10: no answer on port PORT within 5 seconds",
        ]
        .map(|line| line.replace("PORT", &good))
    );
    let args = ["-p", &other, "-e", "220 ", "127.0.0.1"];
    assert_eq!(output(monitor("sample.monitor", &args)), nothing);
    let (status, stdout, _) = output(monitor("sample.monitor", &["-p", &other, "127.0.0.1"]));
    assert_eq!(status, Some(1));
    assert!(
        stdout.ends_with("127.0.0.1: expected SSH- but got: 220 hello\n"),
        "{stdout}"
    );
    assert_eq!(output(monitor("sample.monitor", &["-x"])).0, Some(2));
}

#[test]
fn the_sample_in_python_does_what_its_comments_say() {
    if !have("python3") {
        skip("the_sample_in_python_does_what_its_comments_say", "python3");
        return;
    }
    let body = |text: &str| {
        let length = text.len();
        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{text}")
    };
    let good = Peer::answering(body("{\"status\": \"ok\"}")).port();
    let bad = Peer::answering(body("{\"status\": \"ill\"}")).port();
    let garbage = Peer::answering("garbage").port();
    let nothing = (Some(0), String::new(), String::new());
    let sample = |args: &[&str]| output(monitor("sample-py.monitor", args));
    assert_eq!(sample(&["--port", &good, "127.0.0.1"]), nothing);
    assert_eq!(sample(&[]), nothing);
    let (status, stdout, stderr) = sample(&["--port", &bad, "127.0.0.1"]);
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
    assert_eq!(stdout, "127.0.0.1\n\n127.0.0.1: its status is 'ill'\n");
    let (status, stdout, stderr) = sample(&["--port", &garbage, "127.0.0.1"]);
    assert_eq!((status, stderr.as_str()), (Some(1), ""));
    assert!(
        stdout.starts_with("127.0.0.1\n\n127.0.0.1: cannot ask: "),
        "{stdout}"
    );
}

#[test]
fn a_http_server_that_is_not_ours_is_checked() {
    let test = "a_http_server_that_is_not_ours_is_checked";
    if !have("busybox") {
        skip(test, "busybox");
        return;
    }
    let folder = TempDir::new();
    folder.write("index.html", "<html>real servers</html>\n");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("busybox");
    command
        .args(["httpd", "-f", "-p", &address, "-h"])
        .arg(folder.path())
        .stderr(Stdio::null());
    let _server = Running::start(&mut command);
    wait_until("the server's port", SOON, || {
        std::net::TcpStream::connect(&address).is_ok()
    });
    let port = port.to_string();
    let get = |more: &[&str]| {
        let args: Vec<&str> = ["-p", &port].iter().chain(more).copied().collect();
        exit(&check("http.monitor", &args, &["127.0.0.1"]))
    };
    assert_eq!(get(&[]), 0);
    assert_eq!(get(&["-m", "real servers</html>"]), 0);
    assert_eq!(get(&["-m", "sorry server"]), 1);
    assert_eq!(get(&["-u", "/nosuch"]), 1);
}

#[test]
fn a_tls_server_that_is_not_ours_is_checked() {
    let test = "a_tls_server_that_is_not_ours_is_checked";
    if !have("openssl") {
        skip(test, "openssl");
        return;
    }
    let tls = root().join("tests/data/tls");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", "-quiet", "-accept", &address, "-cert"])
        .arg(tls.join("good.pem"))
        .arg("-key")
        .arg(tls.join("good.key"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Running::start(&mut command);
    wait_until("the server's port", SOON, || {
        std::net::TcpStream::connect(&address).is_ok()
    });
    let (port, ca) = (port.to_string(), tls.join("ca.pem").display().to_string());
    let args = ["-s", "-p", &port, "-c", &ca, "-n", "web.test"];
    let report = check("http.monitor", &args, &["127.0.0.1"]);
    assert_eq!(exit(&report), 0, "{report:?}");
    let report = check("http.monitor", &["-s", "-p", &port], &["127.0.0.1"]);
    assert_eq!(exit(&report), 1, "the system does not trust it: {report:?}");
}

#[test]
fn an_ftp_server_that_is_not_ours_is_checked() {
    let test = "an_ftp_server_that_is_not_ours_is_checked";
    // Debian's own python3 has Debian's modules; another one in PATH does not.
    let python = PathBuf::from("/usr/bin/python3");
    let works = python.exists()
        && Command::new(&python)
            .args(["-c", "import pyftpdlib"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !works {
        skip(test, "python3-pyftpdlib");
        return;
    }
    let folder = TempDir::new();
    let port = free_port().to_string();
    let mut command = Command::new(python);
    command
        .args(["-m", "pyftpdlib", "-i", "127.0.0.1", "-p", &port, "-d"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _server = Running::start(&mut command);
    wait_until("the server's port", SOON, || {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    });
    let report = check("ftp.monitor", &["-p", &port], &["127.0.0.1"]);
    assert_eq!(exit(&report), 0, "{}", text(&report));
    let output = text(&report);
    assert!(
        output.contains("    < 220 ") && output.contains("    < 221 "),
        "{output}"
    );
}

#[test]
fn our_verdicts_are_those_of_the_recorded_script() {
    // What http.monitor of mon printed and returned for the same answers.
    let cases = [
        ("200 X", 0),
        ("301 X", 0),
        ("302 X", 0),
        ("401 X", 0),
        ("303 X", 1),
        ("404 X", 1),
        ("500 X", 1),
    ];
    for (status, expected) in cases {
        let peer = Peer::new(move |mut stream| {
            head(&mut stream);
            say(
                &mut stream,
                format!("HTTP/1.1 {status}\r\nServer: a\r\nB: c\r\n\r\nbody").as_bytes(),
            );
        });
        let report = check("http.monitor", &["-p", &peer.port()], &["127.0.0.1"]);
        assert_eq!(exit(&report), expected, "{status}");
        let head = format!("HTTP/1.1 {status}\r\nServer: a\r\nB: c\n\n");
        assert!(text(&report).ends_with(&head), "{}", text(&report));
    }
}

#[test]
fn traceroute_is_asked_about_unreachable_hosts_only() {
    let folder = TempDir::new();
    // A stand-in for the program, so that no packet leaves.
    folder.write_executable("traceroute", "#!/bin/sh\necho \"traceroute called: $*\"\n");
    let mut command = alone(
        "fping",
        &["-T", "-r", "1", "-t", "100", "127.0.0.1", "nosuch.invalid"],
    );
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.path().display()));
    let test = "traceroute_is_asked_about_unreachable_hosts_only";
    if find_program("unshare").is_none() || !crate::support::is_root() {
        skip(test, "root and unshare");
        return;
    }
    // In a namespace without any network nobody is asked for nosuch.invalid either.
    let mut apart = Command::new("unshare");
    apart
        .args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => apart.env(name, value),
            None => apart.env_remove(name),
        };
    }
    let (status, stdout, _) = output(apart);
    assert_eq!(status, Some(1));
    assert!(
        stdout.ends_with("\ntraceroute called: -w 3 nosuch.invalid\n\n"),
        "{stdout}"
    );
}
