//! How are the files of ldirectord and keepalived said in mon.cf?
//!
//! | Question | File |
//! |---|---|
//! | what does ldirectord.cf say | `ldirectord` |
//! | what does keepalived.conf say | `keepalived` |
//! | what do both come to: checks, virtual services, mail | `plan` |
//! | which monitor makes a check of theirs | `checks` |
//! | which addresses does a range hold | `range` |
//! | what does a word mean that both may have | `words` |
//! | how is it written as mon.cf | `mon_cf` |
//!
//! Pure: text in, text and remarks out. Usual flaws are tolerated with a remark (D36); what has
//! no equivalent is named with its line and never dropped in silence. No value of a word that
//! may be a password is ever repeated, neither in the text nor in a remark.
//!
//! Bounded: [`TEXT_MAX`], [`REMARKS_MAX`], [`SERVERS_MAX`], and those of `keepalived`.

mod checks;
mod keepalived;
mod ldirectord;
mod mon_cf;
mod plan;
mod range;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::config::{self, Severity};
use crate::import::plan::Plan;
use crate::text::{cut, one_line};

/// Largest file that is read, in bytes: some ten times the largest that people are known to have.
pub const TEXT_MAX: usize = 8 * 1024 * 1024;

/// Remarks that are kept; a file of another kind would have one for each line.
const REMARKS_MAX: usize = 500;

/// Bytes of foreign text that a remark repeats.
const SHOWN_MAX: usize = 80;

/// Real servers, and virtual services, of one file: twenty times what a director can check.
const SERVERS_MAX: usize = 20_000;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `ldirectord.cf`
    Ldirectord,
    /// `keepalived.conf`
    Keepalived,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ldirectord => "ldirectord",
            Self::Keepalived => "keepalived",
        })
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its name, as it was given.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// What kind of thing is remarked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemarkKind {
    /// It is not in the text, or does something else there.
    NoEquivalent,
    /// A mistake of the file that was read as it was probably meant.
    Tolerated,
    /// Worth knowing; nothing is lost.
    Note,
}

impl fmt::Display for RemarkKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoEquivalent => "no equivalent",
            Self::Tolerated => "tolerated",
            Self::Note => "note",
        })
    }
}

/// Something a person should know of the import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where.
    pub place: Place,
    /// Of what kind.
    pub kind: RemarkKind,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.place, self.kind, self.text)
    }
}

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The equivalent mon.cf.
    pub text: String,
    /// All remarks, by place.
    pub remarks: Vec<Remark>,
    /// How many more there were.
    pub unsaid: usize,
}

impl Imported {
    /// Whether everything that the file says is in the text.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let lost = |it: &Remark| it.kind == RemarkKind::NoEquivalent;
        self.unsaid == 0 && !self.remarks.iter().any(lost)
    }
}

/// Why a file is not imported at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is larger than [`TEXT_MAX`].
    #[error("the file has more than {TEXT_MAX} bytes: that is no configuration")]
    TooLarge,
    /// It holds zero bytes.
    #[error("the file is no text: it holds a zero byte")]
    Binary,
    /// Nothing in it is ldirectord's or keepalived's.
    #[error(
        "nothing in the file looks like ldirectord.cf (virtual=...) or keepalived.conf \
         (virtual_server ... {{); is it the right one?"
    )]
    Unknown,
    /// It is of the kind asked for, and no virtual service of it can be imported.
    #[error("the file has no virtual service that can be imported")]
    Empty {
        /// Why not, by place.
        remarks: Vec<Remark>,
        /// How many more there were.
        unsaid: usize,
    },
}

/// What is asked of whoever can read files: those that an `include` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The file that includes.
    pub from: Arc<str>,
    /// The name or pattern in it.
    pub pattern: String,
}

/// Files by an [`Include`]: name and content of each in order, or why not.
pub type Files<'a> = &'a mut dyn FnMut(&Include) -> Result<Vec<(String, Vec<u8>)>, String>;

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whose file it is; none: by what is in it.
    pub format: Option<Format>,
    /// keepalived's `-i`: which lines that begin with `@` count.
    pub config_id: Option<String>,
}

