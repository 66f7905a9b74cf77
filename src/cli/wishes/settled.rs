//! Has the kernel's table become what was wished?
//!
//! The daemon notes a wish and answers; its applier changes the table a moment later, or the kernel
//! refuses. A person is told what is so, not what is meant to be so.

use std::time::Duration;

use crate::client::{Client, ClientError};
use crate::clock::Stopwatch;
use crate::engine::event::{Aim, ManualWish};
use crate::wire::server::{ServerAnswer, ServerWhy};
use crate::wire::{ServerActual, ServerWanted, Source};

/// Longest wait for the table: far more than the kernel takes, for machines that are busy.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// What stands in the way for so long is the reason: what was in the way before the wish is gone
/// with the first look at the table, which comes at once.
const REASON_AGE: Duration = Duration::from_secs(1);

/// Pause between two looks: less than a person notices.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the table is as wanted, something stands in the way, or it takes too long.
pub(super) fn settled(daemon: &mut Client, aim: &Aim) -> Result<ServerAnswer, ClientError> {
    let watch = Stopwatch::start();
    loop {
        let answer = daemon.why_server(aim)?;
        let waited = watch.elapsed();
        let is_over = match answer.source {
            Some(Source::Observer) => true,
            Some(Source::Daemon | Source::File) | None => waited > SETTLE_LIMIT,
        };
        let has_reason = waited > REASON_AGE && open(&answer).any(|it| !it.trouble.is_empty());
        if is_over || has_reason || open(&answer).next().is_none() {
            return Ok(answer);
        }
        super::pause(PAUSE);
    }
}

/// A line for each real server of which the table is not as wanted.
pub(super) fn lines(answer: &ServerAnswer) -> Vec<String> {
    let is_observer = answer.source == Some(Source::Observer);
    let mut lines: Vec<String> = open(answer).map(|it| line(it, is_observer)).collect();
    if is_observer {
        lines.push(
            "lvsmon only observes here: it changes nothing in the table; wish it of whoever works"
                .to_owned(),
        );
    } else if !lines.is_empty() {
        lines.push("the wish is kept, and lvsmon tries again until the table is so".to_owned());
    }
    lines
}

/// A line for each real server that is out whatever its weight: what is wished of that holds once
/// it is in. And for each of which nobody wishes anything and no verdict is known: nothing is
/// wanted of it that the table could have.
pub(super) fn noted(answer: &ServerAnswer) -> Vec<String> {
    answer.servers.iter().filter_map(note).collect()
}

fn note(server: &ServerWhy) -> Option<String> {
    let (name, service) = (&server.real_server, &server.virtual_service);
    let is_left = server.wanted == ServerWanted::AsFound && !server.hosts.is_empty();
    if is_left && server.operator.is_none() {
        let has = match server.weight {
            None => "not in the kernel's table".to_owned(),
            Some(weight) => format!("in the kernel's table with weight {weight}"),
        };
        return Some(format!(
            "{name} in {service} is {has}, and left so until its first verdict"
        ));
    }
    let operator = server.operator.as_ref().filter(|it| !it.gives_way)?;
    let what = match operator.wish {
        ManualWish::Weight { .. } => "the weight",
        ManualWish::Quiesce => "weight 0",
        ManualWish::Drain { .. } | ManualWish::Disable => return None,
    };
    if server.wanted != ServerWanted::Out {
        return None;
    }
    let checks = server.checks.iter();
    let by = checks.filter(|it| it.withdraws.is_some());
    let by: Vec<&str> = by.map(|it| &*it.service).collect();
    let by = match by.as_slice() {
        [] => String::new(),
        by => format!(" by the word of {}", by.join(" and ")),
    };
    Some(format!(
        "{name} in {service} is out{by}: {what} is noted, and holds once it is in"
    ))
}

/// The real servers of which the table is not as wanted.
fn open(answer: &ServerAnswer) -> impl Iterator<Item = &ServerWhy> {
    answer.servers.iter().filter(|it| !is_settled(it))
}

