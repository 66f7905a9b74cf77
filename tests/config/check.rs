//! `lvsmon check`: what each program became, in text and as JSON, and the exit status.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{self, TempDir};

/// A configuration that names a built-in, a program, and one that is not there.
fn folder() -> TempDir {
    let folder = TempDir::new();
    let root = folder.path().display();
    let text = format!(
        "mondir = {root}/mon.d\nalertdir = {root}/alert.d\nstatedir = {root}\n\nhostgroup web web1\n\n\
         watch web\n service http\n  interval 10s\n  monitor http.monitor -p 80\n  period\n   \
         alert own.alert ops\n   upalert none.alert\n"
    );
    folder.write("mon.cf", text);
    let script = folder.write("own.alert", "#!/bin/sh\n");
    for name in ["mon.d", "alert.d"] {
        std::fs::create_dir(folder.join(name)).expect("a folder");
    }
    let program = folder.join("alert.d/own.alert");
    std::fs::rename(script, &program).expect("it moves");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}

fn check(folder: &TempDir, words: &[&str]) -> (Output, String) {
    let output = support::lvsmon(["check", "--config"])
        .arg(folder.join("mon.cf"))
        .args(words)
        .output()
        .expect("lvsmon runs");
    let root = format!("{}/", folder.path().display());
    let said = String::from_utf8_lossy(&output.stdout).replace(&root, "");
    (output, said)
}

