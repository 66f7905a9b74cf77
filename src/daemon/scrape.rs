//! The port on which a monitoring system reads the metrics (`metricsport`).
//!
//! HTTP/1.1 by hyper: `GET /metrics`, one answer for each connection. The loop gathers the numbers,
//! a thread makes the text, and whoever reads it slowly keeps nobody but itself waiting. What all
//! of them can hold is bounded: their number, the size of a request, the time for it and for all
//! of the connection. There are no passwords, so the port is on loopback until the file says else
//! (D21). A port that cannot be opened is said and tried again: numbers are no reason to leave a
//! director without its checks.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::geteuid;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::daemon::clients::listen_at;
use crate::daemon::control::{Ask, Reply};
use crate::model::Listener;
use crate::wire::metrics::{self, MetricsAnswer};
use crate::wire::{Answer, Request};

/// Clients at once: the two Prometheus servers of a site, a person, and one to spare. With 5,000
/// services each may hold a text of some 4 MB.
const CLIENTS_MAX: usize = 4;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// Longest head of a request, in bytes: the least that hyper knows; Prometheus sends some 300.
const REQUEST_MAX: usize = 8_192;

/// Header lines of a request: Prometheus sends six.
const HEADERS_MAX: usize = 64;

/// The head of a request is there within this time.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// All of a connection: what Prometheus waits for unless it is told otherwise.
const CLIENT_LIMIT: Duration = Duration::from_secs(10);

/// Pause after a port could not be opened, and after the system refused to accept.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the metrics are.
const PATH: &str = "/metrics";

/// The task that listens, where the file says so. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Scrape {
    wanted: watch::Sender<Option<Listener>>,
    task: JoinHandle<()>,
}

impl Scrape {
    /// Starts it. What is asked goes to the loop as if it came over the control socket.
    pub(super) fn start(listener: Option<Listener>, asks: mpsc::Sender<Ask>) -> Self {
        let (wanted, wishes) = watch::channel(listener);
        let task = tokio::spawn(listen(wishes, asks));
        Self { wanted, task }
    }

    /// Another file holds: the port is another one at once, or none.
    pub(super) fn reload(&self, listener: Option<Listener>) {
        self.wanted.send_if_modified(|wanted| {
            let is_other = *wanted != listener;
            *wanted = listener;
            is_other
        });
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(mut wanted: watch::Receiver<Option<Listener>>, asks: mpsc::Sender<Ask>) {
    let mut said: Option<String> = None;
    loop {
        let listener = wanted.borrow_and_update().clone();
        let work = async {
            let Some(Listener { bind, port }) = &listener else {
                return std::future::pending().await;
            };
            let host = bind.host();
            match open(host, *port).await {
                Ok((socket, address)) => {
                    said = None;
                    tracing::info!(%address, "metrics are served");
                    accept(socket, &asks).await;
                }
                Err(error) => {
                    let why = error.to_string();
                    if said.as_ref() != Some(&why) {
                        tracing::error!(
                            host,
                            port,
                            why,
                            "cannot serve metrics (metricsbind, metricsport); tried again"
                        );
                        said = Some(why);
                    }
                    sleep(AGAIN).await;
                }
            }
        };
        // Both may be dropped at any point: nothing is lost but connections.
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return;
            },
            () = work => {}
        }
    }
}

async fn open(host: &str, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    listen_at(lookup_host((host, port)).await?, BACKLOG)
}

