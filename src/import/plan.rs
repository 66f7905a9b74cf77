//! What does a file of either program come to? Virtual services, their checks, mail.
//!
//! Values only. A check belongs to a real server here; hostgroups and watches are made of them
//! where the text is written.

use std::net::IpAddr;
use std::time::Duration;

use crate::import::{Format, Place, Remark, Remarks};
use crate::lvs::{
    Family, Forwarding, Protocol, RealServer, Scheduler, ServiceFlags, VirtualService,
    VirtualServiceKey, Weight,
};
use crate::model::{Initial, OnExit, OnFailure, OwnRules, WeightFrom};

/// Most connections that a threshold may name: ipvsadm's own bound.
pub(super) const THRESHOLD_MAX: u32 = 2_147_483_647;

/// All of a file.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) format: Format,
    pub(super) file: String,
    /// Global settings, `name = value`.
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) sections: Vec<Section>,
    /// Remarks that belong to no section.
    pub(super) remarks: Vec<Remark>,
}

impl Plan {
    pub(super) fn new(format: Format, file: &str) -> Self {
        Self {
            format,
            file: file.to_owned(),
            settings: Vec::new(),
            sections: Vec::new(),
            remarks: Vec::new(),
        }
    }
}

/// What one virtual service, or a group of equal ones, comes to.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) place: Place,
    /// As it stands in the file.
    pub(super) title: String,
    pub(super) keys: Vec<VirtualServiceKey>,
    pub(super) settings: VirtualService,
    pub(super) servers: Vec<Server>,
    pub(super) fallback: Option<Server>,
    pub(super) fall: u32,
    pub(super) recheck: Option<Duration>,
    pub(super) on_failure: OnFailure,
    pub(super) initial: Initial,
    pub(super) on_exit: OnExit,
    pub(super) weight_from: WeightFrom,
    /// Words of alert lines about the virtual service itself.
    pub(super) alerts: Vec<Vec<String>>,
    pub(super) upalerts: Vec<Vec<String>>,
    pub(super) remarks: Vec<Remark>,
}

impl Section {
    /// The settings for one of its keys: a mask is of the address family of the first.
    pub(super) fn settings_of(&self, key: VirtualServiceKey) -> VirtualService {
        let mut settings = self.settings.clone();
        if self
            .keys
            .first()
            .is_some_and(|it| it.family() != key.family())
        {
            settings.netmask = VirtualService::single_client(key.family());
        }
        settings
    }

    /// The same, and nobody is told of it.
    pub(super) fn without_alerts(&self) -> Self {
        let mut silent = self.clone();
        silent.alerts.clear();
        silent.upalerts.clear();
        for server in &mut silent.servers {
            for check in &mut server.checks {
                check.policy.alerts.clear();
                check.policy.upalerts.clear();
            }
        }
        silent
    }
}

/// Host and port of a real server in the table.
pub(super) type Entry = (String, u16);

/// A real server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Server {
    /// Whose it was.
    pub(super) format: Format,
    /// Address or name, without brackets.
    pub(super) host: String,
    /// That of its line; 0: none, so that of each virtual service.
    pub(super) port: u16,
    /// Where its checks go that name none themselves; 0: nobody knows.
    pub(super) check_port: u16,
    pub(super) settings: RealServer,
    /// What holds for it alone, and not for the whole section.
    pub(super) own: OwnRules,
    /// What decides over it; none: it is always in.
    pub(super) checks: Vec<Service>,
}

impl Server {
    /// One as it is listed, with weight 1 and no checks.
    pub(super) fn new(format: Format, host: &str, port: u16, forwarding: Forwarding) -> Self {
        Self {
            format,
            host: host.to_owned(),
            port,
            check_port: port,
            settings: RealServer::new(forwarding, Weight(1)),
            own: OwnRules::default(),
            checks: Vec::new(),
        }
    }

    /// Its family, where it is listed by address.
    pub(super) fn family(&self) -> Option<Family> {
        self.host
            .parse()
            .ok()
            .map(|address: IpAddr| Family::of(address))
    }

    /// Its port in the table: only nat can have one of its own (D12). With a mark, 0 leaves packets
    /// the port that the client asked; with the other methods it only names the entry, which
    /// ldirectord makes with the port and keepalived without.
    pub(super) fn table_port(&self, key: VirtualServiceKey) -> u16 {
        let changes_port = self.settings.forwarding == Forwarding::Nat;
        match (key.port(), self.format) {
            (Some(own), _) if self.port == 0 || !changes_port => own,
            (None, Format::Keepalived) if !changes_port => 0,
            (Some(_) | None, Format::Ldirectord | Format::Keepalived) => self.port,
        }
    }

    /// What is one of its kind in a virtual service: its entry of the table.
    pub(super) fn entry(&self, key: VirtualServiceKey) -> Entry {
        (self.host.clone(), self.table_port(key))
    }