#[test]
fn each_monitor_and_alert_is_listed_with_what_it_became() {
    let folder = folder();
    let (output, said) = check(&folder, &[]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let expected = "\
cf warning: alert \"none.alert\" is missing: no such file in alertdir: alert.d, line 13
  --> mon.cf:13:12
   |
13 |    upalert none.alert
   |            ^^^^^^^^^^
monitor http.monitor is the built-in: built in; no file of that name in mondir
alert   none.alert is missing: no such file in alertdir: alert.d
alert   own.alert is alert.d/own.alert: found in alertdir
serverbind and trapbind not set: lvsmon run listens on 127.0.0.1 there, lvsmon mon everywhere
1 name not looked up: with --host it is said which have no address here
mon.cf: no mistakes, 1 warning; 1 service, no bindings of real servers
";
    assert_eq!(said, expected);
}

#[test]
fn the_same_is_said_as_json() {
    let folder = folder();
    let (output, _) = check(&folder, &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(answer["valid"], true);
    assert_eq!(answer["statedir"], json!(folder.path()));
    let programs: Vec<(&str, &Value)> = answer["programs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["name"].as_str().expect("a name"), &one["became"]))
        .collect();
    let own = json!({ "executable": folder.join("alert.d/own.alert") });
    assert_eq!(
        programs,
        [
            ("http.monitor", &json!("built-in")),
            ("none.alert", &json!("missing")),
            ("own.alert", &own),
        ]
    );
    let warning = &answer["diagnostics"][0];
    assert_eq!(
        (&warning["severity"], &warning["line"], &warning["column"]),
        (&json!("warning"), &json!(13), &json!(12))
    );
    let text = std::fs::read_to_string(folder.join("mon.cf")).expect("the file");
    folder.write("mon.cf", text.replace("interval 10s", "interval 10"));
    let (output, _) = check(&folder, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["programs"], json!([]));
}

#[test]
fn the_exit_status_tells_good_bad_and_misused() {
    let folder = folder();
    for (words, status) in [
        (&[][..], 0),
        (&["--strict"][..], 1),
        (&["--nonsense"][..], 2),
        (&["surplus"][..], 2),
    ] {
        let (output, said) = check(&folder, words);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
    }
    folder.write("mon.cf", "maxproc = 5\n");
    assert_eq!(check(&folder, &[]).0.status.code(), Some(1));
}

#[test]
fn marks_stand_below_what_they_mark_behind_tabs_and_wide_letters() {
    let folder = TempDir::new();
    folder.write(
        "mon.cf",
        "hostgroup web web1\n\nwatch web\n\tservice http\n\t\tdescription é日本 text\n\t\tinterval\t5\n\t\tmonitor own.monitor é日本 'x\n",
    );
    let (_, said) = check(&folder, &[]);
    // Columns count characters, a tab is one; marks count the cells of a terminal.
    assert!(said.contains("mon.cf:6:12\n"), "{said}");
    assert!(said.contains("mon.cf:7:27\n"), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let marked = |text: &str| -> (usize, usize) {
        let at = lines
            .iter()
            .position(|line| line.contains(" | ") && line.contains(text))
            .expect("the line is shown");
        let cells = |text: &str| -> usize {
            let wide = |letter: char| {
                if ('\u{2e80}'..='\u{fffd}').contains(&letter) {
                    2
                } else {
                    1
                }
            };
            text.chars().map(wide).sum()
        };
        let before = lines[at].split(text).next().expect("a beginning");
        let mark = lines[at + 1].split('^').next().expect("a mark");
        (cells(before), cells(mark))
    };
    let (text, mark) = marked("5");
    assert_eq!(text, mark, "{said}");
    let (text, mark) = marked("'x");
    assert_eq!(text, mark, "{said}");
}

#[test]
fn a_state_folder_that_is_not_there_and_a_port_that_is_none_are_told() {
    let folder = folder();
    let text = folder.read("mon.cf");
    let root = folder.path().display();
    let with = |lines: &str| {
        let own = format!("statedir = {root}\n");
        folder.write("mon.cf", text.replace(&own, lines));
        check(&folder, &[])
    };
    let (output, said) = with(&format!("statedir = {root}/stat\nserverport = 0\n"));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("statedir stat does not exist"), "{said}");
    assert!(
        said.contains("serverport = 0 takes another free port"),
        "{said}"
    );
    let (output, said) = with("trapport = http\n");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("write a port from 1 to 65535"), "{said}");
}

#[test]
fn each_virtual_section_is_told_with_its_servers_and_who_decides() {
    let folder = folder();
    let text = folder.read("mon.cf").replace(
        "hostgroup web web1\n",
        "hostgroup web web1 web2\nhostgroup gate gate1\n\nwatch gate\n service ping\n  interval 5s\n  \
         monitor fping.monitor\n",
    ) + "\nvirtual 10.0.0.3:80\n scheduler sh sh-port\n real web weight 5\n \
         real [::7]:80 forward tun upper 9 service gate:ping\n real own port 80 service none\n \
         service web:http\n fall 2\n min_live 50%\n fallback sorry:8081 forward nat\n \
         on_failure drain 1m\n foreign keep\n on_exit remove\n initial out\n \
         slow_start 30s\n";
    folder.write("mon.cf", text);
    let (output, said) = check(&folder, &[]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let expected = "\
virtual 10.0.0.3:80/tcp is scheduler sh sh-port; 4 real servers
        web1:80 web2:80: dr, weight 5, decided by web:http
        [::7]:80: tun, weight 1, upper 9, decided by gate:ping (as a whole)
        own:80: dr, weight 1, always in
        sorry:8081: nat, weight 1, while none of these is healthy
        fall 2, rise 1, on_failure drain 1m, min_live 50%, recheck 500ms, slow_start 30s, initial out, \
foreign keep, on_exit remove
";
    assert!(said.contains(expected), "{said}");
    let (output, _) = check(&folder, &["--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let section = &answer["virtual_services"][0];
    assert_eq!(section["virtual_service"], "10.0.0.3:80/tcp");
    assert_eq!(section["servers"][2]["server"], "[::7]:80");
    assert_eq!(
        section["servers"][0],
        json!({
            "server": "web1:80",
            "forward": "dr",
            "weight": 5,
            "upper": 0,
            "lower": 0,
            "services": ["web:http"],
        })
    );
    assert_eq!(section["fallback"]["forward"], "nat");
}
