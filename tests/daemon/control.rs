//! The control socket and the commands that use it.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use lvsmon::client::{Client, ClientError};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::farm::{Farm, SOON};
use crate::support::{Running, TempDir, have, is_root, lvsmon_path, skip, wait_until};

/// A user that is neither root nor the daemon's: "nobody" of most systems.
const STRANGER: u32 = 65_534;

/// What a flood of clients may add to a daemon's memory, in kB: 32 places with their buffers take
/// far less, 10 MB for each client far more.
const GROWTH_MAX_KB: u64 = 16_000;

fn raw(farm: &Farm) -> BufReader<UnixStream> {
    farm.client();
    let stream = UnixStream::connect(farm.folder.join("state/control")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    BufReader::new(stream)
}

fn ask(stream: &mut BufReader<UnixStream>, line: &str) -> Value {
    // A refused client may be cut off before it has asked; the answer is there all the same.
    let _ = stream.get_mut().write_all(line.as_bytes());
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn requests_are_lines_of_json_and_so_are_answers() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    let mut stream = raw(&farm);
    let table = ask(&mut stream, "{\"request\":\"table\"}\n");
    let service = &table["table"]["virtual_services"][0];
    assert_eq!(table["table"]["source"], "daemon");
    assert_eq!(
        service["virtual_service"],
        format!("10.0.0.3:{}/tcp", farm.port)
    );
    assert_eq!(service["wanted"], "by_others");
    let out = &service["real_servers"][0];
    assert_eq!(out["wanted"], "out", "{table}");
    assert!(out["why"].as_str().unwrap().contains("www1/http"), "{out}");
    assert_eq!(service["real_servers"][1]["wanted"], "in");
    assert_eq!(service["real_servers"][1]["weight"], 5);

    let services = ask(&mut stream, "{\"request\":\"services\"}\n");
    let rows = &services["services"]["services"];
    assert_eq!(rows[0]["group"], "www1");
    assert_eq!(rows[0]["status"], "fail");
    assert_eq!(rows[0]["hosts"][0]["reason"], "refused", "{rows}");
    assert_eq!(rows[1]["status"], "ok");
    assert_eq!(services["services"]["next"], Value::Null);

    let events = ask(&mut stream, "{\"request\":\"events\"}\n");
    let events = events["events"]["events"].as_array().unwrap();
    let last = events.last().unwrap()["number"].as_u64().unwrap();
    assert!(events.iter().any(|event| event["kind"] == "service_down"));
    let line = format!("{{\"request\":\"events\",\"after\":{last}}}\n");
    let later = ask(&mut stream, &line);
    let later = later["events"]["events"].as_array().unwrap();
    assert!(
        later
            .iter()
            .all(|event| event["number"].as_u64().unwrap() > last)
    );
}

#[test]
fn nonsense_is_answered_with_an_error_and_hurts_nobody() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let mut stream = raw(&farm);
    for line in ["\n", "nonsense\n", "{\"request\":\"reboot\"}\n", "\u{0}\n"] {
        let answer = ask(&mut stream, line);
        assert!(answer["error"].is_string(), "{line:?} got {answer}");
    }
    assert!(ask(&mut stream, "{\"request\":\"table\"}\n")["table"].is_object());
    // A line without an end is given up at its bound, and the connection with it.
    let mut long = raw(&farm);
    let answer = ask(&mut long, &"x".repeat(16 * 1024));
    assert!(
        answer["error"].as_str().unwrap().contains("bytes"),
        "{answer}"
    );
    let mut rest = Vec::new();
    assert_eq!(long.read_to_end(&mut rest).unwrap(), 0);
    assert!(ask(&mut stream, "{\"request\":\"table\"}\n")["table"].is_object());
}

#[test]
fn clients_are_bounded_and_those_who_leave_make_room() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let table = "{\"request\":\"table\"}\n";
    farm.client();
    let mut clients = Vec::new();
    let refused = crate::support::wait_for("a refused client", super::farm::SOON, || {
        let mut stream = raw(&farm);
        let answer = ask(&mut stream, table);
        clients.push(stream);
        assert!(clients.len() < 100, "nobody is refused");
        answer["error"].as_str().map(str::to_owned)
    });
    assert!(refused.contains("too many clients"), "{refused}");
    clients.clear();
    crate::support::wait_until("room for a client", super::farm::SOON, || {
        ask(&mut raw(&farm), table)["table"].is_object()
    });
}

