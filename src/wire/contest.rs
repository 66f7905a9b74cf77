//! What is said of places of the table that somebody else writes too? Pure.

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::engine::event::{Contested, TableOutcome};
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::time::{Mono, Now, Wall};
use crate::wire::VirtualServiceRow;

/// Added to why a real server stands as it does.
const WAITS: &str = "somebody else changes it again and again, left so for a while";

/// A place that somebody else changes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContestRow {
    /// Such as `10.0.0.3:80/tcp`.
    pub virtual_service: String,
    /// Such as `192.168.0.1:80`; none where it is the virtual service itself.
    pub real_server: Option<String>,
    /// What somebody else does there, such as `takes 192.168.0.1:80 out of 10.0.0.3:80/tcp`.
    pub what: String,
    /// Until when it is left as somebody else made it, on purpose; none while it is as wanted.
    pub rests_until: Option<i64>,
}

impl ContestRow {
    /// All that there is to say of it; `time` writes a time as the reader has it.
    #[must_use]
    pub fn text(&self, time: impl Fn(i64) -> String) -> String {
        let what = &self.what;
        let Some(until) = self.rests_until else {
            return format!(
                "somebody else {what} again and again; it is as wanted at the moment: find out who \
                 else writes the table"
            );
        };
        let enable = match &self.real_server {
            Some(server) => format!("lvsmon enable {server} or "),
            None => String::new(),
        };
        format!(
            "somebody else {what} again and again: lvsmon waits on purpose and puts it right at {}. \
             Find out who else writes the table; {enable}a reload (SIGHUP) puts it right at once",
            time(until)
        )
    }
}

/// All places of a look, those of which there is something to say.
pub(super) fn rows(seen: &TableOutcome, now: Now) -> Vec<ContestRow> {
    let contested = Contested::to_be_said(&seen.contested);
    contested.map(|it| row(it, seen, now)).collect()
}

/// Those of them that are about this real server, or about its virtual service.
pub(super) fn rows_of(
    seen: &TableOutcome,
    now: Now,
    key: VirtualServiceKey,
    server: Option<RealServerKey>,
) -> Vec<ContestRow> {
    let is_about = |it: &&Contested| {
        it.virtual_service() == key && it.real_server().is_none_or(|it| Some(it) == server)
    };
    let contested = Contested::to_be_said(&seen.contested).filter(is_about);
    contested.map(|it| row(it, seen, now)).collect()
}

fn row(it: &Contested, seen: &TableOutcome, now: Now) -> ContestRow {
    visit();
    ContestRow {
        virtual_service: it.virtual_service().to_string(),
        real_server: it.real_server().map(|server| server.to_string()),
        what: it.what(&seen.wanted),
        rests_until: it.rests_until.map(|until| wall(until, now).seconds()),
    }
}

/// Says it in the rows of the real servers too that are not as wanted because of it.
pub(super) fn mark(services: &mut [VirtualServiceRow], contested: &[ContestRow]) {
    let rests = contested.iter().filter(|it| it.rests_until.is_some());
    for rest in rests {
        let mut services = services.iter_mut();
        let service = services.find(|it| it.virtual_service == rest.virtual_service);
        let rows = service.into_iter().flat_map(|it| &mut it.real_servers);
        let is_meant = |name: &str| rest.real_server.as_ref().is_none_or(|it| it == name);
        for row in rows.filter(|row| !row.agrees && is_meant(&row.real_server)) {
            if !row.why.is_empty() {
                row.why.push_str("; ");
            }
            row.why.push_str(WAITS);
        }
    }
}

