//! mon's client protocol and its traps: who may say what, and what a packet says.
//!
//! Pure: text and bytes in, values out. Sockets, files and users of the system are the daemon's.
//!
//! | Question | File |
//! |---|---|
//! | may this user say this, may this host send that | `auth` |
//! | is this the password of that hash | `crypt` |
//! | what do the alert history and the downtime log look like | `log_file` |
//! | what do mon's state files say | `state_file` |
//! | is a trap let in, and at what cost | `guard` |
//! | what does a trap say | `trap` |

pub mod auth;
pub mod crypt;
pub mod guard;
pub mod log_file;
pub mod state_file;
pub mod trap;
