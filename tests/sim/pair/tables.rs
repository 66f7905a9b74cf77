//! When nothing has happened for a while both tables are the same, and so is what operators wish.

use std::time::Duration;

use lvsmon::engine::desired::ServerRole;
use lvsmon::lvs::ServerWish;
use lvsmon::lvs::diff::diff;

use super::World;
use super::wishes::min_live_holds;

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
            let is_kept = servers.iter().any(|it| it.role == Some(ServerRole::Kept));
            // Who is kept depends on who was seen to fail last, which a restart may not know.
            let wishes = servers
                .iter()
                .filter(|it| !is_kept || it.wish != ServerWish::Out)
                // What the file has no more is forgotten once the kernel was seen without it.
                .filter(|it| !it.hosts.is_empty());
            // Nor what an operator's weight makes of it.
            let wishes = wishes.map(|it| (!is_kept).then_some((it.server, it.wish)));
            wishes.collect::<Vec<_>>()
        });
        assert_eq!(tables[0], tables[1]);
        let is_kept = tables.iter().flatten().any(Option::is_none);
        if !is_kept && self.directors.iter().all(|it| !it.is_refused) {
            assert_eq!(self.directors[0].kernel, self.directors[1].kernel);
        }
        for director in self.directors.iter().filter(|it| !it.is_refused) {
            assert_eq!(diff(director.engine.desired(), &director.kernel), []);
        }
    }
}