/// Whether the table has of a real server what is wanted.
pub(super) fn is_settled(server: &ServerWhy) -> bool {
    match (server.wanted, server.actual) {
        // Whatever is wished, and where nothing is: nobody knows what the table has.
        (_, ServerActual::Unknown) => false,
        (ServerWanted::AsFound, _) => is_found_so(server),
        (ServerWanted::In, ServerActual::In) | (ServerWanted::Out, ServerActual::Out) => true,
        (ServerWanted::In, ServerActual::Out | ServerActual::Differs)
        | (ServerWanted::Out, ServerActual::In | ServerActual::Differs) => false,
    }
}

/// Before its first verdict a real server stays as it is found: whether that is what is wished.
fn is_found_so(server: &ServerWhy) -> bool {
    let Some(operator) = server.operator.as_ref().filter(|it| !it.gives_way) else {
        // What the file does not name any more waits for no verdict.
        let is_left = server.hosts.is_empty() && !server.stranger;
        return !is_left || server.weight.is_some_and(|weight| weight > 0);
    };
    let has_weight = |wished| server.weight == Some(wished);
    match operator.wish {
        ManualWish::Disable => server.weight.is_none(),
        ManualWish::Drain { .. } | ManualWish::Quiesce => server.weight.is_none() || has_weight(0),
        ManualWish::Weight { weight } => has_weight(weight),
    }
}

