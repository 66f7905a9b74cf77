//! `lvsmon demo`: how the demonstration is asked for.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::{Outcome, output};
use crate::demo::{self, Look};

/// Pause after a step on a terminal, in seconds: long enough to read the table.
const PACE_LIVE: f64 = 2.0;
/// Longest pause in seconds; the story has eight.
const PACE_MAX: f64 = 60.0;

/// Show a small farm on loopback being broken and mended; needs no root and no IPVS
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Pause after each step; 2 on a terminal, else 0
    #[arg(long, value_name = "SECONDS", value_parser = pace)]
    pace: Option<f64>,
    /// Lines instead of a picture, on a terminal too
    #[arg(long)]
    plain: bool,
}

fn pace(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=PACE_MAX).contains(seconds))
        .ok_or_else(|| format!("give a number of seconds from 0 to {PACE_MAX}"))
}

pub(super) fn demo(args: &DemoArgs) -> Outcome {
    let mut out = io::stdout().lock();
    let look = if out.is_terminal() && output::takes_escapes() && !args.plain {
        let colours = output::wants_colours();
        Look::Live { colours }
    } else {
        Look::Plain
    };
    let default = match look {
        Look::Live { .. } => PACE_LIVE,
        Look::Plain => 0.0,
    };
    let options = demo::Options {
        pace: Duration::from_secs_f64(args.pace.unwrap_or(default)),
        look,
    };
    match demo::run(&options, &mut out) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // As an error of the output itself, so that a closed pipe is recognised.
        Err(demo::DemoError::Output(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}
