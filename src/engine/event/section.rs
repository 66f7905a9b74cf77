//! What the engine says about declared virtual services as a whole.

use serde::{Deserialize, Serialize};

use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::lvs::VirtualServiceKey;
use crate::model::{DeclaredService, HostName, MinLive};

/// Something about a declared virtual service that a person may want to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionNews {
    /// A person should mend something.
    Mend {
        /// The word of the file that it is about; none where it is about no single one.
        host: Option<HostName>,
        /// What, and how.
        text: String,
    },
    /// A trouble began, in a sentence.
    Began(Trouble, String),
    /// It is over, in a sentence.
    Over(Trouble, String),
}

/// What can go wrong with a declared virtual service as a whole. At most one of the first three
/// holds at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Fewer real servers are healthy than `min_live` asks for; the last ones stay in.
    TooFew,
    /// No real server is healthy; the fallback serves.
    Fallback,
    /// No real server is healthy, and nothing serves.
    NoServer,
    /// Somebody else writes the same places of the table.
    Contested,
}

const ZERO: &str = "weight 0 by their checks or in the file";

/// How many of a section's real servers are kept from its clients without having failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptOut {
    /// By operators: `disable`, `drain`, `quiesce` or `weight 0`.
    pub count: usize,
    /// By weight 0 that their checks or the file give them.
    pub zero: usize,
    /// Since their names have no usable address.
    pub addressless: usize,
    /// Of so many in the file.
    pub of: usize,
}

impl KeptOut {
    /// What became of all real servers, where none takes clients; none where all failed.
    fn and_the_others(self) -> Option<String> {
        let Self {
            count,
            zero,
            addressless,
            of,
        } = self;
        let failed = of.saturating_sub(count + zero + addressless);
        let others = if failed == 0 {
            ""
        } else {
            ", and the others failed"
        };
        if addressless > 0 {
            return Some(match self.by_operators() {
                None if addressless == of => {
                    format!("the names of all {of} have no usable address")
                }
                None if zero == 0 => {
                    format!("the names of {addressless} of {of} have no usable address{others}")
                }
                None => format!(
                    "the names of {addressless} of {of} have no usable address, {zero} have {ZERO}{others}"
                ),
                Some(wished) if zero == 0 => {
                    format!("{wished}, the names of {addressless} have no usable address{others}")
                }
                Some(wished) => format!(
                    "{wished}, the names of {addressless} have no usable address, {zero} have {ZERO}{others}"
                ),
            });
        }
        match (self.by_operators(), zero) {
            (None, 0) => None,
            (Some(_), 0) if failed == 0 => {
                Some(format!("operators keep all {of} from their clients"))
            }
            (None, _) if failed == 0 => Some(format!("all {of} have {ZERO}")),
            (None, _) => Some(format!("{zero} of {of} have {ZERO}{others}")),
            (Some(wished), 0) => Some(format!("{wished}{others}")),
            (Some(wished), _) => Some(format!("{wished}, {zero} have {ZERO}{others}")),
        }
    }

    fn by_operators(self) -> Option<String> {
        let Self { count, of, .. } = self;
        (count > 0).then(|| format!("operators keep {count} of {of} from their clients"))
    }
}

impl Trouble {
    /// Every trouble, in the order of declaration.
    pub const ALL: [Self; 4] = [
        Self::TooFew,
        Self::Fallback,
        Self::NoServer,
        Self::Contested,
    ];

    /// Whether it is about the real servers: at most one of these holds at a time.
    pub(crate) const fn is_of_servers(self) -> bool {
        match self {
            Self::TooFew | Self::Fallback | Self::NoServer => true,
            Self::Contested => false,
        }
    }

