//! The text to the letter.

use super::*;

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
        reasons: BTreeSet::new(),
        wish: Some(ManualWish::Drain { limit_s: 60 }),
    };
    let out = RealServerMetrics {
        wanted: ServerWanted::Out,
        wanted_weight: None,
        is_in: Some(false),
        kernel_weight: None,
        reasons: [Reason::Timeout].into(),
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
