//! The table of the verdicts, and what is kept of them. A story is a word of one letter a check:
//! `+` good, `-` bad, `!` surely bad, `?` says nothing.

use std::num::NonZeroU32;

use super::*;
use crate::engine::fixture;
use crate::lvs::{Forwarding, RealServer, Scheduler, VirtualService, Weight};
use crate::model::{Counts, DeclaredServer, DeclaredService, OwnRules};

const WEB: ServiceId = ServiceId(0);
const NOW: Wall = Wall::from_seconds(fixture::EPOCH);

fn key(port: u16) -> VirtualServiceKey {
    format!("10.0.0.3:{port}/tcp").parse().unwrap()
}

/// A section for the hosts `h1 h2` of `web/http`.
fn section(port: u16, fall: u32, rise: u32, recheck: u64) -> DeclaredService {
    let settings = VirtualService::plain(key(port).family(), Scheduler::wlc());
    let mut section = DeclaredService::new(key(port), settings);
    section.counts = Counts {
        fall: NonZeroU32::new(fall).unwrap(),
        rise: NonZeroU32::new(rise).unwrap(),
        recheck: Duration::from_millis(recheck),
    };
    let servers = ["h1", "h2"].map(|host| DeclaredServer {
        host: HostName::new(host),
        port,
        settings: RealServer::new(Forwarding::Dr, Weight(1)),
        own: OwnRules::default(),
        judges: vec![DeclaredJudge {
            service: WEB,
            verdict: JudgedBy::Host,
        }],
    });
    section.servers = servers.into();
    section
}

fn model(sections: Vec<DeclaredService>) -> Model {
    let services = vec![fixture::service("web", "http"), fixture::service("b", "c")];
    let mut model = fixture::model(services);
    model.virtual_services = sections;
    model
}

fn part(host: &str) -> Part {
    Part::Host(HostName::new(host))
}

struct Teller {
    model: Model,
    tally: Tally,
    journal: Saved,
}

impl Teller {
    fn new(sections: Vec<DeclaredService>) -> Self {
        let model = model(sections);
        let mut tally = Tally::default();
        assert_eq!(tally.declare(&model, &Past::default()), []);
        let journal = Saved::default();
        Self {
            model,
            tally,
            journal,
        }
    }

    fn keep(&mut self, actions: Vec<Action>) {
        for action in actions {
            let Action::Record(record) = action else {
                panic!("{action:?} is no record")
            };
            if record.value.is_null() {
                assert!(self.journal.records.remove(&record.key).is_some());
            } else {
                self.journal.records.insert(record.key, record.value);
            }
        }
    }

    /// What `host` says, check by check; answers with the sections whose verdict changed last.
    fn hear(&mut self, host: &str, story: &str) -> BTreeSet<VirtualServiceKey> {
        let mut changed = BTreeSet::new();
        for letter in story.chars() {
            let opinion = match letter {
                '+' => Opinion::Good,
                '-' => Opinion::Bad(Reason::Timeout),
                '!' => Opinion::Surely(Reason::Refused),
                '?' => Opinion::Unknown,
                _ => panic!("{letter}"),
            };
            let (keys, actions) = self
                .tally
                .hear(&self.model, (WEB, &part(host)), opinion, NOW);
            self.keep(actions);
            changed = keys;
        }
        changed
    }

    fn verdict(&self, port: u16, host: &str) -> char {
        match self.tally.verdict(key(port), WEB, &part(host)) {
            Some(Verdict::Good) => '+',
            Some(Verdict::Bad { .. }) => '-',
            None => ' ',
        }
    }
}

#[test]
fn fall_and_rise_make_verdicts_with_hysteresis() {
    // fall, rise, story, the verdict after each check.
    let cases = [
        (1, 1, "+-+-", "+-+-"),
        (1, 1, "-?+", "--+"),
        (3, 2, "+--+---", "++++++-"),
        (3, 2, "--+", "  +"),
        (3, 2, "----++", "  ---+"),
        (3, 2, "---+-++", "  ----+"),
        (3, 2, "+-?-?-", "+++++-"),
        (3, 2, "---+?+", "  ---+"),
        (3, 2, "+!+", "+--"),
        (3, 2, "!++", "--+"),
        (2, 9, "??", "  "),
    ];
    for (fall, rise, story, expected) in cases {
        let mut teller = Teller::new(vec![section(80, fall, rise, 500)]);
        let mut verdicts = String::new();
        for letter in story.chars() {
            let before = teller.verdict(80, "h1");
            let changed = teller.hear("h1", &letter.to_string());
            let after = teller.verdict(80, "h1");
            assert_eq!(changed.contains(&key(80)), before != after, "{story}");
            verdicts.push(after);
            assert_eq!(teller.verdict(80, "h2"), ' ');
        }
        assert_eq!(verdicts, expected, "fall {fall} rise {rise}: {story}");
    }
}

