//! The options of `plugin`:
//! `[-t SECS] [-j N] [-d DIR] [--warning-fails] [--] COMMAND... [-- host...]`.
//!
//! Ours alone. The command is a check plugin of the Nagios kind with its arguments, in which `%h`
//! stands for the host and `%%` for a percent sign. It ends at the next `--`: in mon.cf that may
//! be left out, since the hosts of the group come by themselves; alone, as a program, it is
//! needed to tell the last argument from the first host.

use std::path::PathBuf;
use std::time::Duration;

use crate::options::words::{Faults, PlainWords, Word, seconds, split};
use crate::options::{OptionError, OptionErrors};

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginOptions {
    /// `-t`: for each host; 30 s, three times what the usual plugins take themselves.
    pub timeout: Duration,
    /// `-j`: plugins of this line that run at once; 10.
    pub at_once: usize,
    /// `-d`: the folder of the plugins, before those where they usually are.
    pub folder: Option<PathBuf>,
    /// `--warning-fails` or `-w`: exit value 1 is a failure.
    pub warning_fails: bool,
    /// The plugin and its arguments; at least one word.
    pub command: Vec<String>,
    /// Whether a `--` ended the command.
    pub is_ended: bool,
    /// Hosts among the arguments, checked before those of the hostgroup.
    pub hosts: Vec<String>,
    /// Variables of the run; set by the engine for each run.
    pub environment: Vec<(String, String)>,
}

impl PluginOptions {
    /// How to call it.
    pub const USAGE: &'static str = "plugin [-t SECS] [-j N] [-d DIR] [--warning-fails] -- CHECK_PLUGIN ARG... -- host...\n\
        %h among the arguments stands for the host; exit values 0 ok, 1 warning, 2 critical, 3 unknown";

    /// Most plugins at once that `-j` may ask for: each is a process.
    const AT_ONCE_MAX: usize = 100;

    const LETTERS: &'static str = "t:j:d:w";

    pub(crate) fn parse(args: &[String]) -> Result<Self, OptionErrors> {
        let mut options = Self {
            timeout: Duration::from_secs(30),
            at_once: 10,
            folder: None,
            warning_fails: false,
            command: Vec::new(),
            is_ended: false,
            hosts: Vec::new(),
            environment: Vec::new(),
        };
        let args = short(args);
        let mut faults = Faults::default();
        for (index, word) in split(&args, Self::LETTERS, PlainWords::EndOptions, &mut faults) {
            match word {
                Word::Value('t', text) => {
                    faults.set(&mut options.timeout, seconds(index, 't', text));
                }
                Word::Value('j', text) => faults.set(&mut options.at_once, at_once(index, text)),
                Word::Value('d', text) => options.folder = Some(PathBuf::from(text)),
                Word::Flag('w') => options.warning_fails = true,
                Word::Value(..) | Word::Flag(_) => {}
                Word::Plain("--") if !options.is_ended => options.is_ended = true,
                Word::Plain(host) if options.is_ended => options.hosts.push(host.to_owned()),
                Word::Plain(word) => options.command.push(word.to_owned()),
            }
        }
        if options.command.is_empty() {
            faults.add(
                args.len(),
                "plugin.monitor needs a check plugin, such as \"plugin.monitor -- check_http -H %h\"",
            );
        }
        faults.finish(options)
    }

    /// Whether the command has a place for the host. One without is run once, for the group as a
    /// whole.
    #[must_use]
    pub fn names_host(&self) -> bool {
        let mut words = self.command.iter().skip(1);
        words.any(|word| filled(word, "a") != filled(word, "b"))
    }

    /// The arguments of the plugin for a host.
    #[must_use]
    pub fn arguments(&self, host: &str) -> Vec<String> {
        let words = self.command.iter().skip(1);
        words.map(|word| filled(word, host)).collect()
    }
}

/// The one long option as its letter, where it stands before the command.
fn short(args: &[String]) -> Vec<String> {
    let mut args = args.to_vec();
    let own = args.iter_mut().take_while(|word| *word != "--");
    for word in own.filter(|word| *word == "--warning-fails") {
        "-w".clone_into(word);
    }
    args
}

/// `-j` of the built-ins that run programs.
pub(super) fn at_once(index: usize, text: &str) -> Result<usize, OptionError> {
    let most = PluginOptions::AT_ONCE_MAX;
    text.parse()
        .ok()
        .filter(|count| (1..=most).contains(count))
        .ok_or_else(|| {
            let message = format!("option -j takes a number from 1 to {most}, not \"{text}\"");
            OptionError::new(index, message)
        })
}

/// `%h` is the host, `%%` a percent sign; every other `%` stands for itself.
pub(super) fn filled(word: &str, host: &str) -> String {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word.chars();
    while let Some(letter) = rest.next() {
        let mut behind = rest.clone();
        match (letter, behind.next()) {
            ('%', Some('h')) => {
                filled.push_str(host);
                rest = behind;
            }
            ('%', Some('%')) => {
                filled.push('%');
                rest = behind;
            }
            _ => filled.push(letter),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<PluginOptions, OptionErrors> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        PluginOptions::parse(&args)
    }

    #[test]
    fn options_command_and_hosts_are_told_apart() {
        let options = parse("-t 5 -j 3 -d /x --warning-fails -- check_http -H %h -w 1 -- h1 h2");
        let options = options.unwrap();
        assert_eq!(
            (options.timeout, options.at_once),
            (Duration::from_secs(5), 3)
        );
        assert_eq!(options.folder, Some(PathBuf::from("/x")));
        assert!(options.warning_fails && options.is_ended && options.names_host());
        assert_eq!(options.command, ["check_http", "-H", "%h", "-w", "1"]);
        assert_eq!(options.hosts, ["h1", "h2"]);
    }

    #[test]
    fn the_command_needs_no_mark_before_it_and_in_a_file_none_behind_it() {
        let options = parse("check_ping -H %h -w 1,1% -c 2,2%").unwrap();
        assert_eq!(options.arguments("a%h")[1], "a%h");
        assert_eq!(options.arguments("h")[3], "1,1%");
        assert!(!options.is_ended && !options.warning_fails && options.hosts.is_empty());
    }

    #[test]
    fn the_host_stands_where_the_line_says() {
        let options = parse("-- check_x http://%h/%%h %h%h %% 5%").unwrap();
        assert_eq!(
            options.arguments("w"),
            ["http://w/%h", "ww", "%", "5%"].map(str::to_owned)
        );
        assert!(!parse("-- check_load 5% %%h").unwrap().names_host());
        assert!(!parse("-- %h").unwrap().names_host());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (line, words) in [
            ("-t 5", "needs a check plugin"),
            ("-- -- h", "needs a check plugin"),
            ("-j 0 check_x", "from 1 to 100"),
            ("-j 101 check_x", "from 1 to 100"),
            ("-t 0 check_x", "option -t"),
            ("-q check_x", "unknown option -q"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(words), "{line}: {error}");
        }
    }
}