fn line(server: &ServerWhy, is_observer: bool) -> String {
    let (name, service) = (&server.real_server, &server.virtual_service);
    let has = match (server.actual, server.weight) {
        (ServerActual::Unknown, _) => "nobody knows what the kernel has of it".to_owned(),
        (ServerActual::Out, _) | (_, None) => "it is not in the kernel's table".to_owned(),
        (ServerActual::In | ServerActual::Differs, Some(weight)) => {
            format!("it is in the kernel's table with weight {weight}")
        }
    };
    let why = match server.trouble.as_slice() {
        _ if is_observer => String::new(),
        [] if server.wanted == ServerWanted::AsFound => {
            "; it stays as it was found until its first verdict".to_owned()
        }
        [] => "; that has not changed in time".to_owned(),
        trouble => format!("; {}", trouble.join("; ")),
    };
    format!("NOT YET SO: {name} in {service}: {has}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::server::{CheckRow, Expiry, OperatorRow, fixture};

    /// One without a verdict, of which somebody wishes this.
    fn untested(wish: Option<ManualWish>, kernel: Option<u32>) -> ServerWhy {
        let operator = wish.map(|wish| OperatorRow {
            wish,
            by: "ann".to_owned(),
            reason: String::new(),
            since: 0,
            until: None,
            drain: None,
            gives_way: false,
        });
        ServerWhy {
            virtual_service: "V".to_owned(),
            real_server: "R".to_owned(),
            operator,
            ..fixture::server(ServerWanted::AsFound, kernel)
        }
    }

    #[test]
    fn before_the_first_verdict_the_table_is_so_only_where_it_was_found_so() {
        let (quiesce, drain) = (ManualWish::Quiesce, ManualWish::Drain { limit_s: 60 });
        let weight = |weight| Some(ManualWish::Weight { weight });
        for (wish, kernel, is_so) in [
            (None, Some(5), true),
            (Some(quiesce), Some(5), false),
            (Some(quiesce), Some(0), true),
            (Some(quiesce), None, true),
            (Some(drain), Some(5), false),
            (weight(5), Some(5), true),
            (weight(7), Some(5), false),
            (weight(7), None, false),
        ] {
            let server = untested(wish, kernel);
            assert_eq!(is_settled(&server), is_so, "{wish:?} {kernel:?}");
        }
        let mut server = untested(Some(quiesce), Some(5));
        assert_eq!(
            line(&server, false),
            "NOT YET SO: R in V: it is in the kernel's table with weight 5; it stays as it was \
             found until its first verdict"
        );
        // What is wished has no effect at present, which is said elsewhere.
        server.operator.as_mut().unwrap().gives_way = true;
        assert!(is_settled(&server));
        let unknown = ServerWhy {
            actual: ServerActual::Unknown,
            ..untested(Some(quiesce), None)
        };
        assert!(!is_settled(&unknown));
        // Nor where nobody wishes anything any more.
        for wanted in [ServerWanted::AsFound, ServerWanted::In, ServerWanted::Out] {
            let unknown = ServerWhy {
                wanted,
                actual: ServerActual::Unknown,
                ..untested(None, None)
            };
            assert!(!is_settled(&unknown), "{wanted:?}");
        }
    }

    #[test]
    fn what_the_file_does_not_name_any_more_is_not_enabled_while_it_takes_no_clients() {
        let stays = "not in the file any more: stays until w1 has a usable address";
        for (kernel, is_so) in [(Some(5), true), (Some(0), false), (None, false)] {
            let mut server = untested(None, kernel);
            server.trouble = vec![stays.to_owned()];
            assert_eq!(is_settled(&server), is_so, "{kernel:?}");
            let has_it = line(&server, false);
            assert!(has_it.ends_with(stays), "{has_it}");
            // Of one that nobody declared nothing was wished, and one of the file has its verdict
            // to come.
            server.stranger = true;
            assert!(is_settled(&server), "{kernel:?}");
            server.stranger = false;
            server.hosts = vec!["web1".to_owned()];
            assert!(is_settled(&server), "{kernel:?}");
        }
    }

    #[test]
    fn a_weight_of_a_server_that_is_out_is_noted() {
        let lines = |server: &ServerWhy| {
            let answer = ServerAnswer {
                time: 0,
                source: None,
                servers: vec![server.clone()],
                expiry: Expiry::default(),
            };
            noted(&answer)
        };
        // Nobody wishes anything any more, and nothing else is wanted of it yet.
        for (kernel, expected) in [
            (None, "not in the kernel's table"),
            (Some(5), "in the kernel's table with weight 5"),
        ] {
            let mut left = untested(None, kernel);
            left.hosts = vec!["web1".to_owned()];
            let expected = format!("R in V is {expected}, and left so until its first verdict");
            assert_eq!(lines(&left), [expected]);
            left.hosts.clear();
            assert_eq!(lines(&left), [""; 0], "nobody declared it");
        }
        let weight = Some(ManualWish::Weight { weight: 7 });
        let out = |wish| ServerWhy {
            wanted: ServerWanted::Out,
            ..untested(wish, None)
        };
        let mut failing = out(weight);
        assert_eq!(
            lines(&failing),
            ["R in V is out: the weight is noted, and holds once it is in"]
        );
        failing.checks = vec![withdrawing("web/http"), withdrawing("web/ping")];
        assert_eq!(
            lines(&failing),
            [
                "R in V is out by the word of web/http and web/ping: the weight is noted, and holds \
              once it is in"
            ]
        );
        let quiesced = lines(&out(Some(ManualWish::Quiesce)));
        assert!(
            quiesced[0].contains("is out: weight 0 is noted"),
            "{quiesced:?}"
        );
        failing.operator.as_mut().unwrap().gives_way = true;
        let is_in = ServerWhy {
            wanted: ServerWanted::In,
            ..untested(weight, Some(7))
        };
        let drained = out(Some(ManualWish::Drain { limit_s: 60 }));
        let disabled = out(Some(ManualWish::Disable));
        let as_found = untested(weight, Some(7));
        for server in [failing, is_in, drained, disabled, as_found, out(None)] {
            assert_eq!(lines(&server), Vec::<String>::new(), "{server:?}");
        }
    }

    fn withdrawing(service: &str) -> CheckRow {
        let text = format!(
            "{{\"service\": \"{service}\", \"status\": \"fail\", \"verdict\": \"down\", \
             \"reason\": \"refused\", \"text\": \"\", \"last_check\": 1, \"results\": [], \
             \"withdraws\": {{\"reason\": \"refused\", \"since\": 1, \"until_enabled\": false}}, \
             \"count\": null, \"tripwire\": null}}"
        );
        serde_json::from_str(&text).expect("a row")
    }
}
