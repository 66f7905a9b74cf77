//! How do lines become blocks?
//!
//! A statement is the words of a line; braces make it a block. Where a closing brace is missing,
//! the words that can only begin a block further out close what is open, with a remark; where
//! the file ends too early, the blocks that are open are marked as cut. Words that can only begin a
//! block, or a statement where a whole block stands on one line, begin one wherever they stand.

use crate::import::keepalived::lines::Line;
use crate::import::{Place, Remarks, shown};

/// Blocks inside of blocks; the language itself has five.
const DEPTH_MAX: usize = 16;

/// A statement, with what stands between its braces.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) place: Place,
    pub(super) words: Vec<String>,
    pub(super) inner: Vec<Block>,
    pub(super) extent: Extent,
}

/// How much of a statement is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Words without braces.
    Words,
    /// Both braces, or one that was taken as closed.
    Whole,
    /// Its closing brace is missing, and it ends where the file does.
    Cut,
}

impl Block {
    /// Its first word.
    pub(super) fn name(&self) -> &str {
        self.word(0).unwrap_or_default()
    }

    /// A word of it, the first is 0.
    pub(super) fn word(&self, index: usize) -> Option<&str> {
        self.words.get(index).map(String::as_str)
    }

    /// Its words behind the first.
    pub(super) fn args(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// As it began, for a remark.
    pub(super) fn title(&self) -> String {
        shown(&self.words.join(" "))
    }
}

/// Blocks that stand at the top of a file only.
const TOP: [&str; 7] = [
    "virtual_server",
    "virtual_server_group",
    "global_defs",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "bfd_instance",
];

/// Blocks of a real server.
pub(super) const CHECKERS: [&str; 10] = [
    "HTTP_GET",
    "SSL_GET",
    "TCP_CHECK",
    "SMTP_CHECK",
    "DNS_CHECK",
    "MISC_CHECK",
    "BFD_CHECK",
    "UDP_CHECK",
    "PING_CHECK",
    "FILE_CHECK",
];

/// Where mail addresses stand, in its block or behind it.
const MAIL: &str = "notification_email";

/// Words that begin a statement of a virtual server or of what is in it.
const STATEMENTS: [&str; 46] = [
    "alpha",
    "bind_if",
    "bind_port",
    "bindto",
    "connect_ip",
    "connect_port",
    "connect_timeout",
    "delay_before_retry",
    "delay_loop",
    "digest",
    "fwmark",
    "helo_name",
    "inhibit_on_failure",
    "lb_algo",
    "lb_kind",
    "lthreshold",
    "lvs_method",
    "lvs_sched",
    "misc_dynamic",
    "misc_path",
    "misc_timeout",
    "nb_get_retry",
    "notify_down",
    "notify_up",
    "ops",
    "path",
    "payload",
    "persistence_engine",
    "persistence_granularity",
    "persistence_timeout",
    "protocol",
    "quorum",
    "quorum_down",
    "quorum_up",
    "regex",
    "regex_options",
    "require_reply",
    "retry",
    "smtp_alert",
    "sorry_server",
    "status_code",
    "url",
    "uthreshold",
    "virtualhost",
    "warmup",
    "weight",
];

/// Whether a line is the first of a block of keepalived's.
pub(in crate::import) fn begins_block(line: &str) -> bool {
    let Some(word) = line.split_whitespace().next() else {
        return false;
    };
    TOP.contains(&word.trim_end_matches('{')) && !line.contains('=')
}

/// The blocks of all lines; `is_last_whole` says whether the last of them has its end, without
/// which it may be cut.
pub(super) fn read(lines: &[Line], is_last_whole: bool, remarks: &mut Remarks) -> Vec<Block> {
    let mut reader = Reader {
        open: Vec::new(),
        top: Vec::new(),
        too_deep: 0,
        remarks,
    };
    for line in lines {
        reader.line(line);
    }
    reader.end(is_last_whole);
    reader.top
}

struct Reader<'a> {
    /// Blocks whose brace is open, the innermost last.
    open: Vec<Block>,
    top: Vec<Block>,
    /// Open braces beyond [`DEPTH_MAX`], whose content is passed over.
    too_deep: usize,
    remarks: &'a mut Remarks,
}

