//! The program: finds out which subcommand is meant, runs it, prints the error, sets the exit code.

fn main() {}
