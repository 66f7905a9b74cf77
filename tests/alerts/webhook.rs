//! Webhooks to a real receiver.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use lvsmon::engine::event::DeliveryOutcome;
use serde_json::json;

use super::harness::{Mailroom, block_on, call, quick, settings, spooled, until};
use super::servers::{Receiver, have_receiver};
use crate::support::{TempDir, lvsmon, lvsmon_path, root};

const RELAY: &str = "smtp://127.0.0.1:1";

fn given_up(done: &[(u64, DeliveryOutcome)]) -> &str {
    match done {
        [(_, DeliveryOutcome::GivenUp(why))] => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_receiver_gets_the_documented_message() {
    if !have_receiver("the_receiver_gets_the_documented_message") {
        return;
    }
    let receiver = Receiver::start(&json!({}));
    let state = TempDir::new();
    let token = state.write("token", "Bearer t0ken\n");
    private(&token);
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        let header = format!("Authorization: @{}", token.display());
        let url = receiver.url();
        let args = ["-H", &header, &url];
        outbox.outbox.send(call(1, "http", "webhook.alert", &args));
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
    });
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let body = &requests[0].body;
    assert_eq!(body["schema"], "lvsmon.alert/1");
    assert_eq!(body["event"], "farm/http/1795215956/failure/1");
    assert_eq!(body["summary"], "web1 number1");
    assert_eq!(body["results"][0]["reason"], "refused");
    let (fields, of_results) = documented();
    assert_eq!(names(body), fields, "docs/webhook.md says otherwise");
    let result = names(&body["results"][0]);
    assert_eq!(result, of_results, "docs/webhook.md says otherwise");
    assert_eq!(requests[0].headers[0].len(), 32, "Idempotency-Key");
    assert_eq!(
        requests[0].headers[1..],
        ["application/json", "Bearer t0ken"]
    );
    assert!(spooled(&state).is_empty());
}

/// The names of an object's fields.
fn names(object: &serde_json::Value) -> BTreeSet<String> {
    object
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

/// The fields that docs/webhook.md names: of the object, and of each of its `results`.
fn documented() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(root().join("docs/webhook.md")).expect("the document");
    let rows: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" |").map(|row| row.0))
        .flat_map(|cell| cell.split(", "))
        .map(|word| word.trim_matches('`'))
        .collect();
    let (of_results, fields): (Vec<&str>, Vec<&str>) = rows
        .into_iter()
        .partition(|name| name.starts_with("results[]."));
    let own = |name: &str| name.trim_start_matches("results[].").to_owned();
    let set = |names: Vec<&str>| names.into_iter().map(own).collect();
    (set(fields), set(of_results))
}

#[test]
fn alone_it_posts_what_mon_hands_it() {
    if !have_receiver("alone_it_posts_what_mon_hands_it") {
        return;
    }
    let receiver = Receiver::start(&json!({}));
    let marks = [
        "-s",
        "http",
        "-g",
        "farm",
        "-h",
        "web1 web2",
        "-t",
        "1795215956",
    ];
    let url = receiver.url();
    let mut stand_in = Command::new(root().join("alert.d/webhook.alert"));
    stand_in
        .args(marks)
        .args(["-u", &url])
        .env("LVSMON", lvsmon_path());
    let mut own = lvsmon(["alert", "webhook"]);
    own.args(marks).arg(&url).env("MON_RETVAL", "3");
    for mut command in [stand_in, own] {
        let said = command.stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{said:?}");
    }
    let requests = receiver.requests();
    let told: Vec<_> = requests
        .iter()
        .map(|request| {
            let body = &request.body;
            let part = |name: &str| body[name].to_string();
            ["schema", "kind", "group", "service", "members", "exit"].map(part)
        })
        .collect();
    let expected = |kind: &str, exit: &str| {
        [
            "\"lvsmon.alert/1\"",
            kind,
            "\"farm\"",
            "\"http\"",
            "[\"web1\",\"web2\"]",
            exit,
        ]
        .map(str::to_owned)
    };
    assert_eq!(
        told,
        [expected("\"up\"", "null"), expected("\"failure\"", "3")]
    );

    let missing = format!("{url}-missing");
    let refused = lvsmon(["alert", "webhook", "-s", "http", "-g", "farm", &missing])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("404"), "{said}");
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).unwrap();
}

#[test]
fn the_receiver_itself_verifies_the_signature() {
    if !have_receiver("the_receiver_itself_verifies_the_signature") {
        return;
    }
    let rule = json!({
        "trigger-rule": {"match": {
            "type": "payload-hmac-sha256",
            "secret": "k3y",
            "parameter": {"source": "header", "name": "X-Lvsmon-Signature"},
        }},
    });
    let receiver = Receiver::start(&rule);
    let state = TempDir::new();
    block_on(async {
        let mut limits = quick();
        // The receiver answers 500 to a wrong signature: so that the reason comes to light.
        limits.give_up_after = Duration::ZERO;
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, limits));
        let url = receiver.url();
        for (number, key) in [(1, "k3y"), (2, "wrong")] {
            let file = state.write(key, format!("{key}\n"));
            private(&file);
            let args = ["-k", file.to_str().unwrap(), &url];
            outbox
                .outbox
                .send(call(number, "http", "webhook.alert", &args));
        }
        assert_eq!(outbox.done(1).await, [(1, DeliveryOutcome::Done)]);
        let done = outbox.done(1).await;
        assert!(given_up(&done).contains("answers 500"), "{done:?}");
    });
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn what_the_receiver_never_takes_is_given_up_at_once() {
    if !have_receiver("what_the_receiver_never_takes_is_given_up_at_once") {
        return;
    }
    let receiver = Receiver::start(&json!({}));
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        let url = format!("{}-missing", receiver.url());
        outbox
            .outbox
            .send(call(1, "http", "webhook.alert", &[&url]));
        let done = outbox.done(1).await;
        assert!(given_up(&done).contains("404"), "{done:?}");
    });
}

