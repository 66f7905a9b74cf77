//! The rules for one Rust source file: what the pure part may not touch, which way the arrows
//! point, what may not stand outside tests, how long a file may be.
//!
//! Each rule takes a [`Source`] and returns findings `path:line: error: what, what instead`.
//! What clippy can see it is left to (function length, `HashMap` in the shell, wildcard matches).

use regex::Regex;

use super::source::Source;

/// The last of the modules of src/lib.rs that are without tokio, files, sockets, clocks or an
/// environment: they and what stands above them are decisions only.
const LAST_PURE: &str = "import";

/// Path beginnings that do not occur in the pure part, and what to do instead.
const NOT_IN_PURE: [(&str, &str); 20] = [
    ("tokio", "return an action, the shell awaits"),
    ("std::fs", "site and store read and write files"),
    ("std::io", "site and store read and write files"),
    (
        "std::net::TcpStream",
        "sockets belong to monitor, alert and daemon",
    ),
    (
        "std::net::TcpListener",
        "sockets belong to monitor, alert and daemon",
    ),
    (
        "std::net::UdpSocket",
        "sockets belong to monitor, alert and daemon",
    ),
    ("std::net::ToSocketAddrs", "names are looked up in names.rs"),
    ("std::os", "the pure part knows no operating system"),
    ("std::time::Instant", "take a Mono"),
    ("std::time::SystemTime", "take a Wall"),
    (
        "std::collections::HashMap",
        "use BTreeMap: its order is the same in every run",
    ),
    (
        "std::collections::HashSet",
        "use BTreeSet: its order is the same in every run",
    ),
    ("std::env", "take the value as an argument"),
    ("std::process", "the runner starts programs"),
    ("std::thread", "the pure part has no threads"),
    ("std::sync::Mutex", "one owner for each piece of state"),
    ("fastrand::Rng::new", "take a seed"),
    ("jiff::Zoned::now", "take a Wall"),
    ("jiff::Timestamp::now", "take a Wall"),
    ("tracing", "return a note, the shell logs it"),
];

/// Arrows that the order of src/lib.rs would allow and the design does not: from, to, the only
/// names that may be imported nevertheless, and the reason.
const NO_ARROW: [(&str, &str, &[&str], &str); 8] = [
    (
        "engine",
        "config",
        &[],
        "the engine sees a Model only, whoever built it",
    ),
    ("lvs", "time", &[], "the table's vocabulary stands alone"),
    (
        "monitor",
        "model",
        &["HostName"],
        "a monitor sees options and hosts, so that it also works alone",
    ),
    (
        "monitor",
        "config",
        &[],
        "a monitor sees options and hosts, so that it also works alone",
    ),
    (
        "alert",
        "config",
        &[],
        "an alert sees a call and options, so that it also works alone",
    ),
    (
        "alert",
        "monitor",
        &[],
        "checks and messages do not know each other",
    ),
    ("ipvs", "engine", &[], "the kernel's table knows only lvs"),
    ("ipvs", "monitor", &[], "the kernel's table knows only lvs"),
];

/// The one reason for which a test may be ignored: it is no test but a part of one, started by
/// a scenario inside the lab's kernel.
const LAB_PART: &str = "runs inside the lab kernel";

/// Longest file in lines, tests not counted: beyond it, it answers more than one question.
const LINES_MAX: usize = 600;

/// Widest line of a comment in characters: what rustfmt keeps code within.
const COMMENT_WIDTH_MAX: usize = 100;

/// Every rule on one file. `order` is the list of modules of src/lib.rs, see [`module_order`].
pub(super) fn check(source: &Source, order: &[String]) -> Vec<String> {
    let mut findings = header(source);
    findings.extend(attributes(source));
    findings.extend(comments(source));
    if source.path.starts_with("src/") {
        findings.extend(place(source));
        findings.extend(length(source));
        findings.extend(words(source));
        findings.extend(pure(source, order));
        findings.extend(arrows(source, order));
    }
    findings
}

/// The modules in the order of the table in src/lib.rs: each imports only what stands before it.
pub(super) fn module_order(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("//! |")?.trim_end().strip_suffix('|'))
        .filter_map(|line| line.rsplit_once('|'))
        // A private module is no link.
        .map(|(_, name)| name.trim().trim_start_matches('[').trim_end_matches(']'))
        .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'))
        .map(str::to_owned)
        .collect()
}

