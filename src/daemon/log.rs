//! Log lines on standard error, text or JSON, and in syslog; never blocking the loop.
//!
//! A terminal stopped with ^S or a log collector that hangs must not stop the checks, so
//! lines go through a bounded queue to a thread of their own; what does not fit is counted
//! and said when there is room again.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::daemon::syslog::{self, Severity, Syslog};
use crate::model::Facility;

/// Lines that wait for a slow standard error: some seconds of the worst storm, about 2 MB.
const LINES_MAX: usize = 10_000;

/// Longest wait for the last lines at the end of the process.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person; coloured on a terminal where `colours` allows it.
    Text {
        /// Whether the environment allows colours.
        colours: bool,
    },
    /// One JSON object a line.
    Json,
}

/// What is logged, and where.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How lines look on standard error.
    pub format: Format,
    /// Lines go to syslog too, as these: mon's way.
    pub syslog: Option<Facility>,
    /// The level where `LVSMON_LOG` says nothing.
    pub level: &'static str,
}

/// The facility under which syslog gets the lines; it may change once the file is read.
#[derive(Clone, Debug)]
pub struct FacilitySwitch(Arc<AtomicU8>);

impl FacilitySwitch {
    /// From the next line on.
    pub fn set(&self, facility: Facility) {
        self.0.store(facility.number(), Ordering::Relaxed);
    }

    fn get(&self) -> Facility {
        Facility::from_number(self.0.load(Ordering::Relaxed))
    }
}

/// Waits for the last lines when it is dropped.
#[derive(Debug)]
pub struct Guard {
    queue: SyncSender<Line>,
    done: Receiver<()>,
    facility: FacilitySwitch,
}

impl Guard {
    /// Changes the facility in syslog.
    #[must_use]
    pub fn facility(&self) -> FacilitySwitch {
        self.facility.clone()
    }
}

/// Sends all log lines of this process to standard error, and to syslog where that is asked for.
/// `LVSMON_LOG` chooses levels, such as `debug` or `lvsmon::daemon=trace`; the level of the
/// settings where it is absent or wrong.
pub fn start(settings: Settings) -> Guard {
    let (queue, lines) = sync_channel(LINES_MAX);
    let (tell_done, done) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Writer {
        queue: queue.clone(),
        lost: Arc::clone(&lost),
    };
    let facility = settings.syslog.unwrap_or_default();
    let facility = FacilitySwitch(Arc::new(AtomicU8::new(facility.number())));
    let of_syslog = facility.clone();
    thread::spawn(move || {
        write_lines(&lines, &lost, &of_syslog);
        let _ = tell_done.send(());
    });
    let levels = EnvFilter::try_from_env("LVSMON_LOG");
    let levels = levels.unwrap_or_else(|_| EnvFilter::new(settings.level));
    let syslog = settings.syslog.map(|_| {
        tracing_subscriber::fmt::layer()
            .with_writer(ToSyslog(writer.clone()))
            .with_target(false)
            .with_level(false)
            .without_time()
            .with_ansi(false)
            .log_internal_errors(false)
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_target(false)
        // It would print to standard error, and panic where that is closed.
        .log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(levels).with(syslog);
    // An error means that a subscriber is there already, as in tests: as good.
    let _ = match settings.format {
        Format::Text { colours } => {
            let colours = colours && io::stderr().is_terminal();
            tracing::subscriber::set_global_default(subscriber.with(lines.with_ansi(colours)))
        }
        Format::Json => tracing::subscriber::set_global_default(
            subscriber.with(lines.with_ansi(false).json().flatten_event(true)),
        ),
    };
    Guard {
        queue,
        done,
        facility,
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Without room for the mark nobody reads, and nobody will within the limit.
        if self.queue.try_send(Line::End).is_ok() {
            let _ = self.done.recv_timeout(FLUSH_LIMIT);
        }
    }
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    Syslog(Severity, Vec<u8>),
    End,
}

fn write_lines(lines: &Receiver<Line>, lost: &AtomicU64, facility: &FacilitySwitch) {
    let mut stderr = io::stderr();
    let mut syslog = Syslog::new(Path::new(syslog::SOCKET));
    while let Ok(line) = lines.recv() {
        match line {
            Line::End => return,
            // Without a syslog, standard error has the line.
            Line::Syslog(severity, line) => {
                syslog.send(facility.get(), severity, &line);
                continue;
            }
            Line::Text(line) => {
                // A closed standard error has nobody to be told about.
                let _ = stderr.write_all(&line);
            }
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            let _ = writeln!(stderr, "{count} log lines were lost here: nobody read them");
        }
    }
}

#[derive(Clone, Debug)]
struct Writer {
    queue: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Writer {
    fn put(&self, line: Line) {
        match self.queue.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(Line::Text(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes writers that know how grave their line is.
#[derive(Clone, Debug)]
struct ToSyslog(Writer);

impl<'a> MakeWriter<'a> for ToSyslog {
    type Writer = SyslogWriter;

    fn make_writer(&'a self) -> SyslogWriter {
        SyslogWriter {
            writer: self.0.clone(),
            severity: Severity::INFO,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> SyslogWriter {
        SyslogWriter {
            writer: self.0.clone(),
            severity: Severity::of(event),
        }
    }
}

struct SyslogWriter {
    writer: Writer,
    severity: Severity,
}

impl Write for SyslogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.writer.put(Line::Syslog(self.severity, line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
