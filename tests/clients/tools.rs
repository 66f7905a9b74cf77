//! The clients that mon ships, unchanged: moncmd, monshow, monfailures, mon.cgi, and its Perl
//! library, of which every method is called.

use std::process::Command;

use super::daemon::{LIMIT, Served};
use crate::support::{have, skip, wait_until};

const CGI: &str = "/usr/lib/cgi-bin/mon.cgi";

/// What a client says, on both outputs.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{errors}");
    said
}

fn moncmd(served: &Served, words: &[&str]) -> String {
    let port = served.port.to_string();
    output(
        Command::new("moncmd")
            .args(["-s", "127.0.0.1", "-p", &port])
            .args(words),
    )
}

#[test]
fn moncmd_asks_and_disables() {
    if !have("moncmd") {
        return skip("moncmd_asks_and_disables", "moncmd");
    }
    let served = Served::open();
    assert_eq!(
        moncmd(&served, &["list", "group", "web"]),
        "hostgroup web h1 h2\n220 list group completed\n"
    );
    // What skymon, the pager's gateway, does with it.
    assert_eq!(
        moncmd(&served, &["disable", "host", "h2"]),
        "220 disable host completed\n"
    );
    assert_eq!(
        moncmd(&served, &["list", "disabled"]),
        "group web: h2\n220 list disabled completed\n"
    );
    assert_eq!(
        moncmd(&served, &["enable", "host", "h2"]),
        "220 enable completed\n"
    );
}

#[test]
fn monshow_and_monfailures_show_what_fails() {
    let test = "monshow_and_monfailures_show_what_fails";
    if !have("monshow") || !have("monfailures") {
        return skip(test, "monshow and monfailures");
    }
    let served = Served::open();
    served.wait_for_reports();
    let port = served.port.to_string();
    let of = ["--server", "127.0.0.1", "--port", &port];
    let home = served.folder.path();
    let shown = output(
        Command::new("monshow")
            .env("HOME", home)
            .args(of)
            .arg("--full"),
    );
    let row = |group: &str, service: &str| {
        let row = shown.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1..3) == Some(&[group, service][..])
        });
        row.unwrap_or_else(|| panic!("no {group} {service} in {shown}"))
    };
    assert!(row("web", "http").contains("FAIL"), "{shown}");
    assert!(row("web", "http").contains("h1 h2"), "{shown}");
    assert!(!row("web", "ping").contains("FAIL"), "{shown}");
    assert!(shown.contains("scheduler running"), "{shown}");
    // It exits with 1 where something fails.
    let mut monfailures = Command::new("monfailures");
    let failures = monfailures.env("HOME", home).args(of).output().unwrap();
    let failures = String::from_utf8_lossy(&failures.stdout).into_owned();
    assert!(failures.contains("web"), "{failures}");
    assert!(!failures.contains("smtp"), "{failures}");
}

/// The page of a query.
fn cgi(served: &Served, query: &str) -> String {
    let query = format!("h=127.0.0.1&p={}&{query}", served.port);
    output(
        Command::new("perl")
            .args(["-T", CGI])
            .env("REQUEST_METHOD", "GET")
            .env("QUERY_STRING", query)
            .env("SCRIPT_NAME", "/cgi-bin/mon.cgi")
            .env("SERVER_NAME", "localhost")
            .env("SERVER_PORT", "80")
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("REMOTE_ADDR", "127.0.0.1"),
    )
}

#[test]
fn the_pages_of_mon_cgi_show_and_change_what_is() {
    if !std::path::Path::new(CGI).is_file() {
        return skip("the_pages_of_mon_cgi_show_and_change_what_is", CGI);
    }
    let served = Served::open();
    served.wait_for_reports();
    // Not its full view and its pages with forms, which a Perl of today refuses whatever the
    // daemon says.
    let page = cgi(&served, "command=query_opstatus");
    assert!(page.contains("query_group"), "{page}");
    assert!(page.contains("http"), "{page}");
    assert!(page.contains("running"), "{page}");
    for command in ["list_alerthist", "list_pids"] {
        let page = cgi(&served, &format!("command={command}"));
        assert!(
            page.contains("</html>") || page.contains("</HTML>"),
            "{page}"
        );
    }
    let page = cgi(&served, "command=mon_schedctl&args=stop");
    assert!(page.contains("stopped"), "{page}");
    let mut client = served.client();
    assert!(client.ask("list state")[0].starts_with("scheduler stopped"));
}