/// Modules that src/lib.rs declares without a line in its table.
pub(super) fn modules_without_place(lib: &str) -> Vec<String> {
    let order = module_order(lib);
    lib.lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .filter(|name| !order.iter().any(|known| known == name))
        .map(|name| {
            format!("src/lib.rs:1: error: module {name} has no line in the table of modules")
        })
        .collect()
}

/// The files that modules behind `#[cfg(test)]` name: they are compiled for tests only.
pub(super) fn test_files(sources: &[Source]) -> Vec<String> {
    let pattern = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\([a-z]+\))?\s+)?mod\s+(\w+)\s*;")
        .expect("a pattern");
    let mut files = Vec::new();
    for source in sources {
        let folder = match source.path.strip_suffix("/mod.rs") {
            Some(folder) => folder.to_owned(),
            None => source.path.trim_end_matches(".rs").to_owned(),
        };
        let folder = folder.replace("src/lib", "src");
        for found in pattern.captures_iter(&source.code) {
            let name = &found[1];
            files.push(format!("{folder}/{name}.rs"));
            files.push(format!("{folder}/{name}/mod.rs"));
        }
    }
    files
}

/// A source file whose module is declared nowhere is dead text that nobody compiles.
pub(super) fn undeclared_modules(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let Some((folder, file)) = source.path.rsplit_once('/') else {
            continue;
        };
        let roots = ["src/lib.rs", "src/main.rs", "tests/main.rs"];
        let programs = ["benches", "fuzz/targets"];
        if roots.contains(&source.path.as_str()) || programs.contains(&folder) {
            continue;
        }
        let (parent, name) = match file {
            "mod.rs" => folder.rsplit_once('/').unwrap_or((folder, "")),
            _ => (folder, file.trim_end_matches(".rs")),
        };
        let declaration = Regex::new(&format!(r"\bmod\s+{name}\s*;")).expect("a valid pattern");
        let homes = [
            format!("{parent}/lib.rs"),
            format!("{parent}/main.rs"),
            format!("{parent}/mod.rs"),
            format!("{parent}.rs"),
        ];
        let is_declared = sources
            .iter()
            .filter(|other| homes.contains(&other.path))
            .any(|other| declaration.is_match(&other.code));
        if !is_declared {
            findings.push(format!(
                "{}:1: error: no `mod {name};` names this file",
                source.path
            ));
        }
    }
    findings
}

fn finding(source: &Source, at: usize, what: impl std::fmt::Display) -> String {
    format!("{}:{}: error: {what}", source.path, source.line(at))
}

fn header(source: &Source) -> Vec<String> {
    // A `tests.rs` is the lower half of the file it belongs to.
    if source.text.starts_with("//!") || source.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    vec![finding(
        source,
        0,
        "no header; begin with `//!` and what the file answers",
    )]
}

/// Modules with parts of their own are laid out in one way.
fn place(source: &Source) -> Vec<String> {
    let Some(folder) = source.path.strip_suffix("/mod.rs") else {
        return Vec::new();
    };
    vec![finding(
        source,
        0,
        format!("a mod.rs below src; write {folder}.rs beside the folder"),
    )]
}

/// rustfmt does not wrap them. A row of a table stays whole, and so does an address.
fn comments(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let width = line.chars().count();
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            continue;
        };
        let comment = comment.trim_start_matches(['/', '!']).trim_start();
        let is_whole = comment.starts_with('|') || comment.contains("://");
        if width > COMMENT_WIDTH_MAX && !is_whole {
            findings.push(format!(
                "{}:{}: error: a comment of {width} characters, more than {COMMENT_WIDTH_MAX}; \
                 wrap it",
                source.path,
                index + 1
            ));
        }
    }
    findings
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.lines_without_tests();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![finding(
        source,
        0,
        format!("{lines} lines without tests, more than {LINES_MAX}; split it at a question"),
    )]
}

fn attributes(source: &Source) -> Vec<String> {
    let pattern = Regex::new(r"#!?\[\s*(allow|expect|ignore)\b[^\]]*\]").expect("a valid pattern");
    let mut findings = Vec::new();
    for found in pattern.captures_iter(&source.code) {
        let whole = found.get(0).expect("the whole match");
        let name = &found[1];
        if name == "ignore" && source.text[whole.range()].contains(LAB_PART) {
            continue;
        }
        if name == "ignore" {
            findings.push(finding(
                source,
                whole.start(),
                "ignored test; use support::skip, which is counted",
            ));
        } else if !whole.as_str().contains("reason") {
            findings.push(finding(
                source,
                whole.start(),
                format!("bare `{name}` attribute; use `#[expect(lint, reason = \"...\")]`"),
            ));
        }
    }
    findings
}

