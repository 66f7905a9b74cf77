//! The options of `tcp`: `[-p PORT] [-t SECS] [host...]`.
//!
//! Letters and defaults are those of mon 1.3.6's tcp.monitor, the
//! default port 23 included.

use std::time::Duration;

use crate::options::OptionErrors;
use crate::options::words::{PortLine, port_number};

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

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let line = PortLine::parse(args, port_number)?;
        Ok(Self {
            port: line.port.unwrap_or(23),
            timeout: line.timeout.unwrap_or(Duration::from_secs(10)),
            hosts: line.hosts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<TcpOptions, OptionErrors> {
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
        assert!(error.to_string().ends_with("write 25 for smtp"), "{error}");
    }
}
