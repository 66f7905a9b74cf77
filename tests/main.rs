//! The one integration test binary; a module for each subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that meets the unexpected fails, in its helpers too"
)]

mod alerts;
mod author;
mod clients;
mod config;
mod daemon;
mod debian;
mod demo;
mod idle;
mod import;
mod ipvs;
mod monitors;
mod monline;
mod oracle;
mod pair;
mod properties;
mod samples;
mod sim;
#[allow(dead_code, reason = "a helper may be waiting for its first user")]
mod support;
mod tidy;
mod timeline;
mod traps;
