//! The kernel's connection synchronisation: what runs, what should, what has to change.
//!
//! A master daemon tells by multicast of the connections it forwards, a backup daemon takes
//! them in, so that they outlive a takeover. The kernel runs at most one of each (D35). Source:
//! ipvsadm(8) `--start-daemon`, net/netfilter/ipvs/ip_vs_sync.c.

use std::fmt;
use std::net::IpAddr;

/// What a synchronisation daemon does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncRole {
    /// It tells of connections.
    Master,
    /// It takes them in.
    Backup,
}

impl fmt::Display for SyncRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// Name of a network interface such as `eth0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface(Box<str>);

impl Interface {
    /// The interface of that name; `None` where the kernel could not have one of that form
    /// (`dev_valid_name`; `IFNAMSIZ` is 16 with the final zero), or where it is not ASCII.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
        let is_name = (1..=15).contains(&name.len()) && name.bytes().all(fits);
        (is_name && name != "." && name != "..").then(|| Self(name.into()))
    }

    /// The name as the kernel knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A synchronisation daemon, as it runs or as it should. What is not said is the kernel's choice.
///
/// It does not start while a virtual service has real servers of another family than its own,
/// and no such server can be added while it runs: the protocol knows only one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncDaemon {
    /// What it does.
    pub role: SyncRole,
    /// Where it sends, or listens.
    pub interface: Interface,
    /// Tells one pair of directors from another; a backup with 0 listens to all of them.
    pub id: u8,
    /// Longest message in bytes of UDP; that of the interface's MTU where it is not said.
    pub length_max: Option<u16>,
    /// Multicast group; 224.0.0.81 where it is not said.
    pub group: Option<IpAddr>,
    /// UDP port; 8848 where it is not said.
    pub port: Option<u16>,
    /// Hops that a message may make; 1 where it is not said.
    pub ttl: Option<u8>,
}

impl SyncDaemon {
    /// A daemon with all else left to the kernel.
    #[must_use]
    pub const fn new(role: SyncRole, interface: Interface, id: u8) -> Self {
        Self {
            role,
            interface,
            id,
            length_max: None,
            group: None,
            port: None,
            ttl: None,
        }
    }

    /// Whether the one that runs is as wanted: the kernel's choice fits where nothing is said.
    #[must_use]
    pub fn agrees(&self, actual: &Self) -> bool {
        fn fits<T: PartialEq>(wanted: &Option<T>, actual: &Option<T>) -> bool {
            wanted.is_none() || wanted == actual
        }
        let Self {
            role,
            interface,
            id,
            length_max,
            group,
            port,
            ttl,
        } = self;
        (*role, interface, *id) == (actual.role, &actual.interface, actual.id)
            && fits(length_max, &actual.length_max)
            && fits(group, &actual.group)
            && fits(port, &actual.port)
            && fits(ttl, &actual.ttl)
    }
}

impl fmt::Display for SyncDaemon {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} on {}, syncid {}",
            self.role, self.interface, self.id
        )
    }
}

/// One change of the daemons that run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncChange {
    /// Start it. Refused where one of its role runs.
    Start(SyncDaemon),
    /// Stop the one of that role.
    Stop(SyncRole),
}

impl fmt::Display for SyncChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(daemon) => write!(out, "start connection synchronisation: {daemon}"),
            Self::Stop(role) => write!(out, "stop connection synchronisation: {role}"),
        }
    }
}

/// The changes after which exactly the wanted daemons run, in order: what has to stop first. A
/// daemon cannot be changed, so it is stopped and started. Of two wanted ones of a role the
/// first counts.
#[must_use]
pub fn sync_diff(wanted: &[SyncDaemon], actual: &[SyncDaemon]) -> Vec<SyncChange> {
    let of = |daemons: &[SyncDaemon], role| {
        let mut of_role = daemons.iter().filter(|daemon| daemon.role == role);
        of_role.next().cloned()
    };
    let (mut changes, mut starts) = (Vec::new(), Vec::new());
    for role in [SyncRole::Master, SyncRole::Backup] {
        let (wanted, actual) = (of(wanted, role), of(actual, role));
        let agrees = match (&wanted, &actual) {
            (Some(wanted), Some(actual)) => wanted.agrees(actual),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if agrees {
            continue;
        }
        changes.extend(actual.map(|_| SyncChange::Stop(role)));
        starts.extend(wanted.map(SyncChange::Start));
    }
    changes.append(&mut starts);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(role: SyncRole, interface: &str) -> SyncDaemon {
        SyncDaemon::new(role, Interface::new(interface).unwrap(), 7)
    }

    fn changes(wanted: &[SyncDaemon], actual: &[SyncDaemon]) -> Vec<String> {
        let changes = sync_diff(wanted, actual);
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_role_is_changed_by_stopping_before_starting() {
        let (master, backup) = (
            daemon(SyncRole::Master, "eth0"),
            daemon(SyncRole::Backup, "eth0"),
        );
        let start = "start connection synchronisation: master on eth0, syncid 7";
        let stop = "stop connection synchronisation: backup";
        let (master, backup) = ([master], [backup]);
        assert_eq!(changes(&master, &[]), [start]);
        assert_eq!(changes(&master, &backup), [stop, start]);
        assert_eq!(changes(&[], &backup), [stop]);
        let none: [&str; 0] = [];
        assert_eq!(changes(&master, &master), none);
        let both = [master, backup].concat();
        assert_eq!(changes(&both, &both), none);
    }

    #[test]
    fn what_is_not_said_is_the_kernels_choice() {
        let wanted = daemon(SyncRole::Master, "eth0");
        let mut runs = wanted.clone();
        runs.length_max = Some(1472);
        runs.group = Some("224.0.0.81".parse().unwrap());
        runs.port = Some(8848);
        runs.ttl = Some(1);
        assert!(wanted.agrees(&runs));
        assert!(runs.agrees(&runs));
        let differs = |change: &dyn Fn(&mut SyncDaemon)| {
            let mut wanted = runs.clone();
            change(&mut wanted);
            let changes = sync_diff(&[wanted.clone()], std::slice::from_ref(&runs));
            assert_eq!(changes.is_empty(), wanted.agrees(&runs));
            !changes.is_empty()
        };
        assert!(differs(&|it| it.id = 8));
        assert!(differs(&|it| it.interface = Interface::new("eth1").unwrap()));
        assert!(differs(&|it| it.length_max = Some(1400)));
        assert!(differs(&|it| it.group = Some("224.0.0.82".parse().unwrap())));
        assert!(differs(&|it| it.port = Some(8849)));
        assert!(differs(&|it| it.ttl = Some(2)));
        assert!(!differs(&|it| it.ttl = None));
    }

    #[test]
    fn an_interface_has_a_name_that_the_kernel_takes() {
        for name in ["eth0", "bond0.100", "vlan@x", "123456789012345"] {
            assert!(Interface::new(name).is_some(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "eth0:1",
            "1234567890123456",
            "é",
        ] {
            assert!(Interface::new(name).is_none(), "{name}");
        }
    }
}