/// Serves until it is dropped, all clients with it.
async fn accept(listener: TcpListener, asks: &mpsc::Sender<Ask>) {
    let mut clients = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while clients.try_join_next().is_some() {}
                if clients.len() < CLIENTS_MAX {
                    clients.spawn(serve(stream, asks.clone()));
                } else {
                    tracing::debug!(%peer, limit = CLIENTS_MAX, "too many readers of metrics, one is refused");
                    refuse(&stream);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a reader of metrics");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Says why without waiting, and lets the connection end.
fn refuse(stream: &TcpStream) {
    // A full buffer is impossible on a fresh socket; a gone client needs no answer.
    let _ = stream.try_write(
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
}

async fn serve(stream: TcpStream, asks: mpsc::Sender<Ask>) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let asks = asks.clone();
        async move {
            let path = request.uri().path();
            Ok::<_, Infallible>(respond(request.method(), path, &asks).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(REQUEST_LIMIT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(REQUEST_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CLIENT_LIMIT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a reader of metrics went wrong"),
        Err(_) => tracing::debug!("a reader of metrics was too slow"),
    }
}

async fn respond(method: &Method, path: &str, asks: &mpsc::Sender<Ask>) -> Response<Full<Bytes>> {
    let plain = (CONTENT_TYPE, "text/plain; charset=utf-8");
    if path != PATH {
        let text = format!("the metrics are at {PATH}\n");
        return response(StatusCode::NOT_FOUND, plain, text);
    }
    if method != Method::GET {
        return response(
            StatusCode::METHOD_NOT_ALLOWED,
            (ALLOW, "GET"),
            String::new(),
        );
    }
    let Some(answer) = ask(asks).await else {
        let text = "the daemon is stopping\n".to_owned();
        return response(StatusCode::SERVICE_UNAVAILABLE, plain, text);
    };
    // Megabytes where there are thousands of services: beside the loop.
    match spawn_blocking(move || metrics::text(&answer)).await {
        Ok(text) => response(StatusCode::OK, (CONTENT_TYPE, metrics::CONTENT_TYPE), text),
        Err(error) => {
            tracing::error!(%error, "making the metrics broke; this is a defect of lvsmon");
            response(StatusCode::INTERNAL_SERVER_ERROR, plain, String::new())
        }
    }
}

fn response(
    status: StatusCode,
    (name, value): (HeaderName, &'static str),
    text: String,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

/// What the loop says; none where it ends.
async fn ask(asks: &mpsc::Sender<Ask>) -> Option<Box<MetricsAnswer>> {
    let (reply, answer) = oneshot::channel();
    let ask = Ask {
        request: Request::Metrics,
        until_ms: None,
        uid: geteuid().as_raw(),
        reply,
    };
    asks.send(ask).await.ok()?;
    let Reply { answer, .. } = answer.await.ok()?;
    if let Answer::Metrics(answer) = answer {
        return Some(answer);
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::model::Bind;
    use crate::wire::metrics::tests::example;

    const SOON: Duration = Duration::from_secs(20);

    /// A port that is served, and a loop that knows one answer.
    async fn served() -> (SocketAddr, JoinSet<()>) {
        let (asks, mut inbox) = mpsc::channel::<Ask>(1);
        let (socket, address) = open("127.0.0.1", 0).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { accept(socket, &asks).await });
        tasks.spawn(async move {
            while let Some(ask) = inbox.recv().await {
                let reply = Reply {
                    answer: Answer::Metrics(Box::new(example())),
                    refused_reload: None,
                    kept: None,
                };
                let _ = ask.reply.send(reply);
            }
        });
        (address, tasks)
    }

    async fn said(address: SocketAddr, request: &str) -> String {
        let talk = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        timeout(SOON, talk).await.expect("an answer in time")
    }

    #[tokio::test]
    async fn metrics_are_read_at_their_path_and_nothing_else_is() {
        let (address, _tasks) = served().await;
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let good = said(address, &get(PATH)).await;
        assert!(good.starts_with("HTTP/1.1 200 OK\r\n"), "{good}");
        assert!(good.contains("text/plain; version=0.0.4"), "{good}");
        let (_, body) = good.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, metrics::text(&example()));
        let other = said(address, &get("/")).await;
        assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
        let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        let post = said(address, post).await;
        assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
        assert!(post.contains("allow: GET"), "{post}");
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * REQUEST_MAX));
        let long = said(address, &long).await;
        assert!(long.starts_with("HTTP/1.1 4"), "{long}");
    }

    #[tokio::test]
    async fn who_says_nothing_takes_a_place_and_nobody_elses_time() {
        let (address, _tasks) = served().await;
        let mut silent = Vec::new();
        for _ in 1..CLIENTS_MAX {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(said(address, get).await.starts_with("HTTP/1.1 200 OK\r\n"));
        let mut refused = Vec::new();
        while refused.len() < 2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut text = [0; 12];
            // Only one that is refused is told anything before it asks.
            match timeout(Duration::from_millis(200), stream.read_exact(&mut text)).await {
                Ok(read) => {
                    read.unwrap();
                    refused.push(text);
                }
                Err(_) => silent.push(stream),
            }
            assert!(silent.len() <= CLIENTS_MAX, "nobody is refused");
        }
        assert_eq!(refused, [*b"HTTP/1.1 503"; 2]);
    }

    #[tokio::test]
    async fn a_reload_moves_the_port_and_ends_it() {
        let (asks, _inbox) = mpsc::channel(1);
        let listener = |port| {
            Some(Listener {
                bind: Bind::Loopback,
                port,
            })
        };
        let free = async || {
            let (socket, address) = open("127.0.0.1", 0).await.unwrap();
            drop(socket);
            address
        };
        let (first, second) = (free().await, free().await);
        let answers = async |address: SocketAddr| TcpStream::connect(address).await.is_ok();
        let becomes = async |address, expected| {
            let turn = async {
                while answers(address).await != expected {
                    tokio::task::yield_now().await;
                }
            };
            timeout(SOON, turn).await.expect("the port follows");
        };
        let scrape = Scrape::start(None, asks);
        scrape.reload(listener(first.port()));
        becomes(first, true).await;
        scrape.reload(listener(second.port()));
        becomes(second, true).await;
        becomes(first, false).await;
        scrape.reload(None);
        becomes(second, false).await;
    }
}
