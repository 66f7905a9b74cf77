//! What may serve in the place of names without an address, and what may not: strangers that are to
//! stay, and real servers that failed.

use super::held::{WAYS, files, texts};
use super::lines::By;
use super::*;
use crate::engine::event::{Caution, ManualWish};

const HOSTS: &str = "10.1.0.1,10.1.0.2,10.1.0.3";

impl Story {
    /// A file whose section names these servers.
    fn gets_section(&mut self, by: By, hosts: &str, options: &str) {
        let [_, file] = files(hosts, options);
        self.gets(by, &texts(&file));
    }

    /// Somebody puts a real server back, as who loads a table that was saved does.
    fn is_put_back(&mut self, host: &str) {
        let entry: &mut TableEntry = self.kernel.get_mut(&VS.parse().unwrap()).unwrap();
        let found = RealServer::new(Forwarding::Dr, Weight(5));
        entry.servers.insert(rs(host), found);
        self.looks();
    }

    /// The third server failed last, was kept as the last one, and left when that of a name was
    /// good.
    fn third_failed_and_left(by: By) -> Self {
        let mut story = Self::new("min_live=1");
        story.fails("1 2", "3=5");
        story.fails("1 2 3", "3=5");
        story.gets_section(by, "w1,w2,w3", "min_live=1");
        story.farm().fails_to_resolve("w1 w2 w3");
        story.settles("3=5");
        story.farm().resolves("w1", "10.1.0.1");
        story.farm().fails("web/http", "w2 w3");
        story.settles("1=5");
        story
    }

    /// With a real server in the table that nobody declared.
    fn beside_a_stranger(options: &str) -> Self {
        let mut story = Self::new(options);
        let entry: &mut TableEntry = story.kernel.get_mut(&VS.parse().unwrap()).unwrap();
        let stranger = RealServer::new(Forwarding::Dr, Weight(1));
        entry.servers.insert(rs("10.1.0.7"), stranger);
        story
    }
}

fn addresses(hosts: &str) -> String {
    let hosts = hosts.split(' ').map(|it| format!("10.1.0.{it}"));
    hosts.collect::<Vec<String>>().join(" ")
}

/// A stranger that the section keeps stands for what was held, after that is gone.
#[test]
fn min_live_holds_beside_a_stranger_that_is_kept() {
    for by in WAYS {
        let mut story = Story::beside_a_stranger("min_live=1 keep");
        story.settles("1=5 2=5 3=5 7=1");
        story.gets_section(by, "w1,w2,w3", "min_live=1 keep");
        story.farm().fails_to_resolve("w1 w2 w3");
        story.settles("1=5 2=5 3=5 7=1");
        story.farm().resolves("w1", "10.1.0.4");
        story.farm().resolves("w2", "10.1.0.5");
        story.farm().resolves("w3", "10.1.0.6");
        story.farm().fails("web/http", "w1 w2 w3");
        story.settles("1=5 2=5 3=5 7=1");
        // Somebody takes those of before out.
        for host in ["10.1.0.1", "10.1.0.2", "10.1.0.3"] {
            story.loses(host);
            story.looks();
        }
        story.farm().fails("web/http", "w1 w2 w3");
        story.looks();
        assert_eq!(servers(&story.kernel), "4=5 7=1", "{by:?}");
    }
}

/// What min_live kept, known to have failed, is held beside the healthy.
#[test]
fn what_failed_is_not_held_beside_healthy_ones() {
    for by in WAYS {
        let mut story = Story::new("min_live=1");
        story.fails("1 3", "2=5");
        story.fails("1 2 3", "2=5");
        story.gets_section(by, "10.1.0.1,w2,10.1.0.3", "min_live=1");
        story.farm().fails_to_resolve("w2");
        story.farm().fails("web/http", "w2");
        story.looks();
        assert_eq!(servers(&story.kernel), "1=5 3=5", "{by:?}");
    }
}

/// A healthy one that is held counts as one of these.
#[test]
fn a_held_server_that_failed_leaves_where_enough_others_serve() {
    for by in WAYS {
        let mut story = Story::new("min_live=2");
        story.fails("1", "2=5 3=5");
        story.fails("1 2", "2=5 3=5");
        assert_eq!(story.role("10.1.0.2"), Some(ServerRole::Kept));
        story.gets_section(by, "10.1.0.1,w2,w3", "min_live=2");
        story.farm().fails_to_resolve("w2 w3");
        story.farm().fails("web/http", "w2 w3");
        story.settles("1=5 3=5");
    }
}

