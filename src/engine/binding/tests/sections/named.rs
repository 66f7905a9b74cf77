//! Stories of sections with names that have no address yet: what serves may be theirs (D7, D8).

use super::*;
use crate::engine::event::{AnswerAge, ManualWish};
use crate::engine::section::giving::Giving;

/// A director that starts with this kernel and with names in place of addresses.
fn named(options: &str, kernel: Table) -> Story {
    let section = format!("virtual {VS} web/http w1,w2 {options}");
    of_lines(&["web/http w1,w2", section.trim_end()], kernel)
}

fn of_lines(lines: &[&str], kernel: Table) -> Story {
    let mut story = Story {
        farm: Some(Farm::new(lines)),
        kernel,
    };
    story.looks();
    story
}

fn lines(hosts: &str, options: &str) -> [String; 2] {
    let section = format!("virtual {VS} web/http {hosts} {options}");
    [format!("web/http {hosts}"), section.trim_end().to_owned()]
}

fn both_serve() -> Table {
    kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5)])
}

impl Story {
    fn resolves(&mut self, name: &str, address: &str, expected: &str) {
        self.farm().resolves(name, address);
        self.settles(expected);
    }

    fn resolves_none(&mut self, expected: &str) {
        for name in ["w1", "w2"] {
            self.farm().fails_to_resolve(name);
        }
        self.settles(expected);
    }
}

#[test]
fn what_serves_stays_until_the_names_have_addresses_and_verdicts() {
    for options in ["", "min_live=1", "in", "fallback=10.1.0.9"] {
        let mut story = named(options, both_serve());
        story.settles("1=5 2=5");
        // Checks that look the names up themselves find nothing out about these servers.
        story.farm().fails("web/http", "w1 w2");
        story.waits(1.0, "1=5 2=5");
        story.resolves_none("1=5 2=5");
        for _ in 0..9 {
            story.farm().fails("web/http", "w1 w2");
            story.waits(60.0, "1=5 2=5");
        }
        story.resolves("w1", "10.1.0.1", "1=5 2=5");
        // The other one leads elsewhere: the stranger leaves once that one is in.
        let found = match options {
            "in" => "1=5 2=5 3=5",
            _ => "1=5 2=5",
        };
        story.resolves("w2", "10.1.0.3", found);
        story.succeeds("1=5 3=5");
    }
}

#[test]
fn a_failure_counts_that_was_found_at_the_address() {
    let mut story = named("", both_serve());
    story.farm().fails("web/http", "w1 w2");
    story.resolves("w1", "10.1.0.1", "1=5 2=5");
    story.resolves("w2", "10.1.0.2", "1=5 2=5");
    story.farm().fails("web/http", "w1");
    story.settles("2=5");
}

#[test]
fn what_serves_stays_until_the_names_of_servers_that_nobody_judges_have_addresses() {
    let section = format!("virtual {VS} none w1,w2");
    let mut story = of_lines(&["web/http w3", &section], both_serve());
    story.waits(60.0, "1=5 2=5");
    story.resolves("w1", "10.1.0.3", "1=5 2=5 3=5");
    story.resolves("w2", "10.1.0.2", "2=5 3=5");
}

#[test]
fn a_reload_that_writes_a_name_takes_no_server_out_before_it_has_an_address() {
    let mut story = of_lines(
        &lines("10.1.0.1,10.1.0.2", "").each_ref().map(|it| &**it),
        both_serve(),
    );
    story.succeeds("1=5 2=5");
    story.reloads(&lines("w1,w2", ""));
    story.waits(1.0, "1=5 2=5");
    story.resolves("w1", "10.1.0.1", "1=5 2=5");
    story.resolves("w2", "10.1.0.2", "1=5 2=5");
    story.succeeds("1=5 2=5");
    // Another name of the same address.
    story.reloads(&lines("w1,w4", ""));
    story.settles("1=5 2=5");
    story.waits(1.0, "1=5 2=5");
    let views = story.farm().bindings.real_servers();
    let left = views.iter().find(|it| it.server == Some(rs("10.1.0.2")));
    let problem = left.and_then(|it| it.problem.as_deref());
    assert_eq!(
        problem,
        Some("not in the file any more: stays until w4 has a usable address")
    );
    story.resolves("w4", "10.1.0.2", "1=5 2=5");
    story.succeeds("1=5 2=5");
    // What the file drops leaves.
    story.reloads(&lines("w1", ""));
    story.settles("1=5");
}

