//! Crashes between two checks: the end of a held connection is told at once.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::farm::{Farm, SOON};
use crate::support::{have, skip, wait_for, wait_until};

/// A web server as a process, which can be killed.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start() -> Self {
        Self::of(&["-u", "-m", "http.server", "0", "--bind", "127.0.0.11"])
    }

    /// One by those words for Python, whose first line names its port.
    fn of(words: &[&str]) -> Self {
        let mut process = Command::new("python3")
            .args(words)
            .current_dir("/")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output");
        let mut output = BufReader::new(output);
        output.read_line(&mut line).expect("its first line");
        // Serving HTTP on 127.0.0.11 port 40123 (http://...) ...
        let port = line.split(" port ").nth(1).and_then(|rest| {
            let digits = rest.split(' ').next()?;
            digits.parse().ok()
        });
        Self {
            process,
            output,
            port: port.unwrap_or_else(|| panic!("no port in {line:?}")),
        }
    }

    /// Waits for its next line; whether it is that.
    fn says(&mut self, wanted: &str) -> bool {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its next line");
        line.trim_end() == wanted
    }

    /// Connections that somebody holds to it.
    fn connections(&self) -> usize {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
        let to = format!(
            "{:08X}:{:04X}",
            u32::from_ne_bytes([127, 0, 0, 11]),
            self.port
        );
        let is_held = |line: &&str| {
            let mut words = line.split_whitespace().skip(2);
            words.next() == Some(&*to) && words.next() == Some("01")
        };
        table.lines().filter(is_held).count()
    }

    fn kill(&mut self) {
        self.process.kill().expect("it was there");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One real server, checked so seldom that no test sees a second check of its own accord.
fn configure(farm: &Farm, port: u16) {
    configure_with(farm, port, "1h");
}

fn configure_with(farm: &Farm, port: u16, interval: &str) {
    let globals = farm.globals();
    let line = format!("lvs.alert -P tcp -V 10.0.0.3:{port} -R 127.0.0.11 -W 5 -F dr");
    farm.folder
        .write("state/table", format!("-A -t 10.0.0.3:{port} -s wlc\n"));
    farm.configure(&format!(
        "{globals}\nhostgroup www 127.0.0.11\n\n\
         watch www\n    service http\n\tinterval {interval}\n\ttripwire on\n\t\
         monitor http.monitor -p {port} -t 5\n\tperiod\n\t    alert {line}\n\t    upalert {line}\n"
    ));
}

#[test]
fn a_crashed_server_is_out_long_before_its_next_check() {
    const NAME: &str = "a_crashed_server_is_out_long_before_its_next_check";
    if !have("python3") {
        return skip(NAME, "python3");
    }
    let mut server = Server::start();
    let mut farm = Farm::new();
    configure(&farm, server.port);
    farm.start();
    farm.wait_for_table(&[(1, 5)]);
    wait_until("a held connection", SOON, || server.connections() == 1);
    wait_until("why says that it is held", SOON, || {
        let said = farm.output(&["why", "127.0.0.11"]).stdout;
        let said = String::from_utf8(said).expect("text");
        said.contains("tripwire   www/http: armed, its connection is held since ")
    });
    server.kill();
    farm.wait_for_table(&[]);
    farm.wait_for_log("why=\"www/http: refused (connection re");
}

/// Answers requests; its end resets the connections on which none came. Tells of each connection
/// on its standard output.
const RESETS: &str = r#"
import socket, struct, threading
listener = socket.create_server(("127.0.0.11", 0))
print("on port %d ..." % listener.getsockname()[1])
def linger(connection, on):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))
def serve(connection):
    linger(connection, 1)
    print("waits")
    asked = connection.recv(1024)
    linger(connection, 0)
    if asked:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    connection.close()
while True:
    connection = listener.accept()[0]
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"#;

#[test]
fn a_server_that_resets_its_connection_and_is_gone_is_out_long_before_its_next_check() {
    const NAME: &str =
        "a_server_that_resets_its_connection_and_is_gone_is_out_long_before_its_next_check";
    if !have("python3") {
        return skip(NAME, "python3");
    }
    let mut server = Server::of(&["-u", "-c", RESETS]);
    let mut farm = Farm::new();
    configure(&farm, server.port);
    farm.start();
    farm.wait_for_table(&[(1, 5)]);
    wait_until("a held connection", SOON, || server.connections() == 1);
    // One of ours beside it shows how it ends.
    let mut beside = TcpStream::connect(("127.0.0.11", server.port)).expect("a connection");
    for whose in ["the check", "the tripwire", "this test"] {
        assert!(server.says("waits"), "the connection of {whose}");
    }
    server.kill();
    let end = beside.read(&mut [0]).expect_err("no end in order");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    farm.wait_for_table(&[]);
    farm.wait_for_log("why=\"www/http: refused (connection re");
}

/// How long a check may take: a test that waits for its end fails.
const LIMIT: Duration = Duration::from_secs(3 * SOON.as_secs());

/// Two real servers of a section in the table, with checks that may take very long.
fn configure_two(farm: &Farm, port: u16, interval: &str, more: &str) {
    farm.fill_table(port);
    let limit = LIMIT.as_secs();
    let service = format!(
        "\tinterval {interval}\n\ttripwire on\n\tmonitor http.monitor -p {port} -t {limit}\n"
    );
    farm.configure(&farm.section(port, &service, more));
}

