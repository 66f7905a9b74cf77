//! Webhooks: one event as JSON, posted to a receiver of somebody else's.
//!
//! The body, one object (`schema` changes when a field changes its meaning; fields may be
//! added without notice):
//!
//! | Field | Type | Meaning |
//! |---|---|---|
//! | `schema` | text | `lvsmon.alert/1` |
//! | `event` | text | stable id: the same in every attempt and after a restart |
//! | `kind` | text | `failure up startup trap traptimeout ack disable test` |
//! | `problem` | true, false | whether it reports that something is wrong |
//! | `group`, `service`, `period` | text | whose alert, by which period |
//! | `description` | text or null | of the service |
//! | `status` | text | `fail ok untested` |
//! | `exit` | number or null | exit value of the monitor |
//! | `time`, `first_failure` | text, or null for the second | RFC 3339 in UTC: noticed; outage began |
//! | `summary`, `detail` | text | first line of the monitor's output; the rest |
//! | `members` | list of text | enabled hosts of the group |
//! | `results` | list | `{host, verdict, reason, text}`; verdict `up down unknown`, reason a code or null |
//! | `left_out` | number | earlier messages to this receiver that were left out (outbox full) |
//! | `director` | text | name of this machine |
//!
//! Headers: `Content-Type: application/json`, `User-Agent: lvsmon/VERSION`,
//! `Idempotency-Key` (32 hex digits made of `event`), those of `-H`, and with `-k` the header
//! `X-Lvsmon-Signature: sha256=HEX`, the HMAC-SHA-256 of the body with the key in the file.
//!
//! 2xx is success. 408, 425, 429, 5xx and everything without an answer are tried again,
//! `Retry-After` is honoured up to [`RETRY_AFTER_MAX`]; other 4xx are final. Redirects are
//! not followed: they would carry the message and its headers to an unknown place.
//! A proxy is used where the environment names one (`HTTPS_PROXY`, `NO_PROXY`).

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::alert::message::one_line;
use crate::alert::notice::{HostLine, Notice};
use crate::alert::secret;
use crate::options::webhook::WebhookOptions;
use crate::text::cut;
use crate::time::Wall;

/// Longest wait that a receiver may ask for: an outage must not be told the next day.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Read of an answer; it only serves the log.
const ANSWER_MAX: usize = 4_096;
/// Bytes of it in the log, where that is asked for: it may be a page of a proxy.
const ANSWER_LOGGED: usize = 200;
/// Idle connections are closed after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// Accepted.
    Done,
    /// Never to be accepted.
    Refused(String),
    /// To be tried again: something about this message.
    Later(String),
    /// To be tried again: the receiver as a whole does not take messages now, so that others
    /// wait too, at least for as long as it asked.
    Closed(String, Option<Duration>),
    /// Not even sent: no connection, or a file that is needed for it cannot be read.
    Unsent(String),
}

/// Posts messages; keeps connections.
#[derive(Clone, Debug)]
pub(crate) struct Poster {
    client: Result<Client, String>,
}

impl Poster {
    /// Reads the machine's certificates.
    pub(crate) fn new() -> Self {
        let client = tls().and_then(|tls| {
            Client::builder()
                .tls_backend_preconfigured(tls)
                .redirect(Policy::none())
                .user_agent(concat!("lvsmon/", env!("CARGO_PKG_VERSION")))
                .pool_idle_timeout(IDLE_LIMIT)
                .build()
                .map_err(chain)
        });
        Self { client }
    }

