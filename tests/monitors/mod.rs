//! Tests: monitors.
