//! How the command line reaches a running daemon.
