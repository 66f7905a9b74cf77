//! Which real servers of a section stay in although they are withdrawn, and does the fallback
//! take their place (D15)?
//!
//! Pure. `min_live` holds while something is healthy or no fallback is declared; with nothing that
//! is healthy and a fallback, the fallback replaces all. One with weight 0 serves nobody: where
//! `min_live` keeps none of these, the fallback replaces them too. Those kept are first the ones
//! that their checks give weight 0, in file order, then those that nobody can judge, in file order,
//! then the most recently withdrawn, ties in file order.

use std::cmp::Reverse;

use crate::pair::turn::Turn;

/// How one declared real server stands, by what is said about it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerStanding {
    /// It serves: nobody withdraws it, or no verdict is there yet and it is in.
    Serves,
    /// It is healthy, and its check gives it weight 0.
    Spent,
    /// No verdict yet, and it is not in.
    Idle,
    /// No verdict, nor is one to come, and it is not in.
    Unheard,
    /// An operator or its weight in the file, 0, keeps it from its clients, whatever its checks
    /// say; or it failed, and is not put in before the verdicts on others are there.
    Taken,
    /// Somebody withdraws it, in this turn.
    Withdrawn(Turn),
}

/// What follows for the section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// Places of those that stay in with a weight above 0 although they are withdrawn or their
    /// checks give them weight 0, and of those that nobody can judge, in file order.
    pub(crate) kept: Vec<usize>,
    /// Who serves.
    pub(crate) by: ServedBy,
    /// As many take clients as `min_live` asks for, those kept and those beside too, and at least
    /// one does; or what replaces all does.
    pub(crate) is_enough: bool,
}

/// Who serves the clients of a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServedBy {
    /// As many as `min_live` asks for, or more.
    #[default]
    Servers,
    /// Fewer are healthy and take clients than `min_live` asks for; the last ones that failed stay,
    /// but those that operators, weight 0 in the file or a missing address keep out.
    TooFew,
    /// None is healthy and takes clients: the fallback.
    Fallback,
    /// None is healthy and takes clients, and there is neither a fallback nor one to keep.
    Nobody,
    /// None is there yet; verdicts are still to come.
    NobodyYet,
}

/// What takes the place of all real servers of the file where none of them is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    /// Nothing does: the last ones that failed stay, as `min_live` says.
    None,
    /// The fallback. Where its name has no address, what serves may be that.
    Ready,
    /// The fallback, but first verdicts are waited for.
    NotYet,
    /// What serves and is held: it may be real servers of names without an address, or, of a
    /// section without a fallback, it was kept for names whose servers now are not good.
    Held,
}

/// What a section has where its real servers fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserve {
    /// As many stay in.
    pub(crate) min_live: usize,
    /// As many that the file does not name serve in the place of real servers whose names have no
    /// address. They leave fewer to keep, and end no alarm.
    pub(crate) beside: usize,
    pub(crate) replacement: Replacement,
}

/// Decides it for the declared real servers in file order.
pub(crate) fn live(servers: &[ServerStanding], reserve: Reserve) -> Live {
    let Reserve {
        min_live,
        beside,
        replacement,
    } = reserve;
    let serving = servers
        .iter()
        .filter(|it| **it == ServerStanding::Serves)
        .count();
    let mut withdrawn: Vec<(Reverse<Turn>, usize)> = servers
        .iter()
        .enumerate()
        .filter_map(|(place, standing)| match standing {
            ServerStanding::Withdrawn(turn) => Some((Reverse(*turn), place)),
            ServerStanding::Serves
            | ServerStanding::Spent
            | ServerStanding::Idle
            | ServerStanding::Unheard
            | ServerStanding::Taken => None,
        })
        .collect();
    let those = |wanted: ServerStanding| -> Vec<usize> {
        let places = servers.iter().enumerate();
        let those = places.filter(|(_, standing)| **standing == wanted);
        those.map(|(place, _)| place).collect()
    };
    let spent = those(ServerStanding::Spent);
    let nobody = nobody(servers);
    let none_kept = |by| Live {
        kept: Vec::new(),
        by,
        is_enough: replacement != Replacement::NotYet,
    };
    let replaced = match (serving + spent.len().min(min_live), nobody, replacement) {
        (0, ServedBy::Nobody, Replacement::Ready) => true,
        (0, _, Replacement::NotYet) => return none_kept(ServedBy::NobodyYet),
        (0, by, Replacement::Held) => return none_kept(by),
        _ => false,
    };
    if replaced {
        return none_kept(ServedBy::Fallback);
    }
    withdrawn.sort_unstable();
    let withdrawn = withdrawn.into_iter().map(|(_, place)| place);
    let wanted = min_live.saturating_sub(serving + beside);
    let unheard = those(ServerStanding::Unheard);
    // One that nobody can judge serves as well as one that was found in.
    let is_failing = |place: &usize| servers.get(*place) != Some(&ServerStanding::Unheard);
    let last_ones = spent.into_iter().chain(unheard).chain(withdrawn);
    let mut kept: Vec<usize> = last_ones.take(wanted).collect();
    kept.sort_unstable();
    let not_failing = kept.iter().filter(|place| !is_failing(place)).count();
    let by = if serving + kept.len() == 0 {
        nobody
    } else if serving + not_failing < min_live {
        ServedBy::TooFew
    } else {
        ServedBy::Servers
    };
    let taking_clients = serving + beside + kept.len();
    Live {
        kept,
        by,
        is_enough: taking_clients >= min_live.max(1),
    }
}

