//! The pair: what this director is to the other one, and what follows from it.
//!
//! Pure. The shell reads the FIFO, looks for addresses and takes persons' words; what these come
//! to is said here, as levels: every role can be told again from what is known now.
//!
//! | Question | File |
//! |---|---|
//! | what does a VRRP daemon write into its FIFO | `fifo` |
//! | which role follows from what is known | `role` |
//! | how is on the disk what was said of it | `role::kept` |
//! | which role is acted upon, and since when | `keeper` |
//! | what is told, held, forgotten and taken over | `post` |
//! | does a director tell people | `speaking` |
//! | where does an alert go that is called now | `way` |
//! | may messages leave at this moment | `lease` |
//! | has the other director heard of a number before people do | `answers` |
//! | did this director stand still, and what is it to hear before messages leave again | `pulse` |
//! | how is on the disk what was told | `ledger` |
//! | which outages have another number by now | `renamed` |
//! | is the other director linked | `link` |
//! | do the roles of the two directors go together | `accord` |
//! | what does the file say of the pair | `settings` |
//! | which synchronisation daemons run in which role | `sync` |
//! | what do the directors tell each other, and who is believed | [`talk`] |

mod accord;
pub mod answers;
pub mod fifo;
mod keeper;
pub mod lease;
pub mod ledger;
mod link;
pub mod post;
mod pulse;
mod renamed;
pub mod role;
mod settings;
mod speaking;
mod sync;
pub mod talk;
pub mod turn;
mod way;

pub use accord::{Accord, Discord, Saying};
pub use answers::Answers;
pub use fifo::{Announcement, InstanceName, State};
pub use keeper::{Change, Coming, Reception, RoleKeeper};
pub use lease::Lease;
pub use link::LinkState;
pub use post::{Hearing, Letter, Post};
pub use pulse::{Absence, Beat, Contact, Pulse};
pub use role::{Facts, Found, Role, RoleStanding, SaidRole, Sight, VipStanding};
pub use settings::{PairSettings, Speak, Vip};
pub use speaking::Speaking;
pub use sync::SyncSettings;
pub use way::Way;
