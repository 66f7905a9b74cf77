//! What a virtual service is set to: its scheduler, flags and persistence.
//!
//! Terms are those of ipvsadm(8), numbers those of linux/ip_vs.h. What names a virtual service
//! is its key, in [`crate::lvs`].

use std::fmt;

use crate::lvs::Family;

/// Name of a kernel scheduler such as `wlc`: 1 to 15 letters, digits, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheduler(Box<str>);

impl Scheduler {
    /// The scheduler of that name; `None` where the kernel could not have one of that form
    /// (`IP_VS_SCHEDNAME_MAXLEN` is 16 with the final zero).
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        ((1..=15).contains(&name.len()) && name.bytes().all(plain)).then(|| Self(name.into()))
    }

    /// ipvsadm's default, `wlc`.
    #[must_use]
    pub fn wlc() -> Self {
        Self("wlc".into())
    }

    /// The name as the kernel knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// The settings of a virtual service, beside its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// How a connection finds its real server.
    pub scheduler: Scheduler,
    /// `IP_VS_SVC_F_*` bits (persistent 1, ops 4, scheduler 8/16/32), without the kernel's own
    /// note that it is hashed (2).
    pub flags: u32,
    /// Persistence in seconds; 0 where the service is not persistent.
    pub persistence_seconds: u32,
    /// Persistence granularity: an address mask for IPv4 (`0xffff_ff00` is 255.255.255.0), a
    /// prefix length for IPv6.
    pub netmask: u32,
    /// Persistence engine such as `sip`.
    pub persistence_engine: Option<Box<str>>,
}

impl VirtualService {
    /// A service that only names its scheduler, as `ipvsadm -A -s SCHEDULER` makes it.
    #[must_use]
    pub fn plain(family: Family, scheduler: Scheduler) -> Self {
        let netmask = match family {
            Family::V4 => u32::MAX,
            Family::V6 => 128,
        };
        Self {
            scheduler,
            flags: 0,
            persistence_seconds: 0,
            netmask,
            persistence_engine: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_name_fits_the_kernel() {
        assert_eq!(Scheduler::new("wlc"), Some(Scheduler::wlc()));
        for name in ["", "0123456789abcdef", "w l c", "wlc\n", "é"] {
            assert_eq!(Scheduler::new(name), None, "{name}");
        }
    }
}
