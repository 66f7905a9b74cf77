//! Property tests of everything that reads what others wrote, and the cases once found.
//!
//! The bodies are those of the fuzz targets in `fuzz/`. Inputs are pieces of good ones that
//! were cut, doubled, swapped and strewn with the words of the language. What a long run of
//! a target found lies in `fuzz/cases/TARGET/` and is tried here each time.

mod bodies;
mod director;
mod inputs;
mod outbox;

use std::fs;

use proptest::prelude::{ProptestConfig, proptest};

use crate::support;
use inputs::mutated;

/// Cases of one property; each takes well below a millisecond.
fn cases() -> ProptestConfig {
    ProptestConfig {
        // Found cases go to fuzz/cases by hand, with a name.
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    }
}

/// What looks at one input; panics where something is wrong.
type Body = fn(&[u8]);

/// The bodies by the name of their fuzz target.
const BODIES: [(&str, Body); 15] = [
    ("configuration", bodies::configuration),
    ("statement", bodies::statement),
    ("period", bodies::period),
    ("dependency", bodies::dependency),
    ("trap", bodies::trap),
    ("users", bodies::users),
    ("journal", bodies::journal),
    ("client", bodies::client),
    ("state", bodies::state),
    ("import", director::imported),
    ("fifo", director::fifo),
    ("request", director::request),
    ("peer", director::peer),
    ("spool", outbox::spooled),
    ("delivered", outbox::delivered),
];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_configuration_ends_the_program(bytes in mutated(inputs::configurations())) {
        bodies::configuration(&bytes);
    }

    #[test]
    fn no_statement_ends_the_program(bytes in mutated(inputs::statements())) {
        bodies::statement(&bytes);
    }

    #[test]
    fn no_line_of_a_section_ends_the_program(bytes in mutated(inputs::section_lines())) {
        bodies::statement(&bytes);
    }

    #[test]
    fn no_period_ends_the_program_or_lies_about_its_next_change(
        bytes in mutated(inputs::periods())
    ) {
        bodies::period(&bytes);
    }

    #[test]
    fn no_expression_ends_the_program_or_changes_when_written(
        bytes in mutated(inputs::dependencies())
    ) {
        bodies::dependency(&bytes);
    }

    #[test]
    fn no_packet_ends_the_program_or_changes_when_sent_on(bytes in mutated(inputs::traps())) {
        bodies::trap(&bytes);
    }

    #[test]
    fn no_file_of_users_ends_the_program(bytes in mutated(inputs::users())) {
        bodies::users(&bytes);
    }

    #[test]
    fn no_journal_ends_the_program(bytes in mutated(inputs::journals())) {
        bodies::journal(&bytes);
    }

    #[test]
    fn no_client_ends_the_program_or_gets_half_a_reply(bytes in mutated(inputs::clients())) {
        bodies::client(&bytes);
    }

    #[test]
    fn no_state_file_ends_the_program_or_changes_when_written(
        bytes in mutated(inputs::state_files())
    ) {
        bodies::state(&bytes);
    }

    #[test]
    fn no_file_of_another_manager_comes_to_what_does_not_load(
        bytes in mutated(inputs::files_of_others())
    ) {
        director::imported(&bytes);
    }

    #[test]
    fn no_words_in_the_fifo_end_the_program(bytes in mutated(inputs::announcements())) {
        director::fifo(&bytes);
    }

    #[test]
    fn no_request_ends_the_program_or_changes_when_written(bytes in mutated(inputs::requests())) {
        director::request(&bytes);
    }

    #[test]
    fn no_word_of_a_peer_ends_the_program(bytes in mutated(inputs::words_of_a_peer())) {
        director::peer(&bytes);
    }

    #[test]
    fn no_message_in_the_spool_ends_the_program_or_changes_when_written(
        bytes in mutated(inputs::messages())
    ) {
        outbox::spooled(&bytes);
    }

    #[test]
    fn no_list_of_what_was_delivered_ends_the_program_or_is_told_again(
        bytes in mutated(inputs::lists_of_deliveries())
    ) {
        outbox::delivered(&bytes);
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    let mut count = 0;
    for (target, body) in BODIES {
        let folder = support::root().join("fuzz/cases").join(target);
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let file = entry.unwrap().path();
            let bytes = fs::read(&file).unwrap();
            body(&bytes);
            count += 1;
        }
    }
    assert!(count > 0, "no kept cases");
}

/// Accidents of what nobody understands anyhow would show little.
#[test]
fn what_is_spoiled_was_understood_before() {
    let understood = |text: &[u8]| lvsmon::pair::talk::Word::of_text(text).is_ok();
    let mut words = inputs::words_of_a_peer();
    let greeting = words.pop().unwrap();
    assert!(lvsmon::pair::talk::Greeting::of_line(greeting.trim_ascii()).is_ok());
    for text in words {
        let lines = text.trim_ascii().split(|&byte| byte == b'\n');
        assert!(lines.into_iter().all(understood));
    }
    for line in inputs::requests() {
        let asked = serde_json::from_slice::<lvsmon::wire::Asked>(&line);
        assert!(asked.is_ok(), "{asked:?}");
    }
    for file in inputs::messages() {
        let retold = lvsmon::daemon::outbox::retold(&file);
        assert!(retold.is_ok(), "{retold:?}");
    }
    for list in inputs::lists_of_deliveries() {
        let lines = list.split(|&byte| byte == b'\n').count() - 1;
        let page = lvsmon::pair::ledger::Page::of(&list, outbox::NOW.wall);
        assert_eq!((page.lines.len(), page.passed_over), (lines, 0));
    }
}

#[test]
fn each_body_is_a_fuzz_target_and_the_other_way_round() {
    let manifest = fs::read_to_string(support::root().join("fuzz/Cargo.toml")).unwrap();
    let named: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| *name != "lvsmon-fuzz")
        .collect();
    let bodies: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, bodies);
}
