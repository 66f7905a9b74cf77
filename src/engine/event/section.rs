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
    /// Fewer real servers are healthy and take clients than `min_live` asks for; the last ones that
    /// failed stay in, where there are any that may.
    TooFew,
    /// No real server is healthy; the fallback serves.
    Fallback,
    /// No real server is healthy, and nothing serves.
    NoServer,
    /// Somebody else writes the same places of the table.
    Contested,
}

const ZERO: &str = "weight 0 by their checks or in the file";

const ALL_FAILED: &str = "each failed or was taken out";

/// How many of a section's real servers are kept from its clients without having failed, and how
/// many take clients all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptOut {
    /// By operators: `disable`, `drain`, `quiesce` or `weight 0`.
    pub count: usize,
    /// By weight 0 that their checks or the file give them.
    pub zero: usize,
    /// Since their names have no usable address.
    pub addressless: usize,
    /// Since no check of them reports, so that nobody can judge them.
    pub unheard: usize,
    /// Of so many in the file.
    pub of: usize,
    /// In by `min_live`, although they failed or their checks give them weight 0.
    pub staying: usize,
    /// These serve, and nobody withdraws them.
    pub serving: usize,
    /// So many that only `lvs.alert` lines name take clients beside them.
    pub beside: usize,
}

impl KeptOut {
    /// What became of all real servers, where none takes clients; none where all failed.
    fn and_the_others(self) -> Option<String> {
        let Self {
            count,
            zero,
            addressless,
            unheard,
            of,
            staying: _,
            serving: _,
            beside: _,
        } = self;
        let failed = of.saturating_sub(count + zero + addressless + unheard);
        let others = match (unheard, failed) {
            (0, 0) => String::new(),
            (0, _) => ", and the others failed".to_owned(),
            (_, 0) => ", and nobody can judge the others".to_owned(),
            (_, _) => format!(", nobody can judge {unheard}, and the others failed"),
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
            (None, 0) if unheard == 0 => None,
            (None, 0) if of == 1 => Some("nobody can judge the only one".to_owned()),
            (None, 0) if failed == 0 => Some(format!("nobody can judge any of the {of}")),
            (None, 0) => Some(format!(
                "nobody can judge {unheard} of {of}, and the others failed"
            )),
            (Some(_), 0) if others.is_empty() => {
                Some(format!("operators keep all {of} from their clients"))
            }
            (None, _) if others.is_empty() => Some(format!("all {of} have {ZERO}")),
            (None, _) => Some(format!("{zero} of {of} have {ZERO}{others}")),
            (Some(wished), 0) => Some(format!("{wished}{others}")),
            (Some(wished), _) => Some(format!("{wished}, {zero} have {ZERO}{others}")),
        }
    }

    /// What keeps real servers from clients, where none that failed stays in their place.
    fn reasons(self) -> String {
        let (zero, addressless, of) = (self.zero, self.addressless, self.of);
        let zero = (zero > 0).then(|| format!("{zero} of {of} have {ZERO}"));
        let addressless = (addressless > 0)
            .then(|| format!("the names of {addressless} of {of} have no usable address"));
        let reasons = self.by_operators().into_iter();
        let reasons: Vec<String> = reasons.chain(zero).chain(addressless).collect();
        match reasons.is_empty() {
            true => String::new(),
            false => format!(": {}", reasons.join(", ")),
        }
    }