#[test]
fn a_held_server_that_failed_leaves_again_where_somebody_puts_it_back() {
    for by in WAYS {
        for (failed, options) in [("2", ""), ("1 3, 1 2 3", "min_live=1")] {
            let mut story = Story::new(options);
            for hosts in failed.split(", ") {
                story.farm().fails("web/http", &addresses(hosts));
                story.looks();
            }
            story.gets_section(by, "10.1.0.1,w2,10.1.0.3", options);
            story.farm().fails_to_resolve("w2");
            story.looks();
            story.farm().fails("web/http", "w2");
            story.settles("1=5 3=5");
            story.is_put_back("10.1.0.2");
            story.settles("1=5 3=5");
        }
        let mut story = Story::third_failed_and_left(by);
        story.is_put_back("10.1.0.3");
        story.settles("1=5");
        // And again behind a restart.
        story.gets_section(By::Restart, "w1,w2,w3", "min_live=1");
        story.farm().resolves("w1", "10.1.0.1");
        story.farm().fails_to_resolve("w2 w3");
        story.looks();
        story.farm().fails("web/http", "w2 w3");
        story.is_put_back("10.1.0.3");
        story.settles("1=5");
    }
}

#[test]
fn a_held_server_that_failed_and_that_somebody_puts_back_is_no_fallback() {
    for by in WAYS {
        let mut story = Story::third_failed_and_left(by);
        story.is_put_back("10.1.0.3");
        story.farm().fails("web/http", "w1 w2 w3");
        story.settles("1=5");
    }
}

#[test]
fn a_held_server_that_failed_is_good_where_the_file_names_it_again_and_its_checks_say_so() {
    for by in WAYS {
        let mut story = Story::third_failed_and_left(by);
        story.gets_section(by, "w1,w2,10.1.0.3", "min_live=1");
        story.farm().resolves("w1", "10.1.0.1");
        story.farm().fails_to_resolve("w2");
        story.looks();
        story.farm().fails("web/http", "w2");
        story.settles("1=5 3=5");
        // It is held once more, and comes back as a good one does.
        story.gets_section(by, "w1,w2,w3", "min_live=1");
        story.farm().resolves("w1", "10.1.0.1");
        story.farm().fails_to_resolve("w2 w3");
        story.farm().fails("web/http", "w2 w3");
        story.settles("1=5 3=5");
        story.kernel = kernel(&[]);
        story.settles("1=5 3=5");
    }
}

/// One counts as one, and as what a fallback would be.
#[test]
fn none_that_failed_is_kept_beside_what_is_held_where_a_fallback_is_declared() {
    for (options, kept) in [
        ("min_live=2", "2=5 3=5"),
        ("min_live=2 fallback=10.1.0.9", "2=5"),
    ] {
        for by in WAYS {
            let mut story = Story::new(options);
            story.gets_section(by, "10.1.0.1,w2,10.1.0.3", options);
            story.farm().fails_to_resolve("w2");
            story.farm().fails("web/http", "10.1.0.1 w2");
            story.settles("2=5 3=5");
            story.farm().fails("web/http", "10.1.0.1 10.1.0.3 w2");
            story.settles(kept);
        }
    }
    // One that is held and failed is no other.
    let options = "min_live=3 fallback=10.1.0.9";
    for by in WAYS {
        let mut story = Story::new(options);
        story.fails("2", "1=5 2=5 3=5");
        story.gets_section(by, "10.1.0.1,w2,w3", options);
        story.farm().fails_to_resolve("w2 w3");
        story.farm().fails("web/http", "w2 w3");
        story.settles("1=5 2=5 3=5");
        story.farm().fails("web/http", "10.1.0.1 w2 w3");
        story.settles("3=5");
    }
}

/// The look behind the repair fails.
#[test]
fn a_held_server_comes_back_where_the_look_behind_the_repair_failed() {
    for by in WAYS {
        let mut story = Story::new("");
        story.gets_section(by, "10.1.0.1,w2,10.1.0.3", "");
        story.looks();
        if matches!(by, By::Restart) {
            story.farm().fails_to_resolve("w2");
            story.farm().fails("web/http", "w2");
            story.looks();
        }
        story.settles("1=5 2=5 3=5");
        story.kernel = kernel(&[]);
        let desired = story.farm().bindings.desired().clone();
        let commands = diff::diff(&desired, &story.kernel);
        for command in &commands {
            apply(&mut story.kernel, command).unwrap();
        }
        assert!(!commands.is_empty());
        let outcome = TableOutcome {
            table: TableLook::Unreadable("out of memory".to_owned()),
            wanted: Arc::new(desired),
            applied: commands,
            ..TableOutcome::default()
        };
        let now = story.farm().is_it();
        let actions = story.farm().bindings.table_seen(now, &outcome);
        story.farm().perform(actions);
        story.settles("1=5 2=5 3=5");
    }
}

