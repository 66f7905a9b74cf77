//! The options of `ftp`: `[-p PORT] [-t SECS] [host...]`.
//!
//! Letters and defaults are those of mon 1.3.6's ftp.monitor.

use std::time::Duration;

use crate::options::OptionErrors;
use crate::options::words::{PortLine, port_or_service};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct FtpOptions {
    /// `-p`, a number or a service name; 21.
    pub port: u16,
    /// `-t`: from look-up to the server's goodbye, for each host; 30 s.
    pub timeout: Duration,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
}

impl FtpOptions {
    /// How to call it.
    pub const USAGE: &'static str = "ftp [-p PORT] [-t SECS] host...";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let line = PortLine::parse(args, port_or_service)?;
        Ok(Self {
            port: line.port.unwrap_or(21),
            timeout: line.timeout.unwrap_or(Duration::from_secs(30)),
            hosts: line.hosts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<FtpOptions, OptionErrors> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        FtpOptions::parse(&args)
    }

    #[test]
    fn defaults_are_those_of_the_script() {
        let options = parse("h1").unwrap();
        assert_eq!(
            (options.port, options.timeout),
            (21, Duration::from_secs(30))
        );
        assert_eq!(options.hosts, ["h1"]);
    }

    #[test]
    fn a_port_may_be_a_service_name() {
        assert_eq!(parse("-p ftps").unwrap().port, 990);
        assert_eq!(parse("-p nosuch").unwrap_err().list()[0].index, 0);
    }
}
