//! What `lvsmon trap` and `trap.alert` put on the wire, beside what mon's own programs put there.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{self, TempDir, have, skip};

const LIMIT: Duration = Duration::from_secs(30);
/// mon's own program.
const CLASSIC: &str = "/usr/lib/mon/alert.d/trap.alert";

fn receiver(address: &str) -> (UdpSocket, String) {
    let socket = UdpSocket::bind(address).expect("a UDP port on loopback");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let address = socket.local_addr().expect("its address").to_string();
    (socket, address)
}

/// The next packet, its lines; the time of sending is taken out.
fn packet(socket: &UdpSocket) -> Vec<String> {
    let mut bytes = [0; 65_536];
    let length = socket.recv(&mut bytes).expect("a packet in time");
    let text = String::from_utf8(bytes[..length].to_vec()).expect("nothing but ASCII");
    let line = |line: &str| match line.strip_prefix("tsp='") {
        Some(time) => {
            let seconds: i64 = time.trim_end_matches('\'').parse().expect("a time");
            assert!(seconds > 1_500_000_000, "{line}");
            "tsp".to_owned()
        }
        None => line.to_owned(),
    };
    text.lines().map(line).collect()
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stdin = child.stdin.take().expect("its input");
    // It need not read what it does not want.
    let _ = (&stdin).write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its end")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_trap_is_sent_to_every_receiver_and_the_password_comes_from_a_file_or_the_environment() {
    let (first, one) = receiver("127.0.0.1:0");
    let (second, two) = receiver("127.0.0.1:0");
    let (third, three) = receiver("[::1]:0");
    let folder = TempDir::new();
    let file = folder.write("password", "it's \\a secret\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("its mode");
    let port = one.rsplit_once(':').expect("a port").1.to_owned();
    let mut command = support::lvsmon([
        "trap",
        "-g",
        "web",
        "-s",
        "http",
        "-m",
        "it's down",
        "-d",
        "-",
        "-U",
        "joe",
        "-f",
    ]);
    let output = run(
        command
            .arg(&file)
            .args(["-p", &port, "127.0.0.1", &two, &three]),
        "more\nabout it\n",
    );
    assert!(output.status.success(), "{}", said(&output));
    let expected = [
        "pro='0.3807'",
        "usr='joe'",
        "pas='it\\27s\\20\\5ca\\20secret'",
        "spc='0'",
        "seq='0'",
        "typ='trap'",
        "grp='web'",
        "svc='http'",
        "sta='1'",
        "spc='0'",
        "tsp",
        "sum='it\\27s\\20down'",
        "dtl='more\\0aabout\\20it\\0a'",
    ];
    for socket in [first, second, third] {
        assert_eq!(packet(&socket), expected);
    }

    let (socket, address) = receiver("127.0.0.1:0");
    let mut command = support::lvsmon(["trap", "-g", "g", "-s", "s", "-r0", &address]);
    let command = command
        .env("MON_TRAP_USER", "ann")
        .env("MON_TRAP_PASS", "pw");
    assert!(run(command, "").status.success());
    let lines = packet(&socket);
    for line in [
        "usr='ann'",
        "pas='pw'",
        "sta='0'",
        "spc='1'",
        "sum=''",
        "dtl=''",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line}: {lines:?}");
    }
}

#[test]
fn a_receiver_that_cannot_be_reached_does_not_keep_the_trap_from_the_others() {
    let (socket, address) = receiver("127.0.0.1:0");
    let args = [
        "trap",
        "-g",
        "g",
        "-s",
        "s",
        "no-such-host.invalid",
        &address,
    ];
    let output = run(&mut support::lvsmon(args), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no trap to no-such-host.invalid"),
        "{}",
        said(&output)
    );
    assert!(packet(&socket).contains(&"grp='g'".to_owned()));
    for args in [
        &["trap", "-g", "g", "127.0.0.1"][..],
        &["trap", "-g", "g", "-s", "s"],
        &["trap", "-g", "g", "-s", "s", "a b"],
        &["trap", "-g", "g", "-s", "s", "-r", "-1", "127.0.0.1"],
    ] {
        assert_eq!(
            run(&mut support::lvsmon(args), "").status.code(),
            Some(2),
            "{args:?}"
        );
    }
}

