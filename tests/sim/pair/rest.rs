//! When has nothing happened for so long that all is found and told?

use std::time::Duration;

use lvsmon::time::Mono;

use super::World;

/// Longer than an interval, what `alertafter` waits for, and the time that a takeover needs.
const REST: Duration = Duration::from_secs(45);

impl World {
    /// Whether both directors hear each other and know their roles, and nothing has happened for a
    /// while: neither that nor what changed then.
    pub(super) fn is_at_rest(&self, changed: Mono) -> bool {
        let deaf = self.deaf.last().and_then(|it| it.to);
        let turned = self.turns.last().map(|it| it.at);
        let since = [Some(changed), deaf, turned];
        let since = since.into_iter().flatten().max().unwrap_or(changed);
        self.time.since(since) >= REST && self.is_linked && self.is_settled()
    }
}
