//! Mail to a relay that is not on a loopback address, and to none that is named: in a network
//! namespace of its own, with the relay and the stand-alone alert side by side.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::servers::{PYTHON, certificate, have_relay};
use crate::support::{TempDir, have, is_root, lvsmon_path, root, skip};

/// Starts the relay with `$RELAY`, waits for its word, and sends one mail.
const SCRIPT: &str = "ip link set lo up && ip addr add 192.0.2.25/32 dev lo || exit 99
    eval \"$RELAY &\"
    for try in $(seq 3000); do test -e \"$BOX/port\" && break; sleep 0.02; done
    \"$LVSMON\" alert mail -s http -g farm ops </dev/null; status=$?
    kill $!
    exit $status";

/// Runs the script; none, and said so, where this is not allowed here.
fn apart(test: &str, mailbox: &Path, relay: &str, environment: &[(&str, &str)]) -> Option<Output> {
    if !is_root() || !have("ip") || !have("unshare") {
        skip(test, "root, iproute2 and unshare");
        return None;
    }
    let program = root().join("tests/alerts/relay.py");
    let relay = format!(
        "{PYTHON} {} --dir {} {relay}",
        program.display(),
        mailbox.display()
    );
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", SCRIPT])
        .env("RELAY", relay)
        .env("BOX", mailbox)
        .env("LVSMON", lvsmon_path())
        .env("LVSMON_MAIL_DOMAIN", "director.example")
        .env_remove("LVSMON_MAIL_RELAY")
        .env_remove("LVSMON_MAIL_LOGIN")
        .env_remove("SSL_CERT_FILE")
        .envs(environment.iter().copied())
        .output()
        .expect("unshare runs");
    if String::from_utf8_lossy(&output.stderr).contains("unshare failed") {
        skip(test, "a network namespace of its own");
        return None;
    }
    Some(output)
}

/// The only mail in the box, as the relay wrote it down.
fn only_mail(mailbox: &TempDir) -> serde_json::Value {
    serde_json::from_str(&mailbox.read("000000.json")).expect("one mail")
}

fn is_empty(mailbox: &TempDir) -> bool {
    !mailbox.join("000000.json").exists()
}

#[test]
fn a_password_goes_only_to_a_relay_that_proves_its_name() {
    let test = "a_password_goes_only_to_a_relay_that_proves_its_name";
    let folder = TempDir::new();
    let Some((cert, key)) = certificate(test, &folder) else {
        return;
    };
    if !have_relay(test) {
        return;
    }
    let login: PathBuf = folder.write("login", "user mon\npassword s3cret\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&login, mode).expect("its mode");
    let at = "--host 192.0.2.25 --port 2525 --login mon:s3cret";
    let tls = format!("{at} --cert {cert} --key {key}");
    let settings = [
        ("LVSMON_MAIL_RELAY", "smtp://192.0.2.25:2525"),
        ("LVSMON_MAIL_LOGIN", login.to_str().expect("text")),
    ];
    for (relay, what) in [
        (at, "a password is not sent in the clear"),
        (tls.as_str(), "STARTTLS failed"),
    ] {
        let mailbox = TempDir::new();
        let Some(refused) = apart(test, mailbox.path(), relay, &settings) else {
            return;
        };
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(what), "{said}");
        assert!(is_empty(&mailbox));
    }
    let mailbox = TempDir::new();
    let trusting = [&settings[..], &[("SSL_CERT_FILE", cert.as_str())]].concat();
    let Some(sent) = apart(test, mailbox.path(), &tls, &trusting) else {
        return;
    };
    assert!(sent.status.success(), "{sent:?}");
    let mail = only_mail(&mailbox);
    assert_eq!(
        (&mail["tls"], &mail["login"]),
        (&true.into(), &"mon".into())
    );
}

#[test]
fn without_a_password_any_certificate_keeps_listeners_out() {
    let test = "without_a_password_any_certificate_keeps_listeners_out";
    let folder = TempDir::new();
    let Some((cert, key)) = certificate(test, &folder) else {
        return;
    };
    if !have_relay(test) {
        return;
    }
    let mailbox = TempDir::new();
    let relay = format!("--host 192.0.2.25 --port 2525 --cert {cert} --key {key}");
    let settings = [("LVSMON_MAIL_RELAY", "smtp://192.0.2.25:2525")];
    let Some(sent) = apart(test, mailbox.path(), &relay, &settings) else {
        return;
    };
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(only_mail(&mailbox)["tls"], true);
}

#[test]
fn where_no_relay_is_named_and_sendmail_is_absent_port_25_here_takes_the_mail() {
    let test = "where_no_relay_is_named_and_sendmail_is_absent_port_25_here_takes_the_mail";
    if !have_relay(test) {
        return;
    }
    if ["/usr/sbin/sendmail", "/usr/lib/sendmail"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        return skip(test, "a machine without sendmail");
    }
    let mailbox = TempDir::new();
    let Some(sent) = apart(test, mailbox.path(), "--port 25", &[]) else {
        return;
    };
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(only_mail(&mailbox)["to"][0], "ops@director.example");
}
