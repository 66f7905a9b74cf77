//! Fuzz target `delivered`: see tests/properties/outbox.rs.
#![no_main]

#[allow(dead_code, reason = "each target uses one of the bodies")]
#[path = "../../tests/properties/outbox.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::delivered(bytes));
