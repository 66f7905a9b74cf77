//! The daemon in numbers: the age of what is known, and a real Prometheus that reads it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::daemon::farm::{Farm, SOON};
use crate::support::{Running, TempDir, find_program, free_port, root, skip, wait_for, wait_until};

/// A Prometheus reads its disk, its file and us before it knows anything, on a busy machine.
const PROMETHEUS_LIMIT: Duration = Duration::from_secs(120);

/// What `lvsmon metrics` prints.
#[track_caller]
fn metrics(farm: &Farm) -> String {
    let output = farm.output(&["metrics"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The value of one sample, by name and labels.
fn sample(text: &str, series: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()))
}

#[track_caller]
fn json(farm: &Farm, command: &str) -> Value {
    let output = farm.output(&[command, "--json"]);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What is asked of a server on loopback, and the body of a good answer.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split_once(' ')?
        .1
        .starts_with("200")
        .then(|| body.to_owned())
}

/// A service whose monitor is good once a file is there, and hangs while another one is.
fn configure_with_gates(farm: &Farm) {
    let folder = farm.folder.path().display();
    farm.folder.write_executable(
        "mon.d/gate.monitor",
        format!(
            "#!/bin/sh\nuntil [ -e {folder}/go ] || ! [ -d {folder} ]; do sleep 0.1; done\n\
             while [ -e {folder}/hang ]; do sleep 0.1; done\n"
        ),
    );
    farm.configure(&format!(
        "{}\nhostgroup www 127.0.0.11\n\n\
         watch www\n    service gate\n\tinterval 0.3s\n\tmonitor gate.monitor\n",
        farm.globals()
    ));
}

#[test]
fn a_service_that_reports_no_more_shows_in_the_age_of_the_oldest_result() {
    const UNCHECKED: &str = "lvsmon_services_unchecked";
    const CHECKED: &str = "lvsmon_service_checked{group=\"www\",service=\"gate\"}";
    const OLDEST: &str = "lvsmon_oldest_result_age_seconds";
    let mut farm = Farm::new();
    configure_with_gates(&farm);
    farm.start();
    let mut client = farm.client();
    wait_until("a check that goes on", SOON, || {
        client.services(0).unwrap().services[0].running
    });
    // A check that has begun is no result.
    assert!(!client.services(0).unwrap().services[0].checked);
    assert_eq!(json(&farm, "health")["oldest_result_s"], Value::Null);
    let text = metrics(&farm);
    assert_eq!(sample(&text, UNCHECKED).as_deref(), Some("1"));
    assert_eq!(sample(&text, CHECKED).as_deref(), Some("0"));
    assert_eq!(sample(&text, OLDEST), None);
    farm.folder.write("go", "");
    wait_until("a result", SOON, || {
        client.services(0).unwrap().services[0].checked
    });
    assert_eq!(sample(&metrics(&farm), UNCHECKED).as_deref(), Some("0"));
    farm.folder.write("hang", "");
    wait_until("an old result", SOON, || {
        json(&farm, "health")["oldest_result_s"].as_u64() >= Some(2)
    });
    let age: f64 = sample(&metrics(&farm), OLDEST).unwrap().parse().unwrap();
    assert!(age >= 2.0, "{age}");
    std::fs::remove_file(farm.folder.join("hang")).unwrap();
    wait_until("a new result", SOON, || {
        let age = json(&farm, "health")["oldest_result_s"].as_u64();
        age.is_some_and(|age| age <= 1)
    });
}

#[test]
fn a_table_lists_whether_a_real_server_was_checked_at_all() {
    let mut farm = Farm::new();
    farm.start_healthy();
    let mut client = farm.client();
    let table = client.table().unwrap();
    let rows = &table.virtual_services[0].real_servers;
    assert!(rows.iter().all(|row| row.checked), "{rows:?}");
    farm.end(Signal::SIGTERM);
    // Without a daemon, of a file whose state is gone.
    std::fs::remove_file(farm.folder.join("state/journal")).unwrap();
    let table = json(&farm, "table");
    let row = &table["virtual_services"][0]["real_servers"][0];
    assert_eq!(row["checked"], Value::Bool(false), "{row}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(promtool) = find_program("promtool") else {
        skip(
            "promtool_finds_nothing_wrong_with_the_metrics",
            "prometheus",
        );
        return;
    };
    let mut farm = Farm::new();
    farm.start_healthy();
    farm.break_server(2);
    farm.wait_for_table(&[(1, 5)]);
    let output = farm.output(&["disable", "127.0.0.11", "--force", "--reason", "a \"b\""]);
    assert!(output.status.success(), "{output:?}");
    let text = metrics(&farm);
    assert!(text.contains("lvsmon_real_server_out_reason{"), "{text}");
    assert!(text.contains("wish=\"disable\"} 1"), "{text}");
    let mut tool = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn promtool_takes_what_the_manual_shows() {
    let Some(promtool) = find_program("promtool") else {
        skip("promtool_takes_what_the_manual_shows", "prometheus");
        return;
    };
    let manual = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let folder = TempDir::new();
    let mut kinds = Vec::new();
    for rest in manual.split("```yaml\n").skip(1) {
        let (text, _) = rest.split_once("```").unwrap();
        let kind = if text.starts_with("groups:") {
            "rules"
        } else {
            "config"
        };
        let file = folder.write(&format!("{kind}.yml"), text);
        let output = Command::new(&promtool)
            .args(["check", kind])
            .arg(file)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        kinds.push(kind);
    }
    assert_eq!(kinds, ["config", "rules"]);
    // And no metric is forgotten there.
    let mut farm = Farm::new();
    farm.start();
    drop(farm.client());
    let text = metrics(&farm);
    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let name = line.split(' ').next().unwrap();
        assert!(
            manual.contains(&format!("`{name}`")),
            "{name} is not in docs/metrics.md"
        );
    }
}

#[test]
fn a_prometheus_reads_the_port_of_the_file() {
    let Some(prometheus) = find_program("prometheus") else {
        skip("a_prometheus_reads_the_port_of_the_file", "prometheus");
        return;
    };
    let (ours, theirs) = (free_port(), free_port());
    let mut farm = Farm::new();
    farm.configure(&format!("metricsport = {ours}\n{}", farm.text(5, true)));
    farm.start_healthy();
    let folder = farm.folder.path().display().to_string();
    let config = farm.folder.write(
        "prometheus.yml",
        format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: lvsmon\n    \
             static_configs:\n      - targets: ['127.0.0.1:{ours}']\n"
        ),
    );
    let log = File::create(farm.folder.join("prometheus.log")).unwrap();
    let mut command = Command::new(prometheus);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={folder}/prometheus"))
        .arg(format!("--web.listen-address=127.0.0.1:{theirs}"))
        .stdout(Stdio::null())
        .stderr(log);
    let _prometheus = Running::start(&mut command);
    let value = |query: &str| {
        let answer = get(theirs, &format!("/api/v1/query?query={query}"))?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        let found = answer["data"]["result"].as_array()?;
        match found.as_slice() {
            [one] => Some(one["value"][1].as_str()?.to_owned()),
            _ => None,
        }
    };
    wait_for("a scrape that worked", PROMETHEUS_LIMIT, || {
        value("up").filter(|up| up == "1")
    });
    let weight = "lvsmon_real_server_kernel_weight%7Breal_server%3D~%22127.0.0.12:.*%22%7D";
    wait_for("the weight of a server", PROMETHEUS_LIMIT, || {
        value(weight).filter(|weight| weight == "5")
    });
    let wanted = "lvsmon_virtual_service_servers_wanted";
    wait_for("two servers", PROMETHEUS_LIMIT, || {
        value(wanted).filter(|count| count == "2")
    });
    farm.break_server(2);
    wait_for("one server", PROMETHEUS_LIMIT, || {
        value(wanted).filter(|count| count == "1")
    });
    // Without the setting nobody listens any more, and everything else goes on.
    farm.configure(&farm.text(5, true));
    farm.signal(Signal::SIGHUP);
    wait_until("no port", SOON, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, ours)).is_err()
    });
    assert!(farm.output(&["health"]).status.success());
}

#[test]
fn a_port_in_use_keeps_nobody_from_the_checks() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut farm = Farm::new();
    farm.configure(&format!("metricsport = {port}\n{}", farm.text(5, true)));
    farm.start_healthy();
    farm.wait_for_log("cannot serve metrics");
    drop(taken);
    wait_for("the metrics, once the port is free", SOON, || {
        get(port, "/metrics").filter(|text| text.contains("lvsmon_build_info"))
    });
    let output = farm.output(&["check"]);
    let said = String::from_utf8_lossy(&output.stdout);
    let line =
        format!("metrics are served at http://127.0.0.1:{port}/metrics, from this machine only");
    assert!(said.contains(&line), "{said}");
}