/// Whether somebody may serve yet where nobody does.
fn nobody(servers: &[ServerStanding]) -> ServedBy {
    let is_idle = |it: &ServerStanding| {
        matches!(
            it,
            ServerStanding::Serves | ServerStanding::Idle | ServerStanding::Unheard
        )
    };
    // Of those that nobody can judge no verdict is to come.
    let is_awaited = servers.is_empty() || servers.contains(&ServerStanding::Idle);
    if is_awaited && servers.iter().all(is_idle) {
        ServedBy::NobodyYet
    } else {
        ServedBy::Nobody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standings(text: &str) -> Vec<ServerStanding> {
        let standing = |letter| match letter {
            '+' => ServerStanding::Serves,
            '0' => ServerStanding::Spent,
            '?' => ServerStanding::Idle,
            '-' => ServerStanding::Unheard,
            'x' => ServerStanding::Taken,
            digit => {
                let turn = u32::from(digit) - u32::from('0');
                ServerStanding::Withdrawn(Turn(turn.into()))
            }
        };
        text.chars().map(standing).collect()
    }

    /// Servers: `+` serves, `0` has weight 0 by its check, `?` no verdict yet and not in, `-` none
    /// to come, `x` taken by an operator, a digit the turn of its withdrawal.
    #[test]
    fn the_last_withdrawn_stay_until_nobody_serves_and_a_fallback_is_there() {
        use Replacement::{Held, None, NotYet, Ready};
        use ServedBy::{Fallback, Nobody, NobodyYet, Servers, TooFew};
        let cases: [(&str, usize, Replacement, &[usize], ServedBy); 45] = [
            ("+++", 0, None, &[], Servers),
            ("+1+", 2, None, &[], Servers),
            ("+12", 1, Ready, &[], Servers),
            ("+12", 2, None, &[2], TooFew),
            ("+21", 2, Ready, &[1], TooFew),
            ("+11", 2, None, &[1], TooFew),
            ("+121", 3, None, &[1, 2], TooFew),
            ("123", 1, None, &[2], TooFew),
            ("222", 2, None, &[0, 1], TooFew),
            ("123", 9, None, &[0, 1, 2], TooFew),
            ("123", 1, Ready, &[], Fallback),
            ("123", 0, None, &[], Nobody),
            ("12?", 0, Ready, &[], Fallback),
            ("12?", 0, NotYet, &[], NobodyYet),
            ("??", 0, Ready, &[], NobodyYet),
            ("??", 2, None, &[], NobodyYet),
            ("+?1", 2, Ready, &[2], TooFew),
            ("+x1", 2, None, &[2], TooFew),
            ("xx", 1, None, &[], Nobody),
            ("xx", 1, Ready, &[], Fallback),
            ("x1", 1, None, &[1], TooFew),
            ("000", 1, None, &[0], TooFew),
            ("+00", 1, None, &[], Servers),
            ("+00", 2, Ready, &[1], TooFew),
            ("102", 2, None, &[1, 2], TooFew),
            ("102", 1, Ready, &[1], TooFew),
            ("100", 0, Ready, &[], Fallback),
            ("00", 0, None, &[], Nobody),
            ("00", 1, Ready, &[0], TooFew),
            ("0?", 0, Ready, &[], Fallback),
            ("0?", 0, NotYet, &[], NobodyYet),
            ("+0", 0, Ready, &[], Servers),
            ("1-2", 1, None, &[1], Servers),
            ("1-2", 2, None, &[1, 2], TooFew),
            ("1-2", 1, Ready, &[], Fallback),
            ("+1-", 2, Ready, &[2], Servers),
            ("+xx", 2, None, &[], TooFew),
            ("+xx", 1, None, &[], Servers),
            ("+x1", 3, Ready, &[2], TooFew),
            ("+-x", 3, None, &[1], TooFew),
            ("--", 0, Ready, &[], Fallback),
            ("--", 0, None, &[], Nobody),
            ("--", 0, NotYet, &[], NobodyYet),
            ("--", 0, Held, &[], Nobody),
            ("-?", 0, Ready, &[], NobodyYet),
        ];
        for (servers, min_live, replacement, kept, by) in cases {
            let reserve = Reserve {
                min_live,
                beside: 0,
                replacement,
            };
            let found = live(&standings(servers), reserve);
            assert_eq!(
                (&*found.kept, found.by),
                (kept, by),
                "{servers} min_live {min_live} {replacement:?}"
            );
        }
    }

    #[test]
    fn those_that_serve_for_names_leave_fewer_to_keep_and_end_no_alarm() {
        use ServedBy::{Nobody, Servers, TooFew};
        type Case = (&'static str, usize, usize, &'static [usize], ServedBy, bool);
        let cases: [Case; 9] = [
            ("+x1", 2, 1, &[], TooFew, true),
            ("+x1", 3, 1, &[2], TooFew, true),
            ("+xx", 3, 1, &[], TooFew, false),
            ("+x1", 1, 1, &[], Servers, true),
            ("x1", 1, 1, &[], Nobody, true),
            ("x1", 0, 0, &[], Nobody, false),
            ("x0", 1, 1, &[], Nobody, true),
            ("x12", 2, 1, &[2], TooFew, true),
            ("x12", 9, 1, &[1, 2], TooFew, false),
        ];
        for (servers, min_live, beside, kept, by, is_enough) in cases {
            let reserve = Reserve {
                min_live,
                beside,
                replacement: Replacement::None,
            };
            let expected = Live {
                kept: kept.to_vec(),
                by,
                is_enough,
            };
            let found = live(&standings(servers), reserve);
            assert_eq!(
                found, expected,
                "{servers} min_live {min_live} and {beside}"
            );
        }
    }
}
