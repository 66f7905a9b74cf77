//! Counts what work meets, so that a test can say how it grows without a clock.
//!
//! Each loop over lanes, messages or refusals calls [`visit`] for each that it meets. Outside
//! tests that is nothing; in tests each thread counts for itself.

#[cfg(test)]
thread_local! {
    static VISITS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// One more is met.
#[inline]
#[cfg_attr(
    not(test),
    expect(clippy::missing_const_for_fn, reason = "it counts in tests")
)]
pub(crate) fn visit() {
    #[cfg(test)]
    VISITS.with(|visits| visits.set(visits.get() + 1));
}

/// How many this thread met meanwhile.
#[cfg(test)]
pub(crate) fn visits(work: impl FnOnce()) -> u64 {
    let before = VISITS.get();
    work();
    VISITS.get() - before
}
