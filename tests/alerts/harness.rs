//! An outbox in the test's own process, and calls to feed it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lvsmon::alert::mail::Mailer;
use lvsmon::daemon::outbox::{Limits, Outbox, OutboxSettings};
use lvsmon::engine::event::{
    AlertCall, AlertId, AlertKind, DeliveryOutcome, Event, HostVerdict, Reason, Status,
};
use lvsmon::model::{AlertCommand, AlertProgram, HostName, MailSettings, ServiceId};
use lvsmon::options::AlertOptions;
use lvsmon::time::Wall;
use tokio::sync::mpsc;

use crate::support::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Short rests, so that a test need not wait for minutes; everything else as in production.
pub(crate) fn quick() -> Limits {
    Limits {
        retry_first: Duration::from_millis(50),
        retry_most: Duration::from_millis(200),
        disk_rest: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// A running outbox and what it says.
pub(crate) struct Mailroom {
    pub(crate) outbox: Outbox,
    pub(crate) events: mpsc::Receiver<Event>,
}

/// Mail to this relay, grouped for so long.
pub(crate) fn settings(
    state: &TempDir,
    relay: &str,
    group_wait: Duration,
    limits: Limits,
) -> OutboxSettings {
    let mail = MailSettings {
        relay: relay.parse().expect("a relay"),
        domain: Some("director.example".to_owned()),
        group_wait,
        ..MailSettings::default()
    };
    OutboxSettings {
        has_peer: false,
        spool: state.join("spool"),
        mailer: Mailer::new(mail),
        limits,
        held_most: None,
    }
}

impl Mailroom {
    pub(crate) fn start(settings: OutboxSettings) -> Self {
        let (sender, events) = mpsc::channel(100);
        Self {
            outbox: Outbox::start(settings, sender),
            events,
        }
    }

    /// Waits for the end of so many calls, in the order of their ends.
    pub(crate) async fn done(&mut self, count: usize) -> Vec<(u64, DeliveryOutcome)> {
        let mut done = Vec::new();
        while done.len() < count {
            let event = tokio::time::timeout(LIMIT, self.events.recv()).await;
            let event = event.expect("in time").expect("the outbox lives");
            // The numbers of outages go by what receivers have.
            if let Event::Delivered(_) = event {
                continue;
            }
            let Event::AlertDone { alert, delivery } = event else {
                panic!("unexpected {event:?}");
            };
            done.push((alert.0, delivery));
        }
        done
    }
}

/// Runs a test that awaits.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// Waits until a condition holds, while the outbox of the same thread works on.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let look = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(LIMIT, look).await;
    assert!(waited.is_ok(), "waited {LIMIT:?} in vain for: {what}");
}

/// A failure of `farm/SERVICE`, the `number`th, told by this built-in.
pub(crate) fn call(number: u64, service: &str, name: &str, args: &[&str]) -> AlertCall {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let options = AlertOptions::parse(name, &args).expect("a built-in");
    let program = AlertProgram::Native(options.expect("good options"));
    call_of(number, service, name, args, program)
}

/// The same, told by a program.
pub(crate) fn program_call(number: u64, service: &str, path: &Path, args: &[&str]) -> AlertCall {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let program = AlertProgram::Executable(path.to_owned());
    call_of(number, service, "own.alert", args, program)
}

fn call_of(
    number: u64,
    service: &str,
    name: &str,
    args: Vec<String>,
    program: AlertProgram,
) -> AlertCall {
    let time = Wall::from_seconds(1_795_215_956);
    AlertCall {
        id: AlertId(number),
        record: format!("service farm/{service}").into(),
        event: format!("farm/{service}/1795215956/failure/{number}"),
        service: Some(ServiceId(0)),
        kind: AlertKind::Failure,
        command: Arc::new(AlertCommand {
            exit: None,
            name: name.into(),
            written: args.join(" ").into(),
            args,
            program,
        }),
        group: "farm".into(),
        name: service.into(),
        period: "always".into(),
        hosts: "web1 web2".to_owned(),
        time,
        summary: format!("web1 number{number}"),
        input: format!("web1 number{number}\n\nHOST web1: ERROR größer als 3 s\n.\nend\n")
            .into_bytes()
            .into(),
        environment: [
            ("MON_ALERTTYPE".to_owned(), "failure".to_owned()),
            ("MON_DESCRIPTION".to_owned(), "the farm".to_owned()),
        ]
        .into(),
        results: vec![(
            HostName::new("web1"),
            HostVerdict::Down(Reason::Refused),
            "connection refused by 10.0.0.7:80".to_owned(),
        )],
        status: Status::Fail,
        exit: Some(1),
        first_failure: Some(time),
    }
}

/// The files of the spool; one that is being written does not count yet.
pub(crate) fn spooled(state: &TempDir) -> Vec<String> {
    spooled_in(state.path())
}

/// The same for a state folder that is not the test's own.
pub(crate) fn spooled_in(state: &Path) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(state.join("spool")) else {
        return Vec::new();
    };
    let mut names: Vec<String> = folder
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // What was told is written down beside the messages.
        .filter(|name| !name.ends_with(".tmp") && name != "delivered")
        .collect();
    names.sort();
    names
}