#[test]
fn a_name_that_never_has_an_address_keeps_no_server_of_the_file_out() {
    let mut story = of_lines(
        &lines("w1,10.1.0.3", "").each_ref().map(|it| &**it),
        both_serve(),
    );
    story.farm().fails_to_resolve("w1");
    story.succeeds("1=5 2=5 3=5");
    assert_eq!(story.served_by(), Some(ServedBy::Servers));
    // One that is to get no clients is waited for by nobody.
    let mut story = of_lines(
        &lines("w1,10.1.0.3", "w=0").each_ref().map(|it| &**it),
        both_serve(),
    );
    story.succeeds("3=0");
}

#[test]
fn a_fallback_that_is_needed_and_has_no_address_keeps_what_serves() {
    let sorry = || kernel(&[("10.1.0.9", 1)]);
    let mut story = Story::found("fallback=fb", sorry());
    story.fails("1 2 3", "9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    story.resolves("fb", "10.1.0.9", "9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    assert_eq!(story.role("10.1.0.9"), Some(ServerRole::FallbackIn));
    // Where it is not needed nothing waits for it.
    let mut story = Story::found("fallback=fb", sorry());
    story.succeeds("1=5 2=5 3=5");
}

#[test]
fn names_without_an_address_are_a_trouble_once_they_were_looked_up() {
    let mut story = named("", Table::new());
    story.waits(60.0, "");
    assert_eq!(story.served_by(), None, "an answer is waited for");
    story.resolves_none("");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
    let key = VS.parse().unwrap();
    assert_eq!(story.farm().bindings.in_table(key), InTable::AsWanted);
    assert_eq!(story.farm().bindings.kept_out(key).addressless, 2);
    // The fallback takes the place of nobody that serves.
    let mut story = named("fallback=10.1.0.9", Table::new());
    story.settles("");
    story.resolves_none("9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
    story.resolves("w1", "10.1.0.1", "9=1");
    story.succeeds("1=5");
    // It is not put in beside what may be all that serves.
    let mut story = named("fallback=10.1.0.9", both_serve());
    story.resolves_none("1=5 2=5");
    assert_eq!(story.served_by(), Some(ServedBy::Nobody));
    let unwanted = vec![rs("10.1.0.1"), rs("10.1.0.2")];
    let odds = ClientOdds {
        missing: Vec::new(),
        unwanted,
    };
    let in_table = story.farm().bindings.in_table(key);
    assert_eq!(in_table, InTable::Otherwise(odds));
    // They leave by another hand.
    story.kernel = kernel(&[]);
    story.settles("9=1");
    assert_eq!(story.served_by(), Some(ServedBy::Fallback));
}

#[test]
fn which_name_keeps_what_is_said() {
    let mut story = named("", both_serve());
    story.farm().said();
    story.farm().fails_to_resolve("w2");
    let said = story.farm().said();
    let expected = "cannot look up w2: no such name; until it has a usable address, what the file \
                    does not name stays: 10.1.0.1:80, 10.1.0.2:80";
    assert!(said.iter().any(|it| it.contains(expected)), "{said:?}");
    story.looks();
    story.farm().fails_to_resolve("w2");
    let again = story.farm().said();
    assert!(!again.iter().any(|it| it.contains(expected)), "{again:?}");
}

/// What a person is told to mend when these names lead nowhere, for a section or for a line.
fn told(names: &str, is_section: bool) -> Vec<String> {
    let hosts = names.replace(' ', ",");
    let mut farm = if is_section {
        let lines = lines(&hosts, "");
        let mut story = of_lines(&lines.each_ref().map(String::as_str), both_serve());
        story.farm.take().unwrap()
    } else {
        Farm::new(&[format!("web/http {hosts} {VS} each").as_str()])
    };
    farm.said();
    farm.fails_to_resolve(names);
    let said = farm.said();
    // It is said once.
    farm.fails_to_resolve(names);
    assert_eq!(farm.said(), Vec::<String>::new());
    let is_told = |text: &String| text.contains("cannot look up");
    said.into_iter().filter(is_told).collect()
}

#[test]
fn many_names_that_lead_nowhere_are_told_in_one_line_and_first_the_one_that_holds_others() {
    for is_section in [true, false] {
        let few = told("w9 w1 w2 w3 w4", is_section);
        assert_eq!(few.len(), 5, "{few:?}");
        let many = told("w9 w1 w2 w3 w4 w5 w6 w7", is_section);
        let [one] = many.as_slice() else {
            panic!("{many:?}");
        };
        let expected = match is_section {
            true => "8 servers (w9, w1, w2, w3, w4 and 3 more), the first: cannot look up w9: ",
            false => "8 servers (w1, w2, w3, w4, w5 and 3 more), the first: cannot look up w1: ",
        };
        assert!(one.contains(expected), "{one}");
        assert!(one.contains("lvsmon table shows all"), "{one}");
        let says_what_stays = one.contains("what the file does not name stays: 10.1.0.1:80");
        assert_eq!(says_what_stays, is_section, "{one}");
    }
}

#[test]
fn a_weight_that_is_first_given_at_a_changed_address_is_kept_as_one_of_an_earlier_check() {
    let section = format!("virtual {VS} web/http w1 check");
    let mut story = of_lines(&["web/http w1", &section], both_serve());
    story.resolves("w1", "10.1.0.1", "1=5 2=5");
    story.succeeds("1=5");
    story.resolves("w1", "10.1.0.2", "1=5");
    let (web, w1) = (story.farm().id("web/http"), HostName::new("w1"));
    story.weighs(&["w1"], 40);
    let farm = story.farm();
    farm.bindings.weigh(fixture::at(0.0), web, &w1, None);
    story.succeeds("2=2");
    let key = VS.parse().unwrap();
    let giving = story
        .farm()
        .bindings
        .sections
        .tally
        .given(key, web, &Part::Host(w1));
    assert!(matches!(giving, Some(Giving::Gave { .. })), "{giving:?}");
}

const THREE: [(&str, u32); 3] = [("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)];

impl Story {
    /// No name server answers: the names keep their addresses.
    fn keeps_names(&mut self) {
        let answers = [("w1", "10.1.0.1"), ("w2", "10.1.0.2")];
        let answers = answers.map(|(name, address)| Resolved {
            age: AnswerAge::Kept,
            ..Resolved::fresh(HostName::new(name), Ok(vec![address.parse().unwrap()]))
        });
        let actions = self.farm().bindings.resolved(&answers);
        self.farm().perform(actions);
    }

    /// Ends, and begins again with this kernel, or where there is none with what our own exit left.
    fn begins_again(&mut self, options: &str, kernel: Option<Table>) {
        match kernel {
            Some(kernel) => self.kernel = kernel,
            None => self.exits(),
        }
        let lines = lines("w1,w2,10.1.0.3", options);
        let farm = self.farm.take().unwrap();
        self.farm = Some(farm.restarted(&lines.each_ref().map(String::as_str)));
    }
}

/// A director of two names and an address, whose servers are all good.
fn of_three(options: &str) -> Story {
    let lines = lines("w1,w2,10.1.0.3", options);
    let mut story = of_lines(&lines.each_ref().map(String::as_str), kernel(&THREE));
    story.farm().resolves("w1", "10.1.0.1");
    story.farm().resolves("w2", "10.1.0.2");
    story.succeeds("1=5 2=5 3=5");
    story
}

#[test]
fn what_our_own_exit_left_at_weight_0_comes_back_while_nobody_says_where_its_name_leads() {
    let options = "exit-quiesce";
    for is_seen_first in [true, false] {
        let mut story = of_three(options);
        story.begins_again(options, None);
        if is_seen_first {
            story.settles("1=0 2=0 3=0");
        }
        story.keeps_names();
        // This one is judged at once.
        story.settles("1=5 2=5 3=0");
        story.waits(60.0, "1=5 2=5 3=0");
        story.begins_again(options, None);
        story.keeps_names();
        story.settles("1=5 2=5 3=0");
        story.succeeds("1=5 2=5 3=5");
    }
}

#[test]
fn only_what_served_before_our_own_exit_comes_back_unjudged() {
    // One had failed.
    let options = "exit-quiesce quiesce";
    let mut story = of_three(options);
    story.farm().fails("web/http", "w2");
    story.settles("1=5 2=0 3=5");
    story.begins_again(options, None);
    story.keeps_names();
    story.settles("1=5 2=0 3=0");
    // An operator had taken one away.
    let mut story = of_three("exit-quiesce");
    story.insists("10.1.0.2", ManualWish::Quiesce, "1=5 2=0 3=5");
    story.begins_again("exit-quiesce", None);
    story.keeps_names();
    story.settles("1=5 2=0 3=0");
    // Somebody gave it weight 0, beside others or where our exit leaves all as they are.
    let beside = [("10.1.0.1", 0), ("10.1.0.2", 0), ("10.1.0.3", 5)];
    let alone = [("10.1.0.1", 0), ("10.1.0.2", 0), ("10.1.0.3", 0)];
    for (options, found, expected) in [
        ("exit-quiesce", beside, "1=0 2=0 3=5"),
        ("", alone, "1=0 2=0 3=0"),
    ] {
        let mut story = of_three(options);
        story.begins_again(options, Some(kernel(&found)));
        story.keeps_names();
        story.settles(expected);
    }
}
