//! The daemon: one loop that owns the engine and performs what it says.
