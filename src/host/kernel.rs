//! Module, schedulers, sysctls and rights.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

use crate::host::{Finding, Level, Needs, below, folders};
use crate::lvs::Family;
use crate::model::MonitorUser;
use crate::wire::server::Expiry;

/// Bit of `CAP_NET_ADMIN` in `/proc/PID/status` (linux/capability.h).
const CAP_NET_ADMIN: u64 = 1 << 12;

/// Bit of `CAP_NET_RAW`.
const CAP_NET_RAW: u64 = 1 << 13;

/// What it takes to start a program as another user, and to end it at its limit.
const CAPS_OF_ANOTHER_USER: [(&str, u64); 3] = [
    ("CAP_KILL", 1 << 5),
    ("CAP_SETGID", 1 << 6),
    ("CAP_SETUID", 1 << 7),
];

pub(super) fn look(root: &Path, needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rights = rights(root);
    if needs.table {
        findings.push(net_admin(rights));
        let modules = Modules::of(root);
        findings.push(modules.ip_vs(root));
        findings.extend(needs.schedulers.iter().map(|name| modules.scheduler(name)));
        findings.extend(expire_nodest_conn(root, needs.udp));
        findings.extend(conn_reuse_mode(root, needs.one_way));
    }
    for family in &needs.nat {
        findings.push(forwarding(root, *family));
    }
    if needs.ping {
        findings.push(ping(root, rights));
    }
    if let Some(user) = needs.monitor_user.as_deref() {
        let right = another_user(user, rights);
        // They cannot run where either is in the way; only both together are good.
        let closed = folders::closed_to(user, root, &needs.monitors);
        if right.level != Level::Good || closed.is_empty() {
            findings.push(right);
        }
        findings.extend(closed);
    }
    findings
}

