//! Which clients wait for a reload, what becomes of the states in it, and what are they told?

use nix::unistd::gethostname;
use tokio::sync::oneshot;

use crate::engine::event::Memory;
use crate::protocol;

/// A `reset` that waits until the file was read.
#[derive(Debug)]
pub(super) struct Reset {
    pub(super) memory: Memory,
    pub(super) reply: oneshot::Sender<String>,
}

/// What becomes of the states in the reload that these clients wait for: a reset that forgets
/// wins over a SIGHUP (D32).
pub(super) fn memory_of(resets: &[Reset]) -> Memory {
    let forgets = |reset: &Reset| reset.memory == Memory::Forgotten;
    if resets.iter().any(forgets) {
        Memory::Forgotten
    } else {
        Memory::Kept
    }
}

/// Answers them.
pub(super) fn answer(resets: Vec<Reset>, is_done: bool) {
    if resets.is_empty() {
        return;
    }
    let host = gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    let text = protocol::reset_reply(std::process::id(), &host, is_done);
    for reset in resets {
        let _ = reset.reply.send(text.clone());
    }
}
