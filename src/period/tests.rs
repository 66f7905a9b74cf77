//! The table was observed on the Perl module `Time::Period` 1.25, Perl 5.36, zone UTC: the
//! text, the moment in seconds since the epoch, and inside (1), outside (0) or malformed (-1).

use jiff::tz::TimeZone;

use super::*;

const OBSERVED: [(&str, i64, i8); 107] = [
    ("", 1_710_324_000, 1),
    ("   ", 1_710_324_000, 1),
    ("none", 1_710_324_000, 0),
    ("NONE", 1_710_324_000, 0),
    ("never", 1_710_324_000, -1),
    ("always", 1_710_324_000, -1),
    ("wd {Mon-Fri}", 1_710_324_000, 1),
    ("wd {Mon-Fri}", 1_710_583_200, 0),
    ("wd {Sun-Sat}", 1_710_719_999, 1),
    ("wd {Sat-Sun}", 1_710_669_600, 1),
    ("wd {Sat-Sun}", 1_710_756_000, 0),
    ("wd {7-1}", 1_710_669_600, 1),
    ("wd {1-7}", 1_710_324_000, 1),
    ("wd {0}", 1_710_324_000, -1),
    ("wd {Wednesday}", 1_710_324_000, 1),
    ("wd {wexyz}", 1_710_324_000, 1),
    ("wd {w}", 1_710_324_000, -1),
    ("wday {mo we fr}", 1_710_324_000, 1),
    ("hr {9am-4pm}", 1_710_349_199, 1),
    ("hr {9am-4pm}", 1_710_349_200, 0),
    ("hr {10pm-7am}", 1_710_316_799, 1),
    ("hr {10pm-7am}", 1_710_316_800, 0),
    ("hr {22-6}", 1_710_370_800, 1),
    ("hr {12am}", 1_710_289_800, 1),
    ("hr {12pm}", 1_710_333_000, 1),
    ("hr {12noon}", 1_710_333_000, 1),
    ("hr {noon}", 1_710_333_000, -1),
    ("hr {11noon}", 1_710_329_400, -1),
    ("hr {0am}", 1_710_289_800, 1),
    ("hr {13am}", 1_710_336_600, 1),
    ("hr {13pm}", 1_710_336_600, -1),
    ("hr {24}", 1_710_289_800, -1),
    ("hr {20-25}", 1_710_325_800, -1),
    ("hour {9 - 16}", 1_710_325_800, 1),
    ("hr {9am -4pm}", 1_710_325_800, 1),
    ("hr {9 am-4 pm}", 1_710_325_800, -1),
    ("min {0-29}", 1_710_325_799, 1),
    ("min {50-10}", 1_710_324_300, 1),
    ("min {60}", 1_710_324_300, -1),
    ("minute {5}", 1_710_324_300, 1),
    ("sec {0-4 10-14}", 1_710_324_312, 1),
    ("second {0-4 10-14}", 1_710_324_307, 0),
    ("mo {Nov-Feb}", 1_705_276_800, 1),
    ("mo {Nov-Feb}", 1_709_251_200, 0),
    ("month {January}", 1_705_276_800, 1),
    ("mo {13}", 1_705_276_800, -1),
    ("mo {0}", 1_705_276_800, -1),
    ("mo {3}", 1_710_288_000, 1),
    ("md {1-7}", 1_709_769_600, 1),
    ("md {28-3}", 1_709_337_600, 1),
    ("mday {31}", 1_711_843_200, 1),
    ("md {32}", 1_710_288_000, -1),
    ("wk {1}", 1_709_380_800, 1),
    ("wk {2}", 1_709_467_200, 1),
    ("wk {1}", 1_725_192_000, 1),
    ("wk {2}", 1_725_796_800, 1),
    ("wk {6}", 1_711_886_400, 1),
    ("week {7}", 1_711_886_400, -1),
    ("yd {1}", 1_704_110_400, 1),
    ("yd {366}", 1_735_646_400, 1),
    ("yday {367}", 1_735_646_400, -1),
    ("yd {360-5}", 1_704_283_200, 1),
    ("yd {5x}", 1_704_456_000, 1),
    ("yr {2024}", 1_710_331_200, 1),
    ("yr {24}", 1_710_331_200, 1),
    ("yr {99-2024}", 2_530_785_600, 1),
    ("yr {2030-2020}", 1_710_331_200, 1),
    ("year {1969}", 1_710_331_200, -1),
    ("yr {100}", 1_710_331_200, -1),
    (
        "wd {Mon-Fri} hr {9am-4pm}, wd {Sat} hr {10am}",
        1_710_583_800,
        1,
    ),
    (
        "wd {Mon-Fri} hr {9am-4pm}, wd {Sat} hr {10am}",
        1_710_587_400,
        0,
    ),
    ("mo {Jan Feb} mo {Nov Dec}", 1_731_492_000, 1),
    ("wd {Mon} wd {Wed} hr {10}", 1_710_324_000, 1),
    ("wd{Wed}hr{10}", 1_710_324_000, 1),
    ("WD {WED} HR {10AM}", 1_710_324_000, 1),
    ("wd {Mon,Wed}", 1_710_324_000, -1),
    ("wd {}", 1_710_324_000, 0),
    ("wd { }", 1_710_324_000, 0),
    ("wd Mon", 1_710_324_000, -1),
    ("wd {Mon", 1_710_324_000, -1),
    ("{Mon}", 1_710_324_000, -1),
    ("day {Mon}", 1_710_324_000, -1),
    ("days {Mon}", 1_710_324_000, -1),
    ("mi {5}", 1_710_324_000, -1),
    ("wd {Wed} junk", 1_710_324_000, -1),
    ("!wd {Wed}", 1_710_324_000, -1),
    ("wd {!Wed}", 1_710_324_000, -1),
    ("wd {Mon-Wed-Fri}", 1_710_324_000, 1),
    ("wd {-Wed}", 1_710_324_000, -1),
    ("wd {Wed-}", 1_710_324_000, -1),
    ("wd {Wed}, hr {99}", 1_710_324_000, 1),
    ("hr {99}, wd {Wed}", 1_710_324_000, -1),
    ("wd {Wed},", 1_710_324_000, 1),
    (", wd {Wed}", 1_710_324_000, -1),
    ("wd {Wed},, hr {10}", 1_710_410_400, -1),
    ("none, wd {Wed}", 1_710_324_000, -1),
    ("wd {Wed 99}", 1_710_324_000, -1),
    ("wd {Mon}\thr {10}", 1_710_151_200, 1),
    ("wd : Mon", 1_710_324_000, -1),
    ("wd {mon - fri}", 1_710_324_000, 1),
    ("hr {9 to 5}", 1_710_324_000, -1),
    ("md {1-7} wd {Sun}", 1_709_460_000, 1),
    ("hr {7:30}", 1_710_315_000, -1),
    ("hr {0-23}", 1_710_315_000, 1),
    ("hr {9-9}", 1_710_322_200, 1),
    ("wk {1 3 5} wd {Mon Wed Fri} hr {9am-4pm}", 1_710_322_200, 1),
    ("wd {mon-fri}, md {1}", 1_717_234_200, 1),
];

