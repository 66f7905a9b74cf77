//! The command line: one struct for each subcommand, one function that runs it.
//!
//! Each has a file of its name; `monitor` and `alert` are in `built_in`, `try` in `trial`, `drain`
//! and its like in `wishes`, `completions` in `man`. Beside them:
//!
//! | Question | File |
//! |---|---|
//! | what is learned of a command line that cannot be meant | `misuse` |
//! | how does a person learn that a reload was refused | `refused` |
//! | how is it written | `output` |
//!
//! Parsing looks nothing up and opens nothing; running does. Exit codes: 0 done, 1 failed,
//! 2 wrong usage; those of `import` are in its file. A closed pipe behind our output is not an
//! error.

mod built_in;
mod check;
mod demo;
mod health;
mod import;
mod man;
mod metrics;
mod misuse;
mod mon;
pub mod output;
mod refused;
mod role;
mod run;
mod table;
mod trap;
mod trial;
mod why;
mod wishes;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cli::output::{Form, Output, complain};
use crate::model::Model;
use crate::options::{AlertOptions, MonitorOptions};
use crate::program::{self, as_user};
use crate::site::{self, LoadOptions};

/// Where mon.cf is unless `--config` says otherwise.
pub(crate) const CONFIG: &str = "/etc/mon/mon.cf";

/// Where the options of subcommands are.
const PAGES: &str = "\
`lvsmon SUBCOMMAND --help` shows the options and exit statuses of one, `lvsmon man SUBCOMMAND` its \
manual page; `lvsmon man --all DIR` writes the pages of all into a folder.";

