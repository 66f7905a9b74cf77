//! When nothing has happened for a while both tables are the same, and so is what operators wish.

use std::time::Duration;

use lvsmon::engine::desired::{RealServerView, ServerRole};
use lvsmon::lvs::diff::diff;

use super::World;
use super::wishes::min_live_holds;

/// Whether a real server has failed and is not kept.
const fn is_out(role: Option<ServerRole>) -> bool {
    matches!(
        role,
        Some(ServerRole::Out | ServerRole::Quiesced | ServerRole::Draining { .. })
    )
}

impl World {
    /// Both have seen the same for a while: their tables are the same.
    pub(super) fn compare(&mut self) {
        let is_quiet = self.time.since(self.quiet_since) > Duration::from_secs(40);
        if !is_quiet || !self.is_settled() || !self.both_know() || !self.sees_the_same() {
            return;
        }
        self.compared += 1;
        let levels = self.directors.each_ref().map(|it| it.engine.wish_level());
        assert_eq!(levels[0], levels[1], "what operators wish");
        for director in &self.directors {
            min_live_holds(&director.engine);
        }
        let tables = self.directors.each_ref().map(|it| {
            let servers = it.engine.real_servers();
            let is_kept = |it: &&RealServerView| it.role == Some(ServerRole::Kept);
            let is_left_out = |of: &RealServerView, it: &RealServerView| {
                it.virtual_service == of.virtual_service && is_out(it.role)
            };
            let mut kept = servers.iter().filter(is_kept);
            self.compared_kept += u64::from(kept.clone().next().is_some());
            let is_chosen =
                |it: &RealServerView| servers.iter().any(|other| is_left_out(it, other));
            self.compared_chosen += u64::from(kept.any(is_chosen));
            // What the file has no more is forgotten once the kernel was seen without it.
            let servers = servers.iter().filter(|it| !it.hosts.is_empty());
            let wishes = servers.map(|it| (it.server, it.wish));
            wishes.collect::<Vec<_>>()
        });
        assert_eq!(tables[0], tables[1]);
        if self.directors.iter().all(|it| !it.is_refused) {
            assert_eq!(self.directors[0].kernel, self.directors[1].kernel);
        }
        for director in self.directors.iter().filter(|it| !it.is_refused) {
            assert_eq!(diff(director.engine.desired(), &director.kernel), []);
        }
    }
}
