//! What no input may do: end the program, or be lost without a word.

use std::collections::BTreeSet;
use std::fmt::Write;

use lvsmon::config::{self, Diagnostic};
use lvsmon::model::Model;
use proptest::prelude::{Strategy, prop, prop_oneof, proptest};
use proptest::{prop_assert, strategy::Just};

/// Lines as people write them, right and wrong, at random places.
fn line() -> impl Strategy<Value = String> {
    let word = "[a-z]{1,6}";
    prop_oneof![
        4 => Just(String::new()),
        2 => word.prop_map(|name| format!("hostgroup {name} h1 h2")),
        3 => word.prop_map(|name| format!("watch {name}")),
        3 => word.prop_map(|name| format!("  service {name}")),
        2 => Just("    period".to_owned()),
        1 => word.prop_map(|name| format!("    period {name}: wd {{Mon}}")),
        3 => (0..30_u32).prop_map(|time| format!("    interval {time}s")),
        3 => Just("    monitor http.monitor -p 80".to_owned()),
        2 => word.prop_map(|text| format!("    description {text}")),
        2 => word.prop_map(|name| format!("      alert {name}.alert x")),
        1 => (0..9_u32).prop_map(|n| format!("      numalerts {n}")),
        1 => (0..9_u32).prop_map(|n| format!("      alertafter {n}")),
        1 => word.prop_map(|value| format!("    KEY={value}")),
        1 => (0..99_u32).prop_map(|n| format!("maxprocs = {n}")),
        1 => word.prop_map(|name| format!("alias {name}")),
        1 => word.prop_map(|name| format!("view {name} {name}")),
        2 => "[ -~]{0,20}".prop_map(|text| text),
        1 => "(\\PC| ){0,12}".prop_map(|text| text.replace('\n', " ")),
        2 => (1..4_u8).prop_map(|last| format!("virtual 10.0.0.{last}:80")),
        2 => word.prop_map(|name| format!("  real {name} weight 3")),
        1 => word.prop_map(|name| format!("  service {name}:{name}")),
        1 => Just("  service none".to_owned()),
        1 => (0..9_u8).prop_map(|n| format!("  min_live {n}")),
        1 => Just("interval 1m \\".to_owned()),
        1 => Just("# alert \\".to_owned()),
    ]
}

/// Every word that the Model holds, as text.
fn words(model: &Model) -> String {
    // The debug form names every field of every part; that is what is asked here.
    let mut text = format!("{model:?}");
    // It also escapes quotes and backslashes.
    text = text
        .replace("\\\"", "\"")
        .replace("\\'", "'")
        .replace("\\\\", "\\");
    text
}

/// The physical lines that a diagnostic names.
fn named(diagnostics: &[Diagnostic]) -> BTreeSet<u32> {
    let places = diagnostics.iter().filter_map(|one| one.place.as_ref());
    places.map(|place| place.line).collect()
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_end_the_program(bytes in prop::collection::vec(0_u8.., 0..300)) {
        if let Err(errors) = config::load_bytes("f", &bytes) {
            prop_assert!(errors.iter().any(Diagnostic::is_error));
        }
    }

    #[test]
    fn no_lines_end_the_program(lines in prop::collection::vec(line(), 0..40)) {
        let text = lines.join("\n");
        let said = match config::load_text(&text) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        for one in said {
            let place = one.place.clone();
            prop_assert!(place.is_none_or(|place| place.line as usize <= lines.len() + 1));
            prop_assert!(one.to_string().starts_with("cf "));
        }
    }

    /// Each line carries a mark of its own; the mark is in the Model, or the line is named.
    #[test]
    fn no_line_is_lost_without_a_word(kinds in prop::collection::vec((0..14_usize, 0..3_u8), 1..40)) {
        let mut text = String::new();
        let mut marks = Vec::new();
        for (number, (kind, blank)) in kinds.into_iter().enumerate() {
            let mark = format!("mark{number}x");
            let time = number + 100;
            let (line, sign) = match kind {
                0 => (format!("hostgroup {mark} h{number}"), mark),
                1 => (format!("watch {mark}"), mark),
                2 | 3 => (format!("service {mark}"), mark),
                4 => (format!("description {mark}"), mark),
                5 => (format!("monitor own.monitor {mark}"), mark),
                6 => (format!("interval {time}s"), format!("interval: Some({time}s)")),
                7 => (format!("failure_interval {time}s"), format!("failure_interval: Some({time}s)")),
                8 => (format!("period {mark}: wd {{Mon}}"), mark),
                9 => (format!("alert own.alert {mark}"), mark),
                10 => (format!("alertevery {time}s"), format!("alertevery: Some(({time}s")),
                11 => (format!("KEY{number}={mark}"), mark),
                12 => (format!("view {mark} {mark}"), mark),
                _ => (format!("{mark} other text"), mark),
            };
            let _ = writeln!(text, "{line}");
            marks.push((text.lines().count(), line, sign));
            if blank == 0 {
                text.push('\n');
            }
        }
        let (held, said) = match config::load_text(&text) {
            Ok((model, warnings)) => (words(&model), warnings),
            // What is wrong is named; the rest is looked at when it is mended.
            Err(_) => return Ok(()),
        };
        let named = named(&said);
        for (number, line, sign) in marks {
            let is_named = named.contains(&u32::try_from(number).unwrap());
            // A record above may have taken the line as hosts, members or text.
            let is_taken = line.split(' ').all(|word| held.contains(word));
            // Of a keyword given twice, the later line is named and says that it counts.
            let again = format!("\"{}\" is given again", line.split(' ').next().unwrap_or(""));
            let is_replaced = said.iter().any(|one| one.to_string().contains(&again));
            prop_assert!(
                is_named || is_taken || is_replaced || held.contains(&sign),
                "line {number} is lost: {line}\n{text}"
            );
        }
    }
}

