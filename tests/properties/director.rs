//! What no input may do to a director: files of ldirectord and keepalived, requests on the control
//! socket, words of the peer, of VRRP's FIFO.
//!
//! Bodies of fuzz targets as those in `bodies`, which need no engine with checks and alerts.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lvsmon::config;
use lvsmon::engine::Engine;
use lvsmon::engine::desk::WishDesk;
use lvsmon::engine::event::{Aim, Event, Order, PeerTold, RealServerName, Wish};
use lvsmon::engine::saved::Saved;
use lvsmon::import::{self, Format, Include, Reading, Refused};
use lvsmon::pair::fifo::{Announcement, LINE_MAX, LineReader};
use lvsmon::pair::role::{Facts, Source};
use lvsmon::pair::talk::{End, Greeting, Heard, Key, Life, Own, Session, Talk, Word};
use lvsmon::pair::{PairSettings, RoleKeeper, Speaking};
use lvsmon::time::{Mono, Now, Wall};
use lvsmon::wire::{Asked, Request};

/// 2024-03-13 10:00 UTC
const START: Wall = Wall::from_seconds(1_710_324_000);

/// A director with one section.
const DIRECTOR: &str = "\
hostgroup web 192.168.0.1 192.168.0.2

watch web
    service http
        interval 10s
        monitor http.monitor
        period wd {Sun-Sat}
            alert mail.alert ops

virtual 10.0.0.3:80
    real web weight 5
    fallback 192.168.0.3
    service web:http
    min_live 1
    fall 2

";

fn begin() -> (Engine, Now) {
    let now = Now {
        mono: Mono::ZERO,
        wall: START,
    };
    let (mut model, _) = config::load_text(DIRECTOR).expect("a good configuration");
    model.globals.peer.address = Some(([192, 0, 2, 2], 2584).into());
    let zone = TimeZone::UTC;
    let mut engine = Engine::new(Arc::new(model), &Saved::default(), 7, zone, now);
    engine.handle(now, Event::Start);
    (engine, now)
}

/// Time goes on for a while.
fn goes_on(engine: &mut Engine, mut now: Now) {
    for _ in 0..5 {
        let Some(due) = engine.next_deadline() else {
            return;
        };
        assert!(due > now.mono, "a deadline in the past");
        now.wall = now.wall.after(due.since(now.mono));
        now.mono = due;
        engine.handle(now, Event::Deadline);
    }
    let _ = engine.real_servers();
}

/// A file of ldirectord or keepalived: what is written of it loads, and holds no line of its own.
pub(crate) fn imported(bytes: &[u8]) {
    for format in [None, Some(Format::Ldirectord), Some(Format::Keepalived)] {
        let reading = Reading {
            format,
            config_id: None,
        };
        let mut files = |_: &Include| Ok(vec![("x".to_owned(), bytes.to_vec())]);
        let imported = match import::import(&reading, "f", bytes, &mut files) {
            Ok(imported) => imported,
            Err(Refused::Empty { remarks, unsaid }) => {
                assert!(unsaid == 0 || !remarks.is_empty());
                continue;
            }
            Err(Refused::TooLarge | Refused::Binary | Refused::Unknown) => continue,
        };
        if let Err(mistakes) = config::load_text(&imported.text) {
            panic!("{mistakes:#?}\n{}", imported.text);
        }
        for line in imported.text.lines() {
            assert!(
                !line.contains(|it: char| it.is_control() && it != '\t'),
                "{line:?}"
            );
        }
    }
}

/// What others write into the FIFO: the same lines however the bytes come, and a role that follows.
pub(crate) fn fifo(bytes: &[u8]) {
    let read = |part: usize| {
        let (mut reader, mut said) = (LineReader::default(), Vec::new());
        for piece in bytes.chunks(part) {
            reader.take(piece, |one| said.push(one));
        }
        said
    };
    let said = read(LINE_MAX * 3);
    for part in [1, 7] {
        assert_eq!(read(part), said);
    }
    let mut now = Now {
        mono: Mono::ZERO,
        wall: START,
    };
    let settings = PairSettings {
        notify_fifo: Some("/run/x".into()),
        ..PairSettings::default()
    };
    let mut keeper = RoleKeeper::new(settings, Facts::default(), now);
    for one in said {
        match one {
            Announcement::Instance { name, state } => {
                assert!(!name.as_str().is_empty());
                keeper.hear(Some(name), state, Source::Fifo, now.wall);
            }
            Announcement::Other(text) => {
                assert!(!text.contains(char::is_control), "{text:?}");
                assert!(text.len() <= LINE_MAX);
            }
            Announcement::TooLong => {}
        }
        keeper.settle(now);
        now.mono = now.mono.after(Duration::from_millis(100));
    }
    // What is held back holds in the end.
    now.mono = now.mono.after(Duration::from_secs(600));
    keeper.settle(now);
    assert!(keeper.settled());
    assert!(keeper.facts().said.len() <= Facts::INSTANCES_MAX);
}

