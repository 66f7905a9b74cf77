//! Stories of `lvs.alert` lines whose names have no address yet: what serves may be theirs (D8).

use super::held::texts;
use super::*;

/// A director with these lines whose kernel has both servers, each checked once and good.
pub(super) fn by_address(lines: &[&str]) -> Story {
    let mut story = Story {
        farm: Some(Farm::new(lines)),
        kernel: kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5)]),
    };
    for service in ["web/http", "one/http"] {
        if lines.iter().any(|line| line.starts_with(service)) {
            story.farm().succeeds(service);
        }
    }
    story.settles("1=5 2=5");
    story.farm().said();
    story
}

const EACH: &str = "web/http 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each -B";
const NAMED: &str = "web/http w1,w2 10.0.0.3:80/tcp each -B";

/// How a file comes into force.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Reload,
    Restart,
}

impl Story {
    pub(super) fn gets(&mut self, by: By, lines: &[&str]) {
        match by {
            By::Reload => {
                self.farm().reloads(lines);
            }
            By::Restart => {
                let farm = self.farm.take().unwrap();
                self.farm = Some(farm.restarted(lines));
            }
        }
    }

    /// The applier has nothing to do.
    pub(super) fn rests(&mut self) {
        let before = self.kernel.clone();
        assert_eq!(self.looks(), 0);
        assert_eq!(self.kernel, before);
    }
}

#[test]
fn names_in_place_of_addresses_take_no_server_out() {
    let one = |host: &str| {
        let each = "web/http 10.1.0.1 10.0.0.3:80/tcp each -B".to_owned();
        [each, format!("one/http {host} 10.0.0.3:80/tcp {host} -B")]
    };
    let (ones, named_ones) = (one("10.1.0.2"), one("w2"));
    let ones: Vec<&str> = ones.iter().map(String::as_str).collect();
    let named_ones: Vec<&str> = named_ones.iter().map(String::as_str).collect();
    let both = [By::Reload, By::Restart];
    let betweens = [None, Some(By::Reload), Some(By::Restart)];
    let ways = both
        .into_iter()
        .flat_map(|by| betweens.map(|between| (by, between)));
    for (by, between) in ways {
        for (lines, named) in [(&[EACH][..], &[NAMED][..]), (&ones, &named_ones)] {
            let mut story = by_address(lines);
            story.gets(by, named);
            story.rests();
            story.farm().fails_to_resolve("w1 w2");
            story.rests();
            // Nobody found this out at a server.
            for service in ["web/http", "one/http"] {
                if named.iter().any(|line| line.starts_with(service)) {
                    story.farm().fails(service, "w1 w2");
                }
            }
            let until = story.farm().seconds + 9_000.0;
            story.farm().waits_until(until);
            story.rests();
            if let Some(again) = between {
                story.gets(again, named);
                story.rests();
            }
            story.farm().resolves("w1", "10.1.0.1");
            story.rests();
            story.farm().resolves("w2", "10.1.0.2");
            story.rests();
            story.farm().succeeds("web/http");
            if named.len() > 1 {
                story.farm().succeeds("one/http");
            }
            story.rests();
        }
    }
}

#[test]
fn a_service_that_failed_at_no_server_takes_none_out_as_a_whole() {
    let line = |host: &str| format!("one/http {host} 10.0.0.3:80/tcp {host} -B");
    for by in [By::Reload, By::Restart] {
        let mut story = by_address(&[EACH]);
        story.gets(
            by,
            &["web/http 10.1.0.1 10.0.0.3:80/tcp each -B", &line("w2")],
        );
        story.farm().fails_to_resolve("w2");
        story.farm().fails("one/http", "w2");
        story.rests();
        story.farm().resolves("w2", "10.1.0.2");
        story.rests();
        story.farm().fails("one/http", "w2");
        story.settles("1=5");
    }
}

#[test]
fn what_the_names_are_not_leaves_when_all_of_them_have_addresses() {
    for by in [By::Reload, By::Restart] {
        let mut story = by_address(&[EACH]);
        story.gets(by, &[NAMED]);
        story.rests();
        story.farm().resolves("w1", "10.1.0.3");
        story.rests();
        story.farm().succeeds("web/http");
        story.settles("1=5 2=5 3=5");
        story.farm().resolves("w2", "10.1.0.2");
        story.settles("2=5 3=5");
        // One that has its address keeps it, whoever denies it.
        story.farm().fails_to_resolve("w1 w2");
        story.rests();
    }
}

#[test]
fn what_the_file_drops_leaves_where_no_name_waits_for_an_address() {
    let only = |words: &str| format!("web/http {words} 10.0.0.3:80/tcp each -B");
    let mut story = by_address(&[EACH]);
    story.gets(By::Reload, &[&only("10.1.0.1")]);
    story.settles("1=5");
    // One that is to get no clients is waited for by nobody.
    let mut story = by_address(&[EACH]);
    story.gets(By::Reload, &[&format!("{} w0", only("10.1.0.1,w2"))]);
    story.farm().succeeds("web/http");
    story.settles("1=0");
    // The lines are gone, or withdraw all.
    let mut story = by_address(&[EACH]);
    story.gets(By::Reload, &["web/http w1,w2"]);
    story.settles("missing");
    let mut story = by_address(&[EACH]);
    let all = "web/http w1,w2 10.0.0.3:80/tcp each -B -D op";
    story.gets(By::Reload, &[all]);
    story.rests();
    story.farm().resolves("w1", "10.1.0.1");
    story.farm().fails("web/http", "w1");
    story.settles("missing");
}

