//! Fuzz target `peer`: see tests/properties/director.rs.
#![no_main]

#[allow(dead_code, reason = "each target uses one of the bodies")]
#[path = "../../tests/properties/director.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::peer(bytes));
