//! Counts what was looked at, so that a test can say how work grows without a clock.
//!
//! Each loop over lanes, messages or refusals calls [`look`] for each that it meets. Outside
//! tests that is nothing; in tests each thread counts for itself.

#[cfg(test)]
thread_local! {
    static LOOKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// One more was looked at.
#[inline]
#[cfg_attr(
    not(test),
    expect(clippy::missing_const_for_fn, reason = "it counts in tests")
)]
pub(crate) fn look() {
    #[cfg(test)]
    LOOKS.with(|looks| looks.set(looks.get() + 1));
}

/// How many this thread looked at meanwhile.
#[cfg(test)]
pub(crate) fn looks(work: impl FnOnce()) -> u64 {
    let before = LOOKS.get();
    work();
    LOOKS.get() - before
}
