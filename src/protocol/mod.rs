//! mon's client protocol and its traps: who may say what, and what a packet says.
//!
//! Pure: text and bytes in, values out. Sockets, files and users of the system are the daemon's.
//!
//! | Question | File |
//! |---|---|
//! | may this user say this, may this host send that | `auth` |
//! | is this the password of that hash | `crypt` |
//! | is a trap let in, and at what cost | `guard` |
//! | what does a trap say | `trap` |

pub mod auth;
pub mod crypt;
pub mod guard;
pub mod trap;
