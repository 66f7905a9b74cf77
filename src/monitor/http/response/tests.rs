use super::*;
use crate::engine::event::HostVerdict;
use crate::options::MonitorOptions;

fn pattern(text: &str) -> Option<Pattern> {
    let args = ["-m".to_owned(), text.to_owned()];
    match MonitorOptions::parse("http.monitor", &args) {
        Some(Ok(MonitorOptions::Http(options))) => options.pattern,
        other => panic!("{other:?}"),
    }
}

/// Feeds the text byte by byte; says after how many bytes the verdict was certain, and what it is.
fn drip(text: &[u8], pattern: Option<Pattern>) -> (Option<usize>, Result<String, Trouble>) {
    let mut response = Response::new(pattern);
    for (at, byte) in text.iter().enumerate() {
        if response.take(&[*byte]) {
            let verdict = response.verdict(&End::Certain);
            return (Some(at + 1), verdict);
        }
    }
    (None, response.verdict(&End::Closed))
}

fn reason(verdict: &Result<String, Trouble>) -> Option<Reason> {
    match verdict {
        Ok(_) => None,
        Err(trouble) => match trouble.verdict {
            HostVerdict::Down(reason) => Some(reason),
            HostVerdict::Up | HostVerdict::Unknown(_) => panic!("{trouble:?}"),
        },
    }
}

#[test]
fn a_header_that_is_asked_for_is_waited_for_and_found_in_any_case() {
    let text = b"HTTP/1.1 200 OK\r\nA: b\r\nX-Weight:  7 \r\nx-weight: 8\r\n\r\nX-Late: 1\r\n";
    let mut response = Response::new(pattern("200 OK"));
    response.await_head();
    let head = text.windows(4).position(|four| four == b"\r\n\r\n");
    let head = head.unwrap() + 4;
    let mut pieces = text[..head].iter();
    let early = pieces.position(|byte| response.take(&[*byte]));
    assert_eq!(
        early,
        Some(head - 1),
        "certain with the last byte of the head"
    );
    response.append(&text[head..]);
    assert_eq!(response.header("x-WEIGHT").as_deref(), Some("7"));
    assert_eq!(response.header("X-Late"), None);
    assert_eq!(response.header("HTTP/1.1 200 OK"), None);
    // The head of an answer that was cut off is none.
    let mut response = Response::new(None);
    response.append(b"HTTP/1.1 200 OK\r\nX-Weight: 7\r\n");
    assert_eq!(response.header("X-Weight"), None);
}

#[test]
fn the_codes_of_the_script_are_good_and_no_others() {
    for (code, expected) in [
        ("200 OK", None),
        ("301 Moved", None),
        ("302 Found", None),
        ("401 Unauthorized", None),
        ("204 No Content", Some(Reason::Status)),
        ("303 See Other", Some(Reason::Status)),
        ("404 Not Found", Some(Reason::Status)),
        ("500", Some(Reason::Status)),
        ("100 Continue", Some(Reason::Reply)),
        ("101 Switching Protocols", Some(Reason::Status)),
        ("2000 OK", Some(Reason::Reply)),
        ("200x", Some(Reason::Reply)),
        ("20", Some(Reason::Reply)),
    ] {
        let text = format!("HTTP/1.1 {code}\r\n\r\n");
        let (_, verdict) = drip(text.as_bytes(), None);
        assert_eq!(reason(&verdict), expected, "{code}: {verdict:?}");
    }
}

#[test]
fn the_verdict_is_certain_at_the_end_of_the_headers() {
    let head = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n";
    let text = [&head[..], b"body that nobody needs"].concat();
    assert_eq!(drip(&text, None).0, Some(head.len()));
    assert_eq!(drip(b"HTTP/1.0 200 OK\nA: b\n\nbody", None).0, Some(22));
}

#[test]
fn garbage_is_seen_at_its_first_strange_byte() {
    for (text, at) in [
        (&b"SSH-2.0-OpenSSH\r\n"[..], 1),
        (b"HTTQ", 4),
        (b"\x16\x03\x01", 1),
        (b"HTTP/x", 6),
        (b"HTTP/1.0 OK", 10),
    ] {
        let (certain, verdict) = drip(text, None);
        assert_eq!(certain, Some(at), "{verdict:?}");
        assert_eq!(reason(&verdict), Some(Reason::Reply));
    }
}

