//! Which words of `auth.cf` hardly mean what was written?
//!
//! mon takes every one of them and lets nobody in by it; so do we, and say so. No secrets are
//! shown: users and hosts only.

use crate::protocol::auth::{ALL, ANY};
use crate::protocol::command;

/// How an editor marks a text as UTF-8; to mon it is part of the first word.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// What is odd in the word in front of the colon.
pub(super) fn of_command(command: &str) -> Option<String> {
    if command.starts_with(BYTE_ORDER_MARK) {
        // Said of the file.
        return None;
    }
    if command.is_empty() {
        let what = "in front of the colon stands no command, so the line has no effect, as in mon; \
                    write \"COMMAND: USER, USER\"";
        return Some(what.to_owned());
    }
    let mut words = command.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_known = |word: &str| command::ALL.iter().any(|(known, _)| *known == word);
    if words.next().is_some() && is_known(first) {
        return Some(format!(
            "\"{command}\" is more than a command, so the line has no effect, as in mon: rights \
             are given for \"{first}\" as a whole; write \"{first}: USER, USER\""
        ));
    }
    if is_known(command) {
        return None;
    }
    let known = command::ALL.map(|(word, _)| word).join(", ");
    let command = command.escape_debug();
    Some(format!(
        "no command is called \"{command}\", so the line has no effect; known are {known}"
    ))
}

/// What is odd in one user of a list, without the exclamation mark of a denial.
pub(super) fn of_user(user: &str, is_denied: bool) -> Option<String> {
    let effect = if is_denied {
        "keeps nobody out"
    } else {
        "lets nobody in"
    };
    let shown = user.escape_debug();
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
        "\"{shown}\" is taken for the name of one user, so it {effect}, as in mon: {why}"
    ))
}

/// What is odd in the first word of a line of the trap section.
pub(super) fn of_host(host: &str) -> Option<String> {
    let shown = host.escape_debug();
    if host.contains('/') {
        return Some(format!(
            "host \"{shown}\" looks like a network, which is no host, so no trap is taken by this \
             line, as in mon; write a line for each address, or \"*\" for all"
        ));
    }
    let is_name = |host: &str| {
        let fits = |letter: char| letter.is_alphanumeric() || "-._".contains(letter);
        host.chars().all(fits) && host.contains(|letter: char| !"0123456789.".contains(letter))
    };
    if is_name(host) {
        return None;
    }
    Some(format!(
        "host \"{shown}\" is neither an address nor a name, so no trap is taken by this line, as in \
         mon; write an address, a name, or \"*\" for all"
    ))
}
