//! The metrics in the text format of Prometheus, version 0.0.4.
//!
//! Base units, counters end in `_total`, each metric has its HELP and TYPE once and all of its
//! samples below them, in file order or in key order. No sample has a time: node_exporter's
//! textfile collector refuses those. Labels take their values from the file and from fixed lists
//! only, so their number is bounded by the file. Source: prometheus.io, "Exposition formats" and
//! "Metric and label naming".

use std::fmt::{self, Write as _};

use crate::engine::event::ManualWish;
use crate::pair::Role;
use crate::wire::metrics::{
    EngineMetrics, MetricsAnswer, RealServerMetrics, SectionMetrics, ServiceMetrics, VirtualMetrics,
};
use crate::wire::{ServerWanted, ServiceStatus, Source};

/// What an HTTP server says of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bytes that a service takes, about: nothing has to grow twenty times.
const SERVICE_BYTES: usize = 800;

/// All of it as text.
#[must_use]
pub fn text(metrics: &MetricsAnswer) -> String {
    let engine = &metrics.engine;
    let room = engine.services.len().saturating_mul(SERVICE_BYTES);
    let mut page = Page(String::with_capacity(room));
    daemon(&mut page, metrics);
    pair(&mut page, metrics);
    checks(&mut page, metrics);
    table(&mut page, metrics);
    deliveries(&mut page, metrics);
    services(&mut page, &engine.services);
    virtual_services(&mut page, &engine.virtual_services);
    real_servers(&mut page, engine);
    page.0
}

/// How a metric behaves.
#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}
use Kind::{Counter, Gauge};

/// A value as it is written.
enum Value {
    Whole(u64),
    /// Seconds, from milliseconds.
    Seconds(u64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self::Whole(count.into())
    }
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(count) => write!(out, "{count}"),
            Self::Seconds(ms) => write!(out, "{}.{:03}", ms / 1_000, ms % 1_000),
        }
    }
}

/// The labels of one sample, as they stand between the braces.
#[derive(Default)]
struct Labels(String);

impl Labels {
    fn of(labels: &[(&str, &str)]) -> Self {
        let none = Self::default();
        labels
            .iter()
            .fold(none, |all, (name, value)| all.and(name, value))
    }

    /// The same and one more.
    fn with(&self, name: &str, value: &str) -> Self {
        Self(self.0.clone()).and(name, value)
    }

    fn and(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
        self
    }
}

struct Page(String);

