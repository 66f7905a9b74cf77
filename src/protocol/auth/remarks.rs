//! Which words of `auth.cf` hardly mean what was written?
//!
//! mon takes every one of them and lets nobody in by it; so do we, and say so. A line of the user
//! file may have got here, so a word that is not surely a name is told by its position.

use crate::protocol::auth::{ALL, ANY, names};
use crate::protocol::command;

/// How an editor marks a text as UTF-8; to mon it is part of the first word.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a line of the user file in `auth.cf` comes from.
pub(crate) const SWAPPED: &str =
    "this looks like a line of the user file: are authfile and userfile swapped?";

/// Whether the word in front of the colon is one that rights are given for.
pub(super) fn is_command(command: &str) -> bool {
    command::ALL.iter().any(|(known, _)| *known == command)
}

/// What is odd in a line whose command is none, of which both parts are given.
pub(super) fn of_line(command: &str, users: &str) -> Option<String> {
    if command.starts_with(BYTE_ORDER_MARK) {
        // Said of the file.
        return None;
    }
    if command.is_empty() {
        let what = "in front of the colon stands no command, so the line has no effect, as in mon; \
                    write \"COMMAND: USER, USER\"";
        return Some(what.to_owned());
    }
    let lower = command.to_ascii_lowercase();
    let first = lower.split_whitespace().next().unwrap_or_default();
    if first != lower && is_command(first) {
        return Some(format!(
            "behind \"{first}\" stands more than a command, so the line has no effect, as in mon: \
             rights are given for \"{first}\" as a whole; write \"{first}: USER, USER\""
        ));
    }
    let hash = users.split(':').next().unwrap_or(users).trim();
    let known = command::ALL.map(|(word, _)| word).join(", ");
    match names::name(command).filter(|_| !names::may_be_hash(hash)) {
        Some(name) => Some(format!(
            "no command is called \"{name}\", so the line has no effect; known are {known}"
        )),
        None => Some(format!(
            "in front of the colon stands no command, so the line has no effect; {SWAPPED} Known \
             are {known}"
        )),
    }
}

/// What is odd in one user of a list, without the exclamation mark of a denial; `index` of them
/// stand before it.
pub(super) fn of_user(index: usize, user: &str, is_denied: bool) -> Option<String> {
    let effect = if is_denied {
        "keeps nobody out"
    } else {
        "lets nobody in"
    };
    let shown = match names::name(user) {
        Some(name) => format!("\"{name}\""),
        None => format!("entry {} behind the colon", index.saturating_add(1)),
    };
    let why = if user.contains('#') {
        "a comment stands in a line of its own".to_owned()
    } else if user.contains(char::is_control) {
        "it has control characters; take them out of the file".to_owned()
    } else if user.contains(char::is_whitespace) || user.starts_with('!') {
        "write a comma between users, and nothing between ! and a user".to_owned()
    } else if user.eq_ignore_ascii_case(ANY) && user != ANY {
        format!("for everybody who has logged in write {ANY}, in capitals")
    } else if user.eq_ignore_ascii_case(ALL) && is_denied {
        format!("to deny everybody who has logged in write !{ANY}")
    } else if user.eq_ignore_ascii_case(ALL) && user != ALL {
        format!("for everybody write {ALL}, in small letters")
    } else {
        return None;
    };
    Some(format!(
        "{shown} is taken for the name of one user, so it {effect}, as in mon: {why}"
    ))
}

/// What is odd in the first word of a line of the trap section.
pub(super) fn of_host(host: &str) -> Option<String> {
    if is_host_name(host) {
        return None;
    }
    let what = if host.contains('$') {
        format!(
            "the first word is neither an address nor a name, so no trap is taken by this line; \
             {SWAPPED}"
        )
    } else if host.contains('/') {
        "the first word looks like a network, which is no host, so no trap is taken by this line, \
         as in mon; write a line for each address, or \"*\" for all"
            .to_owned()
    } else {
        "the first word is neither an address nor a name, so no trap is taken by this line, as in \
         mon; write an address, a name, or \"*\" for all"
            .to_owned()
    };
    Some(what)
}

/// Whether a word that is no address can be the name of a host.
pub(super) fn is_host_name(host: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "-._".contains(letter);
    host.chars().all(fits) && host.contains(|letter: char| !"0123456789.".contains(letter))
}