/// A server that the file dropped is not put in after a boot since a fallback has no address.
#[test]
fn a_boot_puts_no_server_in_that_the_file_dropped() {
    let mut story = Story::new("fallback=10.1.0.9");
    story.gets_section(By::Restart, "10.1.0.1,10.1.0.2", "fallback=fb");
    story.kernel = Table::new();
    story.looks();
    let first = servers(&story.kernel);
    story.waits(1.0, &first);
    story.waits(5.0, "1=5 2=5");
}

/// Both at once: the one taken out while the others were there.
#[test]
fn one_alone_stays_out_though_another_comes_in_and_one_leaves() {
    let mut story = Story::new("");
    story.fails("3", "1=5 2=5");
    story.gets_section(By::Reload, "10.1.0.1,w2,10.1.0.3", "");
    story.settles("1=5 2=5");
    story.loses("10.1.0.2");
    story.farm().fails("web/http", "10.1.0.1");
    story.settles("3=5");
}

/// A stranger that was there while every server had its address is no name's server.
#[test]
fn a_kept_stranger_does_not_count_for_min_live() {
    for by in WAYS {
        let mut story = Story::beside_a_stranger("min_live=1 keep");
        story.fails("1", "2=5 3=5 7=1");
        story.gets_section(by, "w1,10.1.0.2,10.1.0.3", "min_live=1 keep");
        story.farm().fails_to_resolve("w1");
        story.farm().fails("web/http", "w1 10.1.0.2");
        story.settles("3=5 7=1");
        story.farm().fails("web/http", "w1 10.1.0.2 10.1.0.3");
        story.looks();
        let missing = servers(&story.kernel);
        story.farm().resolves("w1", "10.1.0.4");
        story.farm().fails("web/http", "w1 10.1.0.2 10.1.0.3");
        story.looks();
        assert_eq!(missing, "3=5 7=1", "{by:?}");
        assert_eq!(servers(&story.kernel), "4=5 7=1", "{by:?}");
    }
}

/// The same with a fallback whose name never has an address: the stranger is no fallback.
#[test]
fn a_kept_stranger_is_no_fallback() {
    let mut story = Story::found("min_live=1 keep fallback=fb", kernel(&[("10.1.0.7", 1)]));
    story.farm().fails_to_resolve("fb");
    story.succeeds("1=5 2=5 3=5 7=1");
    story.fails("1 2", "3=5 7=1");
    story.farm().fails("web/http", "10.1.0.1 10.1.0.2 10.1.0.3");
    story.looks();
    assert_eq!(servers(&story.kernel), "3=5 7=1");
}

/// A server that failed and that the file drops becomes no fallback.
#[test]
fn a_dropped_server_that_failed_is_no_fallback() {
    for by in WAYS {
        let mut story = Story::new("min_live=1 fallback=fb");
        story.farm().fails_to_resolve("fb");
        story.fails("1 2", "3=5");
        story.fails("1 2 3", "3=5");
        assert_eq!(story.role("10.1.0.3"), Some(ServerRole::Kept));
        // The dead one is taken out of the file.
        story.gets_section(by, "10.1.0.1,10.1.0.2", "min_live=1 fallback=fb");
        story.farm().fails_to_resolve("fb");
        story.looks();
        story.farm().fails("web/http", "10.1.0.1 10.1.0.2");
        story.looks();
        story.waits(9_000.0, &servers(&story.kernel.clone()));
        assert_eq!(servers(&story.kernel), "1=5", "{by:?}");
    }
}

/// Without a fallback, with a name.
#[test]
fn a_dropped_server_that_failed_does_not_count_for_min_live() {
    for by in WAYS {
        let mut story = Story::new("min_live=1");
        story.fails("1 2", "3=5");
        story.fails("1 2 3", "3=5");
        story.gets_section(by, "10.1.0.1,w2", "min_live=1");
        story.farm().fails_to_resolve("w2");
        story.farm().fails("web/http", "10.1.0.1 w2");
        story.looks();
        story.farm().resolves("w2", "10.1.0.2");
        story.looks();
        story.farm().fails("web/http", "10.1.0.1 w2");
        story.looks();
        assert_eq!(servers(&story.kernel), "2=5", "{by:?}");
    }
}

/// It was held for the fallback's name, and the file has no fallback any more.
#[test]
fn what_was_held_leaves_with_a_file_in_which_all_names_have_addresses() {
    let mut story = Story::new("min_live=1 fallback=10.1.0.9");
    story.fails("1 2 3", "9=1");
    story.gets_section(By::Reload, HOSTS, "min_live=1 fallback=fb");
    story.farm().fails_to_resolve("fb");
    story.settles("9=1");
    // A reload of the same file is none of another one.
    story.gets_section(By::Reload, HOSTS, "min_live=1 fallback=fb");
    story.settles("9=1");
    story.gets_section(By::Reload, HOSTS, "min_live=1");
    story.settles("1=5");
}

