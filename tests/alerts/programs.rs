//! Executable alerts: mon's contract, in order, bounded in time and number.

use std::time::Duration;

use lvsmon::daemon::outbox::Limits;
use lvsmon::engine::event::DeliveryOutcome;

use super::harness::{Mailroom, block_on, program_call, quick, settings, spooled, until};
use crate::support::{TempDir, root};

const RELAY: &str = "smtp://127.0.0.1:1";

#[test]
fn a_program_gets_what_mon_gives_it() {
    let state = TempDir::new();
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\n{ printf '[%s]' \"$@\"; echo; echo \"$MON_ALERTTYPE,$MON_DESCRIPTION\"; cat; } >\"${0%/*}/got\"\n",
    );
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        outbox
            .outbox
            .send(program_call(1, "http", &program, &["a", "b c"]));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    assert_eq!(
        state.read("got"),
        "[-s][http][-g][farm][-h][web1 web2][-t][1795215956][a][b c]\n\
         failure,the farm\n\
         web1 number1\n\nHOST web1: ERROR größer als 3 s\n.\nend\n"
    );
}

#[test]
fn the_sample_alert_works() {
    let state = TempDir::new();
    let sample = root().join("alert.d/sample-file.alert");
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        let folder = state.path().to_str().unwrap();
        let args = ["-d", folder, "farm.log"];
        outbox.outbox.send(program_call(1, "http", &sample, &args));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
        outbox.outbox.send(program_call(2, "http", &sample, &[]));
        let done = outbox.done(1).await;
        let DeliveryOutcome::GivenUp(why) = &done[0].1 else {
            panic!("{done:?}");
        };
        let begin = format!(
            "{} for farm/http: it ended with exit value 2",
            sample.display()
        );
        assert!(
            why.starts_with(&begin) && why.contains("give one file name"),
            "{why}"
        );
    });
    assert_eq!(
        state.read("farm.log"),
        "failure farm http 1795215956 web1 number1\nhosts: web1 web2\n\
         \nHOST web1: ERROR größer als 3 s\n.\nend\n.\n"
    );
}

#[test]
fn a_call_passes_one_before_it_that_hangs() {
    let state = TempDir::new();
    // The first call waits for the file `go`.
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\ncd \"${0%/*}\" || exit 1\nread -r line\n\
         case $line in *number1) while ! test -e go; do sleep 0.05; done;; esac\n\
         echo \"$line\" >>got\n",
    );
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        for (number, service) in [(1, "http"), (2, "http"), (3, "ping")] {
            outbox
                .outbox
                .send(program_call(number, service, &program, &[]));
        }
        let passed: Vec<u64> = outbox.done(2).await.into_iter().map(|(n, _)| n).collect();
        assert_eq!(passed, [3, 2], "another service waits for nobody");
        state.write("go", "");
        assert_eq!(outbox.done(1).await[0].0, 1);
    });
    let got = state.read("got");
    let numbers: Vec<&str> = got.lines().map(|line| &line[line.len() - 1..]).collect();
    assert_eq!(numbers, ["3", "2", "1"]);
}

#[test]
fn a_call_that_waited_in_the_spool_leaves_it_when_its_program_is_started() {
    let state = TempDir::new();
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\ncd \"${0%/*}\" || exit 1\necho ran >>got\nwhile ! test -e go; do sleep 0.05; done\n",
    );
    // Somebody copies it into place: it cannot be started for now.
    let busy = std::fs::File::options().append(true).open(&program);
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        outbox.outbox.send(program_call(1, "http", &program, &[]));
        until("it is in the spool", || spooled(&state).len() == 1).await;
        drop(busy.unwrap());
        until("it runs", || state.read("got") == "ran\n").await;
        // A crash from here on does not call it again.
        until("its file is gone", || spooled(&state).is_empty()).await;
        state.write("go", "");
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    assert_eq!(state.read("got"), "ran\n");
}

#[test]
fn only_so_many_programs_run_at_once() {
    let state = TempDir::new();
    // Each counts those that run, itself included, and runs until the file `go` is there.
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\ncd \"${0%/*}\" || exit 1\nmkdir running.$$\nset -- running.*\necho $# >>counts\n\
         while ! test -e go; do sleep 0.05; done\nrmdir running.$$\n",
    );
    block_on(async {
        let limits = Limits {
            programs: 2,
            ..quick()
        };
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, limits));
        for number in 1..=5 {
            let service = format!("s{number}");
            outbox
                .outbox
                .send(program_call(number, &service, &program, &[]));
        }
        until("two run", || state.read("counts").lines().count() >= 2).await;
        state.write("go", "");
        assert_eq!(outbox.done(5).await.len(), 5);
    });
    let counts = state.read("counts");
    assert_eq!(counts.lines().count(), 5, "{counts}");
    assert!(
        counts.lines().all(|count| ["1", "2"].contains(&count)),
        "{counts}"
    );
}

#[test]
fn a_program_that_never_ends_is_killed_with_its_children() {
    let state = TempDir::new();
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\nsleep 1000 &\necho $! $$ >\"${0%/*}/pids\"\nwait\n",
    );
    block_on(async {
        let limits = Limits {
            program_limit: Duration::from_secs(3),
            ..quick()
        };
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, limits));
        outbox.outbox.send(program_call(1, "http", &program, &[]));
        let done = outbox.done(1).await;
        assert_eq!(state.read("pids").split_whitespace().count(), 2);
        assert!(matches!(&done[0].1, DeliveryOutcome::GivenUp(why) if why.contains("time limit")));
        until("both are gone", || all_gone(&state.read("pids"))).await;
    });
}

#[test]
fn dropping_the_outbox_kills_what_runs() {
    let state = TempDir::new();
    let program = state.write_executable(
        "own.alert",
        "#!/bin/sh\nsleep 1000 &\necho $! $$ >\"${0%/*}/pids\"\nwait\n",
    );
    block_on(async {
        let outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        outbox.outbox.send(program_call(1, "http", &program, &[]));
        until("it runs", || state.read("pids").ends_with('\n')).await;
        drop(outbox);
        until("both are gone", || all_gone(&state.read("pids"))).await;
    });
}

/// Whether none of these processes runs; one that only waits to be reaped does not.
fn all_gone(pids: &str) -> bool {
    pids.split_whitespace().all(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
            stat.rsplit(')').next().unwrap_or("").starts_with(" Z")
        })
    })
}
