//! What a trap packet says, and how one is written.
//!
//! Pure. One datagram holds lines `tag=value`; the tags are those of Perl's Mon::Client, the
//! values may be in single quotes and escaped (docs/mon.md, "Traps"). Checks that cost nothing
//! come first, so that only a packet that is right in all else costs a look at a password.

use std::fmt;
use std::net::IpAddr;

use crate::engine::event::Trap;

/// Largest packet, in bytes: that of UDP.
pub const PACKET_MAX: usize = 65_535;

/// The protocol that packets name; older ones are refused.
pub const PROTOCOL: &str = "0.3807";

/// The same as a number, in ten-thousandths.
const PROTOCOL_LEAST: f64 = 0.3807;

/// Longest name of a group, a service or a user, in bytes: longer ones are in no file.
const NAME_MAX: usize = 1_024;

/// Longest status, in bytes.
const STATUS_MAX: usize = 64;

/// Longest summary that is sent, in bytes: escaped it leaves room for the rest.
const SUMMARY_MAX: usize = 16_000;

/// A packet that was read. Its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// `usr`; empty without one.
    pub user: String,
    /// `pas`; empty without one.
    pub password: Vec<u8>,
    /// What it reports.
    pub trap: Trap,
    /// Lines that were passed over because they have another shape.
    pub odd_lines: usize,
}

impl fmt::Debug for Packet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            password: _,
            trap,
            odd_lines,
        } = self;
        write!(
            out,
            "trap of user {user:?}: {trap:?}, {odd_lines} odd lines"
        )
    }
}

/// Why bytes are no trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unreadable {
    /// No line has the shape of a trap's.
    NoTrap,
    /// `pro` is missing, or below [`PROTOCOL`].
    Protocol,
    /// `sta` is missing.
    NoStatus,
    /// `grp` or `svc` is missing.
    NoService,
    /// A name or a status of a length that cannot be meant.
    TooLong,
}

impl Unreadable {
    /// The same as a constant.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoTrap => "not a trap",
            Self::Protocol => "of a protocol older than 0.3807",
            Self::NoStatus => "without a status",
            Self::NoService => "without a group or a service",
            Self::TooLong => "with a name that is too long",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.reason())
    }
}

/// Reads a packet.
///
/// Tags may come in any order, of equal ones the last counts, unknown ones mean nothing. What is
/// no UTF-8 in summary and detail is replaced.
///
/// # Errors
///
/// Why it is no trap.
pub fn parse(bytes: &[u8], from: IpAddr) -> Result<Packet, Unreadable> {
    let mut tags = Tags::default();
    let mut odd_lines = 0;
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match split_tag(line) {
            Some((tag, value)) => tags.put(tag, value),
            None if line.is_empty() => {}
            None => odd_lines += 1,
        }
    }
    if !tags.any {
        return Err(Unreadable::NoTrap);
    }
    let is_recent = tags
        .protocol
        .map(number)
        .is_some_and(|number| number >= PROTOCOL_LEAST);
    if !is_recent {
        return Err(Unreadable::Protocol);
    }
    let (Some(group), Some(service)) = (tags.group, tags.service) else {
        return Err(Unreadable::NoService);
    };
    let status = tags.status.ok_or(Unreadable::NoStatus)?;
    let user = tags.user.unwrap_or_default();
    let names = [
        (group, NAME_MAX),
        (service, NAME_MAX),
        (user, NAME_MAX),
        (status, STATUS_MAX),
    ];
    if names.iter().any(|(value, most)| value.len() > *most) {
        return Err(Unreadable::TooLong);
    }
    Ok(Packet {
        user: text(user),
        password: unescape(tags.password.unwrap_or_default()),
        trap: Trap {
            group: text(group),
            service: text(service),
            status: text(status),
            summary: text(tags.summary.unwrap_or_default()),
            detail: text(tags.detail.unwrap_or_default()),
            from: from.to_canonical(),
        },
        odd_lines,
    })
}

/// The values that mon uses, as they stand in the packet.
#[derive(Default)]
struct Tags<'a> {
    any: bool,
    protocol: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    group: Option<&'a [u8]>,
    service: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    summary: Option<&'a [u8]>,
    detail: Option<&'a [u8]>,
}

impl<'a> Tags<'a> {
    fn put(&mut self, tag: &[u8], value: &'a [u8]) {
        self.any = true;
        let place = match tag {
            b"pro" => &mut self.protocol,
            b"usr" => &mut self.user,
            b"pas" => &mut self.password,
            b"grp" => &mut self.group,
            b"svc" => &mut self.service,
            b"sta" => &mut self.status,
            b"sum" => &mut self.summary,
            b"dtl" => &mut self.detail,
            _ => return,
        };
        *place = Some(value);
    }
}

