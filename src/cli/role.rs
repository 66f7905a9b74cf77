//! `lvsmon role`: what this director is to the other one, and the word of notify scripts.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::misuse::misused;
use crate::cli::output::{Form, Output, Tone};
use crate::cli::{Outcome, WhereArgs, refused};
use crate::client::Client;
use crate::pair::role::{Source, Uncounted};
use crate::pair::{Facts, InstanceName, Role, State};
use crate::text::counted;
use crate::wire;
use crate::wire::role::{PeerRow, RoleAnswer, SaidRow, SyncRow};

/// Show whether this director is active or standby and why, or say what it is
#[derive(Debug, Args)]
#[command(after_help = "\
Without WORDS, the role is shown. WORDS are MASTER, BACKUP, FAULT, STOP or DELETED, in letters of \
any size; or what keepalived puts behind a notify script: INSTANCE NAME STATE PRIORITY, so that \
`notify \"/usr/bin/lvsmon role\"` is all it takes. Words on a GROUP are passed over.
Exit status: 0 done; 1 no daemon, or it refused; 2 wrong usage; 3 noted, but held back for some \
seconds because the role changes too often.")]
pub(super) struct RoleArgs {
    /// What this director is now
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
    /// Of this VRRP instance only
    #[arg(long, value_name = "NAME")]
    instance: Option<InstanceName>,
    #[command(flatten)]
    place: WhereArgs,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Exit status: what was said is noted, and acted upon later.
const HELD_BACK: u8 = 3;

/// What the words come to.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Show,
    Say(Option<InstanceName>, State),
    /// About something that has no role.
    Nothing,
}

pub(super) fn role(args: &RoleArgs, out: &mut Output) -> Outcome {
    let wanted = match wanted(&args.words, args.instance.clone()) {
        Ok(wanted) => wanted,
        Err(why) => return Ok(misused("role", Form::of(args.json), &why)),
    };
    if wanted == Wanted::Nothing && !args.json {
        return Ok(ExitCode::SUCCESS);
    }
    let statedir = args.place.statedir()?;
    let mut daemon = Client::connect(&statedir)?;
    let is_said = matches!(wanted, Wanted::Say(..));
    if let Wanted::Say(instance, state) = wanted {
        let text = daemon.set_role(instance, state)?;
        if !args.json {
            out.line(&text)?;
        }
    }
    let answer = daemon.role()?;
    if args.json {
        // Whatever was said: what the role is then.
        out.line(&refused::json(&answer, daemon.refused_reload())?)?;
    } else if !is_said {
        print(&answer, out)?;
        refused::line(daemon.refused_reload(), out)?;
    }
    Ok(match answer.coming {
        Some(_) if is_said => ExitCode::from(HELD_BACK),
        Some(_) | None => ExitCode::SUCCESS,
    })
}

fn wanted(words: &[String], instance: Option<InstanceName>) -> Result<Wanted, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let state = |word: &str| State::of_word(&word.to_ascii_uppercase());
    let unknown =
        |word: &str| format!("\"{word}\" is none of master, backup, fault, stop and deleted");
    match words.as_slice() {
        [] if instance.is_some() => Err("say which state the instance has".to_owned()),
        [] => Ok(Wanted::Show),
        [word] => match state(word) {
            Some(state) => Ok(Wanted::Say(instance, state)),
            None => Err(unknown(word)),
        },
        ["GROUP", ..] => Ok(Wanted::Nothing),
        ["INSTANCE", name, word] | ["INSTANCE", name, word, _] => match state(word) {
            Some(state) => Ok(Wanted::Say(Some(name.parse()?), state)),
            // keepalived has more of them, such as MASTER_RX_LOWER_PRI.
            None => Ok(Wanted::Nothing),
        },
        [word, ..] => Err(format!("what follows \"{word}\" is not understood")),
    }
}

fn peer_line(peer: &PeerRow, out: &Output) -> String {
    let since = peer
        .since
        .map_or_else(String::new, |since| format!(" since {}", time(since)));
    let link = if peer.linked {
        format!("linked{since}")
    } else {
        let why = peer
            .fault
            .as_deref()
            .unwrap_or("nothing is heard of it yet");
        out.paint(Tone::Bad, &format!("not linked{since}: {why}"))
    };
    let left_out = match peer.left_out {
        0 => String::new(),
        count => {
            let text = format!("; {count} entries left out for want of room, see the log");
            out.paint(Tone::Bad, &text)
        }
    };
    let speaks = match peer.speaks {
        Some(true) => "tells people",
        Some(false) => "holds its messages",
        None => return format!("peer {} {link}{left_out}", peer.address),
    };
    let (address, name, role) = (peer.address, &peer.name, peer.role);
    let (outages, ahead) = (peer.outages, peer.ahead_ms);
    format!(
        "peer {address} ({name}) {link}; {role}, {speaks}, {outages} outages, clock {ahead:+} \
         ms{left_out}"
    )
}