/// The same of a real server.
#[test]
fn a_server_that_was_held_for_a_name_leaves_with_that_name() {
    let mut story = Story::new("min_live=1");
    story.fails("1 2", "3=5");
    story.gets_section(By::Reload, "10.1.0.1,10.1.0.2,w3", "min_live=1");
    story.farm().fails_to_resolve("w3");
    story.farm().fails("web/http", "10.1.0.1 10.1.0.2 w3");
    story.settles("3=5");
    story.gets_section(By::Reload, "10.1.0.1,10.1.0.2", "min_live=1");
    story.farm().fails("web/http", "10.1.0.1 10.1.0.2");
    story.settles("1=5");
}

/// The same by lines.
#[test]
fn a_server_that_was_held_for_a_name_of_a_line_leaves_with_that_name() {
    let [before, _] = files(HOSTS, "");
    let mut story = Story {
        farm: Some(Farm::new(&texts(&before))),
        kernel: kernel(&FIVE),
    };
    story.succeeds("1=5 2=5 3=5");
    let [named, _] = files("10.1.0.1,10.1.0.2,w3", "");
    story.gets(By::Reload, &texts(&named));
    story.farm().fails_to_resolve("w3");
    story.farm().fails("web/http", "10.1.0.1 10.1.0.2 w3");
    story.settles("3=5");
    // A reload of the same file is none of another one.
    story.gets(By::Reload, &texts(&named));
    story.settles("3=5");
    let [after, _] = files("10.1.0.1,10.1.0.2", "");
    story.gets(By::Reload, &texts(&after));
    story.settles("");
}

/// It was kept in by `min_live` before it was held.
#[test]
fn a_held_server_that_failed_gives_way_to_the_fallback() {
    for by in WAYS {
        let mut story = Story::new("min_live=3 fallback=10.1.0.9");
        story.fails("2", "1=5 2=5 3=5");
        story.gets_section(by, "10.1.0.1,w2,10.1.0.3", "min_live=3 fallback=10.1.0.9");
        story.farm().fails_to_resolve("w2");
        story.farm().fails("web/http", "w2");
        story.settles("1=5 2=5 3=5");
        story.farm().fails("web/http", "10.1.0.1 w2 10.1.0.3");
        story.settles("9=1");
        // Others empty the table: who failed does not come back.
        story.kernel = kernel(&[]);
        story.looks();
        story.settles("9=1");
    }
}

/// Its connections run on.
#[test]
fn a_quiesced_server_stays_with_weight_0_while_its_new_name_has_no_address() {
    for by in WAYS {
        let mut story = Story::new("min_live=1 quiesce");
        story.fails("2", "1=5 2=0 3=5");
        story.gets_section(by, "10.1.0.1,w2,10.1.0.3", "min_live=1 quiesce");
        story.farm().fails_to_resolve("w2");
        story.farm().fails("web/http", "w2");
        story.settles("1=5 2=0 3=5");
        // It leads to another one.
        story.farm().resolves("w2", "10.1.0.4");
        story.farm().fails("web/http", "w2");
        story.looks();
        assert_eq!(servers(&story.kernel), "1=5 3=5 4=0", "{by:?}");
    }
}

/// All of them failed, and one was kept.
#[test]
fn the_end_of_a_wish_gives_a_held_server_that_failed_back_what_it_had() {
    for by in WAYS {
        let mut story = Story::new("min_live=1");
        story.fails("1 2", "3=5");
        story.fails("1 2 3", "3=5");
        story.gets_section(by, "w1,w2,w3", "min_live=1");
        story.farm().fails_to_resolve("w1 w2 w3");
        story.farm().fails("web/http", "w1 w2 w3");
        story.settles("3=5");
        let insists = story.orders("10.1.0.3", ManualWish::Disable, None, Caution::Force);
        insists.unwrap();
        story.looks();
        assert_eq!(servers(&story.kernel), "", "{by:?}");
        story.farm().enables("10.1.0.3").unwrap();
        story.settles("3=5");
    }
}

/// Our own exit leaves the stranger its weight.
#[test]
fn what_our_exit_left_at_weight_0_comes_back_beside_a_stranger_that_is_kept() {
    let options = "keep exit-quiesce";
    let mut story = Story::beside_a_stranger(options);
    story.settles("1=5 2=5 3=5 7=1");
    story.exits();
    assert_eq!(servers(&story.kernel), "1=0 2=0 3=0 7=1");
    story.gets_section(By::Restart, "w1,w2,w3", options);
    story.farm().fails_to_resolve("w1 w2 w3");
    story.settles("1=5 2=5 3=5 7=1");
    story.waits(60.0, "1=5 2=5 3=5 7=1");
}
