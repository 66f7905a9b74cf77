//! Other kinds of entries and bindings: several services on one server, a group without `-R`,
//! IPv6, UDP, SCTP and firewall marks, by lines and by sections; and the farm by way of the program
//! ipvsadm.

use super::farm::config;
use super::guest::{Farm, SOON, run};
use super::lab::scenarios;
use super::table;

scenarios!(
    "kinds",
    [
        a_server_is_in_only_when_both_its_services_are_well,
        a_group_without_a_named_server_follows_each_host,
        ipv6_servers_leave_and_come_back,
        udp_sctp_and_mark_services_follow_a_ping,
        a_failing_service_withdraws_the_virtual_service_itself,
        sections_of_every_protocol_follow_their_checks,
        a_line_and_a_section_decide_over_the_same_server,
        by_way_of_ipvsadm_a_killed_server_leaves_and_comes_back,
        by_way_of_ipvsadm_a_flushed_table_is_rebuilt,
    ]
);

const SERVICE: &str = "-A -t 10.0.0.3:80 -s wrr";
const FIRST: &str = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
const SECOND: &str = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";
const THIRD: &str = "-a -t 10.0.0.3:80 -r 192.168.0.3:80 -g -w 5";

/// A service of a watch with its lines for lvs.alert.
fn service(name: &str, monitor: &str, lvs: &[&str]) -> String {
    let mut text = format!(
        "    service {name}\n\tinterval 1s\n\tmonitor {monitor}\n\tperiod wd {{Sun-Sat}}\n"
    );
    for line in lvs {
        text.push_str(&format!(
            "\t    alert lvs.alert {line}\n\t    upalert lvs.alert {line} -B -S wrr\n"
        ));
    }
    text
}

/// The line of a service that decides over the first server.
const LINE: [&str; 1] = ["-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr"];

/// The page of the first server that its second service asks for.
const SECOND_PAGE: &str = "/run/r1/second.html";

fn write_second_page() {
    std::fs::write(SECOND_PAGE, "well\n").expect("a second page");
}

fn remove_second_page() {
    std::fs::remove_file(SECOND_PAGE).expect("a second page");
}

/// Starts with two services of the first server: `first` asks for its first page and has these
/// lines, `second` for the other one and has [`LINE`]. Behind them stands `more`.
fn start_two_services(farm: &mut Farm, first: &[&str], more: &str) {
    farm.build();
    write_second_page();
    let services = [
        service("first", "http.monitor -t 5 -m \"is well\"", first),
        service("second", "http.monitor -t 5 -u /second.html", &LINE),
    ];
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup one 192.168.0.1\n\nwatch one\n{}\n{more}",
        services.concat()
    ));
    farm.expect_table(SOON, &[SERVICE, FIRST]);
}

fn a_server_is_in_only_when_both_its_services_are_well(farm: &mut Farm) {
    start_two_services(farm, &LINE, "");
    farm.answer(1, "out of order\n");
    farm.expect_table(SOON, &[SERVICE]);
    remove_second_page();
    farm.expect_checks(6);
    farm.answer(1, "server 1 is well\n");
    // The first service is well again; the second still keeps the server out.
    farm.keeps_table_for_checks(&[SERVICE], 4);
    write_second_page();
    farm.expect_table(SOON, &[SERVICE, FIRST]);
}

fn a_group_without_a_named_server_follows_each_host(farm: &mut Farm) {
    farm.build();
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup farm www1.domain.com www2.domain.com \
         www3.domain.com\n\nwatch farm\n{}",
        service(
            "http",
            "http.monitor -t 1",
            &["-P tcp -V 10.0.0.3:80 -W 5 -F dr"]
        )
    ));
    farm.expect_table(SOON, &[SERVICE, FIRST, SECOND, THIRD]);
    farm.kill_server(1);
    farm.expect_table(SOON, &[SERVICE, SECOND, THIRD]);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE, THIRD]);
    // The service is still failing: only its latest report says that the first is back.
    farm.serve(1);
    farm.expect_table(SOON, &[SERVICE, FIRST, THIRD]);
    farm.serve(2);
    farm.expect_table(SOON, &[SERVICE, FIRST, SECOND, THIRD]);
}

