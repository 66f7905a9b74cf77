//! The house rules that no compiler knows, read from the sources; each finding names file and
//! line, and each rule is shown to be able to fail.

mod dependencies;
mod rules;
mod source;
mod tree;

use crate::support;
use source::Source;

#[test]
fn sources_keep_the_house_rules() {
    let lib = std::fs::read_to_string(support::root().join("src/lib.rs")).expect("src/lib.rs");
    let order = rules::module_order(&lib);
    assert!(
        order.len() > 10,
        "the table of modules in src/lib.rs was not understood: {order:?}"
    );
    assert!(
        rules::pure_modules(&order).len() > 10,
        "the table does not name the last module of the pure part: {order:?}"
    );
    let sources = sources();
    assert!(
        sources.len() > 30,
        "only {} source files seen",
        sources.len()
    );
    let mut findings = rules::modules_without_place(&lib);
    findings.extend(rules::undeclared_modules(&sources));
    for source in &sources {
        findings.extend(rules::check(source, &order));
    }
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// All Rust files of the tree.
fn sources() -> Vec<Source> {
    let sources: Vec<Source> = tree::tracked()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(path, content)| Source::new(&path, &String::from_utf8_lossy(&content)))
        .collect();
    let for_tests = rules::test_files(&sources);
    let mark = |source: Source| {
        if for_tests.contains(&source.path) {
            source.for_tests()
        } else {
            source
        }
    };
    sources.into_iter().map(mark).collect()
}

const LIB: &str = "//! A crate.\n//!\n//! | Question | Module |\n//! |---|---|\n//! | a | [`time`] |\n//! | b | [`lvs`] |\n//! | b | [`lead`] |\n//! | b | [`config`] |\n//! | c | [`engine`] |\n//! | c | [`import`] |\n//! | d | `folder` |\n//! | d | [`daemon`] |\n\npub mod time;\nmod folder;\npub mod engine;\n";

/// The findings of all rules for one sample.
fn findings(path: &str, code: &str) -> Vec<String> {
    let source = Source::new(path, &format!("//! A sample.\n{code}"));
    rules::check(&source, &rules::module_order(LIB))
}

#[track_caller]
fn assert_found(path: &str, code: &str, expected: &str) {
    let findings = findings(path, code);
    assert!(
        findings.len() == 1 && findings[0].starts_with(&format!("{path}:2: error: {expected}")),
        "{code}: {findings:?}"
    );
}

