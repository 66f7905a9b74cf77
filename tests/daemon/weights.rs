//! Weights that checks give: by the exit value of a program, a header of the page, an agent's
//! line. Of each one check follows the other until the table has what it said.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use super::farm::{Farm, SOON};
use crate::support::wait_until;

/// A server that answers everybody with a text that the test changes.
struct Voice {
    port: u16,
    text: Arc<Mutex<String>>,
}

impl Voice {
    fn start(text: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 11), 0)).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let voice = Self {
            port,
            text: Arc::new(Mutex::new(text.to_owned())),
        };
        let text = Arc::clone(&voice.text);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                // Nobody's request is waited for: an agent is sent none.
                let answer = text.lock().expect("the text").clone();
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0; 1_024]);
            }
        });
        voice
    }

    fn says(&self, text: String) {
        *self.text.lock().expect("the text") = text;
    }
}

fn page(weight: &str) -> String {
    format!("HTTP/1.0 200 OK\r\nX-Weight: {weight}\r\n\r\nok")
}

/// What the program exits with from now on.
fn exits(farm: &Farm, value: u8) {
    farm.folder.write("draft", format!("{value}\n"));
    fs::rename(farm.folder.join("draft"), farm.folder.join("value")).expect("a value");
}

/// The real server of the virtual service at that port is in the table with that weight, or
/// not at all.
#[track_caller]
fn expect(farm: &Farm, wanted: &[(u16, Option<u32>)]) {
    let mut table = String::new();
    let has_all = |table: &str| {
        wanted.iter().all(|(port, weight)| {
            let server = format!("-a -t 10.0.0.3:{port} -r 127.0.0.11:{port} -g -w ");
            let mut lines = table.lines();
            let found = lines.find_map(|line| line.strip_prefix(server.as_str())?.parse().ok());
            found == *weight
        })
    };
    wait_until(&format!("{wanted:?} in the table"), SOON, || {
        table = farm.folder.read("state/table");
        has_all(&table)
    });
}

#[test]
fn a_check_gives_the_weight_by_exit_value_header_or_agent() {
    let (web, agent) = (Voice::start(&page("17")), Voice::start("up 75%\n"));
    let mut farm = Farm::new();
    exits(&farm, 27);
    let folder = farm.folder.path().display().to_string();
    let program = farm.folder.write(
        "weigh",
        format!("#!/bin/sh\nread value <{folder}/value\nexit $value\n"),
    );
    fs::set_permissions(program, Permissions::from_mode(0o755)).expect("a program");
    let mut text = farm.globals() + "\nhostgroup web 127.0.0.11\n\nwatch web\n";
    let (http, line) = (web.port, agent.port);
    for (name, monitor) in [
        ("exit", format!("misc.monitor -d -t 30 -- {folder}/weigh")),
        (
            "header",
            format!("http.monitor -p {http} -t 30 -w X-Weight"),
        ),
        ("agent", format!("agent.monitor -p {line} -t 30")),
    ] {
        text += &format!("    service {name}\n\tinterval 0.3s\n\tmonitor {monitor}\n");
    }
    for (port, name) in [(81, "exit"), (82, "header"), (83, "agent")] {
        text += &format!(
            "\nvirtual 10.0.0.3:{port}\n    real web weight 6\n    service web:{name}\n    \
             weight_from check\n"
        );
    }
    farm.configure(&text);
    farm.start();
    // 25 = 27 - 2; three quarters of 6, rounded up.
    expect(&farm, &[(81, Some(25)), (82, Some(17)), (83, Some(5))]);
    exits(&farm, 2);
    web.says(page("0"));
    agent.says("drain\n".to_owned());
    expect(&farm, &[(81, Some(0)), (82, Some(0)), (83, Some(0))]);
    exits(&farm, 1);
    web.says("HTTP/1.0 500 No\r\n\r\n".to_owned());
    agent.says("down#broken\n".to_owned());
    expect(&farm, &[(81, None), (82, None), (83, None)]);
    exits(&farm, 255);
    web.says(page("150%"));
    agent.says("ready\n".to_owned());
    expect(&farm, &[(81, Some(253)), (82, Some(9)), (83, Some(6))]);
}
