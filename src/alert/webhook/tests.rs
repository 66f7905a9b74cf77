//! The document, the signature, what answers mean.

use super::*;
use crate::alert::notice::tests::notice;

#[test]
fn the_body_is_the_documented_object() {
    let value: serde_json::Value = serde_json::from_str(&body(&notice(), "dir1")).unwrap();
    let expected = serde_json::json!({
        "schema": "lvsmon.alert/1",
        "event": "farm/http/1795215956/failure/1",
        "kind": "failure",
        "problem": true,
        "group": "farm",
        "service": "http",
        "period": "always",
        "description": "the farm",
        "status": "fail",
        "exit": 1,
        "time": "2026-11-20T23:05:56Z",
        "first_failure": "2026-11-20T23:05:56Z",
        "summary": "web1",
        "detail": "\nHOST web1: refused\n",
        "members": ["web1", "web2"],
        "results": [
            {"host": "web1", "verdict": "down", "reason": "refused",
             "text": "connection refused by 10.0.0.7:80"},
            {"host": "web2", "verdict": "up", "reason": null, "text": ""},
        ],
        "left_out": 0,
        "director": "dir1",
    });
    assert_eq!(value, expected);
}

#[test]
fn the_signature_is_hmac_sha256() {
    // RFC 4231, test case 2.
    assert_eq!(
        signature(b"Jefe", b"what do ya want for nothing?"),
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn answers_are_final_or_tried_again() {
    let judge = |status: u16, wait: Option<u64>| {
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, wait.map(Duration::from_secs), None)
    };
    for status in [400, 401, 403, 404, 410, 413, 422] {
        assert!(
            matches!(judge(status, None), Posted::Refused(_)),
            "{status}"
        );
    }
    for status in [408, 425, 500, 502, 504, 599] {
        assert!(matches!(judge(status, None), Posted::Later(_)), "{status}");
    }
    let wait = Some(Duration::from_secs(7));
    for status in [429, 503, 500] {
        let posted = judge(status, Some(7));
        assert!(
            matches!(posted, Posted::Closed(_, w) if w == wait),
            "{status}"
        );
    }
    let Posted::Refused(reason) = judge(404, None) else {
        panic!("a 404 is final");
    };
    assert_eq!(reason, "the receiver answers 404 Not Found");
}

#[test]
fn a_redirect_is_final_and_names_the_place_without_its_path() {
    let location = Some("https://user:pw@other.example:8443/secret");
    let Posted::Refused(reason) = judge(StatusCode::FOUND, None, location) else {
        panic!("a redirect is final");
    };
    assert!(reason.contains("https://other.example:8443:"), "{reason}");
    assert!(
        !reason.contains("secret") && !reason.contains("pw"),
        "{reason}"
    );
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    let now = Wall::from_seconds(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
    let cases = [
        ("120", Some(120)),
        (" 0 ", Some(0)),
        ("86400", Some(3_600)),
        ("99999999999999999999999", Some(3_600)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
        ("Fri, 31 Dec 1999 23:59:59 GMT", Some(3_600)),
        ("-5", None),
        ("soon", None),
        ("", None),
    ];
    for (text, seconds) in cases {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(retry_after(text, now), expected, "{text}");
    }
}

fn to(url: &str) -> WebhookOptions {
    let words = [url].map(str::to_owned);
    WebhookOptions::parse(&words).unwrap()
}

/// What comes of posting there.
async fn posted(url: &str) -> Posted {
    let now = Wall::from_seconds(0);
    let poster = Poster::new();
    poster.post(&to(url), &notice(), "dir1", now).await
}

#[tokio::test]
async fn why_a_receiver_is_not_reached_is_said_in_a_few_words() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let Posted::Unsent(why) = posted(&format!("http://{address}/hooks/secret")).await else {
        panic!("nobody listens");
    };
    assert_eq!(why, "cannot connect: connection refused");
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let answers = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"220 no TLS here\r\n").await.unwrap();
        stream
    });
    let Posted::Unsent(why) = posted(&format!("https://{address}/hooks/secret")).await else {
        panic!("it speaks no TLS");
    };
    assert!(why.starts_with("cannot connect: TLS failed: "), "{why}");
    assert!(
        !why.contains("secret") && !why.contains("error sending"),
        "{why}"
    );
    drop(answers.await);
    let hangs_up = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hangs_up.local_addr().unwrap();
    let hangs_up = tokio::spawn(async move { drop(hangs_up.accept().await) });
    let Posted::Closed(why, None) = posted(&format!("http://{address}/hooks/secret")).await else {
        panic!("it hangs up");
    };
    assert!(why.starts_with("no answer: "), "{why}");
    assert!(
        !why.contains("secret") && !why.contains("error sending"),
        "{why}"
    );
    hangs_up.await.unwrap();
}

/// Receivers behind a debugging page answer with the request: its token, its signature.
#[tokio::test]
async fn what_a_receiver_answers_beside_its_status_is_in_no_reason() {
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/s3cret", echo.local_addr().unwrap());
    let echo = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = echo.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let read = stream.read(&mut request).await.unwrap();
        let said = &request[..read];
        let head = format!("HTTP/1.1 500 s3cret\r\nContent-Length: {read}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(said).await.unwrap();
        String::from_utf8_lossy(said).into_owned()
    });
    let words = ["-H", "Authorization: Bearer t0ken", &url].map(str::to_owned);
    let options = WebhookOptions::parse(&words).unwrap();
    let now = Wall::from_seconds(0);
    let came = Poster::new().post(&options, &notice(), "dir1", now).await;
    let request = echo.await.unwrap();
    assert!(
        request.contains("s3cret") && request.contains("t0ken"),
        "{request}"
    );
    let said = "the receiver answers 500 Internal Server Error";
    assert_eq!(came, Posted::Later(said.to_owned()));
}

/// An error with one below it, as layers of clients make them.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Layer {
    text: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn layer(text: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Layer {
    let source: Option<Box<dyn std::error::Error + Send + Sync>> = Some(Box::new(source));
    Layer { text, source }
}

#[test]
fn the_cause_is_what_lies_lowest_in_the_words_of_the_checks() {
    let lookup = "failed to lookup address information: Temporary failure in name resolution";
    let name = layer("dns error", io::Error::other(lookup));
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let closed = Layer {
        text: "connection closed before message completed",
        source: None,
    };
    for (error, expected) in [
        (
            layer("client error (Connect)", name),
            "cannot look its name up: Temporary failure in name resolution",
        ),
        (
            layer(
                "client error (Connect)",
                layer("tcp connect error", refused),
            ),
            "connection refused",
        ),
        (
            layer("client error (SendRequest)", closed),
            "connection closed before message completed",
        ),
    ] {
        assert_eq!(cause(Some(&error)), expected);
    }
    assert_eq!(cause(None), "the connection broke");
}

/// A name server that is away.
struct NoNames;

impl reqwest::dns::Resolve for NoNames {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async { Err(io::Error::other("no name server answers").into()) })
    }
}

/// The layers that our client's library puts above it: a newer one may call them otherwise.
#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_told_from_a_receiver_that_does_not_answer() {
    let client = Client::builder()
        .tls_backend_preconfigured(tls().unwrap())
        .no_proxy()
        .dns_resolver(Arc::new(NoNames))
        .build()
        .unwrap();
    let error = client.post("http://receiver.example/").send().await;
    let error = error.unwrap_err();
    assert!(error.is_connect());
    assert_eq!(
        cause(std::error::Error::source(&error)),
        "cannot look its name up: no name server answers"
    );
}