/// What the wall clock says then, as it goes now.
fn wall(then: Mono, now: Now) -> Wall {
    let micros = i64::try_from(then.since(now.mono).as_micros()).unwrap_or(i64::MAX);
    Wall::from_micros(now.wall.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::effort::visits;
    use crate::lvs::{Command, Forwarding, RealServer, Weight};
    use crate::wire::{RealServerRow, ServerActual, ServerWanted, ServiceActual, ServiceWanted};

    fn server(last: u8) -> RealServerKey {
        RealServerKey(format!("192.168.0.{last}:80").parse().unwrap())
    }

    fn now() -> Now {
        Now {
            mono: Mono::from_micros(5_000_000),
            wall: Wall::from_seconds(1_000_000),
        }
    }

    /// Server 1 is taken out and rests for ten seconds more, 9 is put in and was taken out.
    fn seen() -> TableOutcome {
        let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let to = RealServer::new(Forwarding::Dr, Weight(5));
        let until = now().mono.after(Duration::from_secs(10));
        TableOutcome {
            wanted: Arc::default(),
            contested: vec![
                Contested {
                    repair: Command::AddServer(key, server(1), to),
                    rests_until: Some(until),
                },
                Contested {
                    repair: Command::DeleteServer(key, server(9)),
                    rests_until: None,
                },
            ],
            ..TableOutcome::default()
        }
    }

    #[test]
    fn what_rests_is_said_with_until_when_and_with_what_to_do() {
        let said: Vec<String> = rows(&seen(), now())
            .iter()
            .map(|row| row.text(|seconds| format!("<{seconds}>")))
            .collect();
        let rests = "somebody else takes 192.168.0.1:80 out of 10.0.0.3:80/tcp again and again: \
                     lvsmon waits on purpose and puts it right at <1000010>. Find out who else \
                     writes the table; lvsmon enable 192.168.0.1:80 or a reload (SIGHUP) puts it \
                     right at once";
        let mended = "somebody else puts 192.168.0.9:80 (not in the file) into 10.0.0.3:80/tcp again \
                      and again; it is as wanted at the moment: find out who else writes the table";
        assert_eq!(said, [rests, mended]);
    }

    #[test]
    fn of_one_real_server_only_what_is_about_it_is_written() {
        let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let other: VirtualServiceKey = "10.0.0.4:80/tcp".parse().unwrap();
        let of = |key, number: Option<u8>| {
            let mut names = Vec::new();
            let written = visits(|| {
                let rows = rows_of(&seen(), now(), key, number.map(server));
                names.extend(rows.into_iter().map(|it| it.real_server));
            });
            assert_eq!(usize::try_from(written), Ok(names.len()));
            names
        };
        assert_eq!(of(key, Some(1)), [Some(server(1).to_string())]);
        assert_eq!(of(key, Some(9)), [Some(server(9).to_string())]);
        assert_eq!(of(key, Some(2)), []);
        assert_eq!(of(key, None), []);
        assert_eq!(of(other, Some(1)), []);
    }

    #[test]
    fn the_rows_of_servers_that_are_not_as_wanted_say_that_they_wait() {
        let row = |last: u8, agrees, why: &str| RealServerRow {
            real_server: server(last).to_string(),
            forwarding: None,
            weight: None,
            wanted: ServerWanted::In,
            actual: ServerActual::Out,
            connections: None,
            operator: None,
            stranger: false,
            checked: true,
            agrees,
            why: why.to_owned(),
        };
        let mut service = VirtualServiceRow {
            virtual_service: "10.0.0.3:80/tcp".to_owned(),
            wanted: ServiceWanted::Present,
            actual: ServiceActual::Present,
            scheduler: None,
            real_servers: vec![row(1, false, ""), row(2, false, "x"), row(9, false, "")],
        };
        let mut why = |contested: &[ContestRow], agrees: bool| {
            for row in &mut service.real_servers {
                row.agrees = agrees;
                row.why.clear();
            }
            mark(std::slice::from_mut(&mut service), contested);
            let rows = service.real_servers.iter();
            rows.map(|row| row.why.clone()).collect::<Vec<String>>()
        };
        let contested = rows(&seen(), now());
        assert_eq!(why(&contested, false), [WAITS, "", ""]);
        assert_eq!(why(&contested, true), ["", "", ""]);
        let whole = ContestRow {
            real_server: None,
            ..contested[0].clone()
        };
        assert_eq!(why(&[whole], false), [WAITS; 3]);
    }
}
