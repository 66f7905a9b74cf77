//! Tests: ipvs.
