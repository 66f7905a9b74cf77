//! The records of mon, in mon's order of tests (docs/mon.md, "Reading").

use std::fmt::Write;

use super::*;

/// The tree of a text on one line for each record, and the messages.
fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let mut sources = Sources::default();
    let mut out = Findings::default();
    let lines = sources.add("mon.cf", text.as_bytes(), &mut out).unwrap();
    let items = parse(&sources, &lines, &mut out);
    let shown = items.iter().map(|item| show(&sources, item)).collect();
    let message = |one: &Diagnostic| {
        let line = one.place.as_ref().map_or(0, |place| place.line);
        let kind = if one.is_error() { "error" } else { "warning" };
        format!("{line} {kind}: {}", one.message)
    };
    (shown, out.list().iter().map(message).collect())
}

fn show(sources: &Sources, item: &Item) -> String {
    let text = |span: &Span| sources.text(*span);
    let list = |spans: &[Span]| spans.iter().map(text).collect::<Vec<_>>().join("|");
    match item {
        Item::Global(global) => format!("{} = {}", text(&global.name), text(&global.value)),
        Item::Hostgroup(group) => {
            format!("hostgroup {}: {}", text(&group.name), list(&group.hosts))
        }
        Item::Alias(alias) => format!("alias {}: {}", text(&alias.name), list(&alias.lines)),
        Item::View(view) => format!("view {}: {}", text(&view.name), list(&view.members)),
        Item::Section(section) => {
            let mut out = format!("virtual {}:", text(&section.name));
            for one in &section.statements {
                let _ = write!(out, " {}({})", text(&one.keyword), text(&one.argument));
            }
            out
        }
        Item::Include(include) => format!("include {}", text(&include.path)),
        Item::Watch(watch) => {
            let mut out = format!("watch {}:", text(&watch.name));
            let statement = |out: &mut String, one: &Statement| {
                let _ = write!(out, " {}({})", text(&one.keyword), text(&one.argument));
            };
            for service in &watch.services {
                let _ = write!(out, " [{}", text(&service.name));
                service
                    .statements
                    .iter()
                    .for_each(|one| statement(&mut out, one));
                for variable in &service.environment {
                    let _ = write!(out, " {}={}", text(&variable.name), text(&variable.value));
                }
                for period in &service.periods {
                    let label = period.label.map_or("-", |label| sources.text(label));
                    let _ = write!(out, " <{label}:{}", text(&period.specification));
                    period
                        .statements
                        .iter()
                        .for_each(|one| statement(&mut out, one));
                    out.push('>');
                }
                out.push(']');
            }
            out
        }
    }
}

fn assert_reads(text: &str, records: &[&str], messages: &[&str]) {
    let (found, said) = read(text);
    assert_eq!(found, records, "{text}");
    assert_eq!(said, messages, "{text}");
}

#[test]
fn settings_are_read_anywhere_but_in_a_watch() {
    assert_reads(
        "a=1\nhostgroup g h1\nb = 2 3\n h2\n\nalias x\nc =\ntext\n",
        &[
            "a = 1",
            "b = 2 3",
            "hostgroup g: h1|h2",
            "c = ",
            "alias x: text",
        ],
        &[],
    );
}

#[test]
fn an_empty_line_leaves_every_record() {
    assert_reads(
        "hostgroup g h\n\nview v a\n\nwatch w\nservice s\n \nwatch x\nservice t\n",
        &[
            "hostgroup g: h",
            "view v: a",
            "watch w: [s]",
            "watch x: [t]",
        ],
        &[],
    );
}

#[test]
fn a_hostgroup_begins_anywhere() {
    assert_reads(
        "watch w\nservice s\nhostgroup g h1\nhostgroup i h2\n",
        &["watch w: [s]", "hostgroup g: h1", "hostgroup i: h2"],
        &[],
    );
}

#[test]
fn an_alias_a_view_and_a_watch_begin_inside_a_watch() {
    assert_reads(
        "watch w\nservice s\nwatch x\nservice t\nalias a\nx y\n\nwatch z\nview v b c\n",
        &[
            "watch w: [s]",
            "watch x: [t]",
            "alias a: x y",
            "watch z:",
            "view v: b|c",
        ],
        &[],
    );
}

#[test]
fn text_of_an_alias_is_kept_as_it_is() {
    assert_reads(
        "alias a\nservice  x\nview w x\nalias b\nurl u\n",
        &["alias a: service  x|view w x", "alias b: url u"],
        &[],
    );
}

#[test]
fn a_watch_right_below_a_hostgroup_is_swallowed_and_said() {
    assert_reads(
        "hostgroup a h1\nwatch a\nservice s\n",
        &["hostgroup a: h1|watch|a|service|s"],
        &["2 warning: \"watch a\" is taken as host names of the hostgroup above it"],
    );
    assert_reads(
        "view v a\nwatch a\n\ninclude x.cf\n",
        &["view v: a|watch|a", "include x.cf"],
        &["2 warning: \"watch a\" is taken as members of the view above it"],
    );
}

