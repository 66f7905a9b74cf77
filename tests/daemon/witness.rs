//! The director's own link is cut (D17): the table stays, one alert is told, and behind it all is
//! as before.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::farm::{Farm, SOON};
use crate::support::wait_until;

/// A program in a folder of the farm.
fn program(farm: &Farm, name: &str, text: &str) {
    farm.folder.write(name, format!("#!/bin/sh\n{text}\n"));
    let path = farm.folder.join(name);
    let mut rights = path.metadata().unwrap().permissions();
    rights.set_mode(0o755);
    std::fs::set_permissions(path, rights).unwrap();
}

/// Two real servers of a section with a fallback; the gate answers while there is no file `cut`,
/// and every alert adds a line to the file `told`.
fn configure(farm: &Farm) {
    let folder = farm.folder.path().display();
    let port = farm.port;
    farm.folder.write("state/table", "");
    farm.folder.write("told", "");
    let told = format!(
        "echo \"$MON_ALERTTYPE $MON_GROUP\" >> {folder}/told\ncat > \"{folder}/told.$MON_GROUP\""
    );
    program(farm, "alert.d/told.alert", &told);
    let gate = format!("test ! -e {folder}/cut || {{ echo $1; exit 1; }}");
    program(farm, "mon.d/gate.monitor", &gate);
    let period = "\tperiod\n\t    alertevery 1h ignore_summary\n\t    alert told.alert\n\t    upalert told.alert\n";
    let globals = farm.globals();
    farm.configure(&format!(
        "{globals}witness = gate:up\n\n\
         hostgroup gate 127.0.0.13\n\nhostgroup www 127.0.0.11 127.0.0.12\n\n\
         watch gate\n    service up\n\tinterval 1h\n\tmonitor gate.monitor\n{period}\n\
         watch www\n    service http\n\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 5\n{period}\n\
         virtual 10.0.0.3:{port}\n    real www weight 5\n    service www:http\n\
         \x20   fallback 127.0.0.14:{port}\n"
    ));
}

fn lines_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn with_the_link_cut_the_table_stays_and_one_alert_is_told() {
    let mut farm = Farm::new();
    configure(&farm);
    farm.start_healthy();
    let told = farm.folder.join("told");

    farm.folder.write("cut", "");
    farm.break_server(1);
    farm.break_server(2);
    let mut client = farm.client();
    wait_until("failures that count for nothing", SOON, || {
        let why = client.why("www", "http").unwrap();
        let doubted = why
            .results
            .iter()
            .filter(|row| row.status.word() == "unknown");
        why.cut_off.is_some() && doubted.map(|row| row.count).sum::<u32>() >= 3
    });
    wait_until("the alert of the witness", SOON, || {
        lines_of(&told) == ["failure gate"]
    });
    let expected = "While gate:up fails, this director counts as cut off: ";
    wait_until("the text of the alert", SOON, || {
        farm.folder.read("told.gate").contains(expected)
    });
    assert_eq!(farm.in_table(), [(1, 5), (2, 5)].into());
    let page = farm.output(&["why", "127.0.0.11"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("the director is cut off"), "{page}");
    assert!(
        page.contains("was up, and what it says now counts for nothing"),
        "{page}"
    );
    let page = farm.output(&["table"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("the director is cut off since "), "{page}");
    let page = farm.output(&["why", "www/http"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("until gate:up is good"), "{page}");

    // The link is back, and one server died meanwhile.
    farm.mend_server(1);
    std::fs::remove_file(farm.folder.join("cut")).unwrap();
    farm.wait_for_table(&[(1, 5)]);
    farm.mend_server(2);
    farm.wait_for_table(&[(1, 5), (2, 5)]);
    let mut found = Vec::new();
    let all = ["failure gate", "failure www", "up gate", "up www"];
    wait_until("all that was told", SOON, || {
        found = lines_of(&told);
        found.sort_unstable();
        all.iter().all(|line| found.iter().any(|it| it == line))
    });
    assert_eq!(found, all);
    assert!(farm.log().contains("director cut off"), "{}", farm.log());
}
