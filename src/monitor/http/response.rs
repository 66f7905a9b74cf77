//! What a response says while it comes in: is the verdict certain, is it complete, is it good.
//!
//! Interim answers (1xx, RFC 9110 section 15.2) are dropped as they come; the final one counts.
//! Only 101 is final: nobody asked for another protocol, so nothing of ours can follow it.
//! Works on bytes only; knows no socket and no clock.

use crate::engine::event::Reason;
use crate::monitor::dial::Trouble;
use crate::options::http::Pattern;

/// Longest head (status line and headers): eight times what common servers allow themselves. Also
/// the most that interim answers may take together.
const HEAD_MAX: usize = 64 * 1_024;

/// Most of a response that is searched with `-m`: larger pages are downloads, not health pages.
const SEARCH_MAX: usize = 1 << 20;

/// Up to here the expression is tried at every piece that comes in.
const SEARCH_EAGERLY: usize = 16 * 1_024;

/// The status codes that are good without `-m` in mon 1.3.6's http.monitor.
const GOOD: [u16; 4] = [200, 301, 302, 401];

/// How reading ended.
#[derive(Debug)]
pub(super) enum End {
    /// More would not change the verdict.
    Certain,
    /// The server closed.
    Closed,
    /// The connection broke, or time was up.
    Trouble(Trouble),
}

/// A response as far as it came in.
#[derive(Debug)]
pub(super) struct Response {
    pattern: Option<Pattern>,
    /// The final answer, or an interim one that is not complete yet.
    raw: Vec<u8>,
    /// Bytes of interim answers that were dropped.
    interim: usize,
    /// Where the body begins.
    body: Option<usize>,
    /// Bytes of the head that were searched for its end.
    looked: usize,
    /// Length of the whole response, where its head tells.
    length: Option<usize>,
    is_chunked: bool,
    /// Length at which the expression is tried next.
    search_at: usize,
    /// No verdict is certain before the head is complete.
    awaits_head: bool,
}

/// What the beginning of a response is.
enum Status {
    /// It may still become a status line.
    Unclear,
    /// It is none.
    Alien,
    Code(u16),
}

impl Response {
    pub(super) fn new(pattern: Option<Pattern>) -> Self {
        Self {
            pattern,
            raw: Vec::new(),
            interim: 0,
            body: None,
            looked: 0,
            length: None,
            is_chunked: false,
            search_at: 0,
            awaits_head: false,
        }
    }

    /// Somebody asks for headers: reading goes on until they are all there.
    pub(super) const fn await_head(&mut self) {
        self.awaits_head = true;
    }