#[test]
fn what_follows_a_blank_line_in_a_watch_is_lost_and_said() {
    assert_reads(
        "watch w\nservice s\n\ninterval 1m\n\nmonitor x\n",
        &["watch w: [s]"],
        &[
            "4 warning: \"interval\" is ignored: a blank line ended watch \"w\"",
            "6 warning: \"monitor\" is ignored: a blank line ended watch \"w\"",
        ],
    );
}

#[test]
fn unknown_text_at_the_top_is_lost_and_said() {
    assert_reads(
        "wach w\nwatch ä\nalias\n\"x\"\nview v\n",
        &[],
        &[
            "1 warning: \"wach w\" is ignored: it belongs to no record",
            "2 warning: \"watch ä\" is ignored: it belongs to no record",
            "3 warning: \"alias\" is ignored: it belongs to no record",
            "4 warning: \"\"x\"\" is ignored: it belongs to no record",
            "5 warning: \"view v\" is ignored: it belongs to no record",
        ],
    );
}

#[test]
fn a_hostgroup_name_ends_at_the_first_other_letter() {
    assert_reads(
        "hostgroup a/b h1\n",
        &["hostgroup a: /b|h1"],
        &["1 warning: hostgroup name \"a\" ends before \"/b\", which is taken as a host"],
    );
    assert_reads(
        "watch a/b\nservice s\n",
        &["watch a: [s]"],
        &["1 warning: \"/b\" after the name of the watch is ignored"],
    );
}

#[test]
fn keywords_belong_to_a_service_or_to_a_period() {
    assert_reads(
        "watch w\nservice s\ninterval 1m\nX=  a b \nperiod wd {Mon}\nalert a\nY=\nperiod L : hr {1}\nperiod\nupalert b\nservice t\nmonitor m\n",
        &[
            "watch w: [s interval(1m) X=  a b Y= <-:wd {Mon} alert(a)> <L:hr {1}> <-: upalert(b)>] [t monitor(m)]",
        ],
        &[],
    );
    assert_reads(
        "watch w\nservice s\nalert a\nperiod work: wd {Mon}\ninterval 1m\n",
        &["watch w: [s <work:wd {Mon}>]"],
        &[
            "3 error: \"alert\" belongs to a period",
            "5 error: \"interval\" belongs to the service, not to period \"work\"",
        ],
    );
}

#[test]
fn order_in_a_watch_is_checked() {
    assert_reads(
        "watch w\ninterval 1m\nX=1\nperiod\nfoo bar\n",
        &["watch w:"],
        &[
            "2 error: need to specify service before \"interval\"",
            "3 error: environment variable defined without a service",
            "4 error: need to specify service before \"period\"",
            "5 error: unknown keyword \"foo\" here",
        ],
    );
}

#[test]
fn settings_and_odd_lines_in_a_watch_are_errors() {
    assert_reads(
        "watch w\nservice s\nmaxprocs = 5\nFOO = bar\n{x}\n-y\n",
        &["watch w: [s]"],
        &[
            "3 error: unknown keyword \"maxprocs\" in service \"s\"",
            "4 error: unknown keyword \"FOO\" in service \"s\"",
            "5 error: unknown syntax: this line starts with no keyword",
            "6 error: unknown syntax: this line starts with no keyword",
        ],
    );
}

#[test]
fn an_unfinished_last_line_is_dropped_and_said() {
    assert_reads(
        "a = 1\nb = 2 \\\n",
        &["a = 1"],
        &["2 warning: the last line ends in a backslash and is dropped"],
    );
}

#[test]
fn a_section_ends_at_a_blank_line_or_where_mon_begins_another_record() {
    assert_reads(
        "maxprocs = 2\nvirtual 10.0.0.3:80\n real web weight 5\n # note\n one_packet\nhostgroup g h\n\n\
         virtual fwmark 7\n service a:b\nwatch w\nservice s\n",
        &[
            "maxprocs = 2",
            "virtual 10.0.0.3:80: real(web weight 5) one_packet()",
            "hostgroup g: h",
            "virtual fwmark 7: service(a:b)",
            "watch w: [s]",
        ],
        &[],
    );
}

#[test]
fn no_record_of_mon_takes_a_section_in() {
    for (above, name) in [
        ("hostgroup g", "hostgroup \"g\""),
        ("alias a", "alias \"a\""),
        ("view v w", "view \"v\""),
        ("watch w\nservice s", "watch \"w\""),
        ("virtual 10.0.0.3:81", "virtual 10.0.0.3:81"),
    ] {
        let text = format!("{above}\nvirtual [2001:db8::3]:80\n real web\n");
        let (records, said) = read(&text);
        assert_eq!(
            records.last().map(String::as_str),
            Some("virtual [2001:db8::3]:80: real(web)"),
            "{text}"
        );
        let line = above.lines().count() + 1;
        let expected = format!("{line} error: a \"virtual\" section begins inside of {name}");
        assert_eq!(said, [expected], "{text}");
    }
}

#[test]
fn text_that_is_no_section_stays_what_it_was() {
    assert_reads(
        "alias a\nvirtual servers of ours\n\nhostgroup g\nvirtual www\n",
        &[
            "alias a: virtual servers of ours",
            "hostgroup g: virtual|www",
        ],
        &["5 warning: \"virtual www\" is taken as host names of the hostgroup above it"],
    );
}
