//! Fuzz target `client`: see tests/properties/bodies.rs.
#![no_main]

#[allow(dead_code, reason = "each target uses one of the bodies")]
#[path = "../../tests/properties/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::client(bytes));
