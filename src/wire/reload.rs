//! What is said of a reload that was refused, as long as the older configuration is in force? Pure.
//!
//! It goes along with every answer, so that nobody takes what an answer shows for what stands in
//! the file.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, Serializer};

use crate::config::Diagnostic;
use crate::text::counted;
use crate::time::Wall;
use crate::wire::Answer;
use crate::wire::refusal::RefusalReason;

/// A configuration that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReload {
    /// When, in Unix seconds.
    pub time: i64,
    /// The file that was read.
    pub config: PathBuf,
    /// How many mistakes it has; 0 where something else was the reason.
    pub mistakes: usize,
    /// The first of them with its place, or that reason.
    pub first: String,
}

/// An answer, and what whoever asks has to know besides.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Line")]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// The latest configuration was refused, and the one before is in force.
    pub refused_reload: Option<RefusedReload>,
    /// Why a crash would forget what [`Answer::Done`] tells of: the disk takes no journal.
    pub journal_trouble: Option<String>,
}

/// An answer as it comes over the socket.
#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    answer: Answer,
    #[serde(default)]
    refused_reload: Option<RefusedReload>,
    #[serde(default)]
    journal_trouble: Option<String>,
    /// Why it is refused, beside the text of [`Answer::Error`].
    #[serde(default)]
    refusal: Option<RefusalReason>,
}

/// The same on its way out.
#[derive(Serialize)]
struct LineOut<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_reload: Option<&'a RefusedReload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal_trouble: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalReason>,
}

impl From<Line> for Answered {
    fn from(line: Line) -> Self {
        let mut answer = line.answer;
        if let (Answer::Error(refusal), Some(reason)) = (&mut answer, line.refusal) {
            refusal.reason = reason;
        }
        Self {
            answer,
            refused_reload: line.refused_reload,
            journal_trouble: line.journal_trouble,
        }
    }
}

impl Serialize for Answered {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let line = LineOut {
            answer: &self.answer,
            refused_reload: self.refused_reload.as_ref(),
            journal_trouble: self.journal_trouble.as_deref(),
            refusal: match &self.answer {
                Answer::Error(refusal) => Some(refusal.reason),
                Answer::Table(_)
                | Answer::Services(_)
                | Answer::Events(_)
                | Answer::Why(_)
                | Answer::Role(_)
                | Answer::Health(_)
                | Answer::Metrics(_)
                | Answer::Server(_)
                | Answer::Done(_) => None,
            },
        };
        line.serialize(out)
    }
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            refused_reload: None,
            journal_trouble: None,
        }
    }
}

impl RefusedReload {
    /// Of a file with mistakes, the first of which is said; of none where reading it broke.
    #[must_use]
    pub fn of(time: Wall, config: PathBuf, diagnostics: &[Diagnostic]) -> Self {
        let mut mistakes = diagnostics.iter().filter(|it| it.is_error());
        let first = mistakes.next().map(|mistake| match &mistake.place {
            Some(place) => format!("{place}: {}", mistake.message),
            None => mistake.message.clone(),
        });
        let count = usize::from(first.is_some()).saturating_add(mistakes.count());
        let broke = || "reading it broke, the log says more".to_owned();
        Self::because(time, config, count, first.unwrap_or_else(broke))
    }

    /// For a reason that is no mistake of the file's language.
    #[must_use]
    pub fn because(time: Wall, config: PathBuf, mistakes: usize, first: String) -> Self {
        Self {
            time: time.seconds(),
            config,
            mistakes,
            first,
        }
    }

    /// One line for a person who reads times in this zone.
    #[must_use]
    pub fn sentence(&self, zone: &TimeZone) -> String {
        let stamp = Timestamp::from_second(self.time).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
        format!("the older configuration is in force: at {time} a reload refused {self}")
    }
}

impl fmt::Display for RefusedReload {
    /// The file, and what is wrong with it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, first) = (self.config.display(), &self.first);
        match self.mistakes {
            0 => write!(out, "{config}: {first}"),
            1 => write!(out, "{config} for 1 mistake, {first}"),
            many => write!(
                out,
                "{config} for {}, the first of them {first}",
                counted(many, "mistake")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_first_mistake_is_said_with_its_place_and_the_others_are_counted() {
        let text = "hostgroup web h1\n\nwatch web\n service http\n  intervall 1m\n  monitr x\n";
        let mistakes = config::load_text(text).expect_err("two mistakes");
        let refused = RefusedReload::of(Wall::from_seconds(90_061), "mon.cf".into(), &mistakes);
        assert_eq!(refused.mistakes, 2);
        let said = refused.sentence(&TimeZone::UTC);
        let start = "the older configuration is in force: at 1970-01-02 01:01:01 a reload refused \
                     mon.cf for 2 mistakes, the first of them ";
        assert!(said.starts_with(start), "{said}");
        assert!(
            said.contains("mon.cf:5:3: ") && said.contains("intervall"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1);
        let broke = RefusedReload::of(Wall::from_seconds(0), "mon.cf".into(), &[]);
        assert_eq!(
            broke.to_string(),
            "mon.cf: reading it broke, the log says more"
        );
    }

    #[test]
    fn an_answer_stands_beside_what_was_refused_as_it_stands_alone() {
        let answer = Answer::Done("out".to_owned());
        let mut answered = Answered::from(answer);
        let alone = serde_json::to_string(&answered).unwrap();
        assert_eq!(alone, "{\"done\":\"out\"}");
        assert_eq!(serde_json::from_str::<Answered>(&alone).unwrap(), answered);
        let reason = "it is empty".to_owned();
        let time = Wall::from_seconds(7);
        answered.refused_reload = Some(RefusedReload::because(time, "mon.cf".into(), 0, reason));
        let both = serde_json::to_string(&answered).unwrap();
        assert!(both.starts_with("{\"done\":\"out\",\"refused_reload\":{\"time\":7,"));
        assert_eq!(serde_json::from_str::<Answered>(&both).unwrap(), answered);
        answered.refused_reload = None;
        answered.journal_trouble = Some("full".to_owned());
        let both = serde_json::to_string(&answered).unwrap();
        assert_eq!(both, "{\"done\":\"out\",\"journal_trouble\":\"full\"}");
        assert_eq!(serde_json::from_str::<Answered>(&both).unwrap(), answered);
    }
}
