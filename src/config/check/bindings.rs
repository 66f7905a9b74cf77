//! Which real servers a service decides over: `lvs.alert` lines to bindings (D2).
//!
//! All `alert` and `upalert` lines of a service that name the same virtual service and the
//! same real server become one binding. What they say against each other is an error, because
//! the table could follow only one of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::config::check::host_word::is_host_name;
use crate::config::check::one_family::OneFamily;
use crate::config::check::report::Report;
use crate::config::lines::Span;
use crate::lvs::{Forwarding, Scheduler, VirtualServiceKey, Weight};
use crate::model::{
    AlertCommand, AlertProgram, Binding, BoundServers, Creation, Ends, HostName, Hostgroup,
    Service, ServiceId, Withdraws,
};
use crate::options::AlertOptions;
use crate::options::lvs::{LvsOptions, Sense, Takes, check_limits};

/// In which list a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Alert,
    Upalert,
}

/// One `alert lvs.alert` or `upalert lvs.alert` line.
#[derive(Clone, Debug)]
pub(super) struct TableLine {
    pub(super) service: ServiceId,
    pub(super) role: Role,
    pub(super) alert: Arc<AlertCommand>,
    pub(super) span: Span,
}

/// All lines of one service for one entry.
struct Entry<'a> {
    service: ServiceId,
    virtual_service: VirtualServiceKey,
    real: BoundServers,
    alerts: Vec<(&'a LvsOptions, Span)>,
    upalerts: Vec<(&'a LvsOptions, Span)>,
}

/// How a real server of a virtual service is written: host and port.
type Server<'a> = (&'a str, u16);

/// Compiles the lines, which are in file order.
pub(super) fn compile(
    report: &mut Report<'_>,
    services: &[Service],
    hostgroups: &[Hostgroup],
    lines: &[TableLine],
    one_family: &mut OneFamily<'_>,
) -> Vec<Binding> {
    let mut compiler = Compiler {
        report,
        services,
        hostgroups,
        schedulers: BTreeMap::new(),
        servers: BTreeMap::new(),
    };
    let mut bindings = Vec::new();
    for entry in entries(lines) {
        let place = entry.place();
        if let Some(binding) = compiler.binding(&entry) {
            compiler.same_scheduler(&entry, &binding);
            compiler.same_server(&entry, &binding, place);
            compiler.one_family(&entry, one_family);
            compiler.sense(&entry, &binding, place);
            bindings.push(binding);
        }
    }
    bindings.shrink_to_fit();
    bindings
}

/// Lines of one service stand side by side, so entries are looked for among its own only.
fn entries(lines: &[TableLine]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut first_of_service = 0;
    for line in lines {
        let AlertProgram::Native(AlertOptions::Lvs(options)) = &line.alert.program else {
            continue;
        };
        if entries
            .last()
            .is_some_and(|last| last.service != line.service)
        {
            first_of_service = entries.len();
        }
        let port = options.real_port();
        let real = match &options.real {
            Some(real) => BoundServers::One {
                host: HostName::new(&real.host),
                port,
            },
            None => BoundServers::EachHost { port },
        };
        let key = options.virtual_service;
        let known = entries[first_of_service..]
            .iter()
            .position(|entry| entry.virtual_service == key && entry.real == real);
        let index = known.map_or(entries.len(), |index| first_of_service + index);
        if known.is_none() {
            entries.push(Entry {
                service: line.service,
                virtual_service: key,
                real,
                alerts: Vec::new(),
                upalerts: Vec::new(),
            });
        }
        let said = match line.role {
            Role::Alert => &mut entries[index].alerts,
            Role::Upalert => &mut entries[index].upalerts,
        };
        said.push((options, line.span));
    }
    entries
}

impl Entry<'_> {
    /// Where the entry is named first.
    fn place(&self) -> Span {
        match self.alerts.first().or(self.upalerts.first()) {
            Some(&(_, span)) => span,
            None => unreachable!("an entry is made by its first line"),
        }
    }
}

struct Compiler<'r, 'a, 's> {
    report: &'r mut Report<'a>,
    services: &'s [Service],
    hostgroups: &'s [Hostgroup],
    /// Who makes a virtual service, by its first `-B` line.
    schedulers: BTreeMap<VirtualServiceKey, Scheduler>,
    /// What is said of a real server, by its first binding.
    servers: BTreeMap<(VirtualServiceKey, String, u16), (Forwarding, Weight)>,
}

