//! How does the `section` line of a real server read: who serves the clients?

use crate::cli::output::Tone;
use crate::wire::server::{LookRow, RoleRow, SectionRow, ServedRow};

/// Who serves the clients of a section. Where the kernel's table differs: who is wanted to, and
/// whom new connections reach.
pub(super) fn whole(section: &SectionRow, look: LookRow) -> (Option<Tone>, String) {
    let (serving, declared, least) = (section.serving, section.declared, section.min_live);
    let (missing, unwanted) = (section.missing.words(), section.unwanted.words());
    let unread = match look {
        LookRow::Unreadable { .. } => true,
        LookRow::Read | LookRow::NotYet => false,
    };
    if unread && section.role == Some(RoleRow::Unseen) {
        let text = format!(
            "nobody knows how many of {declared} real servers serve, min_live {least}: nothing is \
             decided before the first look at the kernel's table"
        );
        return (Some(Tone::Odd), text);
    }
    let but = match (&missing, &unwanted) {
        (None, None) if unread => "nobody knows whom new connections reach".to_owned(),
        (None, None) => {
            let (tone, others) = others(section);
            let text =
                format!("{serving} of {declared} real servers serve, min_live {least}{others}");
            return (tone, text);
        }
        (Some(missing), None) => format!("new connections do not reach {missing}"),
        (None, Some(unwanted)) => format!("new connections reach {unwanted}"),
        (Some(missing), Some(unwanted)) => {
            format!("new connections do not reach {missing}, and reach {unwanted}")
        }
    };
    let (tone, others) = others_wanted(section);
    let tone = match missing {
        Some(_) => Tone::Bad,
        None => tone.unwrap_or(Tone::Odd),
    };
    let text = format!(
        "{serving} of {declared} real servers are wanted to serve, min_live {least}{others}; but \
         {but}"
    );
    (Some(tone), text)
}

/// Who serves beside the real servers that are well, or in their place, behind a sentence.
fn others(section: &SectionRow) -> (Option<Tone>, String) {
    match (section.served_by, section.fallback.as_deref()) {
        (Some(ServedRow::Fallback), Some(fallback)) => {
            (Some(Tone::Bad), format!("; the fallback {fallback} serves"))
        }
        (Some(ServedRow::Fallback), None) => (Some(Tone::Bad), "; the fallback serves".to_owned()),
        (Some(ServedRow::TooFew), _) => {
            let kept = match section.kept {
                0 => "; there is none that min_live may keep in",
                _ => "; min_live keeps the last ones in",
            };
            (Some(Tone::Bad), kept.to_owned())
        }
        (Some(ServedRow::Nobody), _) => match section.beside {
            0 => (Some(Tone::Bad), "; nothing serves".to_owned()),
            beside => {
                let serve = if beside == 1 { "serves" } else { "serve" };
                (
                    Some(Tone::Bad),
                    format!("; {} {serve}", only_beside(beside)),
                )
            }
        },
        (Some(ServedRow::NobodyYet) | None, Some(fallback)) if section.fallback_serves => (
            Some(Tone::Odd),
            format!("; the fallback {fallback} serves while first verdicts are waited for"),
        ),
        (Some(ServedRow::NobodyYet), _) => (
            Some(Tone::Odd),
            "; first verdicts are waited for".to_owned(),
        ),
        (Some(ServedRow::Servers), Some(fallback)) => {
            (None, format!("; fallback {fallback} not in use"))
        }
        (Some(ServedRow::Servers) | None, _) => (None, String::new()),
    }
}

/// That nobody but so many serves whom only `lvs.alert` lines name.
fn only_beside(beside: usize) -> String {
    format!("only {beside} that lvs.alert lines name")
}

