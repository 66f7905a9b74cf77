//! The words of ipvsadm about synchronisation daemons and timeouts: `-L --daemon`,
//! `--start-daemon`, `-L --timeout`.
//!
//! Pure. As ipvsadm 1.31 prints it; what later ones may add within the brackets is passed over.

use std::time::Duration;

use crate::lvs::{ConnectionTimeouts, Interface, SyncChange, SyncDaemon, SyncRole};

/// The words after `ipvsadm` that make a change.
pub(crate) fn sync_words(change: &SyncChange) -> Vec<String> {
    let daemon = match change {
        SyncChange::Stop(role) => return vec!["--stop-daemon".into(), role.to_string()],
        SyncChange::Start(daemon) => daemon,
    };
    let mut words = vec!["--start-daemon".into(), daemon.role.to_string()];
    let mut say = |option: &str, value: Option<String>| {
        words.extend(
            value
                .into_iter()
                .flat_map(|value| [option.to_owned(), value]),
        );
    };
    say("--mcast-interface", Some(daemon.interface.to_string()));
    say("--syncid", Some(daemon.id.to_string()));
    say("--sync-maxlen", daemon.length_max.map(|it| it.to_string()));
    say("--mcast-group", daemon.group.map(|it| it.to_string()));
    say("--mcast-port", daemon.port.map(|it| it.to_string()));
    say("--mcast-ttl", daemon.ttl.map(|it| it.to_string()));
    words
}

/// The daemons of `ipvsadm -L --daemon`; none where a line of it makes no sense.
pub(crate) fn daemons(text: &str) -> Option<Vec<SyncDaemon>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(daemon).collect()
}

/// Writes what [`daemons`] reads.
pub(crate) fn format_daemons(daemons: &[SyncDaemon]) -> String {
    let mut text = String::new();
    for daemon in daemons {
        let (role, interface, id) = (daemon.role, &daemon.interface, daemon.id);
        text.push_str(&format!(
            "{role} sync daemon (mcast={interface}, syncid={id}"
        ));
        let mut say = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!(", {name}={value}"));
            }
        };
        say("maxlen", daemon.length_max.map(|it| it.to_string()));
        say("group", daemon.group.map(|it| it.to_string()));
        say("port", daemon.port.map(|it| it.to_string()));
        say("ttl", daemon.ttl.map(|it| it.to_string()));
        text.push_str(")\n");
    }
    text
}

fn daemon(line: &str) -> Option<SyncDaemon> {
    let (role, settings) = line.trim().split_once(" sync daemon (")?;
    let role = match role {
        "master" => SyncRole::Master,
        "backup" => SyncRole::Backup,
        _ => return None,
    };
    let settings = settings.strip_suffix(')')?;
    let (mut interface, mut daemon_id) = (None, None);
    let mut rest = [None; 4];
    for setting in settings.split(", ") {
        let (name, value) = setting.split_once('=')?;
        match name {
            "mcast" => interface = Interface::new(value),
            "syncid" => daemon_id = value.parse().ok(),
            "maxlen" => rest[0] = Some(value),
            "group" => rest[1] = Some(value),
            "port" => rest[2] = Some(value),
            "ttl" => rest[3] = Some(value),
            _ => {}
        }
    }
    let [length_max, group, port, ttl] = rest;
    Some(SyncDaemon {
        length_max: length_max.map(str::parse).transpose().ok()?,
        group: group.map(str::parse).transpose().ok()?,
        port: port.map(str::parse).transpose().ok()?,
        ttl: ttl.map(str::parse).transpose().ok()?,
        ..SyncDaemon::new(role, interface?, daemon_id?)
    })
}

/// The timeouts of `ipvsadm -L --timeout`.
pub(crate) fn timeouts(text: &str) -> Option<ConnectionTimeouts> {
    let rest = text.trim().strip_prefix("Timeout (tcp tcpfin udp):")?;
    let seconds: Result<Vec<u64>, _> = rest.split_whitespace().map(str::parse).collect();
    let [tcp, tcp_fin, udp] = seconds.ok()?.try_into().ok()?;
    Some(ConnectionTimeouts {
        tcp: Duration::from_secs(tcp),
        tcp_fin: Duration::from_secs(tcp_fin),
        udp: Duration::from_secs(udp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
master sync daemon (mcast=br0, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)
backup sync daemon (mcast=eth0, syncid=0, maxlen=1452, group=ff02::81, port=8849, ttl=2)
";

    #[test]
    fn daemons_are_read_as_they_are_printed() {
        let read = daemons(PRINTED).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].group, Some("ff02::81".parse().unwrap()));
        assert_eq!(format_daemons(&read), PRINTED);
        assert_eq!(daemons("\n"), Some(Vec::new()));
        let old = "master sync daemon (mcast=br0, syncid=7)\n";
        assert_eq!(format_daemons(&daemons(old).unwrap()), old);
        let later = "master sync daemon (mcast=br0, syncid=7, colour=red)";
        assert!(daemons(later).is_some());
        for wrong in [
            "idle sync daemon (mcast=br0, syncid=7)",
            "master sync daemon (syncid=7)",
            "master sync daemon (mcast=br0)",
            "master sync daemon (mcast=br0, syncid=256)",
            "master sync daemon (mcast=br0, syncid=7, port=x)",
            "master sync daemon (mcast=br0, syncid=7",
            "?",
        ] {
            assert_eq!(daemons(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn changes_become_words() {
        let read = daemons(PRINTED).unwrap();
        let start = SyncChange::Start(read[0].clone());
        assert_eq!(
            sync_words(&start).join(" "),
            "--start-daemon master --mcast-interface br0 --syncid 7 --sync-maxlen 1472 \
             --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1"
        );
        let stop = SyncChange::Stop(SyncRole::Backup);
        assert_eq!(sync_words(&stop).join(" "), "--stop-daemon backup");
    }

    #[test]
    fn timeouts_are_read_as_they_are_printed() {
        let read = timeouts("Timeout (tcp tcpfin udp): 900 120 300\n").unwrap();
        let seconds = [read.tcp, read.tcp_fin, read.udp].map(|it| it.as_secs());
        assert_eq!(seconds, [900, 120, 300]);
        assert_eq!(timeouts("Timeout (tcp tcpfin udp): 900 120\n"), None);
        assert_eq!(timeouts(""), None);
    }
}
