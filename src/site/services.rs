//! Which ports the system gives mon, in its list of services.

use std::fs;
use std::path::Path;

/// The system's list of services, services(5).
const SERVICES: &str = "/etc/services";

/// The number that IANA gave mon, where the list has no entry.
const PORT: u16 = 2583;

/// The ports of mon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// For clients.
    pub(super) tcp: u16,
    /// For traps.
    pub(super) udp: u16,
}

/// As the system's list has them.
pub(super) fn ports() -> Ports {
    let list = fs::read(Path::new(SERVICES)).unwrap_or_default();
    among(&String::from_utf8_lossy(&list))
}

fn among(list: &str) -> Ports {
    let port = |protocol| find(list, protocol).unwrap_or(PORT);
    Ports {
        tcp: port("tcp"),
        udp: port("udp"),
    }
}

/// The port of `mon`, by its name or another one of its names.
fn find(list: &str, protocol: &str) -> Option<u16> {
    list.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let name = words.next()?;
        let (port, kind) = words.next()?.split_once('/')?;
        let is_mon = name == "mon" || words.any(|alias| alias == "mon");
        let port = port.parse().ok()?;
        (is_mon && kind == protocol && port > 0).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_mon_are_found_by_name_and_alias() {
        let list = "# mon 1/tcp\nmoney 2/tcp\nmon\t\t7001/tcp # clients\ntraps 7002/udp mon\n";
        let expected = Ports {
            tcp: 7001,
            udp: 7002,
        };
        assert_eq!(among(list), expected);
    }

    #[test]
    fn a_list_without_mon_or_with_nonsense_leaves_the_usual_number() {
        for list in [
            "",
            "mon",
            "mon x/tcp",
            "mon 70000/tcp",
            "mon 0/udp",
            "# mon 7/tcp",
        ] {
            let expected = Ports {
                tcp: PORT,
                udp: PORT,
            };
            assert_eq!(among(list), expected, "{list:?}");
        }
    }
}
