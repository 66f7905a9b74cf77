//! What an author of monitors and alerts has: `lvsmon try`, `lvsmon why`, and the samples.

mod told;
mod trial;
mod why;
