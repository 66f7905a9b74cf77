//! Is it the peer who speaks, and is what it says new?
//!
//! Both sides send a greeting: a random number and which life of which director they are. From
//! both greetings and the shared key each side makes two keys, one for each direction; every
//! line after that carries its HMAC-SHA-256 under the key of its direction, over its number and
//! its text.
//!
//! ```text
//!   Greeting --greeting--> Proof --first line that is right--> Open
//!      |                     |                                   |
//!      +---------------------+------ anything else ------------> the connection ends
//! ```
//!
//! So that
//!
//! - nobody without the key gets past the greeting, and nothing of ours is said to them: the
//!   state is told when the session is open;
//! - no line of another connection is taken: the keys hang on our own random number;
//! - no line is taken twice, out of order, or with one left out: the number is in the HMAC and
//!   not on the line;
//! - no line of ours is taken for one of the peer's: each direction has a key of its own, and
//!   whoever greets with our own life is sent away.
//!
//! HMAC and not TLS: rustls has no pre-shared keys, so TLS would need certificates, their making,
//! files and expiry, on both directors, for two programs that share a secret anyway. The price is
//! said in docs/peer.md: the link is authentic, not secret.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// First word of a greeting, and the version of all that follows.
const PROTOCOL: &str = "lvsmon-pair 1";

/// Longest greeting, in bytes without its line end. What is read of a stranger.
pub const GREETING_MAX: usize = 128;

/// Longest line behind the greeting, in bytes without its line end: a word of many entries, see
/// [`crate::pair::talk::word`], with room.
pub const LINE_MAX: usize = 128 * 1024;

/// Shortest key, in bytes. A line can be tried against guessed keys by who sees it.
pub const KEY_MIN: usize = 16;

/// Digits of an HMAC on a line.
const MAC_DIGITS: usize = 64;

/// The secret that both directors share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// A key of these bytes.
    ///
    /// # Errors
    ///
    /// It is shorter than [`KEY_MIN`].
    pub fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < KEY_MIN {
            return Err(format!(
                "a key has {KEY_MIN} characters at least; openssl rand -hex 32 makes one"
            ));
        }
        Ok(Self(bytes.into()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// A random number of one connection, never used again.
pub type Nonce = [u8; 32];

/// A random number of one life of a daemon: tells it from its peer, and from its life before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life(pub u64);

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The one that called.
    Caller,
    /// The one that was called.
    Called,
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Called,
            Self::Called => Self::Caller,
        }
    }

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Caller => b"said by the caller",
            Self::Called => b"said by the called",
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefusal {
    /// The first line is none of ours.
    #[error("it does not speak lvsmon's protocol, or another version of it")]
    Greeting,
    /// It greets with our own life.
    #[error("it is this director itself; peer must be the address of the other one")]
    Ourselves,
    /// The first line behind the greeting has another HMAC.
    #[error("it has another key; peer_key must be the same file on both directors")]
    Key,
    /// A later line has.
    #[error("a line is not from the peer, or not in its place")]
    Line,
    /// A line of the peer's is no word, of whichever version.
    #[error("it says something that is not to be understood")]
    Word,
    /// Its `Hello` does not come first, or comes again.
    #[error("it says things out of order")]
    Order,
}

/// The first line of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Of this connection.
    pub nonce: Nonce,
    /// Who speaks.
    pub life: Life,
}

impl Greeting {
    /// As it is sent, without the line end.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{PROTOCOL} {} {:016x}", hex(&self.nonce), self.life.0)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`PeerRefusal::Greeting`]: not exactly what [`Greeting::line`] writes.
    pub fn of_line(line: &[u8]) -> Result<Self, PeerRefusal> {
        let text = std::str::from_utf8(line).map_err(|_| PeerRefusal::Greeting)?;
        let read = || {
            let (nonce, life) = text
                .strip_prefix(PROTOCOL)?
                .strip_prefix(' ')?
                .split_once(' ')?;
            let nonce = unhex(nonce.as_bytes())?;
            let life = u64::from_str_radix(life, 16).ok()?;
            Some(Self {
                nonce,
                life: Life(life),
            })
        };
        // Written again it must be the same: one greeting has one form.
        read()
            .filter(|greeting| greeting.line() == text)
            .ok_or(PeerRefusal::Greeting)
    }
}

