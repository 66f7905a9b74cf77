//! `tripwire`: is a service told by the end of a connection that it is time to check?

use std::fmt;
use std::str::FromStr;

/// Whether one idle connection to each host is held between checks, and its end taken as the
/// reason to check at once (D18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tripwire {
    /// Nothing is held.
    #[default]
    Off,
    /// `tripwire on`
    On,
}

impl fmt::Display for Tripwire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Off => "off",
            Self::On => "on",
        })
    }
}

impl FromStr for Tripwire {
    type Err = &'static str;

    /// `on` or `off`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("write on or off"),
        }
    }
}
