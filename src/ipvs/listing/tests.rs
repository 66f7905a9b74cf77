use proptest::prelude::*;

use super::*;
use crate::lvs::arbitrary;

/// What ipvsadm 1.31 printed on Linux 6.1, one line of each kind.
const PRINTED: &str = "\
-A -f -1 -s rr
-A -t 10.0.0.3:0 -s sh -p 360 -b sh-fallback,sh-port
-A -t 10.0.0.3:80 -s rr
-a -t 10.0.0.3:80 -r 127.0.0.1:80 -g -w 1
-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5
-a -t 10.0.0.3:80 -r 192.168.0.2:8080 -m -w 70000
-a -t 10.0.0.3:80 -r 192.168.0.3:80 -i -w 1 --tun-type ipip
-a -t 10.0.0.3:80 -r 192.168.0.4:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 10.0.0.3:80 -r 192.168.0.5:80 -i -w 1 --tun-type gre --tun-csum
-A -t 10.0.0.3:81 -s mh -b mh-fallback,mh-port
-A -t 10.0.0.3:82 -s wrr -b flag-1,flag-2,flag-3
-A -t 10.0.0.3:443 -s wlc -p 600 -M 255.255.255.0
-A -u 10.0.0.3:53 -s rr -o
-A -u 10.0.0.3:5060 -s rr -p 60 --pe sip
-A --sctp-service 10.0.0.3:7 -s rr
-a --sctp-service 10.0.0.3:7 -r 192.168.0.1:7 -m -w 0
-A -t [2001:db8::3]:80 -s rr -p 60 -M 64
-a -t [2001:db8::3]:80 -r 192.168.0.9:80 -i -w 1 --tun-type ipip
-a -t [2001:db8::3]:80 -r [2001:db8::11]:80 -g -w 1
-A -u [2001:db8::3]:53 -s rr -o
-A -f 7 -s rr
-a -f 7 -r 192.168.0.1:0 -g -w 1
-a -f 7 -r 192.168.0.2:8080 -m -w 1
-A -f 7 -6 -s rr
-a -f 7 -6 -r [2001:db8::11]:0 -g -w 3
";

fn entry<'a>(table: &'a Table, key: &str) -> &'a TableEntry {
    &table[&key.parse::<VirtualServiceKey>().unwrap()]
}

fn server(entry: &TableEntry, address: &str) -> RealServer {
    entry.servers[&RealServerKey(address.parse().unwrap())]
}

#[test]
fn what_ipvsadm_prints_is_read() {
    let table = parse(PRINTED).unwrap();
    assert_eq!(table.len(), 13);
    let web = entry(&table, "10.0.0.3:80/tcp");
    assert_eq!(web.service.scheduler.as_str(), "rr");
    assert_eq!(
        server(web, "192.168.0.1:80"),
        RealServer::new(Forwarding::Dr, Weight(5))
    );
    assert_eq!(
        server(web, "192.168.0.2:8080"),
        RealServer::new(Forwarding::Nat, Weight(70_000))
    );
    let gue: Forwarding = "tun gue 6080".parse().unwrap();
    assert_eq!(
        server(web, "192.168.0.4:80"),
        RealServer::new(gue, Weight(1))
    );
    let gre = server(web, "192.168.0.5:80").forwarding;
    assert_eq!(gre.to_string(), "tun gre csum");
    let plain = server(web, "192.168.0.3:80").forwarding;
    assert_eq!(plain.to_string(), "tun");
    let hashed = &entry(&table, "10.0.0.3:0/tcp").service;
    assert_eq!(
        (hashed.flags, hashed.persistence_seconds),
        (ServiceFlags::FLAG_1.with(ServiceFlags::FLAG_2), 360)
    );
    let narrow = &entry(&table, "10.0.0.3:443/tcp").service;
    assert_eq!(narrow.netmask, 0xffff_ff00);
    assert_eq!(
        entry(&table, "10.0.0.3:53/udp").service.flags,
        ServiceFlags::ONE_PACKET
    );
    let phone = &entry(&table, "10.0.0.3:5060/udp").service;
    assert_eq!(phone.persistence_engine.as_deref(), Some("sip"));
    let stream = entry(&table, "10.0.0.3:7/sctp");
    assert_eq!(server(stream, "192.168.0.1:7").weight, Weight(0));
    let six = entry(&table, "[2001:db8::3]:80/tcp");
    assert_eq!((six.service.netmask, six.servers.len()), (64, 2));
    assert_eq!(entry(&table, "fwmark 7").servers.len(), 2);
    assert_eq!(entry(&table, "fwmark 7/v6").servers.len(), 1);
    assert_eq!(entry(&table, "fwmark 4294967295").servers.len(), 0);
}

