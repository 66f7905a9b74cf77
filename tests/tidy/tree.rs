//! The rules for the tree as a whole: no traces of one machine, executables that can be executed,
//! stand-ins that are nothing but stand-ins.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support;

/// The built-ins with a stand-in: file name, and the words with which it calls the program.
const STAND_INS: [(&str, &str); 12] = [
    ("mon.d/agent.monitor", "monitor agent"),
    ("mon.d/misc.monitor", "monitor misc"),
    ("mon.d/fping.monitor", "monitor fping"),
    ("mon.d/http.monitor", "monitor http"),
    ("mon.d/tcp.monitor", "monitor tcp"),
    ("mon.d/ftp.monitor", "monitor ftp"),
    ("mon.d/plugin.monitor", "monitor plugin"),
    ("alert.d/mail.alert", "alert mail"),
    ("alert.d/trap.alert", "alert trap"),
    ("alert.d/webhook.alert", "alert webhook"),
    ("alert.d/lvs.alert", "alert lvs"),
    ("alert.d/ipvs.alert", "alert ipvs"),
];

#[test]
fn no_tracked_file_names_one_machine_or_a_registry() {
    let mut findings = Vec::new();
    for (path, content) in tracked() {
        if path != "Cargo.lock" {
            findings.extend(machine_words(&path, &String::from_utf8_lossy(&content)));
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn what_comments_refer_to_can_be_found() {
    let decisions = numbered("docs/decisions.md");
    let quirks = numbered("docs/mon.md");
    assert!(decisions.len() > 15 && quirks.len() > 30, "{quirks:?}");
    let mut findings = Vec::new();
    let mut count = 0;
    for (path, content) in tracked() {
        if !path.ends_with(".rs") || path.starts_with("tests/tidy/") {
            continue;
        }
        let text = String::from_utf8_lossy(&content);
        let named = references(&text);
        count += named.len();
        for (line, name) in named {
            if !decisions.contains(&name) && !quirks.contains(&name) {
                findings.push(format!("{path}:{line}: error: nothing explains {name}"));
            }
        }
    }
    assert!(count > 50, "only {count} references found");
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn a_reference_to_nothing_is_found() {
    let text = "// Kept (E-9), see (D5, D13).\n// UTF-8, a-b and SHA-1 are no quirks; spec/x.md is not here.\n";
    let found = references(text);
    let names: Vec<(usize, &str)> = found
        .iter()
        .map(|(at, name)| (*at, name.as_str()))
        .collect();
    assert_eq!(names, [(1, "E-9"), (1, "D5"), (1, "D13"), (2, "spec/")]);
}

/// The first cells of a document's table: what it explains.
fn numbered(path: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(support::root().join(path)).expect("the document");
    text.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(cell, _)| cell.to_owned())
        .collect()
}

/// The decisions and quirks that a source names, and the specification that is not part of the
/// tree, each with its line.
fn references(text: &str) -> Vec<(usize, String)> {
    let pattern =
        regex::Regex::new(r"\b([CEMAT]-\d+)\b|[(, ](D\d+)\b|(\bspec/)").expect("a pattern");
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some((_, comment)) = text.split_once("//") else {
            continue;
        };
        for groups in pattern.captures_iter(comment) {
            let name = groups.iter().skip(1).flatten().next().expect("one of them");
            found.push((line, name.as_str().to_owned()));
        }
    }
    found
}

#[test]
fn saved_cases_stand_where_their_test_looks_for_them() {
    let tracked: BTreeSet<String> = tracked().into_keys().collect();
    let findings = orphaned_cases(&tracked);
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    let tree = |paths: [&str; 2]| paths.map(str::to_owned).into();
    for (source, cases) in [
        ("src/a/b.rs", "proptest-regressions/a/b.txt"),
        ("tests/a/b.rs", "proptest-regressions/a/b.txt"),
    ] {
        assert!(orphaned_cases(&tree([source, cases])).is_empty());
        let moved = source.replace("/a/", "/c/");
        assert_eq!(orphaned_cases(&tree([&moved, cases])).len(), 1);
    }
}

/// Files of saved cases whose source is gone: nobody plays them.
fn orphaned_cases(tracked: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for path in tracked {
        let cases = path.strip_prefix("proptest-regressions/");
        let Some(name) = cases.and_then(|name| name.strip_suffix(".txt")) else {
            continue;
        };
        let mut sources = ["src", "tests"]
            .map(|root| format!("{root}/{name}.rs"))
            .into_iter();
        if !sources.any(|source| tracked.contains(&source)) {
            findings.push(format!(
                "{path}:1: error: no source of this name plays these cases; move them to where it is"
            ));
        }
    }
    findings
}

#[test]
fn stand_ins_and_samples_can_be_executed() {
    let mut findings = Vec::new();
    for path in tracked().keys().filter(|path| is_program(path)) {
        let file = support::root().join(path);
        let mode = std::fs::metadata(&file)
            .expect("a tracked file")
            .permissions()
            .mode();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        findings.extend(program(path, mode, &text));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn every_built_in_has_its_stand_in() {
    let tracked = tracked();
    for (path, _) in STAND_INS {
        assert!(tracked.contains_key(path), "{path} is missing");
    }
}

#[test]
fn traces_of_a_machine_and_broken_programs_are_found() {
    let text = format!("a\nsee {}/notes\n", concat!("/wo", "rk/shared"));
    assert_eq!(machine_words("x.md", &text).len(), 1);
    assert!(machine_words("x.md", &text)[0].starts_with("x.md:2: error: "));
    assert_eq!(
        machine_words("x", concat!("https://index.", "crates.io/")).len(),
        1
    );
    assert!(machine_words("x", "the network/farm of the work place").is_empty());

    let good = "#!/bin/sh\nexec \"${LVSMON:-lvsmon}\" monitor http \"$@\"\n";
    assert!(program("mon.d/http.monitor", 0o755, good).is_empty());
    assert_eq!(program("mon.d/http.monitor", 0o644, good).len(), 1);
    assert_eq!(
        program("mon.d/http.monitor", 0o755, &format!("{good}# more\n")).len(),
        1
    );
    assert_eq!(program("mon.d/tcp.monitor", 0o755, good).len(), 1);
    assert_eq!(
        program("mon.d/own.monitor", 0o755, "echo no interpreter\n").len(),
        1
    );
    assert!(program("mon.d/own.monitor", 0o755, "#!/bin/sh\nexit 0\n").is_empty());
}

/// Path and content of every file under version control, or of every file in the tree when it is
/// not a repository (an unpacked archive).
pub(super) fn tracked() -> BTreeMap<String, Vec<u8>> {
    let root = support::root();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty());
    let names: Vec<String> = match listed {
        Some(output) => String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        None => walk(root),
    };
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), std::fs::read(root.join(&name)).ok()?)))
        .collect()
}