/// Lines on the control socket: what is understood is written the same, and carried out or refused.
pub(crate) fn request(bytes: &[u8]) {
    let (mut engine, now) = begin();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Ok(asked) = serde_json::from_slice::<Asked>(line) else {
            continue;
        };
        let text = serde_json::to_vec(&asked).expect("a request");
        assert_eq!(
            serde_json::from_slice::<Asked>(&text).ok().as_ref(),
            Some(&asked)
        );
        match asked.request {
            Request::Wish(desire) => {
                let order = Order {
                    aim: desire.aim,
                    wish: desire.wish,
                    span: desire.for_s.map(Duration::from_secs),
                    by: desire.login.unwrap_or_default(),
                    reason: desire.reason,
                    caution: desire.caution,
                };
                engine.handle(now, Event::Operator(Wish::Manual(order)));
            }
            Request::Enable { server, within } => {
                let server = RealServerName(server);
                let aim = Aim { server, within };
                engine.handle(now, Event::Operator(Wish::EnableServer(aim)));
            }
            Request::Server(aim) => {
                if let Err(why) = engine.real_servers_called(&aim) {
                    assert!(!why.into_text().is_empty());
                }
            }
            Request::Table
            | Request::Services { .. }
            | Request::Events { .. }
            | Request::Why { .. }
            | Request::Role
            | Request::SetRole { .. }
            | Request::Health
            | Request::Metrics => {}
        }
    }
    goes_on(&mut engine, now);
}

/// What comes over the link: as greeting and as lines nobody gets in with them, and words of a peer
/// with the key make neither the talk nor the engine break, and can be told on.
pub(crate) fn peer(bytes: &[u8]) {
    let own = Greeting {
        nonce: [1; 32],
        life: Life(1),
    };
    let key = Key::new(b"a key that both have").expect("long enough");
    let theirs = Greeting::of_line(bytes).unwrap_or(Greeting {
        nonce: [2; 32],
        life: Life(2),
    });
    if let Ok(mut session) = Session::new(&key, End::Called, &own, &theirs) {
        for line in bytes.split(|&byte| byte == b'\n') {
            assert!(session.verifier.open(line).is_err() && !session.is_open());
        }
    }
    let (mut engine, now) = begin();
    let (mut talk, mut third) = (Talk::new("one"), Talk::new("three"));
    let mut desk = WishDesk::restore(&Saved::default(), &engine, 1);
    talk.tell(Own::default());
    talk.linked();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Ok(word) = Word::of_text(line) else {
            continue;
        };
        assert_eq!(Word::of_text(word.text().as_bytes()).as_ref(), Ok(&word));
        match talk.hear(now, word) {
            Ok(None | Some(Heard::Delivered(_))) => {}
            Ok(Some(Heard::State)) => {
                let told = PeerTold {
                    peer: Speaking::Speaks,
                    ..PeerTold::of(talk.peer(), true, Speaking::Silent)
                };
                engine.handle(now, Event::Peer(told));
            }
            Ok(Some(Heard::Wishes(heard))) => {
                let (_, errand) = desk.hear(now, &engine, heard);
                if let Some(errand) = errand {
                    engine.handle(now, errand.event());
                    desk.ran(errand, now, &engine);
                }
            }
            // The link ends.
            Err(_) => talk.linked(),
        }
    }
    goes_on(&mut engine, now);
    // What it comes to is told to a third that knows nothing of it.
    let (wishes, _) = desk.tell(now, &engine);
    talk.tell(Own {
        outages: Arc::clone(&talk.peer().outages),
        wishes,
        ..Own::default()
    });
    talk.linked();
    third.linked();
    let mut lines = 0;
    while let Some(word) = talk.say(now) {
        lines += 1;
        assert!(lines < 10_000, "it never ends");
        let word = Word::of_text(word.text().as_bytes()).expect("what is said is understood");
        assert!(third.hear(now, word).is_ok());
    }
}
