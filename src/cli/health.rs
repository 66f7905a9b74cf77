//! `lvsmon health`: an exit status for a VRRP daemon's `track_script`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::output::{Output, Tone};
use crate::cli::{self, CONFIG, Outcome, refused};
use crate::client::{Client, ClientError};
use crate::daemon::store;
use crate::text::counted;
use crate::time::timeval;
use crate::wire::Source;
use crate::wire::reload::RefusedReload;
use crate::wire::role::HealthAnswer;

/// Say whether the daemon works: for track_script of keepalived, and for persons
#[derive(Debug, Args)]
#[command(after_help = "\
It fails where no daemon runs, where its loop does not answer in time, where a check goes on beyond \
its time limit, and where a call about the virtual server table hangs. Servers that are down are no \
reason to fail: the other director would find them down too.
Exit status: 0 the daemon works; 1 it does not; 2 wrong usage.")]
pub(super) struct HealthArgs {
    /// The configuration; it names the state folder of the running daemon. Mistakes in it do not
    /// matter here
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// The state folder itself; then the configuration is not read
    #[arg(long, value_name = "DIR")]
    statedir: Option<PathBuf>,
    /// How long the daemon may take to answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = limit)]
    limit: Duration,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Longest limit: whoever waits longer has given up.
const LIMIT_MAX: Duration = Duration::from_secs(60);

fn limit(text: &str) -> Result<Duration, String> {
    let limit = timeval(text).map_err(|error| error.to_string())?;
    if limit.is_zero() || limit > LIMIT_MAX {
        return Err(format!(
            "write a time up to {} s, such as 2s",
            LIMIT_MAX.as_secs()
        ));
    }
    Ok(limit)
}

pub(super) fn health(args: &HealthArgs, out: &mut Output) -> Outcome {
    let (answer, refused) = ask(args).unwrap_or_else(|why| {
        let answer = HealthAnswer {
            stuck: vec![why],
            ..HealthAnswer::default()
        };
        (answer, None)
    });
    let refused = refused.as_ref();
    let is_well = answer.stuck.is_empty();
    if args.json {
        out.line(&refused::json(&answer, refused)?)?;
    } else if is_well {
        out.line(&works(&answer))?;
        warnings(&answer, out)?;
        refused::line(refused, out)?;
    } else {
        for why in &answer.stuck {
            out.line(why)?;
        }
        warnings(&answer, out)?;
        refused::line(refused, out)?;
    }
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is to be mended and no reason to fail.
fn warnings(answer: &HealthAnswer, out: &mut Output) -> io::Result<()> {
    for warning in &answer.warnings {
        out.line(&out.paint(Tone::Odd, &format!("warning: {warning}")))?;
    }
    Ok(())
}

/// What works.
fn works(answer: &HealthAnswer) -> String {
    let (services, checks) = (answer.services, answer.checks);
    let (services, checks) = (counted(services, "service"), counted(checks, "check"));
    let who = match answer.source {
        Some(Source::Observer) => {
            "the observer works, and is no director (it changes nothing in the table and tells \
             nobody)"
        }
        Some(Source::Daemon | Source::File) | None => "the daemon works",
    };
    format!("{who}: {services}, {checks} going on")
}

type Asked = (HealthAnswer, Option<RefusedReload>);

fn ask(args: &HealthArgs) -> Result<Asked, String> {
    let statedir = match &args.statedir {
        Some(statedir) => statedir.clone(),
        None => cli::statedir(&args.config)?,
    };
    let answer = Client::connect_within(&statedir, args.limit).and_then(|mut daemon| {
        let answer = daemon.health()?;
        Ok((answer, daemon.refused_reload().cloned()))
    });
    let why = match answer {
        Ok(answer) => return Ok(answer),
        Err(ClientError::Slow { path, request: _ }) => format!(
            "the daemon at {} has not answered within {} s: its loop is stuck",
            path.display(),
            args.limit.as_secs_f64()
        ),
        Err(ClientError::Deaf { path }) => format!(
            "the daemon at {} has taken no connection within {} s: it is stopped, or its loop is stuck",
            path.display(),
            args.limit.as_secs_f64()
        ),
        Err(
            error @ (ClientError::NoDaemon(_)
            | ClientError::OnlyObserver { .. }
            | ClientError::NoSocket { .. }
            | ClientError::NotASocket { .. }
            | ClientError::Forbidden(_)
            | ClientError::Broken { .. }
            | ClientError::Refused(_)),
        ) => error.to_string(),
    };
    let answer = HealthAnswer {
        stuck: vec![why],
        pid: store::holder_of(&statedir),
        ..HealthAnswer::default()
    };
    Ok((answer, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_observes_is_said_to_do_so() {
        let line = |source| {
            works(&HealthAnswer {
                source,
                services: 2,
                checks: 1,
                ..HealthAnswer::default()
            })
        };
        let director = "the daemon works: 2 services, 1 check going on";
        assert_eq!(line(None), director);
        assert_eq!(line(Some(Source::Daemon)), director);
        assert_eq!(
            line(Some(Source::Observer)),
            "the observer works, and is no director (it changes nothing in the table and tells \
             nobody): 2 services, 1 check going on"
        );
    }

    #[test]
    fn a_limit_is_a_time_that_somebody_waits_for() {
        assert_eq!(limit("0.5s"), Ok(Duration::from_millis(500)));
        for wrong in ["0s", "2m", "x", ""] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
