//! What do mon's own state files say, and how are they written?
//!
//! `disabled` has a line for each disabled host, watch and service; `opstatus` one for each
//! service, of fields that are parted by tabs (docs/mon.md, "State files"). A file that was cut
//! short, that is the other one of the two, or no text is not taken at all, and names what is
//! wrong with it. In a `disabled` that a person has edited, other lines are passed over and
//! counted (E-33).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::engine::saved::{Classic, ClassicDisabled, ClassicService, StateFile};
use crate::protocol::log_file::{Strangers, is_comment};

/// Longest file that is read, in bytes: the states of 10,000 services with long outputs.
pub const FILE_MAX: usize = 64 * 1024 * 1024;

impl StateFile {
    /// Its name in the state folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Opstatus => "opstatus",
        }
    }

    /// Reads it into its part of `classic`, which stays as it is where this fails; answers with
    /// the lines that were passed over.
    ///
    /// # Errors
    ///
    /// It is no such file, or not all of it.
    pub fn read(self, bytes: &[u8], classic: &mut Classic) -> Result<Strangers, StateFault> {
        let text = whole_text(bytes)?;
        match self {
            Self::Disabled => {
                let (lines, strangers) = disabled(text)?;
                classic.disabled = Some(lines);
                Ok(strangers)
            }
            Self::Opstatus => {
                classic.opstatus = Some(opstatus(text)?);
                Ok(Strangers::default())
            }
        }
    }

    /// The file with its part of `classic`; none where that was not asked for.
    #[must_use]
    pub fn text(self, classic: &Classic) -> Option<String> {
        match self {
            Self::Disabled => classic.disabled.as_deref().map(disabled_text),
            Self::Opstatus => classic.opstatus.as_deref().map(opstatus_text),
        }
    }
}

/// Why a state file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateFault {
    /// Longer than [`FILE_MAX`].
    #[error("it has more than {} MB", FILE_MAX / 1024 / 1024)]
    TooLong,
    /// Bytes that no text has.
    #[error("it is no text")]
    NotText,
    /// No newline at its end: whoever wrote it was stopped.
    #[error("its last line was cut off")]
    Cut,
    /// A line that this file never has.
    #[error("line {line} is no line of such a file: \"{}\"", .start.escape_debug())]
    Line {
        /// From 1 on.
        line: usize,
        /// How the line begins.
        start: String,
    },
}

/// Letters of a wrong line that are shown.
const SHOWN_MAX: usize = 60;

fn whole_text(bytes: &[u8]) -> Result<&str, StateFault> {
    if bytes.len() > FILE_MAX {
        return Err(StateFault::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| StateFault::NotText)?;
    if text.contains('\0') {
        return Err(StateFault::NotText);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(StateFault::Cut);
    }
    Ok(text)
}

/// The lines that are neither empty nor comments, with their numbers from 1 on.
fn meant(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(text.lines());
    numbered.filter(|(_, line)| !is_comment(line))
}

fn no_such_line(number: usize, line: &str) -> StateFault {
    StateFault::Line {
        line: number,
        start: line.chars().take(SHOWN_MAX).collect(),
    }
}

/// What is disabled, and what was passed over. A file of which no line even begins like one of
/// this kind is another one.
fn disabled(text: &str) -> Result<(Vec<ClassicDisabled>, Strangers), StateFault> {
    let is_kin = |line: &str| matches!(line.split_whitespace().next(), Some("disable" | "enable"));
    if let Some((number, line)) = meant(text).next()
        && !meant(text).any(|(_, line)| is_kin(line))
    {
        return Err(no_such_line(number, line));
    }
    let mut known = Vec::new();
    let mut strangers = Strangers::default();
    for (number, line) in meant(text) {
        match disabled_line(line) {
            Some(entry) => known.push(entry),
            None => strangers.add(u64::try_from(number).unwrap_or(u64::MAX)),
        }
    }
    Ok((known, strangers))
}

fn disabled_line(line: &str) -> Option<ClassicDisabled> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["disable", "host", host] => Some(ClassicDisabled::Host(host.to_owned())),
        ["disable", "watch", group] => Some(ClassicDisabled::Watch(group.to_owned())),
        ["disable", "service", group, name] => {
            Some(ClassicDisabled::Service(group.to_owned(), name.to_owned()))
        }
        _ => None,
    }
}

