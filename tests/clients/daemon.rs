//! A daemon with a client port, and a plain client.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Running, TempDir, lvsmon, wait_for};

/// Everything here happens within milliseconds on an idle machine.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// `admin` and `guest`, both with the password `secret`.
const USERS: &str = "admin: abNANd1rDfiNc\nguest: abNANd1rDfiNc\n";

/// Everybody may everything but `term`.
pub(crate) const OPEN: &str = "command section\nlist: all\nservertime: all\nreset: all\nreload: all\n\
    clear: all\nstart: all\nstop: all\nloadstate: all\nsavestate: all\nset: all\nget: all\n\
    ack: all\ndisable: all\nenable: all\ntest: all\nterm: admin\n";

const WATCHES: &str = "\
alias first
    one

view left web

hostgroup web h1 h2

hostgroup mail mx1

watch web
    service http
        description Pages of the \"shop\"
        interval 1s
        monitor down.monitor -p 80
        period p: wd {Sun-Sat}
            alert a.alert ops
    service ping
        interval 1s
        depend SELF:http
        monitor up.monitor

watch mail
    service smtp
        interval 1s
        monitor up.monitor
";

/// A running daemon.
pub(super) struct Served {
    pub(super) folder: TempDir,
    pub(super) running: Running,
    pub(super) port: u16,
}

impl Served {
    /// One with these settings beside the usual ones, where `@DIR@` is its folder, and these
    /// permissions.
    pub(super) fn with(settings: &str, auth: &str) -> Self {
        let folder = TempDir::new();
        let place = folder.path().display();
        folder.write("auth.cf", auth);
        folder.write("users", USERS);
        let down = format!("#!/bin/sh\necho run >>{place}/down.runs\necho \"h1 h2\"\nexit 1\n");
        folder.write_executable("down.monitor", down);
        let up = format!("#!/bin/sh\necho run >>{place}/up.runs\n");
        folder.write_executable("up.monitor", up);
        folder.write_executable("a.alert", "#!/bin/sh\ncat >/dev/null\n");
        let settings = settings.replace("@DIR@", &place.to_string());
        let globals = format!(
            "statedir = {place}/state\nmondir = {place}\nalertdir = {place}\nlogdir = {place}\n\
             authfile = {place}/auth.cf\nauthtype = userfile trustlocal\n\
             userfile = {place}/users\nipvs_backend = memory\nserverport = 0\ntrapport = 0\n\
             {settings}\n"
        );
        folder.write("mon.cf", format!("{globals}\n{WATCHES}"));
        let log = File::create(folder.join("log")).unwrap();
        let running = Running::start(
            lvsmon(["run", "--config"])
                .arg(folder.join("mon.cf"))
                .stderr(log),
        );
        let port = wait_for("the port", LIMIT, || {
            let log = folder.read("log");
            let (_, rest) = log.split_once("listening for clients address=127.0.0.1:")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Self {
            folder,
            running,
            port,
        }
    }

    pub(super) fn open() -> Self {
        Self::with("", OPEN)
    }

    /// How often the monitor of `mail/smtp` and `web/ping` was started.
    pub(super) fn runs(&self) -> usize {
        self.folder.read("up.runs").lines().count()
    }

    /// Waits until every service has reported.
    pub(super) fn wait_for_reports(&self) {
        let mut client = self.client();
        wait_for("all services to report", LIMIT, || {
            let lines = client.ask("list opstatus");
            let reported = lines.iter().filter(|line| !line.contains("exitval=undef"));
            (reported.count() == 4).then_some(())
        });
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Resident memory of the daemon in KiB.
    pub(super) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.0.id()));
        let status = status.unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        words[1].parse().unwrap()
    }
}

/// A connection.
pub(crate) struct Client {
    pub(super) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next line; none at the end of the connection.
    pub(super) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Some(line.trim_end_matches('\n').to_owned());
            }
            let mut piece = [0; 4_096];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(length) => self.received.extend(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    /// The lines of one reply.
    pub(super) fn reply(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().expect("a whole reply");
            let is_last = line.len() > 3
                && line.as_bytes()[..3].iter().all(u8::is_ascii_digit)
                && line.as_bytes()[3] == b' ';
            lines.push(line);
            if is_last {
                return lines;
            }
        }
    }

    pub(crate) fn ask(&mut self, line: &str) -> Vec<String> {
        self.send(format!("{line}\n"));
        self.reply()
    }
}
