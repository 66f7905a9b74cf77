//! The built-in `fping`. Silent and unroutable hosts are had in a network namespace of its own.

use std::net::IpAddr;
use std::process::{Command, Output};

use lvsmon::engine::event::{HostVerdict, Reason, Report};
use lvsmon::model::HostName;
use lvsmon::monitor;

use super::{check, exit, only, summary, text};
use crate::support::{TempDir, have, is_root, lvsmon_path, skip};

/// Whether this machine lets us ping at all; otherwise the test says that it is skipped.
fn may_ping(test: &str) -> bool {
    let report = check("fping.monitor", &["-r", "1", "-t", "500"], &["127.0.0.1"]);
    let may = report.hosts[0].verdict != HostVerdict::Unknown(Reason::Limit);
    if !may {
        skip(test, "CAP_NET_RAW or net.ipv4.ping_group_range");
    }
    may
}

/// Runs a shell script in a network namespace with nothing but a loopback interface that is down.
/// `$LVSMON` is the program. None where this is not allowed here.
fn alone(test: &str, script: &str) -> Option<Output> {
    if !is_root() || !have("ip") || !have("unshare") {
        skip(test, "root, iproute2 and unshare");
        return None;
    }
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .env("LVSMON", lvsmon_path())
        .env("TZ", "UTC")
        .output()
        .expect("unshare runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    if error.contains("unshare failed") {
        skip(test, "a network namespace of its own");
        return None;
    }
    Some(output)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Without the lines that hold times.
fn timeless(text: &str) -> String {
    text.lines()
        .filter(|line| {
            !["start time", "end time", "duration"]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn loopback_answers_in_both_families() {
    if !may_ping("loopback_answers_in_both_families") {
        return;
    }
    let hosts = ["127.0.0.1", "127.0.0.77", "::1", "[::1]", "here", "v6.test"];
    let report = check("fping.monitor", &[], &hosts);
    assert_eq!(exit(&report), 0, "{report:?}");
    assert_eq!(report.hosts.len(), hosts.len());
    assert!(
        report
            .hosts
            .iter()
            .all(|host| host.verdict == HostVerdict::Up)
    );
    let output = text(&report);
    assert!(output.starts_with("\nstart time: "), "{output}");
    assert!(!output.contains("unreachable hosts"), "{output}");
    let list = output
        .split("reachable hosts                          rtt\n")
        .nth(1)
        .expect("the list of reachable hosts");
    let line = format!("{:<40} ", "127.0.0.77");
    assert!(
        list.lines()
            .any(|one| one.starts_with(&line) && one.ends_with(" ms")),
        "{list}"
    );
}

#[test]
fn an_unknown_name_is_unreachable_and_named() {
    if !may_ping("an_unknown_name_is_unreachable_and_named") {
        return;
    }
    let report = check("fping.monitor", &[], &["nosuch.test", "127.0.0.1"]);
    assert_eq!(
        (exit(&report), summary(&report).as_str()),
        (1, "nosuch.test")
    );
    assert!(text(&report).contains("address not found for nosuch.test\n"));
    assert_eq!(report.hosts[0].verdict, HostVerdict::Down(Reason::Dns));
    assert_eq!(report.hosts[1].verdict, HostVerdict::Up);
    let any = check("fping.monitor", &["-a"], &["nosuch.test", "127.0.0.1"]);
    assert_eq!((exit(&any), summary(&any).as_str()), (0, "nosuch.test"));
    let none = check("fping.monitor", &["-a"], &["nosuch.test"]);
    assert_eq!(exit(&none), 1, "M-2: no host at all answers");
}

#[test]
fn a_slow_answer_is_a_failure_unless_any_will_do() {
    if !may_ping("a_slow_answer_is_a_failure_unless_any_will_do") {
        return;
    }
    let report = check("fping.monitor", &["-s", "0.0001"], &["127.0.0.1"]);
    assert_eq!(
        only(&report),
        (
            HostVerdict::Down(Reason::Timeout),
            "answers slower than 0.0001 ms"
        )
    );
    assert_eq!(summary(&report), "127.0.0.1");
    assert!(text(&report).contains("\nslow hosts (response time which exceeds 0.0001ms)\n"));
    // M-4: named, but no failure.
    let report = check("fping.monitor", &["-a", "-s", "0.0001"], &["127.0.0.1"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert_eq!(summary(&report), "127.0.0.1");
}

#[test]
fn services_that_ping_the_same_hosts_at_once_all_get_answers() {
    if !may_ping("services_that_ping_the_same_hosts_at_once_all_get_answers") {
        return;
    }
    let folder = TempDir::new();
    let options = super::options("fping.monitor", &["-r", "1", "-t", "5000"]);
    let tools = super::tools(&folder);
    let hosts: Vec<HostName> = (1..=60)
        .map(|n| HostName::new(&IpAddr::from([127, 0, 2, n]).to_string()))
        .collect();
    let reports: Vec<Report> = super::run(async {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (options, hosts, tools) = (options.clone(), hosts.clone(), tools.clone());
            running.spawn(async move { monitor::check(&options, &hosts, &tools).await });
        }
        running.join_all().await
    });
    assert_eq!(reports.len(), 10);
    for report in reports {
        assert_eq!(exit(&report), 0, "{}", text(&report));
        assert_eq!(report.hosts.len(), 60);
    }
}

#[test]
fn without_a_route_hosts_are_unreachable() {
    let test = "without_a_route_hosts_are_unreachable";
    let script = "$LVSMON monitor fping -r 1 -t 100 192.0.2.7 192.0.2.6 2001:db8::1";
    let Some(output) = alone(test, script) else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let rule = "-".repeat(78);
    let expected = format!(
        "192.0.2.6 192.0.2.7 2001:db8::1\n\n\n{rule}\nunreachable hosts\n{rule}\n192.0.2.7\n192.0.2.6\n\
         2001:db8::1\n\n\n"
    );
    let found = timeless(&stdout(&output));
    assert!(found.starts_with(&expected), "{found}");
    assert!(found.contains("192.0.2.7 : unreachable: "), "{found}");
}

#[test]
fn silence_is_a_timeout_after_all_tries() {
    let test = "silence_is_a_timeout_after_all_tries";
    let script = "ip link set lo up && echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all &&
        start=$(date +%s%N) &&
        $LVSMON monitor fping -r 2 -t 200 127.0.0.1
        echo status $? took $((($(date +%s%N) - start) / 1000000))";
    let Some(output) = alone(test, script) else {
        return;
    };
    let found = stdout(&output);
    assert!(
        found.contains("127.0.0.1 : no answer to 3 echo requests\n"),
        "{found}"
    );
    let mut end = found.lines().last().unwrap_or_default().split(' ').skip(1);
    assert_eq!(end.next(), Some("1"), "{found}");
    let took: u64 = end
        .nth(1)
        .and_then(|took| took.parse().ok())
        .expect("a time");
    // 200 + 300 + 450 ms.
    assert!((950..15_000).contains(&took), "{took} ms");
}

#[test]
fn without_any_right_the_message_says_what_is_needed() {
    let test = "without_any_right_the_message_says_what_is_needed";
    if !have("setpriv") {
        skip(test, "setpriv");
        return;
    }
    let script = "ip link set lo up && echo 1 0 >/proc/sys/net/ipv4/ping_group_range &&
        exec setpriv --bounding-set -net_raw --inh-caps -net_raw $LVSMON monitor fping 127.0.0.1";
    let Some(output) = alone(test, script) else {
        return;
    };
    let found = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(found.starts_with("127.0.0.1\n"), "{found}");
    assert!(
        found.contains("CAP_NET_RAW") && found.contains("ping_group_range"),
        "{found}"
    );
}

#[test]
fn a_datagram_socket_is_enough() {
    let test = "a_datagram_socket_is_enough";
    if !have("setpriv") {
        skip(test, "setpriv");
        return;
    }
    let script = "ip link set lo up && echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range &&
        exec setpriv --bounding-set -net_raw --inh-caps -net_raw \
            $LVSMON monitor fping -r 1 -t 5000 127.0.0.1 127.0.0.2 ::1";
    let Some(output) = alone(test, script) else {
        return;
    };
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn silent_hosts_take_no_place_from_other_checks() {
    let test = "silent_hosts_take_no_place_from_other_checks";
    // 1,500 silent hosts in one group: more than there are connections, and one wait for all.
    let script = "ip link set lo up && echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all &&
        start=$(date +%s%N) &&
        for net in 3 4 5 6 7 8; do seq -f 127.0.$net.%g 1 250; done | \
            xargs $LVSMON monitor fping -r 1 -t 2000 | head -n 1 | wc -w
        echo took $((($(date +%s%N) - start) / 1000000))";
    let Some(output) = alone(test, script) else {
        return;
    };
    let found = stdout(&output);
    let mut lines = found.lines();
    assert_eq!(lines.next(), Some("1500"), "{found}");
    let took: u64 = lines
        .next()
        .and_then(|line| line.strip_prefix("took "))
        .and_then(|took| took.parse().ok())
        .expect("a time");
    // 2 s and 3 s of waiting, 1.5 s of pacing in each; never once for each 200 hosts, which were
    // 38.
    assert!((5_000..35_000).contains(&took), "{took} ms");
}