/// `TAG=VALUE`, the value without its quotes.
fn split_tag(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = line.split_at_checked(3)?;
    let value = rest.strip_prefix(b"=")?;
    if !tag.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let bare = value
        .strip_prefix(b"'")
        .and_then(|value| value.strip_suffix(b"'"));
    Some((tag, bare.unwrap_or(value)))
}

/// The number that a text begins with, zero without one, as Perl has it.
fn number(value: &[u8]) -> f64 {
    let text = text(value);
    let text = text.trim_start();
    let mut dots = 0;
    let end = text.find(|c: char| match c {
        '.' => {
            dots += 1;
            dots > 1
        }
        _ => !c.is_ascii_digit(),
    });
    let digits = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    digits.parse().unwrap_or(0.0)
}

fn text(value: &[u8]) -> String {
    match String::from_utf8(unescape(value)) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// A backslash and two hex digits in lower case are one byte; a doubled backslash stays what it
/// is (P-6 kept).
#[must_use]
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, behind)) = rest.split_first() {
        if let (b'\\', [high, low, after @ ..]) = (byte, behind)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(byte);
            rest = behind;
        }
    }
    out
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// The same in the other direction. A backslash becomes `\5c`, which all receivers read, also
/// those that leave a doubled one doubled.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for &byte in value {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'"' | b'\'' | b'\\') => out.push(byte),
            _ => {
                let (high, low) = (byte >> 4, byte & 15);
                out.extend([b'\\', DIGITS[usize::from(high)], DIGITS[usize::from(low)]]);
            }
        }
    }
}

/// A trap to be sent. Its `Debug` does not show the password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// `usr`
    pub user: String,
    /// `pas`; sent only with a user.
    pub password: String,
    /// `grp`
    pub group: String,
    /// `svc`
    pub service: String,
    /// `sta`: 0 is a success.
    pub status: String,
    /// `spc`: mon's number of the status, which receivers only log.
    pub opstatus: u8,
    /// `tsp`: seconds since 1970.
    pub time: i64,
    /// `sum`
    pub summary: String,
    /// `dtl`
    pub detail: Vec<u8>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "trap {} {}: {}", self.group, self.service, self.status)
    }
}

impl Outgoing {
    /// Largest packet that is sent, in bytes: what IPv4 carries in one datagram.
    pub const BYTES_MAX: usize = 65_507;

    /// The datagram. Summary and detail are cut where they do not fit.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        self.rendered().0
    }

    /// What does not fit into the datagram, for a person; none where all does.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        let summary = start_of(&self.summary, SUMMARY_MAX).len();
        let detail = self.rendered().1;
        let cut: Vec<String> = [
            ("summary", summary, self.summary.len()),
            ("detail", detail, self.detail.len()),
        ]
        .into_iter()
        .filter(|(_, kept, all)| kept < all)
        .map(|(what, kept, all)| format!("of the {what} only the first {kept} of {all} bytes"))
        .collect();
        (!cut.is_empty()).then(|| cut.join(", "))
    }

    /// The datagram, and how many bytes of the detail it holds.
    fn rendered(&self) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(256 + self.summary.len() + self.detail.len());
        let opstatus = self.opstatus.to_string();
        let time = self.time.to_string();
        let mut put = |tag: &str, value: &str| {
            out.extend(tag.bytes());
            out.extend(b"='");
            escape(value.as_bytes(), &mut out);
            out.extend(b"'\n");
        };
        put("pro", PROTOCOL);
        put("usr", &self.user);
        if !self.user.is_empty() {
            put("pas", &self.password);
        }
        put("spc", &opstatus);
        put("seq", "0");
        put("typ", "trap");
        put("grp", &self.group);
        put("svc", &self.service);
        put("sta", &self.status);
        put("spc", &opstatus);
        put("tsp", &time);
        put("sum", start_of(&self.summary, SUMMARY_MAX));
        out.extend(b"dtl='");
        let mut detail = Vec::with_capacity(self.detail.len());
        escape(&self.detail, &mut detail);
        let room = Self::BYTES_MAX.saturating_sub(out.len() + 2);
        let kept = whole_escapes(&detail, room);
        out.extend_from_slice(kept);
        out.extend(b"'\n");
        (out, unescape(kept).len())
    }
}

/// At most so many bytes of a text, ending between characters.
fn start_of(text: &str, most: usize) -> &str {
    let ends = (0..=most.min(text.len())).rev();
    let whole = ends.take(4).find_map(|end| text.get(..end));
    whole.unwrap_or_default()
}

/// At most so many bytes, and no part of an escape.
fn whole_escapes(escaped: &[u8], most: usize) -> &[u8] {
    let Some(kept) = escaped.get(..most) else {
        return escaped;
    };
    let tail = kept.len().saturating_sub(2);
    let last = kept.iter().skip(tail).position(|&byte| byte == b'\\');
    match last {
        Some(at) => kept.get(..tail + at).unwrap_or_default(),
        None => kept,
    }
}

#[cfg(test)]
mod tests;
