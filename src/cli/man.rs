//! `lvsmon man` and `lvsmon completions`: what persons and shells read of the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output};
use crate::cli::{Cli, Outcome};

/// Print the manual page, or that of a subcommand with its options and exit statuses
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The page of this subcommand, such as drain
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Option<String>,
    /// Write all pages into this folder: lvsmon.1, lvsmon-run.1 and the others
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    all: Option<PathBuf>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn man(args: &ManArgs, out: &mut Output) -> Outcome {
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

pub(super) fn completions(args: &CompletionsArgs, out: &mut Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lvsmon", &mut script);
    out.bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