#[test]
fn the_property_holds_for_files_that_load() {
    // The generator above must not only make files that are refused.
    let text = "hostgroup mark0x h0\n\nwatch mark1x\nservice mark2x\ninterval 103s\nperiod\nalert own.alert mark3x\n\ninterval 104s\n";
    let (model, warnings) = config::load_text(text).unwrap();
    let held = words(&model);
    for sign in [
        "mark0x",
        "mark1x",
        "mark2x",
        "interval: Some(103s)",
        "mark3x",
    ] {
        assert!(held.contains(sign), "{sign}");
    }
    assert!(named(&warnings).contains(&9), "{warnings:?}");
}

#[test]
fn a_line_of_ten_megabytes_is_an_error_of_ordinary_size() {
    let long = "x".repeat(10_000_000);
    let lines = [
        long.clone(),
        format!("watch w\nservice s\n{long}"),
        format!("watch w\nservice s\nmonitor http.monitor \"{long}"),
        format!("watch w\nservice s\nperiod wd {{{long}}}"),
        format!("{long} = 1"),
        format!("hostgroup {long}/ h"),
        "hostgroup g \\\n".repeat(700_000),
    ];
    for text in lines {
        let said = match config::load_text(&text) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        assert!(!said.is_empty());
        let length: usize = said.iter().map(|one| one.to_string().len()).sum();
        assert!(length < 5_000, "{length} bytes of messages");
    }
}

#[test]
fn a_file_of_nothing_but_mistakes_names_them_all_in_time() {
    let text = "watch w\nservice s\n".to_owned() + &"intervall 1m\n".repeat(9_000);
    let errors = config::load_text(&text).unwrap_err();
    assert_eq!(errors.iter().filter(|one| one.is_error()).count(), 9_000);
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let text = "junk\n".repeat(30_000) + "maxproc = 1\n";
    let errors = config::load_text(&text).unwrap_err();
    assert_eq!(errors.len(), 10_002);
    assert!(
        errors[10_000]
            .to_string()
            .starts_with("cf error: unknown variable")
    );
    let last = errors[10_001].to_string();
    assert_eq!(last, "cf warning: 20000 more warnings are not shown");
}

#[test]
fn a_long_line_of_many_mistakes_is_read_in_time() {
    for word in ["*h ", "wexyz "] {
        let words = word.repeat(1_000_000);
        let text = format!(
            "hostgroup g {words}\n\nwatch g\nservice s\nexclude_hosts {words}\nperiod wd {{{words}}}\n"
        );
        assert!(
            config::load_text(&text).map_or_else(|found| found.len(), |(_, found)| found.len())
                < 50
        );
    }
}
