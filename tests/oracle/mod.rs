//! What mon was seen to do, told in stories with numbers of their own: see [`story`] for their
//! form. Each is played on the pure engine under virtual time; those that need no clock are
//! played on the real program too.
//!
//! A changed answer is written by `UPDATE=1 cargo test oracle` and reviewed as a diff.

mod engine;
mod process;
mod story;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::support;
use story::Story;

/// Every story, by name.
fn stories() -> Vec<(PathBuf, String)> {
    let folder = support::root().join("tests/oracle/stories");
    let entries = fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        (file, text)
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_story_happens_on_the_engine() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = String::new();
    let stories = stories();
    assert!(stories.len() > 50, "only {} stories", stories.len());
    for (file, text) in stories {
        let story = Story::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let Ok(told) = std::panic::catch_unwind(|| engine::play(&file, &story)) else {
            let _ = writeln!(differing, "{}: cannot be played, see above", file.display());
            continue;
        };
        let happened = story.retold(&told.answers, &told.calls);
        if text == happened {
            continue;
        }
        if update {
            fs::write(&file, happened).unwrap();
        } else {
            let _ = write!(
                differing,
                "{}",
                crate::timeline::difference(&file, &text, &happened)
            );
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// Stories that the real program plays too: those that need no clock, one of each kind.
const ON_THE_PROGRAM: [&str; 18] = [
    "updown_basic",
    "two_services_independent",
    "alertafter_num_interrupted",
    "alertevery_changed_summary",
    "alertexitrange",
    "exit_range",
    "numalerts",
    "upalert_needs_alert",
    "exclude_hosts",
    "environment",
    "output_multiline",
    "output_empty",
    "quoting_alert",
    "mon_last_alert",
    "unack_summary",
    "ackalert",
    "disable_host",
    "disable_watch",
];

#[test]
fn stories_happen_on_the_real_program() {
    let folder = support::root().join("tests/oracle/stories");
    let play = |name: &str| {
        let text = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        let story = Story::parse(&text).unwrap();
        let (answers, mut called) = process::play(&story);
        for (step, answers) in story.steps.iter().zip(&answers) {
            assert_eq!(&step.answers, answers, "{name}: {}", step.line);
        }
        let mut expected: Vec<String> = story
            .calls
            .iter()
            .map(|line| process::without_run(line))
            .collect();
        // Two programs of one event run side by side: each alert has its own order.
        let program = |line: &String| {
            line.split(' ')
                .take(3)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let alert = |line: &String| {
            let words = program(line);
            (words[0].clone(), words[2].clone())
        };
        expected.sort_by_key(alert);
        called.sort_by_key(alert);
        assert_eq!(expected, called, "{name}");
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = ON_THE_PROGRAM
            .iter()
            .map(|name| (name, scope.spawn(move || play(name))))
            .collect();
        let failed: Vec<&str> = threads
            .into_iter()
            .filter_map(|(name, thread)| thread.join().is_err().then_some(*name))
            .collect();
        assert!(failed.is_empty(), "see above: {failed:?}");
    });
}
