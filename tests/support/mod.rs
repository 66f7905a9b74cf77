//! What every integration test may need: the program, a folder of its own, a wait with a limit,
//! a free port, and a way to say "skipped" that the test command can count.
//!
//! Nothing here knows a subject of the product; helpers for one subject stay in its folder.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The environment variable with the path of the file that collects skipped tests.
const SKIPPED_FILE: &str = "LVSMON_SKIPPED";

/// The environment variable that turns a skip into a failure (for machines that have everything).
const NO_SKIP: &str = "LVSMON_NO_SKIP";

/// How long [`wait_until`] rests between two looks: short against every limit in the tests.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Says that `test` cannot run here because `needs` is absent; the caller returns right after.
///
/// The line `skipped: needs NEEDS (TEST)` goes to standard error past the test harness's capture,
/// and into the file named by `LVSMON_SKIPPED`, from which `tests/run` counts.
///
/// # Panics
/// When `LVSMON_NO_SKIP` is set.
pub(crate) fn skip(test: &str, needs: impl Display) {
    let line = format!("skipped: needs {needs} ({test})\n");
    assert!(std::env::var_os(NO_SKIP).is_none(), "{line}");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(SKIPPED_FILE) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("the file named by LVSMON_SKIPPED can be written");
        // One write call, so that lines of parallel tests do not mix.
        file.write_all(line.as_bytes())
            .expect("the file named by LVSMON_SKIPPED can be written");
    }
}

/// True when `program` is found in PATH or in the folders for administrators.
pub(crate) fn have(program: &str) -> bool {
    find_program(program).is_some()
}

/// The full path of `program`, from PATH, `/usr/sbin` or `/sbin`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// True when the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Waits until `condition` holds, looking every 10 ms.
///
/// # Panics
/// When it does not hold within `limit`; the message names `what`.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Waits until `value` gives `Some`, looking every 10 ms, and returns it.
///
/// # Panics
/// When it gives nothing within `limit`; the message names `what`.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests wait for real time, with a condition and a limit"
)]
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut value: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for: {what}"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The program under test.
pub(crate) fn lvsmon_path() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lvsmon"))
}

/// A command that runs the program under test with `args`, without the caller's `MON_*`,
/// `LVSMON*`, proxy and locale settings.
pub(crate) fn lvsmon<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(lvsmon_path());
    command.args(args).env("LC_ALL", "C").env("TZ", "UTC");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let lower = text.to_lowercase();
        if text.starts_with("MON_") || text.starts_with("LVSMON") || lower.ends_with("_proxy") {
            command.env_remove(&name);
        }
    }
    command
}

/// The repository's root, for shipped files such as `etc/` and `mon.d/`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of one test, removed with all its content when dropped.
#[derive(Debug)]
pub(crate) struct TempDir(tempfile::TempDir);

impl TempDir {
    /// Makes an empty folder, mode 0700.
    pub(crate) fn new() -> TempDir {
        TempDir(
            tempfile::Builder::new()
                .prefix("lvsmon-test-")
                .tempdir()
                .expect("a folder for temporary files"),
        )
    }

    /// A folder in that folder.
    pub(crate) fn new_in(folder: &Path) -> TempDir {
        TempDir(
            tempfile::Builder::new()
                .prefix("lvsmon-test-")
                .tempdir_in(folder)
                .expect("a folder for temporary files"),
        )
    }

    /// The folder's path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of `name` in the folder, whether it exists or not.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes the file `name` (folders on the way are made) and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).expect("a folder in the test's folder");
        }
        std::fs::write(&path, text).expect("a file in the test's folder");
        path
    }

    /// Writes the executable `name` (mode 0755) and returns its path.
    pub(crate) fn write_executable(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("the mode of a file in the test's folder");
        path
    }

    /// The content of the file `name`, empty when it does not exist (yet).
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read(self.join(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

/// A TCP port of 127.0.0.1 on which nobody listens at this moment.
///
/// For ports to be refused, and for programs that cannot be told port 0. Prefer port 0.
pub(crate) fn free_port() -> u16 {
    free_port_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Ports that are handed out: below those that the kernel gives to port 0 and to outgoing
/// connections (net.ipv4.ip_local_port_range, 32768 and up), so that none can be taken between
/// the moment it is named here and the moment a server listens on it.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A TCP port of `address` on which nobody listens, and which no other test is given.
pub(crate) fn free_port_at(address: IpAddr) -> u16 {
    next_port(|port| TcpListener::bind(SocketAddr::new(address, port)).is_ok())
}

/// A UDP port of 127.0.0.1 on which nobody listens, and which no other test is given.
pub(crate) fn free_udp_port() -> u16 {
    next_port(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

fn next_port(is_free: impl Fn(u16) -> bool) -> u16 {
    static HANDED_OUT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Test runs at the same time, whose process numbers are near, begin far from each other.
    let spread = std::process::id().wrapping_mul(977) % u32::from(count);
    let start = u16::try_from(spread).expect("below the count");
    (0..count)
        .map(|_| HANDED_OUT.fetch_add(1, Ordering::Relaxed) % count)
        .map(|step| {
            PORTS.start
                + u16::try_from((u32::from(start) + u32::from(step)) % u32::from(count))
                    .expect("below the count")
        })
        .find(|&port| is_free(port))
        .expect("a free port")
}

/// A child process that is killed and reaped when the test ends, also by a failed assertion.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts `command`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Running {
        match command.spawn() {
            Ok(child) => Running(child),
            Err(error) => panic!("cannot start {command:?}: {error}"),
        }
    }

    /// Whether the process has not ended yet.
    #[track_caller]
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().expect("the child's status").is_none()
    }

    /// Sends `signal` to the process.
    #[track_caller]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        nix::sys::signal::kill(pid, signal).expect("the process takes the signal");
    }

    /// Waits for the end and returns the exit status.
    ///
    /// # Panics
    /// When the process has not ended within `limit`.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> std::process::ExitStatus {
        wait_for("the end of a child process", limit, || {
            self.0.try_wait().expect("the child's status")
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
