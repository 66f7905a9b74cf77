//! The built-in `agent`: one line of text, as HAProxy's `agent-check` reads it.
//!
//! Nothing is sent. `75%` is a share of the configured weight; `up` and `ready` are all of it;
//! `drain` is weight 0; `down`, `fail`, `failed` and `stopped` (perhaps with `#` and a reason)
//! and `maint` are failures; `maxconn:N` is ignored. Other than in HAProxy every answer stands
//! for itself: an answer without a share means all of the weight, whatever the one before said,
//! and an agent that cannot be asked fails the host unless the line says `-i`.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{HostName, HostVerdict, Reason, Report};
use crate::lvs::GivenWeight;
use crate::monitor::Tools;
use crate::monitor::dial::{Seconds, Trouble, connect};
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::options::agent::{AgentOptions, Silent};

/// Longest answer that is read, in bytes: several times what an agent has to say.
const LINE_MAX: usize = 1_024;

pub(super) async fn check(options: &AgentOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let hosts = group::hosts(&options.hosts, hosts);
    let checked = group::each(&hosts, tools, |host| {
        probe(host, options.clone(), tools.clone())
    })
    .await;
    let bad: Vec<&Checked> = checked.iter().filter(|one| !one.is_up()).collect();
    let mut output = Output::default();
    if !checked.is_empty() {
        output.line(&group::summary(bad.iter().copied()));
        output.line("");
        for one in &checked {
            output.text(&format!("{} {}", one.host, one.finding.text));
        }
    }
    let exit = i32::from(!bad.is_empty());
    group::report(&checked, exit, output, watch.elapsed())
}

async fn probe(host: HostName, options: AgentOptions, tools: Tools) -> Finding {
    let mut heard = Vec::new();
    let asking = async {
        let (stream, peer) =
            connect(host.as_str(), options.port, options.timeout, tools.names()).await?;
        listen(stream, peer, &mut heard).await
    };
    let outcome = match timeout(options.timeout, asking).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let text = format!("no answer within {}", Seconds(options.timeout));
            Err(Trouble::down(Reason::Timeout, text))
        }
    };
    if let Err(trouble) = outcome {
        return Finding::failed(silent(trouble, options.silent), heard);
    }
    let line = String::from_utf8_lossy(&heard).into_owned();
    match judge(&line) {
        Ok((weight, text)) => Finding {
            weight: Some(weight),
            ..Finding::up(text, heard)
        },
        Err(trouble) => Finding::failed(trouble, heard),
    }
}

/// Reads the line into `heard`; fails where nothing comes.
async fn listen(
    mut stream: TcpStream,
    peer: SocketAddr,
    heard: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let mut chunk = [0; LINE_MAX];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) => break,
            Ok(length) => {
                heard.extend_from_slice(chunk.get(..length).unwrap_or_default());
                let end = heard.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                if let Some(end) = end {
                    heard.truncate(end);
                    break;
                }
                if heard.len() >= LINE_MAX {
                    heard.truncate(LINE_MAX);
                    break;
                }
            }
            // An agent that closes without having read what nobody sent: its answer counts.
            Err(_) if !heard.is_empty() => break,
            Err(error) => return Err(Trouble::from_io(&error, peer)),
        }
    }
    if heard.trim_ascii().is_empty() {
        let text = format!("{peer} said nothing");
        return Err(Trouble::down(Reason::Reply, text));
    }
    Ok(())
}

/// What it means that the agent could not be asked.
fn silent(trouble: Trouble, silent: Silent) -> Trouble {
    match (silent, trouble.verdict) {
        (Silent::SaysNothing, HostVerdict::Down(reason)) => Trouble {
            verdict: HostVerdict::Unknown(reason),
            ..trouble
        },
        (Silent::SaysNothing | Silent::IsDown, _) => trouble,
    }
}

/// What a line means: the share of the weight and a line for a person, or why the host is down.
fn judge(line: &str) -> Result<(GivenWeight, String), Trouble> {
    let (words, reason) = match line.split_once('#') {
        Some((words, reason)) => (words, reason.trim()),
        None => (line, ""),
    };
    let said = if reason.is_empty() {
        format!("said {:?}", words.trim())
    } else {
        format!("said {:?}: {reason}", words.trim())
    };
    let mut share = None;
    let mut state = None;
    let separator = |letter: char| letter.is_whitespace() || letter == ',';
    for word in words.split(separator).filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        let percent = Some(&word).filter(|word| word.ends_with('%'));
        let percent = percent.and_then(|word| GivenWeight::parse(word));
        share = percent.or(share);
        let meant = match word.as_str() {
            "up" | "ready" => State::Up,
            "drain" => State::Drained,
            "maint" => State::Maintained,
            "down" | "fail" | "failed" | "stopped" => State::Down,
            word if percent.is_some() || word.starts_with("maxconn:") => State::Up,
            _ => continue,
        };
        state = state.max(Some(meant));
    }
    match state {
        Some(State::Up) => Ok((share.unwrap_or(GivenWeight::FULL), said)),
        Some(State::Drained) => Ok((GivenWeight::Percent(0), said)),
        Some(State::Maintained) => Err(Trouble::down(Reason::Admin, said)),
        Some(State::Down) => Err(Trouble::down(Reason::Status, said)),
        None => {
            let text = format!("{said}, which is no answer of an agent");
            Err(Trouble::down(Reason::Reply, text))
        }
    }
}

/// What a word says of the server, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Up,
    /// Nothing new.
    Drained,
    /// A person works at it.
    Maintained,
    Down,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_agents_are_understood() {
        let up = |percent| Ok(GivenWeight::Percent(percent));
        let down = |reason| Err(HostVerdict::Down(reason));
        for (line, expected) in [
            ("75%", up(75)),
            ("0%", up(0)),
            ("150%", up(150)),
            ("up", up(100)),
            ("ready", up(100)),
            ("UP 40%", up(40)),
            ("ready,up,10%", up(10)),
            ("drain", up(0)),
            ("drain 50%", up(0)),
            ("maxconn:30", up(100)),
            ("up 80% maxconn:30 more", up(80)),
            ("down", down(Reason::Status)),
            ("down 50% #disk full", down(Reason::Status)),
            ("failed#up", down(Reason::Status)),
            ("fail", down(Reason::Status)),
            ("stopped up", down(Reason::Status)),
            ("maint", down(Reason::Admin)),
            ("maint down", down(Reason::Status)),
            ("SSH-2.0-OpenSSH_9.2", down(Reason::Reply)),
            ("%", down(Reason::Reply)),
            ("-5%", down(Reason::Reply)),
            ("# up", down(Reason::Reply)),
        ] {
            let found = judge(line).map(|(weight, _)| weight);
            assert_eq!(found.map_err(|trouble| trouble.verdict), expected, "{line}");
        }
        let text = judge("down #disk full").unwrap_err().text;
        assert_eq!(text, "said \"down\": disk full");
    }
}
