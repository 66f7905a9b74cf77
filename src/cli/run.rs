//! `lvsmon run`: the daemon in the foreground.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::{CONFIG, Outcome, output};
use crate::daemon::log::{self, Format};
use crate::daemon::{self, StartOptions};
use crate::program;
use crate::site::{Duty, LoadOptions};

/// Run the daemon in the foreground, until SIGTERM or SIGINT; SIGHUP reads the file again
#[derive(Debug, Args)]
pub(super) struct RunArgs {
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
enum LogFormat {
    /// For a person.
    Text,
    /// One object a line.
    Json,
}

pub(super) fn run(args: &RunArgs) -> Outcome {
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
pub(super) fn no_log(error: io::Error) -> String {
    format!("cannot start: {error}{}", program::shortage(&error))
}