fn walk(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let skip = matches!(entry.file_name().to_str(), Some("target" | ".git"));
            if path.is_dir() && !skip {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn machine_words(path: &str, text: &str) -> Vec<String> {
    // In pieces, so that this file does not find itself.
    let words = [
        concat!("/wo", "rk/"),
        concat!("/fa", "rm/"),
        concat!("/tm", "p/h/"),
        concat!("/roo", "t/.cargo"),
        concat!("/hom", "e/runner"),
        concat!("index.", "crates.io"),
        concat!("crates-io", "-index"),
        concat!("deb.", "debian.org"),
        concat!("registry.", "npmjs"),
        concat!("pypi.", "org"),
    ];
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in words {
            let starts = |at: usize| {
                let before = line[..at].chars().next_back();
                !word.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || c == '.')
            };
            if line.match_indices(word).any(|(at, _)| starts(at)) {
                findings.push(format!(
                    "{path}:{}: error: names a machine or registry: {word}",
                    index + 1
                ));
            }
        }
    }
    findings
}

fn is_program(path: &str) -> bool {
    let folder = path.starts_with("mon.d/") || path.starts_with("alert.d/");
    folder && !path.ends_with(".md")
}

fn program(path: &str, mode: u32, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if mode & 0o111 != 0o111 {
        findings.push(format!("{path}:1: error: not executable; chmod +x"));
    }
    if let Some((_, words)) = STAND_INS.iter().find(|(known, _)| *known == path) {
        let wanted = format!("#!/bin/sh\nexec \"${{LVSMON:-lvsmon}}\" {words} \"$@\"\n");
        if text != wanted {
            findings.push(format!(
                "{path}:2: error: a stand-in is these two lines:\n{wanted}"
            ));
        }
    } else if !text.starts_with("#!") {
        findings.push(format!("{path}:1: error: no interpreter line"));
    }
    findings
}
