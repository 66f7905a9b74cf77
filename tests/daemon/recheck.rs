//! `fall` is reached by checks between two slots, of whoever failed and nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::farm::{Farm, SOON};
use crate::support::wait_for;

/// How many failures take a server out.
const FALL: usize = 4;

/// Answers each request with this, and counts them.
fn serve(listener: TcpListener, answer: &'static [u8]) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(answer);
        }
    });
    count
}

#[test]
fn a_server_that_fails_is_out_after_fall_checks_long_before_the_next_slot() {
    let (one, two, port) = wait_for("a port that is free on both addresses", SOON, || {
        let one = TcpListener::bind(("127.0.0.11", 0)).ok()?;
        let port = one.local_addr().ok()?.port();
        let two = TcpListener::bind(("127.0.0.12", port)).ok()?;
        Some((one, two, port))
    });
    let bad = serve(one, b"HTTP/1.0 500 out of order\r\n\r\n");
    let good = serve(two, b"HTTP/1.0 200 OK\r\n\r\n");
    let mut farm = Farm::new();
    farm.fill_table(port);
    farm.configure(&farm.section(
        port,
        &format!("\tinterval 1h\n\tmonitor http.monitor -p {port} -t 5\n"),
        &format!("    fall {FALL}\n    recheck 0.2s\n"),
    ));
    farm.start();
    farm.wait_for_log("real server out");
    let counts = [&bad, &good].map(|it| it.load(Ordering::SeqCst));
    assert_eq!(counts, [FALL, 1], "{}", farm.log());
    farm.wait_for_table(&[(2, 5)]);
}
