//! Reload, restart, and keys that the file no longer declares (D4, D7).

use super::names::fixture_entry;
use super::*;

/// A kernel with the virtual service and these real servers.
fn kernel(servers: &[&str]) -> Table {
    let mut entry = fixture_entry();
    for server in servers {
        entry.servers.insert(
            RealServerKey(format!("{server}:80").parse().unwrap()),
            RealServer::new(Forwarding::Dr, Weight(5)),
        );
    }
    BTreeMap::from([(VS.parse().unwrap(), entry)])
}

fn servers(table: &Table) -> Vec<String> {
    let entries = table.values().flat_map(|entry| entry.servers.keys());
    entries.map(|key| key.0.ip().to_string()).collect()
}

#[test]
fn reload_of_the_same_file_does_nothing() {
    let mut farm = Farm::new(&["www/http w1,w2 10.0.0.3:80/tcp each -B", HOWTO[0]]);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.fails("www1/http", "");
    farm.said();
    let before = (farm.wanted(), farm.journal.clone());
    let now = farm.now();
    let model = Arc::clone(&farm.model);
    let turned = farm.bindings.turned(&model);
    let actions = farm
        .bindings
        .reload(now, &model, (Past::default(), &turned));
    assert_eq!(actions, []);
    assert_eq!((farm.wanted(), farm.journal.clone()), before);
}

#[test]
fn a_dropped_server_is_deleted_and_then_forgotten() {
    let mut farm = Farm::new(&HOWTO);
    let mut table = kernel(&["192.168.0.1", "192.168.0.2", "192.168.0.7"]);
    farm.fails("www1/http", "");
    farm.succeeds("www2/http");
    farm.applies(&mut table);
    farm.reloads(&HOWTO[..1]);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=out 192.168.0.2=out")]
    );
    assert!(farm.said().contains(&"192.168.0.2 dropped".to_owned()));
    farm.applies(&mut table);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.1=out")]);
    assert_eq!(servers(&table), ["192.168.0.7"]);
    assert_eq!(
        farm.journal_keys(),
        ["declared 10.0.0.3:80/tcp 192.168.0.1:80", "gate www1/http"]
    );
}

#[test]
fn what_the_file_dropped_while_the_daemon_was_gone_is_deleted() {
    let mut farm = Farm::new(&[HOWTO[0], "www3/http w3 10.0.0.4:80/tcp 192.168.0.3 -B"]);
    let mut table = kernel(&["192.168.0.1"]);
    farm.succeeds("www1/http");
    farm.succeeds("www3/http");
    farm.applies(&mut table);
    assert_eq!(table.len(), 2);
    let mut farm = farm.restarted(&HOWTO[1..]);
    assert_eq!(
        farm.wanted(),
        [
            format!("{VS} foreign 192.168.0.1=out 192.168.0.2=found"),
            "10.0.0.4:80/tcp absent 192.168.0.3=out".to_owned()
        ]
    );
    farm.applies(&mut table);
    assert_eq!(servers(&table), Vec::<String>::new());
    assert_eq!(table.len(), 1, "the foreign virtual service stays");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.2=found")]);
    assert_eq!(
        farm.journal_keys(),
        ["declared 10.0.0.3:80/tcp 192.168.0.2:80"]
    );
}

#[test]
fn a_server_that_may_just_be_entering_is_not_forgotten_too_early() {
    let mut farm = Farm::new(&HOWTO);
    farm.succeeds("www2/http");
    farm.reloads(&HOWTO[..1]);
    // A look from before: the applier has not added it yet.
    let before = TableOutcome {
        table: TableLook::Read(Arc::new(kernel(&[]))),
        ..TableOutcome::default()
    };
    let actions = farm.bindings.table_seen(fixture::at(farm.seconds), &before);
    farm.perform(actions);
    assert!(farm.wanted()[0].ends_with("192.168.0.2=out"));
    // A look that could not be made proves nothing either.
    let unreadable = TableOutcome {
        table: TableLook::Unreadable("no module".to_owned()),
        ..TableOutcome::default()
    };
    let actions = farm
        .bindings
        .table_seen(fixture::at(farm.seconds), &unreadable);
    farm.perform(actions);
    assert!(farm.wanted()[0].ends_with("192.168.0.2=out"));
    let actions = farm.bindings.table_seen(fixture::at(farm.seconds), &before);
    farm.perform(actions);
    assert!(farm.wanted()[0].ends_with("192.168.0.1=found"));
}

