//! The control socket and the commands that use it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::farm::Farm;

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
