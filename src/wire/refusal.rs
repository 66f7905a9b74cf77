//! Why does a daemon not tell or do what it is asked? Pure.
//!
//! A person reads the text; a program reads the reason, which goes beside it as `refusal`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::engine::event::Miss;

/// What is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For a program.
    pub reason: RefusalReason,
    /// For a person.
    pub text: String,
}

/// Why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Nobody goes by the name that was asked for.
    Unknown,
    /// The name that was asked for may be that of several.
    Unclear,
    /// What was wished is not done; an unknown name is among the reasons.
    Denied,
    /// Other clients have all the places.
    NoRoom,
    /// This user may not ask.
    Forbidden,
    /// Nobody waits for it any more.
    Late,
    /// The daemon ends.
    Stopping,
    /// It is no request.
    Malformed,
    /// Another one, or that of a daemon that does not say it.
    #[default]
    #[serde(other)]
    Other,
}

impl Refusal {
    /// For this reason, in these words.
    #[must_use]
    pub fn new(reason: RefusalReason, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { reason, text }
    }
}

/// Of whoever was asked for.
impl From<Miss> for Refusal {
    fn from(miss: Miss) -> Self {
        match miss {
            Miss::Unknown(text) => Self::new(RefusalReason::Unknown, text),
            Miss::Unclear(text) => Self::new(RefusalReason::Unclear, text),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// The text alone: the reason goes beside it.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Ok(Self::new(RefusalReason::Other, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Answer;
    use crate::wire::reload::Answered;

    #[test]
    fn the_reason_goes_beside_the_text_and_an_older_daemon_says_none() {
        let refusal = Refusal::new(RefusalReason::NoRoom, "full");
        let answered = Answered::from(Answer::Error(refusal));
        let text = serde_json::to_string(&answered).unwrap();
        assert_eq!(text, r#"{"error":"full","refusal":"no_room"}"#);
        let read = |text: &str| serde_json::from_str::<Answered>(text).unwrap();
        assert_eq!(read(&text), answered);
        for text in [
            r#"{"error":"full"}"#,
            r#"{"error":"full","refusal":"of a newer daemon"}"#,
        ] {
            let Answer::Error(refusal) = read(text).answer else {
                panic!("{text}")
            };
            assert_eq!(refusal, Refusal::new(RefusalReason::Other, "full"));
        }
        let done = Answered::from(Answer::Done("so".to_owned()));
        let text = serde_json::to_string(&done).unwrap();
        assert_eq!(text, r#"{"done":"so"}"#);
        assert_eq!(read(&text), done);
    }
}
