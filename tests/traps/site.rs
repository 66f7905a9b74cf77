//! A daemon that takes traps, and a client that looks what became of them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

use crate::support::{self, Running, TempDir, free_port, free_udp_port, wait_for, wait_until};

pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Commands that the client of these tests needs.
pub(super) const COMMANDS: &str = "command section\nlist: all\nreload: all\n";

pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) daemon: Running,
    clients: u16,
    /// Where traps go.
    pub(super) address: String,
}

impl Site {
    /// A daemon with these watches and this auth.cf that listens on a port of 127.0.0.1.
    pub(super) fn start(watches: &str, auth: &str) -> Self {
        Self::prepare(watches, auth, |_| ())
    }

    /// The same, with more in its folder.
    pub(super) fn prepare(watches: &str, auth: &str, more: impl Fn(&TempDir)) -> Self {
        Self::start_with("127.0.0.1", free_udp_port(), watches, auth, more)
    }

    pub(super) fn start_at(bind: &str, port: u16, watches: &str, auth: &str) -> Self {
        Self::start_with(bind, port, watches, auth, |_| ())
    }

    fn start_with(
        bind: &str,
        port: u16,
        watches: &str,
        auth: &str,
        more: impl Fn(&TempDir),
    ) -> Self {
        let folder = TempDir::new();
        let clients = free_port();
        configure(
            &folder,
            clients,
            &format!("trapbind = {bind}\ntrapport = {port}\n{watches}"),
            auth,
        );
        more(&folder);
        let daemon = run(&folder);
        let site = Self {
            folder,
            daemon,
            clients,
            address: format!("{bind}:{port}"),
        };
        wait_until("the port for traps", LIMIT, || {
            site.log().contains("listening for traps")
        });
        site
    }

    pub(super) fn log(&self) -> String {
        self.folder.read("log")
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: impl AsRef<[u8]>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let sent = socket.send_to(packet.as_ref(), &self.address);
        sent.expect("a datagram that the system takes");
    }

    /// Says a line to the port of mon's clients, and returns the answer.
    pub(super) fn ask(&self, line: &str) -> Vec<String> {
        let stream = wait_for("the port for clients", LIMIT, || {
            TcpStream::connect(("127.0.0.1", self.clients)).ok()
        });
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        (&stream)
            .write_all(format!("{line}\n").as_bytes())
            .expect("it reads");
        let mut answer = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.expect("an answer in time");
            let is_last = line.len() > 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit);
            answer.push(line);
            if is_last {
                break;
            }
        }
        answer
    }

    /// The fields of a service, as clients see them.
    pub(super) fn fields(&self, service: &str) -> BTreeMap<String, String> {
        let answer = self.ask(&format!("list opstatus tg,{service}"));
        let line = answer.first().expect("a line");
        line.split(' ')
            .filter_map(|field| field.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Waits until a field of a service has this value.
    pub(super) fn wait(&self, service: &str, field: &str, value: &str) {
        wait_until(&format!("{field} = {value} of {service}"), LIMIT, || {
            self.fields(service)
                .get(field)
                .is_some_and(|is| is == value)
        });
    }
}

/// Writes the configuration; nothing in it is of this machine.
pub(super) fn configure(folder: &TempDir, clients: u16, text: &str, auth: &str) {
    let place = folder.path().display();
    let globals = format!(
        "statedir = {place}/state\nlogdir = {place}\ncfbasedir = {place}\nmondir = {place}/mon.d\n\
         alertdir = {place}/alert.d\nipvs_backend = memory\nserverbind = 127.0.0.1\n\
         serverport = {clients}\nauthfile = auth.cf\n"
    );
    for name in ["state", "mon.d", "alert.d"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    folder.write("mon.cf", format!("{globals}{text}"));
    folder.write("auth.cf", auth);
}

pub(super) fn run(folder: &TempDir) -> Running {
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    Running::start(
        support::lvsmon(["run", "--config"])
            .arg(folder.join("mon.cf"))
            .env("LVSMON_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log),
    )
}

/// A watch `tg` with these services, which only traps tell about.
pub(super) fn services(names: &[&str]) -> String {
    let mut text = "\nwatch tg\n".to_owned();
    for name in names {
        text.push_str(&format!(
            "    service {name}\n        description told by traps\n"
        ));
    }
    text
}

/// A packet for a service of `tg`.
pub(super) fn packet(user: &str, password: &str, service: &str, summary: &str) -> String {
    format!(
        "pro='0.3807'\nusr='{user}'\npas='{password}'\ngrp='tg'\nsvc='{service}'\nsta='1'\nsum='{summary}'\n"
    )
}