/// The same of what is wanted, where that is not so.
fn others_wanted(section: &SectionRow) -> (Option<Tone>, String) {
    let (tone, as_it_is) = others(section);
    let text = match (section.served_by, section.fallback.as_deref()) {
        (Some(ServedRow::Fallback), Some(fallback)) => {
            format!("; the fallback {fallback} is wanted to serve")
        }
        (Some(ServedRow::Fallback), None) => "; the fallback is wanted to serve".to_owned(),
        (Some(ServedRow::TooFew), _) if section.kept > 0 => {
            "; min_live wants the last ones in".to_owned()
        }
        // What serves in their place may be real servers of names without an address.
        (Some(ServedRow::TooFew), _) if section.unwanted.count > 0 => {
            "; min_live keeps none of the others in".to_owned()
        }
        (Some(ServedRow::NobodyYet) | None, Some(fallback)) if section.fallback_serves => {
            format!(
                "; the fallback {fallback} is wanted to serve while first verdicts are waited for"
            )
        }
        (Some(ServedRow::Nobody), _) => match section.beside {
            0 => "; nothing else is wanted in their place".to_owned(),
            beside => format!(
                "; {}, nothing else is wanted in their place",
                only_beside(beside)
            ),
        },
        (Some(ServedRow::Servers), Some(fallback)) => format!("; fallback {fallback} not wanted"),
        (Some(ServedRow::NobodyYet | ServedRow::Servers | ServedRow::TooFew) | None, _) => as_it_is,
    };
    (tone, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::server::ServersRow;
    use crate::wire::server::fixture::section;

    #[test]
    fn the_section_line_says_whom_new_connections_reach_where_that_is_not_what_is_wanted() {
        let servers = |first: &[&str], more| ServersRow {
            count: first.len() + more,
            first: first.iter().map(ToString::to_string).collect(),
        };
        let none = servers(&[], 0);
        let said = |(served_by, kept), missing: &ServersRow, unwanted: &ServersRow| {
            let section = SectionRow {
                served_by: Some(served_by),
                kept,
                fallback: Some("10.0.0.1:81".to_owned()),
                missing: missing.clone(),
                unwanted: unwanted.clone(),
                ..section()
            };
            whole(&section, LookRow::Read)
        };
        let (one, many) = (servers(&["A"], 0), servers(&["B", "C"], 4));
        for (served_by, missing, unwanted, tone, text) in [
            (
                (ServedRow::Servers, 0),
                &none,
                &none,
                None,
                "2 of 9 real servers serve, min_live 1; fallback 10.0.0.1:81 not in use",
            ),
            (
                (ServedRow::Servers, 0),
                &one,
                &none,
                Some(Tone::Bad),
                "2 of 9 real servers are wanted to serve, min_live 1; fallback 10.0.0.1:81 not \
                 wanted; but new connections do not reach A",
            ),
            (
                (ServedRow::Servers, 0),
                &none,
                &one,
                Some(Tone::Odd),
                "2 of 9 real servers are wanted to serve, min_live 1; fallback 10.0.0.1:81 not \
                 wanted; but new connections reach A",
            ),
            (
                (ServedRow::Fallback, 0),
                &one,
                &many,
                Some(Tone::Bad),
                "2 of 9 real servers are wanted to serve, min_live 1; the fallback 10.0.0.1:81 is \
                 wanted to serve; but new connections do not reach A, and reach B, C and 4 more",
            ),
            (
                (ServedRow::Nobody, 0),
                &none,
                &many,
                Some(Tone::Bad),
                "2 of 9 real servers are wanted to serve, min_live 1; nothing else is wanted in \
                 their place; but new connections reach B, C and 4 more",
            ),
            (
                (ServedRow::TooFew, 1),
                &many,
                &none,
                Some(Tone::Bad),
                "2 of 9 real servers are wanted to serve, min_live 1; min_live wants the last \
                 ones in; but new connections do not reach B, C and 4 more",
            ),
        ] {
            let expected = (tone, text.to_owned());
            assert_eq!(said(served_by, missing, unwanted), expected);
        }
    }

    #[test]
    fn the_section_line_says_that_min_live_keeps_none_where_others_serve() {
        let section = SectionRow {
            served_by: Some(ServedRow::TooFew),
            kept: 0,
            unwanted: ServersRow {
                count: 1,
                first: vec!["A".to_owned()],
            },
            ..section()
        };
        let expected = "2 of 9 real servers are wanted to serve, min_live 1; min_live keeps none of \
                        the others in; but new connections reach A";
        let expected = (Some(Tone::Bad), expected.to_owned());
        assert_eq!(whole(&section, LookRow::Read), expected);
    }

    #[test]
    fn the_section_line_says_that_the_server_of_a_line_serves_alone() {
        for (beside, expected) in [
            (0, "nothing serves"),
            (1, "only 1 that lvs.alert lines name serves"),
            (2, "only 2 that lvs.alert lines name serve"),
        ] {
            let section = SectionRow {
                served_by: Some(ServedRow::Nobody),
                serving: 0,
                beside,
                ..section()
            };
            let expected = format!("0 of 9 real servers serve, min_live 1; {expected}");
            assert_eq!(whole(&section, LookRow::Read), (Some(Tone::Bad), expected));
        }
    }

    #[test]
    fn the_section_line_says_whether_min_live_keeps_anybody_in() {
        for (kept, expected) in [
            (1, "min_live 1; min_live keeps the last ones in"),
            (0, "min_live 1; there is none that min_live may keep in"),
        ] {
            let section = SectionRow {
                served_by: Some(ServedRow::TooFew),
                kept,
                ..section()
            };
            let expected = format!("2 of 9 real servers serve, {expected}");
            assert_eq!(whole(&section, LookRow::Read), (Some(Tone::Bad), expected));
        }
    }

    #[test]
    fn the_section_line_says_that_the_fallback_serves_before_the_first_verdicts() {
        for served_by in [None, Some(ServedRow::NobodyYet)] {
            let section = SectionRow {
                served_by,
                fallback: Some("F".to_owned()),
                fallback_serves: true,
                ..section()
            };
            let (_, text) = whole(&section, LookRow::Read);
            let waits = "; the fallback F serves while first verdicts are waited for";
            assert!(text.ends_with(waits), "{text}");
        }
    }
}
