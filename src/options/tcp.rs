//! The options of `tcp`: `[-p PORT] [-t SECS] [host...]`.
//!
//! Letters and defaults are those of tcp.monitor (spec/mon-plugins.md section 4.4), the
//! default port 23 included.

use std::time::Duration;

use crate::options::OptionError;
use crate::options::words::{Word, plain_words, port_number, seconds, words};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpOptions {
    /// `-p`, a number; 23.
    pub port: u16,
    /// `-t`: from look-up to connection, for each host; 10 s.
    pub timeout: Duration,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
}

impl TcpOptions {
    /// How to call it.
    pub const USAGE: &'static str = "tcp [-p PORT] [-t SECS] host...";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionError> {
        let words = words(args, "p:t:")?;
        let mut options = Self {
            port: 23,
            timeout: Duration::from_secs(10),
            hosts: plain_words(&words),
        };
        for (index, word) in words {
            match word {
                Word::Value('p', value) => options.port = port_number(index, 'p', value)?,
                Word::Value(letter, value) => options.timeout = seconds(index, letter, value)?,
                Word::Flag(_) | Word::Plain(_) => {}
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<TcpOptions, OptionError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        TcpOptions::parse(&args)
    }

    #[test]
    fn defaults_are_those_of_the_script() {
        let options = parse("").unwrap();
        assert_eq!(
            (options.port, options.timeout),
            (23, Duration::from_secs(10))
        );
        assert!(options.hosts.is_empty());
    }

    #[test]
    fn options_and_hosts_are_told_apart() {
        let options = parse("-p 25 -t 2 mail1 mail2").unwrap();
        assert_eq!(
            (options.port, options.timeout),
            (25, Duration::from_secs(2))
        );
        assert_eq!(options.hosts, ["mail1", "mail2"]);
    }

    #[test]
    fn a_service_name_is_refused_with_its_number() {
        let error = parse("-p smtp h").unwrap_err();
        assert!(
            error.message.ends_with("write 25 for smtp"),
            "{}",
            error.message
        );
    }
}
