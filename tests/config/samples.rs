//! Each `bad-*.cf` holds one mistake, each `trap-*.cf` one thing that is accepted but hardly
//! meant, each `good-*.cf` is beyond reproach. Beside each stands what is said of it;
//! `UPDATE=1` writes these files anew.

use std::fs;
use std::path::{Path, PathBuf};

use lvsmon::config;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn samples(kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cf"))
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(kind)
        })
        .collect();
    found.sort();
    found
}

/// Whether the file can be used, and everything that is said of it.
fn said(path: &Path) -> (bool, String) {
    let name = path.file_name().unwrap().to_string_lossy();
    let (is_usable, said) = match config::load_bytes(&name, &fs::read(path).unwrap()) {
        Ok((_, warnings)) => (true, warnings),
        Err(errors) => (false, errors),
    };
    let text = said.iter().map(|one| format!("{one}\n")).collect();
    (is_usable, text)
}

fn compare(kind: &str, least: usize, is_right: impl Fn(bool, &str) -> bool) {
    let samples = samples(kind);
    assert!(samples.len() >= least, "{} {kind} samples", samples.len());
    let mut wrong = Vec::new();
    for path in samples {
        let (is_usable, text) = said(&path);
        assert!(
            is_right(is_usable, &text),
            "{}: usable {is_usable}\n{text}",
            path.display()
        );
        let expected = path.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &text).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(&text) {
            wrong.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "other messages than expected:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_mistake_is_named_as_expected() {
    compare("bad-", 50, |is_usable, text| {
        !is_usable && text.contains("cf error: ")
    });
}

#[test]
fn every_trap_is_named_as_expected() {
    compare("trap-", 20, |is_usable, text| {
        is_usable && text.contains("cf warning: ")
    });
}

#[test]
fn good_files_are_beyond_reproach() {
    compare("good-", 3, |is_usable, text| is_usable && text.is_empty());
}

#[test]
fn no_mistake_shows_a_secret() {
    let (is_usable, text) = said(&data().join("bad-secrets.cf"));
    assert!(!is_usable);
    assert!(!text.contains("s3"), "{text}");
    let secrets = text
        .lines()
        .filter(|line| line.starts_with("cf error"))
        .count();
    assert!(secrets >= 14, "{text}");
}
