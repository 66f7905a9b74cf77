//! What do persons and programs learn of a command line that cannot be meant?
//!
//! Nothing was done then. Persons read it on standard error, programs that asked for JSON on
//! standard output too, and the exit code is that of wrong usage. What failed although it was said
//! well is no misuse.

use std::process::ExitCode;

use crate::cli::exit_code_of;
use crate::cli::output::{Form, complain, fail};

/// Exit code of a wrong command line.
const USAGE: u8 = 2;

/// Says what is wrong with the words of a command.
pub(super) fn misused(command: &str, form: Form, why: &str) -> ExitCode {
    complain(&format!("lvsmon {command}: {why}"));
    fail(form, why);
    ExitCode::from(USAGE)
}

/// Says why a command line is not understood, or to persons the help that they asked for. Nobody
/// is left to be told when this cannot be printed.
pub(super) fn refuse(form: Form, error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        let text = error.to_string();
        // Behind a line without words stand the usage and where there is help.
        let why = text.lines().take_while(|line| !line.trim().is_empty());
        let why = why.map(str::trim).collect::<Vec<&str>>().join(" ");
        fail(form, why.strip_prefix("error: ").unwrap_or(&why));
    }
    exit_code_of(error.exit_code())
}
