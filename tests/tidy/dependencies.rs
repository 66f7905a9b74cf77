//! Licences and bans of all packages we build, from `cargo metadata` and the lock file: the part
//! of deny.toml that needs no extra program.

use std::process::{Command, Stdio};

use crate::support;

/// Package names that must not come in, not even through a feature of another package.
const BANNED: [(&str, &str); 6] = [
    (
        "aws-lc-rs",
        "the provider is ring; this one needs a long C build",
    ),
    (
        "aws-lc-sys",
        "the provider is ring; this one needs a long C build",
    ),
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("async-std", "discontinued; the runtime is tokio"),
];

#[test]
fn every_package_has_a_licence_of_the_allow_list() {
    let allowed = allowed_licences(&read("deny.toml"));
    let mut findings = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for package in packages() {
        match package.licence.as_deref() {
            None => findings.push(format!("{}: no licence named", package.name)),
            Some(licence) => match choice(licence, &allowed) {
                Some(chosen) => used.extend(chosen),
                None => findings.push(format!("{}: licence {licence}", package.name)),
            },
        }
    }
    assert!(
        findings.is_empty(),
        "not on the list in deny.toml:\n{}",
        findings.join("\n")
    );
    let unused: Vec<&String> = allowed
        .iter()
        .filter(|name| !used.contains(*name))
        .collect();
    assert!(
        unused.is_empty(),
        "deny.toml allows what nothing needs: {unused:?}"
    );
}

#[test]
fn every_package_comes_from_the_public_registry() {
    let foreign: Vec<String> = packages()
        .into_iter()
        .filter(|package| package.name != "lvsmon")
        .filter(|package| {
            let source = package.source.as_deref().unwrap_or("a path");
            !source.starts_with("registry+https://github.com/rust-lang/")
        })
        .map(|package| package.name)
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn the_lock_file_holds_no_banned_package() {
    assert_eq!(banned_in(&read("Cargo.lock")), Vec::<String>::new());
}

#[test]
fn deny_toml_bans_what_the_lock_file_check_bans() {
    let deny = read("deny.toml");
    for (name, _) in BANNED {
        assert!(
            deny.contains(&format!("crate = \"{name}\"")),
            "deny.toml misses {name}"
        );
    }
}

#[test]
fn a_banned_package_and_a_foreign_licence_are_found() {
    let lock = "[[package]]\nname = \"openssl\"\nversion = \"0.10.1\"\n";
    assert_eq!(
        banned_in(lock),
        ["Cargo.lock:2: error: package openssl: TLS is rustls"]
    );
    assert!(banned_in("name = \"openssl-probe\"\n").is_empty());

    let allowed = ["MIT".to_owned(), "ISC".to_owned()];
    assert!(choice("MIT", &allowed).is_some());
    assert!(choice("GPL-3.0-only OR MIT", &allowed).is_some());
    assert!(choice("MIT/Apache-2.0", &allowed).is_some());
    assert!(choice("(MIT OR Apache-2.0) AND ISC", &allowed).is_some());
    assert!(choice("MIT AND GPL-3.0-only", &allowed).is_none());
    assert!(choice("(Apache-2.0 OR MIT) AND Unicode-3.0", &allowed).is_none());
    assert!(choice("AGPL-3.0-only", &allowed).is_none());
}

struct Package {
    name: String,
    licence: Option<String>,
    source: Option<String>,
}

/// The packages that are built for this target, our own included.
fn packages() -> Vec<Package> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &target])
        .current_dir(support::root())
        .stderr(Stdio::piped())
        .output()
        .expect("cargo runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo metadata: {message}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let packages: Vec<Package> = document["packages"]
        .as_array()
        .expect("a list of packages")
        .iter()
        .map(|package| Package {
            name: text(&package["name"]).expect("a name"),
            licence: text(&package["license"]),
            source: text(&package["source"]),
        })
        .collect();
    assert!(packages.len() > 50, "only {} packages seen", packages.len());
    packages
}

fn read(path: &str) -> String {
    std::fs::read_to_string(support::root().join(path)).expect("a file of the repository")
}

fn banned_in(lock: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in lock.lines().enumerate() {
        for (name, why) in BANNED {
            if line == format!("name = \"{name}\"") {
                findings.push(format!(
                    "Cargo.lock:{}: error: package {name}: {why}",
                    index + 1
                ));
            }
        }
    }
    findings
}

/// The list `allow` of `deny.toml`.
fn allowed_licences(deny: &str) -> Vec<String> {
    deny.split_once("allow = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .expect("an allow list in deny.toml")
        .0
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once('"')?.0.to_owned()))
        .collect()
}

/// The licences of `allowed` with which the expression is satisfied, `None` when it is not.
///
/// Grammar: names joined by OR (or `/`), AND, and parentheses; AND binds tighter than OR.
fn choice(expression: &str, allowed: &[String]) -> Option<Vec<String>> {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let spaced = spaced.replace(" WITH ", "_WITH_");
    let mut words: Vec<String> = spaced
        .split_whitespace()
        .map(|word| word.replace("_WITH_", " WITH "))
        .rev()
        .collect();
    let result = any_of(&mut words, allowed);
    assert!(
        words.is_empty(),
        "cannot read the licence expression {expression:?}"
    );
    result
}

fn any_of(words: &mut Vec<String>, allowed: &[String]) -> Option<Vec<String>> {
    let mut result = all_of(words, allowed);
    while words.last().is_some_and(|word| word == "OR") {
        words.pop();
        let other = all_of(words, allowed);
        result = match (result, other) {
            (Some(mut chosen), Some(more)) => {
                chosen.extend(more);
                Some(chosen)
            }
            (chosen, more) => chosen.or(more),
        };
    }
    result
}

fn all_of(words: &mut Vec<String>, allowed: &[String]) -> Option<Vec<String>> {
    let mut result = one(words, allowed);
    while words.last().is_some_and(|word| word == "AND") {
        words.pop();
        let other = one(words, allowed);
        result = result.zip(other).map(|(mut chosen, more)| {
            chosen.extend(more);
            chosen
        });
    }
    result
}

fn one(words: &mut Vec<String>, allowed: &[String]) -> Option<Vec<String>> {
    let word = words.pop()?;
    if word == "(" {
        let inner = any_of(words, allowed);
        assert_eq!(words.pop().as_deref(), Some(")"), "unbalanced parentheses");
        return inner;
    }
    allowed.contains(&word).then(|| vec![word])
}
