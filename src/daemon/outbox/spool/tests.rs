//! The spool on a real folder.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::alert::notice::tests::notice;

/// A mail about one event to this recipient.
pub(in crate::daemon::outbox) fn item(to: &str) -> Item {
    Item {
        version: Item::VERSION,
        accepted: Wall::from_seconds(1_795_215_956),
        destination: Destination::Mail {
            to: to.to_owned(),
            from: "mon@h.example".to_owned(),
            header_to: vec![to.to_owned()],
        },
        seal: None,
        notices: vec![notice()],
        held: false,
    }
}

fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::new(&folder.path().join("deep/spool"));
    spool.load().unwrap();
    (folder, spool)
}

fn write(spool: &Spool, number: u64, item: &Item) {
    for result in spool.write(&[(number, item.to_bytes())]) {
        result.unwrap();
    }
}

fn numbers(found: &Found) -> Vec<u64> {
    found.items.iter().map(|(number, ..)| *number).collect()
}

#[test]
fn what_was_written_is_found_in_order() {
    let (_folder, spool) = spool();
    for number in [10, 2, 9] {
        write(&spool, number, &item("a@b"));
    }
    let found = spool.load().unwrap();
    assert_eq!(numbers(&found), [2, 9, 10]);
    assert_eq!(found.items[0].2, item("a@b"));
    assert_eq!(found.next, 11);
    spool.delete([2, 10]);
    assert_eq!(numbers(&spool.load().unwrap()), [9]);
}

#[test]
fn only_the_owner_can_read_it() {
    let (_folder, spool) = spool();
    write(&spool, 1, &item("a@b"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&spool.folder), 0o700);
    assert_eq!(mode(&spool.path(1, SUFFIX)), 0o600);
}

#[test]
fn files_that_cannot_be_read_are_set_aside_by_name() {
    let (_folder, spool) = spool();
    write(&spool, 1, &item("a@b"));
    let cut = &item("a@b").to_bytes()[..50];
    fs::write(spool.path(2, SUFFIX), cut).unwrap();
    fs::write(spool.path(3, SUFFIX), [0xff; 10]).unwrap();
    fs::write(spool.path(4, SUFFIX), b"").unwrap();
    let newer = Item {
        version: 99,
        ..item("a@b")
    };
    write(&spool, 5, &newer);
    fs::write(spool.path(6, TEMPORARY), cut).unwrap();
    fs::write(spool.folder.join("README"), b"mine").unwrap();
    let found = spool.load().unwrap();
    assert_eq!(numbers(&found), [1]);
    assert_eq!(found.corrupt.len(), 4);
    assert_eq!(found.next, 6);
    for (path, reason) in &found.corrupt {
        assert!(path.to_str().unwrap().ends_with(".json.corrupt"));
        assert!(path.is_file(), "{reason}");
    }
    assert!(!spool.path(6, TEMPORARY).exists());
    assert!(spool.folder.join("README").exists());
    let again = spool.load().unwrap();
    assert!(again.corrupt.is_empty());
    assert_eq!(
        again.next, 6,
        "the number of a corrupt file is not used again"
    );
}

#[test]
fn a_file_that_the_system_does_not_read_now_is_left_where_it_is() {
    let (_folder, spool) = spool();
    write(&spool, 1, &item("a@b"));
    // A folder in its place: reading fails, also for root, and not for what it says.
    fs::create_dir(spool.path(2, SUFFIX)).unwrap();
    assert!(matches!(spool.read(2), Err(Unread::NotNow(_))));
    assert!(matches!(spool.read(3), Err(Unread::Useless(_))), "gone");
    let found = spool.load().unwrap();
    assert_eq!(numbers(&found), [1]);
    assert_eq!(found.next, 3);
    assert_eq!(found.not_now.len(), 1);
    assert!(found.corrupt.is_empty());
    assert!(spool.path(2, SUFFIX).exists());
}

/// A pipe would hold up who opens it for ever, and all messages behind that.
#[test]
fn what_is_no_file_is_named_and_nobody_waits_for_it() {
    let (_folder, spool) = spool();
    write(&spool, 1, &item("a@b"));
    let pipe = |path: &Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let message = spool.path(2, SUFFIX);
    pipe(&message);
    let found = spool.load().unwrap();
    assert_eq!(numbers(&found), [1]);
    let [(path, why)] = found.not_now.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(*path, message);
    assert_eq!(
        why,
        "it is a pipe (FIFO), not a regular file; remove it, no message is lost with it"
    );
    // While the daemon runs: said, and out of the way for the next time.
    let temporary = spool.path(3, TEMPORARY);
    pipe(&temporary);
    let bytes = item("a@b").to_bytes();
    let results = spool.write(&[(3, bytes)]);
    let error = results[0].as_ref().unwrap_err().to_string();
    let expected = format!(
        "{}: it is a pipe (FIFO), not a regular file; it is removed",
        temporary.display()
    );
    assert_eq!(error, expected);
    write(&spool, 3, &item("a@b"));
    assert_eq!(numbers(&spool.load().unwrap()), [1, 3]);
}

#[test]
fn a_sealed_group_voids_what_went_into_it() {
    let (_folder, spool) = spool();
    for number in 1..=3 {
        write(&spool, number, &item("a@b"));
    }
    let sealed = Item {
        seal: Some(Seal {
            message_id: "<x@y>".to_owned(),
            replaces: vec![2],
        }),
        ..item("a@b")
    };
    write(&spool, 1, &sealed);
    assert_eq!(numbers(&spool.load().unwrap()), [1, 3]);
    assert!(!spool.path(2, SUFFIX).exists());
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let spool = Spool::new(&file.join("spool"));
    assert!(spool.load().is_err());
    let results = spool.write(&[(1, b"{}".to_vec())]);
    assert!(results.iter().all(Result::is_err));
}

#[test]
fn a_folder_that_was_removed_is_made_again() {
    let (_folder, spool) = spool();
    fs::remove_dir_all(&spool.folder).unwrap();
    write(&spool, 1, &item("a@b"));
    assert_eq!(numbers(&spool.load().unwrap()), [1]);
}