#[test]
fn what_a_person_writes_is_read() {
    let written = "\
# The farm.

ipvsadm -A -t 10.0.0.3:80
  -a -t 10.0.0.3:80 -r 192.168.0.1 -x 100 -y 50
-A --tcp-service [2001:db8::3]:80 --scheduler wrr -p
-a --tcp-service [2001:db8::3]:80 --real-server [2001:db8::4] --masquerading --weight 7
-A -f 9
-a -f 9 -r 192.168.0.1 -m
";
    let table = parse(written).unwrap();
    let web = entry(&table, "10.0.0.3:80/tcp");
    assert_eq!(web.service.scheduler, Scheduler::wlc());
    let expected = RealServer {
        upper_threshold: 100,
        lower_threshold: 50,
        ..RealServer::new(Forwarding::Dr, Weight(1))
    };
    assert_eq!(server(web, "192.168.0.1:80"), expected);
    let six = entry(&table, "[2001:db8::3]:80/tcp");
    assert_eq!(six.service.persistence_seconds, DEFAULT_PERSISTENCE);
    assert_eq!(
        server(six, "[2001:db8::4]:80"),
        RealServer::new(Forwarding::Nat, Weight(7))
    );
    assert_eq!(
        server(entry(&table, "fwmark 9"), "192.168.0.1:0").forwarding,
        Forwarding::Nat
    );
}

#[test]
fn a_wrong_line_is_named() {
    let cases = [
        ("-C", "one of -t, -u, --sctp-service and -f is needed"),
        ("-D -t 10.0.0.3:80", "a line begins with -A or -a"),
        ("-A -t", "-t needs a value"),
        ("-A -t www:80", "\"www:80\" is no address"),
        ("-A -f 0", "\"0\" is no firewall mark"),
        ("-A -f x", "\"x\" is no firewall mark"),
        ("-A -t 10.0.0.3:80 -z", "unknown option -z"),
        ("-A -t 10.0.0.3:80 -s a.b", "\"a.b\" is no scheduler"),
        ("-A -t 10.0.0.3:80 -M x", "\"x\" is no netmask"),
        (
            "-A -t 10.0.0.3:80 -b odd",
            "unknown scheduler flag odd of wlc",
        ),
        (
            "-a -t 10.0.0.3:80 -r 192.168.0.1 -i --tun-type gue",
            "--tun-port is needed for gue",
        ),
        (
            "-a -t 10.0.0.3:80 -r 192.168.0.1 -i --tun-type gue --tun-port 0",
            "\"0\" is no port of a tunnel",
        ),
        (
            "-a -t 10.0.0.3:80 -r 192.168.0.1 -i --tun-type fou",
            "\"fou\" is no kind of tunnel",
        ),
        ("-A -t 10.0.0.3:80 -p -5", "\"-5\" is no number"),
        ("-a -t 10.0.0.3:80", "-r is needed"),
        (
            "-a -t 10.0.0.3:80 -r 192.168.0.1",
            "its virtual service is not in the lines before it",
        ),
    ];
    for (line, why) in cases {
        let error = parse(&format!("\n{line}\n")).unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (2, why), "{line}");
    }
}

#[test]
fn changes_become_words_of_ipvsadm() {
    let table = parse(PRINTED).unwrap();
    let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
    let at = RealServerKey("192.168.0.1:80".parse().unwrap());
    let to = RealServer::new(Forwarding::Dr, Weight(5));
    let gue = RealServer::new("tun gue 6080 csum".parse().unwrap(), Weight(0));
    let mark: VirtualServiceKey = "fwmark 7/v6".parse().unwrap();
    let mut full = VirtualService::plain(mark.family(), Scheduler::new("sh").unwrap());
    full.flags = ServiceFlags::from_bits(4 | 8 | 16);
    full.persistence_seconds = 300;
    full.netmask = 64;
    full.persistence_engine = Some("sip".into());
    let cases = [
        (
            Command::AddService(key, table[&key].service.clone()),
            "-A -t 10.0.0.3:80 -s rr",
        ),
        (
            Command::EditService(mark, full),
            "-E -f 7 -6 -s sh -p 300 -M 64 -o -b flag-1,flag-2 --pe sip",
        ),
        (
            Command::AddServer(key, at, gue),
            "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -i -w 0 --tun-type gue --tun-port 6080 --tun-csum",
        ),
        (Command::DeleteService(key), "-D -t 10.0.0.3:80"),
        (
            Command::AddServer(key, at, to),
            "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5",
        ),
        (
            Command::EditServer(key, at, to),
            "-e -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5",
        ),
        (
            Command::DeleteServer(key, at),
            "-d -t 10.0.0.3:80 -r 192.168.0.1:80",
        ),
        (
            Command::DeleteService("fwmark 7/v6".parse().unwrap()),
            "-D -f 7 -6",
        ),
    ];
    for (command, line) in cases {
        assert_eq!(words(&command).join(" "), line);
    }
}

#[test]
fn a_written_listing_reads_as_the_same_table() {
    let table = parse(PRINTED).unwrap();
    assert_eq!(parse(&format(&table)), Ok(table));
}

proptest! {
    #[test]
    fn any_table_is_read_as_it_was_written(table in arbitrary::table()) {
        prop_assert_eq!(parse(&format(&table)), Ok(table));
    }

    #[test]
    fn no_text_panics(text in "(-[Aatufrswpxy6MboC]|--pe|--sctp-service|[0-9a-f:.\\[\\],-]{1,9}|[ \n]|\\PC){0,40}") {
        let _ = parse(&text);
    }
}