    /// The first header of that name, in any case, of a complete head.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(self.raw.get(..self.body?)?);
        let mut headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned())
    }

    /// Whether nothing came in at all.
    pub(super) fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.interim == 0
    }

    /// Status line and headers, without the empty line.
    pub(super) fn head(&self) -> &[u8] {
        match self.body {
            Some(body) => self.raw.get(..body).unwrap_or_default().trim_ascii_end(),
            None if matches!(self.status(), Status::Alien) => b"",
            None => self.raw.trim_ascii_end(),
        }
    }

    /// Adds a piece; true when the verdict is certain.
    pub(super) fn take(&mut self, piece: &[u8]) -> bool {
        self.append(piece);
        if self.has_endless_interim() {
            return true;
        }
        match &self.pattern {
            None => {
                self.body.is_some()
                    || self.raw.len() > HEAD_MAX
                    || matches!(self.status(), Status::Alien)
            }
            Some(_) if self.raw.len() >= SEARCH_MAX || self.is_complete() => true,
            Some(_) if self.has_endless_head() => true,
            Some(pattern) => {
                let is_awaited = self.awaits_head && self.body.is_none();
                let try_now =
                    pattern.decides_early() && !is_awaited && self.raw.len() >= self.search_at;
                if try_now && pattern.matches(self.searched()) {
                    return true;
                }
                if try_now && self.raw.len() > SEARCH_EAGERLY {
                    // Each try reads everything: grow by a quarter in between.
                    self.search_at = self.raw.len() + self.raw.len() / 4;
                }
                false
            }
        }
    }

    /// Adds a piece without judging.
    pub(super) fn append(&mut self, piece: &[u8]) {
        self.raw.extend_from_slice(piece);
        while self.body.is_none() && self.find_body() {
            if self.is_interim() {
                let end = self.body.take().unwrap_or(0);
                self.raw.drain(..end);
                self.interim = self.interim.saturating_add(end);
                self.looked = 0;
            } else {
                self.read_head();
            }
        }
    }

    /// Looks for the empty line; false while it is not there.
    fn find_body(&mut self) -> bool {
        let from = self.looked.saturating_sub(3);
        let rest = self.raw.get(from..).unwrap_or_default();
        let end = (0..rest.len()).find_map(|at| match rest.get(at..)? {
            [b'\n', b'\n', ..] => Some(at + 2),
            [b'\n', b'\r', b'\n', ..] => Some(at + 3),
            _ => None,
        });
        self.looked = self.raw.len();
        self.body = end.map(|end| from + end);
        self.body.is_some()
    }

    /// Takes from the headers how long the response will be.
    fn read_head(&mut self) {
        let body = self.body.unwrap_or(0);
        let head = String::from_utf8_lossy(self.raw.get(..body).unwrap_or_default());
        let mut length = None;
        let mut is_chunked = false;
        for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse::<usize>().ok();
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                is_chunked = value.to_ascii_lowercase().ends_with("chunked");
            }
        }
        if matches!(self.status(), Status::Code(204 | 304)) {
            length = Some(0);
        }
        self.is_chunked = is_chunked;
        if !is_chunked {
            self.length = length.map(|length| body.saturating_add(length));
        }
    }

    /// Whether what is there is an interim answer, or the beginning of one.
    fn is_interim(&self) -> bool {
        matches!(self.status(), Status::Code(100 | 102..=199))
    }

    /// What the expression looks at: nothing of an interim answer.
    fn searched(&self) -> &[u8] {
        if self.is_interim() { b"" } else { &self.raw }
    }

    /// Whether the server has said everything it announced.
    pub(super) fn is_complete(&self) -> bool {
        let Some(body) = self.body else {
            return false;
        };
        let content = self.raw.get(body..).unwrap_or_default();
        let last_chunk = content == b"0\r\n\r\n" || content.ends_with(b"\r\n0\r\n\r\n");
        let by_length = self.length.is_some_and(|length| self.raw.len() >= length);
        by_length || (self.is_chunked && last_chunk)
    }

    fn has_endless_interim(&self) -> bool {
        self.interim > HEAD_MAX
    }

    fn has_endless_head(&self) -> bool {
        self.body.is_none() && self.raw.len() > HEAD_MAX && matches!(self.status(), Status::Code(_))
    }

    /// Good, with a line about it, or why not.
    pub(super) fn verdict(&self, end: &End) -> Result<String, Trouble> {
        if self.has_endless_interim() {
            let text = format!("no final answer within {HEAD_MAX} bytes of interim ones");
            return Err(Trouble::down(Reason::Reply, text));
        }
        match &self.pattern {
            Some(pattern) => self.verdict_by_pattern(pattern, end),
            None => self.verdict_by_status(end),
        }
    }

    fn verdict_by_pattern(&self, pattern: &Pattern, end: &End) -> Result<String, Trouble> {
        if pattern.matches(self.searched()) {
            return Ok("the response matches".to_owned());
        }
        match end {
            End::Trouble(trouble) => Err(trouble.clone()),
            End::Closed if self.has_no_answer() => Err(self.closed_without_answer()),
            End::Certain if self.has_endless_head() => Err(endless_head()),
            End::Certain | End::Closed => Err(Trouble::down(Reason::Body, "Regex match failed")),
        }
    }

    fn verdict_by_status(&self, end: &End) -> Result<String, Trouble> {
        let code = match self.status() {
            Status::Code(_) if self.is_interim() => return Err(self.no_status(end)),
            Status::Code(code) => code,
            Status::Alien => {
                return Err(Trouble::down(
                    Reason::Reply,
                    format!("not an HTTP response: {}", self.first_line()),
                ));
            }
            Status::Unclear => return Err(self.no_status(end)),
        };
        if self.body.is_none() {
            match end {
                End::Trouble(trouble) => return Err(trouble.clone()),
                End::Certain => return Err(endless_head()),
                // As for the script, a server that closes has said all it wanted to say.
                End::Closed => {}
            }
        }
        if GOOD.contains(&code) {
            Ok(format!("status {code}"))
        } else {
            let line = self.first_line();
            let words = line
                .split_once(' ')
                .map_or(line.as_str(), |(_, words)| words);
            Err(Trouble::down(Reason::Status, format!("status {words}")))
        }
    }

    fn no_status(&self, end: &End) -> Trouble {
        match end {
            End::Trouble(trouble) => trouble.clone(),
            End::Certain => endless_head(),
            End::Closed if self.has_no_answer() => self.closed_without_answer(),
            End::Closed => Trouble::down(
                Reason::Reply,
                format!("not an HTTP response: {}", self.first_line()),
            ),
        }
    }

    /// Whether no final answer has begun.
    fn has_no_answer(&self) -> bool {
        self.raw.is_empty() || self.is_interim()
    }

    fn closed_without_answer(&self) -> Trouble {
        let text = if self.is_empty() {
            "closed without an answer"
        } else {
            "closed after interim answers, without a final one"
        };
        Trouble::down(Reason::Reply, text)
    }

    /// `HTTP/N.N CODE`, as the script's expression reads it.
    fn status(&self) -> Status {
        const START: &[u8] = b"HTTP/";
        let common = self.raw.len().min(START.len());
        if self.raw.get(..common) != START.get(..common) {
            return Status::Alien;
        }
        let rest = self.raw.get(START.len()..).unwrap_or_default();
        let version = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
            .count();
        let rest = rest.get(version..).unwrap_or_default();
        let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
        let rest = rest.get(blanks..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (version, blanks, digits, rest.get(digits)) {
            // A fourth digit may still come while the third is the last byte.
            (1.., 1.., 3, Some(next)) if !is_word(*next) => Status::Code(self.number(rest)),
            (1.., 1.., 3, None) => Status::Code(self.number(rest)),
            (_, _, 0..3, None) => Status::Unclear,
            _ => Status::Alien,
        }
    }

    fn number(&self, digits: &[u8]) -> u16 {
        digits
            .iter()
            .take(3)
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    }

    /// The beginning of the first line, fit for one line of text.
    fn first_line(&self) -> String {
        const SHOWN_MAX: usize = 80;
        let line = self
            .raw
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .take(SHOWN_MAX)
            .collect()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn endless_head() -> Trouble {
    Trouble::down(
        Reason::Reply,
        format!("the headers do not end within {HEAD_MAX} bytes"),
    )
}

#[cfg(test)]
mod tests;