/// Words that do not stand in the product outside its tests.
fn words(source: &Source) -> Vec<String> {
    let banned = [
        (
            r"\.unwrap\(\)",
            "unwrap; handle the case or name the invariant with unreachable!",
        ),
        (r#"\.expect\(\s*(&format!|")"#, "expect; handle the case"),
        (r"\.unwrap_err\(\)", "unwrap_err; handle the case"),
        (r"\bpanic!", "panic!; return an error"),
        (
            r"\b(todo|unimplemented)!",
            "unfinished code; open an issue or finish it",
        ),
        (
            r"\bunreachable!\(\s*\)",
            "unreachable! without the invariant that makes it so",
        ),
        (
            r"\be?print(ln)?!",
            "print macros panic on a closed pipe; use the output helper",
        ),
        (r"\bdbg!", "left over dbg!"),
        (
            r"[=(,]\s*\?[a-z_]",
            "Rust's own form of a value in a log field; people read it, give its Display (%)",
        ),
        (r"\bunsafe\s*\{", "unsafe; use a safe wrapper"),
        (
            r"\.(uid|gid|pre_exec)\(\s*[^)\s]",
            "another user for a child (D28); program/as_user.rs does it in a process of its own",
        ),
    ];
    let mut findings = Vec::new();
    for (pattern, what) in banned {
        let pattern = Regex::new(pattern).expect("a valid pattern");
        for found in pattern.find_iter(&source.code) {
            if !source.is_test(found.start()) {
                findings.push(finding(source, found.start(), what));
            }
        }
    }
    findings
}

/// The module of src/ that `path` belongs to, and how deep the file's own module is.
fn module_of(path: &str) -> (&str, usize) {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inner = inner.trim_end_matches("/mod");
    let top = inner.split('/').next().unwrap_or(inner);
    (top, inner.split('/').count())
}

/// The modules of the pure part, in that order.
pub(super) fn pure_modules(order: &[String]) -> &[String] {
    let last = order.iter().position(|name| name == LAST_PURE);
    last.map_or(&[], |last| &order[..=last])
}

fn pure(source: &Source, order: &[String]) -> Vec<String> {
    let (module, _) = module_of(&source.path);
    if !pure_modules(order).iter().any(|name| name == module) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for path in source.paths() {
        let text = path.segments.join("::");
        for (banned, instead) in NOT_IN_PURE {
            if text == banned || text.starts_with(&format!("{banned}::")) {
                findings.push(finding(
                    source,
                    path.at,
                    format!("{banned} in the pure part; {instead}"),
                ));
            }
        }
    }
    findings
}

fn arrows(source: &Source, order: &[String]) -> Vec<String> {
    let (from, depth) = module_of(&source.path);
    if from == "main" || from == "lib" {
        return Vec::new();
    }
    let place = |name: &str| order.iter().position(|known| known == name);
    let mut findings = Vec::new();
    for path in source.paths() {
        let supers = path
            .segments
            .iter()
            .take_while(|word| *word == "super")
            .count();
        let to = match path.segments.first().map(String::as_str) {
            Some("crate") => path.segments.get(1),
            Some("super") if supers >= depth => path.segments.get(supers),
            _ => None,
        };
        let Some(to) = to.filter(|to| *to != from) else {
            continue;
        };
        let after = if path.segments[0] == "crate" {
            path.segments.get(2)
        } else {
            path.segments.get(supers + 1)
        };
        let exception = NO_ARROW.iter().find(|(a, b, allowed, _)| {
            *a == from && b == to && !after.is_some_and(|name| allowed.contains(&name.as_str()))
        });
        let why = match (exception, place(from), place(to)) {
            (Some((_, _, _, why)), _, _) => (*why).to_owned(),
            (None, Some(here), Some(there)) if there > here => {
                "it stands lower in the table of src/lib.rs".to_owned()
            }
            _ => continue,
        };
        findings.push(finding(
            source,
            path.at,
            format!("{from} must not import {to}: {why}"),
        ));
    }
    findings
}