#[test]
fn a_server_declared_again_before_it_left_stays() {
    let mut farm = Farm::new(&HOWTO);
    farm.succeeds("www2/http");
    farm.reloads(&HOWTO[..1]);
    farm.reloads(&HOWTO);
    assert!(farm.wanted()[0].ends_with("192.168.0.2=found"));
    farm.succeeds("www2/http");
    assert!(farm.wanted()[0].ends_with("192.168.0.2=in"));
}

#[test]
fn without_b_a_virtual_service_is_left_to_others_from_now_on() {
    let mut farm = Farm::new(&["www1/http w1 10.0.0.3:80/tcp 192.168.0.1 -B"]);
    let mut table = Table::new();
    farm.succeeds("www1/http");
    farm.applies(&mut table);
    farm.reloads(&["www1/http w1 10.0.0.3:80/tcp 192.168.0.1"]);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.1=in")]);
    farm.reloads(&["www1/http w1"]);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.1=out")]);
    farm.applies(&mut table);
    assert_eq!(table.len(), 1);
    assert!(farm.wanted().is_empty());
    assert!(farm.journal.records.is_empty());
}

#[test]
fn verdicts_go_over_a_reload_but_not_over_a_restart() {
    let mut farm = Farm::new(&HOWTO);
    farm.fails("www1/http", "");
    farm.succeeds("www2/http");
    let turned: Vec<&str> = HOWTO.iter().rev().copied().collect();
    farm.reloads(&turned);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=out 192.168.0.2=in")]
    );
    let mut farm = farm.restarted(&HOWTO);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=found 192.168.0.2=found")]
    );
    // But the gate is open: the first failure counts, whatever the rules say.
    farm.fails_quietly("www1/http", "");
    farm.fails_quietly("www2/http", "");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=out 192.168.0.2=found")]
    );
    farm.succeeds("www1/http");
    let mut farm = farm.restarted(&HOWTO);
    farm.fails_quietly("www1/http", "");
    assert!(farm.wanted()[0].contains("192.168.0.1=found"));
}

#[test]
fn a_withdrawal_that_only_a_person_ends_holds_at_once_after_a_restart() {
    let lines = ["www1/http w1 10.0.0.3:80/tcp 192.168.0.1 op"];
    let mut farm = Farm::new(&lines);
    farm.fails("www1/http", "");
    let mut farm = farm.restarted(&lines);
    assert!(farm.wanted()[0].ends_with("=out"));
    let since = farm.bindings.real_servers()[0].withdrawals[0].since;
    assert_eq!(since, fixture::at(1.0).wall);
    farm.succeeds("www1/http");
    assert!(farm.wanted()[0].ends_with("=out"));
    farm.enables("192.168.0.1").unwrap();
    assert!(farm.wanted()[0].ends_with("=in"));
    let farm = farm.restarted(&lines);
    assert!(farm.wanted()[0].ends_with("=found"));
    assert!(
        !farm
            .journal_keys()
            .iter()
            .any(|key| key.starts_with("withdrawal"))
    );
}

#[test]
fn adding_or_removing_the_upalert_line_changes_what_ends_a_withdrawal() {
    let (by_success, by_person) = (
        ["www1/http w1 10.0.0.3:80/tcp 192.168.0.1"],
        ["www1/http w1 10.0.0.3:80/tcp 192.168.0.1 op"],
    );
    let mut farm = Farm::new(&by_success);
    farm.fails("www1/http", "");
    farm.reloads(&by_person);
    farm.succeeds("www1/http");
    assert!(farm.wanted()[0].ends_with("=out"));
    farm.reloads(&by_success);
    assert!(farm.wanted()[0].ends_with("=in"));
    // What a person has ended is not begun again by a reload.
    farm.reloads(&by_person);
    farm.fails("www1/http", "");
    farm.enables("192.168.0.1").unwrap();
    farm.reloads(&by_person);
    assert!(farm.wanted()[0].ends_with("=in"));
}