    /// What tells its own real servers from those that `lvs.alert` lines name beside them.
    const fn of_its_own(self) -> &'static str {
        match self.beside {
            0 => "",
            _ => " of its section",
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

    /// The trouble of a virtual service that is served so, beside so many that only `lvs.alert`
    /// lines name: while one of these takes clients, it is not that nothing serves.
    pub(crate) const fn of(served: ServedBy, beside: usize) -> Option<Self> {
        match (served, beside) {
            (ServedBy::Servers | ServedBy::NobodyYet, _) => None,
            (ServedBy::Nobody, 0) => Some(Self::NoServer),
            (ServedBy::TooFew | ServedBy::Nobody, _) => Some(Self::TooFew),
            (ServedBy::Fallback, _) => Some(Self::Fallback),
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
        let is_so = matches!(in_table, InTable::AsWanted | InTable::Stays(_));
        let serves = match is_so {
            true => "serves",
            false => "is wanted to serve",
        };
        let but = in_table.but();
        match self {
            Self::TooFew => too_few(section, kept_out, is_so, &but),
            Self::Fallback => {
                let host = section.fallback.as_ref();
                let host =
                    host.map_or_else(String::new, |it| format!(" {}", it.host.with_port(it.port)));
                let own = kept_out.of_its_own();
                let beside = match kept_out.beside {
                    0 => String::new(),
                    beside => format!(" beside {beside} that lvs.alert lines name"),
                };
                match kept_out.and_the_others() {
                    None => format!(
                        "virtual service {key} has no healthy real server{own}: the \
                         fallback{host} {serves}{beside}{but}"
                    ),
                    Some(wished) => format!(
                        "virtual service {key} has no real server{own} that serves: {wished}; the \
                         fallback{host} {serves}{beside}{but}"
                    ),
                }
            }
            Self::NoServer => nobody_serves(key, kept_out, is_so, &but),
            Self::Contested => format!(
                "virtual service {key} is changed by somebody else again and again: \
                 find out who else writes the table; {others}. It is put right more and more \
                 seldom, and at once when lvsmon reads its file again (SIGHUP)"
            ),
        }
    }

    /// What a person is told when it is over, and the section is served so then. What may be worse
    /// now is an alarm of its own. The table follows behind it, so that these words are of what is
    /// decided only.
    pub(crate) fn over(
        self,
        key: VirtualServiceKey,
        served: Option<ServedBy>,
        kept_out: KeptOut,
    ) -> String {
        let (serving, own) = (kept_out.serving, kept_out.of_its_own());
        let has_healthy = match served {
            Some(ServedBy::Fallback | ServedBy::Nobody) => false,
            Some(ServedBy::TooFew) => serving > 0,
            Some(ServedBy::Servers | ServedBy::NobodyYet) | None => true,
        };
        let now = match (self, has_healthy) {
            (Self::TooFew, true) => "has enough healthy real servers again",
            (Self::TooFew, false) => &format!("has no real server{own} left that serves"),
            (Self::Fallback, true) => "needs its fallback no more",
            (Self::Fallback, false) => "is to be served by its fallback no more",
            (Self::NoServer, false) if served == Some(ServedBy::TooFew) => {
                "has a real server in again"
            }
            (Self::NoServer, _) => "has somebody to serve it again",
            (Self::Contested, _) => "is changed by nobody else any more",
        };
        format!("virtual service {key} {now}")
    }
}

/// What a person is told where fewer take clients than `min_live` asks for; `but` is what stands
/// behind it.
fn too_few(section: &DeclaredService, kept_out: KeptOut, is_so: bool, but: &str) -> String {
    let key = section.key;
    let least = match section.min_live {
        MinLive::Count(count) => count.to_string(),
        MinLive::Percent(percent) => format!("{percent}%"),
    };
    let (has, stay) = match is_so {
        true => ("has", "stay in"),
        false => ("is wanted to have", "are wanted to stay in"),
    };
    let wished = kept_out.by_operators();
    let wished = wished.map_or_else(String::new, |it| format!(" ({it})"));
    let own = kept_out.of_its_own();
    match (kept_out.staying, kept_out.zero) {
        (0, _) if kept_out.serving == 0 && kept_out.beside > 0 => {
            others_serve(key, kept_out, is_so, but)
        }
        (0, _) => format!(
            "virtual service {key} {has} fewer real servers{own} that take clients than min_live \
             {least}{}{but}",
            kept_out.reasons()
        ),
        (_, 0) => format!(
            "virtual service {key} has fewer healthy real servers{own} than min_live \
             {least}{wished}: the last ones that failed {stay}{but}"
        ),
        (_, zero) => format!(
            "virtual service {key} has fewer real servers{own} that take clients than min_live \
             {least}{wished}, {zero} have {ZERO}: first those with weight 0 by their checks {stay} \
             with their own weight, then the last ones that failed{but}"
        ),
    }
}

/// What a person is told where only those serve that `lvs.alert` lines name; `but` is what stands
/// behind it.
fn others_serve(key: VirtualServiceKey, kept_out: KeptOut, is_so: bool, but: &str) -> String {
    let beside = kept_out.beside;
    let (has, serve) = match (is_so, beside) {
        (true, 1) => ("has", "serves"),
        (true, _) => ("has", "serve"),
        (false, 1) => ("is wanted to have", "is wanted to serve"),
        (false, _) => ("is wanted to have", "are wanted to serve"),
    };
    let why = kept_out.and_the_others();
    let why = why.as_deref().unwrap_or(ALL_FAILED);
    format!(
        "virtual service {key} {has} no real server of its section that serves, {why}: only \
         {beside} that lvs.alert lines name {serve}{but}"
    )
}

/// What a person is told where nobody serves; `but` is what stands behind it.
fn nobody_serves(key: VirtualServiceKey, kept_out: KeptOut, is_so: bool, but: &str) -> String {
    let refused = match but.is_empty() {
        true => ": its clients are refused",
        false => but,
    };
    let others = kept_out.and_the_others();
    let serves = match (is_so, &others) {
        (true, None) => "has no real server in",
        (true, Some(_)) => "has no real server that serves",
        (false, _) => "is wanted to have no real server that serves",
    };
    let why = others.as_deref().unwrap_or(ALL_FAILED);
    format!("virtual service {key} {serves} and nothing in their place, {why}{refused}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_keeps_servers_out_where_none_that_failed_stays() {
        for (count, zero, addressless, expected) in [
            (0, 0, 0, ""),
            (2, 0, 0, ": operators keep 2 of 4 from their clients"),
            (0, 1, 0, ": 1 of 4 have Z"),
            (
                1,
                0,
                2,
                ": operators keep 1 of 4 from their clients, the names of 2 of 4 have no usable \
                 address",
            ),
        ] {
            let kept_out = KeptOut {
                count,
                zero,
                addressless,
                of: 4,
                ..KeptOut::default()
            };
            assert_eq!(kept_out.reasons(), expected.replace('Z', ZERO));
        }
    }

    #[test]
    fn it_is_said_what_became_of_all_where_none_takes_clients() {
        let all_failed = "";
        for (count, zero, addressless, unheard, of, expected) in [
            (0, 0, 0, 0, 3, all_failed),
            (0, 0, 0, 1, 1, "nobody can judge the only one"),
            (0, 0, 0, 3, 3, "nobody can judge any of the 3"),
            (
                0,
                0,
                0,
                1,
                3,
                "nobody can judge 1 of 3, and the others failed",
            ),
            (0, 3, 0, 0, 3, "all 3 have Z"),
            (
                0,
                2,
                0,
                1,
                3,
                "2 of 3 have Z, and nobody can judge the others",
            ),
            (
                0,
                1,
                0,
                1,
                3,
                "1 of 3 have Z, nobody can judge 1, and the others failed",
            ),
            (3, 0, 0, 0, 3, "operators keep all 3 from their clients"),
            (
                2,
                0,
                0,
                1,
                3,
                "operators keep 2 of 3 from their clients, and nobody can judge the others",
            ),
            (0, 0, 3, 0, 3, "the names of all 3 have no usable address"),
            (
                0,
                0,
                1,
                2,
                3,
                "the names of 1 of 3 have no usable address, and nobody can judge the others",
            ),
            (
                0,
                0,
                1,
                0,
                3,
                "the names of 1 of 3 have no usable address, and the others failed",
            ),
        ] {
            let kept_out = KeptOut {
                count,
                zero,
                addressless,
                unheard,
                of,
                ..KeptOut::default()
            };
            let expected = expected.replace('Z', ZERO);
            let found = kept_out.and_the_others().unwrap_or_default();
            assert_eq!(found, expected, "{kept_out:?}");
        }
    }
}
