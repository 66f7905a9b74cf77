//! Small Models and events for the rule tests of the engine, built by hand: what a test does
//! not name is as plain as can be.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{Action, Ended, Event, Report, TableLook, TableOutcome};
use crate::engine::saved::{Record, Saved};
use crate::model::{
    AlertCommand, AlertPeriod, AlertProgram, AuthSettings, Bind, Clients, DowntimeSettings,
    Facility, Globals, GroupId, HistorySettings, HostName, Hostgroup, IpvsBackend, Listener,
    MailSettings, Member, MetricsSettings, Model, MonitorCommand, MonitorProgram, ProcessSettings,
    Service,
};
use crate::options::AlertOptions;
use crate::pair::talk::PeerSettings;
use crate::period::Period;
use crate::time::{Mono, Now, Wall};

/// Wed 2024-03-13 10:00:00 UTC: the start of every test.
pub(crate) const EPOCH: i64 = 1_710_324_000;

/// So many seconds after the start.
pub(crate) fn at(seconds: f64) -> Now {
    let span = Duration::from_secs_f64(seconds);
    Now {
        mono: Mono::ZERO.after(span),
        wall: Wall::from_seconds(EPOCH).after(span),
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn period(text: &str) -> Period {
    Period::parse(text).unwrap().period
}

pub(crate) fn globals() -> Globals {
    Globals {
        alertdir: Vec::new(),
        mondir: Vec::new(),
        basedir: PathBuf::from("/usr/lib/mon"),
        cfbasedir: PathBuf::from("/etc/mon"),
        statedir: PathBuf::from("/var/lib/mon"),
        logdir: PathBuf::from("/var/log/mon"),
        maxprocs: None,
        maxchecks: 512,
        monitor_timeout: seconds(600),
        monitor_user: None,
        randstart: None,
        exclude_period: None,
        histlength: 100,
        dep_recur_limit: 10,
        startupalerts_on_reset: false,
        ipvs_backend: IpvsBackend::Memory,
        external_lvs_alert: false,
        mail: MailSettings::default(),
        server: listener(),
        trap: listener(),
        clients: Clients::default(),
        metrics: MetricsSettings::default(),
        pair: crate::pair::PairSettings::default(),
        auth: AuthSettings {
            authfile: PathBuf::from("/etc/mon/auth.cf"),
            is_authfile_named: false,
            authtype: Vec::new(),
            userfile: PathBuf::from("/etc/mon/monusers.cf"),
            pamservice: "passwd".to_owned(),
        },
        history: HistorySettings::default(),
        downtime: DowntimeSettings {
            dtlogging: false,
            dtlogfile: PathBuf::from("/var/log/mon/downtime.log"),
        },
        process: ProcessSettings {
            pidfile: None,
            monerrfile: PathBuf::from("/dev/null"),
            monremote: None,
            syslog_facility: Facility::DAEMON,
        },
        peer: PeerSettings::default(),
    }
}

fn listener() -> Listener {
    Listener {
        bind: Bind::Loopback,
        port: 2583,
    }
}

pub(crate) fn member(host: &str) -> Member {
    Member {
        host: HostName::new(host.trim_start_matches('*')),
        starts_disabled: host.starts_with('*'),
    }
}

/// A service `GROUP/NAME`, polled every 10 s by an executable, without periods. Its hostgroup
/// is made by [`model`].
pub(crate) fn service(group: &str, name: &str) -> Service {
    Service {
        interval: Some(seconds(10)),
        monitor: Some(Arc::new(monitor("test.monitor"))),
        ..Service::new(group.into(), GroupId(0), name.into())
    }
}

/// The file of a director that has a peer: one service `g/s` that alerts at every failure, checked
/// every ten seconds.
pub(crate) fn watched() -> Arc<Model> {
    let service = Service {
        periods: vec![alerting()],
        ..service("g", "s")
    };
    let mut model = model(vec![service]);
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    Arc::new(model)
}

/// Writes what these actions say into a journal.
pub(crate) fn write(journal: &mut Saved, actions: &[Action]) {
    for action in actions {
        if let Action::Record(record) = action {
            let Record { key, value } = (**record).clone();
            match value.is_null() {
                true => drop(journal.records.remove(&key)),
                false => drop(journal.records.insert(key, value)),
            }
        }
    }
}

pub(crate) fn monitor(name: &str) -> MonitorCommand {
    MonitorCommand {
        name: name.into(),
        args: Vec::new(),
        written: name.into(),
        appends_hosts: true,
        program: MonitorProgram::Executable(PathBuf::from("/usr/lib/mon/mon.d").join(name)),
    }
}

/// A period that always holds, with one alert and one upalert.
pub(crate) fn alerting() -> AlertPeriod {
    AlertPeriod {
        alerts: vec![alert("test.alert")],
        upalerts: vec![alert("up.alert")],
        ..silent("always")
    }
}

/// A period that always holds, without any line.
pub(crate) fn silent(label: &str) -> AlertPeriod {
    AlertPeriod::new(label.into(), Period::ALWAYS)
}

pub(crate) fn alert(name: &str) -> Arc<AlertCommand> {
    Arc::new(AlertCommand {
        exit: None,
        name: name.into(),
        args: Vec::new(),
        written: "".into(),
        program: AlertProgram::Executable(PathBuf::from("/usr/lib/mon/alert.d").join(name)),
    })
}

/// A line that reaches the table instead of a person.
pub(crate) fn lvs_alert() -> Arc<AlertCommand> {
    let written = "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr";
    let args: Vec<String> = written.split(' ').map(str::to_owned).collect();
    let options = AlertOptions::parse("lvs.alert", &args).unwrap().unwrap();
    Arc::new(AlertCommand {
        exit: None,
        name: "lvs.alert".into(),
        args,
        written: written.into(),
        program: AlertProgram::Native(options),
    })
}

/// A Model of these services; each group has the members `h1 h2` unless `hosts` says else.
pub(crate) fn model(services: Vec<Service>) -> Model {
    model_of(services, &["h1", "h2"])
}

pub(crate) fn model_of(mut services: Vec<Service>, hosts: &[&str]) -> Model {
    let mut hostgroups: Vec<Hostgroup> = Vec::new();
    for service in &mut services {
        let known = hostgroups.iter().position(|it| it.name == service.group);
        let place = known.unwrap_or_else(|| {
            hostgroups.push(Hostgroup {
                name: Arc::clone(&service.group),
                members: hosts.iter().map(|host| member(host)).collect(),
            });
            hostgroups.len() - 1
        });
        service.hostgroup = GroupId(u32::try_from(place).unwrap());
    }
    Model {
        globals: globals(),
        hostgroups,
        services,
        bindings: Vec::new(),
        witnesses: Vec::new(),
        virtual_services: Vec::new(),
        aliases: Vec::new(),
        views: Vec::new(),
    }
}

/// A look for what is wanted, at a table that is empty.
pub(crate) fn empty_seen(engine: &Engine) -> Event {
    Event::Table(TableOutcome {
        wanted: Arc::new(engine.desired().clone()),
        table: TableLook::Read(Arc::default()),
        ..TableOutcome::default()
    })
}

pub(crate) fn exited(exit: i32, output: &str) -> Report {
    ended(Ended::Exited(exit), output)
}

pub(crate) fn ended(ended: Ended, output: &str) -> Report {
    Report {
        ended,
        output: output.as_bytes().to_vec(),
        hosts: Vec::new(),
        took: Duration::from_millis(5),
    }
}