    /// The word for it in the journal and in event listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooFew => "too_few",
            Self::Fallback => "fallback",
            Self::NoServer => "no_server",
            Self::Contested => "contested",
        }
    }

    /// What it is called in event ids and on the link to the other director, where a service has
    /// its name. No service has a blank in its name.
    pub(crate) fn name_in(self, key: VirtualServiceKey) -> String {
        format!("{key} {}", self.word())
    }

    /// The trouble of a virtual service that is served so.
    pub(crate) const fn of(served: ServedBy) -> Option<Self> {
        match served {
            ServedBy::Servers | ServedBy::NobodyYet => None,
            ServedBy::TooFew => Some(Self::TooFew),
            ServedBy::Fallback => Some(Self::Fallback),
            ServedBy::Nobody => Some(Self::NoServer),
        }
    }

    /// What a person is told when it begins: what is so, or where the kernel's table is not known
    /// to have it so what is wanted, and that. `others` says what somebody else does to the table,
    /// where that is the trouble.
    pub(crate) fn text(
        self,
        section: &DeclaredService,
        kept_out: KeptOut,
        others: &str,
        in_table: &InTable,
    ) -> String {
        let key = section.key;
        let is_so = *in_table == InTable::AsWanted;
        let (stay, serves) = match is_so {
            true => ("stay in", "serves"),
            false => ("are wanted to stay in", "is wanted to serve"),
        };
        let but = in_table.but();
        match self {
            Self::TooFew => {
                let least = match section.min_live {
                    MinLive::Count(count) => count.to_string(),
                    MinLive::Percent(percent) => format!("{percent}%"),
                };
                let wished = kept_out.by_operators();
                let wished = wished.map_or_else(String::new, |it| format!(" ({it})"));
                match kept_out.zero {
                    0 => format!(
                        "virtual service {key} has fewer healthy real servers than min_live \
                         {least}{wished}: the last ones that failed {stay}{but}"
                    ),
                    zero => format!(
                        "virtual service {key} has fewer real servers that take clients than \
                         min_live {least}{wished}, {zero} have {ZERO}: first those with weight 0 \
                         by their checks {stay} with their own weight, then the last ones that \
                         failed{but}"
                    ),
                }
            }
            Self::Fallback => {
                let host = section.fallback.as_ref();
                let host =
                    host.map_or_else(String::new, |it| format!(" {}", it.host.with_port(it.port)));
                match kept_out.and_the_others() {
                    None => format!(
                        "virtual service {key} has no healthy real server: the fallback{host} \
                         {serves}{but}"
                    ),
                    Some(wished) => format!(
                        "virtual service {key} has no real server that serves: {wished}; the \
                         fallback{host} {serves}{but}"
                    ),
                }
            }
            Self::NoServer if !is_so => {
                let why = kept_out.and_the_others();
                let why = why.unwrap_or_else(|| "each failed or was taken out".to_owned());
                format!(
                    "virtual service {key} is wanted to have no real server that serves and \
                     nothing in their place, {why}{but}"
                )
            }
            Self::NoServer => match kept_out.and_the_others() {
                None => format!(
                    "virtual service {key} has no real server in and nothing in their place, \
                     each failed or was taken out: its clients are refused"
                ),
                Some(wished) => format!(
                    "virtual service {key} has no real server that serves and nothing in their \
                     place, {wished}: its clients are refused"
                ),
            },
            Self::Contested => format!(
                "virtual service {key} is changed by somebody else again and again: \
                 find out who else writes the table; {others}. It is put right more and more \
                 seldom, and at once when lvsmon reads its file again (SIGHUP)"
            ),
        }
    }

    /// What a person is told when it is over; `is_served` tells whether real servers are to serve.
    /// The table follows behind it, so that these words are of what is decided only.
    pub(crate) fn over(self, key: VirtualServiceKey, is_served: bool) -> String {
        match self {
            Self::TooFew if !is_served => {
                format!("virtual service {key} has no real server left that min_live keeps in")
            }
            Self::TooFew => format!("virtual service {key} has enough healthy real servers again"),
            Self::Fallback => format!("virtual service {key} needs its fallback no more"),
            Self::NoServer => format!("virtual service {key} has somebody to serve it again"),
            Self::Contested => format!("virtual service {key} is changed by nobody else any more"),
        }
    }
}
