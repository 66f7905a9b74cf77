//! What does keepalived.conf say of its virtual servers?
//!
//! | Question | File |
//! |---|---|
//! | how do files, conditions and definitions become lines | `lines` |
//! | how do lines become blocks | `blocks` |
//! | what do the global blocks say | `globals` |
//! | what does a `virtual_server` come to | `virtual_server` |
//! | which virtual services is it for | `keys` |
//! | how does a `lvs_method` forward | `forwarding` |
//! | what does a virtual server give its real servers and checkers | `defaults` |
//! | what does a checker come to | `checker` |
//! | which text do the bytes of one make | `hex` |
//!
//! Source: keepalived.conf(5) 2.2.7. VRRP, BFD and what belongs to them stay keepalived's, which
//! is said once. Lines are limited in `lines`, nesting in `blocks`.

mod blocks;
mod checker;
mod defaults;
mod forwarding;
mod globals;
mod hex;
mod keys;
mod lines;
mod virtual_server;

use std::sync::Arc;
use std::time::Duration;

use crate::import::keepalived::blocks::Block;
use crate::import::plan::Plan;
use crate::import::{Files, Format, Reading, Remarks, SERVERS_MAX, shown};

pub(super) use blocks::begins_block;
pub(super) use lines::is_include;

/// Reads a file and those that it includes.
pub(super) fn read(
    file: &Arc<str>,
    text: &str,
    reading: &Reading,
    files: Files<'_>,
    remarks: &mut Remarks,
) -> Plan {
    let lines = lines::read(file, text, reading, files, remarks);
    let tree = blocks::read(&lines, text.ends_with('\n'), remarks);
    let mut plan = Plan::new(Format::Keepalived, file);
    let globals = globals::read(&tree, &mut plan, remarks);
    plan.remarks.extend(remarks.take());
    let mut entries = 0;
    for block in tree.iter().filter(|it| it.name() == "virtual_server") {
        if entries > SERVERS_MAX {
            let text =
                format!("more than {SERVERS_MAX} entries of the table; the rest is not imported");
            remarks.lost(&block.place, text);
            break;
        }
        match virtual_server::section(block, &globals, &plan, remarks) {
            Some(section) => {
                entries += section.keys.len().saturating_mul(section.servers.len());
                plan.sections.push(section);
            }
            None => plan.remarks.extend(remarks.take()),
        }
    }
    plan.remarks.extend(remarks.take());
    plan
}

/// A `TIMER`: seconds, perhaps with a fraction.
fn timer(text: &str) -> Option<Duration> {
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| is_number)?;
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    let longest = Duration::from_secs(7 * 86_400);
    let micros = u64::try_from(span.as_micros()).ok()?;
    (span <= longest).then(|| Duration::from_micros(micros))
}

/// A `BOOL`; a word alone means yes. None where keepalived passes over the line, with a remark.
fn is_on(line: &Block, remarks: &mut Remarks) -> Option<bool> {
    match line.word(1) {
        None | Some("on" | "yes" | "true") => Some(true),
        Some("off" | "no" | "false") => Some(false),
        Some(other) => {
            let (name, other) = (shown(line.name()), shown(other));
            let text = format!(
                "{name} \"{other}\": keepalived passes over the line; write on, off, yes, no, true or \
                 false"
            );
            remarks.tolerated(&line.place, text);
            None
        }
    }
}

/// Says what stands behind the words that a statement takes: keepalived drops it without a word.
fn swallowed(line: &Block, takes: usize, remarks: &mut Remarks) {
    if let Some(first) = line.args().get(takes) {
        let count = match takes {
            0 => "no word",
            1 => "one word",
            _ => "two words",
        };
        let (name, first) = (shown(line.name()), shown(first));
        let text = format!(
            "{name} takes {count}: keepalived drops what follows on the line, \"{first}\" on; write \
             it on a line of its own"
        );
        remarks.tolerated(&line.place, text);
    }
}
