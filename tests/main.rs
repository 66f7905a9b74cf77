//! The one integration test binary; a module for each subject.

mod alerts;
mod config;
mod daemon;
mod demo;
mod ipvs;
mod monitors;
mod sim;
mod tidy;
mod timeline;
