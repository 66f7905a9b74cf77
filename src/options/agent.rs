//! The options of `agent`: `[-p PORT] [-t SECS] [-i] [host...]`.
//!
//! Ours alone, for servers that run an agent as HAProxy's `agent-check` asks it.

use std::time::Duration;

use crate::options::OptionErrors;
use crate::options::words::{Faults, PlainWords, Word, hosts, port_number, seconds, split};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentOptions {
    /// `-p`, a number; there is no usual one.
    pub port: u16,
    /// `-t`: from look-up to the end of the line, for each host; 10 s.
    pub timeout: Duration,
    /// What an agent that cannot be asked says of its server.
    pub silent: Silent,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
}

/// What an agent that cannot be asked says of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silent {
    /// It is down.
    IsDown,
    /// `-i`: nothing, as HAProxy has it; another service decides.
    SaysNothing,
}

impl AgentOptions {
    /// How to call it.
    pub const USAGE: &'static str = "agent -p PORT [-t SECS] [-i] host...";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut faults = Faults::default();
        let words = split(args, "p:t:i", PlainWords::EndOptions, &mut faults);
        let mut options = Self {
            port: 0,
            timeout: Duration::from_secs(10),
            silent: Silent::IsDown,
            hosts: hosts(&words, &mut faults),
        };
        let mut has_port = faults.lacks('p');
        for (index, word) in words {
            match word {
                Word::Value('p', value) => {
                    has_port = true;
                    faults.set(&mut options.port, port_number(index, 'p', value));
                }
                Word::Value(letter, value) => {
                    faults.set(&mut options.timeout, seconds(index, letter, value));
                }
                Word::Flag(_) => options.silent = Silent::SaysNothing,
                Word::Plain(_) => {}
            }
        }
        if !has_port {
            faults.add(args.len(), "agent.monitor needs the agent's port: -p PORT");
        }
        faults.finish(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<AgentOptions, OptionErrors> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        AgentOptions::parse(&args)
    }

    #[test]
    fn options_and_hosts_are_told_apart() {
        let options = parse("-p 5555 -t 2 -i h1").unwrap();
        assert_eq!(
            (options.port, options.timeout, options.silent),
            (5_555, Duration::from_secs(2), Silent::SaysNothing)
        );
        assert_eq!(options.hosts, ["h1"]);
        assert_eq!(parse("-p 1").unwrap().silent, Silent::IsDown);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, words) in [
            ("", "needs the agent's port"),
            ("h1", "needs the agent's port"),
            ("-p 0", "option -p"),
            ("-p", "option -p needs a value"),
            ("-p 1 -t 0", "option -t"),
            ("-p 1 -x", "unknown option -x"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.list().len(), 1, "{line}: {error}");
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }
}