#[test]
fn each_section_makes_its_own_verdict_of_the_same_checks() {
    let mut teller = Teller::new(vec![section(80, 1, 1, 500), section(81, 2, 3, 500)]);
    assert_eq!(teller.hear("h1", "+"), [key(80), key(81)].into());
    assert_eq!(teller.hear("h1", "-"), [key(80)].into());
    assert_eq!(teller.hear("h1", "-"), [key(81)].into());
    assert_eq!(teller.hear("h1", "-"), BTreeSet::new());
    assert_eq!(teller.hear("h1", "+"), [key(80)].into());
    assert_eq!(teller.hear("h1", "++"), [key(81)].into());
}

#[test]
fn a_running_count_asks_for_a_check_soon() {
    let mut teller = Teller::new(vec![section(80, 3, 1, 700), section(81, 2, 1, 500)]);
    let hosts = |hosts: &[&str], gap| {
        let hosts = hosts.iter().map(|host| HostName::new(host)).collect();
        Some(Recheck {
            scope: RecheckScope::Hosts(hosts),
            gap: Duration::from_millis(gap),
        })
    };
    assert_eq!(teller.tally.wants_recheck(WEB, |_| true), None);
    teller.hear("h2", "+-");
    assert_eq!(
        teller.tally.wants_recheck(WEB, |_| true),
        hosts(&["h2"], 500)
    );
    assert_eq!(teller.tally.wants_recheck(ServiceId(1), |_| true), None);
    // The section with `fall 2` has its verdict, the other still counts.
    teller.hear("h2", "-");
    assert_eq!(
        teller.tally.wants_recheck(WEB, |_| true),
        hosts(&["h2"], 700)
    );
    teller.hear("h1", "-");
    assert_eq!(
        teller.tally.wants_recheck(WEB, |_| true),
        hosts(&["h1", "h2"], 500)
    );
    teller.hear("h2", "-");
    teller.hear("h1", "+");
    assert_eq!(teller.tally.wants_recheck(WEB, |_| true), None);
    // Bad already: one more failure on the way up asks for nothing.
    teller.hear("h2", "?");
    assert_eq!(teller.tally.wants_recheck(WEB, |_| true), None);
}

#[test]
fn a_server_that_is_judged_by_the_whole_service_asks_for_all_of_it() {
    let mut section = section(80, 2, 1, 500);
    section.servers[0].judges[0].verdict = JudgedBy::Whole;
    let mut teller = Teller::new(vec![section]);
    let bad = Opinion::Bad(Reason::Exit);
    let (changed, actions) = teller
        .tally
        .hear(&teller.model, (WEB, &Part::Whole), bad, NOW);
    assert_eq!((changed, actions), (BTreeSet::new(), Vec::new()));
    teller.hear("h2", "-");
    let recheck = teller.tally.wants_recheck(WEB, |_| true).unwrap();
    assert_eq!(recheck.scope, RecheckScope::Service);
}

#[test]
fn a_restart_remembers_what_failed_and_a_reload_all_that_is_still_there() {
    let mut teller = Teller::new(vec![section(80, 1, 2, 500), section(81, 1, 1, 500)]);
    teller.hear("h1", "-");
    teller.hear("h2", "+-+");
    assert_eq!(teller.journal.records.len(), 3);
    let anew = teller.tally.record_all(&teller.model);
    assert_eq!(anew.len(), 3);

    let mut restarted = Tally::default();
    restarted.declare(&teller.model, &Past::default());
    assert_eq!(
        restarted.restore(
            (&teller.model, &teller.model.service_names()),
            &teller.journal,
            |_| true,
            |_, _, _| false
        ),
        []
    );
    std::mem::swap(&mut teller.tally, &mut restarted);
    let verdicts = |teller: &Teller| {
        [(80, "h1"), (80, "h2"), (81, "h1"), (81, "h2")]
            .map(|(port, host)| teller.verdict(port, host))
    };
    assert_eq!(verdicts(&teller), ['-', '-', '-', ' ']);
    // Half a streak is not kept: both good checks are wanted again.
    teller.hear("h2", "+");
    assert_eq!(verdicts(&teller), ['-', '-', '-', '+']);

    // A section that goes takes its records with it, the others keep what they know.
    let fewer = model(vec![section(80, 1, 2, 500)]);
    let actions = teller.tally.declare(&fewer, &Past::default());
    assert_eq!(actions.len(), 1);
    teller.keep(actions);
    teller.model = fewer;
    assert_eq!(teller.verdict(80, "h1"), '-');
    teller.hear("h2", "+");
    assert_eq!(teller.verdict(80, "h2"), '+');
    let actions = teller.tally.forget(&teller.model);
    teller.keep(actions);
    assert_eq!(teller.verdict(80, "h1"), ' ');
    assert!(teller.journal.records.is_empty());
}