#[test]
fn redirects_are_not_followed() {
    if !have_receiver("redirects_are_not_followed") {
        return;
    }
    let receiver = Receiver::down();
    let location = json!([{"name": "Location", "value": receiver.url()}]);
    let mut receiver = receiver;
    receiver.up(&json!({
        "success-http-response-code": 307,
        "response-headers": location,
    }));
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        outbox
            .outbox
            .send(call(1, "http", "webhook.alert", &[&receiver.url()]));
        let done = outbox.done(1).await;
        let why = given_up(&done);
        assert!(why.contains("redirects to http://127.0.0.1:"), "{why}");
        assert!(!why.contains("/hooks/"), "a path may be a secret: {why}");
    });
    assert_eq!(receiver.requests().len(), 1, "asked once, not sent round");
}

#[test]
fn a_receiver_that_fails_gets_the_same_message_again() {
    if !have_receiver("a_receiver_that_fails_gets_the_same_message_again") {
        return;
    }
    let receiver = Receiver::start(&json!({}));
    receiver.set_broken(true);
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        for number in 1..=3 {
            outbox
                .outbox
                .send(call(number, "http", "webhook.alert", &[&receiver.url()]));
        }
        until("a few refusals", || receiver.refused() >= 3).await;
        assert_eq!(spooled(&state).len(), 3);
        receiver.set_broken(false);
        let done: Vec<u64> = outbox.done(3).await.into_iter().map(|(n, _)| n).collect();
        assert_eq!(done, [1, 2, 3]);
    });
    let requests = receiver.requests();
    let events: Vec<&str> = requests
        .iter()
        .filter_map(|r| r.body["event"].as_str())
        .collect();
    let expected: Vec<String> = (1..=3)
        .map(|number| format!("farm/http/1795215956/failure/{number}"))
        .collect();
    assert_eq!(events, expected, "in order");
}

#[test]
fn retry_after_is_honoured() {
    if !have_receiver("retry_after_is_honoured") {
        return;
    }
    let receiver = Receiver::start(&json!({
        "success-http-response-code": 503,
        "response-headers": [{"name": "Retry-After", "value": "3"}],
    }));
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        for number in [1, 2] {
            let url = receiver.url();
            outbox
                .outbox
                .send(call(number, "http", "webhook.alert", &[&url]));
        }
        until("a second attempt", || receiver.requests().len() == 2).await;
        receiver.change(&json!({}));
        assert_eq!(outbox.done(2).await.len(), 2);
    });
    let requests = receiver.requests();
    let wait = Duration::from_nanos(u64::try_from(requests[1].at - requests[0].at).unwrap());
    // The first time stamp is taken a moment before the answer, from which the wait counts.
    assert!(
        wait >= Duration::from_secs(3),
        "it came back after {wait:?}"
    );
    assert!(
        wait < Duration::from_secs(20),
        "it came back after {wait:?}"
    );
    let first_two = [&requests[0].body["event"], &requests[1].body["event"]];
    let first = "farm/http/1795215956/failure/1";
    assert_eq!(first_two, [first, first], "the second message waits too");
}

#[test]
fn a_receiver_that_is_down_for_a_while_loses_nothing() {
    if !have_receiver("a_receiver_that_is_down_for_a_while_loses_nothing") {
        return;
    }
    let mut receiver = Receiver::down();
    let state = TempDir::new();
    block_on(async {
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, quick()));
        for number in 1..=5 {
            let url = receiver.url();
            outbox
                .outbox
                .send(call(number, "http", "webhook.alert", &[&url]));
        }
        until("all in the spool", || spooled(&state).len() == 5).await;
        receiver.up(&json!({}));
        outbox.done(2).await;
        receiver.kill();
        for number in 6..=8 {
            let url = receiver.url();
            outbox
                .outbox
                .send(call(number, "http", "webhook.alert", &[&url]));
        }
        receiver.up(&json!({}));
        outbox.done(6).await;
    });
    // At least once: what was under way when it was killed may come twice.
    let events: BTreeSet<String> = receiver
        .requests()
        .iter()
        .map(|request| request.body["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events.len(), 8, "{events:?}");
}

#[test]
fn a_receiver_that_never_answers_is_left_after_the_time_limit() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let state = TempDir::new();
    block_on(async {
        let mut limits = quick();
        limits.give_up_after = Duration::ZERO; // So that the reason comes to light.
        let mut outbox = Mailroom::start(settings(&state, RELAY, Duration::ZERO, limits));
        outbox
            .outbox
            .send(call(1, "http", "webhook.alert", &["-w", "1", &url]));
        let done = outbox.done(1).await;
        assert!(given_up(&done).contains("no answer within 1 s"), "{done:?}");
    });
}