/// The effective capabilities of this process; none where they cannot be read.
fn rights(root: &Path) -> Option<u64> {
    let status = read(root, "/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn net_admin(rights: Option<u64>) -> Finding {
    const PLACE: &str = "/proc/self/status CapEff";
    const ADVICE: &str = "run as root, or with CAP_NET_ADMIN (README, \"Rights\")";
    match rights {
        Some(rights) if rights & CAP_NET_ADMIN != 0 => {
            Finding::good("this process has CAP_NET_ADMIN", PLACE)
        }
        Some(_) => Finding::problem(
            "this process lacks CAP_NET_ADMIN, the kernel will refuse the table",
            PLACE,
            ADVICE,
        ),
        None => Finding::warning("cannot tell the rights of this process", PLACE, ADVICE),
    }
}

/// Whether monitors can run as `monitor_user`.
fn another_user(user: &MonitorUser, rights: Option<u64>) -> Finding {
    const PLACE: &str = "/proc/self/status CapEff";
    let name = &user.name;
    if user.uid == geteuid().as_raw() {
        return Finding::good(format!("this process is monitor_user {name} itself"), PLACE);
    }
    let advice = "run as root, or with CAP_SETUID, CAP_SETGID and CAP_KILL (README, \"Rights\")";
    let Some(rights) = rights else {
        let what = format!("cannot tell whether monitors can run as monitor_user {name}");
        return Finding::warning(what, PLACE, advice);
    };
    let lacking = CAPS_OF_ANOTHER_USER
        .iter()
        .filter(|(_, bit)| rights & bit == 0);
    let lacking: Vec<&str> = lacking.map(|(name, _)| *name).collect();
    if lacking.is_empty() {
        return Finding::good(format!("monitors can run as monitor_user {name}"), PLACE);
    }
    Finding::problem(
        format!(
            "this process lacks {}: no monitor that is a program can run as monitor_user {name}",
            lacking.join(" and ")
        ),
        PLACE,
        advice,
    )
}

/// What is known of the kernel's modules.
struct Modules {
    /// Loaded now, from `/proc/modules`.
    loaded: BTreeSet<String>,
    /// Part of the kernel, from `modules.builtin`; none where that file is not there.
    builtin: Option<BTreeSet<String>>,
    /// To be loaded when asked for, from `modules.dep`; none where that file is not there.
    loadable: Option<BTreeSet<String>>,
}

impl Modules {
    fn of(root: &Path) -> Self {
        let loaded = read(root, "/proc/modules").unwrap_or_default();
        let release = read(root, "/proc/sys/kernel/osrelease").unwrap_or_default();
        let list = |name: &str| {
            let path = format!("/lib/modules/{}/{name}", release.trim());
            read(root, &path).map(|text| text.lines().filter_map(module_of_path).collect())
        };
        Self {
            loaded: loaded
                .lines()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect(),
            builtin: list("modules.builtin"),
            loadable: list("modules.dep"),
        }
    }

    fn is_there(&self, name: &str) -> bool {
        let builtin = self.builtin.as_ref();
        self.loaded.contains(name) || builtin.is_some_and(|all| all.contains(name))
    }

    fn is_loadable(&self, name: &str) -> bool {
        self.loadable.as_ref().is_some_and(|all| all.contains(name))
    }

    fn ip_vs(&self, root: &Path) -> Finding {
        if below(root, Path::new("/proc/net/ip_vs")).exists() {
            return Finding::good("the kernel has IPVS", "/proc/net/ip_vs");
        }
        if self.is_loadable("ip_vs") {
            return Finding::warning(
                "IPVS is not loaded yet",
                "/proc/net/ip_vs",
                "modprobe ip_vs now, and name it in /etc/modules-load.d/ipvs.conf",
            );
        }
        Finding::problem(
            "the kernel has no IPVS",
            "/proc/net/ip_vs",
            "modprobe ip_vs; where there is no such module, use a kernel that has it, or \
             ipvs_backend = memory to try things out",
        )
    }

    fn scheduler(&self, name: &str) -> Finding {
        let module = format!("ip_vs_{name}");
        if self.is_there(&module) {
            return Finding::good(format!("scheduler {name} is there"), "/proc/modules");
        }
        if self.is_loadable(&module) {
            return Finding::good(
                format!("scheduler {name} can be loaded when it is needed"),
                "modules.dep",
            );
        }
        if self.loadable.is_none() && self.builtin.is_none() {
            return Finding::warning(
                format!("cannot tell whether the kernel has scheduler {name}"),
                "/lib/modules",
                format!("modprobe {module}, unless it is part of the kernel"),
            );
        }
        Finding::problem(
            format!("the kernel has no scheduler {name}"),
            "/lib/modules",
            format!("install the module {module}, or name another scheduler with -S"),
        )
    }
}

/// `kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: ...` is `ip_vs_wlc`.
fn module_of_path(line: &str) -> Option<String> {
    let path = line.split(':').next()?;
    let file = path.rsplit('/').next()?;
    let name = file.split_once(".ko")?.0;
    Some(name.replace('-', "_"))
}

/// What the kernel does about connections of servers that leave; nothing where it has no IPVS.
pub(super) fn expiry(root: &Path) -> Expiry {
    let is_on = |name: &str| {
        let value = read(root, &format!("/proc/sys/net/ipv4/vs/{name}"))?;
        Some(value.trim() != "0")
    };
    Expiry {
        expire_nodest_conn: is_on("expire_nodest_conn"),
        expire_quiescent_template: is_on("expire_quiescent_template"),
    }
}

/// What becomes of connections to a server that left: without this setting the kernel drops their
/// packets until they time out (Documentation/networking/ipvs-sysctl). The datagrams of a UDP
/// client belong to one connection, and nobody tells that client to begin another.
fn expire_nodest_conn(root: &Path, udp: bool) -> Option<Finding> {
    const PLACE: &str = "/proc/sys/net/ipv4/vs/expire_nodest_conn";
    // Without the module there is no such setting, and that is said already.
    let value = read(root, PLACE)?;
    Some(if value.trim() == "0" {
        let message = if udp {
            "connections to a server that left the table hang until they time out, and clients of a \
             UDP service get no answer until then"
        } else {
            "connections to a server that left the table hang until they time out"
        };
        Finding::warning(
            message,
            PLACE,
            "sysctl -w net.ipv4.vs.expire_nodest_conn=1, and keep it in /etc/sysctl.d",
        )
    } else {
        Finding::good(
            "connections to a server that left the table end at once",
            PLACE,
        )
    })
}

/// Whether a client that uses the port of an earlier connection again is a new client
/// (Documentation/networking/ipvs-sysctl). Where it is not, it goes on to the server of before,
/// also to one with weight 0, so that one that is drained or quiesced never comes to rest. The
/// kernel asks for the setting also before it lets `expire_nodest_conn` end what leads to weight 0.
fn conn_reuse_mode(root: &Path, one_way: bool) -> Option<Finding> {
    const PLACE: &str = "/proc/sys/net/ipv4/vs/conn_reuse_mode";
    /// The bit for connections of which only the client's half was seen to end, as with dr and tun.
    const HALF_SEEN: u32 = 2;
    // Without the module, or with a kernel before 4.1, there is no such setting.
    let mode: u32 = read(root, PLACE)?.trim().parse().ok()?;
    let expires = read(root, "/proc/sys/net/ipv4/vs/expire_nodest_conn");
    let expires = expires.is_some_and(|value| value.trim() != "0");
    Some(if mode == 0 {
        Finding::warning(
            "clients that use a port again go to the same server, also to one that is drained or \
             quiesced",
            PLACE,
            "sysctl -w net.ipv4.vs.conn_reuse_mode=1, with expire_nodest_conn=1, and keep both in \
             /etc/sysctl.d",
        )
    } else if one_way && mode & HALF_SEEN == 0 && !expires {
        Finding::warning(
            "with dr and tun, clients that use a port again go to the same server for minutes, also \
             to one that is drained or quiesced",
            PLACE,
            "sysctl -w net.ipv4.vs.expire_nodest_conn=1, or conn_reuse_mode=3, and keep it in \
             /etc/sysctl.d",
        )
    } else {
        Finding::good("clients that use a port again are new clients", PLACE)
    })
}

fn forwarding(root: &Path, family: Family) -> Finding {
    let (path, key) = match family {
        Family::V4 => ("/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        Family::V6 => (
            "/proc/sys/net/ipv6/conf/all/forwarding",
            "net.ipv6.conf.all.forwarding",
        ),
    };
    let advice = format!("sysctl -w {key}=1, and keep it in /etc/sysctl.d");
    match read(root, path) {
        Some(value) if value.trim() != "0" => {
            Finding::good("packets are forwarded, as nat needs it", path)
        }
        Some(_) => Finding::problem(
            "packets are not forwarded, so real servers behind nat are never reached",
            path,
            advice,
        ),
        None => Finding::warning("cannot tell whether packets are forwarded", path, advice),
    }
}

fn ping(root: &Path, rights: Option<u64>) -> Finding {
    const PLACE: &str = "/proc/sys/net/ipv4/ping_group_range";
    if rights.is_some_and(|rights| rights & CAP_NET_RAW != 0) {
        return Finding::good(
            "this process may ping (CAP_NET_RAW)",
            "/proc/self/status CapEff",
        );
    }
    let own = nix::unistd::getegid().as_raw();
    let range = read(root, PLACE);
    let mut bounds = range
        .iter()
        .flat_map(|text| text.split_ascii_whitespace())
        .filter_map(|word| word.parse::<u32>().ok());
    match (bounds.next(), bounds.next()) {
        (Some(low), Some(high)) if low <= own && own <= high => {
            Finding::good("this process may ping (ping_group_range)", PLACE)
        }
        (_, _) => Finding::problem(
            "this process may not ping, so fping finds every host down",
            PLACE,
            "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\", or give CAP_NET_RAW \
             (README, \"Rights\")",
        ),
    }
}

fn read(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(below(root, Path::new(path))).ok()
}
