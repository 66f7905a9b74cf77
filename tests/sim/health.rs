//! How often in a row each check was good or bad, counted beside the engine: a real server of a
//! section is withdrawn where `fall` bad ones were told, and comes back where `rise` good ones
//! were.
//!
//! What is not known for certain (traps, configurations that change) widens the bounds between
//! which a count lies.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lvsmon::engine::Engine;
use lvsmon::engine::desired::RealServerView;
use lvsmon::engine::event::{Ended, HostVerdict, Purpose, Reason, Report, RunProgram, Status};
use lvsmon::engine::view::ServiceView;
use lvsmon::lvs::VirtualServiceKey;
use lvsmon::model::{DeclaredService, Ends, HostName, JudgedBy, ServiceId};

use super::depend::Name;
use super::wires::Tripped;

/// A check of one host.
type Part = (Name, HostName);

/// Between which bounds a count lies.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: u32,
    most: u32,
}

impl Bounds {
    const NONE: Self = Self { least: 0, most: 0 };
    const ANY: Self = Self {
        least: 0,
        most: u32::MAX,
    };

    /// As good as any number.
    const ALL: Self = Self {
        least: u32::MAX,
        most: u32::MAX,
    };

    fn one_more(&mut self) {
        self.least = self.least.saturating_add(1);
        self.most = self.most.saturating_add(1);
    }
}

#[derive(Clone, Copy, Debug)]
struct Count {
    good: Bounds,
    bad: Bounds,
}

/// What one report says of a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Good,
    Bad,
    Nothing,
}

/// Whose withdrawal of which host of which section.
type Withdrawn = BTreeSet<(VirtualServiceKey, HostName, Name)>;

/// Where a name leads by its latest answer.
#[derive(Debug)]
struct Led {
    address: IpAddr,
    /// What has been good of it ever since, beyond doubt.
    good: BTreeSet<Name>,
}

/// What is said of a service for which no trap came for the time of its `traptimeout`.
const TIMED_OUT: &str = "trap timeout";

/// Whether a word of the file for real servers has no address.
fn is_nowhere(engine: &Engine, host: &HostName) -> bool {
    let views = engine.real_servers();
    let mut mine = views.iter().filter(|it| it.hosts.contains(host)).peekable();
    mine.peek().is_some() && mine.all(|it| it.server.is_none())
}

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Health {
    counts: BTreeMap<Part, Count>,
    /// Services of which something else was told than reports.
    unsure: BTreeSet<Name>,
    /// The same of all services.
    is_all_unsure: bool,
    /// What was heard of these may have been about another machine.
    moved: BTreeSet<Part>,
    /// The answers that the present daemon heard.
    led: BTreeMap<HostName, Led>,
    /// The withdrawals at the latest look; none where that was at another configuration.
    withdrawn: Option<Withdrawn>,
}

/// A report as it is heard.
pub(crate) struct Heard<'a> {
    pub(crate) service: ServiceId,
    pub(crate) purpose: Purpose,
    pub(crate) program: &'a RunProgram,
    pub(crate) hosts: &'a [HostName],
    pub(crate) report: &'a Report,
    /// Hosts whose held connection ended before it.
    pub(crate) tripped: &'a Tripped,
}

impl Health {
    /// A report that counts is about to be heard.
    pub(crate) fn hear(&mut self, engine: &Engine, heard: &Heard<'_>) {
        let service = engine.model().service(heard.service);
        let name = (service.group.to_string(), service.name.to_string());
        // A failure waits for the witness, and may count for nothing.
        let is_witnessed = !engine.model().witnesses.is_empty() && &*service.group != "gate";
        let is_doubtful = is_witnessed || !service.depend.is_empty();
        let waits = is_witnessed && heard.report.ended != Ended::Exited(0);
        for host in heard.hosts {
            if engine.is_host_disabled(&service.group, host) {
                continue;
            }
            if heard.purpose == Purpose::Former {
                // Whether it still counts is not known here: the name may have moved meanwhile.
                let bounds = Count {
                    good: Bounds::ANY,
                    bad: Bounds::ANY,
                };
                self.counts.insert((name.clone(), host.clone()), bounds);
                continue;
            }
            let says = match says(heard, host, service.all_hosts_on_failure) {
                // Nobody looked at the server that the name will lead to.
                Says::Bad if is_nowhere(engine, host) => Says::Nothing,
                says @ (Says::Good | Says::Bad | Says::Nothing) => says,
            };
            self.hear_of_name(&name, host, heard, says);
            let part = (name.clone(), host.clone());
            let known = self.count(&part);
            let count = self.counts.entry(part).or_insert(known);
            // Its end and one that refuses are a crash; one that answers nothing may be cut off.
            let is_crash = heard.tripped.hosts.contains(host) && refuses(heard, host);
            match says {
                // Of a failing report.
                Says::Good if waits => {
                    count.good.most = count.good.most.saturating_add(1);
                    count.bad.least = 0;
                }
                Says::Good => {
                    count.good.one_more();
                    count.bad = Bounds::NONE;
                }
                Says::Bad if !is_doubtful => {
                    match is_crash {
                        true if heard.tripped.is_unsure => count.bad.most = u32::MAX,
                        true => count.bad = Bounds::ALL,
                        false => count.bad.one_more(),
                    }
                    count.good = Bounds::NONE;
                }
                // What a dependency or the witness explains condemns no server.
                Says::Bad => {
                    count.bad.most = match is_crash {
                        true => u32::MAX,
                        false => count.bad.most.saturating_add(1),
                    };
                    count.good.least = 0;
                }
                Says::Nothing => {}
            }
        }
    }

