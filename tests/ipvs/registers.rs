//! How does user-mode-linux start on a processor that has more registers than it knows?

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library that is to be loaded before it, made of `registers.c`. None where there is no C
/// compiler: on most processors it starts without.
pub(super) fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_deref()
}

fn compile() -> Option<PathBuf> {
    let source = crate::support::root().join("tests/ipvs/registers.c");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab");
    // Another run of the tests may be loading the same.
    let library = folder.join(format!("registers-{}.so", std::process::id()));
    let arguments = ["-O2", "-shared", "-fPIC", "-o"].map(OsStr::new);
    let status = Command::new("cc")
        .args(arguments)
        .args([&library, &source])
        .status();
    status.is_ok_and(|it| it.success()).then_some(library)
}
