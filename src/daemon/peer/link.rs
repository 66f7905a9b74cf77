//! One connection to the peer: greetings, the proof of both, then words both ways.
//!
//! A task of its own, so that nobody waits for a slow or silent peer: what the peer says goes to
//! the link's owner through a bounded queue, what is to be said comes from there through one.
//! Every line is bounded in length and in time. The task ends with the connection, for whatever
//! reason; dropped, it ends the connection.

use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::pair::talk::conversation::DEAD_LIMIT;
use crate::pair::talk::session::{End, GREETING_MAX, Greeting, Key, LINE_MAX, Life, Verifier};
use crate::pair::talk::session::{PeerRefusal, Session, Signer};
use crate::pair::talk::word::{NoWord, Word};

/// Both greetings and both proofs take two ways over a network that works; a stranger that is
/// slower has its connection no longer.
pub(super) const OPENING_LIMIT: Duration = DEAD_LIMIT;

/// Words on their way to the connection: what is said next is decided when there is room, so
/// that a slow peer is told the newest state and not all that came before.
const WORDS_WAITING: usize = 4;

/// A connection, numbered by its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct LinkId(pub(super) u64);

/// What the owner hears of a connection.
#[derive(Debug)]
pub(super) struct LinkReport {
    /// Which one.
    pub(super) link: LinkId,
    /// What happened.
    pub(super) what: What,
}

/// What happens to a connection.
#[derive(Debug)]
pub(super) enum What {
    /// The peer has shown that it has the key.
    Opened {
        /// Which life of the peer.
        peer: Life,
        /// Our end.
        end: End,
        /// What is to be said goes here.
        words: mpsc::Sender<Word>,
    },
    /// The peer says this.
    Said(Word),
    /// It says something that only a later version understands.
    PassedOver,
    /// It is over, for this reason.
    Ended(String),
}

/// What a connection is made with.
pub(super) struct Handshake {
    pub(super) link: LinkId,
    pub(super) end: End,
    pub(super) key: Key,
    pub(super) greeting: Greeting,
}

/// Lives as long as the connection.
pub(super) async fn run(
    stream: TcpStream,
    handshake: Handshake,
    reports: mpsc::Sender<LinkReport>,
) {
    let link = handshake.link;
    let Err(why) = talk(stream, handshake, &reports).await;
    let what = What::Ended(why);
    // The owner may be gone.
    let _ = reports.send(LinkReport { link, what }).await;
}

async fn talk(
    stream: TcpStream,
    handshake: Handshake,
    reports: &mpsc::Sender<LinkReport>,
) -> Result<std::convert::Infallible, String> {
    // Words are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let opening = open(&mut reader, &mut writer, &handshake);
    let opened = timeout(OPENING_LIMIT, opening).await;
    let session = opened.map_err(|_| {
        let limit = OPENING_LIMIT.as_secs();
        format!("it did not introduce itself within {limit} s")
    })??;
    let peer = session.peer();
    let Session {
        signer, verifier, ..
    } = session;
    let (words, inbox) = mpsc::channel(WORDS_WAITING);
    let end = handshake.end;
    let what = What::Opened { peer, end, words };
    report(reports, handshake.link, what).await?;
    tokio::select! {
        why = hear(reader, verifier, handshake.link, reports) => why,
        why = say(writer, signer, inbox) => why,
    }
}

/// Greetings, and one line of each side that shows that it has the key. Nothing of our state is
/// said before.
async fn open(
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    handshake: &Handshake,
) -> Result<Session, String> {
    let said = |error: std::io::Error| error.to_string();
    let greeting = format!("{}\n", handshake.greeting.line());
    writer.write_all(greeting.as_bytes()).await.map_err(said)?;
    let line = line(reader, GREETING_MAX).await?;
    let peer = Greeting::of_line(&line).map_err(|why| why.to_string())?;
    let session = Session::new(&handshake.key, handshake.end, &handshake.greeting, &peer);
    let mut session = session.map_err(|why| why.to_string())?;
    let proof = format!("{}\n", session.signer.seal(""));
    writer.write_all(proof.as_bytes()).await.map_err(said)?;
    let line = self::line(reader, GREETING_MAX).await?;
    session
        .verifier
        .open(&line)
        .map_err(|why| why.to_string())?;
    Ok(session)
}

async fn hear(
    mut reader: impl AsyncBufRead + Unpin,
    mut verifier: Verifier,
    link: LinkId,
    reports: &mpsc::Sender<LinkReport>,
) -> Result<std::convert::Infallible, String> {
    loop {
        let line = timeout(DEAD_LIMIT, line(&mut reader, LINE_MAX)).await;
        let silent = |_| format!("it said nothing for {} s", DEAD_LIMIT.as_secs());
        let line = line.map_err(silent)??;
        let text = verifier.open(&line).map_err(|why| why.to_string())?;
        let what = match Word::of_text(text) {
            Ok(word) => What::Said(word),
            Err(NoWord::Later) => What::PassedOver,
            Err(NoWord::Rubbish) => return Err(PeerRefusal::Word.to_string()),
        };
        report(reports, link, what).await?;
    }
}

async fn say(
    mut writer: impl AsyncWrite + Unpin,
    mut signer: Signer,
    mut words: mpsc::Receiver<Word>,
) -> Result<std::convert::Infallible, String> {
    while let Some(word) = words.recv().await {
        let line = format!("{}\n", signer.seal(&word.text()));
        let written = timeout(DEAD_LIMIT, writer.write_all(line.as_bytes())).await;
        let slow = |_| format!("it took nothing for {} s", DEAD_LIMIT.as_secs());
        let said = written.map_err(slow)?;
        said.map_err(|error| error.to_string())?;
    }
    Err("another link took its place".to_owned())
}

/// One line, without its end.
async fn line(reader: &mut (impl AsyncBufRead + Unpin), most: usize) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let mut bounded = reader.take(most as u64 + 1);
    let read = bounded.read_until(b'\n', &mut line).await;
    read.map_err(|error| error.to_string())?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(line);
    }
    Err(if line.len() > most {
        format!("it sent a line of more than {most} bytes")
    } else {
        "it ended the connection".to_owned()
    })
}

async fn report(
    reports: &mpsc::Sender<LinkReport>,
    link: LinkId,
    what: What,
) -> Result<(), String> {
    let sent = reports.send(LinkReport { link, what }).await;
    sent.map_err(|_| "this director ends the link".to_owned())
}
