//! What an idle daemon costs, with 100, 1,000 and 10,000 services.
//!
//!     cargo bench --bench idle
//!
//! Starts the release build with a table in memory and intervals of an hour, waits until every
//! service was checked once, and looks at the process for 30 seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that meets the unexpected ends"
)]

#[path = "../tests/idle/measure.rs"]
mod measure;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use measure::{Figures, Lines, measure};

const WINDOW: Duration = Duration::from_secs(30);

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    for lines in [Lines::Mail, Lines::MailAndTable] {
        writeln!(out, "services with {lines:?} lines:")?;
        let mut least: Option<(usize, Figures)> = None;
        for count in [100, 1_000, 10_000] {
            let folder = tempfile::tempdir()?;
            let program = Path::new(env!("CARGO_BIN_EXE_lvsmon"));
            let figures = measure(program, folder.path(), count, lines, WINDOW);
            let each = least.map_or_else(String::new, |(fewer, first)| {
                let grown = figures.memory.own_kb.saturating_sub(first.memory.own_kb) as f64;
                format!("{:.2} kB each", grown / (count - fewer) as f64)
            });
            writeln!(
                out,
                "{count:>6} services  {}  {each:>13}  {:>4} ms CPU and {:>3} wake-ups in {} s  first check {:>5} ms after the start",
                figures.memory,
                figures.cpu.as_millis(),
                figures.wakeups,
                WINDOW.as_secs(),
                figures.first_check.as_millis(),
            )?;
            least = least.or(Some((count, figures)));
        }
    }
    Ok(())
}
