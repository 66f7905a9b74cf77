//! What is a person told who enables a real server?
//!
//! What operators wished of it and withdrawals that nothing else ends: the engine ends and says
//! that. Here ends, too, that it is left as it is on purpose, since somebody else changes it again
//! and again; and what keeps it from its clients all the same is said.

use crate::daemon::Daemon;
use crate::engine::event::{Aim, Contested, Event, Wish};
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::wire::Answer;
use crate::wire::refusal::{Refusal, RefusalReason};
use crate::wire::server::still_out;

impl Daemon {
    /// Carries it out, and says what came of it.
    pub(super) fn enable(&mut self, aim: Aim) -> Answer {
        let resting = self.resting(&aim);
        self.applier.end_rests(resting.iter().copied());
        let lines = resting.iter().map(|(key, server)| {
            format!(
                "{server} in {key}: somebody else changes it again and again; it is put right now"
            )
        });
        let mut lines: Vec<String> = lines.collect();
        let told = self.tell(Event::Operator(Wish::EnableServer(aim.clone())));
        let still_out = still_out(&self.engine, &aim);
        match told {
            Some(Ok(text)) => lines.insert(0, text),
            Some(Err(why)) if lines.is_empty() => {
                let why = [vec![why], still_out].concat().join("; ");
                return Answer::Error(Refusal::new(RefusalReason::Denied, why));
            }
            Some(Err(_)) | None => {}
        }
        lines.extend(still_out);
        Answer::Done(lines.join("\n"))
    }

    /// The real servers that a person means and that are not as wanted, on purpose.
    fn resting(&self, aim: &Aim) -> Vec<(VirtualServiceKey, RealServerKey)> {
        let rests = self.table.contested.iter();
        let rests: Vec<&Contested> = rests.filter(|it| it.rests_until.is_some()).collect();
        if rests.is_empty() {
            return Vec::new();
        }
        let views = self.engine.real_servers_called(aim).unwrap_or_default();
        let servers = views.iter().filter_map(|view| {
            let (key, server) = (view.virtual_service, view.server?);
            let mut rests = rests.iter().filter(|it| it.virtual_service() == key);
            let is_here = rests.any(|it| it.real_server().is_none_or(|it| it == server));
            is_here.then_some((key, server))
        });
        servers.collect()
    }
}
