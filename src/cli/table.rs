//! `lvsmon table` and `lvsmon enable`: the wanted table against the kernel's, and a wish.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::{CONFIG, Outcome};

/// Show the wanted table against the kernel's
#[derive(Debug, Args)]
pub(super) struct TableArgs {
    /// The configuration; it names the state folder of the running daemon
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// End a withdrawal that nothing else would end
#[derive(Debug, Args)]
pub(super) struct EnableArgs {
    /// The real server: address or name, with or without a port
    #[arg(value_name = "SERVER")]
    server: String,
    /// The configuration; it names the state folder of the running daemon
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
}

pub(super) fn table(args: &TableArgs, out: &mut Output) -> Outcome {
    let _ = (&args.config, args.json, out);
    Ok(ExitCode::FAILURE)
}

pub(super) fn enable(args: &EnableArgs, out: &mut Output) -> Outcome {
    let _ = (&args.config, &args.server, out);
    Ok(ExitCode::FAILURE)
}
