//! The built-in `http` with `-s`.

use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lvsmon::engine::event::{HostVerdict, Reason, Report};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::peer::{Peer, head, say, until_closed};
use super::{SOON, check, only};
use crate::support::root;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn file(name: &str) -> PathBuf {
    root().join("tests/data/tls").join(name)
}

fn ca() -> String {
    file("ca.pem").display().to_string()
}

/// A TLS server with that certificate; `talk` gets the open connection.
fn server(
    certificate: &str,
    talk: impl Fn(StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> impl Fn(TcpStream) + Send + Sync + 'static {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file(certificate))
        .expect("the certificate")
        .map(|one| one.expect("a certificate"))
        .collect();
    let key = PrivateKeyDer::from_pem_file(file("good.key")).expect("the key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("certificate and key");
    let config = Arc::new(config);
    move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        talk(StreamOwned::new(connection, stream));
    }
}

fn good_answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    head(&mut stream);
    say(&mut stream, GOOD);
}

fn get(peer: &Peer, host: &str, more: &[&str]) -> Report {
    let port = peer.port();
    let mut args = vec!["-s", "-p", &port];
    args.extend(more);
    check("http.monitor", &args, &[host])
}

#[track_caller]
fn assert_tls(report: &Report, what: &str) {
    let (verdict, text) = only(report);
    assert_eq!(verdict, HostVerdict::Down(Reason::Tls), "{text}");
    assert!(text.ends_with(what), "{text}");
    assert!(report.took < SOON);
}

#[test]
fn a_trusted_certificate_for_the_name_asked_for_is_good() {
    let peer = Peer::new(server("good.pem", good_answer));
    let ca = ca();
    for (host, more) in [
        ("127.0.0.1", &["-c", &ca][..]),
        ("here", &["-c", &ca, "-n", "web.test"]),
        ("here", &["-k"]),
    ] {
        assert_eq!(
            only(&get(&peer, host, more)).0,
            HostVerdict::Up,
            "{host} {more:?}"
        );
    }
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let peer = Peer::at(address, server("good.pem", good_answer));
    for host in ["::1", "[::1]"] {
        let report = get(&peer, host, &["-c", &ca]);
        assert_eq!(only(&report).0, HostVerdict::Up, "{report:?}");
    }
}

#[test]
fn a_certificate_is_refused_for_a_reason_unless_any_will_do() {
    let ca = ca();
    let cases = [
        (
            "good.pem",
            "here",
            "the certificate is not for \"here\" (see -n NAME)",
        ),
        ("expired.pem", "127.0.0.1", "the certificate has expired"),
        (
            "alone.pem",
            "127.0.0.1",
            "the certificate is signed by none that is trusted here (see -c FILE, -k)",
        ),
    ];
    for (certificate, host, what) in cases {
        let peer = Peer::new(server(certificate, good_answer));
        assert_tls(&get(&peer, host, &["-c", &ca]), what);
        assert_eq!(only(&get(&peer, host, &["-k"])).0, HostVerdict::Up);
    }
}

#[test]
fn the_name_asked_for_is_sent_as_server_name() {
    let (named, name) = mpsc::channel();
    let peer = Peer::new(server("good.pem", move |mut stream| {
        head(&mut stream);
        let asked = stream.conn.server_name().map(str::to_owned);
        named.send(asked).expect("the test listens");
        say(&mut stream, GOOD);
    }));
    get(&peer, "here", &["-k", "-n", "web.test"]);
    assert_eq!(name.recv_timeout(SOON), Ok(Some("web.test".to_owned())));
    get(&peer, "here", &["-k"]);
    assert_eq!(name.recv_timeout(SOON), Ok(Some("here".to_owned())));
}

#[test]
fn a_server_without_tls_is_told_as_one() {
    let plain = Peer::new(|mut stream| {
        say(&mut stream, b"HTTP/1.0 400 Bad Request\r\n\r\n");
        until_closed(&mut stream);
    });
    assert_tls(
        &get(&plain, "127.0.0.1", &["-k"]),
        "the server does not speak TLS",
    );
    let closing = Peer::new(|stream| {
        let mut hello = [0; 5];
        let _ = std::io::Read::read_exact(&mut &stream, &mut hello);
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("half of the connection closes");
        until_closed(&mut { stream });
    });
    assert_tls(
        &get(&closing, "127.0.0.1", &["-k"]),
        "the server closed during the handshake",
    );
}

#[test]
fn a_handshake_that_never_ends_is_a_timeout() {
    let peer = Peer::new(|mut stream| until_closed(&mut stream));
    let report = get(&peer, "127.0.0.1", &["-k", "-t", "0.5"]);
    assert_eq!(
        only(&report),
        (
            HostVerdict::Down(Reason::Timeout),
            "timeout after 0.5 seconds"
        )
    );
}

#[test]
fn status_and_expression_count_inside_tls_too() {
    let peer = Peer::new(server("good.pem", |mut stream| {
        head(&mut stream);
        // Closed without TLS's own goodbye.
        say(&mut stream, b"HTTP/1.0 503 Busy\r\n\r\nsorry");
    }));
    let report = get(&peer, "127.0.0.1", &["-k"]);
    assert_eq!(
        only(&report),
        (HostVerdict::Down(Reason::Status), "status 503 Busy")
    );
    let report = get(&peer, "127.0.0.1", &["-k", "-m", "sorry$"]);
    assert_eq!(only(&report).0, HostVerdict::Up);
    assert!(report.took < Duration::from_secs(5));
}

#[test]
fn a_missing_file_of_certificates_is_our_fault_and_not_the_hosts() {
    let peer = Peer::new(server("good.pem", good_answer));
    let report = get(&peer, "127.0.0.1", &["-c", "/nonexistent/ca.pem"]);
    let (verdict, text) = only(&report);
    assert_eq!(verdict, HostVerdict::Unknown(Reason::Limit));
    assert!(text.contains("/nonexistent/ca.pem"), "{text}");
    let empty = file("make.sh").display().to_string();
    let report = get(&peer, "127.0.0.1", &["-c", &empty]);
    assert!(
        only(&report)
            .1
            .ends_with("holds no certificate in PEM form"),
        "{report:?}"
    );
}
