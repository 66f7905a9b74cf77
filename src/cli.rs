//! The command line: one struct for each subcommand, one function that runs it.
//!
//! Parsing looks nothing up and opens nothing; running does. Exit codes: 0 done, 1 failed,
//! 2 wrong usage; those of `import` are in its file. A closed pipe behind our output is not an
//! error.

mod check;
mod demo;
mod health;
mod import;
mod metrics;
mod misuse;
mod mon;
pub mod output;
mod refused;
mod role;
mod table;
mod trap;
mod trial;
mod why;
mod wishes;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::alert::{self, StandaloneError};
use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output, complain};
use crate::daemon::log::{self, Format};
use crate::daemon::{self, StartOptions};
use crate::model::Model;
use crate::monitor;
use crate::options::{AlertOptions, MonitorOptions};
use crate::program::{self, as_user};
use crate::site::{self, Duty, LoadOptions};

/// Where mon.cf is unless `--config` says otherwise.
pub(crate) const CONFIG: &str = "/etc/mon/mon.cf";

/// Where the options of subcommands are.
const PAGES: &str = "\
`lvsmon SUBCOMMAND --help` shows the options and exit statuses of one, `lvsmon man SUBCOMMAND` its manual
page; `lvsmon man --all DIR` writes the pages of all into a folder.";

/// Longest report that a stand-alone alert reads, in bytes; a daemon hands over far less.
const ALERT_INPUT_MAX: u64 = 16 * 1024 * 1024;

/// Health monitoring for Linux Virtual Server directors
#[derive(Debug, Parser)]
#[command(name = "lvsmon", version, disable_help_subcommand = true, after_help = PAGES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
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
    #[command(after_help = built_ins("monitor", &MonitorOptions::NAMES))]
    Monitor(PluginArgs),
    #[command(after_help = built_ins("alert", &AlertOptions::NAMES))]
    Alert(PluginArgs),
    Trap(trap::TrapArgs),
    Import(import::ImportArgs),
    Demo(demo::DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Run the daemon in the foreground, until SIGTERM or SIGINT; SIGHUP reads the file again
#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// How log lines look on standard error; LVSMON_LOG=debug shows more of them
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Decide everything and change nothing: say where the table would differ, beside whoever works
    #[arg(long)]
    observe: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a person.
    Text,
    /// One object a line.
    Json,
}

/// Run a built-in by itself, as mon, MISC_CHECK or a person would
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct PluginArgs {
    // With hyphens, because the help flag is the built-in's own and is found here without one.
    /// Its name, such as http or mail
    #[arg(allow_hyphen_values = true)]
    name: String,
    /// Its own options, and what follows them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARG"
    )]
    args: Vec<String>,
}

impl PluginArgs {
    fn asks_for_help(&self) -> bool {
        ["-h", "--help"].contains(&&*self.name)
    }
}

/// What the help of `monitor` and `alert` says below the options.
fn built_ins(command: &str, names: &[&str]) -> String {
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.split_once('.').map_or(*name, |(bare, _)| bare))
        .collect();
    format!(
        "Built-ins: {}\n`lvsmon {command} NAME --help` shows the options of one",
        names.join(", ")
    )
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Print the manual page, or that of a subcommand with its options and exit statuses
#[derive(Debug, Args)]
struct ManArgs {
    /// The page of this subcommand, such as drain
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Option<String>,
    /// Write all pages into this folder: lvsmon.1, lvsmon-run.1 and the others
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    all: Option<PathBuf>,
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
        Err(error) => return misuse::refuse(asked, &error),
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
        Command::Run(args) => run(&args)?,
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
        Command::Monitor(args) if args.asks_for_help() => help("monitor", &mut out)?,
        Command::Alert(args) if args.asks_for_help() => help("alert", &mut out)?,
        Command::Monitor(args) => ExitCode::from(monitor::standalone(&args.name, &args.args)),
        Command::Alert(args) => alert(&args)?,
        Command::Trap(args) => trap::trap(&args)?,
        Command::Import(args) => import::import(&args, &mut out)?,
        Command::Demo(args) => demo::demo(&args)?,
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "lvsmon", &mut script);
            out.bytes(&script)?;
            ExitCode::SUCCESS
        }
        Command::Man(args) => man(&args, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

fn run(args: &RunArgs) -> Outcome {
    let format = match args.log_format {
        LogFormat::Text => Format::Text {
            colours: output::wants_colours(),
        },
        LogFormat::Json => Format::Json,
    };
    let guard = log::start(log::Settings {
        format,
        syslog: None,
        level: "info",
    })
    .map_err(no_log)?;
    let options = StartOptions {
        config: args.config.clone(),
        load: LoadOptions {
            duty: if args.observe {
                Duty::Observe
            } else {
                Duty::Work
            },
            ..LoadOptions::default()
        },
        ..StartOptions::default()
    };
    let result = daemon::run(options);
    drop(guard);
    result?;
    Ok(ExitCode::SUCCESS)
}

/// What is said where not even a log can be begun.
fn no_log(error: io::Error) -> String {
    format!("cannot start: {error}{}", program::shortage(&error))
}

fn man(args: &ManArgs, out: &mut Output) -> Outcome {
    let mut cli = Cli::command();
    if let Some(folder) = &args.all {
        let failed = |error| format!("cannot write into {}: {error}", folder.display());
        clap_mangen::generate_to(cli, folder).map_err(failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Gives each subcommand the name of its page.
    cli.build();
    let found = match &args.subcommand {
        None => Some(&cli),
        Some(name) => cli.find_subcommand(name),
    };
    let Some(found) = found else {
        let name = args.subcommand.as_deref().unwrap_or_default();
        let why = format!("there is no subcommand \"{name}\"; lvsmon --help lists them");
        return Ok(misused("man", Form::Text, &why));
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(found.clone()).render(&mut page)?;
    out.bytes(&page)?;
    Ok(ExitCode::SUCCESS)
}

/// The help of a subcommand that leaves the help flag to what it runs.
fn help(subcommand: &str, out: &mut Output) -> Outcome {
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(subcommand) {
        out.bytes(command.render_help().to_string().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn alert(args: &PluginArgs) -> Outcome {
    let mut input = Vec::new();
    let stdin = io::stdin();
    // A person at a terminal has no report to hand over.
    if !stdin.is_terminal() {
        stdin.lock().take(ALERT_INPUT_MAX).read_to_end(&mut input)?;
    }
    let runtime = runtime()?;
    match runtime.block_on(alert::standalone(&args.name, &args.args, &input)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(StandaloneError::Usage(why)) => {
            let command = format!("alert {}", args.name);
            Ok(misused(&command, Form::Text, &why))
        }
        Err(StandaloneError::Failed(why)) => {
            complain(&format!("lvsmon alert {}: {why}", args.name));
            Ok(ExitCode::FAILURE)
        }
    }
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
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_after_a_builtin_belong_to_it() {
        let words = ["lvsmon", "monitor", "http", "-p", "80", "--help", "h1"];
        let cli = Cli::try_parse_from(words).unwrap();
        let Command::Monitor(args) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(args.args, ["-p", "80", "--help", "h1"]);
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
