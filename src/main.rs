//! The program: hands the command line to the library and sets the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    lvsmon::cli::main(std::env::args_os())
}
