//! Which file this program is, for `LVSMON` in the environment of children (D29).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The path of this program; none where the system does not say.
///
/// Read at the first call, so make that early: after an upgrade the file of that name is the
/// new program, which is what the next child wants, while the system would speak of the old,
/// deleted one (proc(5), `/proc/PID/exe`).
pub fn own_path() -> Option<&'static Path> {
    static OWN: OnceLock<Option<PathBuf>> = OnceLock::new();
    OWN.get_or_init(|| std::env::current_exe().ok()).as_deref()
}
