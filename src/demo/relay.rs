//! A mail relay for the demonstration: takes every message and hands it to the screen.
//!
//! Delivers nothing to anyone. Speaks as much of RFC 5321 as a client needs to hand over a
//! message; sizes and times are bounded, for anybody on this machine may connect.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A dialogue that has not ended by then is cut: ours take milliseconds.
const DIALOGUE_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of one dialogue that are read: a message of ours has about 2 kB.
const DIALOGUE_MAX: u64 = 256 * 1024;
/// Messages waiting for the screen, which looks every 50 ms.
const QUEUE: usize = 64;

/// What of a message the reader gets to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mail {
    /// The recipients of the envelope.
    pub(super) to: Vec<String>,
    /// The subject, unfolded.
    pub(super) subject: String,
    /// The body as it was sent.
    pub(super) body: Vec<String>,
}

/// A listening relay.
#[derive(Debug)]
pub(super) struct Relay {
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    mails: mpsc::Receiver<Mail>,
    /// Ends the relay with its owner.
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// Where loopback has no free port.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let (sender, mails) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, sender));
        Ok(Self {
            port,
            mails,
            _tasks: tasks,
        })
    }

    /// The next message that has come, if any.
    pub(super) fn next(&mut self) -> Option<Mail> {
        self.mails.try_recv().ok()
    }
}

async fn serve(listener: TcpListener, mails: mpsc::Sender<Mail>) {
    let mut dialogues = JoinSet::new();
    loop {
        // Both branches are cancel-safe.
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let dialogue = tokio::time::timeout(DIALOGUE_LIMIT, talk(stream, mails.clone()));
                dialogues.spawn(dialogue);
            }
            Some(_) = dialogues.join_next() => {}
        }
    }
}

/// One dialogue, to its end or to the first error.
async fn talk(mut stream: TcpStream, mails: mpsc::Sender<Mail>) -> io::Result<()> {
    let (input, mut output) = stream.split();
    let mut lines = BufReader::new(input.take(DIALOGUE_MAX)).lines();
    output.write_all(b"220 demo relay\r\n").await?;
    let mut mail = Mail::default();
    while let Some(line) = lines.next_line().await? {
        let word = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer = match word.as_str() {
            "DATA" => {
                output.write_all(b"354 go on\r\n").await?;
                let mut headers = Vec::new();
                let mut in_headers = true;
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    if in_headers && line.is_empty() {
                        in_headers = false;
                    } else if in_headers {
                        headers.push(line);
                    } else {
                        // A leading dot is doubled on its way (RFC 5321, 4.5.2).
                        mail.body
                            .push(plain_text(line.strip_prefix('.').unwrap_or(&line)));
                    }
                }
                mail.subject = subject(&headers);
                // A full queue means that nobody looks any more.
                let _ = mails.try_send(std::mem::take(&mut mail));
                "250 taken"
            }
            "RCPT" => {
                mail.to.extend(bracketed(&line));
                "250 ok"
            }
            "MAIL" | "RSET" => {
                mail = Mail::default();
                "250 ok"
            }
            "EHLO" | "HELO" | "NOOP" => "250 demo",
            "QUIT" => {
                output.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not here",
        };
        output.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// The text between `<` and `>`.
fn bracketed(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}

/// The subject header with its folded lines joined (RFC 5322, 2.2.3).
fn subject(headers: &[String]) -> String {
    let mut lines = headers.iter().skip_while(|line| {
        let name = line.get(..8).unwrap_or_default();
        !name.eq_ignore_ascii_case("subject:")
    });
    let mut text = lines
        .next()
        .and_then(|line| line.get(8..))
        .unwrap_or("(no subject)")
        .trim()
        .to_owned();
    for line in lines.take_while(|line| line.starts_with([' ', '\t'])) {
        text.push(' ');
        text.push_str(line.trim());
    }
    text
}

/// A line of a body, with the bytes that quoted-printable writes as `=20` or `=3D` put back
/// (RFC 2045, 6.7); other bytes stay as they came.
fn plain_text(line: &str) -> String {
    line.replace("=20", " ").replace("=3D", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_subject_is_one_line() {
        let headers = ["From: a", "subject: one", "\ttwo", "To: b"].map(str::to_owned);
        assert_eq!(subject(&headers), "one two");
        assert_eq!(subject(&[]), "(no subject)");
    }

    #[test]
    fn a_message_reaches_the_screen_with_recipient_and_subject() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut relay = Relay::start().await.unwrap();
            let mut stream = TcpStream::connect(("127.0.0.1", relay.port)).await.unwrap();
            let dialogue = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\
                            Subject: farm\r\n down\r\n\r\nSubject: no\r\n..a=3Db:=20\r\n.\r\nQUIT\r\n";
            stream.write_all(dialogue.as_bytes()).await.unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.unwrap();
            assert!(answers.ends_with("221 bye\r\n"), "{answers}");
            let mail = relay.next().unwrap();
            assert_eq!(mail.to, ["c@d"]);
            assert_eq!(mail.subject, "farm down");
            assert_eq!(mail.body, ["Subject: no", ".a=b: "]);
        });
    }
}
