//! What is said while nobody can read the kernel's table: what is wanted, and that nobody knows.

use super::farm::{Farm, SOON};
use crate::support::wait_until;

#[test]
fn nobody_is_told_that_the_fallback_serves_while_the_table_cannot_be_read() {
    let mut farm = Farm::new();
    let port = farm.port;
    farm.folder.write("state/table", "");
    farm.configure(&farm.section(
        port,
        &format!("\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 5\n"),
        "    fallback 127.0.0.13 weight 2\n",
    ));
    farm.start_healthy();
    wait_until("the daemon's own look at what it changed", SOON, || {
        let why = farm.output(&["why", "127.0.0.11"]);
        String::from_utf8_lossy(&why.stdout).contains("kernel     weight 5")
    });
    farm.folder.write("state/table", "junk\n");
    farm.wait_for_log("cannot read the virtual server table");
    farm.break_server(1);
    farm.break_server(2);
    farm.wait_for_log(&format!(
        "the fallback 127.0.0.13:{port} is wanted to serve, but nobody knows whether the kernel's \
         table has it so: it cannot be read: "
    ));
    let why = farm.output(&["why", "127.0.0.11"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    for expected in [
        "but nobody knows what the kernel has (last seen: in the table with weight 5)",
        "0 of 2 real servers are wanted to serve",
        "; but nobody knows whom new connections reach",
    ] {
        assert!(why.contains(expected), "{expected:?} is not in\n{why}");
    }
}
