//! Of what is in the spool was it said before this start that it waits?
//!
//! Whoever read that is told when it is sent. The calls of this life are the chronicle's; those of
//! before are known by their messages alone, each with its own receiver. Of a mail that was made
//! ready before the start the spool does not know any more that it had waited.

use std::collections::BTreeMap;

use crate::alert::webhook::place;
use crate::daemon::outbox::spool::{Destination, Item};
use crate::daemon::syslog;

/// By the numbers of their messages.
#[derive(Debug, Default)]
pub(super) struct Waited(BTreeMap<u64, Vec<Alert>>);

/// One of them, as it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alert {
    service: String,
    what: String,
}

impl Waited {
    /// A message was in the spool.
    pub(super) fn load(&mut self, number: u64, item: &Item) {
        if !item.held {
            return;
        }
        let to = receiver(&item.destination);
        let alerts = item.notices.iter().map(|notice| Alert {
            service: notice.key(),
            what: format!("{} alert to {to}", notice.kind.word()),
        });
        self.0.insert(number, alerts.collect());
    }

    /// The first of these messages stands for all from now on.
    pub(super) fn seal(&mut self, numbers: &[u64]) {
        let all = numbers.iter().filter_map(|number| self.0.remove(number));
        let all: Vec<Alert> = all.flatten().collect();
        if let (Some(&first), false) = (numbers.first(), all.is_empty()) {
            self.0.insert(first, all);
        }
    }

    /// A message is over, or it was called once more, and what becomes of that call is said.
    pub(super) fn forget(&mut self, number: u64) {
        self.0.remove(&number);
    }

    /// Somebody has it.
    pub(super) fn sent(&mut self, number: u64) {
        for Alert { service, what } in self.0.remove(&number).into_iter().flatten() {
            tracing::info!(name: syslog::ALERT, service, what, "alert sent, which had waited");
        }
    }
}

/// Who is to be told, for a person.
fn receiver(destination: &Destination) -> String {
    match destination {
        Destination::Mail { to, .. } => to.clone(),
        Destination::Webhook(options) => place(options.url.as_str()),
        Destination::Program(kept) => kept.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_one_mail_is_said_with_it_and_once() {
        let alert = |service: &str| Alert {
            service: service.to_owned(),
            what: "failure alert to ops@d.example".to_owned(),
        };
        let numbered = [(1, "a/b"), (3, "a/c"), (4, "a/d")];
        let mut waited = Waited(
            numbered
                .map(|(number, it)| (number, vec![alert(it)]))
                .into(),
        );
        waited.seal(&[1, 2, 3]);
        assert_eq!(waited.0[&1], [alert("a/b"), alert("a/c")]);
        waited.seal(&[2, 4]);
        assert_eq!(waited.0[&2], [alert("a/d")], "the first had not waited");
        waited.seal(&[5]);
        let told = crate::daemon::log::tests::told(|| {
            waited.sent(1);
            waited.sent(1);
            waited.forget(2);
            waited.sent(2);
        });
        let texts: Vec<&str> = told.iter().map(|(_, text)| &**text).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts[0].contains("which had waited service=\"a/b\""),
            "{texts:?}"
        );
        assert!(told.iter().all(|(priority, _)| *priority == 1), "{texts:?}");
        assert_eq!(waited.0.len(), 0);
    }
}
