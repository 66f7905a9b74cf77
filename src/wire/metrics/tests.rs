//! What is gathered of an engine, and the text to the letter.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{
    Action, Aim, Caution, Event, Memory, Order, RealServerName, TableLook, Wish,
};
use crate::engine::fixture::{at, exited};
use crate::engine::saved::Saved;
use crate::lvs::{Command, Forwarding, Scheduler, TableEntry, VirtualService, Weight};

/// Two services that decide about three real servers, of which one has no address.
const FILE: &str = "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  interval 10s\n  \
                    monitor x.monitor\n service ping\n  interval 10s\n  monitor x.monitor\n\n\
                    virtual 10.0.0.3:80\n real web weight 5\n real nowhere.example weight 1 service none\n \
                    service web:http\n fall 1\n min_live 1\n fallback 192.168.0.9\n";

/// After one run of `http` that names the second server.
fn engine() -> Engine {
    named("192.168.0.2\n", FILE)
}

/// After one run of `http` with these words.
fn named(words: &str, file: &str) -> Engine {
    let (model, _) = crate::config::load_text(file).expect("a good file");
    let mut engine = Engine::new(
        Arc::new(model),
        &Saved::default(),
        1,
        TimeZone::UTC,
        at(0.0),
    );
    let mut actions = engine.handle(at(0.0), Event::Start);
    let looked = TableOutcome {
        wanted: Arc::new(engine.desired().clone()),
        ..seen()
    };
    actions.extend(engine.handle(at(0.0), Event::Table(looked)));
    let mut begun = actions.into_iter().filter_map(|action| {
        if let Action::Start(run) = action {
            Some((run.service.0, run.id))
        } else {
            None
        }
    });
    let first = begun.find(|(service, _)| *service == 0);
    let report = exited(1, words);
    engine.handle(
        at(0.5),
        Event::RunEnded {
            run: first.expect("a run").1,
            report,
        },
    );
    engine
}

/// The kernel has the first server with another weight, and the second.
fn seen() -> TableOutcome {
    let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
    let server = |last: u8, weight| {
        let key = RealServerKey(format!("192.168.0.{last}:80").parse().unwrap());
        (key, RealServer::new(Forwarding::Dr, Weight(weight)))
    };
    let entry = TableEntry {
        service: VirtualService::plain(key.family(), Scheduler::wlc()),
        servers: [server(1, 3), server(2, 5)].into(),
    };
    TableOutcome {
        table: TableLook::Read(Arc::new([(key, entry)].into())),
        refused: vec![(Command::DeleteService(key), "no".to_owned())],
        ..TableOutcome::default()
    }
}

#[test]
fn what_is_gathered_is_what_the_engine_knows() {
    let metrics = EngineMetrics::of(&engine(), &seen(), at(2.5));
    let [http, ping] = metrics.services.as_slice() else {
        panic!("{:?}", metrics.services)
    };
    assert_eq!(
        (http.runs, http.checked, http.result_age_ms, http.took_ms),
        (true, true, Some(2_000), Some(500))
    );
    assert_eq!((http.status, http.failures), (ServiceStatus::Fail, 1));
    assert_eq!(http.reasons, [Reason::Exit].into());
    assert_eq!(
        (ping.runs, ping.checked, ping.result_age_ms, ping.status),
        (true, false, None, ServiceStatus::Untested)
    );
    let [section] = metrics.virtual_services.as_slice() else {
        panic!("{:?}", metrics.virtual_services)
    };
    assert_eq!(section.virtual_service, "10.0.0.3:80/tcp");
    assert_eq!(section.in_kernel, Some(2));
    let whole = section.section.unwrap();
    assert_eq!((whole.min_live, whole.is_fallback), (1, Some(false)));
    let names: Vec<&str> = section.real_servers.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "192.168.0.1:80",
            "192.168.0.2:80",
            "192.168.0.9:80",
            "nowhere.example"
        ]
    );
    let first = &section.real_servers["192.168.0.1:80"];
    assert_eq!(
        (first.wanted, first.wanted_weight, first.kernel_weight),
        (ServerWanted::In, Some(5), Some(3))
    );
    assert!(first.checked && first.out.is_empty());
    let second = &section.real_servers["192.168.0.2:80"];
    assert_eq!(
        (second.wanted, second.wanted_weight),
        (ServerWanted::Out, None)
    );
    assert_eq!((second.is_in, second.checked), (Some(true), true));
    assert_eq!(second.out, [OutReason::Check(Reason::Exit)].into());
    let nowhere = &section.real_servers["nowhere.example"];
    assert_eq!((nowhere.is_in, nowhere.checked), (Some(false), false));
    // The first has another weight, the second is to go, the fallback waits.
    assert_eq!((metrics.differences, metrics.refused), (Some(2), 1));
    // What nobody could look at is not known.
    let blind = EngineMetrics::of(&engine(), &TableOutcome::default(), at(2.5));
    assert_eq!(blind.differences, None);
    assert_eq!(blind.virtual_services[0].in_kernel, None);
    let first = &blind.virtual_services[0].real_servers["192.168.0.1:80"];
    assert_eq!((first.is_in, first.kernel_weight), (None, None));
}

