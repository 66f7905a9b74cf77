//! What a virtual service is set to: its scheduler, flags and persistence.
//!
//! Terms are those of ipvsadm(8), numbers those of linux/ip_vs.h. What names a virtual service
//! is its key, in [`crate::lvs`].

use std::fmt;
use std::net::Ipv4Addr;

use crate::lvs::Family;

/// Name of a kernel scheduler such as `wlc`: 1 to 15 letters, digits, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheduler(Box<str>);

impl Scheduler {
    /// Those of Linux 6.1, each a module `ip_vs_NAME`.
    pub const KNOWN: [&'static str; 14] = [
        "rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq",
        "twos",
    ];

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

    /// Whether it is one that takes no notice of weights, but for 0.
    #[must_use]
    pub fn is_unweighted(&self) -> bool {
        ["rr", "lc", "dh"].contains(&self.as_str())
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

/// What a virtual service does beside its scheduler's plain work: `IP_VS_SVC_F_*` of linux/ip_vs.h.
///
/// Whether it is persistent is not said here but by [`VirtualService::persistence_seconds`], so
/// that the two cannot contradict each other; nor is the kernel's own note that it is hashed.
/// Bits that this program does not know are kept as they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceFlags(u32);

/// A scheduler and its own name for a flag.
type OwnName = (&'static str, &'static str);

/// Each flag that a scheduler may give a meaning, with its name for all and for some of them.
const SCHEDULER_FLAGS: [(ServiceFlags, &str, &[OwnName]); 3] = [
    (
        ServiceFlags::FLAG_1,
        "flag-1",
        &[("sh", "sh-fallback"), ("mh", "mh-fallback")],
    ),
    (
        ServiceFlags::FLAG_2,
        "flag-2",
        &[("sh", "sh-port"), ("mh", "mh-port")],
    ),
    (ServiceFlags::FLAG_3, "flag-3", &[]),
];

impl ServiceFlags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Each packet is a connection of its own (`-o`), `IP_VS_SVC_F_ONEPACKET`.
    pub const ONE_PACKET: Self = Self(4);
    /// `sh-fallback`, `mh-fallback`: where the server has no room, another is taken.
    pub const FLAG_1: Self = Self(8);
    /// `sh-port`, `mh-port`: the client's port counts too.
    pub const FLAG_2: Self = Self(16);
    /// No scheduler of Linux 6.1 knows it.
    pub const FLAG_3: Self = Self(32);

    /// `IP_VS_SVC_F_PERSISTENT`
    pub(crate) const PERSISTENT_BIT: u32 = 1;
    /// `IP_VS_SVC_F_HASHED`
    pub(crate) const HASHED_BIT: u32 = 2;
    /// What this program can ask for.
    pub(crate) const KNOWN: Self = Self(4 | 8 | 16 | 32);

    /// The flags among the bits that a kernel has.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & !(Self::PERSISTENT_BIT | Self::HASHED_BIT))
    }

    /// The bits as the kernel has them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `flags` are among these.
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// Only what this program can ask for and what means something to that scheduler. `sh` and
    /// `mh` have no third flag, and `ipvsadm -Sn` hides it there.
    #[must_use]
    pub fn meant_for(self, scheduler: &Scheduler) -> Self {
        let hidden = match scheduler.as_str() {
            "sh" | "mh" => Self::FLAG_3.0,
            _ => 0,
        };
        Self(self.0 & Self::KNOWN.0 & !hidden)
    }

    /// The flag that a scheduler is given with this word: its own name for it, or `flag-1` to
    /// `flag-3` for any scheduler.
    #[must_use]
    pub fn of_scheduler(scheduler: &Scheduler, word: &str) -> Option<Self> {
        let of = |(of, name): &OwnName| *of == scheduler.as_str() && *name == word;
        let flag = SCHEDULER_FLAGS
            .iter()
            .find(|(_, general, names)| *general == word || names.iter().any(of));
        flag.map(|(flag, ..)| *flag)
    }

    /// The words with which these flags are given to any scheduler, as in `ipvsadm -b`.
    pub(crate) fn general_words(self) -> impl Iterator<Item = &'static str> {
        let given = SCHEDULER_FLAGS
            .iter()
            .filter(move |(flag, ..)| self.has(*flag));
        given.map(|(_, general, _)| *general)
    }

    /// The words with which they are given to this scheduler.
    fn words(self, scheduler: &Scheduler) -> impl Iterator<Item = &'static str> {
        let given = SCHEDULER_FLAGS
            .iter()
            .filter(move |(flag, ..)| self.has(*flag));
        given.map(|(_, general, names)| {
            let own = names.iter().find(|(of, _)| *of == scheduler.as_str());
            own.map_or(*general, |(_, name)| *name)
        })
    }
}

/// The settings of a virtual service, beside its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// How a connection finds its real server.
    pub scheduler: Scheduler,
    /// What it does beside.
    pub flags: ServiceFlags,
    /// Persistence in seconds; 0 where the service is not persistent.
    pub persistence_seconds: u32,
    /// Persistence granularity: an address mask for IPv4 (`0xffff_ff00` is 255.255.255.0), a
    /// prefix length from 1 to 128 for IPv6. Without meaning where the service is not persistent.
    pub netmask: u32,
    /// Persistence engine such as `sip`.
    pub persistence_engine: Option<Box<str>>,
}

