//! mon itself with a file that has our sections: text between records, which it skips.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use super::Site;
use super::clients::Client;
use crate::support::{Running, find_program, root, skip, wait_until};

/// Settings that mon does not know, in the shipped file: with one of them it does not start.
const OURS: [&str; 3] = ["mail_relay", "mail_from", "witness"];

/// The shipped file in this site's folder, without what mon refuses.
fn configure(site: &Site, is_ours: impl Fn(&str) -> bool) {
    let folder = site.folder.path().display();
    let shipped = fs::read_to_string(root().join("etc/virtual.cf")).unwrap();
    assert!(shipped.matches("\nvirtual ").count() >= 3, "sections");
    let is_setting = |line: &&str, names: &[&str]| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        name.is_some_and(|name| names.contains(&name))
    };
    let is_left_out =
        |line: &&str| is_setting(line, &["statedir"]) || is_setting(line, &OURS) && is_ours(line);
    let kept = shipped.lines().filter(|line| !is_left_out(line));
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    let text = format!(
        "statedir = {folder}/state\nlogdir = {folder}/log\ncfbasedir = {folder}\n\
         authfile = {folder}/auth.cf\npidfile = {folder}/mon.pid\nserverbind = 127.0.0.1\n\
         trapbind = 127.0.0.1\nserverport = {}\ntrapport = {}\n{kept}",
        site.port, site.trapport
    );
    site.folder.write("mon.cf", text);
}

/// mon with it, its scheduler stopped: nobody asks the network.
fn start(site: &Site) -> Running {
    let log = File::create(site.folder.join("said")).unwrap();
    let errors = log.try_clone().unwrap();
    let mut command = Command::new(find_program("mon").unwrap());
    command.arg("-S").arg("-c").arg(site.folder.join("mon.cf"));
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    Running::start(&mut command)
}

#[test]
fn mon_itself_skips_our_sections_without_a_word() {
    let test = "mon_itself_skips_our_sections_without_a_word";
    if find_program("mon").is_none() {
        return skip(test, "mon");
    }
    let site = Site::new();
    configure(&site, |_| true);
    let mut mon = start(&site);
    let mut client = Client::connect(&site);
    for (group, members) in [
        ("web", "192.0.2.11 192.0.2.12 192.0.2.13"),
        ("dns", "192.0.2.51 192.0.2.52"),
        ("gate", "192.0.2.1"),
    ] {
        assert_eq!(
            client.ask(&format!("list group {group}")),
            [
                format!("hostgroup {group} {members}"),
                "220 list group completed".to_owned()
            ]
        );
    }
    // In no order of its own.
    let mut watches = client.ask("list watch");
    watches.sort();
    assert_eq!(
        watches,
        [
            "220 list watch completed",
            "dns tcp",
            "gate ping",
            "web http",
            "web ping"
        ]
    );
    assert!(mon.runs());
    // It repeats what clients ask, and has said nothing else.
    let said = site.folder.read("said");
    let others: Vec<&str> = said
        .lines()
        .filter(|it| !it.starts_with("client "))
        .collect();
    assert_eq!(others, [""; 0]);
    drop(mon);
    // What it says of what it does not skip, and where the silence ends.
    configure(&site, |line| !line.starts_with("witness"));
    let mut mon = start(&site);
    wait_until("the end of mon", super::SOON, || !mon.runs());
    let said = site.folder.read("said");
    assert!(said.contains("unknown variable 'witness'"), "{said}");
}
