//! How long does the kernel remember connections of which it hears nothing?
//!
//! Shown for who waits for a drain, or wonders why connections of a client that is gone are still
//! counted; whether the times are right for a service only its owner can say.

use std::path::Path;

use super::Finding;
use crate::ipvs::Backend;
use crate::lvs::ConnectionTimeouts;
use crate::model::{Globals, IpvsBackend};
use crate::time::Readable;

/// Asks the kernel; nothing where it has no IPVS, which is said elsewhere.
#[must_use]
pub fn look(globals: &Globals) -> Option<Finding> {
    // Asking a kernel without IPVS might load the module.
    let has_ipvs = Path::new("/proc/net/ip_vs").exists();
    if !has_ipvs || globals.ipvs_backend == IpvsBackend::Memory {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let mut backend = Backend::open(globals.ipvs_backend, &globals.statedir);
    Some(match runtime.block_on(backend.timeouts()) {
        Ok(timeouts) => finding(timeouts),
        Err(error) => Finding::warning(
            format!("cannot tell how long connections are remembered: {error}"),
            PLACE,
            "run this as root",
        ),
    })
}

const PLACE: &str = "ipvsadm -L --timeout";

fn finding(timeouts: ConnectionTimeouts) -> Finding {
    let ConnectionTimeouts { tcp, tcp_fin, udp } = timeouts;
    Finding::good(
        format!(
            "connections without a packet are remembered for {} (TCP), {} (TCP that ends), {} (UDP)",
            Readable(tcp),
            Readable(tcp_fin),
            Readable(udp)
        ),
        PLACE,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_time_is_said_with_what_it_is_for() {
        let said = finding(ConnectionTimeouts {
            tcp: Duration::from_secs(900),
            tcp_fin: Duration::from_secs(120),
            udp: Duration::from_secs(300),
        });
        assert!(
            said.what
                .contains("15m (TCP), 2m (TCP that ends), 5m (UDP)"),
            "{}",
            said.what
        );
    }
}
