//! Where does the table differ for longer than it takes whoever works to act?
//!
//! For an observer, which changes nothing: a difference that the other program is about to mend is
//! no news. Bounded by the table.

use std::collections::BTreeMap;

use crate::daemon::applier::contest::{Place, place};
use crate::lvs::Command;

/// Looks after which a difference is told: those of one second more than once.
const LASTING_LOOKS: u32 = 3;

/// What would be changed, and for how many looks.
#[derive(Debug, Default)]
pub(super) struct Differences(BTreeMap<Place, (Command, u32)>);

/// What one look has to tell.
#[derive(Debug, Default, PartialEq)]
pub(super) struct News {
    /// These differences last.
    pub(super) lasting: Vec<Command>,
    /// These were told, and are no more.
    pub(super) over: Vec<Command>,
}

impl Differences {
    /// Takes in what one look would have changed.
    pub(super) fn look<'a>(&mut self, commands: impl Iterator<Item = &'a Command>) -> News {
        let mut news = News::default();
        let mut before = std::mem::take(&mut self.0);
        for command in commands {
            let looks = match before.remove(&place(command)) {
                Some((old, looks)) if old == *command => looks.saturating_add(1),
                Some((old, looks)) => {
                    if looks >= LASTING_LOOKS {
                        news.over.push(old);
                    }
                    1
                }
                None => 1,
            };
            if looks == LASTING_LOOKS {
                news.lasting.push(command.clone());
            }
            self.0.insert(place(command), (command.clone(), looks));
        }
        let over = before
            .into_values()
            .filter(|(_, looks)| *looks >= LASTING_LOOKS);
        news.over.extend(over.map(|(command, _)| command));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_once_when_it_lasts_and_once_when_it_is_over() {
        let delete =
            |port: u16| Command::DeleteService(format!("10.0.0.3:{port}/tcp").parse().unwrap());
        let (one, two) = (delete(80), delete(81));
        let mut differences = Differences::default();
        let mut look = |commands: &[&Command]| {
            let news = differences.look(commands.iter().copied());
            (news.lasting, news.over)
        };
        let nothing = (vec![], vec![]);
        assert_eq!(look(&[&one]), nothing);
        assert_eq!(look(&[&one, &two]), nothing);
        assert_eq!(look(&[&one]), (vec![one.clone()], vec![]));
        assert_eq!(look(&[&one]), nothing);
        assert_eq!(look(&[]), (vec![], vec![one.clone()]));
        assert_eq!(look(&[]), nothing);
    }
}
