//! Why a check failed is said with the same code wherever people or programs read of it: by `lvsmon
//! why`, in the log, in the mail and in the webhook.

use std::time::Duration;

use serde_json::Value;

use super::farm::Farm;
use crate::alerts::servers::{Receiver, Relay, have_receiver, have_relay};
use crate::support::wait_until;

/// A message is there within a second; a busy machine may be late by far more.
const LIMIT: Duration = Duration::from_secs(60);

/// `lvsmon why` of the first server, which is out.
fn why(farm: &Farm, more: &[&str]) -> String {
    let output = farm.output(&[&["why", "127.0.0.11"], more].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_refused_check_has_one_reason_in_why_the_log_the_mail_and_the_webhook() {
    let test = "a_refused_check_has_one_reason_in_why_the_log_the_mail_and_the_webhook";
    if !have_relay(test) || !have_receiver(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let receiver = Receiver::start(&serde_json::json!({}));
    let mut farm = Farm::new();
    let (port, hook) = (farm.port, receiver.url());
    let service = format!(
        "\tinterval 0.3s\n\tmonitor http.monitor -p {port} -t 5\n\tperiod\n\t    \
         alertevery 1h\n\t    alert mail.alert ops@d.example\n\t    alert webhook.alert {hook}\n"
    );
    let text = farm.section(port, &service, "");
    farm.configure(&format!(
        "mail_relay = {}\nmail_domain = d.example\nmail_group_wait = 0s\n{text}",
        relay.url()
    ));
    // Before the first check: one that is under way would find a connection without an answer.
    farm.fill_table(port);
    farm.break_server(1);
    farm.start();
    farm.wait_for_table(&[(2, 5)]);
    wait_until("mail and webhook", LIMIT, || {
        relay.mails().len() == 1 && receiver.requests().len() == 1
    });
    let text = format!("connection refused by 127.0.0.11:{port}");
    let out = format!("rs=127.0.0.11:{port} why=\"www/http: refused ({text})\"");
    assert!(farm.log().contains(&out), "{}", farm.log());
    let body = relay.mails().remove(0).parsed().1;
    let row = format!("  127.0.0.11  down     refused        {text}\n");
    assert!(body.contains(&row), "{body}");
    let told = receiver.requests().remove(0).body;
    let result = &told["results"][0];
    assert_eq!(result["host"], "127.0.0.11", "{told}");
    assert_eq!(result["reason"], "refused", "{told}");
    assert_eq!(result["text"], *text, "{told}");
    let page = why(&farm, &[]);
    for (label, words) in [
        (
            "  withdrawn  by www/http since ",
            format!(", refused: {text}"),
        ),
        ("  checked ", ": this host is down (refused)".to_owned()),
        ("  results ", format!(" down (refused): {text}")),
    ] {
        let line = page.lines().find(|line| line.starts_with(label));
        assert!(line.is_some_and(|line| line.ends_with(&words)), "{page}");
    }
    let known: Value = serde_json::from_str(&why(&farm, &["--json"])).expect("json");
    let check = &known["servers"][0]["checks"][0];
    for reason in [
        &check["reason"],
        &check["withdraws"]["reason"],
        &check["results"][0]["reason"],
    ] {
        assert_eq!(reason, "refused", "{known}");
    }
}