/// The equivalent of a file in mon.cf. `name` is how remarks call the file.
///
/// # Errors
///
/// See [`Refused`]; what can be read of a damaged file is imported, with a remark.
pub fn import(
    reading: &Reading,
    name: &str,
    bytes: &[u8],
    files: Files<'_>,
) -> Result<Imported, Refused> {
    let text = text_of(bytes)?;
    let format = reading
        .format
        .or_else(|| detect(&text))
        .ok_or(Refused::Unknown)?;
    let mut remarks = Remarks::default();
    let file: Arc<str> = Arc::from(one_line(name));
    if text.contains('\u{fffd}') {
        let place = Place {
            file: Arc::clone(&file),
            line: 1,
        };
        remarks.tolerated(
            &place,
            "some letters are not in UTF-8; they are shown as \u{fffd}",
        );
    }
    let mut plan = match format {
        Format::Ldirectord => ldirectord::read(&file, &text, &mut remarks),
        Format::Keepalived => keepalived::read(&file, &text, reading, files, &mut remarks),
    };
    if format == Format::Ldirectord && !text.is_empty() && !text.ends_with('\n') {
        let place = Place {
            file,
            line: text.lines().count(),
        };
        let text = "the last line has no end; if the file was cut there, see whether it is whole";
        remarks.tolerated(&place, text);
    }
    leave_out_what_is_refused(&mut plan, &mut remarks);
    plan.remarks.append(&mut remarks.list);
    if plan.sections.is_empty() {
        plan.remarks.sort();
        return Err(Refused::Empty {
            remarks: plan.remarks,
            unsaid: remarks.unsaid,
        });
    }
    let text = mon_cf::write(&plan);
    if garbled(&text) {
        let top = Place {
            file: Arc::from(plan.file.as_str()),
            line: 1,
        };
        let text = "letters that are not in UTF-8 stand as \u{fffd} in what is written; save the \
                    file in UTF-8 and import it again";
        remarks.lost(&top, text);
        plan.remarks.append(&mut remarks.list);
    }
    let mut all = plan.remarks;
    all.extend(
        plan.sections
            .into_iter()
            .flat_map(|section| section.remarks),
    );
    all.sort();
    Ok(Imported {
        text,
        remarks: all,
        unsaid: remarks.unsaid,
    })
}

/// Whether letters that could not be read stand in what counts of a mon.cf.
fn garbled(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.any(|line| line.contains('\u{fffd}'))
}

/// Leaves out what our own reader would refuse: a file that nobody can load is of no use, and
/// the old program may well have taken it with a flaw that nobody thought of here.
fn leave_out_what_is_refused(plan: &mut Plan, remarks: &mut Remarks) {
    if refusal(plan).is_none() {
        return;
    }
    let part = |settings, sections| Plan {
        settings,
        sections,
        ..Plan::new(plan.format, &plan.file)
    };
    let mut kept = part(Vec::new(), Vec::new());
    let top = Place {
        file: Arc::from(plan.file.as_str()),
        line: 1,
    };
    for setting in &plan.settings {
        match refusal(&part(vec![setting.clone()], Vec::new())) {
            None => kept.settings.push(setting.clone()),
            Some(why) => remarks.lost(&top, format!("{} is left out: {why}", setting.0)),
        }
    }
    for section in std::mem::take(&mut plan.sections) {
        let mut alone = part(Vec::new(), vec![section]);
        let why = refusal(&alone);
        let Some(section) = alone.sections.pop() else {
            continue;
        };
        let Some(why) = why else {
            kept.sections.push(section);
            continue;
        };
        let title = shown(&section.title);
        // It is better served and told to nobody than not served.
        let mut silent = part(Vec::new(), vec![section.without_alerts()]);
        if let (None, Some(silent)) = (refusal(&silent), silent.sections.pop()) {
            let text = format!("{title}: all its alerts are left out: {why}");
            remarks.lost(&section.place, text);
            kept.sections.push(silent);
        } else {
            let text = format!("{title}: the virtual service is left out: {why}");
            remarks.lost(&section.place, text);
            remarks.list.extend(section.remarks);
        }
    }
    plan.settings = kept.settings;
    plan.sections = kept.sections;
    leave_out_what_clashes(plan, &top, remarks);
}

