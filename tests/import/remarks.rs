//! Files with all their remarks, in two languages, as people keep and publish them: the remarks
//! change nothing, and a file that is for VRRP alone says so.

use std::fs;

use super::{data, import};

/// What counts of a mon.cf: its lines without the remarks of the import.
fn substance(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn remarks_in_any_language_change_nothing() {
    for (name, of, exit, remarks) in [
        (
            "director1.conf",
            "keepalived",
            0,
            [
                "1: note: VRRP",
                "25: tolerated: weight without",
                "67: tolerated",
            ],
        ),
        (
            "director2.conf",
            "keepalived",
            0,
            [
                "1: note: VRRP",
                "25: tolerated: weight without",
                "68: tolerated",
            ],
        ),
        (
            "director.cf",
            "ldirectord",
            1,
            [
                "6: no equivalent: autoreload",
                "16: tolerated: not indented",
                "34: tolerated",
            ],
        ),
    ] {
        let (code, text, said) = import(&data(), &[name]);
        assert_eq!(code, Some(exit), "{said}");
        for remark in remarks {
            assert!(said.contains(&format!("{name}:{remark}")), "{said}");
        }
        let kept = fs::read_to_string(data().join(format!("{of}.mon.cf"))).expect("it is there");
        assert_eq!(substance(&text), substance(&kept), "{name}");
    }
}

#[test]
fn a_file_for_vrrp_alone_comes_to_nothing_and_says_so() {
    for name in ["vrrp-master.conf", "vrrp-backup.conf"] {
        let (code, text, said) = import(&data(), &[name]);
        assert_eq!((code, text.as_str()), (Some(3), ""), "{said}");
        for line in [
            "1: note: VRRP and what goes with it stays in keepalived.conf: vrrp_script, vrrp_instance",
            " the file has no virtual service that can be imported",
        ] {
            assert!(said.contains(&format!("{name}:{line}")), "{said}");
        }
        assert!(!said.contains("1111"), "a password is repeated");
    }
}
