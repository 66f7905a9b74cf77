//! Does the kernel's table serve the clients of a section as is wanted, as far as anybody knows?
//!
//! What is wanted is decided at once; the table follows when it was looked at. It may refuse that,
//! not be read, or not answer. Words about a section say which.

use crate::lvs::clients::ClientOdds;
use crate::lvs::{Desired, DesiredService, RealServerKey, Table, VirtualServiceKey};

/// Real servers that are named in one sentence; the rest is counted.
const NAMED_MAX: usize = 3;

/// What is known of the kernel's table, as far as new connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InTable {
    /// It is as wanted.
    AsWanted,
    /// It is, and these, which the file does not name, stay and serve as long as nobody of the
    /// file does. Never empty.
    Stays(Vec<RealServerKey>),
    /// It was read since this is wanted, and is otherwise.
    Otherwise(ClientOdds),
    /// It was otherwise, and was not read since this is wanted.
    NotReadSince,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl InTable {
    /// By the latest look at the table that came to something, with what was wanted then.
    pub(crate) fn of(
        key: VirtualServiceKey,
        wanted: Option<&DesiredService>,
        look: Option<(&Table, &Desired)>,
        unreadable: Option<&str>,
    ) -> Self {
        if let Some(why) = unreadable {
            return Self::Unreadable(why.to_owned());
        }
        let (Some((table, then)), Some(wanted)) = (look, wanted) else {
            return Self::NotReadSince;
        };
        let odds = ClientOdds::of(wanted, table.get(&key));
        if odds.is_none() {
            Self::AsWanted
        } else if then.get(&key) == Some(wanted) {
            Self::Otherwise(odds)
        } else {
            Self::NotReadSince
        }
    }

    /// What stands behind a sentence about what is wanted; empty where it is so.
    pub(crate) fn but(&self) -> String {
        match self {
            Self::AsWanted => String::new(),
            Self::Stays(those) => named(those).map_or_else(String::new, |those| {
                format!(
                    "; what the file does not name stays until one that it names serves: {those}"
                )
            }),
            Self::Otherwise(odds) => {
                let reach = match (named(&odds.missing), named(&odds.unwanted)) {
                    (Some(missing), Some(unwanted)) => {
                        format!("do not reach {missing}, and reach {unwanted}")
                    }
                    (Some(missing), None) => format!("do not reach {missing}"),
                    (None, Some(unwanted)) => format!("reach {unwanted}"),
                    (None, None) => return String::new(),
                };
                format!(", but as the kernel's table is new connections {reach}")
            }
            Self::NotReadSince => {
                ", but nobody knows whether the kernel's table has it so: it was not read since"
                    .to_owned()
            }
            Self::Unreadable(why) => format!(
                ", but nobody knows whether the kernel's table has it so: it cannot be read: {why}"
            ),
        }
    }
}

/// Names, and how many more; none for nobody.
pub(crate) fn named(servers: &[RealServerKey]) -> Option<String> {
    let named = servers.iter().take(NAMED_MAX).map(ToString::to_string);
    let named = named.collect::<Vec<String>>().join(", ");
    match servers.len().saturating_sub(NAMED_MAX) {
        0 if named.is_empty() => None,
        0 => Some(named),
        more => Some(format!("{named} and {more} more")),
    }
}
