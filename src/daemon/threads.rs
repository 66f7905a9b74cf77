//! How does work that blocks get a thread where the system may refuse one?
//!
//! Files, hashes of passwords, the system's resolver and the like block, so they are done by
//! threads that the runtime begins when they are needed. Where the limit of processes is
//! reached it gets none: then it leaves the work to the threads that it has, and ends the whole
//! daemon where it has none. So it has one from the start, and lets none of them go: under the
//! limit work is done later, one after the other, and everything goes on.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How long a thread without work stays: as good as for ever. As many stay as once worked at
/// the same time, which is a handful; each waits without waking up.
const KEEP: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// A runtime for this thread, with its first thread for work that blocks.
///
/// # Errors
///
/// The system refuses a runtime or that thread.
pub(super) fn runtime() -> io::Result<Runtime> {
    runtime_of("blocking", KEEP)
}

fn runtime_of(name: &str, keep: Duration) -> io::Result<Runtime> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .thread_name(name)
        .thread_keep_alive(keep)
        .build()?;
    // The runtime has no way to say that it was refused: whether one can be had is tried first.
    let trial = std::thread::Builder::new().spawn(|| ())?;
    let _ = trial.join();
    let first = runtime.spawn_blocking(|| ());
    runtime.block_on(first).map_err(io::Error::other)?;
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a thread may take to end on a busy machine.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Threads of this process that have this name.
    fn threads(name: &str) -> usize {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let names = threads.filter_map(|thread| {
            // It may end meanwhile.
            std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()
        });
        names.filter(|found| found.trim_end() == name).count()
    }

    #[test]
    fn a_runtime_has_a_thread_for_work_that_blocks_from_the_start_and_keeps_it() {
        let runtime = runtime_of("kept-thread", KEEP).unwrap();
        assert_eq!(threads("kept-thread"), 1);
        // The default of tokio, which lets a thread go, in short.
        let other = runtime_of("left-thread", Duration::from_millis(1)).unwrap();
        let watch = crate::clock::Stopwatch::start();
        while threads("left-thread") > 0 {
            assert!(watch.elapsed() < LIMIT, "the thread is kept");
            std::thread::yield_now();
        }
        assert_eq!(threads("kept-thread"), 1);
        let works = runtime.block_on(runtime.spawn_blocking(|| 7)).unwrap();
        assert_eq!((works, threads("kept-thread")), (7, 1));
        drop(other);
    }
}
