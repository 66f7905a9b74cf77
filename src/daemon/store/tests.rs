use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::file::Journal;
use super::*;

fn records(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

fn texts(pairs: &[(&str, Value)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.to_string()))
        .collect()
}

fn reopen(path: &Path) -> (BTreeMap<String, Value>, Vec<String>) {
    let (_, saved, remarks) = Journal::open(path).unwrap();
    (saved.records, remarks)
}

#[test]
fn the_newest_value_of_a_key_comes_back_and_null_forgets_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, saved, remarks) = Journal::open(&path).unwrap();
    assert!(saved.records.is_empty() && remarks.is_empty());
    journal
        .append(&texts(&[("a", json!(1)), ("b", json!("x\ny"))]))
        .unwrap();
    journal
        .append(&texts(&[("a", json!(2)), ("b", Value::Null)]))
        .unwrap();
    journal.append(&texts(&[("c", json!({"n": [1]}))])).unwrap();
    drop(journal);
    let expected = records(&[("a", json!(2)), ("c", json!({"n": [1]}))]);
    assert_eq!(reopen(&path), (expected, vec![]));
}

#[test]
fn a_journal_cut_at_any_byte_keeps_every_whole_line_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, ..) = Journal::open(&path).unwrap();
    for n in 0..3 {
        journal.append(&texts(&[("k", json!(n))])).unwrap();
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|&&b| b == b'\n').count();
        let expected = match lines {
            0 | 1 => records(&[]),
            n => records(&[("k", json!(n - 2))]),
        };
        let (mut journal, saved, remarks) = Journal::open(&path).unwrap();
        assert_eq!(saved.records, expected, "cut after {length} bytes");
        assert_eq!(
            remarks.is_empty(),
            length == 0 || whole[length - 1] == b'\n',
            "{remarks:?} after {length} bytes"
        );
        journal.append(&texts(&[("k", json!("after"))])).unwrap();
        drop(journal);
        assert_eq!(
            reopen(&path),
            (records(&[("k", json!("after"))]), vec![]),
            "written on after a cut at {length}"
        );
    }
}

#[test]
fn a_foreign_file_is_set_aside_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for (number, bytes) in [&b"\x7fELF\0\0\xff\n\n"[..], b"group www up\n", b"\n"]
        .iter()
        .enumerate()
    {
        fs::write(&path, bytes).unwrap();
        let (mut journal, saved, remarks) = Journal::open(&path).unwrap();
        let aside = folder.path().join(format!("journal.aside-{}", number + 1));
        assert!(saved.records.is_empty());
        assert!(
            remarks.len() == 1 && remarks[0].contains(&aside.display().to_string()),
            "{remarks:?}"
        );
        assert_eq!(fs::read(&aside).unwrap(), *bytes);
        journal.append(&texts(&[("k", json!(1))])).unwrap();
        drop(journal);
        assert_eq!(reopen(&path).0, records(&[("k", json!(1))]));
    }
}

#[test]
fn damaged_lines_in_the_middle_cost_only_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, ..) = Journal::open(&path).unwrap();
    for n in 0..4 {
        journal
            .append(&texts(&[(&format!("k{n}"), json!(n))]))
            .unwrap();
    }
    drop(journal);
    let mut lines: Vec<Vec<u8>> = fs::read(&path)
        .unwrap()
        .split_inclusive(|&b| b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    lines[2] = b"\0\0\0\0\xff\n".to_vec();
    fs::write(&path, lines.concat()).unwrap();
    let expected = records(&[("k0", json!(0)), ("k2", json!(2)), ("k3", json!(3))]);
    let (found, remarks) = reopen(&path);
    assert_eq!(found, expected);
    assert!(remarks[0].contains("1 lines"), "{remarks:?}");
    assert_eq!(
        reopen(&path),
        (expected, vec![]),
        "the mended file is whole"
    );
}

#[test]
fn a_journal_that_grows_is_cleaned_up_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, ..) = Journal::open(&path).unwrap();
    let long = "x".repeat(1_000);
    for n in 0..3_000 {
        let value = match n % 10 {
            3 if n > 100 => json!(null),
            _ => json!([n, long]),
        };
        journal
            .append(&texts(&[(&format!("k{}", n % 10), value)]))
            .unwrap();
    }
    let length = fs::metadata(&path).unwrap().len();
    assert!(length < 2 * COMPACT_MIN, "{length} bytes for nine records");
    drop(journal);
    let (found, remarks) = reopen(&path);
    assert_eq!(found.len(), 9);
    assert!(!found.contains_key("k3"), "it was to be forgotten");
    assert_eq!(found["k9"][0], json!(2_999));
    assert!(remarks.is_empty());
}

#[test]
fn a_second_lock_on_a_folder_is_refused_and_names_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Lock::take(folder.path()).unwrap();
    let error = Lock::take(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    drop(lock);
    Lock::take(folder.path()).unwrap();
}

#[tokio::test]
async fn records_reach_the_disk_without_waiting_for_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = Store::open(folder.path()).unwrap();
    for n in 0..100 {
        opened.store.record(Record {
            key: "k".to_owned(),
            value: json!(n),
        });
    }
    opened.store.hand_over().await;
    opened.store.close(Duration::from_secs(10)).await;
    let saved = read_only(folder.path()).unwrap();
    assert_eq!(saved.records, records(&[("k", json!(99))]));
}

#[tokio::test]
async fn what_a_damaged_journal_still_held_is_written_though_the_first_try_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, ..) = Journal::open(&path).unwrap();
    journal.append(&texts(&[("a", json!(1))])).unwrap();
    drop(journal);
    let mut damaged = fs::read(&path).unwrap();
    damaged.extend(b"no record\n{\"key\":\"b\",\"value\":2}\n");
    fs::write(&path, damaged).unwrap();
    // A folder of that name stands in for a disk that takes nothing at the start.
    fs::create_dir(path.with_extension("new")).unwrap();

    let opened = Store::open(folder.path()).unwrap();
    let expected = records(&[("a", json!(1)), ("b", json!(2))]);
    assert_eq!(opened.saved.records, expected, "{:?}", opened.remarks);
    assert_eq!(opened.remarks.len(), 2, "{:?}", opened.remarks);
    opened.store.close(Duration::from_secs(10)).await;
    assert_eq!(reopen(&path).0, expected);
}