    /// Posts one message, once. `now` is for a `Retry-After` that names a date.
    pub(crate) async fn post(
        &self,
        options: &WebhookOptions,
        notice: &Notice,
        director: &str,
        now: Wall,
    ) -> Posted {
        let client = match &self.client {
            Ok(client) => client,
            Err(reason) => return Posted::Unsent(reason.clone()),
        };
        let body = body(notice, director);
        let (url, headers) = match prepared(options, notice, &body).await {
            Ok(prepared) => prepared,
            Err(posted) => return posted,
        };
        let request = client
            .post(url)
            .headers(headers)
            .timeout(options.timeout)
            .body(body);
        match request.send().await {
            Ok(response) => answered(response, now).await,
            Err(error) => {
                let cause = || cause(std::error::Error::source(&error));
                if error.is_timeout() {
                    let limit = options.timeout.as_secs();
                    Posted::Closed(format!("no answer within {limit} s"), None)
                } else if error.is_connect() {
                    Posted::Unsent(format!("cannot connect: {}", cause()))
                } else {
                    Posted::Closed(format!("no answer: {}", cause()), None)
                }
            }
        }
    }
}

/// TLS with the machine's certificates. Without any, https fails at each message and says so,
/// and http goes on working.
fn tls() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An error with its causes, without the URL, which may hold a token.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    one_line(&text)
}

/// What the system says most often, in the words of the checks.
const KNOWN_CAUSES: [(io::ErrorKind, &str); 4] = [
    (io::ErrorKind::ConnectionRefused, "connection refused"),
    (io::ErrorKind::ConnectionReset, "connection reset"),
    (io::ErrorKind::HostUnreachable, "no route to it"),
    (io::ErrorKind::NetworkUnreachable, "no route to it"),
];

/// What the standard library puts before the system's word on a name.
const LOOKUP_FAILED: &str = "failed to lookup address information: ";

/// What it came from, without the layers above that, which name the URL and may name a token in it.
fn cause(source: Option<&(dyn std::error::Error + 'static)>) -> String {
    let mut is_name = false;
    let mut last = String::new();
    let mut next = source;
    while let Some(cause) = next {
        last = cause.to_string();
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if let Some(tls) = of_tls(error) {
                return one_line(&format!("TLS failed: {tls}"));
            }
            let mut known = KNOWN_CAUSES.iter();
            if let Some((_, words)) = known.find(|(kind, _)| *kind == error.kind()) {
                return (*words).to_owned();
            }
        }
        // The layer above says that it is about a name, and the one below why.
        is_name |= last.starts_with("dns error");
        next = cause.source();
    }
    match (is_name, last.as_str()) {
        (true, _) => {
            let why = last.strip_prefix(LOOKUP_FAILED).unwrap_or(&last);
            one_line(&format!("cannot look its name up: {why}"))
        }
        (false, "") => "the connection broke".to_owned(),
        (false, _) => one_line(&last),
    }
}

/// What TLS said, below as many layers as there are.
fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    let tls = inner.downcast_ref::<rustls::Error>();
    tls.or_else(|| of_tls(inner.downcast_ref::<io::Error>()?))
}

/// The receiver as it may be logged: paths and passwords of URLs are often secrets.
pub(crate) fn place(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let host = url.host_str().unwrap_or("?");
            match url.port() {
                Some(port) => format!("{}://{host}:{port}", url.scheme()),
                None => format!("{}://{host}", url.scheme()),
            }
        }
        Err(_) => "a URL that cannot be read".to_owned(),
    }
}

