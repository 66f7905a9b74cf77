//! The lines of `virtual` sections: where one begins, what may stand in it, where it ends.
//!
//! For the old mon a section is text between records, which it passes over (docs/migration.md). So
//! a section begins where no other record is open, and no line in it may be one that mon takes for
//! a setting (D30). Nothing is lost here without a word: what is not understood is an error.

use std::net::SocketAddr;

use crate::config::diagnostic::nearest;
use crate::config::keywords;
use crate::config::lines::{Span, is_blank};
use crate::config::syntax::{Line, Reader, Rule, Section, State, Statement, record_help};

impl Reader<'_> {
    /// Opens a section.
    pub(super) fn section(&mut self, line: &Line) {
        let [Some(name), _] = line.parts else {
            unreachable!("the grammar gives a section a rest, which may be empty");
        };
        let statements = Vec::new();
        self.open(State::Section(Section { name, statements }));
    }

    /// Whether a line that begins no record was meant to begin a section.
    pub(super) fn is_misspelt_section(&self, word: &str, text: &str) -> bool {
        let rest = text.get(word.len()..).unwrap_or_default();
        nearest(word, ["virtual"]).is_some() && names_a_section(rest)
    }

    /// Whether a line that the record above could take for its own is the head of a section: a
    /// host may be called `virtual`.
    pub(super) fn is_section(&self, line: &Line) -> bool {
        let [Some(name), _] = line.parts else {
            return false;
        };
        names_a_section(self.sources.text(name))
    }

    /// A section that begins without a blank line before it (D30): mon would read it as a part of
    /// the record above. Its own lines are looked at all the same.
    pub(super) fn section_within(&mut self, span: Span, line: &Line) {
        let above = match &self.state {
            State::Watch(watch) => format!("watch \"{}\"", self.sources.text(watch.name)),
            State::Section(section) => format!("virtual {}", self.sources.text(section.name)),
            State::Hostgroup(group) => format!("hostgroup \"{}\"", self.sources.text(group.name)),
            State::Alias(alias) => format!("alias \"{}\"", self.sources.text(alias.name)),
            State::View(view) => format!("view \"{}\"", self.sources.text(view.name)),
            State::Top { .. } => unreachable!("outside of a record a section may begin"),
        };
        let message = format!("a \"virtual\" section begins inside of {above}");
        let help = "put a blank line before it".to_owned();
        self.error(span, message, Some(help));
        self.section(line);
    }

    /// `name = value` in a section (D30).
    pub(super) fn setting_in_section(&mut self, line: &Line) {
        let [Some(name), Some(value)] = line.parts else {
            unreachable!("the grammar gives a global a name and a value");
        };
        let word = self.sources.text(name);
        let message = format!("\"{word} =\" in a \"virtual\" section: mon takes it as a setting");
        let help = if keywords::is_of_section(word) {
            format!(
                "write it without \"=\": {word} {}",
                self.sources.text(value)
            )
        } else {
            "settings stand outside of a section, after a blank line".to_owned()
        };
        self.error(name, message, Some(help));
    }

    /// A line of a section that begins with a word.
    pub(super) fn section_statement(&mut self, span: Span, line: &Line) {
        let [Some(keyword), Some(argument)] = line.parts else {
            unreachable!("the grammar gives a statement a keyword and an argument");
        };
        let text = self.sources.text(span);
        // `on-failure` is one word for who wrote it.
        let word = text.split(is_blank).next().unwrap_or_default();
        if keywords::is_of_section(self.sources.text(keyword)) && word.bytes().all(is_of_word) {
            if let State::Section(section) = &mut self.state {
                section.statements.push(Statement { keyword, argument });
            }
            return;
        }
        let message = format!("unknown keyword \"{word}\" in a \"virtual\" section");
        let help = if keywords::RECORDS.contains(&word) {
            Some(record_help(word, self.sources.text(argument)))
        } else if let Some(known) = nearest(word, keywords::in_section()) {
            Some(format!("did you mean \"{known}\"?"))
        } else if keywords::level(word).is_some() {
            Some("it belongs into a service of a watch".to_owned())
        } else {
            Some("a blank line ends the section".to_owned())
        };
        self.error(span.part(0, word.len()), message, help);
    }

    /// A line of a section that begins with no word at all, or another file.
    pub(super) fn no_statement(&mut self, span: Span, rule: Rule) {
        if rule == Rule::include {
            let message = "\"include\" stands in a \"virtual\" section";
            let help = "put a blank line before it".to_owned();
            self.error(span, message, Some(help));
            return;
        }
        let message = "unknown syntax: this line of a \"virtual\" section starts with no keyword";
        let help = "a blank line ends the section".to_owned();
        self.error(span, message, Some(help));
    }

    /// A line that was meant for the section above: mon passes over it, here it would be missed.
    pub(super) fn behind_section(&mut self, span: Span, name: Span) {
        let text = self.sources.text(span);
        let word = text.split(is_blank).next().unwrap_or_default();
        let name = self.sources.text(name);
        let message = format!("\"{word}\" is in no section: a blank line ended virtual {name}");
        let help = "remove the blank line above".to_owned();
        self.error(span, message, Some(help));
    }
}

/// Whether a keyword goes on with it.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a text begins as the name of a virtual service does.
fn names_a_section(text: &str) -> bool {
    let first = text.split_ascii_whitespace().next();
    first.is_some_and(|word| word == "fwmark" || word.parse::<SocketAddr>().is_ok())
}