    /// A changed address enters by the reports of slots; a line may wait for a service as a whole.
    fn hear_of_name(&mut self, name: &Name, host: &HostName, heard: &Heard<'_>, says: Says) {
        let is_all_good = heard.report.ended == Ended::Exited(0) && says == Says::Good;
        let Some(led) = self.led.get_mut(host) else {
            return;
        };
        if is_all_good && heard.purpose == Purpose::Slot {
            led.good.insert(name.clone());
        } else {
            led.good.remove(name);
        }
    }

    /// The answer of a name server is about to be heard.
    pub(crate) fn looked_up(&mut self, host: &HostName, address: IpAddr) {
        let before = self.led.get(host);
        if before.is_none_or(|led| led.address != address) {
            let good = BTreeSet::new();
            self.led.insert(host.clone(), Led { address, good });
        }
    }

    /// What was good of names is heard again.
    fn forget_names(&mut self) {
        for led in self.led.values_mut() {
            led.good.clear();
        }
    }

    /// Something else was told of this service: a trap.
    pub(crate) fn unsure(&mut self, name: &Name) {
        self.forget_names();
        self.counts.retain(|part, _| part.0 != *name);
        self.unsure.insert(name.clone());
    }

    fn count(&self, part: &Part) -> Count {
        let is_unsure = self.is_all_unsure || self.unsure.contains(&part.0);
        let unknown = match is_unsure || self.moved.contains(part) {
            true => Bounds::ANY,
            false => Bounds::NONE,
        };
        let known = self.counts.get(part).copied();
        known.unwrap_or(Count {
            good: unknown,
            bad: unknown,
        })
    }

    /// Somebody enables something: what was heard of it last while it was frozen counts now.
    pub(crate) fn enabled(&mut self) {
        self.forget_names();
        self.counts.clear();
        self.is_all_unsure = true;
    }

    /// Another configuration: other numbers may count, and some services are new.
    pub(crate) fn reloaded(&mut self) {
        self.forget_names();
        for count in self.counts.values_mut() {
            count.good.least = 0;
            count.bad.least = 0;
        }
        self.withdrawn = None;
    }

    /// A new daemon, which has asked for no name yet.
    pub(crate) fn restarted(&mut self) {
        self.forgotten();
        self.led.clear();
    }

    /// A new daemon, or one that was told to forget: streaks begin anew.
    pub(crate) fn forgotten(&mut self) {
        self.forget_names();
        self.counts.clear();
        self.unsure.clear();
        self.moved.clear();
        self.is_all_unsure = false;
        self.withdrawn = None;
    }

