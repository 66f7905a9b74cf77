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
            length > 0 && whole[length - 1] == b'\n',
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
fn a_journal_that_somebody_emptied_is_said_with_what_it_means_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    // None at all is a first start.
    assert_eq!(reopen(&path), (records(&[]), vec![]));
    for bytes in [&b""[..], b"{\"lvsmon\":"] {
        fs::write(&path, bytes).unwrap();
        let (found, remarks) = reopen(&path);
        assert_eq!(found, records(&[]));
        let [remark] = remarks.as_slice() else {
            panic!("{remarks:?}");
        };
        for part in [
            &*path.display().to_string(),
            "is empty",
            "wishes of operators",
            "look at the real servers",
        ] {
            assert!(remark.contains(part), "{remark}");
        }
        assert_eq!(reopen(&path), (records(&[]), vec![]), "it is whole now");
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
    let (_outbox, mut taken) = watch::channel(0);
    let handed = opened.store.hand_over(&mut taken).await.unwrap();
    assert!(matches!(handed, Handed::Batch), "{handed:?}");
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

/// A journal with the records a = 1 and b = 2, open.
fn of_two(path: &Path) -> Journal {
    let (mut journal, ..) = Journal::open(path).unwrap();
    journal.append(&texts(&[("a", json!(1))])).unwrap();
    journal.append(&texts(&[("b", json!(2))])).unwrap();
    journal
}

#[test]
fn a_journal_that_is_deleted_or_replaced_under_us_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let aside = path.with_extension("aside-1");
    let other = folder.path().join("other");
    let delete = || fs::remove_file(&path).unwrap();
    let replace = || {
        fs::write(&other, "mine\n").unwrap();
        fs::rename(&other, &path).unwrap();
    };
    let with_folder = || fs::remove_dir_all(folder.path()).unwrap();
    let accidents: [(&str, &dyn Fn()); 3] = [
        ("was deleted", &delete),
        ("was replaced by another file", &replace),
        ("was deleted", &with_folder),
    ];
    for (what, accident) in accidents {
        for more in [texts(&[("c", json!(3))]), Batch::new()] {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_file(&aside);
            let mut journal = of_two(&path);
            accident();
            journal.append(&more).unwrap();
            let accidents = journal.take_accidents();
            assert_eq!(accidents.said, [what]);
            assert!(!accidents.has_lost);
            let (found, remarks) = reopen(&path);
            assert_eq!(found["a"], json!(1), "{what}");
            assert_eq!(found.len(), 2 + more.len(), "{what}");
            assert!(remarks.is_empty(), "{remarks:?}");
            assert_eq!(aside.exists(), what.contains("replaced"));
            journal.append(&texts(&[("d", json!(4))])).unwrap();
            assert!(journal.take_accidents().said.is_empty(), "said once");
            assert_eq!(reopen(&path).0["d"], json!(4));
        }
    }
}

#[test]
fn of_a_journal_that_is_cut_under_us_the_rest_is_kept_and_all_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let length = {
        drop(of_two(&path));
        fs::metadata(&path).unwrap().len()
    };
    for cut in 0..length {
        fs::remove_file(&path).unwrap();
        let mut journal = of_two(&path);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut).unwrap();
        journal.append(&texts(&[("c", json!(3))])).unwrap();
        let accidents = journal.take_accidents();
        let what = format!("was cut from {length} to {cut} bytes");
        assert_eq!((accidents.said, accidents.has_lost), (vec![what], true));
        let text = fs::read(&path).unwrap();
        assert!(!text.contains(&0), "zeros after a cut at {cut}");
        let (found, remarks) = reopen(&path);
        assert!(remarks.is_empty(), "{remarks:?}");
        assert_eq!(found["c"], json!(3));
        journal.append(&texts(&[("d", json!(4))])).unwrap();
        assert!(journal.take_accidents().said.is_empty(), "said once");
    }
}

#[test]
fn a_journal_that_is_written_over_under_us_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut journal = of_two(&path);
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    journal.append(&texts(&[("c", json!(3))])).unwrap();
    let accidents = journal.take_accidents();
    assert_eq!(accidents.said, ["was written over"]);
    assert!(accidents.has_lost);
    assert_eq!(reopen(&path), (records(&[("c", json!(3))]), vec![]));
    assert!(path.with_extension("aside-1").exists());
}

#[test]
fn a_clean_up_of_a_journal_that_went_bad_leaves_it_until_all_was_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let mut journal = of_two(&path);
    let long = "x".repeat(30_000);
    let write_over = || {
        // Behind the heading, and not the end of the last line.
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] = b'#';
        bytes[41] = b'#';
        fs::write(&path, bytes).unwrap();
    };
    let is_larger = |journal: &mut Journal| {
        journal.append(&texts(&[("c", json!(long))])).unwrap();
        fs::metadata(&path).unwrap().len() > COMPACT_MIN - 40_000
    };
    while !is_larger(&mut journal) {}
    write_over();
    let mut accidents = journal.take_accidents();
    while !accidents.has_lost {
        journal.append(&texts(&[("c", json!(long))])).unwrap();
        accidents = journal.take_accidents();
    }
    assert_eq!(accidents.said.len(), 1, "{:?}", accidents.said);
    assert!(
        fs::metadata(&path).unwrap().len() > COMPACT_MIN,
        "the old one stays"
    );
    journal.append(&texts(&[("a", json!(1))])).unwrap();
    let (found, remarks) = reopen(&path);
    assert_eq!(found.len(), 3, "a, b and c are there");
    assert!(remarks.is_empty(), "{remarks:?}");
    assert!(fs::metadata(&path).unwrap().len() < COMPACT_MIN);
}

