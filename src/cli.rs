//! The command line: one struct for each subcommand.