impl<'s> Compiler<'_, '_, 's> {
    fn binding(&mut self, entry: &Entry<'_>) -> Option<Binding> {
        for (options, span) in &entry.alerts {
            if options.sense == Sense::Adds {
                let help = "an \"upalert\" line puts a real server in";
                self.report
                    .warn(*span, "\"-u\" on an \"alert\" line is ignored", help);
            }
        }
        if entry.alerts.is_empty() {
            let message = format!(
                "no \"alert\" line takes {} out of {}, so this \"upalert\" changes nothing",
                named(&entry.real),
                entry.virtual_service
            );
            self.report
                .warn(entry.place(), message, "add the same line as \"alert\"");
            return None;
        }
        let forwarding = self.agreed(entry, "-F", |options| options.forwarding);
        let forwarding = forwarding.unwrap_or(LvsOptions::DEFAULT_FORWARDING);
        let weight = self.agreed(entry, "-W", |options| options.weight);
        let weight = weight.unwrap_or(LvsOptions::DEFAULT_WEIGHT);
        let creation = match self.agreed(entry, "-S", |options| options.creates.clone()) {
            Some(scheduler) => Creation::ByUs(scheduler),
            None => Creation::ByOthers,
        };
        let withdraws = self.withdraws(entry);
        self.limits(entry, forwarding);
        Some(Binding {
            service: entry.service,
            virtual_service: entry.virtual_service,
            real: entry.real.clone(),
            forwarding,
            weight,
            creation,
            withdraws,
            ends: if entry.upalerts.is_empty() {
                Ends::ByOperator
            } else {
                Ends::WithSuccess
            },
        })
    }

    /// What the lines say for one option: the upalert lines count, else the alert lines
    /// (D11); two of a kind that differ are an error.
    fn agreed<T: PartialEq>(
        &mut self,
        entry: &Entry<'_>,
        letter: &str,
        option: impl Fn(&LvsOptions) -> Option<T>,
    ) -> Option<T> {
        let mut of = |lines: &[(&LvsOptions, Span)]| {
            let mut agreed: Option<T> = None;
            for (options, span) in lines {
                match (option(options), &agreed) {
                    (Some(value), None) => agreed = Some(value),
                    (Some(value), Some(known)) if value != *known => {
                        let message = format!(
                            "{letter} differs from an earlier line for {} in {}",
                            named(&entry.real),
                            entry.virtual_service
                        );
                        self.report
                            .error(*span, message, "let both lines say the same");
                    }
                    (Some(_) | None, _) => {}
                }
            }
            agreed
        };
        let up = of(&entry.upalerts);
        let down = of(&entry.alerts);
        if let (Some(up), Some(down)) = (&up, &down)
            && up != down
        {
            let message = format!("{letter} of the \"upalert\" line counts, this one differs");
            self.report
                .warn(entry.place(), message, "let both lines say the same");
        }
        up.or(down)
    }

    fn withdraws(&mut self, entry: &Entry<'_>) -> Withdraws {
        let takes = entry.alerts.first().map(|(options, _)| options.takes);
        for (options, span) in &entry.alerts {
            if Some(options.takes) != takes {
                let message =
                    "one line takes the virtual service away (-D), another only the real server";
                self.report
                    .error(*span, message, "let both lines say the same");
            }
        }
        match takes {
            Some(Takes::VirtualService) => Withdraws::VirtualService,
            Some(Takes::RealServer) | None => Withdraws::RealServer,
        }
    }

    /// What the kernel would silently do otherwise is refused here (D12); lines with `-F` and an
    /// address were judged by themselves already.
    fn limits(&mut self, entry: &Entry<'_>, forwarding: Forwarding) {
        let place = entry.place();
        match &entry.real {
            BoundServers::One { host, port } => {
                let judged = entry.alerts.iter().chain(&entry.upalerts);
                let judged = judged
                    .clone()
                    .any(|(options, _)| options.forwarding == Some(forwarding));
                let address = host.as_str().parse().ok();
                if !judged
                    && let Err(why) =
                        check_limits(entry.virtual_service, forwarding, address, *port)
                {
                    self.report.error(place, why, None);
                }
            }
            BoundServers::EachHost { port } => {
                for host in self.hosts(entry.service) {
                    let address: Option<IpAddr> = host.parse().ok();
                    if let Err(why) =
                        check_limits(entry.virtual_service, forwarding, address, *port)
                    {
                        self.report.error(place, why, None);
                        return;
                    }
                    if address.is_none() && !is_host_name(host) {
                        let message = format!("host \"{host}\" cannot be a real server");
                        let help = "name the real server with -R, or write a name or an address \
                                    into the hostgroup";
                        self.report.warn(place, message, help);
                    }
                }
            }
        }
    }

