//! Files that the daemon has no right to read.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{TempDir, have, is_root, lvsmon_path, skip};

#[test]
fn a_file_without_the_right_to_read_it_is_one_clear_error() {
    let test = "a_file_without_the_right_to_read_it_is_one_clear_error";
    if is_root() && !have("setpriv") {
        return skip(test, "setpriv");
    }
    let folder = TempDir::new();
    let file = folder.write("mon.cf", "maxprocs = 1\n");
    // Root reads everything by a capability; without it, a file of somebody else it may not.
    let without = "--bounding-set=-dac_override,-dac_read_search";
    let (mode, words): (u32, &[&str]) = if is_root() {
        std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).expect("another owner");
        (0o600, &["setpriv", without])
    } else {
        (0o000, &["env"])
    };
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&file, mode).expect("its mode");
    for word in ["check", "run"] {
        let output = Command::new(words[0])
            .args(&words[1..])
            .arg(lvsmon_path())
            .args([word, "--config"])
            .arg(&file)
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let what = format!(
            "could not open cf file {}: permission denied",
            file.display()
        );
        assert!(said.contains(&what), "{said}");
    }
}