/// Health monitoring for Linux Virtual Server directors
#[derive(Debug, Parser)]
#[command(name = "lvsmon", version, disable_help_subcommand = true, after_help = PAGES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Mon(Box<mon::MonArgs>),
    Check(check::CheckArgs),
    Table(table::TableArgs),
    Enable(wishes::EnableArgs),
    Drain(wishes::DrainArgs),
    Quiesce(wishes::QuiesceArgs),
    Disable(wishes::DisableArgs),
    Weight(wishes::WeightArgs),
    Try(trial::TrialArgs),
    Why(why::WhyArgs),
    Role(role::RoleArgs),
    Health(health::HealthArgs),
    Metrics(metrics::MetricsArgs),
    #[command(after_help = built_in::names("monitor", &MonitorOptions::NAMES))]
    Monitor(built_in::BuiltInArgs),
    #[command(after_help = built_in::names("alert", &AlertOptions::NAMES))]
    Alert(built_in::BuiltInArgs),
    Trap(trap::TrapArgs),
    Import(import::ImportArgs),
    Demo(demo::DemoArgs),
    Completions(man::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the command line and gives the exit code of the process.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    // Not a subcommand: it is no business of anybody who reads the help.
    if let [_, word, words @ ..] = &*args
        && word == as_user::WORD
    {
        complain(&as_user::run(words));
        return ExitCode::from(as_user::NOT_RUN);
    }
    // The error means that a provider is there already: as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Of words that are not understood nobody knows more.
    let asked = Form::of(args.iter().any(|word| word == "--json"));
    let cli = match Cli::try_parse_from(mon::with_its_name(args)) {
        Ok(cli) => cli,
        Err(error) => return misuse::refuse(asked, error),
    };
    // Without it, only what is started would be unclear, and says so.
    let _ = program::keep_ends();
    let form = cli.command.form();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = chain(&*error);
            complain(&format!("lvsmon: {text}"));
            output::fail(form, &text);
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// What whoever called it reads.
    const fn form(&self) -> Form {
        let is_json = match self {
            Self::Table(args) => args.json,
            Self::Enable(args) => args.json,
            Self::Drain(args) => args.what.json,
            Self::Quiesce(args) => args.what.json,
            Self::Disable(args) => args.what.json,
            Self::Weight(args) => args.what.json,
            Self::Role(args) => args.json,
            Self::Try(args) => args.json,
            Self::Why(args) => args.json,
            Self::Check(args) => args.json,
            Self::Health(args) => args.json,
            Self::Run(_)
            | Self::Mon(_)
            | Self::Metrics(_)
            | Self::Monitor(_)
            | Self::Alert(_)
            | Self::Trap(_)
            | Self::Import(_)
            | Self::Demo(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        };
        Form::of(is_json)
    }
}

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn dispatch(command: Command) -> Outcome {
    let mut out = Output::standard();
    let code = match command {
        Command::Run(args) => run::run(&args)?,
        Command::Mon(args) => mon::mon(&args, &mut out)?,
        Command::Check(args) => check::check(&args, &mut out)?,
        Command::Table(args) => table::table(&args, &mut out)?,
        Command::Enable(args) => wishes::enable(&args, &mut out)?,
        Command::Drain(args) => wishes::drain(&args, &mut out)?,
        Command::Quiesce(args) => wishes::quiesce(&args, &mut out)?,
        Command::Disable(args) => wishes::disable(&args, &mut out)?,
        Command::Weight(args) => wishes::weight(&args, &mut out)?,
        Command::Try(args) => trial::trial(&args, &mut out)?,
        Command::Why(args) => why::why(&args, &mut out)?,
        Command::Role(args) => role::role(&args, &mut out)?,
        Command::Health(args) => health::health(&args, &mut out)?,
        Command::Metrics(args) => metrics::metrics(&args, &mut out)?,
        Command::Monitor(args) => built_in::monitor(&args, &mut out)?,
        Command::Alert(args) => built_in::alert(&args, &mut out)?,
        Command::Trap(args) => trap::trap(&args)?,
        Command::Import(args) => import::import(&args, &mut out)?,
        Command::Demo(args) => demo::demo(&args)?,
        Command::Completions(args) => man::completions(&args, &mut out)?,
        Command::Man(args) => man::man(&args, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

/// A runtime for one task of the command line.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The configuration, for a command that only needs it to be valid.
fn load(config: &Path) -> Result<Model, String> {
    match site::load(config, &LoadOptions::default()) {
        Ok(loaded) => Ok(loaded.model),
        Err(mistakes) => {
            let first = mistakes.iter().find(|it| it.is_error());
            let first = first.map(ToString::to_string);
            Err(format!(
                "{} has mistakes, lvsmon check shows them all; the first is\n{}",
                config.display(),
                first.unwrap_or_default()
            ))
        }
    }
}

/// Where the daemon of a configuration is asked.
#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    /// The configuration; it names the state folder of the running daemon
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    pub(crate) config: PathBuf,
    /// The state folder itself; then the configuration is not read
    #[arg(long, value_name = "DIR")]
    pub(crate) statedir: Option<PathBuf>,
}

impl WhereArgs {
    /// The state folder. A mistake in the file, which is not in force yet, keeps nobody from
    /// asking the daemon.
    pub(crate) fn statedir(&self) -> Result<PathBuf, String> {
        match &self.statedir {
            Some(statedir) => Ok(statedir.clone()),
            None => statedir(&self.config),
        }
    }
}

/// The state folder that a configuration names.
fn statedir(config: &Path) -> Result<PathBuf, String> {
    site::statedir(config).map_err(|why| format!("{why}; --statedir DIR says where the daemon is"))
}

fn exit_code_of(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// An error with everything that caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// What a terminal wraps by its own width must not have been wrapped before: one word stands
    /// alone in a line then.
    #[test]
    fn no_text_below_the_options_is_broken_within_a_sentence() {
        fn broken(command: &clap::Command) -> Vec<String> {
            let own = command.get_after_help().map(ToString::to_string);
            let own = own.unwrap_or_default();
            let lines: Vec<&str> = own.lines().collect();
            let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ');
            let is_whole = |line: &str| line.ends_with(['.', ':']);
            let pairs = lines.windows(2);
            let pairs = pairs.filter(|pair| pair.iter().all(|line| is_text(line)));
            let mut found: Vec<String> = pairs
                .filter(|pair| !is_whole(pair[0]))
                .map(|pair| format!("{}: {} / {}", command.get_name(), pair[0], pair[1]))
                .collect();
            found.extend(command.get_subcommands().flat_map(broken));
            found
        }
        assert_eq!(broken(&Cli::command()), [""; 0]);
    }

    #[test]
    fn values_below_zero_are_refused_as_values_and_enable_takes_json() {
        let refused = |words: &str| {
            let words = words.split(' ');
            Cli::try_parse_from(words).unwrap_err().to_string()
        };
        for (words, expected) in [
            (
                "lvsmon weight -1 10.0.0.1",
                "a weight is a whole number from 0 to 65535",
            ),
            (
                "lvsmon weight 1.5 10.0.0.1",
                "a weight is a whole number from 0 to 65535",
            ),
            (
                "lvsmon weight 10.0.0.1 5",
                "and stands before the real server: lvsmon weight 5 10.0.0.1",
            ),
            (
                "lvsmon disable 10.0.0.1 --for 1000000000d",
                "is too long: a time is 213503982d at most",
            ),
            (
                "lvsmon drain 10.0.0.1 --for -5m",
                "invalid value '-5m' for '--for <TIME>'",
            ),
            (
                "lvsmon drain 10.0.0.1 --deadline -5m",
                "invalid value '-5m' for '--deadline",
            ),
        ] {
            let said = refused(words);
            assert!(said.contains(expected), "{words}: {said}");
        }
        assert!(Cli::try_parse_from(["lvsmon", "enable", "10.0.0.1", "--json"]).is_ok());
    }
}