#[test]
fn what_stays_comes_back_when_others_empty_the_table() {
    let section = |hosts: &str| {
        let web = format!("web/http {hosts}");
        [web, format!("virtual {VS} web/http {hosts}")]
    };
    let (by_ip, named) = (section("10.1.0.1,10.1.0.2"), section("w1,w2"));
    let (by_ip, named) = (by_ip.each_ref(), named.each_ref());
    let (by_ip, named) = (by_ip.map(|it| &**it), named.map(|it| &**it));
    for by in [By::Reload, By::Restart] {
        for (lines, named) in [(&[EACH][..], &[NAMED][..]), (&by_ip, &named)] {
            let mut story = by_address(lines);
            story.gets(by, named);
            story.farm().fails_to_resolve("w1 w2");
            story.rests();
            // One that a person takes out stays out.
            story.kernel = kernel(&[("10.1.0.1", 7)]);
            story.settles("1=7");
            for _ in 0..2 {
                story.kernel.clear();
                story.settles("1=7");
                story.kernel = kernel(&[]);
                story.settles("1=7");
            }
            story.farm().resolves("w1", "10.1.0.1");
            story.farm().resolves("w2", "10.1.0.2");
            story.farm().succeeds("web/http");
            story.settles("1=5 2=5");
        }
    }
}

#[test]
fn it_is_said_until_which_name_a_server_stays() {
    let mut story = by_address(&[EACH]);
    story.gets(By::Reload, &[NAMED]);
    story.rests();
    story.farm().said();
    story.farm().fails_to_resolve("w2");
    let expected = "cannot look up w2: no such name; until it has a usable address, what the file \
                    does not name stays: 10.1.0.1:80, 10.1.0.2:80";
    assert_eq!(story.farm().said(), [expected]);
    story.farm().fails_to_resolve("w2");
    assert_eq!(story.farm().said(), Vec::<String>::new());
    let views = story.farm().bindings.real_servers();
    let left = views.iter().find(|it| it.server == Some(rs("10.1.0.2")));
    let left = left.unwrap();
    assert_eq!(left.wish, ServerWish::AsFound);
    assert_eq!(
        left.problem.as_deref(),
        Some("not in the file any more: stays until w2 has a usable address")
    );
}

#[test]
fn a_name_of_a_line_beside_a_section_keeps_what_may_be_its_server() {
    let file = |host: &str| {
        let section = format!("virtual {VS} web/http 10.1.0.1");
        let line = format!("one/http {host} {VS} {host}");
        ["web/http 10.1.0.1".to_owned(), section, line]
    };
    let (by_ip, named) = (file("10.1.0.2"), file("w2"));
    let mut story = by_address(&by_ip.each_ref().map(|it| &**it));
    story.gets(By::Reload, &named.each_ref().map(|it| &**it));
    story.rests();
    story.farm().fails_to_resolve("w2");
    story.rests();
    story.farm().resolves("w2", "10.1.0.3");
    story.settles("1=5");
}

/// A file in which `one` looks at this host, by a line, beside a section of two others or beside
/// lines that say the same of them.
fn with_third(host: &str, is_section: bool) -> Vec<String> {
    let web = "web/http 10.1.0.1,10.1.0.2";
    let one = format!("one/http {host} {VS} each");
    match is_section {
        true => {
            let section = format!("virtual {VS} web/http 10.1.0.1,10.1.0.2");
            vec![web.to_owned(), one, section]
        }
        false => vec![format!("{web} {VS} each -B"), one],
    }
}

#[test]
fn a_server_of_a_line_comes_back_behind_a_boot_while_its_name_has_no_address() {
    for is_section in [false, true] {
        let (before, after) = (
            with_third("10.1.0.3", is_section),
            with_third("w3", is_section),
        );
        let (before, after) = (texts(&before), texts(&after));
        let good = |failed: &str| {
            let mut story = Story {
                farm: Some(Farm::new(&before)),
                kernel: kernel(&FIVE),
            };
            story.farm().succeeds("web/http");
            story.farm().succeeds("one/http");
            if !failed.is_empty() {
                story.farm().fails("one/http", failed);
            }
            story.looks();
            story
        };
        let mut story = good("");
        story.settles("1=5 2=5 3=5");
        story.kernel = Table::new();
        story.gets(By::Restart, &after);
        story.farm().fails_to_resolve("w3");
        story.looks();
        story.succeeds("1=5 2=5 3=5");
        // Not one that its checks had withdrawn.
        let mut story = good("10.1.0.3");
        story.settles("1=5 2=5");
        story.kernel = Table::new();
        story.gets(By::Restart, &after);
        story.farm().fails_to_resolve("w3");
        story.looks();
        story.succeeds("1=5 2=5");
    }
}

#[test]
fn what_a_line_says_of_a_server_of_the_section_is_written_down_once() {
    let section = format!("virtual {VS} none 10.1.0.1,10.1.0.2 fallback=10.1.0.3");
    let third = format!("web/http 10.1.0.1,10.1.0.2,10.1.0.3 {VS} each");
    let mut story = by_address(&[&third, &section]);
    let mut actions = Vec::new();
    let farm = story.farm();
    farm.succeeds("web/http");
    farm.bindings.decide_one(VS.parse().unwrap(), &mut actions);
    assert_eq!(actions, [], "nothing is new");
}
