//! What of our environment is for this process alone?

/// What systemd tells the daemon in its environment, and nobody else (sd_notify(3),
/// sd_watchdog_enabled(3), sd_listen_fds(3)): a child that took it for its own would report itself
/// ready or alive in the daemon's place, or take its own files for sockets.
pub(crate) const FOR_THE_DAEMON: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
];
