//! What is said of alerts: that one goes out, waits or is held, and what became of it.

use crate::daemon::chronicle::{Chronicle, SUMMARY_MAX};
use crate::daemon::syslog;
use crate::engine::event::{AlertCall, AlertId, DeliveryOutcome};
use crate::pair::Way;
use crate::pair::post::OVERTAKEN;
use crate::text::cut;
use crate::time::Wall;
use crate::wire::why::DeliveryRow;

/// Alerts whose delivery is remembered: as many as a full outbox holds.
const OPEN_MAX: usize = 10_000;

/// What is known of an alert that is not delivered, or not by this director.
#[derive(Debug)]
pub(super) struct OpenAlert {
    delivery: DeliveryRow,
    /// Where it was said to go.
    way: Way,
    /// Of which service, and what; none once it was said what became of it.
    subject: Option<(String, String)>,
}

impl Chronicle {
    /// An alert goes to the outbox.
    pub(in crate::daemon) fn sent(&mut self, time: Wall, call: &AlertCall, way: Way) {
        let (group, service, alert) = (&*call.group, &*call.name, &*call.command.name);
        let (kind, period) = (call.kind.word(), &*call.period);
        let summary = cut(&call.summary, SUMMARY_MAX);
        let (id, event) = (call.id.0, &*call.event);
        match way {
            Way::Out => tracing::info!(
                name: syslog::ALERT, group, service, period, alert, kind, id, event, summary,
                "alert sent"
            ),
            Way::Held => tracing::info!(
                group,
                service,
                period,
                alert,
                kind,
                id,
                event,
                summary,
                "alert held, the other director tells people"
            ),
            Way::Waits => tracing::info!(
                group,
                service,
                period,
                alert,
                kind,
                id,
                event,
                summary,
                "alert waits, this director does not tell people yet"
            ),
            // Whoever does not send it says what would have been sent.
            Way::Nowhere => {}
        }
        if self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        let open = OpenAlert {
            delivery: DeliveryRow::Waiting,
            way,
            subject: Some((
                format!("{group}/{service}"),
                format!("{kind} alert to {alert}"),
            )),
        };
        self.open.insert(call.id, open);
        let where_to = match way {
            Way::Out => "alert to",
            Way::Held => "alert held for the other director:",
            Way::Waits => "alert waits to be sent:",
            Way::Nowhere => "alert would go to",
        };
        let text = format!("{kind} {where_to} {alert}: {summary}");
        self.keep(time, "alert", Some(format!("{group}/{service}")), text);
    }

    /// What is known of an alert that was sent in this daemon's life.
    pub(in crate::daemon) fn delivery(&self, alert: AlertId) -> DeliveryRow {
        let open = self.open.get(&alert).map(|open| open.delivery.clone());
        open.unwrap_or(DeliveryRow::Delivered)
    }

    /// What became of an alert.
    pub(in crate::daemon) fn delivered(&mut self, time: Wall, id: u64, delivery: &DeliveryOutcome) {
        match delivery {
            DeliveryOutcome::Done => self.done(time, id),
            DeliveryOutcome::Elsewhere => {
                self.left(time, id, DeliveryRow::Elsewhere, "it has told it");
            }
            DeliveryOutcome::Overtaken => self.overtaken(time, id),
            DeliveryOutcome::Left => {
                let why = "it was to tell it; that it did was not heard";
                self.left(time, id, DeliveryRow::Left, why);
            }
            // What would have been sent was logged by whoever did not send it.
            DeliveryOutcome::Observed => {
                if let Some(open) = self.open.get_mut(&AlertId(id)) {
                    open.delivery = DeliveryRow::GivenUp("lvsmon only observes".to_owned());
                }
            }
            DeliveryOutcome::GivenUp(why) => {
                if let Some(open) = self.open.get_mut(&AlertId(id)) {
                    open.delivery = DeliveryRow::GivenUp(cut(why, SUMMARY_MAX).to_owned());
                }
                tracing::error!(id, why, "alert given up");
                self.keep(time, "alert_given_up", None, why.clone());
            }
        }
    }

    /// An alert was delivered. Of one that was said to wait people read that it does no more.
    fn done(&mut self, time: Wall, id: u64) {
        let open = self.open.remove(&AlertId(id));
        let kept = open.filter(|open| open.way == Way::Waits || open.way == Way::Held);
        let Some((service, what)) = kept.and_then(|open| open.subject) else {
            tracing::debug!(id, "alert delivered");
            return;
        };
        tracing::info!(name: syslog::ALERT, service, what, id, "alert sent, which had waited");
        self.keep(
            time,
            "alert",
            Some(service),
            format!("{what} sent, which had waited"),
        );
    }

