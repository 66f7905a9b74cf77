//! Which hosts are there, and what does a check find?

use std::time::Duration;

use lvsmon::engine::event::{Ended, HostResult, HostVerdict, Reason, Report, Run};
use lvsmon::lvs::GivenWeight;
use lvsmon::model::HostName;

use super::{Coming, HOSTS, World, apart, oneway};

impl World {
    /// A host goes down or comes back, and no other one within some seconds: both directors
    /// see all of it in one order.
    pub(super) fn flip(&mut self) {
        let host = self.random.usize(..HOSTS);
        let now = self.time;
        self.host_flips(host);
        self.may_flap(host);
        self.compare();
        self.quiet_since = now;
        let at = now.after(Duration::from_secs(self.random.u64(20..100)));
        self.at(at, Coming::Flip);
    }

    /// A host that is there goes down, and one that is down comes back.
    pub(super) fn host_flips(&mut self, host: usize) {
        let now = self.time;
        self.note(format_args!("host {host} flips"));
        let outages = &mut self.outages[host];
        match outages.last_mut() {
            Some((_, end @ None)) => *end = Some(now),
            Some((_, Some(_))) | None => outages.push((now, None)),
        }
    }

    /// The weight that a check gives a host that is there.
    fn weight(&self, host: &HostName) -> Option<GivenWeight> {
        let (network, host) = host.as_str().rsplit_once('.')?;
        let host = host.parse().ok().filter(|_| network == "10.1.0");
        let weight = host.and_then(|host: usize| self.weights.get(host).copied().flatten());
        weight.map(GivenWeight::Absolute)
    }

    fn is_down(&self, side: usize, host: &HostName) -> bool {
        if oneway::is_it(host) {
            return self.one_way.is_down(side);
        }
        if apart::is_one(host) {
            return self.apart.is_down(host);
        }
        let host: usize = host.as_str().rsplit('.').next().unwrap().parse().unwrap();
        if let Some(is_there) = self.unrest.is_there(host) {
            return !is_there;
        }
        let last = self.outages.get(host).and_then(|it| it.last());
        last.is_some_and(|(_, end)| end.is_none())
    }

    pub(super) fn found(&self, side: usize, run: &Run) -> Report {
        let hosts = run.hosts.iter().map(|host| HostResult {
            host: host.clone(),
            verdict: match self.is_down(side, host) {
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: String::new(),
            weight: self.weight(host).filter(|_| !self.is_down(side, host)),
            took: Duration::ZERO,
        });
        let hosts: Vec<HostResult> = hosts.collect();
        let is_good = hosts.iter().all(|it| it.verdict == HostVerdict::Up);
        Report {
            ended: Ended::Exited(i32::from(!is_good)),
            output: apart::summary(&hosts),
            hosts,
            took: Duration::ZERO,
        }
    }
}
