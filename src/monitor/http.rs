//! The built-in `http`: one GET as http.monitor sends it, over TCP or TLS.
//!
//! Verdicts and output as those of mon 1.3.6's http.monitor: status 200, 301, 302
//! or 401 is good; with `-m` the expression alone counts; no redirect is followed. Other than
//! there, reading stops when the verdict is certain, every failure names its reason (M-5), and an
//! answer whose headers never end is none. What a response says is in `response`.

mod response;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{HostName, Reason, Report};
use crate::lvs::GivenWeight;
use crate::monitor::Tools;
use crate::monitor::dial::{Seconds, Trouble, connect};
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::monitor::http::response::{End, Response};
use crate::options::http::HttpOptions;

/// Bytes read at a time.
const CHUNK: usize = 16 * 1_024;

/// What a good server may still send after the verdict, and for how long we listen: a server
/// that answers in two writes need not log a broken connection for each check.
const COURTESY: Duration = Duration::from_millis(250);
/// See [`COURTESY`].
const COURTESY_MAX: usize = 64 * 1_024;

/// Headers shown of one host, so that many hosts fit into one report.
const HEARD_MAX: usize = 8_192;

pub(super) async fn check(options: &HttpOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let hosts = group::hosts(&options.hosts, hosts);
    let checked = group::each(&hosts, tools, |host| {
        probe(host, options.clone(), tools.clone())
    })
    .await;
    let (good, bad): (Vec<&Checked>, Vec<&Checked>) = checked.iter().partition(|one| one.is_up());
    let mut output = Output::default();
    if !checked.is_empty() {
        output.line(&group::summary(bad.iter().copied()));
        for one in &bad {
            detail(&mut output, one, &one.finding.text);
        }
        if !options.failures_only {
            for one in &good {
                detail(&mut output, one, "ok");
            }
        }
    }
    let exit = i32::from(!bad.is_empty());
    group::report(&checked, exit, output, watch.elapsed())
}

fn detail(output: &mut Output, one: &Checked, outcome: &str) {
    output.line(&format!("HOST {}: {outcome}", one.host));
    if !one.finding.heard.is_empty() {
        output.heard(&one.finding.heard);
        output.line("");
    }
    output.line("");
}

async fn probe(host: HostName, options: HttpOptions, tools: Tools) -> Finding {
    let mut response = Response::new(options.pattern.clone());
    if options.weight_header.is_some() {
        response.await_head();
    }
    let exchange = exchange(&host, &options, &tools, &mut response);
    let outcome = match timeout(options.timeout, exchange).await {
        Ok(Ok(end)) => response.verdict(&end),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => {
            let text = format!("timeout after {}", Seconds(options.timeout));
            response.verdict(&End::Trouble(Trouble::down(Reason::Timeout, text)))
        }
    };
    let mut heard = response.head().to_vec();
    heard.truncate(HEARD_MAX);
    match outcome {
        Ok(text) => match &options.weight_header {
            None => Finding::up(text, heard),
            Some(header) => weighted(text, header, response.header(header).as_deref(), heard),
        },
        Err(trouble) => Finding::failed(trouble, heard),
    }
}

/// A good host with the weight that its response gives it. One that gives none is as good.
fn weighted(text: String, header: &str, value: Option<&str>, heard: Vec<u8>) -> Finding {
    let weight = value.and_then(GivenWeight::parse);
    let text = match (value, weight) {
        (_, Some(_)) => text,
        (Some(value), None) => format!("{text}; no weight: {header} is {value:?}"),
        (None, None) => format!("{text}; no weight: no header {header}"),
    };
    Finding {
        weight,
        ..Finding::up(text, heard)
    }
}

/// Connects, asks, reads. An error means that nothing was asked.
async fn exchange(
    host: &HostName,
    options: &HttpOptions,
    tools: &Tools,
    response: &mut Response,
) -> Result<End, Trouble> {
    let name = options.name.as_deref().unwrap_or(host.as_str());
    let request = request(name, options);
    let (stream, peer) =
        connect(host.as_str(), options.port, options.timeout, tools.names()).await?;
    match &options.tls {
        None => Ok(converse(stream, peer, &request, response).await),
        Some(verify) => {
            let stream = tools.tls().connect(stream, peer, name, verify).await?;
            Ok(converse(stream, peer, &request, response).await)
        }
    }
}

fn request(name: &str, options: &HttpOptions) -> String {
    let (path, agent) = (&options.path, &options.agent);
    format!("GET {path} HTTP/1.0\r\nHost: {name}\r\nUser-Agent: {agent}\r\n\r\n")
}

async fn converse<S>(mut stream: S, peer: SocketAddr, request: &str, response: &mut Response) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // A server that answers before it has read may have closed already: its answer counts.
    let written = match stream.write_all(request.as_bytes()).await {
        Ok(()) => stream.flush().await,
        Err(error) => Err(error),
    };
    let end = read(&mut stream, peer, response).await;
    match (&end, written) {
        (End::Closed, Err(error)) if response.is_empty() => {
            End::Trouble(Trouble::from_io(&error, peer))
        }
        _ => {
            if matches!(end, End::Certain) {
                let _ = timeout(COURTESY, listen_on(&mut stream, response)).await;
            }
            end
        }
    }
}

/// Reads until the verdict is certain or the server ends it.
async fn read<S>(stream: &mut S, peer: SocketAddr, response: &mut Response) -> End
where
    S: AsyncRead + Unpin,
{
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) => return End::Closed,
            Ok(length) => {
                if response.take(chunk.get(..length).unwrap_or_default()) {
                    return End::Certain;
                }
            }
            // TLS without its own goodbye: many servers just close.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return End::Closed,
            Err(error) => return End::Trouble(Trouble::from_io(&error, peer)),
        }
    }
}

/// Takes what comes without looking at it, until the response is complete.
async fn listen_on<S>(stream: &mut S, response: &mut Response)
where
    S: AsyncRead + Unpin,
{
    let mut chunk = vec![0; CHUNK];
    let mut room = COURTESY_MAX;
    while room > 0 && !response.is_complete() {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                response.append(chunk.get(..length).unwrap_or_default());
                room = room.saturating_sub(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_the_one_of_the_script() {
        let args: Vec<String> = ["-u", "/x", "-a", "agent"].map(str::to_owned).into();
        let Some(Ok(crate::options::MonitorOptions::Http(options))) =
            crate::options::MonitorOptions::parse("http.monitor", &args)
        else {
            panic!("the options are good");
        };
        assert_eq!(
            request("web1", &options),
            "GET /x HTTP/1.0\r\nHost: web1\r\nUser-Agent: agent\r\n\r\n"
        );
    }
}