    /// The other director tells an alert, or was to. One that was said to be sent was not.
    fn left(&mut self, time: Wall, id: u64, delivery: DeliveryRow, why: &str) {
        let open = self.open.get_mut(&AlertId(id));
        let sent = open.and_then(|open| {
            open.delivery = delivery;
            open.subject.take().filter(|_| open.way != Way::Held)
        });
        let Some((service, what)) = sent else {
            tracing::debug!(id, why, "alert left to the other director");
            return;
        };
        tracing::info!(service, what, id, why, "alert left to the other director");
        let text = format!("{what} left to the other director: {why}");
        self.keep(time, "alert_left", Some(service), text);
    }

    /// Nobody hears of it any more, which nobody has said: however it was to go.
    fn overtaken(&mut self, time: Wall, id: u64) {
        let open = self.open.get_mut(&AlertId(id));
        let subject = open.and_then(|open| {
            open.delivery = DeliveryRow::Overtaken;
            open.subject.take()
        });
        let Some((service, what)) = subject else {
            tracing::info!(id, why = OVERTAKEN, "alert told to nobody");
            return;
        };
        tracing::info!(service, what, id, why = OVERTAKEN, "alert told to nobody");
        let text = format!("{what} told to nobody: it {OVERTAKEN}");
        self.keep(time, "alert_dropped", Some(service), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_that_is_left_to_the_other_director_is_no_alert_that_was_sent() {
        let mut chronicle = Chronicle::default();
        let call = crate::alert::notice::tests::call();
        let time = Wall::from_seconds(1);
        let mut texts = |way| {
            let last = chronicle.number;
            chronicle.sent(time, &call, way);
            chronicle.delivered(time, call.id.0, &DeliveryOutcome::Elsewhere);
            let events = chronicle.after(last).events.into_iter();
            events.map(|it| (it.kind, it.text)).collect::<Vec<_>>()
        };
        let text = |kind: &str, text: &str| (kind.to_owned(), text.to_owned());
        assert_eq!(
            texts(Way::Out),
            [
                text("alert", "failure alert to mail.alert: web1"),
                text(
                    "alert_left",
                    "failure alert to mail.alert left to the other director: it has told it"
                ),
            ]
        );
        assert_eq!(
            texts(Way::Held),
            [text(
                "alert",
                "failure alert held for the other director: mail.alert: web1"
            )],
            "that was said"
        );
        assert_eq!(
            texts(Way::Waits),
            [
                text("alert", "failure alert waits to be sent: mail.alert: web1"),
                text(
                    "alert_left",
                    "failure alert to mail.alert left to the other director: it has told it"
                ),
            ]
        );
    }

    /// What is said to be sent is, unless something else is said.
    #[test]
    fn an_alert_that_waited_is_said_to_be_sent_when_it_was() {
        let mut chronicle = Chronicle::default();
        let call = crate::alert::notice::tests::call();
        let time = Wall::from_seconds(1);
        for (way, after) in [
            (Way::Out, None),
            (
                Way::Waits,
                Some("failure alert to mail.alert sent, which had waited"),
            ),
            (
                Way::Held,
                Some("failure alert to mail.alert sent, which had waited"),
            ),
        ] {
            chronicle.sent(time, &call, way);
            let last = chronicle.number;
            chronicle.delivered(time, call.id.0, &DeliveryOutcome::Done);
            let events = chronicle.after(last).events;
            let texts: Vec<&str> = events.iter().map(|it| it.text.as_str()).collect();
            assert_eq!(texts, after.as_slice(), "{way:?}");
            assert_eq!(chronicle.delivery(call.id), DeliveryRow::Delivered);
        }
    }

    #[test]
    fn an_alert_that_nobody_tells_is_said_however_it_was_to_go() {
        let mut chronicle = Chronicle::default();
        let call = crate::alert::notice::tests::call();
        let time = Wall::from_seconds(1);
        for way in [Way::Out, Way::Waits, Way::Held] {
            chronicle.sent(time, &call, way);
            let last = chronicle.number;
            for _ in 0..2 {
                chronicle.delivered(time, call.id.0, &DeliveryOutcome::Overtaken);
            }
            let events = chronicle.after(last).events.into_iter();
            let events: Vec<_> = events.map(|it| (it.kind, it.text)).collect();
            let text = "failure alert to mail.alert told to nobody: it began and ended unheard of \
                        before a later outage that the other director told";
            assert_eq!(events, [("alert_dropped".to_owned(), text.to_owned())]);
            assert_eq!(chronicle.delivery(call.id), DeliveryRow::Overtaken);
        }
    }
}
