//! A place of the table that somebody else writes too.

use std::collections::BTreeSet;

use crate::lvs::{Command, Desired, RealServerKey, VirtualServiceKey};
use crate::time::Mono;

/// A place of the table that somebody else changes again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contested {
    /// What puts it right.
    pub repair: Command,
    /// Until when it is left as it is, on purpose; none while it is as it should be.
    pub rests_until: Option<Mono>,
}

impl Contested {
    /// The virtual service.
    #[must_use]
    pub const fn virtual_service(&self) -> VirtualServiceKey {
        self.repair.service()
    }

    /// The real server in it; none where it is the virtual service itself.
    #[must_use]
    pub const fn real_server(&self) -> Option<RealServerKey> {
        match &self.repair {
            Command::AddService(..) | Command::EditService(..) | Command::DeleteService(_) => None,
            Command::AddServer(_, server, _)
            | Command::EditServer(_, server, _)
            | Command::DeleteServer(_, server) => Some(*server),
        }
    }

    /// What the other writer does there: the end of a sentence that begins with "somebody else".
    #[must_use]
    pub fn what(&self, wanted: &Desired) -> String {
        match &self.repair {
            Command::AddService(key, _) => format!("deletes {key}"),
            Command::EditService(key, _) => format!("changes the settings of {key}"),
            Command::DeleteService(key) => format!("makes {key}"),
            Command::AddServer(key, server, _) => format!("takes {server} out of {key}"),
            Command::EditServer(key, server, _) => {
                format!("changes the settings of {server} in {key}")
            }
            Command::DeleteServer(key, server) => {
                let entry = wanted.get(key);
                let is_known = entry.is_some_and(|entry| entry.servers.contains_key(server));
                let foreign = if is_known { "" } else { " (not in the file)" };
                format!("puts {server}{foreign} into {key}")
            }
        }
    }

    /// Those of which something is to be said: not the real servers that are away since their
    /// whole virtual service is.
    pub fn to_be_said(all: &[Self]) -> impl Iterator<Item = &Self> {
        let deleted = all.iter().filter_map(|it| match &it.repair {
            Command::AddService(key, _) => Some(*key),
            Command::EditService(..)
            | Command::DeleteService(_)
            | Command::AddServer(..)
            | Command::EditServer(..)
            | Command::DeleteServer(..) => None,
        });
        let deleted: BTreeSet<VirtualServiceKey> = deleted.collect();
        all.iter().filter(move |it| {
            let is_addition = matches!(it.repair, Command::AddServer(..));
            !is_addition || !deleted.contains(&it.virtual_service())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        DesiredService, Family, Forwarding, RealServer, Scheduler, ServerWish, ServiceWish,
        Strangers, VirtualService, Weight,
    };

    #[test]
    fn what_the_other_writer_does_is_said_in_words() {
        let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let server = |last: u8| RealServerKey(format!("192.168.0.{last}:80").parse().unwrap());
        let plain = VirtualService::plain(Family::V4, Scheduler::wlc());
        let to = RealServer::new(Forwarding::Dr, Weight(5));
        let wanted = Desired::from([(
            key,
            DesiredService {
                service: ServiceWish::Owned(plain.clone()),
                servers: [(server(1), ServerWish::Out)].into(),
                strangers: Strangers::Removed,
            },
        )]);
        let cases = [
            (
                Command::AddService(key, plain.clone()),
                "deletes 10.0.0.3:80/tcp",
            ),
            (
                Command::EditService(key, plain),
                "changes the settings of 10.0.0.3:80/tcp",
            ),
            (Command::DeleteService(key), "makes 10.0.0.3:80/tcp"),
            (
                Command::AddServer(key, server(1), to),
                "takes 192.168.0.1:80 out of 10.0.0.3:80/tcp",
            ),
            (
                Command::EditServer(key, server(1), to),
                "changes the settings of 192.168.0.1:80 in 10.0.0.3:80/tcp",
            ),
            (
                Command::DeleteServer(key, server(1)),
                "puts 192.168.0.1:80 into 10.0.0.3:80/tcp",
            ),
            (
                Command::DeleteServer(key, server(9)),
                "puts 192.168.0.9:80 (not in the file) into 10.0.0.3:80/tcp",
            ),
        ];
        let all: Vec<Contested> = cases
            .iter()
            .map(|(repair, _)| Contested {
                repair: repair.clone(),
                rests_until: None,
            })
            .collect();
        for (contested, (_, expected)) in all.iter().zip(&cases) {
            assert_eq!(contested.what(&wanted), *expected);
        }
        // A real server that is away with its service is not named beside it.
        let said: Vec<&Contested> = Contested::to_be_said(&all).collect();
        let but_one = [&all[..3], &all[4..]].concat();
        assert!(said.into_iter().eq(&but_one));
        assert_eq!(Contested::to_be_said(&all[1..]).count(), all.len() - 1);
    }
}
