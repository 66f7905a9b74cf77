//! What did not work, and when is it tried again?
//!
//! A refused command rests, longer with each refusal, and is forgotten as soon as it is not needed
//! any more or another one takes its place. Pure; who writes the table is the daemon's applier.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contest::Place;
use super::place;
use crate::lvs::Command;
use crate::time::Mono;

/// First wait after a refusal; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a refusal: a module that was loaded late is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Something that did not work and is tried again later.
#[derive(Debug)]
pub(super) struct Backoff {
    pub(super) why: String,
    pub(super) due: Mono,
    pub(super) wait: Duration,
}

impl Backoff {
    /// After a refusal at `now`; `old` is that of the refusal before.
    pub(super) fn new(now: Mono, why: String, old: Option<&Self>) -> Self {
        let wait = old.map_or(BACKOFF_MIN, |old| {
            old.wait.saturating_mul(2).min(BACKOFF_MAX)
        });
        Self {
            why,
            due: now.after(wait),
            wait,
        }
    }
}

/// The refused commands, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Rests(BTreeMap<Place, (Command, Backoff)>);

impl Rests {
    /// Forgets what is not among the commands that are needed now.
    pub(super) fn keep_needed(&mut self, commands: &[Command]) {
        if self.0.is_empty() {
            return;
        }
        let needed: BTreeMap<Place, &Command> = commands.iter().map(|it| (place(it), it)).collect();
        self.0
            .retain(|place, (command, _)| needed.get(place) == Some(&&*command));
    }

    /// The reason of the last refusal, where it is too early to try again.
    pub(super) fn not_yet(&self, command: &Command, now: Mono) -> Option<String> {
        let (refused, rest) = self.0.get(&place(command))?;
        (refused == command && rest.due > now).then(|| rest.why.clone())
    }

    /// The command was refused at `now`.
    pub(super) fn refused(&mut self, command: &Command, why: String, now: Mono) {
        let old = self.0.remove(&place(command));
        let old = old.filter(|(refused, _)| refused == command);
        let rest = Backoff::new(now, why, old.as_ref().map(|(_, rest)| rest));
        self.0.insert(place(command), (command.clone(), rest));
    }

    /// The command was carried out.
    pub(super) fn done(&mut self, command: &Command) {
        self.0.remove(&place(command));
    }

    /// Whatever rests does so until then, however slow this machine is.
    #[cfg(test)]
    pub(super) fn put_all_off(&mut self, until: Mono) {
        for (_, rest) in self.0.values_mut() {
            rest.due = until;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(count: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(count))
    }

    #[test]
    fn a_refused_command_is_tried_again_more_and_more_seldom() {
        let delete =
            |port: u16| Command::DeleteService(format!("10.0.0.3:{port}/tcp").parse().unwrap());
        let (one, two) = (delete(80), delete(81));
        let mut rests = Rests::default();
        let mut tries = Vec::new();
        for now in 0..120 {
            rests.keep_needed(std::slice::from_ref(&one));
            if rests.not_yet(&one, second(now)).is_none() {
                tries.push(now);
                rests.refused(&one, "no room".to_owned(), second(now));
            }
        }
        assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
        assert_eq!(rests.not_yet(&two, second(92)), None, "another place");
        assert_eq!(rests.not_yet(&one, second(92)).as_deref(), Some("no room"));
        // What is not needed for a while is tried at once when it is needed again.
        rests.keep_needed(std::slice::from_ref(&two));
        assert_eq!(rests.not_yet(&one, second(92)), None);
        rests.refused(&one, "no room".to_owned(), second(92));
        rests.done(&one);
        assert_eq!(rests.not_yet(&one, second(92)), None);
    }

    #[test]
    fn another_command_for_the_same_place_need_not_wait() {
        let key = "10.0.0.3:80/tcp".parse().unwrap();
        let server = crate::lvs::RealServerKey("10.1.0.1:80".parse().unwrap());
        let delete = Command::DeleteServer(key, server);
        let forwarding = crate::lvs::Forwarding::Dr;
        let settings = crate::lvs::RealServer::new(forwarding, crate::lvs::Weight(1));
        let edit = Command::EditServer(key, server, settings);
        let mut rests = Rests::default();
        rests.refused(&delete, "no room".to_owned(), second(0));
        assert_eq!(rests.not_yet(&edit, second(0)), None);
        rests.refused(&edit, "no such".to_owned(), second(0));
        assert!(rests.not_yet(&edit, second(0)).is_some());
        assert_eq!(rests.not_yet(&edit, second(1)), None, "its first refusal");
    }
}
