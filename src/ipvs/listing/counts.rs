//! What `ipvsadm -Ln` says of each real server in numbers: thresholds and connections.
//!
//! Pure. Two of its forms are read, `--thresholds` and `--persistent-conn`; in both four numbers
//! stand behind a real server. Headings and whatever else it may print are passed over: the
//! table itself comes from `ipvsadm -Sn`.

use std::collections::BTreeMap;

use super::{ListingError, read_address, read_mark};
use crate::lvs::{
    ConnectionCounts, Connections, Family, Protocol, RealServerKey, Table, VirtualServiceKey,
};

/// The four numbers behind each real server.
type Numbers = BTreeMap<(VirtualServiceKey, RealServerKey), [u32; 4]>;

/// Puts the thresholds of `ipvsadm -Ln --thresholds` into a table.
pub(crate) fn add_thresholds(text: &str, table: &mut Table) -> Result<(), ListingError> {
    for ((key, server), [upper, lower, ..]) in numbers(text)? {
        let entry = table.get_mut(&key);
        if let Some(server) = entry.and_then(|entry| entry.servers.get_mut(&server)) {
            server.upper_threshold = upper;
            server.lower_threshold = lower;
        }
    }
    Ok(())
}

/// The connections of `ipvsadm -Ln --persistent-conn`.
pub(crate) fn connections(text: &str) -> Result<Connections, ListingError> {
    let counts = |[_, persistent, active, inactive]: [u32; 4]| ConnectionCounts {
        active,
        inactive,
        persistent,
    };
    let numbers = numbers(text)?.into_iter();
    Ok(numbers.map(|(server, it)| (server, counts(it))).collect())
}

fn numbers(text: &str) -> Result<Numbers, ListingError> {
    let mut found = Numbers::new();
    let mut service = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |why: String| ListingError {
            line: index + 1,
            text: line.chars().take(200).collect(),
            why,
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["->", "RemoteAddress:Port", ..] => {}
            ["->", address, ref rest @ ..] => {
                let key = service.ok_or_else(|| wrong("no virtual service before it".into()))?;
                let address = read_address(address, 0).map_err(wrong)?;
                let row = row(rest).ok_or_else(|| wrong("four numbers are missing".into()))?;
                found.insert((key, RealServerKey(address)), row);
            }
            ["FWM", mark, ref rest @ ..] => {
                let family = match rest.first() {
                    Some(&"IPv6") => Family::V6,
                    Some(_) | None => Family::V4,
                };
                let mark = read_mark(mark).map_err(wrong)?;
                service = Some(VirtualServiceKey::Mark(family, mark));
            }
            [protocol @ ("TCP" | "UDP" | "SCTP"), address, ..] => {
                let protocol = match protocol {
                    "TCP" => Protocol::Tcp,
                    "UDP" => Protocol::Udp,
                    _ => Protocol::Sctp,
                };
                let address = read_address(address, 0).map_err(wrong)?;
                service = Some(VirtualServiceKey::Address(protocol, address));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn row(words: &[&str]) -> Option<[u32; 4]> {
    let words: [&str; 4] = words.try_into().ok()?;
    let mut numbers = [0; 4];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = word.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::listing::parse;

    const HEADING: &str = "IP Virtual Server version 1.2.1 (size=4096)\n\
        Prot LocalAddress:Port               Weight    PersistConn ActiveConn InActConn \n  \
        -> RemoteAddress:Port\n";

    fn server(key: &str, server: &str) -> (VirtualServiceKey, RealServerKey) {
        let server = RealServerKey(server.parse().unwrap());
        (key.parse().unwrap(), server)
    }

    #[test]
    fn connections_of_every_kind_of_service_are_read() {
        let text = format!(
            "{HEADING}\
             TCP  10.0.0.3:80\n  -> 192.168.0.1:80    5   2   3   1\n\
             SCTP 10.0.0.3:7\n\
             UDP  [2001:db8::3]:53 \n  -> [2001:db8::11]:53    1   0   0   9\n\
             FWM  7\n  -> 192.168.0.1:0    1   0   4   0\n\
             FWM  -1 IPv6\n  -> [2001:db8::11]:0    1   0   0   5\n"
        );
        let counts = |active, inactive, persistent| ConnectionCounts {
            active,
            inactive,
            persistent,
        };
        let expected = Connections::from([
            (server("10.0.0.3:80/tcp", "192.168.0.1:80"), counts(3, 1, 2)),
            (
                server("[2001:db8::3]:53/udp", "[2001:db8::11]:53"),
                counts(0, 9, 0),
            ),
            (server("fwmark 7", "192.168.0.1:0"), counts(4, 0, 0)),
            (
                server("fwmark 4294967295/v6", "[2001:db8::11]:0"),
                counts(0, 5, 0),
            ),
        ]);
        assert_eq!(connections(&text), Ok(expected));
        assert_eq!(connections(HEADING), Ok(Connections::new()));
    }

    #[test]
    fn thresholds_get_into_the_table_of_the_other_form() {
        let lines = "-A -t 10.0.0.3:80 -s rr\n-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5\n";
        let mut table = parse(lines).unwrap();
        // The second came between the two readings.
        let text =
            "TCP  10.0.0.3:80\n  -> 192.168.0.1:80  100 50 0 0\n  -> 192.168.0.2:80  1 1 0 0\n";
        add_thresholds(text, &mut table).unwrap();
        let (key, server) = server("10.0.0.3:80/tcp", "192.168.0.1:80");
        let found = table[&key].servers[&server];
        assert_eq!((found.upper_threshold, found.lower_threshold), (100, 50));
        assert_eq!(table[&key].servers.len(), 1);
    }

    #[test]
    fn a_wrong_row_is_named() {
        let cases = [
            (
                "  -> 192.168.0.1:80 1 1 1 1",
                "no virtual service before it",
            ),
            ("TCP www:80", "\"www:80\" is no address"),
            ("FWM x", "\"x\" is no firewall mark"),
            (
                "TCP 10.0.0.3:80\n -> 192.168.0.1:80 1",
                "four numbers are missing",
            ),
            (
                "TCP 10.0.0.3:80\n -> 192.168.0.1:80 a b c d",
                "four numbers are missing",
            ),
            (
                "TCP 10.0.0.3:80\n -> www:80 1 1 1 1",
                "\"www:80\" is no address",
            ),
        ];
        for (text, why) in cases {
            assert_eq!(connections(text).unwrap_err().why, why, "{text}");
        }
    }
}
