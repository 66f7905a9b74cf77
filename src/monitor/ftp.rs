//! The built-in `ftp`: a greeting, `quit`, a goodbye.
//!
//! Verdicts and output as those of mon 1.3.6's ftp.monitor: after `quit` every
//! line must be `ddd-...` or begin with `221 ` until the server closes; one that closes at once
//! passes, one that stays open fails by its time limit. Other than there, a server that refuses
//! with 4xx or 5xx in its first line fails at once, with its own words (M-7).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::engine::event::{HostName, HostVerdict, Reason, Report};
use crate::monitor::Tools;
use crate::monitor::dial::{Seconds, Trouble, connect};
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::options::ftp::FtpOptions;

/// Longest line: eight times what RFC 959 servers send.
const LINE_MAX: usize = 4_096;

/// Most lines in one dialogue: any banner a person would read.
const LINES_MAX: usize = 1_000;

/// Transcript kept of one host, so that many hosts fit into one report.
const HEARD_MAX: usize = 8_192;

pub(super) async fn check(options: &FtpOptions, hosts: &[HostName], tools: &Tools) -> Report {
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
            let text = &one.finding.text;
            detail(&mut output, one, &format!("failed with error {text}"));
        }
        output.line("");
        for one in &good {
            detail(&mut output, one, "succeeded");
        }
    }
    let exit = i32::from(!bad.is_empty());
    group::report(&checked, exit, output, watch.elapsed())
}

fn detail(output: &mut Output, one: &Checked, outcome: &str) {
    let host = &one.host;
    output.line(&format!("{host} {outcome}"));
    output.line(&format!("detail for {host}"));
    output.line(&"=".repeat(78));
    if one.finding.heard.is_empty() {
        output.line("no detail");
    } else {
        output.heard(&one.finding.heard);
    }
    output.line("");
}

async fn probe(host: HostName, options: FtpOptions, tools: Tools) -> Finding {
    let mut dialogue = Dialogue::default();
    let talk = async {
        let (stream, peer) =
            connect(host.as_str(), options.port, options.timeout, tools.names()).await?;
        dialogue.talk(stream, peer).await
    };
    let outcome = match timeout(options.timeout, talk).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let text = format!("timeout after {}", Seconds(options.timeout));
            Err(Trouble::down(Reason::Timeout, text))
        }
    };
    match outcome {
        Ok(()) => Finding::up("greeting and goodbye", dialogue.heard),
        Err(trouble) => Finding::failed(trouble, dialogue.heard),
    }
}

/// What was said so far.
#[derive(Debug, Default)]
struct Dialogue {
    /// Received and not yet taken as a line.
    pending: Vec<u8>,
    lines: usize,
    /// The transcript.
    heard: Vec<u8>,
}

impl Dialogue {
    async fn talk(&mut self, mut stream: TcpStream, peer: SocketAddr) -> Result<(), Trouble> {
        let mut is_first = true;
        loop {
            let Some(line) = self.line(&mut stream, peer).await? else {
                let text = "closed without a 220 greeting";
                return Err(Trouble::down(Reason::Reply, text));
            };
            if line.starts_with(b"220 ") {
                break;
            }
            if is_first && is_refusal(&line) {
                let words = String::from_utf8_lossy(&line).trim_end().to_owned();
                return Err(Trouble::down(
                    Reason::Status,
                    format!("no 220 greeting but: {words}"),
                ));
            }
            is_first = false;
        }
        self.note("    > ", b"quit\n");
        // Whether it was taken or not, what the server still says decides, as for the script.
        let _ = stream.write_all(b"quit\r\n").await;
        loop {
            let line = match self.line(&mut stream, peer).await {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(()),
                // A close that did not wait for our quit.
                Err(trouble) if trouble.verdict == HostVerdict::Down(Reason::Refused) => {
                    return Ok(());
                }
                Err(trouble) => return Err(trouble),
            };
            if !is_goodbye(&line) {
                return Err(Trouble::down(Reason::Reply, "FTP server error after quit"));
            }
        }
    }

    /// The next line with its end, or what was there when the server closed; none at the end.
    async fn line(
        &mut self,
        stream: &mut TcpStream,
        peer: SocketAddr,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let mut chunk = [0; 1_024];
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return self.take(line).map(Some);
            }
            if self.pending.len() > LINE_MAX {
                let text = format!("a line is longer than {LINE_MAX} bytes");
                return Err(Trouble::down(Reason::Reply, text));
            }
            match stream.read(&mut chunk).await {
                Ok(0) if self.pending.is_empty() => return Ok(None),
                Ok(0) => {
                    let line = std::mem::take(&mut self.pending);
                    return self.take(line).map(Some);
                }
                Ok(length) => self
                    .pending
                    .extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) => return Err(Trouble::from_io(&error, peer)),
            }
        }
    }

    fn take(&mut self, line: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        self.note("    < ", &line);
        self.lines += 1;
        if self.lines > LINES_MAX {
            let text = format!("more than {LINES_MAX} lines and no end");
            return Err(Trouble::down(Reason::Reply, text));
        }
        Ok(line)
    }

    fn note(&mut self, mark: &str, line: &[u8]) {
        if self.heard.len() + line.len() > HEARD_MAX {
            return;
        }
        self.heard.extend_from_slice(mark.as_bytes());
        self.heard.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            self.heard.push(b'\n');
        }
    }
}

/// `4xx ` or `5xx `: a final answer that refuses.
fn is_refusal(line: &[u8]) -> bool {
    matches!(line, [b'4' | b'5', a, b, b' ', ..] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// A line that may follow `quit`: `ddd-...` or `221 ...`.
fn is_goodbye(line: &[u8]) -> bool {
    let continues =
        matches!(line, [a, b, c, b'-', ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()));
    continues || line.starts_with(b"221 ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_quit_are_judged_as_the_script_does() {
        for line in ["221 bye\r\n", "221-more\r\n", "500-odd\r\n", "221 "] {
            assert!(is_goodbye(line.as_bytes()), "{line}");
        }
        for line in [
            "500 what\r\n",
            "221\r\n",
            "bye\r\n",
            "",
            "22-\r\n",
            " 221 x",
        ] {
            assert!(!is_goodbye(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn only_a_final_4xx_or_5xx_refuses() {
        assert!(is_refusal(b"421 too many users\r\n"));
        assert!(is_refusal(b"530 go away"));
        for line in ["421-first\r\n", "220 ok", "120 soon", "4", "42x y"] {
            assert!(!is_refusal(line.as_bytes()), "{line}");
        }
    }
}
