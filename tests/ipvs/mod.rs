//! The table of a real kernel: the ways to it, and the daemon that keeps it.
//!
//! | Question | File |
//! |---|---|
//! | how is a kernel started, how does a scenario become a test | `lab` |
//! | what stands inside it | `guest` |
//! | what does the kernel itself say of its table | `table` |
//! | do the ways to the table agree with the kernel | `backends` |

mod backends;
mod guest;
mod lab;
mod table;

/// Every lab, so that the first test starts them all at once.
const BOOTS: [&lab::Boot; 1] = [&backends::BOOT];
