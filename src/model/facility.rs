//! Which facilities does syslog have?

use std::fmt;
use std::str::FromStr;

/// A facility of syslog: its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// mon's default, `daemon`.
    pub const DAEMON: Self = Self(3);

    const NAMES: [(&'static str, u8); 22] = [
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("security", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("console", 14),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];

    /// The one of that number; [`Facility::DAEMON`] where there is none.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        let known = Self::NAMES.iter().any(|&(_, known)| known == number);
        if known { Self(number) } else { Self::DAEMON }
    }

    /// Its number, 0 to 23.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Facility {
    fn default() -> Self {
        Self::DAEMON
    }
}

impl fmt::Display for Facility {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, number)| *number == self.0);
        out.write_str(name.map_or("daemon", |(name, _)| name))
    }
}

impl FromStr for Facility {
    type Err = String;

    /// `daemon`, `local0` and their like, in letters of any size.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let word = word.to_ascii_lowercase();
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == word)
            .map(|&(_, number)| Self(number))
            .ok_or_else(|| "write daemon, local0 to local7, or another one of syslog".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_facility_has_its_number_and_its_name() {
        assert_eq!("LOCAL3".parse::<Facility>().unwrap().number(), 19);
        assert_eq!("local3".parse::<Facility>().unwrap().to_string(), "local3");
        assert_eq!(Facility::default().to_string(), "daemon");
        assert!("nowhere".parse::<Facility>().is_err());
    }
}