impl Reader<'_> {
    fn line(&mut self, line: &Line) {
        let mut words = Vec::new();
        let mut position = Position::First;
        let is_open = |name| self.open.last().is_some_and(|it| it.name() == name);
        let is_mail = line.text.contains(MAIL) || is_open(MAIL);
        for token in tokens(&line.text, is_mail) {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => {
                    let all = std::mem::take(&mut words);
                    let begun = self.last_statement(&line.place, all, position);
                    self.open(&line.place, begun);
                    position = Position::BehindBrace;
                }
                Token::Close => {
                    let all = std::mem::take(&mut words);
                    let last = self.last_statement(&line.place, all, position);
                    self.statement(&line.place, last);
                    self.close(&line.place);
                }
            }
        }
        let last = self.last_statement(&line.place, words, position);
        self.statement(&line.place, last);
    }

    /// The last of the statements that the words are; those before it are added.
    fn last_statement(
        &mut self,
        place: &Place,
        words: Vec<String>,
        position: Position,
    ) -> Vec<String> {
        let begins = |word: &str| match position {
            Position::First => CHECKERS.contains(&word),
            Position::BehindBrace => {
                let is_block = CHECKERS.contains(&word) || word == "real_server";
                is_block || STATEMENTS.contains(&word)
            }
        };
        // What keepalived keeps may have such words for names of its own.
        let is_ours = match self.open.first() {
            Some(outermost) => outermost.name() == "virtual_server",
            None => false,
        };
        let mut last: Vec<String> = Vec::new();
        for word in words {
            if is_ours && !last.is_empty() && begins(&word) {
                let text = "several statements on one line; each is read by itself";
                self.remarks.tolerated(place, text);
                self.statement(place, std::mem::take(&mut last));
            }
            last.push(word);
        }
        last
    }

    fn statement(&mut self, place: &Place, words: Vec<String>) {
        if !words.is_empty() && self.too_deep == 0 {
            self.add(Block {
                place: place.clone(),
                words,
                inner: Vec::new(),
                extent: Extent::Words,
            });
        }
    }

    fn add(&mut self, block: Block) {
        match self.open.last_mut() {
            Some(parent) => parent.inner.push(block),
            None => self.top.push(block),
        }
    }

    fn open(&mut self, place: &Place, words: Vec<String>) {
        if self.too_deep > 0 || self.open.len() >= DEPTH_MAX {
            if self.too_deep == 0 {
                let text =
                    format!("blocks are more than {DEPTH_MAX} deep; what is deeper is left out");
                self.remarks.lost(place, text);
            }
            self.too_deep += 1;
            return;
        }
        let block = if words.is_empty() {
            // The brace on a line of its own.
            let list = match self.open.last_mut() {
                Some(parent) => &mut parent.inner,
                None => &mut self.top,
            };
            list.pop()
        } else {
            None
        };
        let mut block = block.unwrap_or_else(|| Block {
            place: place.clone(),
            words,
            inner: Vec::new(),
            extent: Extent::Whole,
        });
        block.extent = Extent::Whole;
        self.close_before(block.name(), place);
        self.open.push(block);
    }

    /// Closes what can only be open because a brace is missing.
    fn close_before(&mut self, name: &str, place: &Place) {
        let depth = if TOP.contains(&name) {
            Some(0)
        } else if name == "real_server" {
            self.depth_of("virtual_server")
        } else if CHECKERS.contains(&name) {
            self.depth_of("real_server")
        } else {
            None
        };
        let Some(depth) = depth else {
            return;
        };
        while self.open.len() > depth {
            let Some(block) = self.open.pop() else {
                return;
            };
            let text = format!(
                "{name} begins before the closing brace of {} of line {}; taken as closed",
                block.title(),
                block.place.line
            );
            self.remarks.tolerated(place, text);
            self.add(block);
        }
    }

    /// How many blocks are open down to the innermost of that name.
    fn depth_of(&self, name: &str) -> Option<usize> {
        let found = self.open.iter().rposition(|block| block.name() == name);
        found.map(|index| index + 1)
    }

    fn close(&mut self, place: &Place) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        match self.open.pop() {
            Some(block) => self.add(block),
            None => self
                .remarks
                .tolerated(place, "a closing brace without an opening one"),
        }
    }

    fn end(&mut self, is_last_whole: bool) {
        if !is_last_whole && let Some(block) = self.open.last_mut() {
            // Half an address may be another one.
            block.inner.pop_if(|it| it.extent == Extent::Words);
        }
        while let Some(mut block) = self.open.pop() {
            block.extent = Extent::Cut;
            if self.open.is_empty() {
                let text = format!(
                    "the file ends inside of {}: a brace is missing, or the file is cut and \
                     lacks what came then",
                    block.title()
                );
                self.remarks.lost(&block.place, text);
            }
            self.add(block);
        }
    }
}

/// Where on its line a word stands.
#[derive(Clone, Copy)]
enum Position {
    /// No brace was opened on the line.
    First,
    BehindBrace,
}

enum Token {
    Word(String),
    Open,
    Close,
}

/// Words by keepalived's rules for quotes, and braces that stand alone or end a word. An apostrophe
/// inside of a mail address is a letter of it.
fn tokens(text: &str, is_mail: bool) -> Vec<Token> {
    let mut list = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some(_)) => {
                let escaped = letters.next().unwrap_or('\\');
                word.get_or_insert_default().push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            (_, Some(open)) if letter == open => quote = None,
            ('\'', None) if is_mail && word.is_some() => word.get_or_insert_default().push(letter),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (' ' | '\t' | '\n' | '\r', None) => list.extend(word.take().map(Token::Word)),
            ('{', None) if !word.as_ref().is_some_and(|it| it.ends_with('$')) => {
                list.extend(word.take().map(Token::Word));
                list.push(Token::Open);
            }
            // The end of a definition that nobody gave stays in its word.
            ('}', None) if !word.as_ref().is_some_and(|it| it.contains("${")) => {
                list.extend(word.take().map(Token::Word));
                list.push(Token::Close);
            }
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    list.extend(word.map(Token::Word));
    list
}
