//! Tests: alerts.

mod lvs;