    /// Whether a fallback is one of the real servers; it is left out then, with a remark.
    pub(super) fn is_listed(
        &self,
        servers: &[Self],
        key: VirtualServiceKey,
        word: &str,
        place: &Place,
        remarks: &mut Remarks,
    ) -> bool {
        let own = self.entry(key);
        let is_listed = servers.iter().any(|it| it.entry(key) == own);
        if is_listed {
            let text = format!("{word} {} is a real server too; it is left out", self.host);
            remarks.lost(place, text);
        }
        is_listed
    }

    /// Takes out a lower threshold that has no upper one above it.
    pub(super) fn fit_thresholds(&mut self, place: &Place, remarks: &mut Remarks) {
        let settings = &mut self.settings;
        if settings.lower_threshold > settings.upper_threshold {
            let text = format!(
                "the lower threshold {} is above the upper one, {}; it is left out",
                settings.lower_threshold, settings.upper_threshold
            );
            remarks.lost(place, text);
            settings.lower_threshold = 0;
        }
    }

    /// Why the kernel could not have it in that virtual service (D12).
    pub(super) fn obstacle(&self, key: VirtualServiceKey) -> Option<String> {
        let address: Option<IpAddr> = self.host.parse().ok();
        let is_tunnel = matches!(self.settings.forwarding, Forwarding::Tun(_));
        if self.family().is_some_and(|it| it != key.family()) && !is_tunnel {
            let forwarding = self.settings.forwarding;
            let host = &self.host;
            return Some(format!(
                "{host} is of the other address family, which only a tunnel can reach, not {forwarding}"
            ));
        }
        let is_own = address.is_some_and(|it| it.is_loopback());
        (is_own && self.settings.forwarding == Forwarding::Nat).then(|| {
            format!(
                "the kernel drops packets for {} with nat; let the virtual service have the same \
                 port and write forward dr, or use another address of this machine",
                self.host
            )
        })
    }
}

/// A service of mon that decides over a real server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    pub(super) name: String,
    /// Whom it looks at, where that is not the real server.
    pub(super) host: Option<String>,
    pub(super) description: Option<String>,
    pub(super) interval: Duration,
    /// Words of the monitor line.
    pub(super) monitor: Vec<String>,
    pub(super) policy: Policy,
}

/// Who is told of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Policy {
    /// `alertafter`, where it is more than 1.
    pub(super) after: u32,
    /// `alertevery`
    pub(super) every: Option<Duration>,
    /// `numalerts`
    pub(super) number: Option<u32>,
    /// Words of its alert lines.
    pub(super) alerts: Vec<Vec<String>>,
    pub(super) upalerts: Vec<Vec<String>>,
}

/// A scheduler that our own reader takes: one that the kernel may have by that name.
pub(super) fn scheduler_of(name: &str) -> Option<Scheduler> {
    let is_known = Scheduler::KNOWN.contains(&name);
    Scheduler::new(name).filter(|_| is_known)
}

/// A flag that the scheduler has.
pub(super) fn flag_of(scheduler: &Scheduler, word: &str) -> Option<ServiceFlags> {
    let flag = ServiceFlags::of_scheduler(scheduler, word)?;
    (flag.meant_for(scheduler) == flag).then_some(flag)
}

/// Takes out of the settings what the services could not have, and answers with those that can
/// be. Each that is left out has a remark.
pub(super) fn fit_settings(
    settings: &mut VirtualService,
    keys: Vec<VirtualServiceKey>,
    place: &Place,
    remarks: &mut Remarks,
) -> Vec<VirtualServiceKey> {
    let is_stream = |key: &VirtualServiceKey| {
        matches!(
            key,
            VirtualServiceKey::Address(Protocol::Tcp | Protocol::Sctp, _)
        )
    };
    let has_stream = keys.iter().any(is_stream);
    if has_stream && settings.flags.has(ServiceFlags::ONE_PACKET) {
        remarks.lost(place, "one packet scheduling is for UDP; it is left out");
        let others = settings.flags.bits() & !ServiceFlags::ONE_PACKET.bits();
        settings.flags = ServiceFlags::from_bits(others);
    }
    let first = keys.first().map(|key| key.family());
    if let Some(first) = first
        && settings.is_persistent()
        && settings.netmask != VirtualService::single_client(first)
        && let Some(other) = keys.iter().find(|key| key.family() != first)
    {
        let text = format!(
            "{other} is of the other address family, which the granularity of the persistence does \
             not fit; it takes each client for itself"
        );
        remarks.lost(place, text);
    }
    if let Some(engine) = &settings.persistence_engine {
        let why = match &**engine {
            "sip" if has_stream => Some("reads UDP packets only"),
            "sip" if !settings.is_persistent() => Some("means nothing without persistence"),
            "sip" => None,
            _ => Some("is not known; there is only sip"),
        };
        if let Some(why) = why {
            let text = format!("the persistence engine {engine} {why}; it is left out");
            remarks.lost(place, text);
            settings.persistence_engine = None;
        }
    }
    let (possible, not): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|key| key.port() != Some(0) || settings.is_persistent());
    for key in not {
        let text = format!(
            "{key} is left out: port 0 stands for all ports, which only a persistent service can \
             have"
        );
        remarks.lost(place, text);
    }
    possible
}
