//! In which virtual services do two tables differ?
//!
//! A walk over both side by side, so that what is looked up for each section is looked up for these
//! only. Thousands of sections come in one after the other, with a look at the table each time.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::lvs::VirtualServiceKey;

/// The keys that only one of them has, or that have not the same in both.
pub(super) fn differing<V>(
    before: &BTreeMap<VirtualServiceKey, V>,
    now: &BTreeMap<VirtualServiceKey, V>,
    is_same: impl Fn(&V, &V) -> bool,
) -> BTreeSet<VirtualServiceKey> {
    let mut keys = BTreeSet::new();
    let mut before = before.iter().peekable();
    for (&key, value) in now {
        while let Some((&gone, _)) = before.next_if(|&(&other, _)| other < key) {
            keys.insert(gone);
        }
        let then = before.next_if(|&(&other, _)| other == key);
        if then.is_none_or(|(_, then)| !is_same(then, value)) {
            keys.insert(key);
        }
    }
    keys.extend(before.map(|(&gone, _)| gone));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_came_went_or_changed_differ() {
        let key = |number: u8| -> VirtualServiceKey {
            format!("10.0.0.{number}:80/tcp").parse().unwrap()
        };
        let map = |text: &str| -> BTreeMap<VirtualServiceKey, char> {
            let numbered = (1..).zip(text.chars()).filter(|(_, it)| *it != '-');
            numbered.map(|(number, it)| (key(number), it)).collect()
        };
        let cases: [(&str, &str, &[u8]); 7] = [
            ("", "", &[]),
            ("abc", "abc", &[]),
            ("", "ab", &[1, 2]),
            ("ab", "", &[1, 2]),
            ("abc", "axc", &[2]),
            ("-bc", "ab-", &[1, 3]),
            ("a-cd", "-bc", &[1, 2, 4]),
        ];
        for (before, now, wanted) in cases {
            let found = differing(&map(before), &map(now), |one, other| one == other);
            let wanted: BTreeSet<VirtualServiceKey> = wanted.iter().map(|it| key(*it)).collect();
            assert_eq!(found, wanted, "{before:?} {now:?}");
        }
    }
}
