//! `alert.d/lvs.alert` and `alert.d/ipvs.alert` as mon calls them, with a table in memory.
//! The same calls against a kernel's table are among the tests of `ipvs`.

use std::process::{Command, Output, Stdio};

use crate::support::{TempDir, lvsmon, lvsmon_path, root};

const HOWTO: &str = "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr";

/// A state folder with the table that the HOWTO's init script makes, in the form of
/// `ipvsadm -Sn`, and another virtual service that is nobody's business.
struct Director(TempDir);

const OTHERS: &str = "-A -u 10.0.0.9:53 -s rr\n-a -u 10.0.0.9:53 -r 10.9.0.1:53 -m -w 1\n";

impl Director {
    fn new(farm: &str) -> Self {
        let folder = TempDir::new();
        folder.write("table", format!("{farm}{OTHERS}"));
        Self(folder)
    }

    /// The lines of the farm's virtual service.
    fn table(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join("table")).unwrap();
        let (farm, others): (Vec<&str>, Vec<&str>) = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .partition(|line| line.contains("10.0.0.3:80"));
        assert_eq!(others.len(), 2, "others' entries are left alone: {text}");
        farm.iter().map(|line| line.trim().to_owned()).collect()
    }

    /// Calls `alert.d/NAME` with mon's own words, the mark of the kind, and these.
    fn call(&self, name: &str, (kind, mark): (&str, &str), own: &str) -> Output {
        // The child's environment is that of any test of the program.
        let mut command = lvsmon(["--version"]);
        let mut script = Command::new(root().join("alert.d").join(name));
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        command = script;
        command
            .args([
                "-s",
                "http",
                "-g",
                "www",
                "-h",
                "192.168.0.1 192.168.0.2",
                "-t",
                "17",
            ])
            .args(mark.split_whitespace())
            .args(own.split_whitespace())
            .env("LVSMON", lvsmon_path())
            .env("LVSMON_IPVS_BACKEND", "memory")
            .env("MON_STATEDIR", self.0.path())
            .env("MON_ALERTTYPE", kind)
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    fn succeeds(&self, name: &str, kind: (&str, &str), own: &str) {
        let output = self.call(name, kind, own);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{kind:?} {own}: {said}");
        assert!(said.is_empty(), "{said}");
    }
}

const SERVICE: &str = "-A -t 10.0.0.3:80 -s wlc";
const FIRST: &str = "-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5";
const SECOND: &str = "-a -t 10.0.0.3:80 -r 192.168.0.2:80 -g -w 5";

#[test]
fn the_howtos_calls_take_a_server_out_and_put_it_in_again() {
    let director = Director::new(&format!("{SERVICE}\n{FIRST}\n{SECOND}\n"));
    for name in ["lvs.alert", "ipvs.alert"] {
        // Twice: what is done already is no failure, as mon repeats its alerts.
        for _ in 0..2 {
            director.succeeds(name, ("failure", ""), HOWTO);
            assert_eq!(director.table(), [SERVICE, SECOND]);
        }
        for _ in 0..2 {
            director.succeeds(name, ("up", "-u"), HOWTO);
            assert_eq!(director.table(), [SERVICE, FIRST, SECOND]);
        }
    }
}

#[test]
fn kinds_without_a_verdict_change_nothing() {
    let director = Director::new(&format!("{SERVICE}\n{FIRST}\n"));
    for kind in [
        ("ack", "-a"),
        ("disable", "-D"),
        ("startup", ""),
        ("test", ""),
    ] {
        director.succeeds("lvs.alert", kind, HOWTO);
        assert_eq!(director.table(), [SERVICE, FIRST], "{kind:?}");
    }
    director.succeeds("lvs.alert", ("traptimeout", "-O"), HOWTO);
    assert_eq!(director.table(), [SERVICE]);
}

#[test]
fn a_service_is_made_only_with_b_and_deleted_only_with_our_own_d() {
    let director = Director::new("");
    let output = director.call("ipvs.alert", ("up", "-u"), HOWTO);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("10.0.0.3:80/tcp is not in the table"),
        "{said}"
    );
    let words = format!("{HOWTO} -B -S wlc -D");
    director.succeeds("ipvs.alert", ("up", "-u"), &words);
    assert_eq!(director.table(), [SERVICE, FIRST]);
    director.succeeds("ipvs.alert", ("disable", "-D"), &words);
    assert_eq!(director.table(), [SERVICE, FIRST]);
    director.succeeds("ipvs.alert", ("failure", ""), &words);
    assert!(director.table().is_empty());
}

#[test]
fn wrong_words_are_wrong_usage_and_change_nothing() {
    let director = Director::new(&format!("{SERVICE}\n{FIRST}\n"));
    for words in ["-V 10.0.0.3:80 -R 192.168.0.1 -x", "-R 192.168.0.1", ""] {
        let output = director.call("lvs.alert", ("failure", ""), words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("usage: lvsmon alert lvs"), "{said}");
    }
    assert_eq!(director.table(), [SERVICE, FIRST]);
}