/// Each part can be read, and all of them together perhaps cannot: leaves out what does not go with
/// what stands before it.
fn leave_out_what_clashes(plan: &mut Plan, top: &Place, remarks: &mut Remarks) {
    while let Some(mut why) = refusal(plan) {
        // The shortest beginning that is refused ends with what is to go.
        let (mut low, mut bad) = (0, plan.sections.len());
        while low < bad {
            let middle = low + (bad - low) / 2;
            match refusal_of_first(plan, middle) {
                Some(found) => (bad, why) = (middle, found),
                None => low = middle + 1,
            }
        }
        if bad > 0 {
            let section = plan.sections.remove(bad - 1);
            let title = shown(&section.title);
            let text = format!("{title}: the virtual service is left out: {why}");
            remarks.lost(&section.place, text);
            remarks.list.extend(section.remarks);
        } else if let Some((name, _)) = plan.settings.pop() {
            remarks.lost(top, format!("{name} is left out: {why}"));
        } else {
            return;
        }
    }
}

/// The first mistake in the settings and so many sections.
fn refusal_of_first(plan: &mut Plan, count: usize) -> Option<String> {
    let rest = plan.sections.split_off(count);
    let why = refusal(plan);
    plan.sections.extend(rest);
    why
}

/// The first mistake that our own reader finds in a plan as it is written.
fn refusal(plan: &Plan) -> Option<String> {
    let errors = config::load_text(&mon_cf::write(plan)).err()?;
    let first = errors.iter().find(|it| it.severity == Severity::Error);
    first.map(|it| it.message.clone())
}

fn text_of(bytes: &[u8]) -> Result<String, Refused> {
    if bytes.len() > TEXT_MAX {
        return Err(Refused::TooLarge);
    }
    if bytes.contains(&0) {
        return Err(Refused::Binary);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Whose file a text is, by the words that begin its lines.
fn detect(text: &str) -> Option<Format> {
    let lines = || text.lines().map(str::trim);
    let is_virtual = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.trim());
        matches!(name, Some("virtual" | "virtual6"))
    };
    if lines().any(keepalived::begins_block) {
        Some(Format::Keepalived)
    } else if lines().any(is_virtual) {
        Some(Format::Ldirectord)
    } else if lines().any(keepalived::is_include) {
        Some(Format::Keepalived)
    } else {
        None
    }
}

/// Remarks while a file is read, at most [`REMARKS_MAX`].
#[derive(Debug, Default)]
struct Remarks {
    list: Vec<Remark>,
    /// What holds for several sections is said with the first.
    said: BTreeSet<Remark>,
    count: usize,
    unsaid: usize,
}

impl Remarks {
    fn add(&mut self, place: &Place, kind: RemarkKind, text: &str) {
        if self.count >= REMARKS_MAX {
            self.unsaid += 1;
            return;
        }
        let remark = Remark {
            place: place.clone(),
            kind,
            text: one_line(text),
        };
        if self.said.insert(remark.clone()) {
            self.count += 1;
            self.list.push(remark);
        }
    }

    fn lost(&mut self, place: &Place, text: impl AsRef<str>) {
        self.add(place, RemarkKind::NoEquivalent, text.as_ref());
    }

    fn tolerated(&mut self, place: &Place, text: impl AsRef<str>) {
        self.add(place, RemarkKind::Tolerated, text.as_ref());
    }

    fn note(&mut self, place: &Place, text: impl AsRef<str>) {
        self.add(place, RemarkKind::Note, text.as_ref());
    }

    /// Those since the last call, for the section that they are about.
    fn take(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.list)
    }
}

/// A piece of foreign text for a remark: short, on one line.
fn shown(text: &str) -> String {
    one_line(cut(text, SHOWN_MAX))
}

#[cfg(test)]
mod tests;