#[test]
fn a_section_that_is_new_at_a_start_begins_with_the_failures_of_the_others() {
    type Ports = &'static [u16];
    // The file of before, the file now, which of it was declared before, the verdicts now.
    let cases: [(Ports, Ports, Ports, &str); 5] = [
        (&[80], &[81], &[], "-"),
        (&[80], &[80, 81], &[80], "--"),
        // It was there, and found h1 good, or nothing yet.
        (&[80], &[80, 81], &[80, 81], "- "),
        // What is known of it by its own records is its own.
        (&[80, 81], &[80, 81, 82], &[], "---"),
        (&[80], &[], &[], ""),
    ];
    let file = |ports: &[u16]| ports.iter().map(|&port| section(port, 1, 1, 500)).collect();
    for (before, now, declared, expected) in cases {
        let mut teller = Teller::new(file(before));
        teller.hear("h1", "-");
        teller.hear("h2", "+");
        teller.model = model(file(now));
        teller.tally = Tally::default();
        teller.tally.declare(&teller.model, &Past::default());
        let is_known = |it| declared.iter().any(|&port| key(port) == it);
        let actions = teller.tally.restore(
            (&teller.model, &teller.model.service_names()),
            &teller.journal,
            is_known,
            |_, _, _| false,
        );
        teller.keep(actions);
        let verdicts: String = now.iter().map(|&port| teller.verdict(port, "h1")).collect();
        assert_eq!(verdicts, expected, "{before:?} {now:?} {declared:?}");
        assert!(now.iter().all(|&port| teller.verdict(port, "h2") == ' '));
        let anew = teller.tally.record_all(&teller.model);
        assert_eq!(anew.len(), teller.journal.records.len());
    }
}

#[test]
fn records_that_make_no_sense_are_forgotten() {
    let model = model(vec![section(80, 1, 1, 500)]);
    let mut journal = Saved::default();
    let gone = serde_json::json!({
        "virtual_service": "10.0.0.3:80/tcp", "group": "web", "service": "gone",
        "host": "h1", "reason": "exit", "since": 5,
    });
    journal.records.insert("verdict a".to_owned(), gone);
    journal
        .records
        .insert("verdict b".to_owned(), serde_json::json!(7));
    journal
        .records
        .insert("other".to_owned(), serde_json::json!(7));
    let mut tally = Tally::default();
    tally.declare(&model, &Past::default());
    let names = model.service_names();
    let actions = tally.restore((&model, &names), &journal, |_| true, |_, _, _| false);
    assert_eq!(actions.len(), 2);
}

#[test]
fn a_section_that_begins_to_listen_counts_what_was_counted_before() {
    // fall and rise of the old section, the story, those of the new one, its first verdict.
    let cases = [
        ((1, 1), "-", (3, 1), '-'),
        ((1, 1), "+", (3, 1), '+'),
        ((1, 9), "-++", (1, 2), '+'),
        ((1, 9), "-+", (1, 2), '-'),
        ((3, 1), "+-", (3, 1), '+'),
        ((3, 1), "-", (3, 1), ' '),
        ((3, 1), "", (3, 1), ' '),
        ((3, 1), "-", (1, 1), '-'),
        ((3, 1), "+--", (2, 1), '-'),
    ];
    for ((fall, rise), story, (own_fall, own_rise), expected) in cases {
        let mut teller = Teller::new(vec![section(80, fall, rise, 500)]);
        teller.hear("h1", story);
        // With another monitor what the old section makes of it is all there is.
        let old = teller.verdict(80, "h1");
        for (unchanged, expected) in [([WEB].into(), expected), (BTreeSet::new(), old)] {
            let new = section(81, own_fall, own_rise, 500);
            let model = self::model(vec![section(80, fall, rise, 500), new]);
            let past = Past {
                unchanged,
                ..Past::default()
            };
            let mut actions = teller.tally.declare(&model, &past);
            actions.extend(teller.tally.recount(&model, NOW));
            teller.keep(actions);
            assert_eq!(teller.verdict(81, "h1"), expected, "{story}");
            let kept = teller.journal.records.keys();
            let of_it = kept.filter(|it| it.contains(":81/")).count();
            assert_eq!(of_it, usize::from(expected == '-'), "{story}");
            // Once more as it was.
            let model = self::model(vec![section(80, fall, rise, 500)]);
            let actions = teller.tally.declare(&model, &past);
            teller.keep(actions);
        }
    }
}

#[test]
fn a_section_that_begins_to_listen_begins_with_bad_where_the_others_differ() {
    let others = || vec![section(80, 3, 1, 500), section(81, 1, 1, 500)];
    let mut teller = Teller::new(others());
    teller.hear("h1", "+-");
    assert_eq!([80, 81].map(|port| teller.verdict(port, "h1")), ['+', '-']);
    let mut all = others();
    all.push(section(82, 3, 1, 500));
    let model = model(all);
    let past = Past {
        unchanged: [WEB].into(),
        ..Past::default()
    };
    teller.tally.declare(&model, &past);
    teller.tally.recount(&model, NOW);
    assert_eq!(teller.verdict(82, "h1"), '-');
}