/// What mon gives to an alert.
fn as_alert<'a>(command: &'a mut Command, more: &[(&str, &str)]) -> &'a mut Command {
    command
        .args(["-s", "http", "-g", "web", "-h", "h1 h2", "-t", "1795215956"])
        .env("USER", "")
        .env("MON_GROUP", "web")
        .env("MON_SERVICE", "http")
        .env("MON_RETVAL", "3")
        .env("MON_OPSTATUS", "0")
        .envs(more.iter().copied())
}

/// The port that mon's program sends to; it can be told no other.
fn classic_receiver(address: &str) -> Option<UdpSocket> {
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    let port = services.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|name| *name == "mon")?;
        words.next()?.strip_suffix("/udp")?.parse().ok()
    });
    let port: u16 = port.unwrap_or(2583);
    let socket = UdpSocket::bind((address, port)).ok()?;
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    Some(socket)
}

#[test]
fn trap_alert_sends_what_the_program_of_mon_sends() {
    let test = "trap_alert_sends_what_the_program_of_mon_sends";
    if !Path::new(CLASSIC).exists() || !have("perl") {
        return skip(test, "mon");
    }
    let address = "127.83.7.1";
    let Some(socket) = classic_receiver(address) else {
        return skip(test, "the port of mon on 127.83.7.1");
    };
    let input = "h1 h2\n\nconnection refused by h1\n\\41 \"quoted\" it's \u{e4}\n";
    let credentials = [("MON_TRAP_USER", "joe"), ("MON_TRAP_PASS", "p w")];
    for (options, more) in [
        (&[][..], &credentials[..]),
        (&["-U", "joe", "-P", "pw", "-o", "6"], &[]),
        (&["-U", "ann", "-P", "x"], &credentials),
        // The end of an outage, and other kinds that have an exit value.
        (
            &["-u", "-U", "joe"],
            &[("MON_RETVAL", "0"), ("MON_OPSTATUS", "1")],
        ),
    ] {
        let mut theirs = Command::new(CLASSIC);
        let output = run(
            as_alert(&mut theirs, more).args(options).arg(address),
            input,
        );
        assert!(output.status.success(), "{}", said(&output));
        let theirs = packet(&socket);
        let mut ours = support::lvsmon(["alert", "trap"]);
        let output = run(as_alert(&mut ours, more).args(options).arg(address), input);
        assert!(output.status.success(), "{}", said(&output));
        // P-6: a backslash of theirs is doubled, which no receiver undoes.
        let theirs: Vec<String> = theirs
            .iter()
            .map(|line| line.replace("\\\\", "\\5c"))
            .collect();
        assert_eq!(packet(&socket), theirs, "{options:?}");
    }
}

/// A-2: mon's program takes the host for the value of `-T` and sends nothing.
#[test]
fn an_alert_that_a_trap_caused_is_passed_on() {
    let (socket, address) = receiver("127.0.0.1:0");
    let mut command = support::lvsmon(["alert", "trap.alert"]);
    let output = run(as_alert(&mut command, &[]).args(["-T", &address]), "sum\n");
    assert!(output.status.success(), "{}", said(&output));
    assert!(packet(&socket).contains(&"sum='sum'".to_owned()));
}

/// A-3.
#[test]
fn without_an_exit_value_nothing_is_sent() {
    let (socket, address) = receiver("127.0.0.1:0");
    let mut command = support::lvsmon(["alert", "trap"]);
    let command = as_alert(&mut command, &[]).env_remove("MON_RETVAL");
    let output = run(command.args(["-a", &address]), "joe: on it\n");
    assert!(said(&output).contains("MON_RETVAL"), "{}", said(&output));
    // A packet that comes later than this one would have come earlier.
    run(
        &mut support::lvsmon(["trap", "-g", "next", "-s", "s", &address]),
        "",
    );
    assert!(packet(&socket).contains(&"grp='next'".to_owned()));
}

#[test]
fn the_password_of_a_file_is_read_at_each_alert() {
    let (socket, address) = receiver("127.0.0.1:0");
    let folder = TempDir::new();
    let file = folder.write("login", "# of the director\nuser joe\npassword one\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("its mode");
    let file = file.to_str().expect("a path");
    let mut command = support::lvsmon(["alert", "trap"]);
    let command = as_alert(&mut command, &[("MON_TRAP_USER", "ann")]);
    let output = run(command.args(["-f", file, &address]), "sum\n");
    assert!(output.status.success(), "{}", said(&output));
    let lines = packet(&socket);
    for line in ["usr='joe'", "pas='one'"] {
        assert!(lines.contains(&line.to_owned()), "{line}: {lines:?}");
    }
}