async fn prepared(
    options: &WebhookOptions,
    notice: &Notice,
    body: &str,
) -> Result<(Url, HeaderMap), Posted> {
    let url = Url::parse(&options.url)
        .map_err(|error| Posted::Refused(format!("the URL cannot be read: {error}")))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = hex(&Sha256::digest(notice.event.as_bytes()));
    add(&mut headers, "Idempotency-Key", cut(&key, 32))?;
    for (name, value) in &options.headers {
        match value.strip_prefix('@') {
            // A file that is wrong now may be mended: the message waits.
            Some(file) => {
                let secret = secret::read(file.as_ref()).await.map_err(Posted::Unsent)?;
                add(&mut headers, name, secret.reveal())?;
            }
            None => add(&mut headers, name, value)?,
        }
    }
    if let Some(file) = &options.key {
        let key = secret::read(file).await.map_err(Posted::Unsent)?;
        let signature = signature(key.reveal().as_bytes(), body.as_bytes());
        add(&mut headers, "X-Lvsmon-Signature", &signature)?;
    }
    Ok((url, headers))
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Posted> {
    let unusable = || Posted::Refused(format!("header {name} cannot be sent"));
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    headers.append(header, value);
    Ok(())
}

/// `sha256=` and the HMAC-SHA-256 of the body in hex.
fn signature(key: &[u8], body: &[u8]) -> String {
    // An HMAC takes keys of every length, so that the error cannot occur.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(body);
            format!("sha256={}", hex(&mac.finalize().into_bytes()))
        }
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

async fn answered(response: Response, now: Wall) -> Posted {
    let status = response.status();
    if status.is_success() {
        return Posted::Done;
    }
    let header = |name| {
        let value: Option<&HeaderValue> = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let wait = header(RETRY_AFTER).and_then(|text| retry_after(&text, now));
    let location = header(LOCATION);
    if tracing::enabled!(tracing::Level::TRACE) {
        let said = start_of(response).await;
        let said = one_line(cut(said.trim(), ANSWER_LOGGED));
        tracing::trace!(%status, said, "a webhook's receiver does not accept");
    }
    judge(status, wait, location.as_deref())
}

async fn start_of(mut response: Response) -> String {
    let mut kept = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_MAX.saturating_sub(kept.len()).min(chunk.len());
        kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
        if kept.len() >= ANSWER_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// What an answer other than success means. The words are of the status only: the rest of an
/// answer may repeat a token that was sent, and would be in the log, in `why` and with `events`.
fn judge(status: StatusCode, wait: Option<Duration>, location: Option<&str>) -> Posted {
    let reason = format!("the receiver answers {status}");
    match status.as_u16() {
        300..=399 => {
            let place = location.map_or("elsewhere".to_owned(), place);
            Posted::Refused(format!(
                "{reason}; it redirects to {place}: give the final URL, redirects are not followed"
            ))
        }
        429 | 503 => Posted::Closed(reason, wait),
        408 | 425 => Posted::Later(reason),
        400..=499 => Posted::Refused(reason),
        _ => match wait {
            Some(_) => Posted::Closed(reason, wait),
            None => Posted::Later(reason),
        },
    }
}

/// The wait that `Retry-After` asks for: seconds, or an HTTP date. At most
/// [`RETRY_AFTER_MAX`]; none where it cannot be read. Source: RFC 9110, 10.2.3.
fn retry_after(text: &str, now: Wall) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long wait.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Wall::from_micros(date.timestamp().as_microsecond()).since(now)
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    event: &'a str,
    kind: &'static str,
    problem: bool,
    group: &'a str,
    service: &'a str,
    period: &'a str,
    description: Option<&'a str>,
    status: crate::engine::event::Status,
    exit: Option<i32>,
    time: String,
    first_failure: Option<String>,
    summary: &'a str,
    detail: &'a str,
    members: &'a [String],
    results: &'a [HostLine],
    left_out: u32,
    director: &'a str,
}

/// The body of a message: the same in every attempt.
/// The document that is posted.
pub(crate) fn body(notice: &Notice, director: &str) -> String {
    let body = Body {
        schema: "lvsmon.alert/1",
        event: &notice.event,
        kind: notice.kind.word(),
        problem: notice.kind.is_problem(),
        group: &notice.group,
        service: &notice.service,
        period: &notice.period,
        description: notice.description.as_deref(),
        status: notice.status,
        exit: notice.exit,
        time: rfc3339(notice.time),
        first_failure: notice.first_failure.map(rfc3339),
        summary: &notice.summary,
        detail: &notice.detail,
        members: &notice.hosts,
        results: &notice.results,
        left_out: notice.left_out,
        director,
    };
    // Text and numbers only: nothing in it can fail to be written.
    serde_json::to_string(&body).unwrap_or_default()
}

fn rfc3339(time: Wall) -> String {
    match Timestamp::from_second(time.seconds()) {
        Ok(stamp) => stamp.to_string(),
        Err(_) => Timestamp::UNIX_EPOCH.to_string(),
    }
}

#[cfg(test)]
mod tests;