#[test]
fn a_server_that_closes_early_is_judged_by_what_it_said() {
    assert_eq!(reason(&drip(b"", None).1), Some(Reason::Reply));
    assert_eq!(reason(&drip(b"HTT", None).1), Some(Reason::Reply));
    assert_eq!(reason(&drip(b"HTTP/1.0 200", None).1), None);
    assert_eq!(reason(&drip(b"HTTP/1.0 200 OK\r\nA: b\r\n", None).1), None);
    assert_eq!(
        reason(&drip(b"HTTP/1.0 503 Busy\r\n", None).1),
        Some(Reason::Status)
    );
}

#[test]
fn headers_without_end_are_given_up() {
    let mut response = Response::new(None);
    let mut certain = response.take(b"HTTP/1.0 200 OK\r\n");
    let mut lines = 0;
    while !certain {
        certain = response.take(b"X-More: and more\r\n");
        lines += 1;
        assert!(lines < 10_000, "it never ends");
    }
    assert_eq!(
        reason(&response.verdict(&End::Certain)),
        Some(Reason::Reply)
    );

    let mut response = Response::new(pattern("never"));
    let mut certain = response.take(b"HTTP/1.0 200 OK\r\n");
    while !certain {
        certain = response.take(&[b'x'; 1_000]);
        assert!(response.raw.len() < 2 * HEAD_MAX, "it never ends");
    }
    assert_eq!(
        reason(&response.verdict(&End::Certain)),
        Some(Reason::Reply)
    );
}

#[test]
fn time_up_in_the_headers_fails_and_in_the_body_does_not() {
    let time_up = || End::Trouble(Trouble::down(Reason::Timeout, "timeout after 1 seconds"));
    let mut response = Response::new(None);
    response.append(b"HTTP/1.0 200 OK\r\nA: b\r\n");
    assert_eq!(reason(&response.verdict(&time_up())), Some(Reason::Timeout));
    response.append(b"\r\nbody");
    assert_eq!(reason(&response.verdict(&time_up())), None);
}

#[test]
fn an_expression_replaces_the_status_code() {
    let text = b"HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(reason(&drip(text, pattern("hello")).1), None);
    let text = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (certain, verdict) = drip(text, pattern("world"));
    assert_eq!(certain, Some(text.len()));
    assert_eq!(reason(&verdict), Some(Reason::Body));
    assert_eq!(reason(&drip(b"SSH-2.0\r\n", pattern("^SSH")).1), None);
    assert_eq!(reason(&drip(b"", pattern("x")).1), Some(Reason::Reply));
}

#[test]
fn an_expression_that_looks_at_the_end_waits_for_it() {
    let head = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n";
    let text = format!("{head}ready, not");
    let (certain, verdict) = drip(text.as_bytes(), pattern("ready$"));
    assert_eq!(certain, Some(text.len()));
    assert_eq!(reason(&verdict), Some(Reason::Body));
    let (certain, _) = drip(text.as_bytes(), pattern("ready"));
    assert_eq!(certain, Some(head.len() + 5));
}

#[test]
fn the_search_ends_at_its_bound() {
    let mut response = Response::new(pattern("never$"));
    response.append(b"HTTP/1.0 200 OK\r\n\r\n");
    let mut certain = false;
    while !certain {
        certain = response.take(&[b'x'; 10_000]);
        assert!(response.raw.len() < 2 * SEARCH_MAX, "it never ends");
    }
    assert_eq!(reason(&response.verdict(&End::Certain)), Some(Reason::Body));
}

#[test]
fn completeness_is_what_the_head_announces() {
    let complete = |text: &[u8]| {
        let mut response = Response::new(None);
        response.append(text);
        response.is_complete()
    };
    assert!(complete(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab"));
    assert!(!complete(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nab"));
    assert!(!complete(b"HTTP/1.0 200 OK\r\n\r\nab"));
    assert!(complete(b"HTTP/1.1 304 Not Modified\r\n\r\n"));
    assert!(complete(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    ));
    assert!(!complete(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    ));
    assert!(!complete(
        b"HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"
    ));
}
