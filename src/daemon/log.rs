//! Log lines on standard error: text or JSON, never blocking the loop.
//!
//! A terminal stopped with ^S or a log collector that hangs must not stop the checks, so
//! lines go through a bounded queue to a thread of their own; what does not fit is counted
//! and said when there is room again.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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

/// Waits for the last lines when it is dropped.
#[derive(Debug)]
pub struct Guard {
    queue: SyncSender<Line>,
    done: Receiver<()>,
}

/// Sends all log lines of this process to standard error. `LVSMON_LOG` chooses levels, such
/// as `debug` or `lvsmon::daemon=trace`; info where it is absent or wrong.
pub fn start(format: Format) -> Guard {
    let (queue, lines) = sync_channel(LINES_MAX);
    let (tell_done, done) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Writer {
        queue: queue.clone(),
        lost: Arc::clone(&lost),
    };
    thread::spawn(move || {
        write_lines(&lines, &lost);
        let _ = tell_done.send(());
    });
    let filter = EnvFilter::try_from_env("LVSMON_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        // It would print to standard error, and panic where that is closed.
        .log_internal_errors(false);
    // An error means that a subscriber is there already, as in tests: as good.
    let _ = match format {
        Format::Text { colours } => {
            let colours = colours && io::stderr().is_terminal();
            tracing::subscriber::set_global_default(builder.with_ansi(colours).finish())
        }
        Format::Json => tracing::subscriber::set_global_default(
            builder.with_ansi(false).json().flatten_event(true).finish(),
        ),
    };
    Guard { queue, done }
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
    End,
}

fn write_lines(lines: &Receiver<Line>, lost: &AtomicU64) {
    let mut stderr = io::stderr();
    while let Ok(Line::Text(line)) = lines.recv() {
        // A closed standard error has nobody to be told about.
        let _ = stderr.write_all(&line);
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

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.queue.try_send(Line::Text(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