#[test]
fn a_kill_between_setting_aside_and_replacing_leaves_the_journal_and_one_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(of_two(&path));
    let mut damaged = fs::read(&path).unwrap();
    damaged.extend(b"no record\n");
    fs::write(&path, &damaged).unwrap();
    // As far as the daemon came before the kill.
    fs::hard_link(&path, path.with_extension("aside-1")).unwrap();
    fs::write(path.with_extension("new"), "half a jour").unwrap();
    let (found, remarks) = reopen(&path);
    assert_eq!(found, records(&[("a", json!(1)), ("b", json!(2))]));
    assert!(remarks[0].ends_with("aside-1"), "{remarks:?}");
    assert_eq!(fs::read(path.with_extension("aside-1")).unwrap(), damaged);
    assert!(!path.with_extension("aside-2").exists());
    assert!(!path.with_extension("new").exists());
    assert_eq!(reopen(&path).1, [""; 0]);
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[tokio::test]
async fn after_a_loss_the_loop_is_asked_for_everything_once() {
    let limit = Duration::from_secs(10);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(of_two(&path));
    let mut store = Store::open(folder.path()).unwrap().store;
    let (_outbox, mut taken) = watch::channel(0);
    // The second line is cut off; the first was to be replaced by it.
    let whole = fs::read(&path).unwrap();
    let cut = whole.len()
        - 1
        - whole
            .iter()
            .rev()
            .skip(1)
            .position(|&b| b == b'\n')
            .unwrap();
    fs::write(&path, &whole[..cut]).unwrap();
    let value = |key: &str| Record {
        key: key.to_owned(),
        value: json!(1),
    };
    store.record(value("c"));
    let mut handed = Vec::new();
    for _ in 0..3 {
        let next = tokio::time::timeout(limit, store.hand_over(&mut taken));
        let next = next.await.expect("in time").unwrap();
        if matches!(next, Handed::Lost) {
            store.record(value("d"));
        }
        handed.push(format!("{next:?}"));
    }
    assert_eq!(handed, ["Batch", "Lost", "Batch"]);
    store.close(limit).await;
    // What was told is all there is: nothing that was forgotten since comes back.
    assert_eq!(reopen(&path).0, records(&[("d", json!(1))]));
}

#[tokio::test]
async fn a_writer_that_panics_is_said_once_and_nothing_waits_for_it() {
    let (batches, _) = mpsc::channel(1);
    let (said, progress) = watch::channel(Progress::default());
    let writer = tokio::spawn(async move {
        let _said = said;
        panic!("a defect")
    });
    let mut store = Store::new(batches, progress, writer);
    let (_outbox, mut taken) = watch::channel(0);
    let limit = Duration::from_secs(10);
    let error = tokio::time::timeout(limit, store.hand_over(&mut taken)).await;
    let error = error.expect("it ends").unwrap_err().to_string();
    assert!(error.contains("a defect"), "{error}");
    let again = tokio::time::timeout(Duration::from_millis(1), store.hand_over(&mut taken));
    assert!(again.await.is_err(), "it is said once");
    store.close(limit).await;
}

/// A pipe would hold up the writer for ever.
#[test]
fn a_pipe_in_the_way_of_a_new_journal_is_named_and_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (mut journal, ..) = Journal::open(&path).unwrap();
    journal.append(&texts(&[("k", json!(1))])).unwrap();
    let new = path.with_extension("new");
    nix::unistd::mkfifo(&new, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = journal.replace(&texts(&[("k", json!(2))])).unwrap_err();
    let said = format!(
        "cannot write {}: it is a pipe (FIFO), not a regular file; remove it, or set \"statedir\" \
         to another folder",
        new.display()
    );
    assert_eq!(error.to_string(), said);
    journal.replace(&texts(&[("k", json!(2))])).unwrap();
    drop(journal);
    assert_eq!(reopen(&path).0, records(&[("k", json!(2))]));
}

#[test]
fn who_may_not_write_the_state_folder_is_told_what_to_do() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let path = std::path::Path::new("/var/lib/mon/lock");
    let said = StoreError::file("open", path)(denied).to_string();
    assert!(said.contains("or set \"statedir\""), "{said}");
}

#[test]
fn a_refusal_says_whose_the_file_is_and_that_a_disk_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    fs::write(&path, "").unwrap();
    let said = |owner, errno: nix::errno::Errno| {
        let error = errno.into();
        let path = path.clone();
        let error = StoreError::File {
            doing: "open",
            path,
            error,
            owner,
        };
        error.to_string()
    };
    let denied = said(Some(4242), nix::errno::Errno::EACCES);
    assert!(denied.contains("belongs to user 4242"), "{denied}");
    let denied = said(None, nix::errno::Errno::EACCES);
    assert!(denied.contains("as the owner of"), "{denied}");
    let read_only = said(None, nix::errno::Errno::EROFS);
    assert!(read_only.contains("read-only"), "{read_only}");
    assert!(read_only.contains("statedir"), "{read_only}");
    let full = said(Some(4242), nix::errno::Errno::ENOSPC);
    assert!(!full.contains("4242"), "{full}");

    let own = StoreError::file("open", &path)(nix::errno::Errno::EACCES.into());
    assert!(matches!(own, StoreError::File { owner: None, .. }), "{own}");
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
        let other = StoreError::file("open", &path)(nix::errno::Errno::EACCES.into());
        assert!(other.to_string().contains("4242"), "{other}");
    }
}