#[test]
fn every_method_of_the_perl_library_works() {
    let mut perl = Command::new("perl");
    let has_library = perl.args(["-MMon::Client", "-e", "1"]).output();
    if !has_library.is_ok_and(|output| output.status.success()) {
        return skip("every_method_of_the_perl_library_works", "Mon::Client");
    }
    let mut served = Served::open();
    served.wait_for_reports();
    let port = served.port.to_string();
    let said =
        output(
            Command::new("perl")
                .arg("-w")
                .args(["-e", include_str!("library.pl"), &port]),
        );
    assert!(said.ends_with("all methods done\n"), "{said}");
    assert!(served.running.wait(LIMIT).success());
}

#[test]
fn an_acknowledgement_by_the_library_is_shown_with_user_and_text() {
    if !have("moncmd") {
        let test = "an_acknowledgement_by_the_library_is_shown_with_user_and_text";
        return skip(test, "Mon::Client");
    }
    let served = Served::open();
    served.wait_for_reports();
    let script = "use Mon::Client; my $c = Mon::Client->new(host => '127.0.0.1', \
        port => shift); $c->connect or die; $c->username('admin'); $c->password('secret'); \
        $c->login or die; $c->ack('web', 'http', q(it's \"on\" now)) or die $c->error;";
    let port = served.port.to_string();
    output(Command::new("perl").args(["-e", script, &port]));
    let mut client = served.client();
    wait_until("the acknowledgement", LIMIT, || {
        client.ask("list failures")[0]
            .contains(" ackcomment=admin:\\20it\\27s\\20\\22on\\22\\20now ")
    });
}

/// A monitor's words with everything in them that means something to the protocol.
const ODD: &str = r#"#!/bin/sh
printf 'it'"'"'s "down" (x=1) a=b \\ c \\41 z\\ \303\251 \000 \t \177 %%20 {h} $x `y` ~|end\n'
printf 'first\\n=x\n\n  "q" (p) '"'"'\000 \303\251 \\\\ \\5c\r\nlast=1=2'
exit 1
"#;

/// What the library made of them when mon 1.3.6 ran that monitor. It takes no doubled backslash
/// back, and reads digits behind one as a letter (P-6).
const ODD_AS_OF_MON: &str = concat!(
    r#"last_summary: it's "down" (x=1) a=b <5c><5c> c <5c>A z<5c><5c> <c3><a9> <00> <09> <7f> "#,
    "%20 {h} $x `y` ~|end\n",
    r#"last_detail: first<5c><5c>n=x<0a><0a>  "q" (p) '<00> <c3><a9> <5c><5c><5c><5c> "#,
    "<5c><5c><0d><0a>last=1=2\n",
);

#[test]
fn the_library_reads_odd_words_of_a_monitor_as_from_mon() {
    let mut perl = Command::new("perl");
    let has_library = perl.args(["-MMon::Client", "-e", "1"]).output();
    if !has_library.is_ok_and(|output| output.status.success()) {
        let test = "the_library_reads_odd_words_of_a_monitor_as_from_mon";
        return skip(test, "Mon::Client");
    }
    let served = Served::open();
    // Beside it and renamed: a program that is being written cannot be run.
    served.folder.write_executable("odd", ODD);
    let (odd, down) = (
        served.folder.join("odd"),
        served.folder.join("down.monitor"),
    );
    std::fs::rename(odd, down).unwrap();
    let port = served.port.to_string();
    let said = output(Command::new("perl").args(["-e", include_str!("words.pl"), &port]));
    assert_eq!(said, ODD_AS_OF_MON);
}
