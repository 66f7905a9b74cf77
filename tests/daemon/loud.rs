//! What goes wrong with a virtual service as a whole reaches people by mail: what it is, who is out
//! and why, and once that it is over.

use std::time::Duration;

use super::farm::Farm;
use crate::alerts::servers::{Mail, Relay, have_relay};
use crate::support::wait_until;

/// A trouble is told when it has lasted for a second; a busy machine may be late by far more.
const LIMIT: Duration = Duration::from_secs(60);

/// Both real servers in a section with these lines, whose troubles alone are mailed.
fn start(relay: &Relay, lines: &str) -> Farm {
    let mut farm = Farm::new();
    farm.folder.write("state/table", "");
    let text = farm.section(
        farm.port,
        &format!(
            "\tinterval 0.3s\n\tmonitor http.monitor -p {} -t 5\n",
            farm.port
        ),
        &format!(
            "{lines}    alert mail.alert ops@d.example\n    upalert mail.alert ops@d.example\n"
        ),
    );
    farm.configure(&format!(
        "mail_relay = {}\nmail_domain = d.example\nmail_group_wait = 0s\n{text}",
        relay.url()
    ));
    farm.start_healthy();
    farm
}

/// The mail number `count` from 1 on, and that there is no other one behind it.
#[track_caller]
fn mail(relay: &Relay, count: usize) -> Mail {
    wait_until(&format!("mail {count}"), LIMIT, || {
        relay.mails().len() >= count
    });
    let mut mails = relay.mails();
    assert_eq!(mails.len(), count, "{mails:#?}");
    mails.remove(count - 1)
}

/// What the mail is about, and what it says.
#[track_caller]
fn parsed(mail: &Mail, farm: &Farm, trouble: &str, kind: &str) -> (String, String) {
    let event = mail.header("X-Lvsmon-Event");
    let of = format!("virtual/10.0.0.3:{}/tcp {trouble}/", farm.port);
    assert!(event.starts_with(&of), "{event}");
    assert!(event.contains(&format!("/{kind}/")), "{event}");
    assert_eq!(mail.to, ["ops@d.example"]);
    mail.parsed()
}

/// Of an event id: virtual/KEY TROUBLE/NUMBER/KIND/COUNT, where KEY ends with a protocol.
fn number(mail: &Mail) -> String {
    let event = mail.header("X-Lvsmon-Event");
    event.rsplit('/').nth(2).expect("a number").to_owned()
}

#[track_caller]
fn expect_lines(body: &str, lines: &[String]) {
    for line in lines {
        assert!(body.contains(line.as_str()), "no {line:?} in {body}");
    }
}

#[test]
fn below_min_live_a_mail_says_who_is_out_and_why() {
    if !have_relay("below_min_live_a_mail_says_who_is_out_and_why") {
        return;
    }
    let relay = Relay::start(&[]);
    let mut farm = start(&relay, "    min_live 2\n");
    let port = farm.port;
    farm.break_server(1);
    let first = mail(&relay, 1);
    let (subject, body) = parsed(&first, &farm, "too_few", "failure");
    expect_lines(
        &subject,
        &["ALERT".to_owned(), format!("10.0.0.3:{port}/tcp")],
    );
    expect_lines(
        &body,
        &[
            "min_live".to_owned(),
            format!("127.0.0.11:{port}  www/http since "),
            "kept in by min_live".to_owned(),
            format!("  in        127.0.0.12:{port}"),
        ],
    );
    farm.mend_server(1);
    let end = mail(&relay, 2);
    parsed(&end, &farm, "too_few", "up");
    assert_eq!(number(&end), number(&first));
    farm.wait_for_table(&[(1, 5), (2, 5)]);
}

#[test]
fn where_the_fallback_serves_a_mail_says_who_is_out_and_why() {
    if !have_relay("where_the_fallback_serves_a_mail_says_who_is_out_and_why") {
        return;
    }
    let relay = Relay::start(&[]);
    // Its own server is nobody's business here: a number that no other one has.
    let mut farm = start(&relay, "    fallback 127.0.0.13 weight 2\n");
    let port = farm.port;
    farm.break_server(1);
    farm.wait_for_table(&[(2, 5)]);
    farm.break_server(2);
    let first = mail(&relay, 1);
    farm.wait_for_table(&[(3, 2)]);
    let (_, body) = parsed(&first, &farm, "fallback", "failure");
    expect_lines(
        &body,
        &[
            "2 of 3 without clients".to_owned(),
            format!("  out       127.0.0.11:{port}  www/http since "),
            format!("  out       127.0.0.12:{port}  www/http since "),
            format!("  in        127.0.0.13:{port}  the fallback, "),
        ],
    );
    farm.mend_server(2);
    let (_, body) = parsed(&mail(&relay, 2), &farm, "fallback", "up");
    expect_lines(
        &body,
        &[format!("  out       127.0.0.11:{port}  www/http since ")],
    );
    farm.wait_for_table(&[(2, 5)]);
}

#[test]
fn where_nobody_serves_a_mail_says_who_is_out_and_why() {
    if !have_relay("where_nobody_serves_a_mail_says_who_is_out_and_why") {
        return;
    }
    let relay = Relay::start(&[]);
    let mut farm = start(&relay, "");
    let port = farm.port;
    farm.break_server(1);
    farm.break_server(2);
    let (_, body) = parsed(&mail(&relay, 1), &farm, "no_server", "failure");
    farm.wait_for_table(&[]);
    expect_lines(
        &body,
        &[
            "2 of 2 without clients".to_owned(),
            format!("  out       127.0.0.11:{port}  www/http since "),
            format!("  out       127.0.0.12:{port}  www/http since "),
        ],
    );
    farm.mend_server(1);
    parsed(&mail(&relay, 2), &farm, "no_server", "up");
    farm.wait_for_table(&[(1, 5)]);
}
