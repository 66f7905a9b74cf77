//! Hosts that come and go, and idle connections to them: made after a while, ended by a crash, or
//! by a host that keeps none.

use std::time::Duration;

use lvsmon::engine::event::{Event, Wire, WireId};
use lvsmon::model::{HostName, ServiceId};

use super::{Coming, World};

impl World {
    pub(super) fn host_flips(&mut self, host: String) {
        let was_down = self.down.remove(&host);
        if !was_down {
            self.down.insert(host.clone());
            self.crash(&host);
        }
        let flaps = self.random.u8(..) < 40;
        let seconds = match (flaps, was_down) {
            (true, _) => 4,
            (false, true) => 400,
            (false, false) => 80,
        };
        self.later(seconds, Coming::HostFlips(host));
    }

    pub(super) fn hold(&mut self, wire: &Wire) {
        self.wires.hold(wire);
        self.seen.wires += 1;
        let at = self.time.after(wire.wait).after(Duration::from_micros(300));
        self.at(at, Coming::WireIsMade(wire.id));
    }

    pub(super) fn wire_is_made(&mut self, wire: WireId) {
        let Some(host) = self.wires.host(wire).cloned() else {
            return;
        };
        if self.down.contains(host.as_str()) {
            return self.wire_ends(wire);
        }
        let mut runs = self.runs.values();
        let is_in_a_run = runs.any(|run| run.hosts.contains(&host));
        if is_in_a_run && !self.is_calm && self.random.u8(..) < 60 {
            // It dies while its check goes on for another one.
            self.down.insert(host.to_string());
            self.crash(host.as_str());
        }
        if !self.is_calm && self.random.u8(..) < 30 {
            self.later(20, Coming::WireEnds(wire));
        }
    }

    /// A process dies with its connections; a machine that is cut off closes none.
    fn crash(&mut self, host: &str) {
        if self.random.u8(..) < 200 {
            for wire in self.wires.to(host) {
                self.seen.crashes += 1;
                self.soon(Coming::WireEnds(wire));
            }
        }
    }

    /// Where nothing holds the service back it is looked at now.
    pub(super) fn wire_ends(&mut self, wire: WireId) {
        let Some(((group, service), host)) = self.wires.ends(wire) else {
            // Let go of while this was under way.
            return;
        };
        self.seen.trips += 1;
        self.tell(Event::Tripped(wire));
        let id = self.engine.model().find(&group, &service).unwrap();
        self.seen.trips_at_a_run +=
            u64::from(self.wires.not_looked_at(&(group, service)).count() > 0);
        self.is_looked_at(id, &host);
    }

    /// A run of this service ended; the connections that ended meanwhile are looked at now.
    pub(super) fn looks_again(&self, id: ServiceId) {
        let service = self.engine.model().service(id);
        let name = (service.group.to_string(), service.name.to_string());
        for host in self.wires.not_looked_at(&name) {
            self.is_looked_at(id, host);
        }
    }

    fn is_looked_at(&self, id: ServiceId, host: &HostName) {
        let view = self.engine.service(id).unwrap();
        let settings = self.engine.model().service(id);
        let may_wait = self.site.may_wait
            || self.is_frozen(id)
            || self.engine.is_host_disabled(&settings.group, host)
            || !settings.depend.is_empty()
            || settings.exclude_period.is_some();
        assert!(
            may_wait || view.running,
            "{host} is not looked at for {}/{}",
            view.group,
            view.name
        );
    }
}