/// As the Perl module answers: the first sub-period that holds ends the evaluation, so that a
/// malformed one after it is not noticed.
fn in_period(text: &str, at: i64) -> i8 {
    let trimmed = text.trim_matches(is_blank);
    if trimmed.is_empty() {
        return 1;
    }
    if trimmed.eq_ignore_ascii_case("none") {
        return 0;
    }
    for (start, part) in subperiods(text) {
        let Ok(window) = read_subperiod(part, start, &mut Vec::new()) else {
            return -1;
        };
        let period = Period::any_of(vec![window]);
        if period.holds(Wall::from_seconds(at), &TimeZone::UTC) {
            return 1;
        }
    }
    0
}

fn period(text: &str) -> Period {
    let reading = Period::parse(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    assert_eq!(reading.faults, [], "{text}");
    reading.period
}

fn central_europe() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// A moment written in UTC.
fn utc(text: &str) -> Wall {
    let moment: Timestamp = format!("{text}Z").parse().unwrap();
    Wall::from_seconds(moment.as_second())
}

#[test]
fn every_observed_answer_of_the_perl_module_is_ours() {
    for (row, (text, at, answer)) in (1..).zip(OBSERVED) {
        assert_eq!(in_period(text, at), answer, "row {row}: {text}");
    }
}

#[test]
fn a_text_that_is_read_holds_as_observed() {
    for (row, (text, at, answer)) in (1..).zip(OBSERVED) {
        let read = Period::parse(text);
        if answer == -1 {
            // What one moment finds malformed is malformed here at every moment.
            let faults = read.map_or_else(|faults| faults, |reading| reading.faults);
            assert_ne!(faults, [], "row {row}: {text}");
        } else {
            let holds = read
                .unwrap()
                .period
                .holds(Wall::from_seconds(at), &TimeZone::UTC);
            assert_eq!(holds, answer == 1, "row {row}: {text}");
        }
    }
}

#[test]
fn a_malformed_sub_period_behind_a_good_one_never_holds() {
    let reading = Period::parse("wd {Wed}, hr {99}").unwrap();
    assert_eq!(reading.faults.len(), 1);
    assert_eq!(
        reading.faults[0].message,
        "\"99\" is out of range: an hour is 0 to 23, or one like 9am, 12noon or 4pm"
    );
    assert_eq!((reading.faults[0].start, reading.faults[0].end), (14, 16));
    assert_eq!(reading.period, period("wd {Wed}"));
    let thursday = Wall::from_seconds(1_710_410_400);
    assert!(!reading.period.holds(thursday, &TimeZone::UTC));
}

#[test]
fn a_malformed_first_sub_period_is_refused_with_all_faults() {
    let faults = Period::parse("hr {99}, wd {Wed}, day {1}").unwrap_err();
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "\"99\" is out of range: an hour is 0 to 23, or one like 9am, 12noon or 4pm",
            "unknown scale \"day\"; known are yr mo wk yd md wd hr min sec"
        ]
    );
}

