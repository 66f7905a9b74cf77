//! What does ldirectord.cf say? Lines to settings, settings to a plan.
//!
//! | Question | File |
//! |---|---|
//! | what does a section come to, what do the globals | `section` |
//! | what do its `real` and `fallback` lines come to | `server` |
//! | how does it look at real servers | `check` |
//!
//! Source: ldirectord(8) 4.12.0 and what the program does. Where the two differ from each other
//! the program counts: it ends a `virtual` section at the first line that is not indented, so a
//! file that lost its indentation says nothing there; here it is read as it was meant (D36).

mod check;
mod section;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::import::plan::Plan;
use crate::import::{Format, Place, Remarks, SERVERS_MAX, shown};

/// Where a word may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Global,
    Virtual,
    Both,
}

use Level::{Both, Global, Virtual};

/// Every word of the language but `virtual` and `real` with their kin.
const WORDS: [(&str, Level); 43] = [
    ("autoreload", Global),
    ("callback", Global),
    ("checkcommand", Virtual),
    ("checkcount", Both),
    ("checkinterval", Both),
    ("checkport", Virtual),
    ("checktimeout", Both),
    ("checktype", Virtual),
    ("cleanstop", Both),
    ("comment", Virtual),
    ("database", Virtual),
    ("emailalert", Both),
    ("emailalertfreq", Both),
    ("emailalertfrom", Global),
    ("emailalertstatus", Both),
    ("execute", Global),
    ("failurecount", Both),
    ("fallback", Both),
    ("fallback6", Both),
    ("fallbackcommand", Both),
    ("fork", Global),
    ("httpmethod", Virtual),
    ("load", Virtual),
    ("logfile", Global),
    ("login", Virtual),
    ("maintenancedir", Global),
    ("monitorfile", Virtual),
    ("negotiatetimeout", Both),
    ("netmask", Virtual),
    ("ops", Virtual),
    ("passwd", Virtual),
    ("persistent", Virtual),
    ("protocol", Virtual),
    ("quiescent", Both),
    ("readdquiescent", Global),
    ("receive", Virtual),
    ("request", Virtual),
    ("schedflags", Virtual),
    ("scheduler", Virtual),
    ("secret", Virtual),
    ("service", Virtual),
    ("servicename", Virtual),
    ("smtp", Both),
];

/// Also global, and different from the rest: it may stand without a value.
const SUPERVISED: &str = "supervised";

/// Also of a virtual service.
const VIRTUALHOST: &str = "virtualhost";

/// A value and where it stands.
#[derive(Clone, Debug)]
struct Value {
    place: Place,
    text: String,
}

/// Settings by their words; of equal ones the last counts, as in the program.
type Settings = BTreeMap<&'static str, Value>;

/// A `virtual` section.
#[derive(Debug)]
struct Block {
    /// What follows `virtual=`.
    head: Value,
    is_six: bool,
    reals: Vec<Value>,
    settings: Settings,
    has_lost_indentation: bool,
}

/// Reads a file.
pub(super) fn read(file: &Arc<str>, text: &str, remarks: &mut Remarks) -> Plan {
    let mut plan = Plan::new(Format::Ldirectord, file);
    let (global, blocks) = blocks(file, text, remarks);
    section::of_globals(&global, &mut plan, remarks);
    plan.remarks.extend(remarks.take());
    let mut real_servers = 0;
    for block in &blocks {
        if plan.sections.len() >= SERVERS_MAX || real_servers > SERVERS_MAX {
            remarks.lost(
                &block.head.place,
                format!("more than {SERVERS_MAX} virtual services or real servers; the rest is not imported"),
            );
            break;
        }
        if let Some(section) = section::of_block(block, &global, &plan, remarks) {
            real_servers += section.servers.len();
            plan.sections.push(section);
        } else {
            plan.remarks.extend(remarks.take());
        }
    }
    plan
}

/// A line in its parts.
struct Line<'a> {
    place: Place,
    is_indented: bool,
    word: &'a str,
    value: &'a str,
}

fn blocks(file: &Arc<str>, text: &str, remarks: &mut Remarks) -> (Settings, Vec<Block>) {
    let mut global = Settings::new();
    let mut blocks: Vec<Block> = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let place = Place {
            file: Arc::clone(file),
            line: index + 1,
        };
        let code = without_comment(raw);
        let trimmed = code.trim();
        if trimmed.is_empty() {
            continue;
        }
        let (word, value) = match trimmed.split_once('=') {
            Some((word, value)) => (word.trim(), value.trim()),
            None if trimmed == SUPERVISED => (trimmed, "yes"),
            None => {
                let text = format!(
                    "\"{}\" is no line of ldirectord.cf",
                    shown(first_word(trimmed))
                );
                remarks.lost(&place, text);
                continue;
            }
        };
        let line = Line {
            place,
            is_indented: code.starts_with([' ', '\t']),
            word,
            value,
        };
        take(&line, &mut global, &mut blocks, remarks);
    }
    (global, blocks)
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn take(line: &Line<'_>, global: &mut Settings, blocks: &mut Vec<Block>, remarks: &mut Remarks) {
    let value = Value {
        place: line.place.clone(),
        text: line.value.to_owned(),
    };
    match (line.word, blocks.last_mut()) {
        ("virtual" | "virtual6", _) => {
            blocks.push(Block {
                head: value,
                is_six: line.word == "virtual6",
                reals: Vec::new(),
                settings: Settings::new(),
                has_lost_indentation: false,
            });
            return;
        }
        ("real" | "real6", Some(block)) => {
            lost_indentation(line, block, remarks);
            block.reals.push(value);
            return;
        }
        _ => {}
    }
    let Some((word, level)) = level(line.word) else {
        // A value may be a password.
        let text = format!("\"{}\" is no word of ldirectord.cf", shown(line.word));
        remarks.lost(&line.place, text);
        return;
    };
    match (level, blocks.last_mut()) {
        (Global, _) => {
            global.insert(word, value);
        }
        (Virtual, Some(block)) => {
            lost_indentation(line, block, remarks);
            block.settings.insert(word, value);
        }
        (Both, Some(block)) if line.is_indented || block.has_lost_indentation => {
            block.settings.insert(word, value);
        }
        (Both, _) => {
            global.insert(word, value);
        }
        (Virtual, None) => {
            let text = format!("{word} stands before any virtual service and means nothing");
            remarks.lost(&line.place, text);
        }
    }
}

fn lost_indentation(line: &Line<'_>, block: &mut Block, remarks: &mut Remarks) {
    if !line.is_indented && !block.has_lost_indentation {
        block.has_lost_indentation = true;
        let text = format!(
            "not indented; taken as part of the virtual service above, {}",
            shown(&block.head.text)
        );
        remarks.tolerated(&line.place, text);
    }
}

fn level(word: &str) -> Option<(&'static str, Level)> {
    match word {
        SUPERVISED => return Some((SUPERVISED, Global)),
        VIRTUALHOST => return Some((VIRTUALHOST, Virtual)),
        "real" | "real6" => return Some(("real", Virtual)),
        _ => {}
    }
    WORDS.iter().find(|(name, _)| *name == word).copied()
}

/// The line up to a `#` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut is_quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    // A quote that nothing closes hides no comment.
    match (is_quoted, line.find(" #")) {
        (true, Some(at)) => line.get(..at).unwrap_or_default(),
        _ => line,
    }
}