#[test]
fn a_service_with_other_hosts_must_be_heard_again() {
    let mut farm = Farm::new(&["www1/http old 10.0.0.3:80/tcp 192.168.0.1"]);
    farm.succeeds("www1/http");
    farm.reloads(&["www1/http new 10.0.0.3:80/tcp 192.168.0.9"]);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=out 192.168.0.9=found")]
    );
    farm.waits_until(620.0);
    assert!(
        farm.said()
            .iter()
            .any(|text| text.contains("no report came"))
    );
}

#[test]
fn a_new_host_of_a_group_is_awaited_while_the_others_stay() {
    let mut farm = Farm::new(&GROUP);
    farm.succeeds("www/http");
    farm.fails("www/http", "10.1.0.1");
    farm.reloads(&["www/http 10.1.0.1,10.1.0.2,10.1.0.4 10.0.0.3:80/tcp each"]);
    assert_eq!(
        farm.wanted(),
        [format!(
            "{VS} foreign 10.1.0.1=out 10.1.0.2=in 10.1.0.3=out 10.1.0.4=found"
        )]
    );
}

#[test]
fn unreadable_and_stale_records_are_dropped() {
    let mut journal = Saved::default();
    for key in [
        "gate gone/http",
        "gate www1/http",
        "withdrawal x",
        "withdrawal y",
        "declared x",
        "service www1/http",
    ] {
        let value = serde_json::json!({"group": "gone", "service": "http", "since": 5});
        journal.records.insert(key.to_owned(), value);
    }
    let farm = Farm::started(&HOWTO, journal, 0.0);
    assert_eq!(
        farm.journal_keys(),
        [
            "declared 10.0.0.3:80/tcp 192.168.0.1:80",
            "declared 10.0.0.3:80/tcp 192.168.0.2:80",
            "declared x",
            "service www1/http"
        ]
    );
}

#[test]
fn a_report_that_says_nothing_takes_nothing_out_through_an_open_gate() {
    let mut farm = Farm::new(&["www/http 10.1.0.1 10.0.0.3:80/tcp each"]);
    farm.fails("www/http", "10.1.0.1");
    // Bound by -R from now on: its verdict as a whole is not known yet.
    farm.reloads(&["www/http 10.1.0.1 10.0.0.3:80/tcp 10.1.0.1"]);
    farm.failing("www/http", "?", Ruling::Blind);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=found")]);
    farm.fails_quietly("www/http", "?");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
}

#[test]
fn what_was_found_in_one_family_is_no_verdict_in_the_other() {
    let in_v4 = ["www/http w1 10.0.0.3:80/tcp each"];
    let in_v6 = ["www/http w1 [2001:db8::3]:80/tcp each"];
    for is_good in [true, false] {
        let mut farm = Farm::new(&in_v4);
        farm.resolves("w1", "10.1.0.1 2001:db8::1");
        let id = farm.id("www/http");
        if is_good {
            farm.succeeds("www/http");
        } else {
            farm.fails("www/http", "w1");
        }
        let behind = farm.reloads(&in_v6);
        assert_eq!(behind, [id].into(), "it is looked at");
        let found = "[2001:db8::3]:80/tcp foreign 2001:db8::1=found".to_owned();
        assert!(farm.wanted().contains(&found), "{:?}", farm.wanted());
        farm.succeeds("www/http");
        let good = found.replace("found", "in");
        assert!(farm.wanted().contains(&good), "{:?}", farm.wanted());
        // The same family again: what was found holds.
        assert!(farm.reloads(&in_v6).is_empty());
        assert!(farm.wanted().contains(&good), "{:?}", farm.wanted());
    }
}
