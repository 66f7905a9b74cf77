//! How mon.cf is read: samples with their messages, files on a disk, and what no input may do.

mod check;
mod howto;
mod language;
mod nothing_lost;
mod samples;
mod site;
mod unreadable;
