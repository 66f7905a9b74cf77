//! `lvsmon monitor NAME` and `lvsmon alert NAME`: one built-in by itself.

use std::io::{self, IsTerminal, Read as _};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::alert::{self, StandaloneError};
use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output, complain};
use crate::cli::{Cli, Outcome, runtime};
use crate::monitor;

/// Longest report that a stand-alone alert reads, in bytes; a daemon hands over far less.
const ALERT_INPUT_MAX: u64 = 16 * 1024 * 1024;

/// Run a built-in by itself, as mon, MISC_CHECK or a person would
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct BuiltInArgs {
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

impl BuiltInArgs {
    fn asks_for_help(&self) -> bool {
        ["-h", "--help"].contains(&&*self.name)
    }
}

/// What the help of `monitor` and `alert` says below the options.
pub(super) fn names(command: &str, names: &[&str]) -> String {
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.split_once('.').map_or(*name, |(bare, _)| bare))
        .collect();
    format!(
        "Built-ins: {}\n\n`lvsmon {command} NAME --help` shows the options of one",
        names.join(", ")
    )
}

pub(super) fn monitor(args: &BuiltInArgs, out: &mut Output) -> Outcome {
    if args.asks_for_help() {
        return help("monitor", out);
    }
    Ok(ExitCode::from(monitor::standalone(&args.name, &args.args)))
}

pub(super) fn alert(args: &BuiltInArgs, out: &mut Output) -> Outcome {
    if args.asks_for_help() {
        return help("alert", out);
    }
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

/// The help of a subcommand that leaves the help flag to what it runs.
fn help(subcommand: &str, out: &mut Output) -> Outcome {
    let mut cli = Cli::command();
    cli.build();
    if let Some(command) = cli.find_subcommand_mut(subcommand) {
        out.bytes(command.render_help().to_string().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Command;

    #[test]
    fn words_after_a_builtin_belong_to_it() {
        let words = ["lvsmon", "monitor", "http", "-p", "80", "--help", "h1"];
        let cli = Cli::try_parse_from(words).unwrap();
        let Command::Monitor(args) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(args.args, ["-p", "80", "--help", "h1"]);
    }
}