#[test]
fn health_and_role_are_answered_while_others_have_all_places_and_the_log_says_so_once() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.client();
    let table = "{\"request\":\"table\"}\n";
    let client = || {
        let path = farm.folder.join("state/control");
        BufReader::new(UnixStream::connect(path).unwrap())
    };
    let mut seated = Vec::new();
    wait_until("all places taken", SOON, || {
        let mut stream = client();
        if ask(&mut stream, table)["table"].is_object() {
            seated.push(stream);
        }
        seated.len() == 32
    });
    for words in [&["health"][..], &["role"], &["role", "master"]] {
        let output = farm.output(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
    }
    // What it is about is said, and no word that belongs to something else.
    for (words, code) in [
        (&["table"][..], 1),
        (&["why", "127.0.0.11"], 3),
        (&["why", "www1/http"], 3),
        (&["quiesce", "127.0.0.11"], 1),
        (&["enable", "127.0.0.11"], 1),
        (&["metrics"], 1),
    ] {
        let output = farm.output(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(
            why.trim_end().ends_with("; try again in a moment"),
            "{words:?}: {why}"
        );
    }
    for _ in 0..20 {
        let answer = ask(&mut client(), table);
        assert_eq!(answer["refusal"], "no_room");
        let why = answer["error"].as_str().unwrap();
        assert!(why.contains("too many clients"), "{answer}");
    }
    farm.wait_for_log("too many clients");
    let log = farm.log();
    assert_eq!(log.matches("too many clients").count(), 1, "{log}");
    drop(seated);
}

/// So many that say nothing have all places, and all of those where a client is heard out.
const SILENT: usize = 100;

#[test]
fn health_and_role_are_answered_behind_a_crowd_that_connects_and_says_nothing() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.client();
    let path = farm.folder.join("state/control");
    let crowd = || {
        let connect = |_| UnixStream::connect(&path).unwrap();
        (0..SILENT).map(connect).collect::<Vec<_>>()
    };
    let mut silent = crowd();
    for words in [&["health", "--limit", "30s"][..], &["role"]] {
        let output = farm.output(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        silent.extend(crowd());
    }
    drop(silent);
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let mut deaf = raw(&farm);
    deaf.get_ref()
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // Requests until both directions are full.
    let requests = "{\"request\":\"services\"}\n".repeat(100);
    while deaf.get_mut().write_all(requests.as_bytes()).is_ok() {}
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    assert!(ask(&mut raw(&farm), "{\"request\":\"table\"}\n")["table"].is_object());
    assert_eq!(farm.end(Signal::SIGTERM).code(), Some(0));
}

#[test]
fn the_socket_is_for_its_owner_and_replaces_one_that_was_left() {
    let mut farm = Farm::new();
    let path = farm.folder.join("state/control");
    // Left by a daemon that was killed: the file stays, nobody listens.
    drop(UnixListener::bind(&path).unwrap());
    farm.start_healthy();
    farm.client();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn something_else_at_the_place_of_the_socket_is_left_alone_and_said() {
    let mut farm = Farm::new();
    farm.folder.write("state/control", "precious");
    farm.start_healthy();
    farm.wait_for_log("no control socket");
    assert_eq!(farm.folder.read("state/control"), "precious");
}

#[test]
fn a_strangers_question_is_refused_by_the_mode_and_by_the_daemon() {
    const NAME: &str = "a_strangers_question_is_refused_by_the_mode_and_by_the_daemon";
    if !is_root() {
        return skip(NAME, "root, to be somebody else");
    }
    let mut farm = Farm::new();
    // Withdrawn until a person says otherwise.
    farm.configure(&farm.text(5, false));
    farm.start_healthy();
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.client();
    // A copy: the stranger may not look into the folder of the original.
    let program = farm.folder.join("lvsmon");
    fs::copy(lvsmon_path(), &program).unwrap();
    let open = |path: &str, mode| {
        fs::set_permissions(farm.folder.join(path), Permissions::from_mode(mode)).unwrap();
    };
    open("", 0o755);
    open("state", 0o755);
    let enable_as_stranger = || {
        let mut command = Command::new(&program);
        command.args(["enable", "127.0.0.11", "--config"]);
        command.arg(farm.config()).uid(STRANGER).gid(STRANGER);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = enable_as_stranger();
    assert!(text.contains("may not ask the daemon"), "{text}");
    assert!(text.contains("only root and the daemon's user"), "{text}");
    // Also where somebody has opened the door, the daemon looks who comes.
    open("state/control", 0o666);
    let text = enable_as_stranger();
    let refusal = "only root and the daemon's own user may ask";
    assert!(text.contains(refusal), "{text}");
    let mut own = raw(&farm);
    let table = ask(&mut own, "{\"request\":\"table\"}\n");
    let servers = &table["table"]["virtual_services"][0]["real_servers"];
    assert_eq!(servers[0]["wanted"], "out", "{table}");
    assert_eq!(farm.in_table(), [(2, 5)].into());
}

/// Checks go on, a question is answered, and the memory has not grown by more than it may.
#[track_caller]
fn assert_unharmed(farm: &Farm, before_kb: u64) {
    wait_until("an answer", SOON, || {
        ask(&mut raw(farm), "{\"request\":\"table\"}\n")["table"].is_object()
    });
    farm.wait_for_checks_to_go_on();
    let now_kb = farm.resident_kb();
    assert!(
        now_kb < before_kb + GROWTH_MAX_KB,
        "{before_kb} kB before, {now_kb} kB after"
    );
}

#[test]
fn lines_of_ten_megabytes_do_not_fill_the_memory() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.wait_for_checks_to_go_on();
    let before_kb = farm.resident_kb();
    let line = vec![b'x'; 10_000_000];
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = raw(&farm);
            // The daemon closes long before the end.
            stream.get_mut().write_all(&line).unwrap_err();
            let mut answer = String::new();
            stream.read_line(&mut answer).unwrap();
            assert!(answer.contains("at most 16384 bytes"), "{answer}");
            stream
        })
        .collect();
    assert_unharmed(&farm, before_kb);
    drop(clients);
}

