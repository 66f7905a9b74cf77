//! `lvsmon trap`: tell a daemon about an event, from a script or by hand.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::alert::trap;
use crate::cli::output::complain;
use crate::cli::{Outcome, runtime};
use crate::options::trap::Receiver;

/// Longest detail that is read, in bytes: a datagram holds less.
const DETAIL_MAX: u64 = 128 * 1024;

/// Send a trap: tell an lvsmon or mon elsewhere how a service is
///
/// The service there alerts as if a monitor of its own had said so. A trap is one datagram
/// without an answer: that it was sent does not mean that it was taken. The receiver's log
/// says why it took none.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct TrapArgs {
    /// The watch that it is for
    #[arg(short, long)]
    group: String,
    /// The service of that watch
    #[arg(short, long)]
    service: String,
    /// The exit value that a monitor would have: 0 is a success, all else a failure
    #[arg(short = 'r', long, value_name = "NUMBER", default_value_t = 1)]
    status: u8,
    /// One line that says what is wrong
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "")]
    summary: String,
    /// More about it; - reads standard input
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    detail: String,
    /// Who sends it, where the receiver wants to know; otherwise MON_TRAP_USER
    #[arg(short = 'U', long)]
    user: Option<String>,
    /// A file that holds the password in one line, readable by its owner only; otherwise
    /// MON_TRAP_PASS
    #[arg(short = 'f', long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The port of receivers that are named without one
    #[arg(short, long, default_value_t = trap::PORT)]
    port: u16,
    /// mon's number of the status (0 fail, 1 ok); receivers only log it
    #[arg(short, long, value_name = "NUMBER")]
    opstatus: Option<u8>,
    /// Who gets it: HOST, HOST:PORT or an address; one packet each
    #[arg(value_name = "RECEIVER", required = true, value_parser = Receiver::parse)]
    receivers: Vec<Receiver>,
}

const HELP: &str = "\
Examples:
  lvsmon trap -g backups -s nightly -r 1 -m 'no backup since Monday' director.example.org
  df -h | lvsmon trap -g web1 -s disk -m 'disk is full' -d - 10.0.0.1 10.0.0.2
  MON_TRAP_PASS=... lvsmon trap -g ups -s battery -r 0 -U joe director.example.org:2583

The receiver has a service of that name, and a line in the trap section of its auth.cf:
  trap section
  10.0.0.7 joe $6$...        (a hash, as `openssl passwd -6` makes it)

Exit status: 0 sent to all, 1 not to all, 2 wrong usage";

pub(super) fn trap(args: &TrapArgs) -> Outcome {
    let mut detail = args.detail.clone().into_bytes();
    if args.detail == "-" {
        detail.clear();
        io::stdin()
            .lock()
            .take(DETAIL_MAX)
            .read_to_end(&mut detail)?;
    }
    let sending = trap::Sending {
        user: args.user.clone(),
        password_file: args.password_file.clone(),
        group: args.group.clone(),
        service: args.service.clone(),
        status: args.status,
        opstatus: args.opstatus,
        summary: args.summary.clone(),
        detail,
    };
    if let Some(cut) = runtime()?.block_on(sending.send(&args.receivers, args.port))? {
        // The event counts more than its words.
        complain(&format!(
            "lvsmon trap: a trap is one packet: {cut} were sent"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
