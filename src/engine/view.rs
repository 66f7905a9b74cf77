//! What readers see of a service: listings, the control socket, metrics.
//!
//! A view borrows from the engine and is never stored. Nothing here changes state.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::desired::{HeldUntil, RealServerView};
use crate::engine::disabled::Disabled;
use crate::engine::event::{
    Aim, FailureLine, HistoryLine, HostVerdict, Miss, RunId, Status, Suppression,
};
use crate::engine::gauge;
use crate::engine::manual::LostWish;
use crate::engine::said;
use crate::engine::schedule::{Lane, Timetable};
use crate::engine::state::{EventText, PeriodMemory, ServiceState};
pub use crate::engine::tripwire::{BackOff, TripwireView};
use crate::lvs::{Desired, RealServerKey, Table, VirtualServiceKey};
use crate::model::{
    Binding, DeclaredService, HostName, Hostgroup, Member, Model, Service, ServiceId,
};
use crate::time::{Mono, Now, Wall};

/// One service as it is at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView<'a> {
    /// Its place in the Model.
    pub id: ServiceId,
    /// The watch it stands in.
    pub group: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// Good, failing, untested, or what a person set.
    pub status: Status,
    /// The status before the latest event, also where that did not change it.
    pub last_status: Status,
    /// Exit value of the latest run; none before the first.
    pub exit: Option<i32>,
    /// First line of the latest output; `(NO SUMMARY)` for a failure without one.
    pub summary: Cow<'a, str>,
    /// Rest of the latest output.
    pub detail: Cow<'a, str>,
    /// Start of the latest run.
    pub last_check: Option<Wall>,
    /// Whether a run of it has ever ended, or a trap has come for it.
    pub is_checked: bool,
    /// End of the latest good run.
    pub last_success: Option<Wall>,
    /// End of the latest failing run of the present outage; none while it is good.
    pub last_failure: Option<Wall>,
    /// Start of the present outage; none while it is good.
    pub first_failure: Option<Wall>,
    /// Failures in a row.
    pub consec_failures: u32,
    /// Every member of its hostgroup, in file order.
    pub hosts: Vec<HostView<'a>>,
    /// When the next run is due, in the past while it waits for a place; none while it runs
    /// and for a service that is never polled.
    pub next_run: Option<Mono>,
    /// Whether a run is going on.
    pub running: bool,
    /// Alerts sent in the present outage, without those of periods with `alerts_dont_count`.
    pub alerts_sent: u32,
    /// What the latest event would have alerted but for a rule, in file order.
    pub suppressed: &'a [Suppression],
    /// Whether a person has disabled the service itself; for its watch see
    /// [`crate::engine::Engine::is_watch_disabled`].
    pub is_disabled: bool,
    /// While its failure is acknowledged.
    pub ack: Option<AckView<'a>>,
    /// Result of the latest evaluation of its dependency; none before the first.
    pub depend_status: Option<bool>,
    /// How long the latest run took; none before the first.
    pub monitor_duration: Option<Duration>,
    /// The latest alert that a period remembers.
    pub last_alert: Option<Wall>,
    /// When the latest trap came.
    pub last_trap: Option<Wall>,
    /// Who sent it.
    pub last_trap_from: Option<IpAddr>,
}

/// An acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckView<'a> {
    /// When it was said.
    pub time: Wall,
    /// `USER: TEXT`; `: TEXT` without a login.
    pub comment: &'a str,
}

/// One host as the latest report of a service has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostView<'a> {
    /// The host.
    pub host: &'a HostName,
    /// What the report says of it; none where it was not checked.
    pub verdict: Option<HostVerdict>,
    /// One line for a person; empty where there is nothing to say.
    pub text: &'a str,
    /// Whether it is disabled: left out of checks and of the hosts that alerts name.
    pub is_disabled: bool,
}

/// What the view of a service is made from.
#[derive(Clone, Copy)]
pub(crate) struct Looking<'a> {
    pub(crate) model: &'a Model,
    pub(crate) timetable: &'a Timetable,
    pub(crate) disabled: &'a Disabled,
    /// The time of the latest event.
    pub(crate) now: Now,
}

impl Engine {
    /// The time of the latest event.
    #[must_use]
    pub const fn time(&self) -> Now {
        self.last
    }

    /// Whether a person may mean this entry of a table by its address, also where the file does
    /// not have it.
    #[must_use]
    pub fn is_meant(&self, aim: &Aim, entry: (VirtualServiceKey, RealServerKey)) -> bool {
        self.bindings.is_meant(aim, entry)
    }

    /// The table as it should be.
    #[must_use]
    pub fn desired(&self) -> &Desired {
        self.bindings.desired()
    }

