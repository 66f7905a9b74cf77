//! The scenario of the HOWTO's farm that waits longest, in a lab of its own beside the others.

use std::time::Duration;

use super::guest::Farm;
use super::howto::{SECOND, SERVICE, WHOLE, boot};
use super::lab::scenarios;

scenarios!(
    "howto_cut_off",
    [a_server_that_is_cut_off_leaves_the_table_and_comes_back]
);

/// One interval, the time limit of http.monitor, and what a loaded machine adds.
const INTERVAL_AND_LIMIT: Duration = Duration::from_secs(100);

fn a_server_that_is_cut_off_leaves_the_table_and_comes_back(farm: &mut Farm) {
    boot(farm);
    farm.unplug(1);
    farm.expect_table(INTERVAL_AND_LIMIT, &[SERVICE, SECOND]);
    farm.plug(1);
    farm.expect_table(INTERVAL_AND_LIMIT, &WHOLE);
}