fn print(answer: &RoleAnswer, out: &mut Output) -> std::io::Result<()> {
    let tone = match answer.role {
        Role::Alone | Role::Active => Tone::Good,
        Role::Standby => Tone::Odd,
        Role::Fault => Tone::Bad,
    };
    let role = out.paint(tone, answer.role.word());
    out.line(&format!(
        "{role} since {}: {}",
        time(answer.since),
        answer.why
    ))?;
    out.line(&speak_line(answer))?;
    if let Some(silence) = &answer.silence {
        out.line(&out.paint(Tone::Bad, &format!("warning: {silence}")))?;
    }
    if let Some(coming) = &answer.coming {
        let (role, at, why) = (coming.role, time(coming.time), &coming.why);
        let held = format!("held back until {at}, because the role changes too often");
        out.line(&out.paint(Tone::Odd, &format!("{held}: {role}, {why}")))?;
    }
    for vip in &answer.vips {
        let here = match vip.here {
            Some(true) => "here",
            Some(false) => "not here",
            None => "unknown",
        };
        out.line(&format!(
            "vip {} {here}: {}, {}",
            vip.address, vip.role, vip.why
        ))?;
    }
    for line in said_lines(answer) {
        out.line(&line)?;
    }
    if let Some(fifo) = &answer.fifo {
        let path = fifo.path.display();
        let state = match &fifo.trouble {
            Some(why) => out.paint(Tone::Bad, &format!("not listened to: {why}")),
            None => format!("{} words, {} other lines", fifo.words, fifo.others),
        };
        out.line(&format!("fifo {path} {state}"))?;
    }
    if let Some(peer) = &answer.peer {
        out.line(&peer_line(peer, out))?;
        if let Some((what, help)) = &peer.discord {
            out.line(&out.paint(Tone::Bad, &format!("WRONG: {what}")))?;
            out.line(&format!("       {help}"))?;
        }
    }
    if let Some(why) = &answer.blind {
        out.line(&out.paint(Tone::Bad, &format!("cannot see the addresses: {why}")))?;
    }
    sync_lines(answer.sync.as_ref(), out)
}

/// Whether people are told.
fn speak_line(answer: &RoleAnswer) -> String {
    let speak = &answer.speak;
    if answer.source == Some(wire::Source::Observer) {
        return format!("speak = {speak}: nobody is told, as lvsmon only observes here");
    }
    let speaks = if answer.speaks {
        "tells people"
    } else {
        "holds its messages"
    };
    let because = answer.speaks_because.as_ref();
    let because = because.map_or_else(String::new, |why| format!(", because {why}"));
    let held = answer.held;
    format!("speak = {speak}: this director {speaks}{because}, {held} held")
}

/// What of connection synchronisation is wanted and runs.
pub(super) fn sync_lines(sync: Option<&SyncRow>, out: &mut Output) -> std::io::Result<()> {
    let Some(sync) = sync else {
        return Ok(());
    };
    let running = match &sync.running {
        None => "unknown".to_owned(),
        Some(running) if running.is_empty() => "none".to_owned(),
        Some(running) => running.join("; "),
    };
    out.line(&format!("sync wanted {}, running {running}", sync.wanted))?;
    if let Some(why) = &sync.trouble {
        out.line(&out.paint(Tone::Bad, &format!("sync {why}")))?;
    }
    Ok(())
}

/// What was said of the instances that count; how many others there are and why they do not, and
/// for how many words there was no room.
fn said_lines(answer: &RoleAnswer) -> Vec<String> {
    let said = &answer.said;
    let counting = said.iter().filter(|said| said.counts);
    let mut lines: Vec<String> = counting
        .map(|said| format!("said {}", said_line(said)))
        .collect();
    let mut others: BTreeMap<Option<Uncounted>, usize> = BTreeMap::new();
    for said in said.iter().filter(|said| !said.counts) {
        *others.entry(said.uncounted).or_default() += 1;
    }
    lines.extend(
        others
            .into_iter()
            .map(|(why, count)| others_line(why, count)),
    );
    if answer.unkept > 0 {
        let (words, most) = (counted(answer.unkept, "word"), Facts::INSTANCES_MAX);
        lines.push(format!(
            "not kept: {words} on instances beyond the {most} that are known"
        ));
    }
    lines
}

