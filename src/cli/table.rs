//! `lvsmon table`: the wanted table against the kernel's.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::{Output, Tone};
use crate::cli::role::{sync_lines, time};
use crate::cli::{Outcome, WhereArgs, load, refused};
use crate::client::{self, Client, ClientError};
use crate::wire::{
    ConnectionsRow, LostRow, RealServerRow, ServerWanted, ServiceActual, ServiceWanted, Source,
    TableAnswer, VirtualServiceRow,
};

/// Show the wanted table against the kernel's
#[derive(Debug, Args)]
pub(super) struct TableArgs {
    #[command(flatten)]
    place: WhereArgs,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn table(args: &TableArgs, out: &mut Output) -> Outcome {
    let statedir = args.place.statedir()?;
    let (answer, refused) = match Client::connect_also_observer(&statedir) {
        Ok(mut daemon) => (daemon.table()?, daemon.refused_reload().cloned()),
        // With a state folder the configuration is not read: there is nothing to compare.
        Err(ClientError::NoDaemon(_)) if args.place.statedir.is_none() => {
            let mut model = load(&args.place.config)?;
            model.globals.statedir = statedir;
            (client::compare_without_daemon(model)?, None)
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        out.line(&refused::json(&answer, refused.as_ref())?)?;
    } else {
        print(&answer, &args.place, out)?;
        refused::line(refused.as_ref(), out)?;
    }
    // A table that cannot be seen is a failure; one that differs is an answer.
    Ok(match answer.unreadable {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

const HEADINGS: [&str; 10] = [
    "virtual service",
    "real server",
    "forwarding",
    "weight",
    "wanted",
    "actual",
    "active",
    "inactive",
    "persistent",
    "why",
];

/// Who answers, where that is no director.
fn whose(source: Source, place: &WhereArgs) -> Option<String> {
    let asked = match &place.statedir {
        Some(statedir) => format!("in {}", statedir.display()),
        None => format!("with {}", place.config.display()),
    };
    match source {
        Source::Daemon => None,
        Source::Observer => Some(format!(
            "lvsmon only observes {asked}: whoever works does not agree where wanted and actual \
             differ, and nothing is changed"
        )),
        Source::File => Some(format!(
            "no daemon runs {asked}: this compares the file and its kept state with the kernel"
        )),
    }
}

fn print(answer: &TableAnswer, place: &WhereArgs, out: &mut Output) -> std::io::Result<()> {
    if let Some(text) = whose(answer.source, place) {
        out.line(&out.paint(Tone::Odd, &text))?;
    }
    if let Some(why) = &answer.unreadable {
        let text = format!("the kernel's table cannot be read: {why}");
        out.line(&out.paint(Tone::Bad, &text))?;
    }
    for cut_off in &answer.cut_off {
        let (since, witnesses) = (time(cut_off.since), cut_off.witnesses.join(" or "));
        let text = format!(
            "the director is cut off since {since}: failures count for nothing, and take no real \
             server out, until {witnesses} is good"
        );
        out.line(&out.paint(Tone::Bad, &text))?;
    }
    let mut lines = vec![Line::heading()];
    for service in &answer.virtual_services {
        lines.extend(Line::of(service));
    }
    let mut widths = [0_usize; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(&line.cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in &lines {
        let cells = line.cells.iter().zip(widths);
        let text: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let text = text.join("  ");
        out.line(&match line.tone {
            Some(tone) => out.paint(tone, text.trim_end()),
            None => text.trim_end().to_owned(),
        })?;
    }
    let tone = match answer.source {
        Source::Observer => Tone::Odd,
        Source::Daemon | Source::File => Tone::Bad,
    };
    for what in &answer.refused {
        out.line(&out.paint(tone, what))?;
    }
    for contested in &answer.contested {
        out.line(&out.paint(Tone::Bad, &contested.text(time)))?;
    }
    for row in &answer.lost {
        out.line(&out.paint(Tone::Odd, &lost(row)))?;
    }
    sync_lines(answer.sync.as_ref(), out)
}

struct Line {
    cells: [String; HEADINGS.len()],
    tone: Option<Tone>,
}

impl Line {
    fn heading() -> Self {
        Self {
            cells: HEADINGS.map(str::to_owned),
            tone: Some(Tone::Heading),
        }
    }

    /// One line for the service where there is something to say of it, one for each server.
    fn of(service: &VirtualServiceRow) -> Vec<Self> {
        let mut lines = Vec::new();
        let name = &service.virtual_service;
        let is_missing =
            service.actual == ServiceActual::Missing && service.wanted != ServiceWanted::Absent;
        if is_missing || service.real_servers.is_empty() {
            let (why, tone) = match (is_missing, service.wanted) {
                (true, ServiceWanted::ByOthers) => (
                    "not ours to make (no -B): its real servers wait",
                    Some(Tone::Bad),
                ),
                (true, ServiceWanted::AsFound) => (
                    "virtual service is not in the table: made once a real server enters",
                    Some(Tone::Odd),
                ),
                (true, ServiceWanted::Present | ServiceWanted::Absent) => {
                    ("virtual service is not in the table", Some(Tone::Bad))
                }
                (false, _) => ("", None),
            };
            let wanted = service.wanted.to_string();
            let actual = service.actual.to_string();
            lines.push(Self {
                cells: [name, "", "", "", &wanted, &actual, "", "", "", why].map(str::to_owned),
                tone,
            });
        }
        lines.extend(
            service
                .real_servers
                .iter()
                .map(|row| Self::server(name, row)),
        );
        lines
    }

    fn server(service: &str, row: &RealServerRow) -> Self {
        let dash = || "-".to_owned();
        let tone = match (row.agrees, row.wanted) {
            (false, _) => Some(Tone::Bad),
            (true, ServerWanted::Out) => Some(Tone::Odd),
            (true, ServerWanted::In | ServerWanted::AsFound) => None,
        };
        let counts = row.connections;
        let count = |of: fn(ConnectionsRow) -> u32| {
            counts.map_or_else(dash, |counts| of(counts).to_string())
        };
        Self {
            cells: [
                service.to_owned(),
                row.real_server.clone(),
                row.forwarding.clone().unwrap_or_else(dash),
                row.weight.map_or_else(dash, |weight| weight.to_string()),
                row.wanted.to_string(),
                row.actual.to_string(),
                count(|it| it.active),
                count(|it| it.inactive),
                count(|it| it.persistent),
                why(row),
            ],
            tone,
        }
    }
}

/// What is wished of a real server that the file no longer has.
fn lost(row: &LostRow) -> String {
    let LostRow {
        virtual_service,
        real_server,
        operator,
        kept_until,
    } = row;
    let (wish, until) = (operator.called(), time(*kept_until));
    format!(
        "{real_server} in {virtual_service} is not in the file any more: {wish} is kept until \
         {until}; lvsmon enable {real_server} ends it"
    )
}

/// Why a real server stands so; with the end of what an operator wishes, where it ends by itself.
fn why(row: &RealServerRow) -> String {
    let end = row.operator.as_ref().and_then(|wish| {
        let until = wish.until?;
        Some(format!("the wish of {} ends at {}", wish.by, time(until)))
    });
    match end {
        Some(end) if row.why.is_empty() => end,
        Some(end) => format!("{}; {end}", row.why),
        None => row.why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::ManualWish;
    use crate::wire::ServerActual;
    use crate::wire::server::OperatorRow;

    #[test]
    fn who_answers_is_named_by_what_was_asked_for() {
        let whose = |statedir: Option<&str>, source| {
            let place = WhereArgs {
                config: "/etc/mon/mon.cf".into(),
                statedir: statedir.map(Into::into),
            };
            whose(source, &place)
        };
        assert_eq!(whose(None, Source::Daemon), None);
        let by_file = whose(None, Source::File).unwrap();
        assert!(by_file.starts_with("no daemon runs with /etc/mon/mon.cf: "));
        let by_folder = whose(Some("/var/lib/two"), Source::Observer).unwrap();
        assert!(by_folder.starts_with("lvsmon only observes in /var/lib/two: "));
    }

    #[test]
    fn what_is_kept_of_a_lost_server_is_shown_with_what_ends_it() {
        let row = LostRow {
            virtual_service: "10.0.0.3:80/tcp".to_owned(),
            real_server: "192.168.0.1:80".to_owned(),
            operator: OperatorRow {
                wish: ManualWish::Disable,
                by: "ann".to_owned(),
                reason: "new disk".to_owned(),
                since: 1_700_000_000,
                until: None,
                drain: None,
                gives_way: false,
            },
            kept_until: 1_700_003_600,
        };
        let until = time(1_700_003_600);
        assert_eq!(
            lost(&row),
            format!(
                "192.168.0.1:80 in 10.0.0.3:80/tcp is not in the file any more: disable by ann \
                 (new disk) is kept until {until}; lvsmon enable 192.168.0.1:80 ends it"
            )
        );
    }

    #[test]
    fn maintenance_is_shown_with_its_end_where_it_has_one() {
        let row = |until| RealServerRow {
            real_server: "10.1.0.1:80".to_owned(),
            forwarding: None,
            weight: None,
            wanted: ServerWanted::Out,
            actual: ServerActual::Out,
            checked: true,
            connections: None,
            operator: Some(OperatorRow {
                wish: ManualWish::Disable,
                by: "ann".to_owned(),
                reason: "new disk".to_owned(),
                since: 1_700_000_000,
                until,
                drain: None,
                gives_way: false,
            }),
            stranger: false,
            agrees: true,
            why: "disable by ann (new disk)".to_owned(),
        };
        let end = 1_700_003_600;
        assert_eq!(why(&row(None)), "disable by ann (new disk)");
        assert_eq!(
            why(&row(Some(end))),
            format!(
                "disable by ann (new disk); the wish of ann ends at {}",
                time(end)
            )
        );
    }
}