    /// The kernel's table as it was when it was read last; none where it never was.
    #[must_use]
    pub fn table_last_read(&self) -> Option<&Table> {
        self.bindings.table_last_read()
    }

    /// The table as it should be left when the daemon ends by itself, where a `virtual` section
    /// has an `on_exit` that changes anything. A daemon that is killed changes nothing.
    #[must_use]
    pub fn at_exit(&self) -> Option<Desired> {
        self.bindings.at_exit()
    }

    /// The address that counts of each name of a real server (D8), once for each family. Before
    /// the first event: the one it had when the daemon ended.
    pub fn addresses(&self) -> impl Iterator<Item = (&HostName, IpAddr)> {
        self.bindings.addresses()
    }

    /// Until when what the file does not name stays: of a name without an address it may be the
    /// real server, and while nobody of the file serves it may be all that does. None where nothing
    /// stays because of that.
    #[must_use]
    pub fn held_until(&self, key: VirtualServiceKey) -> Option<&HeldUntil> {
        self.bindings.held_until(key)
    }

    /// Those that stay so and that new connections reach, as of the latest look at the table.
    #[must_use]
    pub fn held_serving(&self, key: VirtualServiceKey) -> &[RealServerKey] {
        self.bindings.held_serving(key)
    }

    /// The section of a virtual service; none where it has none.
    #[must_use]
    pub fn section(&self, key: VirtualServiceKey) -> Option<&DeclaredService> {
        self.bindings.section(&self.model, key)
    }

    /// Whether a service decides over a real server.
    #[must_use]
    pub fn decides(&self, id: ServiceId) -> bool {
        self.bindings.decides(id)
    }

    /// The `lvs.alert` lines for a virtual service, in file order.
    pub(crate) fn lines_of(&self, key: VirtualServiceKey) -> impl Iterator<Item = &Binding> {
        self.bindings.lines_of(key)
    }

    /// Every owned real server with what is wanted of it and why.
    #[must_use]
    pub fn real_servers(&self) -> Vec<RealServerView> {
        self.with_wishes(self.bindings.real_servers())
    }

    /// Those that a person means, in table order.
    ///
    /// # Errors
    ///
    /// Nobody is called so, or it is not clear who; the sentence says what there is.
    pub fn real_servers_called(&self, aim: &Aim) -> Result<Vec<RealServerView>, Miss> {
        Ok(self.with_wishes(self.bindings.aimed(aim)?))
    }

    /// The wishes for real servers that the file no longer has, each kept for a while.
    pub fn lost_wishes(&self) -> impl Iterator<Item = LostWish> {
        self.bindings.lost()
    }

    pub(super) fn with_wishes(&self, mut views: Vec<RealServerView>) -> Vec<RealServerView> {
        for view in &mut views {
            let entry = view.server.map(|server| (view.virtual_service, server));
            view.manual = entry.and_then(|entry| self.bindings.wished(entry, self.last));
        }
        views
    }