#[test]
fn clients_that_never_read_lose_their_places_and_fill_no_memory() {
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.wait_for_checks_to_go_on();
    let before_kb = farm.resident_kb();
    let requests = "{\"request\":\"services\"}\n".repeat(1_000);
    farm.client();
    let deaf: Vec<_> = (0..40)
        .map(|_| {
            let path = farm.folder.join("state/control");
            let mut stream = UnixStream::connect(path).unwrap();
            stream.set_nonblocking(true).unwrap();
            // As much as fits; then nobody takes the answers.
            while stream.write(requests.as_bytes()).is_ok() {}
            stream
        })
        .collect();
    assert_unharmed(&farm, before_kb);
    drop(deaf);
}

#[test]
fn a_thousand_clients_at_once_do_not_stop_the_daemon() {
    const NAME: &str = "a_thousand_clients_at_once_do_not_stop_the_daemon";
    /// Another process, so that this one's limit of open files is not everybody's trouble.
    const CLIENTS: &str = "import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
clients = []
for number in range(1000):
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    clients.append(client)
print('connected', flush=True)
sys.stdin.read()
";
    if !have("python3") {
        return skip(NAME, "python3");
    }
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.wait_for_checks_to_go_on();
    let before_kb = farm.resident_kb();
    let mut command = Command::new("python3");
    command
        .args(["-c", CLIENTS])
        .arg(farm.folder.join("state/control"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut clients = Running::start(&mut command);
    let mut word = String::new();
    let output = clients.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut word).unwrap();
    assert_eq!(word, "connected\n");
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.mend_server(1);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    farm.wait_for_log("too many clients");
    let open = format!("/proc/{}/fd", farm.daemon.as_ref().unwrap().0.id());
    let open = fs::read_dir(open).unwrap().count();
    assert!(open < 100, "{open} open files in the daemon");
    drop(clients);
    assert_unharmed(&farm, before_kb);
}

#[test]
fn a_stopped_daemon_does_not_carry_out_later_what_nobody_waits_for_any_more() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let table = "{\"request\":\"table\"}\n";
    let mut client = raw(&farm);
    // It is heard before it is stopped.
    assert!(ask(&mut client, table)["table"].is_object());
    farm.signal(Signal::SIGSTOP);
    let now = || u64::try_from(lvsmon::clock::since_boot().as_millis()).unwrap();
    let until = now() + 200;
    let wish = |until: u64| {
        let server = serde_json::json!({
            "request": "wish",
            "server": "127.0.0.11",
            "wish": {"wish": "disable"},
            "caution": lvsmon::engine::event::Caution::default(),
            "until_ms": until,
        });
        format!("{server}\n")
    };
    client.get_mut().write_all(wish(until).as_bytes()).unwrap();
    wait_until("the end of its patience", SOON, || now() >= until);
    farm.signal(Signal::SIGCONT);
    let answer = ask(&mut client, "");
    let why = answer["error"].as_str().unwrap();
    assert!(why.contains("nothing was changed"), "{why}");
    let text = ask(&mut client, table).to_string();
    assert!(!text.contains("disable"), "{text}");
    // In time it is.
    let answer = ask(&mut client, &wish(until + 600_000));
    assert!(answer["done"].is_string(), "{answer}");
}

#[test]
fn nobody_waits_longer_than_the_limit_for_a_daemon_that_takes_no_connection() {
    let folder = TempDir::new();
    let path = folder.join("control");
    let listener = UnixListener::bind(&path).unwrap();
    // As with a daemon that is stopped, once so many have come: one waits, nobody else fits.
    rustix::net::listen(&listener, 0).unwrap();
    let _first = UnixStream::connect(&path).unwrap();
    let error = Client::connect_within(folder.path(), Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, ClientError::Deaf { .. }), "{error}");
    let mut command = Command::new(lvsmon_path());
    command.args(["health", "--limit", "0.1s", "--statedir"]);
    command.arg(folder.path()).stdout(Stdio::piped());
    let mut health = Running::start(&mut command);
    assert_eq!(health.wait(SOON).code(), Some(1));
    let mut text = String::new();
    let mut output = health.0.stdout.take().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("has taken no connection within 0.1 s"),
        "{text}"
    );
}
