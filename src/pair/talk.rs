//! What two directors tell each other over `peer ADDRESS`, and whom they believe (D26).
//!
//! Each side tells levels, not edges: at the beginning of a link its whole state, from then on
//! what changed; a link that breaks heals by a new whole state. All of it is pure: lines come in
//! as bytes, time and random numbers as values.
//!
//! | Question | File |
//! |---|---|
//! | is it the peer who speaks, and is it new | [`session`] |
//! | which words are there | [`word`] |
//! | what does the id of an event say | [`event`] |
//! | which messages were delivered, by whichever of the two | [`delivered`] |
//! | which news does which number of an outage's calls tell | [`counted`] |
//! | which real servers are withdrawn, and in which order | [`withdrawn`] |
//! | which wish of a person counts, where both have one | [`wishes`] |
//! | what does the file say of the peer | [`settings`] |
//! | how far is the peer's clock ahead | `skew` |
//! | what is to be said next, and what does the peer's state come to | [`conversation`] |

pub mod conversation;
pub mod counted;
pub mod delivered;
pub mod event;
pub mod session;
pub mod settings;
mod skew;
pub mod wishes;
pub mod withdrawn;
pub mod word;

pub use conversation::{EndedOutages, Heard, Own, PeerState, Talk};
pub use delivered::{Delivered, Delivery};
pub use event::{EventId, EventKind};
pub use session::{End, Greeting, Key, Life, Nonce, PeerRefusal, Session};
pub use settings::PeerSettings;
pub use wishes::{Stamp, StampedWish, Wishes};
pub use word::Word;
pub use word::{EndedOutage, Lasted, NoWord, OpenOutage, Past, Reached, ServiceName, ToldPeriods};