    /// Every service in file order, as it is now.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        self.model.services().filter_map(|(id, _)| self.service(id))
    }

    /// One service as it is now; none where the Model has no such number.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<ServiceView<'_>> {
        let state = self.states.get(id.index())?;
        let looking = Looking {
            model: &self.model,
            timetable: &self.timetable,
            disabled: &self.disabled,
            now: self.last,
        };
        Some(self::service(looking, id, state))
    }

    /// How the connection stands that is held to a host for a service; none where the service
    /// has no `tripwire on`.
    #[must_use]
    pub fn tripwire(&self, id: ServiceId, host: &HostName) -> Option<TripwireView> {
        let service = self.model.services.get(id.index())?;
        self.tripwires.view(self.last, (id, service), host)
    }

    /// Since when the scheduler is stopped; none while it runs.
    #[must_use]
    pub const fn stopped_since(&self) -> Option<Wall> {
        self.stopped
    }

    /// Whether the watch of this group is disabled, by a person or with its only host.
    #[must_use]
    pub fn is_watch_disabled(&self, group: &str) -> bool {
        self.disabled.has_watch(group)
    }

    /// Whether this host is disabled in this hostgroup. False for one that it does not have.
    #[must_use]
    pub fn is_host_disabled(&self, group: &str, host: &HostName) -> bool {
        let mut groups = self.model.hostgroups.iter();
        let group = groups.find(|known| &*known.name == group);
        group.is_some_and(|group| {
            let mut members = group.members.iter();
            let member = members.find(|member| member.host == *host);
            member.is_some_and(|member| self.disabled.has_host(group, member))
        })
    }

    /// The same for a member of a hostgroup of the Model in force, without a search for it.
    #[must_use]
    pub fn is_member_disabled(&self, group: &Hostgroup, member: &Member) -> bool {
        self.disabled.has_host(group, member)
    }

    /// Whether a person has disabled this service. False where the Model has no such number.
    #[must_use]
    pub fn is_service_disabled(&self, id: ServiceId) -> bool {
        let state = self.states.get(id.index());
        state.is_some_and(|state| state.is_disabled)
    }

    /// The alerts that were called, oldest first.
    pub fn alert_history(&self) -> impl DoubleEndedIterator<Item = &HistoryLine> {
        self.histories.alerts()
    }

    /// The failures, oldest first.
    pub fn failure_history(&self) -> impl DoubleEndedIterator<Item = &FailureLine> {
        self.histories.failures()
    }

    /// Lines that each history keeps: `histlength`, or what `set maxkeep` said since.
    #[must_use]
    pub const fn history_length(&self) -> u32 {
        self.histories.length()
    }

    /// The configuration in force.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The runs that go on, and of which service each is.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, ServiceId)> {
        self.running
            .iter()
            .map(|(run, going)| (*run, going.service))
    }

    /// Runs that count against `maxprocs`, and those that count against `maxchecks`.
    #[must_use]
    pub fn runs_going(&self) -> (u32, u32) {
        let running = |lane| self.timetable.running(lane);
        (running(Lane::Executables), running(Lane::Checks))
    }

    /// Slots that went by unused so far, because the run before took longer than its interval
    /// or no place was free: a sign that intervals are too short or limits too low.
    #[must_use]
    pub fn skipped_slots(&self) -> u64 {
        self.skipped_slots
    }
}

/// The view of one service.
pub(crate) fn service<'a>(
    looking: Looking<'a>,
    id: ServiceId,
    state: &'a ServiceState,
) -> ServiceView<'a> {
    let Looking {
        model,
        timetable,
        disabled,
        now,
    } = looking;
    let service = model.service(id);
    let group = model.hostgroup(id);
    let latest = |memory: &[PeriodMemory]| memory.iter().filter_map(|it| it.last_alert).max();
    let outage = state.outage.as_deref();
    let text = state.text.as_deref();
    let memory = state.periods.as_deref().unwrap_or_default();
    let members = group.members.iter();
    let traps = state.traps.as_deref();
    ServiceView {
        id,
        group: &service.group,
        name: &service.name,
        status: state.status,
        last_status: state.last_status,
        exit: state.exit,
        summary: state.summary().unwrap_or_default(),
        detail: text.map(EventText::detail).unwrap_or_default(),
        last_check: state.last_check,
        is_checked: gauge::is_checked(state),
        last_success: state.last_success,
        last_failure: outage.map(|outage| outage.last_failure),
        first_failure: outage.map(|outage| outage.began.wall),
        consec_failures: outage.map_or(0, |outage| outage.consec_failures),
        hosts: members
            .map(|member| host(service, group, member, state, disabled))
            .collect(),
        next_run: timetable.next_run(id),
        running: timetable.is_running(id),
        alerts_sent: service
            .periods
            .iter()
            .zip(memory)
            .filter(|(period, _)| !period.alerts_dont_count)
            .map(|(_, memory)| memory.alert_sent)
            // A state file may say any number.
            .fold(0, u32::saturating_add),
        suppressed: &state.suppressed,
        is_disabled: state.is_disabled,
        ack: state.ack.as_deref().map(|ack| AckView {
            time: ack.shown(now.wall),
            comment: &ack.comment,
        }),
        depend_status: state.depend_status,
        monitor_duration: state.monitor_duration,
        last_alert: latest(memory).map(|moment| moment.wall(now)),
        last_trap: traps.and_then(|traps| traps.last),
        last_trap_from: traps.and_then(|traps| traps.from),
    }
}

fn host<'a>(
    service: &Service,
    group: &Hostgroup,
    member: &'a Member,
    state: &'a ServiceState,
    disabled: &Disabled,
) -> HostView<'a> {
    let is_disabled = disabled.has_host(group, member);
    let is_checked = !is_disabled && !service.exclude_hosts.contains(&member.host);
    let known = state
        .outage
        .as_deref()
        .and_then(|outage| outage.hosts.iter().find(|known| known.host == member.host));
    HostView {
        host: &member.host,
        // A success says nothing of a host that is not checked.
        verdict: said::verdict(state.status, known.map(|known| known.verdict))
            .filter(|_| is_checked || state.status == Status::Fail),
        text: known.map_or("", |known| &known.text),
        is_disabled,
    }
}