fn disabled_text(entries: &[ClassicDisabled]) -> String {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    for entry in entries {
        let line = match entry {
            ClassicDisabled::Host(host) => format!("disable host {host}\n"),
            ClassicDisabled::Watch(group) => format!("disable watch {group}\n"),
            ClassicDisabled::Service(group, name) => format!("disable service {group} {name}\n"),
        };
        // A host may be disabled in several groups; mon names it in one line.
        if seen.insert(line.clone()) {
            text += &line;
        }
    }
    text
}

fn opstatus(text: &str) -> Result<Vec<ClassicService>, StateFault> {
    meant(text)
        .map(|(number, line)| opstatus_line(line).ok_or_else(|| no_such_line(number, line)))
        .collect()
}

fn opstatus_line(line: &str) -> Option<ClassicService> {
    let mut fields = line.split('\t').map(|field| {
        // At the first sign, not at the last as mon does (E-26).
        let (key, value) = field.split_once('=')?;
        Some((undo(key), undo(value)))
    });
    let mut name = |key: &str| {
        let (found, value) = fields.next()??;
        (found == key && !value.is_empty()).then_some(value)
    };
    let (group, service) = (name("group")?, name("service")?);
    let known: BTreeMap<String, String> = fields.collect::<Option<_>>()?;
    // The first field of all; without it the line was not written by mon.
    known
        .contains_key("op_status")
        .then_some((group, service, known))
}

fn opstatus_text(services: &[ClassicService]) -> String {
    let mut text = String::new();
    for (group, service, known) in services {
        let _ = write!(text, "group={group}\tservice={service}");
        for key in Classic::FIELDS {
            field(&mut text, "", key, known.get(key));
        }
        let labels: BTreeSet<&str> = known
            .keys()
            .filter_map(|key| key.rsplit_once(':'))
            .map(|(label, _)| label)
            .collect();
        for label in labels {
            for key in Classic::PERIOD_FIELDS {
                let value = known.get(&format!("{label}:{key}"));
                field(&mut text, &format!("{}:", written(label)), key, value);
            }
        }
        text.push('\n');
    }
    text
}

fn field(text: &mut String, prefix: &str, key: &str, value: Option<&String>) {
    let _ = write!(text, "\t{prefix}{key}=");
    for byte in value.map_or("", String::as_str).bytes() {
        match byte {
            // mon would take the last sign for the end of the key, and two digits behind a
            // backslash for an escape.
            b'=' | b'\\' | b'"' | b'\'' => hex(text, byte),
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => hex(text, byte),
        }
    }
}

/// A label as a key has it. mon writes it as it is, blanks too; what would part the field, end
/// its key or look like an escape is escaped, or the file could not be read again (E-26).
fn written(label: &str) -> String {
    let mut text = String::with_capacity(label.len());
    for sign in label.chars() {
        match u8::try_from(sign) {
            Ok(byte) if byte.is_ascii_control() || matches!(byte, b'=' | b'\\') => {
                hex(&mut text, byte);
            }
            Ok(_) | Err(_) => text.push(sign),
        }
    }
    text
}

fn hex(text: &mut String, byte: u8) {
    let _ = write!(text, "\\{byte:02x}");
}