/// Why each real server of the section is out, as the text has it.
fn out(engine: &Engine) -> Vec<String> {
    let engine = EngineMetrics::of(engine, &seen(), at(9.0));
    let text = text(&MetricsAnswer {
        engine,
        ..example()
    });
    let lines = text.lines().filter_map(|line| {
        let (name, labels) = line.split_once('{')?;
        let server = labels.split_once("real_server=\"")?.1.split_once('"')?.0;
        match name {
            "lvsmon_real_server_out_reason" => {
                let reason = labels.split_once("reason=\"")?.1.split_once('"')?.0;
                Some(format!("{server} {reason}"))
            }
            "lvsmon_real_server_kept" => {
                let value = labels.rsplit_once(' ')?.1;
                (value == "1").then(|| format!("{server} kept"))
            }
            _ => None,
        }
    });
    lines.collect()
}

#[test]
fn each_server_that_is_out_has_its_reason_and_one_that_is_kept_in_has_none() {
    let fallback = "192.168.0.9:80 not_needed";
    let mut failing = engine();
    assert_eq!(out(&failing), ["192.168.0.2:80 exit", fallback]);
    for (wish, reasons) in [
        (ManualWish::Quiesce, &[][..]),
        (ManualWish::Disable, &["192.168.0.1:80 wish"]),
    ] {
        let order = Order {
            aim: Aim {
                server: RealServerName("192.168.0.1".to_owned()),
                within: None,
            },
            wish,
            span: None,
            by: "ann".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        failing.handle(at(4.0), Event::Operator(Wish::Manual(order)));
        let out = out(&failing);
        let of_first: Vec<&String> = out
            .iter()
            .filter(|it| it.starts_with("192.168.0.1:"))
            .collect();
        assert_eq!(of_first, reasons, "{wish:?}");
    }
    let alone = FILE.replace(" fallback 192.168.0.9\n", "");
    let kept = named("192.168.0.1 192.168.0.2\n", &alone);
    let out = out(&kept);
    let kept: Vec<&String> = out.iter().filter(|it| it.ends_with(" kept")).collect();
    assert_eq!((out.len(), kept.len()), (2, 1), "{out:?}");
    let reason = out.iter().find(|it| it.ends_with(" exit")).unwrap();
    assert_ne!(reason[..11], kept[0][..11]);
}

/// The names that stand for what each is out for are those of the documents.
#[test]
fn one_that_is_out_by_no_check_of_its_own_says_what_keeps_it_out() {
    let untested = FILE.replace(" fall 1\n", " fall 1\n initial out\n service web:ping\n");
    let out_of = |engine: &Engine, server: &str| -> Vec<String> {
        let out = out(engine).into_iter();
        let of = out.filter_map(|it| Some(it.strip_prefix(server)?.trim().to_owned()));
        of.collect()
    };
    let engine_of_untested = named("192.168.0.2\n", &untested);
    assert_eq!(out_of(&engine_of_untested, "192.168.0.1:80"), ["untested"]);

    let mut shrunk = engine();
    let file = FILE.replace("web 192.168.0.1 192.168.0.2", "web 192.168.0.2");
    // It might be what has left.
    let file = file.replace(" real nowhere.example weight 1 service none\n", "");
    let (model, _) = crate::config::load_text(&file).expect("a good file");
    let (model, memory) = (Arc::new(model), Memory::Kept);
    shrunk.handle(at(5.0), Event::Reload { model, memory });
    assert_eq!(out_of(&shrunk, "192.168.0.1:80"), ["undeclared"]);

    let line = "lvs.alert -P tcp -V 10.0.0.3:80 -W 5 -F dr -B -S wrr";
    let lines = format!(
        "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  interval 10s\n  \
         monitor x.monitor\n  period\n   alert {line} -D\n   upalert {line}\n"
    );
    let withdrawn = named("192.168.0.2\n", &lines);
    assert_eq!(out_of(&withdrawn, "192.168.0.1:80"), ["virtual_service"]);
    assert_eq!(out_of(&withdrawn, "192.168.0.2:80"), ["exit"]);
}

/// One that fails, and one that was never checked and has an odd name.
fn example_services() -> Vec<ServiceMetrics> {
    let service = ServiceMetrics {
        group: "web".to_owned(),
        service: "http".to_owned(),
        status: ServiceStatus::Fail,
        runs: true,
        checked: true,
        result_age_ms: Some(12_034),
        took_ms: Some(7),
        failures: 3,
        reasons: [Reason::Refused, Reason::Timeout].into(),
    };
    let unchecked = ServiceMetrics {
        group: "a \"b\" \\ c\nd".to_owned(),
        service: "ping".to_owned(),
        status: ServiceStatus::Untested,
        checked: false,
        result_age_ms: None,
        took_ms: None,
        failures: 0,
        reasons: BTreeSet::new(),
        ..service.clone()
    };
    vec![service, unchecked]
}

/// One real server that is drained, and one that is out.
fn example_section() -> VirtualMetrics {
    let server = RealServerMetrics {
        wanted: ServerWanted::In,
        wanted_weight: Some(5),
        is_in: Some(true),
        kernel_weight: Some(0),
        checked: true,
        out: BTreeSet::new(),
        is_kept: Some(false),
        wish: Some(ManualWish::Drain { limit_s: 60 }),
    };
    let out = RealServerMetrics {
        wanted: ServerWanted::Out,
        wanted_weight: None,
        is_in: Some(false),
        kernel_weight: None,
        out: [OutReason::Check(Reason::Timeout), OutReason::Wish].into(),
        wish: None,
        ..server.clone()
    };
    VirtualMetrics {
        virtual_service: "10.0.0.3:80/tcp".to_owned(),
        wanted: 1,
        in_kernel: Some(1),
        section: Some(SectionMetrics {
            live: 1,
            min_live: 1,
            is_fallback: None,
        }),
        real_servers: [
            ("192.168.0.1:80".to_owned(), server),
            ("192.168.0.2:80".to_owned(), out),
        ]
        .into(),
    }
}

pub(crate) fn example() -> MetricsAnswer {
    MetricsAnswer {
        version: "0.1.0".to_owned(),
        source: Source::Daemon,
        health: HealthAnswer {
            checks: 2,
            up_s: 61,
            ..HealthAnswer::default()
        },
        pair: PairMetrics {
            role: Role::Standby,
            speaks: false,
            is_linked: Some(true),
        },
        is_reload_refused: false,
        engine: EngineMetrics {
            services: example_services(),
            virtual_services: vec![example_section()],
            cut_off: 1,
            skipped_slots: 4,
            differences: Some(1),
            refused: 1,
            contested: 0,
        },
        applier: ApplierMetrics {
            look_age_ms: Some(900),
            is_readable: true,
            applied: 9,
            drift: 2,
            refusals: 5,
        },
        deliveries: DeliveryMetrics {
            waiting: 3,
            held: 2,
            sent: 7,
            elsewhere: 1,
            given_up: 0,
            is_spool_good: true,
        },
        journal: JournalMetrics {
            is_good: true,
            losses: 0,
        },
    }
}

/// The samples alone: what HELP says is prose.
fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn the_text_is_this_to_the_letter() {
    let text = text(&example());
    let expected = include_str!("example.prom");
    assert_eq!(samples(&text), samples(expected));
    assert_eq!(text, expected);
}

#[test]
fn each_metric_has_its_heading_once_and_all_of_its_samples_below() {
    let text = text(&example());
    assert!(text.ends_with('\n'));
    let mut seen = BTreeSet::new();
    let (mut name, mut lines) = ("", text.lines());
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            name = help.split(' ').next().unwrap();
            assert!(seen.insert(name), "{name} comes twice");
            let kind = lines.next().unwrap();
            let kind = kind.strip_prefix(&format!("# TYPE {name} ")).expect(kind);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        } else {
            let end = line.find(['{', ' ']).unwrap();
            assert_eq!(&line[..end], name);
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
}

#[test]
fn no_two_samples_have_the_same_labels() {
    let text = text(&example());
    let samples = samples(&text);
    let of = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
    let series: BTreeSet<String> = samples.iter().map(|line| of(line)).collect();
    assert_eq!(series.len(), samples.len());
}

#[test]
fn work_grows_with_services_and_no_faster() {
    let bytes = |count: usize| {
        let mut metrics = example();
        let service = metrics.engine.services[0].clone();
        metrics.engine.services = vec![service; count];
        text(&metrics).len()
    };
    let (some, one_more, many) = (bytes(1_001), bytes(1_002), bytes(5_001));
    assert_eq!(many - some, 4_000 * (one_more - some));
}
