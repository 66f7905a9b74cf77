//! The daemon of the demonstration: this program again, as a child, reached as any daemon is.
//!
//! Its table is the one in memory, which is a file in its state folder: read here as `ipvsadm`
//! would read the kernel's, and emptied here as `ipvsadm -C` would empty it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::client::Client;
use crate::demo::DemoError;
use crate::ipvs::listing;
use crate::lvs::Table;
use crate::wire::EventRow;

/// Longest end after SIGTERM: the daemon's own limits are shorter.
const END_LIMIT: Duration = Duration::from_secs(15);
/// So many lines of the daemon's log explain a story that went wrong.
const LOG_LINES: usize = 15;

/// A running daemon and its folder.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: PathBuf,
    client: Option<Client>,
    /// Number of the newest event seen.
    last_event: u64,
}

impl Daemon {
    /// Starts `lvsmon run` with the file `mon.cf` of `folder`.
    pub(super) fn start(folder: &Path) -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::Setup)?;
        let log = std::fs::File::create(folder.join("log")).map_err(DemoError::Setup)?;
        let child = Command::new(program)
            .arg("run")
            .arg("--config")
            .arg(folder.join("mon.cf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .env("NO_COLOR", "1")
            .kill_on_drop(true)
            .spawn()
            .map_err(DemoError::Setup)?;
        Ok(Self {
            child,
            folder: folder.to_owned(),
            client: None,
            last_event: 0,
        })
    }

    /// The exit status of a daemon that has ended on its own.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What has happened since the last call; nothing while the socket is not there yet.
    ///
    /// The client waits for the answer, and the farm with it: for less than a millisecond.
    pub(super) fn events(&mut self) -> Vec<EventRow> {
        if self.client.is_none() {
            self.client = Client::connect(&self.folder.join("state")).ok();
        }
        let answer = match &mut self.client {
            Some(client) => client.events(self.last_event),
            None => return Vec::new(),
        };
        // Without an answer the daemon has ended or is about to: the story notices.
        let events = match answer {
            Ok(answer) => answer.events,
            Err(_) => {
                self.client = None;
                Vec::new()
            }
        };
        if let Some(last) = events.last() {
            self.last_event = last.number;
        }
        events
    }

    fn table_path(&self) -> PathBuf {
        self.folder.join("state/table")
    }

    /// The table as it is now.
    pub(super) fn table(&self) -> Table {
        let text = std::fs::read_to_string(self.table_path()).unwrap_or_default();
        listing::parse(&text).unwrap_or_default()
    }

    /// The addresses of the real servers that are in the table.
    pub(super) fn servers_in_table(&self) -> Vec<IpAddr> {
        self.table()
            .values()
            .flat_map(|entry| entry.servers.keys())
            .map(|server| server.0.ip())
            .collect()
    }

    /// Empties the table, as `ipvsadm -C` does.
    pub(super) fn flush_table(&self) -> io::Result<()> {
        std::fs::write(self.table_path(), "")
    }

    /// Ends the daemon with SIGTERM and returns its exit status.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus, DemoError> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // An error means that it has just ended; wait says how.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        match tokio::time::timeout(END_LIMIT, self.child.wait()).await {
            Ok(status) => status.map_err(DemoError::Setup),
            Err(_) => Err(DemoError::NotInTime {
                what: "the daemon did not end after SIGTERM".to_owned(),
                limit: END_LIMIT,
            }),
        }
    }

    /// The end of the daemon's log.
    pub(super) fn log_tail(&self) -> String {
        let text = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}
