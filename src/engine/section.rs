//! Declared virtual services: what a `virtual` section makes of verdicts, and when.
//!
//! | Question | File |
//! |---|---|
//! | how many checks in a row make a verdict | `count` |
//! | which withdrawn servers stay, when does the fallback take over | `live` |
//! | which weight do its checks give a host, and does the latest | `giving` |
//! | which weight has a server that is in | `weight` |
//! | which weight has one of which its checks say none now | `unsaid` |
//! | what is wanted of a section, and when does that change by itself | `wanted` |
//! | what is remembered of a section's servers between two decisions | `memory` |
//! | which withdrawals came last, as both directors of a pair count it | `turn` |
//! | does the kernel's table serve its clients so | `in_table` |
//! | in which virtual services do two looks at the table differ | `differing` |
//! | for which real servers does a host word stand | `words` |
//!
//! All but `count`, `memory` and `turn` are functions of what is known. Not here: claims to real
//! servers and the journal of what is owned ([`crate::engine::binding`]).

pub(crate) mod count;
mod differing;
pub(crate) mod giving;
pub(crate) mod in_table;
pub(crate) mod live;
pub(crate) mod memory;
mod shared_weight;
pub(crate) mod turn;
mod unsaid;
pub(crate) mod wanted;
pub(crate) mod weight;
pub(crate) mod words;
