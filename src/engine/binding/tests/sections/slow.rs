//! Stories of servers that come back and start slowly: when that is over, and beside whom they
//! do not.

use super::*;

const FULL: [(&str, u32); 3] = [("10.1.0.1", 100), ("10.1.0.2", 100), ("10.1.0.3", 100)];

#[test]
fn a_slow_start_is_forgotten_when_it_is_over() {
    // No nine whole steps: the last comes some microseconds before the end.
    let options = "slow=10 w=100";
    let mut story = Story::found(options, kernel(&FULL));
    story.succeeds("1=100 2=100 3=100");
    let without = story.farm().journal_keys().len();
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 2=10 3=100");
    story.waits(9.0, "1=100 2=90 3=100");
    assert_eq!(story.farm().journal_keys().len(), without + 1);
    story.waits(1.0, "1=100 2=100 3=100");
    assert_eq!(story.farm().journal_keys().len(), without);
    assert_eq!(story.farm().bindings.sections.next_due(), None);
    // Or where the file asks for none any more.
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 2=10 3=100");
    story.reloads(&file("w=100"));
    story.settles("1=100 2=100 3=100");
    assert_eq!(story.farm().journal_keys().len(), without);
}

#[test]
fn a_slow_start_is_forgotten_in_time_whatever_is_known_of_the_server_then() {
    let options = "slow=10 w=100";
    let mut story = Story::found(options, kernel(&FULL));
    story.succeeds("1=100 2=100 3=100");
    let without = story.farm().journal_keys().len();
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 2=10 3=100");
    // No verdict is there again before it is over.
    story.restarts(options);
    story.settles("1=100 2=10 3=100");
    assert_eq!(story.farm().journal_keys().len(), without + 1);
    story.waits(10.0, "1=100 2=10 3=100");
    assert_eq!(story.farm().journal_keys().len(), without);
}

#[test]
fn nobody_starts_slowly_beside_a_failed_server_that_is_kept() {
    let options = "slow=27 w=100 min_live=2";
    let mut story = Story::found(options, kernel(&FULL));
    story.succeeds("1=100 2=100 3=100");
    story.fails("1 2", "1=100 3=100");
    story.fails("1 2 3", "1=100 3=100");
    // The healthy one would get a tenth of what the failed one beside it gets.
    story.fails("1 3", "2=100 3=100");
    assert_eq!(story.role("10.1.0.3"), Some(ServerRole::Kept));
    let full = ServerRole::Serves { share: 100 };
    assert_eq!(story.role("10.1.0.2"), Some(full));
    story.waits(6.0, "2=100 3=100");
    // Enough are healthy: it goes on where it would be by now.
    story.fails("1", "2=30 3=100");
    story.waits(21.0, "2=100 3=100");
}
