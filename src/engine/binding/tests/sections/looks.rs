//! Stories of looks at the kernel's table that fall between a change and what follows from it.

use super::*;
use crate::engine::event::ManualWish;

/// A director with this file, whose kernel has these real servers.
fn farm_of(text: &str) -> Farm {
    let model = Arc::new(crate::config::load_text(text).unwrap().0);
    let now = fixture::at(0.0);
    let mut farm = Farm {
        bindings: Bindings::new(&model, &Saved::default(), now),
        model,
        journal: Saved::default(),
        seconds: 0.0,
        connections: Connections::new(),
        said: Vec::new(),
    };
    let actions = farm.bindings.start();
    farm.perform(actions);
    farm
}

/// Two real servers that are judged each by a service of its own, and such a section.
fn two_judges(options: &str) -> Farm {
    let watch = |name: &str, host: &str| {
        format!(
            "hostgroup {name} {host}\n\nwatch {name}\n service http\n  interval 60s\n  monitor \
             http.monitor\n\n"
        )
    };
    let (one, two) = (watch("one", "10.1.0.1"), watch("two", "10.1.0.2"));
    farm_of(&format!(
        "{one}{two}virtual 10.0.0.3:80\n {options}\n real one weight 5 service one:http\n real two \
         weight 5 service two:http\n\n"
    ))
}

impl Farm {
    /// A look that shows this, whatever is wanted.
    fn sees(&mut self, table: Table) {
        let outcome = TableOutcome {
            table: TableLook::Read(Arc::new(table)),
            connections: Arc::new(self.connections.clone()),
            wanted: Arc::new(self.bindings.desired().clone()),
            ..TableOutcome::default()
        };
        let now = self.is_it();
        let actions = self.bindings.table_seen(now, &outcome);
        self.perform(actions);
    }

    fn role_of(&self, host: &str) -> Option<ServerRole> {
        let views = self.bindings.real_servers();
        let mut views = views.iter();
        views.find(|it| it.server == Some(rs(host)))?.role
    }

    fn wish_of(&self, host: &str) -> Option<ServerWish> {
        let wanted = self.bindings.desired().get(&VS.parse().unwrap())?;
        wanted.servers.get(&rs(host)).copied()
    }
}

#[test]
fn a_drain_goes_on_where_a_look_lacks_the_server() {
    let mut story = Story::new("drain=60");
    story.has("10.1.0.2", 7);
    story.fails("2", "1=5 2=0 3=5");
    // Somebody deletes it, and the kernel has not taken it in again.
    story
        .farm()
        .sees(kernel(&[("10.1.0.1", 5), ("10.1.0.3", 5)]));
    story.farm().fails("web/http", "10.1.0.1 10.1.0.2");
    let left = Duration::from_secs(59);
    let role = story.farm().role_of("10.1.0.2");
    assert_eq!(role, Some(ServerRole::Draining { left }));
}

#[test]
fn a_look_of_before_a_server_left_its_clients_ends_no_drain() {
    let mut farm = two_judges("on_failure drain 60s\n min_live 1");
    farm.sees(kernel(&[("10.1.0.1", 5)]));
    farm.fails("one/http", "10.1.0.1");
    assert_eq!(farm.role_of("10.1.0.1"), Some(ServerRole::Kept));
    // Others put the second one in and take the clients of the first.
    farm.sees(kernel(&[("10.1.0.1", 0), ("10.1.0.2", 5)]));
    let left = Duration::from_secs(60);
    let role = farm.role_of("10.1.0.1");
    assert_eq!(role, Some(ServerRole::Draining { left }));
    farm.sees(kernel(&[("10.1.0.1", 0), ("10.1.0.2", 5)]));
    assert_eq!(farm.role_of("10.1.0.1"), Some(ServerRole::Out));
}

#[test]
fn a_stranger_fills_a_section_with_a_name_without_an_address() {
    let lines = [
        "web/http 10.1.0.1,w2".to_owned(),
        format!("virtual {VS} web/http 10.1.0.1,w2"),
    ];
    let mut farm = Farm::new(&lines.each_ref().map(String::as_str));
    let mut table = kernel(&[("10.1.0.9", 5)]);
    farm.applies(&mut table);
    farm.waits_until(3.0);
    farm.applies(&mut table);
    assert_eq!(servers(&table), "9=5");
    assert_eq!(farm.role_of("10.1.0.1"), Some(ServerRole::AsFound));
}