#[test]
fn a_crashed_server_is_out_while_another_one_keeps_the_check_waiting() {
    const NAME: &str = "a_crashed_server_is_out_while_another_one_keeps_the_check_waiting";
    if !have("python3") {
        return skip(NAME, "python3");
    }
    let (mut server, silent) = wait_for("a port that is free on both addresses", SOON, || {
        let server = Server::start();
        let silent = TcpListener::bind(("127.0.0.12", server.port)).ok()?;
        Some((server, silent))
    });
    let mut farm = Farm::new();
    configure_two(&farm, server.port, "1h", "    fall 3\n");
    farm.start();
    // Accepts in the queue of the kernel, and says nothing.
    let _kept = silent.accept().expect("the check of the silent one");
    wait_until("why says that a connection is held", SOON, || {
        let said = farm.output(&["why", "127.0.0.11"]).stdout;
        let said = String::from_utf8(said).expect("text");
        said.contains("tripwire   www/http: armed, its connection is held since ")
    });
    wait_until("a held connection", SOON, || server.connections() == 1);
    server.kill();
    farm.wait_for_table(&[(2, 5)]);
    farm.wait_for_log("why=\"www/http: refused (connection re");
}

/// Answers its first request and no other, and tells of each on its standard output.
const ANSWERS_ONCE: &str = r#"
import socket, sys, threading
listener = socket.create_server(("127.0.0.11", 0))
print("on port %d ..." % listener.getsockname()[1])
answers = [b"HTTP/1.0 200 OK\r\n\r\n"]
kept = []
def serve(connection):
    while connection.recv(1024):
        if answers:
            connection.sendall(answers.pop())
            break
        print("hangs")
    connection.close()
while True:
    connection = listener.accept()[0]
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"#;

#[test]
fn a_server_that_dies_under_its_own_check_is_out_while_that_waits_for_another_one() {
    const NAME: &str =
        "a_server_that_dies_under_its_own_check_is_out_while_that_waits_for_another_one";
    if !have("python3") {
        return skip(NAME, "python3");
    }
    let (mut server, silent) = wait_for("a port that is free on both addresses", SOON, || {
        let server = Server::of(&["-u", "-c", ANSWERS_ONCE]);
        let silent = TcpListener::bind(("127.0.0.12", server.port)).ok()?;
        Some((server, silent))
    });
    let mut farm = Farm::new();
    configure_two(&farm, server.port, "0.3s", "");
    farm.start();
    let (mut answered, _) = silent.accept().expect("the first check");
    answered
        .write_all(b"HTTP/1.0 200 OK\r\n\r\n")
        .expect("an answer");
    drop(answered);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    // Both are silent from now on; what is under way there waits for its limit.
    wait_until("a check that waits", SOON, || server.says("hangs"));
    server.kill();
    farm.wait_for_table(&[(2, 5)]);
    farm.wait_for_log("why=\"www/http: refused (connection re");
}

#[test]
fn a_server_that_closes_idle_connections_stays_in_and_is_connected_to_again() {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 11), 0)).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let closed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&closed);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let closed = Arc::clone(&counted);
            std::thread::spawn(move || {
                let patience = Some(Duration::from_millis(100));
                stream.set_read_timeout(patience).expect("a limit");
                match stream.read(&mut [0; 1_024]) {
                    Ok(length) if length > 0 => {
                        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
                    }
                    Ok(_) | Err(_) => {
                        closed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let mut farm = Farm::new();
    configure(&farm, port);
    farm.start();
    farm.wait_for_table(&[(1, 5)]);
    wait_until("three closed connections", SOON, || {
        closed.load(Ordering::SeqCst) >= 3
    });
    assert_eq!(farm.in_table(), [(1, 5)].into());
    wait_until("why says that it backs off", SOON, || {
        let said = farm.output(&["why", "127.0.0.11"]).stdout;
        let said = String::from_utf8(said).expect("text");
        said.contains("tripwire   www/http: backs off ")
            && said.contains(": the server closes idle connections")
    });
    assert!(
        !farm.log().contains("real server out"),
        "it never was out: {}",
        farm.log()
    );
}

/// A web server that allows one connection at a time, and what became of the others.
#[derive(Default)]
struct OneAtATime {
    open: Vec<TcpStream>,
    answered: usize,
    let_go: usize,
    refused: usize,
}

impl OneAtATime {
    /// Takes in what clients said and whom they left.
    fn hear(&mut self) {
        for mut stream in std::mem::take(&mut self.open) {
            match stream.read(&mut [0; 1_024]) {
                Ok(0) => self.let_go += 1,
                Ok(_) => {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
                    self.answered += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.open.push(stream),
                Err(_) => {}
            }
        }
    }

    /// A connection that was closed before this one was made is no second one.
    fn accept(&mut self, stream: TcpStream) {
        self.hear();
        if self.open.is_empty() {
            stream.set_nonblocking(true).expect("a mode");
            self.open.push(stream);
        } else {
            self.refused += 1;
        }
    }
}

#[test]
fn a_server_that_allows_one_connection_at_a_time_stays_in() {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 11), 0)).expect("a listener");
    listener.set_nonblocking(true).expect("a mode");
    let port = listener.local_addr().expect("its address").port();
    let server = Arc::new(Mutex::new(OneAtATime::default()));
    let shared = Arc::clone(&server);
    std::thread::spawn(move || {
        loop {
            let mut server = shared.lock().expect("nobody panics");
            match listener.accept() {
                Ok((stream, _)) => server.accept(stream),
                Err(_) => server.hear(),
            }
            drop(server);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    let mut farm = Farm::new();
    configure_with(&farm, port, "0.3s");
    farm.start();
    farm.wait_for_table(&[(1, 5)]);
    wait_until("connections that were held between checks", SOON, || {
        let server = server.lock().expect("nobody panics");
        server.let_go + server.refused >= 5
    });
    let server = server.lock().expect("nobody panics");
    assert_eq!(server.refused, 0);
    assert!(server.answered >= 5, "{} checks", server.answered);
    assert!(!farm.log().contains("real server out"), "{}", farm.log());
}
