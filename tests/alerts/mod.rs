//! Tests: alerts.