impl VirtualService {
    /// The longest persistence that can be asked for: 31 days, ipvsadm's own bound. The kernel
    /// counts it in ticks, of which 49 days may fit.
    pub const PERSISTENCE_MAX_SECONDS: u32 = 31 * 24 * 3600;

    /// A service that only names its scheduler, as `ipvsadm -A -s SCHEDULER` makes it.
    #[must_use]
    pub fn plain(family: Family, scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            flags: ServiceFlags::NONE,
            persistence_seconds: 0,
            netmask: Self::single_client(family),
            persistence_engine: None,
        }
    }

    /// The granularity that takes each client for itself.
    #[must_use]
    pub const fn single_client(family: Family) -> u32 {
        match family {
            Family::V4 => u32::MAX,
            Family::V6 => 128,
        }
    }

    /// Whether connections of one client stay together.
    #[must_use]
    pub const fn is_persistent(&self) -> bool {
        self.persistence_seconds > 0
    }

    /// The settings in the words of the file, for a service of that family.
    #[must_use]
    pub fn words(&self, family: Family) -> String {
        let mut text = format!("scheduler {}", self.scheduler);
        for word in self.flags.words(&self.scheduler) {
            text.push(' ');
            text.push_str(word);
        }
        if self.is_persistent() {
            text.push_str(&format!(", persistent {}", self.persistence_seconds));
            match family {
                _ if self.netmask == Self::single_client(family) => {}
                Family::V4 => text.push_str(&format!(" mask {}", Ipv4Addr::from(self.netmask))),
                Family::V6 => text.push_str(&format!(" prefix {}", self.netmask)),
            }
            if let Some(engine) = &self.persistence_engine {
                text.push_str(&format!(" engine {engine}"));
            }
        }
        if self.flags.has(ServiceFlags::ONE_PACKET) {
            text.push_str(", one_packet");
        }
        text
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

    #[test]
    fn settings_are_told_in_the_words_of_the_file() {
        let of = |name: &str| VirtualService::plain(Family::V4, Scheduler::new(name).unwrap());
        let all = ServiceFlags::from_bits(u32::MAX);
        assert_eq!(of("wlc").words(Family::V4), "scheduler wlc");
        let mut sh = of("sh");
        sh.flags = all;
        let expected = "scheduler sh sh-fallback sh-port flag-3, one_packet";
        assert_eq!(sh.words(Family::V4), expected);
        let mut wrr = of("wrr");
        wrr.flags = ServiceFlags::FLAG_1.with(ServiceFlags::FLAG_2);
        wrr.persistence_seconds = 300;
        wrr.netmask = 0xffff_ff00;
        wrr.persistence_engine = Some("sip".into());
        let expected = "scheduler wrr flag-1 flag-2, persistent 300 mask 255.255.255.0 engine sip";
        assert_eq!(wrr.words(Family::V4), expected);
        let mut six = VirtualService::plain(Family::V6, Scheduler::wlc());
        six.persistence_seconds = 1;
        assert_eq!(six.words(Family::V6), "scheduler wlc, persistent 1");
        six.netmask = 64;
        assert_eq!(
            six.words(Family::V6),
            "scheduler wlc, persistent 1 prefix 64"
        );
    }

    #[test]
    fn a_flag_fits_the_scheduler_that_knows_its_name() {
        let cases = [
            ("sh", "sh-fallback", Some(ServiceFlags::FLAG_1)),
            ("sh", "sh-port", Some(ServiceFlags::FLAG_2)),
            ("mh", "mh-fallback", Some(ServiceFlags::FLAG_1)),
            ("mh", "mh-port", Some(ServiceFlags::FLAG_2)),
            ("rr", "flag-1", Some(ServiceFlags::FLAG_1)),
            ("sh", "flag-2", Some(ServiceFlags::FLAG_2)),
            ("mh", "flag-3", Some(ServiceFlags::FLAG_3)),
            ("mh", "sh-port", None),
            ("rr", "sh-port", None),
            ("sh", "port", None),
        ];
        for (scheduler, word, flag) in cases {
            let scheduler = Scheduler::new(scheduler).unwrap();
            assert_eq!(ServiceFlags::of_scheduler(&scheduler, word), flag, "{word}");
        }
    }

    #[test]
    fn bits_yet_to_come_are_kept() {
        let flags = ServiceFlags::from_bits(u32::MAX);
        assert_eq!(flags.bits(), u32::MAX - 3);
        let all = ServiceFlags::from_bits(4 + 8 + 16 + 32);
        assert_eq!(flags.meant_for(&Scheduler::wlc()), all);
        let all_of_sh = ServiceFlags::from_bits(4 + 8 + 16);
        assert_eq!(flags.meant_for(&Scheduler::new("sh").unwrap()), all_of_sh);
    }
}
