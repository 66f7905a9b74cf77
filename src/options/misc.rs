//! The options of `misc`: `[-t SECS] [-j N] [-d] [--] PROGRAM ARG... [-- host...]`.
//!
//! Ours alone, for the programs of keepalived's `MISC_CHECK`: each speaks of one server, is run
//! once for each host, and with `-d` (`misc_dynamic`) gives it a weight by its exit value. `%h`
//! among the arguments stands for the host and `%%` for a percent sign. The program ends at the
//! next `--`, as in `plugin`.

use std::path::PathBuf;
use std::time::Duration;

use crate::options::OptionErrors;
use crate::options::plugin::{at_once, filled};
use crate::options::words::{Faults, PlainWords, Word, seconds, split};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct MiscOptions {
    /// `-t`: for each host; 30 s.
    pub timeout: Duration,
    /// `-j`: programs of this line that run at once; 10.
    pub at_once: usize,
    /// What exit values from 2 to 255 say.
    pub beyond: Beyond,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Whether a `--` ended the command.
    pub is_ended: bool,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
    /// Variables of the run; set by the engine for each run.
    pub environment: Vec<(String, String)>,
}

/// What the exit values say that are neither 0 nor 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The host fails.
    Fails,
    /// `-d`: it is good, and its weight is the exit value less two.
    IsWeight,
}

impl MiscOptions {
    /// How to call it.
    pub const USAGE: &'static str = "misc [-t SECS] [-j N] [-d] -- PROGRAM ARG... -- host...\n\
        %h among the arguments stands for the host; exit value 0 is good, all others fail; with -d only 1 fails, \
        and 2 to 255 are good with weight 0 to 253";

    const LETTERS: &'static str = "t:j:d";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut options = Self {
            timeout: Duration::from_secs(30),
            at_once: 10,
            beyond: Beyond::Fails,
            program: PathBuf::new(),
            args: Vec::new(),
            is_ended: false,
            hosts: Vec::new(),
            environment: Vec::new(),
        };
        let mut faults = Faults::default();
        let mut command = Vec::new();
        for (index, word) in split(args, Self::LETTERS, PlainWords::EndOptions, &mut faults) {
            match word {
                Word::Value('t', text) => {
                    faults.set(&mut options.timeout, seconds(index, 't', text));
                }
                Word::Value('j', text) => faults.set(&mut options.at_once, at_once(index, text)),
                Word::Flag('d') => options.beyond = Beyond::IsWeight,
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain("--") if !options.is_ended => options.is_ended = true,
                Word::Plain(host) if options.is_ended => options.hosts.push(host.to_owned()),
                Word::Plain(word) => command.push((index, word.to_owned())),
            }
        }
        let mut command = command.into_iter();
        match command.next() {
            None => faults.add(
                args.len(),
                "misc.monitor needs a program, such as \"misc.monitor -- /etc/mon/check_shop %h\"",
            ),
            Some((_, program)) if program.starts_with('/') => {
                options.program = PathBuf::from(program);
            }
            Some((index, program)) => faults.add(
                index,
                format!(
                    "\"{program}\" is no absolute path; misc.monitor runs programs by their whole path"
                ),
            ),
        }
        options.args = command.map(|(_, word)| word).collect();
        faults.finish(options)
    }

    /// The arguments of the program for a host.
    #[must_use]
    pub fn arguments(&self, host: &str) -> Vec<String> {
        self.args.iter().map(|word| filled(word, host)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<MiscOptions, OptionErrors> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        MiscOptions::parse(&args)
    }

    #[test]
    fn options_program_and_hosts_are_told_apart() {
        let options = parse("-t 5 -j 3 -d -- /bin/x -H %h 5% -- h1 h2").unwrap();
        assert_eq!(
            (options.timeout, options.at_once, options.beyond),
            (Duration::from_secs(5), 3, Beyond::IsWeight)
        );
        assert_eq!(options.program, PathBuf::from("/bin/x"));
        assert_eq!(options.arguments("h1"), ["-H", "h1", "5%"]);
        assert_eq!(options.hosts, ["h1", "h2"]);
        let options = parse("/bin/x").unwrap();
        assert_eq!((options.beyond, options.is_ended), (Beyond::Fails, false));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, words) in [
            ("-d", "needs a program"),
            ("-- check %h", "no absolute path"),
            ("-j 0 /x", "from 1 to 100"),
            ("-t 0 /x", "option -t"),
            ("-w /x", "unknown option -w"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }
}
