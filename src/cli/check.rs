//! `lvsmon check`: every mistake and warning of a file, what each name became, and the host.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::{CONFIG, Outcome};

/// Check a configuration, and with --host the machine
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Look at what the director needs of this machine too: modules, sysctls, rights, folders
    #[arg(long)]
    host: bool,
}

pub(super) fn check(args: &CheckArgs, out: &mut Output) -> Outcome {
    let _ = (&args.config, args.strict, args.json, args.host, out);
    Ok(ExitCode::FAILURE)
}
