//! How old is what is known of each service, and of the oldest of them?
//!
//! For those who read numbers: no text is made, and each service costs the same. A result is the
//! end of a run; that runs begin is no sign of life. Ages go by the monotonic clock.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::event::{HostVerdict, Reason, Status};
use crate::engine::schedule;
use crate::engine::state::ServiceState;
use crate::model::ServiceId;
use crate::time::Now;

/// One service in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge<'a> {
    /// The watch it stands in.
    pub group: &'a str,
    /// Its own name.
    pub name: &'a str,
    /// Good, failing, untested, or what a person set.
    pub status: Status,
    /// Whether results are to be expected of it.
    pub polling: Polling,
    /// Whether a run of it has ever ended, or a trap has come for it.
    pub is_checked: bool,
    /// Time since the end of the latest run; none before the first one.
    pub result_age: Option<Duration>,
    /// How long the latest run took; none before the first of this daemon.
    pub took: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// Why it fails, each reason once; empty while it is good.
    pub reasons: BTreeSet<Reason>,
}

/// Whether a service should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polling {
    /// It should.
    Runs,
    /// Not at present: an exclude period, a dependency or `stop` holds it back, or all of its
    /// hosts are disabled.
    Held,
    /// Never: it has no monitor or no interval.
    Never,
}

/// Whether there was ever a result.
pub(crate) fn is_checked(state: &ServiceState) -> bool {
    let traps = state.traps.as_deref();
    state.reported.is_some() || traps.is_some_and(|traps| traps.last.is_some())
}

impl Engine {
    /// Every service in file order.
    pub fn gauges(&self, now: Now) -> impl Iterator<Item = Gauge<'_>> {
        let services = self.model.services().zip(&self.states);
        services.map(move |((id, service), state)| {
            let outage = state.outage.as_deref();
            let hosts = outage.into_iter().flat_map(|outage| &outage.hosts);
            Gauge {
                group: &service.group,
                name: &service.name,
                status: state.status,
                polling: self.polling(id, state),
                is_checked: is_checked(state),
                result_age: state.reported.map(|at| at.ago(now)),
                took: state.monitor_duration,
                failures: outage.map_or(0, |outage| outage.consec_failures),
                reasons: hosts.filter_map(|host| reason(host.verdict)).collect(),
            }
        })
    }

    /// Age of the oldest result of all services that should run; none where there is no result
    /// yet.
    #[must_use]
    pub fn oldest_result(&self, now: Now) -> Option<Duration> {
        let services = self.model.services().zip(&self.states);
        let run = services.filter(|((id, _), state)| self.polling(*id, state) == Polling::Runs);
        run.filter_map(|(_, state)| Some(state.reported?.ago(now)))
            .max()
    }

    fn polling(&self, id: ServiceId, state: &ServiceState) -> Polling {
        if !schedule::is_polled(self.model.service(id)) {
            Polling::Never
        } else if self.timetable.is_held(id) || state.no_hosts_said {
            Polling::Held
        } else {
            Polling::Runs
        }
    }
}

const fn reason(verdict: HostVerdict) -> Option<Reason> {
    match verdict {
        HostVerdict::Up => None,
        HostVerdict::Down(reason) | HostVerdict::Unknown(reason) => Some(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::event::{Action, Event, RunId, Wish};
    use crate::engine::fixture::{at, exited, model, seconds, service};
    use crate::engine::saved::Saved;
    use crate::model::Service;

    fn engine(services: Vec<Service>) -> Engine {
        let model = Arc::new(model(services));
        let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
        engine.handle(at(0.0), Event::Start);
        engine
    }

    /// The runs that an event begins.
    fn begun(engine: &mut Engine, second: f64, event: Event) -> Vec<(RunId, ServiceId)> {
        let actions = engine.handle(at(second), event);
        let runs = actions.into_iter().filter_map(|action| {
            if let Action::Start(run) = action {
                Some((run.id, run.service))
            } else {
                None
            }
        });
        runs.collect()
    }

    fn due(engine: &mut Engine, second: f64) -> Vec<(RunId, ServiceId)> {
        begun(engine, second, Event::Deadline)
    }

    fn ends(
        engine: &mut Engine,
        second: f64,
        run: RunId,
        (exit, output): (i32, &str),
    ) -> Vec<(RunId, ServiceId)> {
        let report = exited(exit, output);
        begun(engine, second, Event::RunEnded { run, report })
    }

    /// Each second what is due begins, and half a second later it ends, but for one service.
    fn live(engine: &mut Engine, seconds: std::ops::Range<u32>, stuck: Option<ServiceId>) {
        for second in seconds {
            let mut going = due(engine, f64::from(second));
            while let Some((run, id)) = going.pop() {
                if Some(id) != stuck {
                    going.extend(ends(engine, f64::from(second) + 0.5, run, (0, "")));
                }
            }
        }
    }

    #[test]
    fn a_service_that_stops_reporting_makes_the_oldest_result_older() {
        let mut engine = engine(vec![service("g", "good"), service("g", "stuck")]);
        assert_eq!(engine.oldest_result(at(0.0)), None);
        live(&mut engine, 1..30, None);
        let ages = |engine: &Engine, second| -> Vec<Duration> {
            let gauges = engine.gauges(at(second));
            gauges.filter_map(|it| it.result_age).collect()
        };
        let before = ages(&engine, 30.0);
        assert_eq!(before.len(), 2);
        assert_eq!(engine.oldest_result(at(30.0)), before.iter().max().copied());
        // Both begin again, and one of them never ends.
        live(&mut engine, 30..60, Some(ServiceId(1)));
        let after = ages(&engine, 60.0);
        assert!(after[0] <= seconds(10), "{after:?}");
        assert_eq!(after[1], before[1] + seconds(30));
        assert_eq!(engine.oldest_result(at(60.0)), Some(after[1]));
    }

    #[test]
    fn what_should_not_run_makes_nothing_older() {
        let trap = Service {
            interval: None,
            ..service("g", "trap")
        };
        let mut engine = engine(vec![service("g", "s"), trap]);
        let polling = |engine: &Engine| -> Vec<_> {
            let gauges = engine.gauges(engine.time());
            gauges.map(|it| (it.polling, it.is_checked)).collect()
        };
        assert_eq!(
            polling(&engine),
            [(Polling::Runs, false), (Polling::Never, false)]
        );
        for (run, _) in due(&mut engine, 10.0) {
            ends(&mut engine, 11.0, run, (0, ""));
        }
        assert_eq!(engine.oldest_result(at(12.0)), Some(seconds(1)));
        engine.handle(at(12.0), Event::Operator(Wish::Stop));
        assert_eq!(
            polling(&engine),
            [(Polling::Held, true), (Polling::Never, false)]
        );
        assert_eq!(engine.oldest_result(at(500.0)), None);
    }

    #[test]
    fn a_result_is_as_old_as_the_monotonic_clock_says_and_has_its_reasons_once() {
        let mut engine = engine(vec![service("g", "s")]);
        for (run, _) in due(&mut engine, 10.0) {
            ends(&mut engine, 11.0, run, (1, "h1 h2\n"));
        }
        let set = Now {
            wall: at(90_000.0).wall,
            ..at(13.0)
        };
        let gauge = engine.gauges(set).next().unwrap();
        assert_eq!(
            (gauge.result_age, gauge.took, gauge.failures),
            (Some(seconds(2)), Some(seconds(1)), 1)
        );
        assert_eq!(gauge.reasons, [Reason::Exit].into());
    }
}