    /// Names that do not lead to the real server they stand for.
    fn led_elsewhere<'a>(&self, views: &'a [RealServerView]) -> BTreeSet<&'a HostName> {
        let mut names = BTreeSet::new();
        for view in views {
            let Some(server) = view.server else { continue };
            let is_elsewhere = |host: &&HostName| {
                let led = self.led.get(*host);
                led.is_some_and(|led| led.address != server.0.ip())
            };
            names.extend(view.hosts.iter().filter(is_elsewhere));
        }
        names
    }

    /// A service for which no trap came in time fails, whatever its monitor found before.
    fn forget_timed_out(&mut self, engine: &Engine, host: &HostName) {
        let is_timed_out =
            |it: &ServiceView<'_>| it.status == Status::Fail && it.summary == TIMED_OUT;
        if let Some(led) = self.led.get_mut(host) {
            for view in engine.services().filter(is_timed_out) {
                led.good
                    .remove(&(view.group.to_owned(), view.name.to_owned()));
            }
        }
    }

    /// A changed address enters where all that is checked under its name is good; where nothing is,
    /// no check lets it in.
    fn must_still_wait(&self, engine: &Engine, host: &HostName) {
        let good = &self.led[host].good;
        let judges = judges(engine, host);
        let is_good = !judges.is_empty() && judges.is_subset(good);
        assert!(!is_good, "good, and does not enter: {host} {good:?}");
    }

    /// The name of this host leads elsewhere: what is heard of it is about another machine until
    /// all is well there.
    fn elsewhere(&mut self, engine: &Engine, host: &HostName) {
        self.counts.retain(|part, _| part.1 != *host);
        for (_, service) in engine.model().services() {
            let name = (service.group.to_string(), service.name.to_string());
            self.moved.insert((name, host.clone()));
        }
    }

    /// What the engine makes of it.
    pub(crate) fn check(&mut self, engine: &Engine, views: &[RealServerView]) {
        for host in self.led_elsewhere(views) {
            self.forget_timed_out(engine, host);
            self.must_still_wait(engine, host);
            self.elsewhere(engine, host);
        }
        for view in views.iter().filter(|it| it.problem.is_some()) {
            for host in &view.hosts {
                self.elsewhere(engine, host);
            }
        }
        let mut withdrawn = Withdrawn::new();
        for section in &engine.model().virtual_services {
            let mut lines = engine.model().bindings.iter();
            if lines.any(|line| line.virtual_service == section.key) {
                // Whose withdrawal it is cannot be heard.
                continue;
            }
            for view in views {
                if view.virtual_service == section.key {
                    self.check_server(engine, section, view, &mut withdrawn);
                }
            }
        }
        self.withdrawn = Some(withdrawn);
    }

    fn check_server(
        &self,
        engine: &Engine,
        section: &DeclaredService,
        view: &RealServerView,
        withdrawn: &mut Withdrawn,
    ) {
        let (fall, rise) = (section.counts.fall.get(), section.counts.rise.get());
        let servers = section.servers.iter();
        for server in servers.filter(|it| view.hosts.contains(&it.host)) {
            for judge in &server.judges {
                let service = engine.model().service(judge.service);
                if judge.verdict != JudgedBy::Host || service.traptimeout.is_some() {
                    continue;
                }
                let name = (service.group.to_string(), service.name.to_string());
                let part = (name.clone(), server.host.clone());
                let count = self.count(&part);
                let is_out = view
                    .withdrawals
                    .iter()
                    .any(|it| it.service == judge.service && it.ends == Ends::WithSuccess);
                let key = (section.key, server.host.clone(), name);
                let was_out = self.withdrawn.as_ref().map(|it| it.contains(&key));
                let about = || format!("{key:?} {count:?} fall {fall} rise {rise}: {view:?}");
                if is_out {
                    assert!(count.good.least < rise, "good, and still out: {}", about());
                    let is_new = was_out == Some(false);
                    assert!(
                        !is_new || count.bad.most >= fall,
                        "out too early: {}",
                        about()
                    );
                    withdrawn.insert(key);
                } else {
                    assert!(count.bad.least < fall, "bad, and not out: {}", about());
                    let is_back = was_out == Some(true);
                    assert!(
                        !is_back || count.good.most >= rise,
                        "back too early: {}",
                        about()
                    );
                }
            }
        }
    }
}

/// The services that may say something of a host to the table.
pub(super) fn judges(engine: &Engine, host: &HostName) -> BTreeSet<Name> {
    let model = engine.model();
    let lines = model.bindings.iter().map(|line| line.service);
    let lines = lines.filter(|&id| {
        let mut members = model.hostgroup(id).members.iter();
        members.any(|member| member.host == *host)
    });
    let sections = model.virtual_services.iter();
    let servers = sections.flat_map(|section| &section.servers);
    let servers = servers.filter(|server| server.host == *host);
    let judges = servers.flat_map(|server| server.judges.iter().map(|judge| judge.service));
    let services = lines.chain(judges).map(|id| model.service(id));
    services
        .map(|service| (service.group.to_string(), service.name.to_string()))
        .collect()
}

fn refuses(heard: &Heard<'_>, host: &HostName) -> bool {
    let mut results = heard.report.hosts.iter();
    let found = results.find(|it| it.host == *host);
    found.is_some_and(|it| it.verdict == HostVerdict::Down(Reason::Refused))
}

fn says(heard: &Heard<'_>, host: &HostName, all_hosts_on_failure: bool) -> Says {
    let report = heard.report;
    if let RunProgram::Native(_) = heard.program {
        let mut results = report.hosts.iter();
        return match results.find(|it| it.host == *host).map(|it| it.verdict) {
            Some(HostVerdict::Up) => Says::Good,
            Some(HostVerdict::Down(_)) => Says::Bad,
            Some(HostVerdict::Unknown(_)) | None => Says::Nothing,
        };
    }
    let unclear = match all_hosts_on_failure {
        true => Says::Bad,
        false => Says::Nothing,
    };
    match report.ended {
        Ended::Exited(0) => Says::Good,
        // It never ran: it fails nobody.
        Ended::NotStarted(_) => Says::Nothing,
        Ended::Signalled(_) | Ended::TimedOut(_) => unclear,
        Ended::Exited(_) => {
            let output = String::from_utf8_lossy(&report.output);
            let named: BTreeSet<&str> = output.lines().next().unwrap().split(' ').collect();
            let is_named = |host: &HostName| named.contains(host.as_str());
            match (heard.hosts.iter().any(is_named), is_named(host)) {
                (true, true) => Says::Bad,
                (true, false) => Says::Good,
                (false, _) => unclear,
            }
        }
    }
}
