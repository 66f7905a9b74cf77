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

use tracing::{Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

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
///
/// # Errors
///
/// The system refuses the thread that writes them.
pub fn start(settings: Settings) -> io::Result<Guard> {
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
    let write = move || {
        write_lines(&lines, &lost, &of_syslog, Path::new(syslog::SOCKET));
        let _ = tell_done.send(());
    };
    thread::Builder::new().name("log".to_owned()).spawn(write)?;
    let levels = EnvFilter::try_from_env("LVSMON_LOG");
    let levels = levels.unwrap_or_else(|_| EnvFilter::new(settings.level));
    let syslog = settings.syslog.map(|_| syslog_layer(writer.clone()));
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
    Ok(Guard {
        queue,
        done,
        facility,
    })
}

/// What sends each event to syslog, without its level: the priority says it.
fn syslog_layer<S>(writer: Writer) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(ToSyslog(writer))
        .with_target(false)
        .with_level(false)
        .without_time()
        .with_ansi(false)
        .log_internal_errors(false)
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

fn write_lines(lines: &Receiver<Line>, lost: &AtomicU64, facility: &FacilitySwitch, socket: &Path) {
    let mut stderr = io::stderr();
    let mut syslog = Syslog::new(socket);
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

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::daemon::chronicle::Chronicle;
    use crate::engine::event::{DeliveryOutcome, Note, SectionNews};
    use crate::engine::fixture::{model_of, service};
    use crate::logged;
    use crate::model::{HostName, ServiceId};
    use crate::pair::Way;
    use crate::time::Wall;

    /// What syslog gets of what is logged: priority and text.
    pub(crate) fn told(what: impl FnOnce()) -> Vec<(u8, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (queue, lines) = sync_channel(LINES_MAX);
        let writer = Writer {
            queue: queue.clone(),
            lost: Arc::default(),
        };
        let subscriber = tracing_subscriber::registry().with(syslog_layer(writer));
        logged::heard_by(subscriber, what);
        queue.send(Line::End).unwrap();
        let facility: Facility = "local2".parse().unwrap();
        let switch = FacilitySwitch(Arc::new(AtomicU8::new(facility.number())));
        write_lines(&lines, &AtomicU64::new(0), &switch, &path);
        let mut buffer = [0; 10_000];
        let mut told = Vec::new();
        while let Ok(length) = socket.recv(&mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let (priority, text) = line[1..].split_once('>').unwrap();
            let priority: u16 = priority.parse().unwrap();
            assert_eq!(priority / 8, u16::from(facility.number()), "{line}");
            let priority = u8::try_from(priority % 8).unwrap();
            told.push((priority, text.to_owned()));
        }
        told
    }

    #[test]
    fn a_warning_about_a_name_says_where_the_file_has_it() {
        let told = told(|| {
            let model = model_of(vec![service("web", "http")], &["h1"]);
            let text = "h1 has 2 IPv4 addresses".to_owned();
            let host = Some(HostName::new("h1"));
            let binding = Note::Binding {
                service: ServiceId(0),
                host: host.clone(),
                text: text.clone(),
            };
            let section = Note::Section {
                virtual_service: "10.0.0.3:80/tcp".parse().unwrap(),
                news: SectionNews::Mend { host, text },
            };
            let mut chronicle = Chronicle::default();
            for note in [binding, section] {
                assert_eq!(note.host().map(HostName::as_str), Some("h1"));
                chronicle.note(
                    Wall::from_seconds(1),
                    &model,
                    &note,
                    Some("/etc/mon/mon.cf:7"),
                );
            }
        });
        assert_eq!(told.len(), 2, "{told:?}");
        for (_, text) in told {
            assert!(text.contains("at=\"/etc/mon/mon.cf:7\""), "{text}");
        }
    }

    #[test]
    fn syslog_gets_mons_priority_of_each_thing_that_happens() {
        let call = crate::alert::notice::tests::call();
        let told = told(|| {
            let model = model_of(vec![service("web", "http")], &["h1"]);
            let (time, service) = (Wall::from_seconds(1), ServiceId(0));
            let mut chronicle = Chronicle::default();
            let down = Note::ServiceDown {
                service,
                exit: 1,
                summary: "h1 is bad".to_owned(),
            };
            chronicle.note(time, &model, &down, None);
            chronicle.sent(time, &call, Way::Out);
            chronicle.delivered(time, 1, &DeliveryOutcome::GivenUp("no relay".to_owned()));
            let up = Note::ServiceUp {
                service,
                outage: Duration::from_secs(5),
            };
            chronicle.note(time, &model, &up, None);
        });
        let expected = [
            (2, "service down"),
            (1, "alert sent"),
            (3, "alert given up"),
            (6, "service up"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for ((priority, text), (expected, what)) in told.iter().zip(expected) {
            assert!(*priority == expected && text.contains(what), "{told:?}");
        }
        assert!(told[1].1.contains(&call.event), "{told:?}");
    }
}