fn ipv6_servers_leave_and_come_back(farm: &mut Farm) {
    farm.build();
    let watch = |number: u8| {
        let line = format!("-P tcp -V [2001:db8::3]:80 -R [2001:db8::1{number}] -W 5 -F dr");
        format!(
            "hostgroup six{number} 2001:db8::1{number}\n\nwatch six{number}\n{}\n",
            service("http", "http.monitor -t 1", &[&line])
        )
    };
    farm.start_daemon(&format!(
        "statedir = /run/state\n\n{}{}",
        watch(1),
        watch(2)
    ));
    let service = "-A -t [2001:db8::3]:80 -s wrr";
    let first = "-a -t [2001:db8::3]:80 -r [2001:db8::11]:80 -g -w 5";
    let second = "-a -t [2001:db8::3]:80 -r [2001:db8::12]:80 -g -w 5";
    farm.expect_table(SOON, &[service, first, second]);
    farm.kill_server(1);
    farm.expect_table(SOON, &[service, second]);
    farm.serve(1);
    farm.expect_table(SOON, &[service, first, second]);
    run("ipvsadm -C");
    farm.expect_table(SOON, &[service, first, second]);
}

fn udp_sctp_and_mark_services_follow_a_ping(farm: &mut Farm) {
    farm.build();
    let lines = [
        "-P udp -V 10.0.0.3:53 -R 192.168.0.1 -W 3 -F nat",
        "-P sctp -V 10.0.0.3:7 -R 192.168.0.1:7 -W 3 -F nat",
        "-P fwm -V 7 -R 192.168.0.1 -W 3 -F dr",
        "-P fwm -V 7 -R 2001:db8::11 -W 3 -F dr",
    ];
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup one www1.domain.com\n\nwatch one\n{}",
        service("ping", "fping.monitor", &lines)
    ));
    let services = [
        "-A -u 10.0.0.3:53 -s wrr",
        "-A --sctp-service 10.0.0.3:7 -s wrr",
        "-A -f 7 -s wrr",
        "-A -f 7 -6 -s wrr",
    ];
    let mut all = services.to_vec();
    all.extend([
        "-a -u 10.0.0.3:53 -r 192.168.0.1:53 -m -w 3",
        "-a --sctp-service 10.0.0.3:7 -r 192.168.0.1:7 -m -w 3",
        "-a -f 7 -r 192.168.0.1:0 -g -w 3",
        "-a -f 7 -6 -r [2001:db8::11]:0 -g -w 3",
    ]);
    farm.expect_table(SOON, &all);
    farm.unplug(1);
    farm.expect_table(SOON * 2, &services);
    farm.plug(1);
    farm.expect_table(SOON * 2, &all);
    run("ipvsadm -C");
    farm.expect_table(SOON, &all);
}

fn a_failing_service_withdraws_the_virtual_service_itself(farm: &mut Farm) {
    farm.build();
    farm.start_daemon(&format!(
        "statedir = /run/state\n\nhostgroup one www1.domain.com\n\nwatch one\n{}",
        service(
            "http",
            "http.monitor -t 1",
            &["-D -P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr"]
        )
    ));
    farm.expect_table(SOON, &[SERVICE, FIRST]);
    farm.kill_server(1);
    farm.expect_table(SOON, &[]);
    farm.serve(1);
    farm.expect_table(SOON, &[SERVICE, FIRST]);
}

/// Virtual service, lines of its section, group of its real servers.
const SECTIONS: [(&str, &str, &str); 5] = [
    ("[2001:db8::3]:80", "scheduler wrr", "six"),
    (
        "10.0.0.3:7",
        "protocol sctp\n    scheduler rr\n    forward nat",
        "web",
    ),
    (
        "10.0.0.3:53",
        "protocol udp\n    scheduler wlc\n    forward nat",
        "web",
    ),
    ("fwmark 7", "scheduler rr\n    forward tun", "web"),
    ("fwmark 7", "family v6\n    scheduler wrr", "six"),
];

/// What they come to: a virtual service, and an entry with `{}` for the number of the server.
const ENTRIES: [(&str, &str); 5] = [
    (
        "-A -t [2001:db8::3]:80 -s wrr",
        "-a -t [2001:db8::3]:80 -r [2001:db8::1{}]:80 -g -w 3",
    ),
    (
        "-A --sctp-service 10.0.0.3:7 -s rr",
        "-a --sctp-service 10.0.0.3:7 -r 192.168.0.{}:7 -m -w 3",
    ),
    (
        "-A -u 10.0.0.3:53 -s wlc",
        "-a -u 10.0.0.3:53 -r 192.168.0.{}:53 -m -w 3",
    ),
    (
        "-A -f 7 -s rr",
        "-a -f 7 -r 192.168.0.{}:0 -i -w 3 --tun-type ipip",
    ),
    (
        "-A -f 7 -6 -s wrr",
        "-a -f 7 -6 -r [2001:db8::1{}]:0 -g -w 3",
    ),
];

