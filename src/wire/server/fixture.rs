//! A real server of which there is little to say, for tests of what is said about one.

use crate::wire::server::{LookRow, ServerWhy};
use crate::wire::{ServerActual, ServerWanted};

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
