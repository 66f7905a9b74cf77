//! lvsmon: health monitoring for Linux Virtual Server directors.
//!
//! A pure engine inside a thin shell. The library exists for the program's own tests and
//! benches; nobody else uses it.
//!
//! | Question | Module |
//! |---|---|
//! | how is text kept short, and on one line | [`text`] |
//! | what is a text in short, the same on every machine | [`digest`] |
//! | how much work meets, where a test asks | `effort` |
//! | which moment, which span | [`time`] |
//! | what is a virtual service, a real server, a table; how do two tables differ | [`lvs`] |
//! | which addresses of a name is a check to go to | [`lead`] |
//! | when does a period hold | [`period`] |
//! | when does a dependency hold | [`depend`] |
//! | what can a built-in monitor or alert be told | [`options`] |
//! | what is this director to the other one of its pair | [`pair`] |
//! | what does the configuration mean | [`model`] |
//! | how is mon.cf read | [`config`] |
//! | what is decided | [`engine`] |
//! | what is said over mon's ports, and who may say it | [`protocol`] |
//! | what is said over the control socket | [`wire`] |
//! | how are the files of ldirectord and keepalived said in mon.cf | [`import`] |
//! | what was logged meanwhile, where a test asks | `logged` |
//! | how is a file opened whose name a person wrote | `regular_file` |
//! | is it a FIFO that nobody else may write to | `fifo_file` |
//! | which folder survives a crash | `folder` |
//! | what of our environment reaches no child | `environment` |
//! | what does mon.cf need from this machine | [`site`] |
//! | what time is it | [`clock`] |
//! | which file is this program | [`program`] |
//! | which addresses has a name | [`names`] |
//! | how is a host checked | [`monitor`] |
//! | how is the kernel's table read and changed | [`ipvs`] |
//! | how is an alert delivered | [`alert`] |
//! | what does a director need of its machine | [`host`] |
//! | how do these run together | [`daemon`] |
//! | how does the command line reach a daemon | [`client`] |
//! | what does it look like without a director | [`demo`] |
//! | what does the command line offer | [`cli`] |
//!
//! The upper half, `text` to `import`, is pure: no tokio, no files, no sockets, no clock, no
//! `HashMap`. Arrows point upwards only: a module imports what stands above it.

pub mod alert;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod depend;
pub mod digest;
mod effort;
pub mod engine;
mod environment;
mod fifo_file;
mod folder;
pub mod host;
pub mod import;
pub mod ipvs;
pub mod lead;
#[cfg(test)]
mod logged;
pub mod lvs;
pub mod model;
pub mod monitor;
pub mod names;
pub mod options;
pub mod pair;
pub mod period;
pub mod program;
pub mod protocol;
mod regular_file;
pub mod site;
pub mod text;
pub mod time;
pub mod wire;