/// So many instances do not count for this reason; none of a daemon that does not say it.
fn others_line(why: Option<Uncounted>, count: usize) -> String {
    let (does, it) = match count {
        1 => ("does", "it"),
        _ => ("do", "them"),
    };
    let why = match why {
        None => String::new(),
        Some(Uncounted::NoFifo) => ": the FIFO said it, and the file has no notify_fifo".to_owned(),
        Some(Uncounted::OthersNamed) => ": the file names others".to_owned(),
        Some(Uncounted::NotFirst) => {
            format!(": the file does not name {it}, and another is the first by name")
        }
    };
    let instances = match count {
        1 => "1 instance".to_owned(),
        count => format!("{count} instances"),
    };
    format!("said of {instances} more, which {does} not count{why} (see --json)")
}

fn said_line(said: &SaidRow) -> String {
    let of = match &said.instance {
        Some(name) => format!("{name}: "),
        None => String::new(),
    };
    let by = match said.source {
        Source::Fifo => "by the FIFO",
        Source::Command => "by lvsmon role",
    };
    format!("{of}{} {by} at {}", said.state, time(said.time))
}

/// A moment in the zone of whoever reads.
pub(super) fn time(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => {
            let time = time.to_zoned(TimeZone::system());
            time.strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        Err(_) => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::{PairSettings, RoleKeeper, SaidRole};
    use crate::time::{Mono, Now, Wall};

    fn words(text: &str) -> Result<Wanted, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        wanted(&words, None)
    }

    #[test]
    fn a_person_and_keepalived_say_the_role() {
        let of = |name: &str, state| Ok(Wanted::Say(Some(name.parse().unwrap()), state));
        assert_eq!(words(""), Ok(Wanted::Show));
        assert_eq!(words("master"), Ok(Wanted::Say(None, State::Master)));
        assert_eq!(words("FAULT"), Ok(Wanted::Say(None, State::Fault)));
        assert_eq!(words("INSTANCE VI_1 BACKUP 100"), of("VI_1", State::Backup));
        assert_eq!(words("INSTANCE VI_1 STOP"), of("VI_1", State::Stop));
        assert_eq!(
            words("INSTANCE VI_1 MASTER_PRIORITY 9"),
            Ok(Wanted::Nothing)
        );
        assert_eq!(words("GROUP VG_1 MASTER 100"), Ok(Wanted::Nothing));
        for wrong in [
            "MASTERS",
            "master backup",
            "VI_1 MASTER 100",
            "INSTANCE VI_1",
        ] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
        let named = wanted(&["stop".to_owned()], Some("a".parse().unwrap()));
        assert_eq!(named, of("a", State::Stop));
        assert!(wanted(&[], Some("a".parse().unwrap())).is_err());
    }

    #[test]
    fn of_many_instances_those_that_count_are_shown_and_the_others_counted() {
        let settings = PairSettings {
            notify_fifo: Some("/run/x".into()),
            notify_instance: Some("VI_9".parse().unwrap()),
            ..PairSettings::default()
        };
        let now = Now {
            wall: Wall::from_seconds(0),
            mono: Mono::ZERO,
        };
        let mut keeper = RoleKeeper::new(settings, Facts::default(), now);
        let mut hear = |name: &str| {
            let name = name.parse().unwrap();
            keeper.hear(Some(name), State::Master, Source::Fifo, now.wall);
        };
        hear("VI_9");
        for number in 0..300 {
            hear(&format!("A{number}"));
        }
        let lines = said_lines(&RoleAnswer::of(&keeper, now));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("said VI_9: MASTER by the FIFO"),
            "{lines:?}"
        );
        assert!(lines[1].contains("300 instances more"), "{lines:?}");
    }

    #[test]
    fn words_that_do_not_count_are_said_to_be_so_with_the_reason() {
        let now = Now {
            wall: Wall::from_seconds(0),
            mono: Mono::ZERO,
        };
        let lines = |fifo: Option<&str>, instance: Option<&str>, said: &[(&str, Source)]| {
            let settings = PairSettings {
                notify_fifo: fifo.map(Into::into),
                notify_instance: instance.map(|name| name.parse().unwrap()),
                ..PairSettings::default()
            };
            let mut keeper = RoleKeeper::new(settings, Facts::default(), now);
            for &(name, source) in said {
                let name = Some(name.parse().unwrap());
                keeper.hear(name, State::Backup, source, now.wall);
            }
            let mut lines = said_lines(&RoleAnswer::of(&keeper, now));
            lines.retain(|line| line.contains("count"));
            lines
        };
        let (fifo, command) = (Source::Fifo, Source::Command);
        assert_eq!(
            lines(None, None, &[("A", fifo)]),
            [
                "said of 1 instance more, which does not count: the FIFO said it, and \
                 the file has no notify_fifo (see --json)"
            ]
        );
        assert_eq!(
            lines(
                Some("/run/x"),
                Some("A"),
                &[("A", fifo), ("B", command), ("C", fifo)]
            ),
            [
                "said of 2 instances more, which do not count: the file names others \
                 (see --json)"
            ]
        );
        assert_eq!(
            lines(Some("/run/x"), None, &[("A", fifo), ("B", fifo)]),
            [
                "said of 1 instance more, which does not count: the file does not name it, and another is \
                 the first by name (see --json)"
            ]
        );
        // Each with its own reason.
        let mixed = lines(
            None,
            Some("A"),
            &[("B", command), ("A", fifo), ("B2", fifo)],
        );
        assert_eq!(
            mixed,
            [
                "said of 2 instances more, which do not count: the FIFO said it, and \
                 the file has no notify_fifo (see --json)",
                "said of 1 instance more, which does not count: the file names others (see --json)"
            ]
        );
    }

    #[test]
    fn words_on_instances_that_have_no_place_are_counted() {
        let now = Now {
            wall: Wall::from_seconds(0),
            mono: Mono::ZERO,
        };
        let settings = PairSettings {
            notify_fifo: Some("/run/x".into()),
            notify_instance: Some("VI_9".parse().unwrap()),
            ..PairSettings::default()
        };
        let mut keeper = RoleKeeper::new(settings, Facts::default(), now);
        let mut last_line = |number: usize| {
            let name = format!("A{number}").parse().unwrap();
            keeper.hear(Some(name), State::Master, Source::Fifo, now.wall);
            said_lines(&RoleAnswer::of(&keeper, now)).pop().unwrap()
        };
        for number in 0..Facts::INSTANCES_MAX {
            assert!(last_line(number).starts_with("said of "), "{number}");
        }
        let unkept = "not kept: 1 word on instances beyond the 512 that are known";
        assert_eq!(last_line(600), unkept);
        let unkept = "not kept: 2 words on instances beyond the 512 that are known";
        assert_eq!(last_line(600), unkept);
    }

    #[test]
    fn who_only_observes_is_not_said_to_tell_people() {
        let now = Now {
            wall: Wall::from_seconds(0),
            mono: Mono::ZERO,
        };
        let keeper = RoleKeeper::new(PairSettings::default(), Facts::default(), now);
        let line = |source| {
            speak_line(&RoleAnswer {
                source,
                ..RoleAnswer::of(&keeper, now)
            })
        };
        let director = "speak = active: this director tells people, 0 held";
        assert_eq!(line(None), director);
        assert_eq!(line(Some(wire::Source::Daemon)), director);
        assert_eq!(
            line(Some(wire::Source::Observer)),
            "speak = active: nobody is told, as lvsmon only observes here"
        );
    }

    #[test]
    fn the_line_of_the_peer_says_what_had_no_room() {
        let out = Output::standard();
        let line = |left_out, speaks| {
            let peer = PeerRow {
                address: "10.0.0.2:2586".parse().unwrap(),
                linked: true,
                since: None,
                fault: None,
                name: "lb2".to_owned(),
                role: SaidRole::Known(Role::Standby),
                speaks,
                outages: 2,
                ahead_ms: -3,
                discord: None,
                refused: 0,
                left_out,
            };
            peer_line(&peer, &out)
        };
        let said =
            "peer 10.0.0.2:2586 (lb2) linked; standby, holds its messages, 2 outages, clock -3 ms";
        let left_out = "; 7 entries left out for want of room, see the log";
        assert_eq!(line(0, Some(false)), said);
        assert_eq!(line(7, Some(false)), format!("{said}{left_out}"));
        // Also of one that has not said a word of its own yet.
        assert_eq!(line(0, None), "peer 10.0.0.2:2586 linked");
        assert_eq!(
            line(7, None),
            format!("peer 10.0.0.2:2586 linked{left_out}")
        );
    }
}
