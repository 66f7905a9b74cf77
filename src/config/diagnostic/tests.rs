use super::*;

fn place(line: u32, text: &str, part: &str) -> Place {
    let start = text.find(part).unwrap();
    Place::new("mon.cf".into(), line, text, start, start + part.len())
}

#[test]
fn an_error_looks_as_the_manual_says() {
    let text = "        alertevry 1h";
    let message = "unknown keyword \"alertevry\" in period \"wd {Mon-Fri}\"";
    let error = Diagnostic::error(message)
        .with_help("did you mean \"alertevery\"?")
        .at(place(41, text, "alertevry"));
    let expected = "\
cf error: unknown keyword \"alertevry\" in period \"wd {Mon-Fri}\", line 41
  --> mon.cf:41:9
   |
41 |         alertevry 1h
   |         ^^^^^^^^^ did you mean \"alertevery\"?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn columns_count_characters_and_a_tab_is_one() {
    let place = place(1, "\tdescription é x", "x");
    assert_eq!((place.column, place.indent, place.width), (16, 15, 1));
    assert_eq!(place.excerpt, " description é x");
}

#[test]
fn a_mistake_without_a_place_is_one_line_with_its_help() {
    let warning = Diagnostic::warning("nothing is watched").with_help("add a watch");
    assert_eq!(
        warning.to_string(),
        "cf warning: nothing is watched\n  = add a watch"
    );
}

#[test]
fn a_very_long_line_is_cut_around_the_mistake() {
    let text = format!("{} bad {}", "a".repeat(5_000_000), "b".repeat(5_000_000));
    let place = place(1, &text, "bad");
    assert_eq!(place.column, 5_000_002);
    assert!(place.excerpt.chars().count() < EXCERPT_MAX + 10);
    let marked: String = place
        .excerpt
        .chars()
        .skip(place.indent as usize)
        .take(3)
        .collect();
    assert_eq!(marked, "bad");
}

#[test]
fn a_very_long_line_is_cut_behind_a_mistake_at_its_start() {
    let text = "a".repeat(1_000_000);
    let place = Place::new("mon.cf".into(), 1, &text, 0, text.len());
    assert!(place.excerpt.chars().count() < EXCERPT_MAX + 10);
    let shown = Diagnostic::error("long").at(place).to_string();
    assert!(shown.len() < 5 * EXCERPT_MAX, "{}", shown.len());
}

#[test]
fn a_mark_ends_with_the_line_it_began_in() {
    let place = Place::new("f".into(), 1, "abc", 1, 90);
    assert_eq!((place.column, place.width), (2, 2));
    let place = Place::new("f".into(), 1, "", 0, 1);
    assert_eq!((place.column, place.width), (1, 1));
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let place = Place::new("f".into(), 1, "a\u{1b}[2Jb", 0, 1);
    assert_eq!(place.excerpt, "a\u{fffd}[2Jb");
}

#[test]
fn diagnostics_are_sorted_by_place() {
    let at = |line, part: &str| Diagnostic::warning(part).at(place(line, "ab", part));
    let mut list = vec![
        at(3, "a"),
        at(1, "b"),
        at(1, "a"),
        Diagnostic::error("first"),
    ];
    sort(&mut list);
    let order: Vec<_> = list
        .iter()
        .map(|one| one.place.as_ref().map(|place| (place.line, place.column)))
        .collect();
    assert_eq!(order, [None, Some((1, 1)), Some((1, 2)), Some((3, 1))]);
}

#[test]
fn the_nearest_keyword_is_suggested() {
    let known = ["alert", "upalert", "alertafter", "alertevery", "interval"];
    for (word, meant) in [
        ("alertevry", Some("alertevery")),
        ("Interval", Some("interval")),
        ("intreval", Some("interval")),
        ("alrt", Some("alert")),
        ("timeout", None),
        ("x", None),
    ] {
        assert_eq!(nearest(word, known), meant, "{word}");
    }
}

#[test]
fn a_line_that_may_hold_a_secret_is_named_and_not_shown() {
    let place = Place::unseen("auth.cf".into(), 7);
    assert_eq!(place.to_string(), "auth.cf:7");
    let one = Diagnostic::warning("no login for \"joe\"").at(place);
    let shown = "cf warning: no login for \"joe\", line 7\n  --> auth.cf:7";
    assert_eq!(one.to_string(), shown);
    let helped = one.with_help("mend it");
    assert_eq!(helped.to_string(), format!("{shown}\n  = mend it"));
}
