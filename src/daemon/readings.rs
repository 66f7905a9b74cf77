//! How does one thread read files for all who ask?

use tokio::task::JoinHandle;

/// What a client is told where a thread broke, which its panic has logged.
pub(super) const BROKE: &str = "this did not work because of a defect of lvsmon; its log says more";

/// Readings of one kind that block a thread, one at once: however many clients ask, they take one
/// thread. Who asks while one is under way is answered by the next one, together with all the
/// others that do: the one under way may have read too early for them. A client waits for its
/// answer before it asks again, so no more wait than there are clients.
#[derive(Debug)]
pub(super) struct Readings<T, R> {
    under_way: Option<Vec<T>>,
    next: Option<Vec<T>>,
    thread: Option<JoinHandle<R>>,
}

impl<T, R> Default for Readings<T, R> {
    fn default() -> Self {
        Self {
            under_way: None,
            next: None,
            thread: None,
        }
    }
}

impl<T, R> Readings<T, R> {
    /// Somebody asks, or nobody who waits for an answer. Whether a reading is to be begun.
    pub(super) fn ask(&mut self, who: impl IntoIterator<Item = T>) -> bool {
        let begins = self.under_way.is_none();
        let place = if begins {
            &mut self.under_way
        } else {
            &mut self.next
        };
        place.get_or_insert_default().extend(who);
        begins
    }

    /// This thread reads.
    pub(super) fn begun(&mut self, thread: JoinHandle<R>) {
        self.thread = Some(thread);
    }

    /// What was read, none where the thread broke; never ends while none reads. Cancel safe.
    pub(super) async fn read(&mut self) -> Option<R> {
        let Some(thread) = &mut self.thread else {
            return std::future::pending().await;
        };
        let result = thread.await;
        self.thread = None;
        if let Err(error) = &result {
            tracing::error!(%error, "reading files broke; this is a defect of lvsmon");
        }
        result.ok()
    }

    /// The reading has ended: who is answered, and whether another one is to be begun.
    pub(super) fn ended(&mut self) -> (Vec<T>, bool) {
        let answered = self.under_way.take().unwrap_or_default();
        self.under_way = self.next.take();
        (answered, self.under_way.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_reading_is_answered_by_one_that_begins_later() {
        let mut readings = Readings::<u8, ()>::default();
        assert!(readings.ask([1]));
        assert!(!readings.ask([2]));
        assert!(!readings.ask([3]));
        assert_eq!(readings.ended(), (vec![1], true));
        // The second one is under way.
        assert!(!readings.ask([4]));
        assert_eq!(readings.ended(), (vec![2, 3], true));
        assert_eq!(readings.ended(), (vec![4], false));
        assert!(readings.ask([5]));
    }

    #[test]
    fn a_reading_that_nobody_waits_for_takes_place_too() {
        let mut readings = Readings::<u8, ()>::default();
        assert!(readings.ask([]));
        assert!(!readings.ask([]));
        assert_eq!(readings.ended(), (vec![], true));
        assert_eq!(readings.ended(), (vec![], false));
    }
}
