//! `lvsmon metrics`: the daemon in numbers, for Prometheus.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::Output;
use crate::cli::{Outcome, WhereArgs};
use crate::client::Client;
use crate::wire::metrics::text;

/// Print what the daemon knows in numbers, in the text format of Prometheus
#[derive(Debug, Args)]
#[command(after_help = "\
For the textfile collector of node_exporter write into a file beside and rename it, so that no half \
file is read:
  lvsmon metrics >lvsmon.prom.new && mv lvsmon.prom.new lvsmon.prom
With `metricsport = PORT` in the configuration the daemon serves the same at \
http://127.0.0.1:PORT/metrics.
Exit status: 0 done; 1 no daemon answers; 2 wrong usage.")]
pub(super) struct MetricsArgs {
    #[command(flatten)]
    place: WhereArgs,
}

pub(super) fn metrics(args: &MetricsArgs, out: &mut Output) -> Outcome {
    let statedir = args.place.statedir()?;
    let answer = Client::connect_also_observer(&statedir)?.metrics()?;
    out.bytes(text(&answer).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
