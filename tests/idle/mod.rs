//! What an idle daemon may cost, in memory and in processor time.

mod measure;

use std::time::Duration;

use crate::support::{self, TempDir};
use measure::{Figures, Lines, measure};

/// Half of the 5,400 that mon needs. Some 2,200 to 2,500 are seen, the same where other tests keep
/// the machine busy and the first checks come in heaps; the figures are in `benches/idle.rs`.
const BYTES_PER_SERVICE_MAX: u64 = 2_700;
/// Processor time in a window of ten seconds in which nothing is due: none is seen, but on a busy
/// machine time that others take is counted too. A tick a second over 10,000 services of a debug
/// build would take more. The figures are in `benches/idle.rs`.
const IDLE_CPU_MAX: Duration = Duration::from_millis(200);
/// Nothing is due. Each ten seconds the claim on the state folder is looked at, each minute the
/// journal, by a thread of its own; a tick a second would be more.
const WAKEUPS_MAX: u64 = 8;
/// D14 allows 1 % for the looks, which a busy machine may show several times; reading the whole
/// file each time took 700.
const LOOKING_CPU_MAX: Duration = Duration::from_millis(400);
/// One look a second, which wakes one thread or two.
const LOOKING_WAKEUPS_MAX: u64 = 40;
const WINDOW: Duration = Duration::from_secs(10);

fn figures(count: usize, lines: Lines) -> Figures {
    let folder = TempDir::new();
    measure(support::lvsmon_path(), folder.path(), count, lines, WINDOW)
}

#[test]
fn ten_thousand_idle_services_cost_little_memory_and_no_processor_time() {
    let few = figures(100, Lines::Mail);
    let many = figures(10_000, Lines::Mail);
    let each = many.memory.own_kb.saturating_sub(few.memory.own_kb) * 1024 / 9_900;
    assert!(
        each < BYTES_PER_SERVICE_MAX,
        "{each} bytes for each service, first check after {:?}: {few:?} {many:?}",
        many.first_check
    );
    assert!(
        many.cpu <= IDLE_CPU_MAX && many.wakeups <= WAKEUPS_MAX,
        "{:?} and {} wake-ups in {WINDOW:?} while idle",
        many.cpu,
        many.wakeups
    );
}

/// Looking at a table in which nothing changes; the daemon knows no other reason to wake up.
#[test]
fn looking_at_ten_thousand_real_servers_takes_next_to_no_processor_time() {
    let many = figures(10_000, Lines::MailAndTable);
    assert!(
        many.cpu <= LOOKING_CPU_MAX && many.wakeups <= LOOKING_WAKEUPS_MAX,
        "{:?} and {} wake-ups in {WINDOW:?} while only the table is looked at",
        many.cpu,
        many.wakeups
    );
}