#[test]
fn doubtful_words_are_read_as_mon_does_and_said() {
    let cases = [
        (
            "wd {Mon-Wed-Fri}",
            "wd {Mon-Fri}",
            "\"Mon-Wed-Fri\" is read as Mon-Fri",
        ),
        (
            "mo {Jan-Feb-Dec}",
            "mo {Jan-Dec}",
            "\"Jan-Feb-Dec\" is read as Jan-Dec",
        ),
        ("wd {wexyz}", "wd {Wed}", "\"wexyz\" is read as Wed"),
        ("yd {5x}", "yd {5}", "\"5x\" is read as 5"),
    ];
    for (text, meant, doubt) in cases {
        let reading = Period::parse(text).unwrap();
        assert_eq!(reading.period, period(meant), "{text}");
        let doubts: Vec<&str> = reading.doubts.iter().map(|doubt| &*doubt.message).collect();
        assert_eq!(doubts, [doubt], "{text}");
    }
    assert_eq!(
        Period::parse("wd {wednes Thurs} mo {sept}").unwrap().doubts,
        []
    );
}

#[test]
fn messages_say_what_is_wrong() {
    let cases = [
        (", wd {Wed}", "nothing stands before this comma"),
        ("none, wd {Wed}", "\"none\" stands alone or not at all"),
        (
            "always",
            "\"always\" is not a period: write a scale and values in braces, as in wd {Mon-Fri}",
        ),
        (
            "wd {Mon,Wed}",
            "1 opening but 0 closing braces (a comma ends a sub-period also inside braces; values \
             are separated by blanks)",
        ),
        ("hr {9-10-11}", "\"9-10-11\" has more than one hyphen"),
        (
            "wd {Mon - Wed-Fri}",
            "\"Mon - Wed-Fri\" has more than one hyphen",
        ),
        (
            "wd {Wed} junk",
            "a period is made of scales with values in braces, as in wd {Mon-Fri} hr {9am-4pm}",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(
            Period::parse(text).unwrap_err()[0].message,
            message,
            "{text}"
        );
    }
}

#[test]
fn texts_that_mean_always_or_never_are_known_as_such() {
    for text in [
        "",
        " ",
        "wd {Sun-Sat}",
        "hr {0-23} min {0-59}",
        "wd {Wed}, wd {1-7}",
    ] {
        assert_eq!(period(text), Period::ALWAYS, "{text}");
    }
    for text in ["none", "wd {}", "wd {Wed} hr { }", ","] {
        assert_eq!(period(text), Period::NEVER, "{text}");
    }
}

#[test]
fn a_bound_keeps_the_number_of_sub_periods_small() {
    let long = "wd {Mon},".repeat(SUBPERIODS_MAX + 1);
    assert!(Period::parse(&long).is_err());
    let longest = "wd {Mon},".repeat(SUBPERIODS_MAX);
    assert_eq!(period(&longest), period("wd {Mon}"));
}

#[test]
fn the_next_change_is_the_edge_of_the_window() {
    let cases = [
        ("hr {9am-4pm}", "2024-03-13T10:00:00", "2024-03-13T17:00:00"),
        ("hr {9am-4pm}", "2024-03-13T17:00:00", "2024-03-14T09:00:00"),
        ("hr {9am-4pm}", "2024-03-13T16:59:59", "2024-03-13T17:00:00"),
        ("wd {Sat-Sun}", "2024-03-13T10:00:00", "2024-03-16T00:00:00"),
        (
            "wd {Fri} hr {10pm-7am}",
            "2024-03-15T08:00:00",
            "2024-03-15T22:00:00",
        ),
        (
            "wd {Fri} hr {10pm-7am}",
            "2024-03-15T22:00:00",
            "2024-03-16T00:00:00",
        ),
        (
            "wd {Fri}, wd {Sat} hr {0-6}",
            "2024-03-15T22:00:00",
            "2024-03-16T07:00:00",
        ),
        (
            "sec {0-4 10-14}",
            "2024-03-13T10:00:00",
            "2024-03-13T10:00:05",
        ),
        ("min {50-10}", "2024-03-13T10:05:00", "2024-03-13T10:11:00"),
        ("mo {Nov-Feb}", "2024-01-15T00:00:00", "2024-03-01T00:00:00"),
        ("yd {366}", "2024-12-31T12:00:00", "2025-01-01T00:00:00"),
        ("yd {366}", "2025-01-01T00:00:00", "2028-12-31T00:00:00"),
        ("yr {2024}", "2024-03-13T12:00:00", "2025-01-01T00:00:00"),
        (
            "md {30} mo {Feb}, hr {3}",
            "2024-03-13T12:00:00",
            "2024-03-14T03:00:00",
        ),
    ];
    for (text, after, change) in cases {
        let found = period(text).next_change(utc(after), &TimeZone::UTC);
        assert_eq!(found, Some(utc(change)), "{text} after {after}");
    }
    for text in [
        "",
        "none",
        "md {30} mo {Feb}",
        "wd {Mon}, wd {Tue-Sun}",
        "yr {2020}",
    ] {
        let found = period(text).next_change(utc("2024-03-13T12:00:00"), &TimeZone::UTC);
        assert_eq!(found, None, "{text}");
    }
}

#[test]
fn a_left_out_hour_is_never_inside() {
    // On 2024-03-31 the clock goes from 02:00 to 03:00 at 01:00 UTC.
    let (zone, night) = (central_europe(), period("hr {2}"));
    assert!(!night.holds(utc("2024-03-31T00:59:59"), &zone));
    assert!(!night.holds(utc("2024-03-31T01:00:00"), &zone));
    let next = night.next_change(utc("2024-03-30T12:00:00"), &zone);
    assert_eq!(next, Some(utc("2024-04-01T00:00:00")));
    // A period that begins in the left out hour begins when the clock has passed it.
    let morning = period("hr {2-5}");
    let next = morning.next_change(utc("2024-03-30T23:00:00"), &zone);
    assert_eq!(next, Some(utc("2024-03-31T01:00:00")));
}

#[test]
fn an_hour_that_comes_twice_is_inside_twice() {
    // On 2024-10-27 the clock goes from 03:00 back to 02:00 at 01:00 UTC.
    let (zone, night) = (central_europe(), period("hr {2}"));
    let next = night.next_change(utc("2024-10-26T22:00:00"), &zone);
    assert_eq!(next, Some(utc("2024-10-27T00:00:00")));
    let end = night.next_change(utc("2024-10-27T00:00:00"), &zone);
    assert_eq!(end, Some(utc("2024-10-27T02:00:00")));
    // Inside until 02:30, then again from the second 02:00 on.
    let half = period("hr {2} min {0-29}");
    let mut edges = vec![utc("2024-10-26T22:00:00")];
    for _ in 0..4 {
        edges.extend(half.next_change(edges[edges.len() - 1], &zone));
    }
    let expected = [
        "2024-10-26T22:00:00",
        "2024-10-27T00:00:00",
        "2024-10-27T00:30:00",
        "2024-10-27T01:00:00",
        "2024-10-27T01:30:00",
    ];
    assert_eq!(edges, expected.map(utc));
}

#[test]
fn the_next_change_agrees_with_holding_second_by_second() {
    let texts = [
        "hr {1-2} min {50-10} sec {3-58}",
        "wd {Sun} hr {2}, min {30} sec {0 30}",
        "wk {5} hr {0-2}, hr {3} min {1}",
    ];
    let zone = central_europe();
    for start in ["2024-03-31T00:00:00", "2024-10-27T00:00:00"] {
        for text in texts {
            let period = period(text);
            let start = utc(start).seconds();
            let mut expected = Vec::new();
            for second in start + 1..start + 14_400 {
                let [before, now] = [second - 1, second]
                    .map(|second| period.holds(Wall::from_seconds(second), &zone));
                if before != now {
                    expected.push(second);
                }
            }
            let mut found = Vec::new();
            let mut at = Wall::from_seconds(start);
            while let Some(change) = period.next_change(at, &zone) {
                if change.seconds() >= start + 14_400 {
                    break;
                }
                found.push(change.seconds());
                at = change;
            }
            assert!(!found.is_empty(), "{text}");
            assert_eq!(found, expected, "{text}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(wd|hr|md|[a-z]{0,3}| |\\{|\\}|,|-|[0-9]{1,3}|mon|é){0,12}") {
        let at = Wall::from_seconds(1_710_324_000);
        if let Ok(reading) = Period::parse(&text) {
            let _ = reading.period.next_change(at, &TimeZone::UTC);
        }
        if let Err(faults) = Period::parse(&text) {
            for fault in faults {
                proptest::prop_assert!(fault.start < fault.end, "{:?}", fault);
            }
        }
    }
}
