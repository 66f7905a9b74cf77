//! How an alert is delivered: built-in alerts and executables.