fn sections_of_every_protocol_follow_their_checks(farm: &mut Farm) {
    farm.build();
    let watch = |group: &str, hosts: &str| {
        let http = service("http", "http.monitor -t 5 -m \"is well\"", &[]);
        format!("hostgroup {group} {hosts}\n\nwatch {group}\n{http}\n")
    };
    let mut text = format!(
        "statedir = /run/state\n\n{}{}",
        watch("web", "192.168.0.1 192.168.0.2"),
        watch("six", "2001:db8::11 2001:db8::12")
    );
    for (key, lines, group) in SECTIONS {
        text.push_str(&format!(
            "virtual {key}\n    {lines}\n    real {group} weight 3\n    service {group}:http\n\n"
        ));
    }
    farm.start_daemon(&text);
    let expect = |farm: &mut Farm, servers: &[u8]| {
        let mut lines = Vec::new();
        for (service, entry) in ENTRIES {
            lines.push(service.to_owned());
            let entries = servers
                .iter()
                .map(|number| entry.replace("{}", &number.to_string()));
            lines.extend(entries);
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        farm.expect_table(SOON, &lines);
    };
    expect(farm, &[1, 2]);
    farm.kill_server(1);
    expect(farm, &[2]);
    run("ipvsadm -C");
    expect(farm, &[2]);
    farm.serve(1);
    expect(farm, &[1, 2]);
    // Checks of one family say nothing of servers of the other.
    run("ip -n r2 address del 2001:db8::12/64 dev eth0");
    let lines = table::ipvsadm();
    let left: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains("2001:db8::12]"))
        .collect();
    farm.expect_table(SOON, &left);
    run("ip -n r2 address add 2001:db8::12/64 dev eth0 nodad");
    expect(farm, &[1, 2]);
}

fn a_line_and_a_section_decide_over_the_same_server(farm: &mut Farm) {
    let section = "virtual 10.0.0.3:80\n    scheduler wrr\n    real one weight 5\n    \
                   service one:first\n\n";
    start_two_services(farm, &[], section);
    // By the line alone, by both, by the section alone, by nobody.
    remove_second_page();
    farm.expect_table(SOON, &[SERVICE]);
    farm.answer(1, "out of order\n");
    farm.expect_checks(6);
    write_second_page();
    farm.keeps_table_for_checks(&[SERVICE], 6);
    farm.answer(1, "server 1 is well\n");
    farm.expect_table(SOON, &[SERVICE, FIRST]);
    farm.answer(1, "out of order\n");
    farm.expect_table(SOON, &[SERVICE]);
    remove_second_page();
    farm.expect_checks(6);
    farm.answer(1, "server 1 is well\n");
    farm.keeps_table_for_checks(&[SERVICE], 6);
    write_second_page();
    farm.expect_table(SOON, &[SERVICE, FIRST]);
}

const BY_IPVSADM: &str = "ipvs_backend = ipvsadm";

fn by_way_of_ipvsadm_a_killed_server_leaves_and_comes_back(farm: &mut Farm) {
    farm.build();
    farm.start_daemon(&config(&[1, 2], "-B -S wrr", BY_IPVSADM));
    farm.expect_table(SOON, &[SERVICE, FIRST, SECOND]);
    farm.kill_server(1);
    farm.expect_table(SOON, &[SERVICE, SECOND]);
    farm.serve(1);
    farm.expect_table(SOON, &[SERVICE, FIRST, SECOND]);
}

fn by_way_of_ipvsadm_a_flushed_table_is_rebuilt(farm: &mut Farm) {
    farm.build();
    farm.start_daemon(&config(&[1, 2], "-B -S wrr", BY_IPVSADM));
    farm.expect_table(SOON, &[SERVICE, FIRST, SECOND]);
    farm.kill_server(2);
    farm.expect_table(SOON, &[SERVICE, FIRST]);
    run("ipvsadm -C");
    // A look takes two calls of the program, half a second here, and the next comes a hundred times
    // later.
    farm.expect_table(SOON * 6, &[SERVICE, FIRST]);
    run("ipvsadm -d -t 10.0.0.3:80 -r 192.168.0.1:80");
    farm.expect_table(SOON * 6, &[SERVICE, FIRST]);
}