#[test]
fn the_pure_part_may_not_touch_the_world() {
    for (code, banned) in [
        ("use tokio::sync::mpsc;", "tokio"),
        ("use std::{collections::BTreeMap, fs};", "std::fs"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("use std::net::{IpAddr, TcpStream};", "std::net::TcpStream"),
        ("use std::time::{Duration, Instant};", "std::time::Instant"),
        ("use std::time::SystemTime;", "std::time::SystemTime"),
        (
            "use std::collections::HashMap;",
            "std::collections::HashMap",
        ),
        ("fn f() { std::env::var(\"x\"); }", "std::env"),
        ("use std::process::Command;", "std::process"),
    ] {
        let expected = format!("{banned} in the pure part");
        // All that the table has down to the last pure module.
        for path in [
            "src/time.rs",
            "src/lead.rs",
            "src/engine/policy.rs",
            "src/import.rs",
        ] {
            assert_found(path, code, &expected);
        }
        for path in ["src/folder.rs", "src/daemon.rs"] {
            assert_eq!(findings(path, code), Vec::<String>::new());
        }
    }
    assert!(findings("src/engine.rs", "use std::net::IpAddr;").is_empty());
    assert!(findings("src/engine.rs", "// std::fs\nconst A: &str = \"tokio::x\";").is_empty());
    assert!(findings("src/engine.rs", "#[cfg(test)]\nmod t { use std::fs; }").is_empty());
}

#[test]
fn arrows_point_upwards_only() {
    assert_found(
        "src/time.rs",
        "use crate::engine::Engine;",
        "time must not import engine",
    );
    assert_found(
        "src/time.rs",
        "use super::engine::Engine;",
        "time must not import engine",
    );
    // A private module has its place too.
    assert_found(
        "src/engine.rs",
        "use crate::folder::sync;",
        "engine must not import folder",
    );
    assert_found(
        "src/engine.rs",
        "use super::{time::Mono, daemon::Applier};",
        "engine must not import daemon",
    );
    assert_found(
        "src/engine/state.rs",
        "fn f() { crate::daemon::run() }",
        "engine must not",
    );
    assert_found(
        "src/engine.rs",
        "use crate::config::load;",
        "engine must not import config",
    );
    assert!(findings("src/engine/state.rs", "use crate::time::Mono;").is_empty());
    assert!(findings("src/engine/state.rs", "use super::daemon::OwnSubmodule;").is_empty());
    assert!(findings("src/main.rs", "use crate::daemon::run;").is_empty());
    assert_found(
        "src/monitor/http.rs",
        "use crate::model::{HostName, Model};",
        "monitor must not import model",
    );
    assert!(findings("src/monitor/http.rs", "use crate::model::HostName;").is_empty());
}

#[test]
fn words_of_unfinished_or_careless_code_stay_out_of_the_product() {
    for (code, expected) in [
        ("fn f() { x.unwrap(); }", "unwrap;"),
        ("fn f() { x.expect(\"y\"); }", "expect;"),
        ("fn f() { x.unwrap_err(); }", "unwrap_err;"),
        ("fn f() { panic!(\"y\"); }", "panic!"),
        ("fn f() { todo!(); }", "unfinished"),
        ("fn f() { unreachable!(); }", "unreachable!"),
        ("fn f() { println!(\"y\"); }", "print macros"),
        ("fn f() { eprint!(\"y\"); }", "print macros"),
        ("fn f() { dbg!(1); }", "left over"),
        ("fn f() { unsafe { g() } }", "unsafe"),
        ("fn f() { command.uid(7); }", "another user"),
        ("fn f() { command.gid(group); }", "another user"),
        ("#[allow(dead_code)]", "bare `allow`"),
        ("#[expect(dead_code)]", "bare `expect`"),
    ] {
        assert_found("src/daemon.rs", code, expected);
    }
    assert_found("tests/daemon/mod.rs", "#[ignore]", "ignored test");
    assert_found(
        "tests/daemon/mod.rs",
        "#[ignore = \"flaky\"]",
        "ignored test",
    );
    for code in [
        "fn f() { x.unwrap_or_default(); writeln!(out, \"y\"); }",
        "fn f() { metadata.uid() == peer.uid( ) }",
        "fn f() { self.expect(Token::Comma); unreachable!(\"a group has a host\"); }",
        "#[expect(dead_code, reason = \"for the next issue\")]",
        "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); panic!(\"y\") }\n}",
    ] {
        assert_eq!(findings("src/daemon.rs", code), Vec::<String>::new());
    }
}

#[test]
fn comments_are_no_wider_than_code_and_modules_are_laid_out_in_one_way() {
    let wide = "x".repeat(99);
    for comment in ["//", "///", "//!", "    // "] {
        for path in ["src/a.rs", "tests/a.rs", "benches/a.rs"] {
            assert_found(path, &format!("{comment}{wide}"), "a comment of");
        }
    }
    let odd = "\u{e9}".repeat(98);
    let row = format!("//! | {wide} |");
    let link = format!("// <https://example.org/{wide}>");
    let text = format!("const A: &str = \"{wide}\";");
    for good in [format!("//{odd}"), row, link, text] {
        assert_eq!(findings("src/a.rs", &good), Vec::<String>::new());
    }
    assert!(findings("src/a/mod.rs", "")[0].contains("write src/a.rs beside the folder"));
    assert!(findings("tests/a/mod.rs", "").is_empty());
}

#[test]
fn a_file_has_a_header_a_bounded_length_and_a_place() {
    let long = "const A: u8 = 1;\n".repeat(600);
    assert!(findings("src/daemon.rs", &long)[0].contains("601 lines without tests"));
    let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(findings("src/daemon.rs", &tests).is_empty());

    let bare = Source::new("src/daemon.rs", "use a::b;\n");
    assert!(rules::check(&bare, &[])[0].contains("no header"));

    assert!(rules::modules_without_place(LIB).is_empty());
    for kind in ["pub mod", "mod"] {
        let more = format!("{LIB}{kind} odd;\n");
        assert_eq!(rules::modules_without_place(&more).len(), 1);
    }

    let fixture = [Source::new(
        "src/a.rs",
        "#[cfg(test)]\npub(crate) mod b;\nmod c;\n",
    )];
    assert_eq!(
        rules::test_files(&fixture),
        ["src/a/b.rs", "src/a/b/mod.rs"]
    );

    let sources = [
        Source::new("src/lib.rs", "//! A.\npub mod a;\n"),
        Source::new("src/a.rs", "//! A.\nmod b;\n"),
        Source::new("src/a/b.rs", "//! B.\n"),
        Source::new("src/a/forgotten.rs", "//! C.\n"),
    ];
    let findings = rules::undeclared_modules(&sources);
    assert_eq!(
        findings,
        ["src/a/forgotten.rs:1: error: no `mod forgotten;` names this file"]
    );
}