#[test]
fn a_stranger_that_leaves_opens_no_section_in_which_somebody_was_judged() {
    for (down, expected) in [
        ("", ServerRole::InUntested),
        ("10.1.0.1", ServerRole::AsFound),
    ] {
        let mut farm = farm_of(
            "hostgroup one 10.1.0.1\n\nhostgroup two 10.1.0.2 w3\n\nwatch one\n service http\n  \
             interval 60s\n  monitor http.monitor\n\nwatch two\n service http\n  interval 60s\n  \
             monitor http.monitor\n\nvirtual 10.0.0.3:80\n real one service one:http\n real two \
             service two:http\n\n",
        );
        farm.sees(kernel(&[("10.1.0.9", 5)]));
        farm.waits_until(3.0);
        if !down.is_empty() {
            farm.fails("one/http", down);
        }
        farm.sees(kernel(&[("10.1.0.9", 5)]));
        farm.sees(kernel(&[]));
        assert_eq!(farm.role_of("10.1.0.2"), Some(expected), "{down}");
    }
}

#[test]
fn what_was_wanted_out_before_does_not_come_back_when_it_is_gone() {
    // The kernel had it still: what is wanted was not made yet.
    let mut farm = two_judges("on_failure remove");
    farm.sees(kernel(&[("10.1.0.1", 5)]));
    farm.fails("one/http", "10.1.0.1");
    assert_eq!(farm.wish_of("10.1.0.1"), Some(ServerWish::Out));
    farm.sees(kernel(&[("10.1.0.1", 5)]));
    let now = farm.now();
    let actions = farm.bindings.forget(now);
    farm.perform(actions);
    assert_eq!(farm.wish_of("10.1.0.1"), Some(ServerWish::AsFound));
    farm.sees(kernel(&[]));
    assert_eq!(farm.wish_of("10.1.0.1"), Some(ServerWish::AsFound));
}

#[test]
fn what_an_operator_took_out_does_not_come_back_by_itself_before_a_verdict() {
    let mut farm = two_judges("on_failure remove");
    farm.sees(kernel(&[("10.1.0.1", 5)]));
    farm.orders(ManualWish::Disable, "10.1.0.1", None);
    assert_eq!(farm.wish_of("10.1.0.1"), Some(ServerWish::Out));
    farm.sees(kernel(&[]));
    farm.enables("10.1.0.1").unwrap();
    assert_eq!(farm.wish_of("10.1.0.1"), Some(ServerWish::AsFound));
}

#[test]
fn who_was_put_in_stays_so_while_its_word_has_no_address() {
    let lines = |host: &str| {
        [
            format!("web/http {host}"),
            format!("virtual {VS} web/http {host}"),
        ]
    };
    let (before, named) = (lines("10.1.0.1"), lines("w1"));
    let mut farm = Farm::new(&before.each_ref().map(String::as_str));
    let mut table = kernel(&[]);
    farm.applies(&mut table);
    farm.waits_until(3.0);
    farm.applies(&mut table);
    assert_eq!(farm.role_of("10.1.0.1"), Some(ServerRole::InUntested));
    farm.reloads(&named.each_ref().map(String::as_str));
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5");
    farm.resolves("w1", "10.1.0.1");
    assert_eq!(farm.role_of("10.1.0.1"), Some(ServerRole::InUntested));
    // So it comes back where others empty the table.
    table = kernel(&[]);
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5");
}

#[test]
fn the_fallback_serves_beside_a_real_server_of_a_line() {
    let lines = [
        "web/http 10.1.0.1,w2".to_owned(),
        format!("alt/http 10.1.0.8 {VS} each"),
        format!("virtual {VS} web/http 10.1.0.1,w2 fallback=10.1.0.9"),
    ];
    let mut farm = Farm::new(&lines.each_ref().map(String::as_str));
    let mut table = kernel(&[("10.1.0.1", 5), ("10.1.0.8", 5)]);
    farm.applies(&mut table);
    farm.fails_to_resolve("w2");
    farm.succeeds("alt/http");
    farm.applies(&mut table);
    farm.fails("web/http", "10.1.0.1 w2");
    farm.applies(&mut table);
    // What the line names is no real server of that name.
    assert_eq!(farm.role_of("10.1.0.9"), Some(ServerRole::FallbackIn));
}
