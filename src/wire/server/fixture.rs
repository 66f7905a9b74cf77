//! A real server of which there is little to say, for tests of what is said about one.

use crate::engine::recent::About;
use crate::wire::server::{CheckRow, LookRow, SectionRow, ServerWhy, ServersRow};
use crate::wire::{ServerActual, ServerWanted, ServiceStatus, Verdict};

/// Wanted so, and with this weight in the kernel; none: it is not in the table.
pub(crate) fn server(wanted: ServerWanted, kernel: Option<u32>) -> ServerWhy {
    ServerWhy {
        virtual_service: "10.0.0.3:80/tcp".to_owned(),
        real_server: "192.168.0.1:80".to_owned(),
        hosts: Vec::new(),
        wanted,
        wanted_weight: None,
        actual: kernel.map_or(ServerActual::Out, |_| ServerActual::In),
        weight: kernel,
        look: LookRow::Read,
        connections: None,
        since: None,
        operator: None,
        section: None,
        checks: Vec::new(),
        trouble: Vec::new(),
        contested: Vec::new(),
        stranger: false,
        back: Vec::new(),
    }
}

/// Two of nine serve.
pub(crate) fn section() -> SectionRow {
    SectionRow {
        role: None,
        slow_start: None,
        role_ends: None,
        serving: 2,
        declared: 9,
        min_live: 1,
        kept: 0,
        fallback_serves: false,
        beside: 0,
        served_by: None,
        fallback: None,
        missing: ServersRow::default(),
        unwanted: ServersRow::default(),
        own_rules: Vec::new(),
        weight_by: None,
    }
}

/// Of which nothing is known yet.
pub(crate) fn check() -> CheckRow {
    CheckRow {
        service: "web/http".to_owned(),
        status: ServiceStatus::Untested,
        verdict: Verdict::Unknown,
        reason: None,
        text: String::new(),
        last_check: None,
        restored: false,
        withdraws: None,
        about: About::Host,
        results: Vec::new(),
        count: None,
        tripwire: None,
        held_up: Vec::new(),
        lacks: None,
        kept_since: None,
    }
}
