//! `lvsmon import`: whole files as people have them, what came of them, and how it ends.
//!
//! In `data`, NAME.mon.cf is what NAME of ldirectord or keepalived comes to. Each word of both
//! languages is tried in `src/import/tests.rs`.

mod cut;
mod remarks;
mod run;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{self, TempDir};

fn data() -> PathBuf {
    support::root().join("tests/import/data")
}

fn import(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = support::lvsmon(["import"])
        .args(words)
        .current_dir(folder)
        .output()
        .expect("lvsmon runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

#[test]
fn files_as_people_have_them_come_to_what_is_kept() {
    for (name, exit, remarks) in [
        (
            "keepalived.conf",
            0,
            ["tolerated: weight without a number", "VRRP"],
        ),
        (
            "ldirectord.cf",
            1,
            ["tolerated: not indented", "autoreload"],
        ),
    ] {
        let (code, text, said) = import(&data(), &[name]);
        assert_eq!(code, Some(exit), "{said}");
        let kept = data().join(Path::new(name).with_extension("mon.cf"));
        assert_eq!(
            text,
            fs::read_to_string(kept).expect("it is there"),
            "{name}"
        );
        for remark in remarks {
            assert!(said.contains(remark), "{said}");
            assert!(text.contains(remark), "{text}");
        }
        assert!(!text.contains("1111"), "a password is repeated");
    }
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let folder = TempDir::new();
    let from = data().join("keepalived.conf");
    let from = from.to_str().expect("a plain name");
    let (code, text, _) = import(folder.path(), &[from, "-o", "mon.cf"]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    let first = folder.read("mon.cf");
    assert!(first.contains("virtual 192.168.231.20:80"));
    folder.write("mon.cf", "mine");
    let (code, _, said) = import(folder.path(), &[from, "-o", "mon.cf"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("mon.cf is there already; --force"), "{said}");
    assert_eq!(folder.read("mon.cf"), "mine");
    let (code, ..) = import(folder.path(), &[from, "-o", "mon.cf", "--force"]);
    assert_eq!(code, Some(0));
    assert_eq!(folder.read("mon.cf"), first);
}

/// The same where no file may become larger than half a kilobyte or one, as on a full disk.
fn import_without_room(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let lvsmon = support::lvsmon(["import"]);
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" import \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(lvsmon.get_program())
        .args(words)
        .current_dir(folder)
        .output()
        .expect("sh runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn what_cannot_be_written_whole_leaves_everything_as_it_was() {
    let folder = TempDir::new();
    let from = data().join("keepalived.conf");
    let from = from.to_str().expect("a plain name");
    let files = || {
        let list = fs::read_dir(folder.path()).expect("a folder");
        let names = list.map(|it| it.expect("an entry").file_name());
        names.collect::<Vec<_>>()
    };
    let (code, said) = import_without_room(folder.path(), &[from, "-o", "mon.cf"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("mon.cf cannot be written: "), "{said}");
    assert!(files().is_empty(), "{:?}", files());
    folder.write("mon.cf", "mine");
    let (code, said) = import_without_room(folder.path(), &[from, "-o", "mon.cf", "--force"]);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(folder.read("mon.cf"), "mine");
    assert_eq!(files(), ["mon.cf"]);
    let (code, _, said) = import(folder.path(), &[from, "-o", "none/mon.cf"]);
    assert_eq!(code, Some(3), "{said}");
    // A device is no file to write beside.
    let (code, _, said) = import(folder.path(), &[from, "-o", "/dev/full", "--force"]);
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn a_file_that_is_written_over_keeps_its_rights_and_its_links() {
    let folder = TempDir::new();
    let from = data().join("keepalived.conf");
    let from = from.to_str().expect("a plain name");
    let real = folder.write("real.cf", "mine");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&real, mode).expect("a mode");
    symlink("real.cf", folder.join("mon.cf")).expect("a link");
    let (code, _, said) = import(folder.path(), &[from, "-o", "mon.cf", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(folder.join("mon.cf").is_symlink());
    assert!(folder.read("real.cf").contains("virtual "));
    let found = fs::metadata(&real).expect("a file");
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_read_ends_with_a_word_of_its_own() {
    let folder = TempDir::new();
    folder.write("other", "watch x\n");
    folder.write(
        "cut.conf",
        "virtual_server 10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n",
    );
    for (words, exit, word) in [
        (vec!["none"], 3, "none cannot be read"),
        (vec!["."], 3, "cannot be read"),
        (vec!["other"], 3, "is it the right one?"),
        (vec!["cut.conf"], 3, "the file ends inside of"),
        (vec![], 2, "Usage"),
        (vec!["other", "--force"], 2, "--output"),
        (vec!["other", "--from", "haproxy"], 2, "ldirectord"),
    ] {
        let (code, text, said) = import(folder.path(), &words);
        assert_eq!(code, Some(exit), "{words:?} {said}");
        assert!(said.contains(word), "{words:?} {said}");
        assert!(exit == 1 || text.is_empty(), "{words:?} {text}");
    }
}

#[test]
fn included_files_are_read_and_lines_for_other_machines_are_not() {
    let folder = TempDir::new();
    fs::create_dir(folder.join("conf.d")).expect("a folder");
    folder.write(
        "keepalived.conf",
        "include conf.d/*.conf\ninclude conf.d/none\n",
    );
    folder.write(
        "conf.d/b.conf",
        "virtual_server 10.0.0.3 80 {\n protocol TCP\n@one lb_algo rr\n@two lb_algo sh\ninclude ../real\n}\n",
    );
    folder.write("real", "real_server 10.0.0.7 80 {\n TCP_CHECK {\n }\n}\n");
    folder.write("conf.d/b.conf.bak", "virtual_server 10.0.0.4 80 {\n");
    let words = ["keepalived.conf", "--from", "keepalived", "--id", "two"];
    let (code, text, said) = import(folder.path(), &words);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("keepalived.conf:2: no equivalent: include conf.d/none"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        text.contains("virtual 10.0.0.3:80\n    protocol tcp\n    scheduler sh\n"),
        "{text}"
    );
    assert!(
        text.contains("# ./conf.d/b.conf:1: virtual_server 10.0.0.3 80\n"),
        "{text}"
    );
}