    fn hosts(&self, service: ServiceId) -> impl Iterator<Item = &'s str> + use<'s> {
        let group = self.services[service.index()].hostgroup;
        let members = &self.hostgroups[group.index()].members;
        members.iter().map(|member| member.host.as_str())
    }

    /// A virtual service is made with one scheduler, whoever asks for it.
    fn same_scheduler(&mut self, entry: &Entry<'_>, binding: &Binding) {
        let mut lines = entry.upalerts.iter().chain(&entry.alerts);
        let creates = lines.find(|(options, _)| options.creates.is_some());
        let place = creates.map_or_else(|| entry.place(), |&(_, span)| span);
        let Creation::ByUs(scheduler) = &binding.creation else {
            return;
        };
        let key = binding.virtual_service;
        let known = self
            .schedulers
            .entry(key)
            .or_insert_with(|| scheduler.clone());
        if known != scheduler {
            let message = format!(
                "scheduler {scheduler} for {key} differs from an earlier line, which says {known}"
            );
            self.report
                .error(place, message, "let all lines for it say the same");
        }
    }

    /// Two services may decide over one real server, but it has one weight and one forwarding.
    fn same_server(&mut self, entry: &Entry<'_>, binding: &Binding, place: Span) {
        let said = (binding.forwarding, binding.weight);
        let servers: Vec<(String, u16)> = match &entry.real {
            BoundServers::One { host, port } => vec![(host.as_str().to_owned(), *port)],
            BoundServers::EachHost { port } => self
                .hosts(entry.service)
                .map(|host| (host.to_owned(), *port))
                .collect(),
        };
        for (host, port) in servers {
            let key = (entry.virtual_service, host, port);
            let known = *self.servers.entry(key.clone()).or_insert(said);
            if known != said {
                let message = format!(
                    "{} in {} is given as {}, weight {} here and as {}, weight {} in another service",
                    server((&key.1, key.2)),
                    entry.virtual_service,
                    said.0,
                    said.1,
                    known.0,
                    known.1,
                );
                self.report
                    .error(place, message, "let both services say the same");
                return;
            }
        }
    }

    /// One verdict cannot speak for two addresses of a name.
    fn one_family(&mut self, entry: &Entry<'_>, one_family: &mut OneFamily<'_>) {
        let id = entry.service;
        let there = (entry.virtual_service, entry.place());
        match &entry.real {
            BoundServers::One { host, .. } => {
                one_family.decides(self.report, (id, host.as_str()), there);
            }
            BoundServers::EachHost { .. } => {
                for host in self.hosts(id) {
                    one_family.decides(self.report, (id, host), there);
                }
            }
        }
    }

    /// What is accepted and yet hardly meant.
    fn sense(&mut self, entry: &Entry<'_>, binding: &Binding, place: Span) {
        let service = &self.services[entry.service.index()];
        if service.monitor.is_none() || service.interval.is_none() {
            let message = format!(
                "service \"{}\" is never checked: only traps, and what it said last, act on this line",
                service.name
            );
            self.report
                .warn(place, message, "give it a monitor and an interval");
        }
        if binding.ends == Ends::ByOperator {
            let message = format!(
                "no \"upalert\" line puts {} back into {}",
                named(&entry.real),
                entry.virtual_service
            );
            self.report.warn(
                place,
                message,
                "once out, it stays out until \"lvsmon enable\"",
            );
        }
        if binding.withdraws == Withdraws::VirtualService && binding.creation == Creation::ByOthers
        {
            let message = format!(
                "-D takes {} away, and nothing makes it again",
                entry.virtual_service
            );
            self.report
                .warn(place, message, "add -B and -S to the \"upalert\" line");
        }
        let hosts = self.hosts(entry.service).count();
        if let BoundServers::One { host, .. } = &entry.real
            && hosts > 1
        {
            let message = format!("any of {hosts} hosts that fails takes {host} out");
            let help = "leave out -R to judge each host by its own result, or watch one host";
            self.report.warn(place, message, help);
        }
    }
}

fn named(real: &BoundServers) -> String {
    match real {
        BoundServers::One { host, port } => server((host.as_str(), *port)),
        BoundServers::EachHost { .. } => "the hosts of the group".to_owned(),
    }
}

fn server((host, port): Server<'_>) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("{host}:{port}"),
    }
}