impl Page {
    /// The heading of a metric; its samples follow. `help` has neither a backslash nor a line end.
    fn metric(&mut self, kind: Kind, name: &'static str, help: &str) -> Samples<'_> {
        let kind = match kind {
            Gauge => "gauge",
            Counter => "counter",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Samples { page: self, name }
    }

    /// A metric of one sample without labels; of none where the value is not known.
    fn one(&mut self, kind: Kind, name: &'static str, help: &str, value: Option<Value>) {
        self.metric(kind, name, help)
            .maybe(&Labels::default(), value);
    }
}

/// Where the samples of one metric go.
struct Samples<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Samples<'_> {
    fn add(&mut self, Labels(labels): &Labels, value: impl Into<Value>) {
        let (out, name, value) = (&mut self.page.0, self.name, value.into());
        // Writing to a String cannot fail.
        let _ = if labels.is_empty() {
            writeln!(out, "{name} {value}")
        } else {
            writeln!(out, "{name}{{{labels}}} {value}")
        };
    }

    fn maybe(&mut self, labels: &Labels, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }
}

fn daemon(page: &mut Page, metrics: &MetricsAnswer) {
    let health = &metrics.health;
    let version = Labels::of(&[("version", &metrics.version)]);
    page.metric(Gauge, "lvsmon_build_info", "Which lvsmon runs.")
        .add(&version, true);
    let up = Value::Seconds(health.up_s.saturating_mul(1_000));
    let help = "Time since the daemon started.";
    page.one(Gauge, "lvsmon_uptime_seconds", help, Some(up));
    let is_observer = matches!(metrics.source, Source::Observer);
    let help = "Whether it only observes: nothing is changed, nobody is told.";
    page.one(Gauge, "lvsmon_observer", help, Some(is_observer.into()));
    let stuck = health.stuck.len() as u64;
    let help = "Reasons for which lvsmon health fails.";
    page.one(Gauge, "lvsmon_stuck", help, Some(stuck.into()));
    let help =
        "Whether the configuration that was read last was refused; an older one is in force.";
    let refused = metrics.is_reload_refused.into();
    page.one(Gauge, "lvsmon_configuration_refused", help, Some(refused));
    let journal = metrics.journal;
    let help = "Whether the disk takes what is to survive a restart.";
    page.one(
        Gauge,
        "lvsmon_journal_writable",
        help,
        Some(journal.is_good.into()),
    );
    let help = "Times that the journal was lost and written anew.";
    let losses = Some(journal.losses.into());
    page.one(Counter, "lvsmon_journal_losses_total", help, losses);
}

fn pair(page: &mut Page, metrics: &MetricsAnswer) {
    let pair = metrics.pair;
    let help = "What this director is to the other one: 1 for the role that it has.";
    let mut samples = page.metric(Gauge, "lvsmon_role", help);
    for role in Role::ALL {
        samples.add(&Labels::of(&[("role", role.word())]), role == pair.role);
    }
    let help = "Whether this director tells people.";
    page.one(Gauge, "lvsmon_speaks", help, Some(pair.speaks.into()));
    let help = "Whether the other director is linked; absent where the file names none.";
    let linked = pair.is_linked.map(Value::from);
    page.one(Gauge, "lvsmon_peer_linked", help, linked);
    let help = "Lists of witnesses none of which is good: the director is cut off, and failures \
                of services with such a list count for nothing.";
    let cut_off = Some(metrics.engine.cut_off.into());
    page.one(Gauge, "lvsmon_cut_off", help, cut_off);
}

fn checks(page: &mut Page, metrics: &MetricsAnswer) {
    let engine = &metrics.engine;
    let running = Some(metrics.health.checks.into());
    let help = "Checks that go on.";
    page.one(Gauge, "lvsmon_checks_running", help, running);
    let skipped = Some(engine.skipped_slots.into());
    let help = "Checks left out since the one before took longer than its interval, or no place \
                was free.";
    page.one(Counter, "lvsmon_checks_skipped_total", help, skipped);
    let run = || engine.services.iter().filter(|it| it.runs);
    let help = "Services that should be checked at present.";
    let count = Some((run().count() as u64).into());
    page.one(Gauge, "lvsmon_services_running", help, count);
    let unchecked = run().filter(|it| it.result_age_ms.is_none()).count() as u64;
    let help = "Those of them without any result so far.";
    page.one(
        Gauge,
        "lvsmon_services_unchecked",
        help,
        Some(unchecked.into()),
    );
    let oldest = run().filter_map(|it| it.result_age_ms).max();
    let help = "Age of the oldest result of all services that should be checked at present; \
                absent while there is none.";
    let name = "lvsmon_oldest_result_age_seconds";
    page.one(Gauge, name, help, oldest.map(Value::Seconds));
}

fn table(page: &mut Page, metrics: &MetricsAnswer) {
    let (engine, applier) = (&metrics.engine, metrics.applier);
    let help = "Whether the kernel's table could be read at the last look.";
    let readable = Some(applier.is_readable.into());
    page.one(Gauge, "lvsmon_table_readable", help, readable);
    let help = "Time since the last look at the kernel's table began; absent before the first.";
    let age = applier.look_age_ms.map(Value::Seconds);
    page.one(Gauge, "lvsmon_table_look_age_seconds", help, age);
    let help =
        "Changes that the kernel's table needs to be as wanted; absent where it cannot be read.";
    let differences = engine.differences.map(Value::from);
    page.one(Gauge, "lvsmon_table_differences", help, differences);
    let help = "Changes that the kernel refused and that are tried again.";
    page.one(
        Gauge,
        "lvsmon_table_refused",
        help,
        Some(engine.refused.into()),
    );
    let help = "Places in the table that somebody else writes too.";
    let contested = Some(engine.contested.into());
    page.one(Gauge, "lvsmon_table_contested", help, contested);
    let help = "Changes of the table that were made.";
    let applied = Some(applier.applied.into());
    page.one(Counter, "lvsmon_table_changes_total", help, applied);
    let help = "Changes of the table that undid what others had done.";
    let drift = Some(applier.drift.into());
    page.one(Counter, "lvsmon_table_repairs_total", help, drift);
    let help = "Changes of the table that the kernel refused, each try.";
    let refusals = Some(applier.refusals.into());
    page.one(Counter, "lvsmon_table_refusals_total", help, refusals);
}

fn deliveries(page: &mut Page, metrics: &MetricsAnswer) {
    let deliveries = metrics.deliveries;
    let help = "Messages and alert programs that wait.";
    let waiting = Some(deliveries.waiting.into());
    page.one(Gauge, "lvsmon_deliveries_waiting", help, waiting);
    let help = "Messages that are held, since the other director tells people.";
    let held = Some(deliveries.held.into());
    page.one(Gauge, "lvsmon_deliveries_held", help, held);
    let help = "Alerts by what became of them: sent, told by the other director, given up.";
    let mut samples = page.metric(Counter, "lvsmon_deliveries_total", help);
    for (outcome, count) in [
        ("sent", deliveries.sent),
        ("elsewhere", deliveries.elsewhere),
        ("given_up", deliveries.given_up),
    ] {
        samples.add(&Labels::of(&[("outcome", outcome)]), count);
    }
    let help = "Whether the disk takes messages that wait.";
    let spool = Some(deliveries.is_spool_good.into());
    page.one(Gauge, "lvsmon_spool_writable", help, spool);
}

fn services(page: &mut Page, services: &[ServiceMetrics]) {
    let labelled =
        |it: &ServiceMetrics| Labels::of(&[("group", &it.group), ("service", &it.service)]);
    let labels: Vec<Labels> = services.iter().map(labelled).collect();
    let all = || labels.iter().zip(services);
    let help = "The status of a service, by mon's words.";
    let mut samples = page.metric(Gauge, "lvsmon_service_status", help);
    for (labels, it) in all() {
        samples.add(&labels.with("status", it.status.word()), true);
    }
    let mut each = |name, help, value: fn(&ServiceMetrics) -> Option<Value>| {
        let mut samples = page.metric(Gauge, name, help);
        for (labels, it) in all() {
            samples.maybe(labels, value(it));
        }
    };
    let help = "Whether a service fails.";
    let is_failing = |it: &ServiceMetrics| Some((it.status == ServiceStatus::Fail).into());
    each("lvsmon_service_failing", help, is_failing);
    let help = "Whether a service should be checked at present.";
    each("lvsmon_service_runs", help, |it| Some(it.runs.into()));
    let help = "Whether a service was checked at least once.";
    each("lvsmon_service_checked", help, |it| Some(it.checked.into()));
    let help = "Time since the latest check of a service ended; absent before the first.";
    each("lvsmon_service_result_age_seconds", help, |it| {
        it.result_age_ms.map(Value::Seconds)
    });
    let help =
        "How long the latest check of a service took; absent before the first of this daemon.";
    each("lvsmon_service_check_duration_seconds", help, |it| {
        it.took_ms.map(Value::Seconds)
    });
    let help = "Failures of a service in a row.";
    each("lvsmon_service_consecutive_failures", help, |it| {
        Some(it.failures.into())
    });
    let help = "Why a service fails: one sample for each reason; none while it is good.";
    let mut samples = page.metric(Gauge, "lvsmon_service_failure_reason", help);
    for (labels, it) in all() {
        for reason in &it.reasons {
            samples.add(&labels.with("reason", reason.code()), true);
        }
    }
}

fn virtual_services(page: &mut Page, services: &[VirtualMetrics]) {
    let labelled = |it: &VirtualMetrics| Labels::of(&[("virtual_service", &it.virtual_service)]);
    let labels: Vec<Labels> = services.iter().map(labelled).collect();
    let mut each = |name, help, value: fn(&VirtualMetrics) -> Option<Value>| {
        let mut samples = page.metric(Gauge, name, help);
        for (labels, it) in labels.iter().zip(services) {
            samples.maybe(labels, value(it));
        }
    };
    let help = "Real servers that are to be in a virtual service.";
    each("lvsmon_virtual_service_servers_wanted", help, |it| {
        Some(it.wanted.into())
    });
    let help = "Real servers that the kernel has in a virtual service.";
    each("lvsmon_virtual_service_servers_in_kernel", help, |it| {
        it.in_kernel.map(Value::from)
    });
    let help = "Real servers of a virtual section that serve and that nobody withdraws.";
    each("lvsmon_virtual_service_servers_live", help, |it| {
        it.section.map(|it| it.live.into())
    });
    let help = "Real servers of a virtual section that stay in whatever their checks say.";
    each("lvsmon_virtual_service_servers_min_live", help, |it| {
        it.section.map(|it| it.min_live.into())
    });
    let help = "Whether the fallback of a virtual section serves.";
    let is_fallback = |it: SectionMetrics| it.is_fallback.map(Value::from);
    let mut samples = page.metric(Gauge, "lvsmon_virtual_service_fallback_in_use", help);
    for (labels, it) in labels.iter().zip(services) {
        samples.maybe(labels, it.section.and_then(is_fallback));
    }
}

fn real_servers(page: &mut Page, engine: &EngineMetrics) {
    let services = engine.virtual_services.iter();
    let servers: Vec<(Labels, &RealServerMetrics)> = services
        .flat_map(|service| {
            let labels = Labels::of(&[("virtual_service", &service.virtual_service)]);
            let servers = service.real_servers.iter();
            servers.map(move |(name, it)| (labels.with("real_server", name), it))
        })
        .collect();
    let mut each = |name, help, value: fn(&RealServerMetrics) -> Option<Value>| {
        let mut samples = page.metric(Gauge, name, help);
        for (labels, it) in &servers {
            samples.maybe(labels, value(it));
        }
    };
    let help =
        "Whether a real server is to be in its virtual service; absent while it stays as found.";
    each("lvsmon_real_server_wanted", help, |it| match it.wanted {
        ServerWanted::In => Some(true.into()),
        ServerWanted::Out => Some(false.into()),
        ServerWanted::AsFound => None,
    });
    let help = "Whether the kernel has a real server in its virtual service; absent where its table \
                cannot be read.";
    each("lvsmon_real_server_in_kernel", help, |it| {
        it.is_in.map(Value::from)
    });
    let help = "The weight that a real server is to have; absent where it is not to be in.";
    each("lvsmon_real_server_wanted_weight", help, |it| {
        it.wanted_weight.map(Value::from)
    });
    let help = "The weight that the kernel has for a real server; absent where it has none.";
    each("lvsmon_real_server_kernel_weight", help, |it| {
        it.kernel_weight.map(Value::from)
    });
    let help = "Whether a verdict is known of each service that decides about a real server.";
    each("lvsmon_real_server_checked", help, |it| {
        Some(it.checked.into())
    });
    let help = "Whether min_live keeps a real server of a virtual section in that its checks would have \
                away.";
    each("lvsmon_real_server_kept", help, |it| {
        it.is_kept.map(Value::from)
    });
    let help = "Why a real server is out, or fails and has weight 0: one sample for each reason; none \
                while it is in.";
    let mut samples = page.metric(Gauge, "lvsmon_real_server_out_reason", help);
    for (labels, it) in &servers {
        for reason in &it.out {
            samples.add(&labels.with("reason", reason.code()), true);
        }
    }
    let help = "What an operator wishes of a real server: one sample for each wish in force.";
    let mut samples = page.metric(Gauge, "lvsmon_real_server_wish", help);
    for (labels, it) in &servers {
        if let Some(wish) = it.wish {
            samples.add(&labels.with("wish", word(wish)), true);
        }
    }
}

const fn word(wish: ManualWish) -> &'static str {
    match wish {
        ManualWish::Drain { .. } => "drain",
        ManualWish::Quiesce => "quiesce",
        ManualWish::Disable => "disable",
        ManualWish::Weight { .. } => "weight",
    }
}
