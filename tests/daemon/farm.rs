//! Two web servers on loopback, a mon.cf that watches them, and the daemon as a process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lvsmon::client::Client;
use nix::sys::signal::Signal;

use crate::support::{Running, TempDir, lvsmon, wait_for, wait_until};

/// Limit of everything that should happen within a second; far more, for busy machines.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A web server on one address that answers 200 to everything while it is up.
pub(crate) struct WebServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    pub(crate) fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer);
            }
        });
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread; where that fails it is gone already.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The farm: servers 1 and 2 at 127.0.0.11 and 127.0.0.12, virtual service 10.0.0.3.
pub(crate) struct Farm {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    servers: [Option<WebServer>; 2],
    pub(crate) daemon: Option<Running>,
}

const ADDRESSES: [[u8; 4]; 2] = [[127, 0, 0, 11], [127, 0, 0, 12]];

impl Farm {
    /// Both servers up, the virtual service in the table without real servers, no daemon yet.
    pub(crate) fn new() -> Self {
        let (port, servers) = wait_for("a port that is free on both addresses", SOON, || {
            let first = WebServer::start((ADDRESSES[0], 0).into()).ok()?;
            let port = first.address.port();
            let second = WebServer::start((ADDRESSES[1], port).into()).ok()?;
            Some((port, [Some(first), Some(second)]))
        });
        let farm = Self {
            folder: TempDir::new(),
            port,
            servers,
            daemon: None,
        };
        for folder in ["mon.d", "alert.d", "state"] {
            fs::create_dir(farm.folder.join(folder)).unwrap();
        }
        farm.folder
            .write("state/table", format!("-A -t 10.0.0.3:{port} -s wlc\n"));
        farm.configure(&farm.text(5, true));
        farm
    }

    /// The farm's mon.cf, with that weight, with or without upalert lines.
    pub(crate) fn text(&self, weight: u32, upalerts: bool) -> String {
        let port = self.port;
        let mut text = self.globals();
        text += "\nhostgroup www1 127.0.0.11\n\nhostgroup www2 127.0.0.12\n\n";
        for number in [1, 2] {
            let lvs = format!(
                "lvs.alert -P tcp -V 10.0.0.3:{port} -R 127.0.0.1{number} -W {weight} -F dr"
            );
            text += &format!(
                "watch www{number}\n    service http\n\tinterval 0.3s\n\t\
                 monitor http.monitor -p {port} -t 5\n\tperiod wd {{Sun-Sat}}\n\t    alert {lvs}\n"
            );
            if upalerts {
                text += &format!("\t    upalert {lvs}\n");
            }
            text.push('\n');
        }
        text
    }

    /// The settings of every mon.cf of a farm: its folders, no ports, the table in memory.
    pub(crate) fn globals(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "statedir = {folder}/state\nmondir = {folder}/mon.d\nalertdir = {folder}/alert.d\n\
             serverport = 0\ntrapport = 0\nipvs_backend = memory\n"
        )
    }

    /// A mon.cf with both addresses in one section at that port, with these lines of the service
    /// that decides over them and, behind its own, of the section.
    pub(crate) fn section(&self, port: u16, service: &str, lines: &str) -> String {
        let globals = self.globals();
        format!(
            "{globals}\nhostgroup www 127.0.0.11 127.0.0.12\n\n\
             watch www\n    service http\n{service}\n\
             virtual 10.0.0.3:{port}\n    real www weight 5\n    service www:http\n{lines}"
        )
    }

    /// Puts both addresses of [`Self::section`] into the table, before the daemon is there.
    pub(crate) fn fill_table(&self, port: u16) {
        let row = |number| format!("-a -t 10.0.0.3:{port} -r 127.0.0.1{number}:{port} -g -w 5\n");
        let table = format!("-A -t 10.0.0.3:{port} -s wlc\n{}{}", row(1), row(2));
        self.folder.write("state/table", table);
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("mon.cf")
    }

    pub(crate) fn configure(&self, text: &str) {
        self.folder.write("mon.cf", text);
    }

    /// `lvsmon WORDS --config FILE`
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = lvsmon(words);
        command.arg("--config").arg(self.config());
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts the daemon; its log goes to the file `log`.
    pub(crate) fn start(&mut self) {
        let mut command = self.command(&["run"]);
        self.start_as(&mut command);
    }

    pub(crate) fn start_as(&mut self, command: &mut Command) {
        let log = File::create(self.folder.join("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(Running::start(command));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.daemon.as_ref().unwrap().signal(signal);
    }

    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.daemon.take().unwrap().wait(SOON)
    }

    pub(crate) fn log(&self) -> String {
        self.folder.read("log")
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), SOON, || {
            self.log().contains(text)
        });
    }

    pub(crate) fn break_server(&mut self, number: usize) {
        self.servers[number - 1] = None;
    }

    pub(crate) fn mend_server(&mut self, number: usize) {
        let address = (ADDRESSES[number - 1], self.port).into();
        let server = wait_for("the server's port", SOON, || WebServer::start(address).ok());
        self.servers[number - 1] = Some(server);
    }

    /// The real servers in the table, by number, with their weight.
    pub(crate) fn in_table(&self) -> BTreeSet<(usize, u32)> {
        let text = self.folder.read("state/table");
        let word_after = |line: &str, word: &str| {
            let mut words = line.split_whitespace();
            words.find(|&found| found == word)?;
            words.next().map(str::to_owned)
        };
        text.lines()
            .filter(|line| line.starts_with("-a"))
            .map(|line| {
                let address = word_after(line, "-r").unwrap();
                let host = address.split(':').next().unwrap();
                let number = host.strip_prefix("127.0.0.1").unwrap().parse().unwrap();
                let weight = word_after(line, "-w").unwrap().parse().unwrap();
                (number, weight)
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn wait_for_table(&self, expected: &[(usize, u32)]) {
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        let start = self.in_table();
        let mut found = start.clone();
        let what = format!("servers {expected:?} in the table, at first {start:?}");
        wait_until(&what, SOON, || {
            found = self.in_table();
            found == expected
        });
    }

    /// Starts the daemon and waits until both servers are in.
    #[track_caller]
    pub(crate) fn start_healthy(&mut self) {
        self.start();
        self.wait_for_table(&[(1, 5), (2, 5)]);
    }

    /// Memory of the daemon, in kB.
    #[track_caller]
    pub(crate) fn resident_kb(&self) -> u64 {
        self.memory_kb("VmRSS:")
    }

    /// The most memory that the daemon ever had, in kB.
    #[track_caller]
    pub(crate) fn most_kb(&self) -> u64 {
        self.memory_kb("VmHWM:")
    }

    #[track_caller]
    fn memory_kb(&self, which: &str) -> u64 {
        let process = self.daemon.as_ref().unwrap().0.id();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(which));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        let folder = self.folder.join("state");
        wait_for("the control socket", SOON, || Client::connect(&folder).ok())
    }

    /// Waits until each service has had a check that ended after this moment, so that what such
    /// a check changes has changed.
    #[track_caller]
    pub(crate) fn wait_for_checks_to_go_on(&self) {
        let mut client = self.client();
        let mut first = None;
        wait_until("a check of each service after this moment", SOON, || {
            let rows = client.services(0).unwrap().services;
            let times: Vec<_> = rows.iter().map(|row| row.last_check).collect();
            let before = first.get_or_insert_with(|| times.clone());
            times.iter().all(Option::is_some)
                && times.iter().zip(before).all(|(now, before)| now != before)
        });
    }
}