/// Undoes the escapes: a backslash and two lower-case hexadecimal digits are one byte.
fn undo(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        let escaped = match behind {
            [high, low, others @ ..] if first == b'\\' => {
                digit(*high).zip(digit(*low)).map(|digits| (digits, others))
            }
            _ => None,
        };
        match escaped {
            Some(((high, low), others)) => {
                bytes.push(high * 16 + low);
                rest = others;
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: StateFile, bytes: &[u8]) -> Result<Classic, StateFault> {
        let mut classic = Classic::default();
        file.read(bytes, &mut classic).map(|_| classic)
    }

    /// As mon 1.3.6 wrote it, shortened.
    const WRITTEN: &str = "group=g\tservice=s\top_status=0\tfailure_count=2\tfirst_success=\t\
        last_detail=detail\\20a=b\\20\\22q\\22\\0a\tack=0\texitval=1\t\
        wd {Sun-Sat}:last_alert=1795251347\twd {Sun-Sat}:alert_sent=2\twd {Sun-Sat}:1stfailtime=\t\
        wd {Sun-Sat}:failcount=\t:last_alert=\t:alert_sent=0\t:1stfailtime=\t:failcount=\n";

    #[test]
    fn a_file_of_mon_is_read_with_every_sign_of_its_values() {
        let found = read(StateFile::Opstatus, WRITTEN.as_bytes()).unwrap();
        let (group, service, known) = &found.opstatus.unwrap()[0];
        assert_eq!((&**group, &**service), ("g", "s"));
        assert_eq!(known["op_status"], "0");
        assert_eq!(known["first_success"], "");
        // E-26: mon restores no value with a sign of its own.
        assert_eq!(known["last_detail"], "detail a=b \"q\"\n");
        assert_eq!(known["wd {Sun-Sat}:last_alert"], "1795251347");
        assert_eq!(known[":alert_sent"], "0");

        let text = b"disable host h2\ndisable watch g\ndisable service g t\n";
        let found = read(StateFile::Disabled, text).unwrap();
        let expected = vec![
            ClassicDisabled::Host("h2".to_owned()),
            ClassicDisabled::Watch("g".to_owned()),
            ClassicDisabled::Service("g".to_owned(), "t".to_owned()),
        ];
        assert_eq!(found.disabled, Some(expected));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut classic = Classic {
            disabled: Some(vec![
                ClassicDisabled::Host("h2".to_owned()),
                ClassicDisabled::Host("h2".to_owned()),
                ClassicDisabled::Service("g".to_owned(), "t".to_owned()),
            ]),
            opstatus: read(StateFile::Opstatus, WRITTEN.as_bytes())
                .unwrap()
                .opstatus,
            ..Classic::default()
        };
        let odd = "a=b\\41\t\"x\" 'ä'\n\u{7f}".to_owned();
        let (_, _, known) = &mut classic.opstatus.as_mut().unwrap()[0];
        known.insert("last_summary".to_owned(), odd.clone());
        let text = StateFile::Opstatus.text(&classic).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        // The order of mon, absent ones empty.
        let begin =
            "group=g\tservice=s\top_status=0\tfailure_count=2\talert_count=\tlast_success=\t";
        assert!(text.starts_with(begin), "{text}");
        let end = "\twd {Sun-Sat}:last_alert=1795251347\twd {Sun-Sat}:alert_sent=2\t\
                   wd {Sun-Sat}:1stfailtime=\twd {Sun-Sat}:failcount=\n";
        assert!(text.ends_with(end), "{text}");
        let again = read(StateFile::Opstatus, text.as_bytes()).unwrap();
        let (_, _, known) = &again.opstatus.as_ref().unwrap()[0];
        assert_eq!(known["last_summary"], odd);
        assert_eq!(StateFile::Opstatus.text(&again).unwrap(), text);

        let text = StateFile::Disabled.text(&classic).unwrap();
        assert_eq!(text, "disable host h2\ndisable service g t\n");
        assert_eq!(StateFile::Disabled.text(&Classic::default()), None);
    }

    #[test]
    fn a_period_with_a_tab_or_an_equals_sign_in_its_text_comes_back_as_it_was() {
        let labels = [
            "wd {Mon-Fri}\thr {9am-5pm}",
            "a=b\\41",
            "wd {Sat}\u{b}",
            "ä ö",
        ];
        let mut known = BTreeMap::from([("op_status".to_owned(), "1".to_owned())]);
        for label in labels {
            known.insert(format!("{label}:alert_sent"), "2".to_owned());
        }
        let classic = Classic {
            opstatus: Some(vec![("g".to_owned(), "s".to_owned(), known)]),
            ..Classic::default()
        };
        let text = StateFile::Opstatus.text(&classic).unwrap();
        assert!(
            text.contains("\twd {Mon-Fri}\\09hr {9am-5pm}:alert_sent=2"),
            "{text}"
        );
        let found = read(StateFile::Opstatus, text.as_bytes()).unwrap();
        let (_, _, known) = &found.opstatus.unwrap()[0];
        for label in labels {
            assert_eq!(known[&format!("{label}:alert_sent")], "2", "{label:?}");
        }
    }

    #[test]
    fn a_file_that_is_cut_swapped_or_no_text_is_refused_as_a_whole() {
        let disabled: &[u8] = b"disable host h2\ndisable watch g\n";
        for length in 1..disabled.len() {
            let found = read(StateFile::Disabled, &disabled[..length]);
            let ends_a_line = disabled[length - 1] == b'\n';
            assert_eq!(found.is_ok(), ends_a_line, "{length}");
        }
        let opstatus = WRITTEN.as_bytes();
        for length in 1..opstatus.len() {
            let found = read(StateFile::Opstatus, &opstatus[..length]);
            assert_eq!(found, Err(StateFault::Cut), "{length}");
        }
        let line = |line: usize, start: &str| {
            Err(StateFault::Line {
                line,
                start: start.to_owned(),
            })
        };
        let start: String = WRITTEN.chars().take(SHOWN_MAX).collect();
        assert_eq!(read(StateFile::Disabled, opstatus), line(1, &start));
        let swapped = read(StateFile::Opstatus, disabled);
        assert_eq!(swapped, line(1, "disable host h2"));
        for bytes in [&b"\xff\xfe\n"[..], b"disable host h\0\n"] {
            assert_eq!(read(StateFile::Disabled, bytes), Err(StateFault::NotText));
        }
        let found = read(StateFile::Disabled, b"# mine\n[hosts]\nh1 disable\n");
        assert_eq!(found, line(2, "[hosts]"));
        for text in [
            "group=g\n",
            "group=\tservice=s\top_status=0\n",
            "service=s\tgroup=g\top_status=0\n",
            "group=g\tservice=s\n",
            "group=g\tservice=s\top_status=0\tx\n",
        ] {
            let found = read(StateFile::Opstatus, text.as_bytes());
            assert!(
                matches!(found, Err(StateFault::Line { line: 1, .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn lines_of_disabled_that_mon_passes_over_cost_none_of_the_others() {
        let h1 = ClassicDisabled::Host("h1".to_owned());
        for (text, expected, count, first) in [
            ("disable host h1\n", vec![h1.clone()], 0, 0),
            (
                "enable host h2\n# c\n\ndisable host h1\n",
                vec![h1.clone()],
                1,
                1,
            ),
            ("disable host h1\nfrobnicate\n[x]\n", vec![h1.clone()], 2, 2),
            ("disable host\n  disable host h1\n", vec![h1.clone()], 1, 1),
            ("disable host h1\ndisable service g\n", vec![h1], 1, 2),
            ("disable host h1 h2\n", Vec::new(), 1, 1),
            ("enable host h1\n", Vec::new(), 1, 1),
        ] {
            let mut classic = Classic::default();
            let strangers = StateFile::Disabled.read(text.as_bytes(), &mut classic);
            assert_eq!(strangers, Ok(Strangers { count, first }), "{text}");
            assert_eq!(classic.disabled, Some(expected), "{text}");
        }
    }

    #[test]
    fn an_empty_file_says_that_nothing_is_disabled_or_known() {
        let found = read(StateFile::Disabled, b"").unwrap();
        assert_eq!(found.disabled, Some(Vec::new()));
        let found = read(StateFile::Disabled, b"# by hand\n").unwrap();
        assert_eq!(found.disabled, Some(Vec::new()));
        let found = read(StateFile::Opstatus, b"\n").unwrap();
        assert_eq!(found.opstatus, Some(Vec::new()));
    }
}
