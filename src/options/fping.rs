//! The options of `fping`: `[-a] [-r N] [-s MS] [-t MS] [-T] [host...]`.
//!
//! Letters and defaults are those of mon 1.3.6's fping.monitor, also that
//! `-r 0` and `-t 0` mean the default.

use std::time::Duration;

use crate::options::words::{Faults, PlainWords, Word, hosts, milliseconds, split};
use crate::options::{OptionError, OptionErrors};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct FpingOptions {
    /// `-a`: a failure only when every host is unreachable.
    pub any_will_do: bool,
    /// `-r`: tries after the first; 3, at most [`FpingOptions::RETRIES_MAX`].
    pub retries: u32,
    /// `-s`: a slower answer is a failure.
    pub slow: Option<Duration>,
    /// `-t`: how long the first try waits; each further one waits half as long again. 2 s.
    pub timeout: Duration,
    /// `-T`: run traceroute to each unreachable host.
    pub trace: bool,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
}

impl FpingOptions {
    /// How to call it.
    pub const USAGE: &'static str = "fping [-a] [-r N] [-s MS] [-t MS] [-T] host...";

    /// Most retries: with the waiting time growing by half at each, the eleventh try of 2 s
    /// waits for two minutes already.
    const RETRIES_MAX: u32 = 10;

    /// Each try waits this much longer than the one before.
    const BACKOFF: f64 = 1.5;

    /// How long try number `number` waits, counted from 0.
    #[must_use]
    pub fn wait(&self, number: u32) -> Duration {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let wait = self.timeout.as_secs_f64() * Self::BACKOFF.powi(number);
        Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
    }

    /// How long all tries of one host take together.
    #[must_use]
    pub fn limit(&self) -> Duration {
        (0..=self.retries).map(|number| self.wait(number)).sum()
    }

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut faults = Faults::default();
        let words = split(args, "aTr:s:t:h", PlainWords::EndOptions, &mut faults);
        let mut options = Self {
            any_will_do: false,
            retries: 3,
            slow: None,
            timeout: Duration::from_millis(2_000),
            trace: false,
            hosts: hosts(&words, &mut faults),
        };
        for (index, word) in words {
            match word {
                Word::Flag('a') => options.any_will_do = true,
                Word::Flag('T') => options.trace = true,
                Word::Flag(letter) => {
                    let advice = "prints the usage and checks nothing; leave it out";
                    faults.add(index, format!("option -{letter} {advice}"));
                }
                Word::Value('r', value) => {
                    faults.take(options.set_retries(index, value));
                }
                Word::Value('s', value) => {
                    faults.set(&mut options.slow, milliseconds(index, 's', value).map(Some));
                }
                Word::Value(_, "0") => {}
                Word::Value(letter, value) => {
                    faults.set(&mut options.timeout, milliseconds(index, letter, value));
                }
                Word::Plain(_) => {}
            }
        }
        faults.finish(options)
    }

    fn set_retries(&mut self, index: usize, value: &str) -> Result<(), OptionError> {
        let retries = value
            .parse()
            .ok()
            .filter(|retries| *retries <= Self::RETRIES_MAX)
            .ok_or_else(|| {
                let most = Self::RETRIES_MAX;
                OptionError::new(
                    index,
                    format!(
                        "option -r takes a number of retries from 1 to {most}, not \"{value}\""
                    ),
                )
            })?;
        if retries > 0 {
            self.retries = retries;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<FpingOptions, OptionErrors> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        FpingOptions::parse(&args)
    }

    #[test]
    fn defaults_are_those_of_the_script() {
        let expected = FpingOptions {
            any_will_do: false,
            retries: 3,
            slow: None,
            timeout: Duration::from_secs(2),
            trace: false,
            hosts: Vec::new(),
        };
        assert_eq!(parse("").unwrap(), expected);
        assert_eq!(parse("-r 0 -t 0").unwrap(), expected);
    }

    #[test]
    fn all_options_are_read() {
        let options = parse("-aT -r 1 -s 100 -t 500 h1 h2").unwrap();
        let expected = FpingOptions {
            any_will_do: true,
            retries: 1,
            slow: Some(Duration::from_millis(100)),
            timeout: Duration::from_millis(500),
            trace: true,
            hosts: vec!["h1".to_owned(), "h2".to_owned()],
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn each_try_waits_half_as_long_again() {
        let options = parse("-r 2 -t 1000").unwrap();
        let waits: Vec<u128> = (0..3).map(|n| options.wait(n).as_millis()).collect();
        assert_eq!(waits, [1_000, 1_500, 2_250]);
        assert_eq!(options.limit().as_millis(), 4_750);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            (
                "-r 11",
                "option -r takes a number of retries from 1 to 10, not \"11\"",
            ),
            (
                "-r x",
                "option -r takes a number of retries from 1 to 10, not \"x\"",
            ),
            (
                "-h",
                "option -h prints the usage and checks nothing; leave it out",
            ),
            (
                "-s 0",
                "option -s takes a number of milliseconds above 0 and up to a day, not \"0\"",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn all_mistakes_of_a_line_are_named() {
        let errors = parse("-r 11 -x -s 0 -h -t never h1").unwrap_err();
        let places: Vec<usize> = errors.list().iter().map(|error| error.index).collect();
        assert_eq!(places, [0, 2, 3, 5, 6]);
    }
}