/// One direction of a session.
struct Direction {
    key: [u8; 32],
    /// Number of the next line.
    next: u64,
}

/// What we say in a session.
pub struct Signer(Direction);

/// What the peer says in a session.
pub struct Verifier(Direction);

impl Direction {
    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        keyed(&self.key)
            .chain_update(self.next.to_be_bytes())
            .chain_update(body)
    }
}

/// A connection behind the greetings.
#[derive(Debug)]
pub struct Session {
    /// Its one half.
    pub signer: Signer,
    /// The other.
    pub verifier: Verifier,
    peer: Life,
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({} lines)", self.0.next)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Verifier({} lines)", self.0.next)
    }
}

impl Session {
    /// The session that both greetings make; `end` is our end of it.
    ///
    /// # Errors
    ///
    /// [`PeerRefusal::Ourselves`]: it is a connection to this very daemon, or somebody repeats our
    /// greeting.
    pub fn new(key: &Key, end: End, own: &Greeting, peer: &Greeting) -> Result<Self, PeerRefusal> {
        if own.life == peer.life || own.nonce == peer.nonce {
            return Err(PeerRefusal::Ourselves);
        }
        let (caller, called) = match end {
            End::Caller => (own, peer),
            End::Called => (peer, own),
        };
        let direction = |end: End| Direction {
            key: keyed(&key.0)
                .chain_update(end.label())
                .chain_update(caller.line())
                .chain_update(called.line())
                .finalize()
                .into_bytes()
                .into(),
            next: 0,
        };
        Ok(Self {
            signer: Signer(direction(end)),
            verifier: Verifier(direction(end.other())),
            peer: peer.life,
        })
    }

    /// Who is at the other end; believed once the session is open.
    #[must_use]
    pub const fn peer(&self) -> Life {
        self.peer
    }

    /// Whether the peer has shown that it has the key.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.verifier.is_open()
    }
}

impl Signer {
    /// The next line to send, without its line end. `body` has none.
    pub fn seal(&mut self, body: &str) -> String {
        let mac = self.0.mac(body.as_bytes()).finalize().into_bytes();
        self.0.next += 1;
        format!("{} {body}", hex(&mac))
    }
}

impl Verifier {
    const fn is_open(&self) -> bool {
        self.0.next > 0
    }

    /// What the next line of the peer says.
    ///
    /// # Errors
    ///
    /// It is not the next line of the peer. The connection has to end: nothing behind it can be
    /// believed.
    pub fn open<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], PeerRefusal> {
        let refusal = if self.is_open() {
            PeerRefusal::Line
        } else {
            PeerRefusal::Key
        };
        let (mac, rest) = line.split_at_checked(MAC_DIGITS).ok_or(refusal)?;
        let body = rest.strip_prefix(b" ").ok_or(refusal)?;
        let mac: [u8; 32] = unhex(mac).ok_or(refusal)?;
        // In constant time.
        let checked = self.0.mac(body).verify_slice(&mac);
        checked.map_err(|_| refusal)?;
        self.0.next += 1;
        Ok(body)
    }
}

/// Of two open links to the same peer, whether the newer one stays. Both sides may call at the
/// same moment: then the call of the director with the lesser life stays, whichever opened first,
/// so that both sides keep the same one. A link to another life, or by the same caller, is there
/// because the older one is dead.
#[must_use]
pub fn newer_stays(own: Life, old: (Life, End), new: (Life, End)) -> bool {
    let caller = |(peer, end): (Life, End)| match end {
        End::Caller => own,
        End::Called => peer,
    };
    old.0 != new.0 || old.1 == new.1 || caller(new) < caller(old)
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// 64 digits, small letters only.
fn unhex(digits: &[u8]) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(high)? << 4 | value(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
