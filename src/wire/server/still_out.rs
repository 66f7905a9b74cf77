//! What still keeps a real server from its clients, or from a verdict, once a person has enabled
//! it? In sentences, for that person. Pure.

use crate::engine::Engine;
use crate::engine::desired::RealServerView;
use crate::engine::event::Aim;
use crate::lvs::ServerWish;
use crate::model::ServiceId;
use crate::wire::server::back::{mute, name, nameless as nameless_words};
use crate::wire::server::{frozen, host_of, lacks};

/// A sentence on each real server that is meant and has no verdict yet, or whose withdrawal no
/// check ends as things are. Of one that the next good check brings back nothing is said.
#[must_use]
pub fn still_out(engine: &Engine, aim: &Aim) -> Vec<String> {
    let views = engine.real_servers_called(aim).unwrap_or_default();
    let sentences = views.iter().filter_map(|view| sentence(engine, view));
    sentences.collect()
}

fn sentence(engine: &Engine, view: &RealServerView) -> Option<String> {
    let stands = match view.wish {
        ServerWish::In(_) => return None,
        ServerWish::Out => "stays out",
        ServerWish::AsFound => "is left as found",
    };
    let server = view.server.map(|server| server.to_string());
    let server = server.or_else(|| view.hosts.first().map(ToString::to_string))?;
    let key = view.virtual_service;
    let because = match withdrawn(engine, view) {
        Some(because) => because,
        None => untested(engine, view)?,
    };
    Some(format!("{server} in {key} {stands}, {because}"))
}

/// By whose withdrawals it is out for longer than until the next good check; none where that is not
/// so.
fn withdrawn(engine: &Engine, view: &RealServerView) -> Option<String> {
    let services = view.withdrawals.iter().map(|it| it.service);
    let waiting = services.filter_map(|id| Some((id, waits(engine, view, id)?)));
    let waiting = waiting.map(|(id, why)| format!("withdrawn by {}: {why}", name(engine, id)));
    let waiting: Vec<String> = waiting.collect();
    (!waiting.is_empty()).then(|| waiting.join("; and "))
}

/// Whose verdict it lacks; none where it has them all.
fn untested(engine: &Engine, view: &RealServerView) -> Option<String> {
    let services = view.untested.iter().chain(&view.left_out);
    let lacking = services.map(|&id| match waits(engine, view, id) {
        None => format!("until a first report of {}", name(engine, id)),
        Some(why) => format!("without a verdict of {}: {why}", name(engine, id)),
    });
    let lacking: Vec<String> = lacking.collect();
    let is_lacking = view.withdrawals.is_empty() && !lacking.is_empty();
    is_lacking.then(|| lacking.join("; and "))
}

/// What keeps a service from a verdict of this real server, or that from the table.
fn waits(engine: &Engine, view: &RealServerView, id: ServiceId) -> Option<String> {
    let host = host_of(engine, view, id);
    let rows = frozen::of_server(engine, id, host.as_ref());
    let rows = rows.into_iter().map(|row| row.text);
    let nameless = view.untested.contains(&id);
    let nameless = nameless.then(|| nameless_words(engine, view, id)).flatten();
    let rows = rows.chain(lacks(engine, id).map(mute)).chain(nameless);
    let all: Vec<String> = rows.collect();
    (!all.is_empty()).then(|| all.join(", and "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::engine::event::{
        Action, Caution, Event, ManualWish, Order, RealServerName, TableLook, TableOutcome, Target,
        Wish,
    };
    use crate::engine::fixture::{at, exited};
    use crate::engine::saved::Saved;
    use crate::lvs::{Forwarding, RealServer, RealServerKey, TableEntry, Weight};
    use crate::model::HostName;

    const FILE: &str = "hostgroup web 192.168.0.1 192.168.0.2\n\nwatch web\n service http\n  \
        interval 10s\n  monitor x\n\nvirtual 10.0.0.3:80\n protocol tcp\n scheduler wlc\n \
        real web weight 10\n service web:http\n";

    const NAME: &str = "192.168.0.1:80 in 10.0.0.3:80/tcp";

    fn aim() -> Aim {
        Aim {
            server: RealServerName("192.168.0.1".to_owned()),
            within: None,
        }
    }

    /// The second server is in the table.
    fn begun(text: &str, saved: &Saved) -> Engine {
        let (model, _) = crate::config::load_text(text).expect("a good file");
        let section = &model.virtual_services[0];
        let (key, service) = (section.key, section.settings.clone());
        let mut engine = Engine::new(Arc::new(model), saved, 1, TimeZone::UTC, at(0.0));
        engine.handle(at(0.0), Event::Start);
        let server = RealServerKey("192.168.0.2:80".parse().unwrap());
        let settings = RealServer::new(Forwarding::Dr, Weight(10));
        let servers = [(server, settings)].into_iter().collect();
        let table = [(key, TableEntry { service, servers })];
        let seen = TableOutcome {
            table: TableLook::Read(Arc::new(table.into_iter().collect())),
            wanted: Arc::new(engine.desired().clone()),
            ..TableOutcome::default()
        };
        engine.handle(at(0.0), Event::Table(seen));
        engine
    }

    /// Ends the run that goes on: these hosts have failed.
    fn check(engine: &mut Engine, failed: &str) {
        engine.handle(at(3.0), Event::Deadline);
        let run = engine.runs().next().expect("a run").0;
        let report = exited(i32::from(!failed.is_empty()), failed);
        engine.handle(at(3.5), Event::RunEnded { run, report });
    }

    fn says(engine: &mut Engine, wish: Wish) -> Vec<Action> {
        engine.handle(at(4.0), Event::Operator(wish))
    }

    fn disable(target: Target) -> Wish {
        let user = "ann".to_owned();
        Wish::Disable { target, user }
    }

    fn host() -> Target {
        Target::Hosts(vec![HostName::new("192.168.0.1")])
    }

    #[test]
    fn a_server_whose_host_is_disabled_is_said_to_wait_for_that_behind_a_restart() {
        let mut engine = begun(FILE, &Saved::default());
        check(&mut engine, "");
        says(&mut engine, disable(host()));
        let order = Order {
            aim: aim(),
            wish: ManualWish::Disable,
            span: None,
            by: "ann".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        says(&mut engine, Wish::Manual(order));
        let mut saved = Saved::default();
        for action in engine.handle(at(4.0), Event::JournalLost) {
            if let Action::Record(record) = action {
                saved.records.insert(record.key, record.value);
            }
        }
        // Without the restart its good verdict is still there.
        says(&mut engine, Wish::EnableServer(aim()));
        assert_eq!(still_out(&engine, &aim()), [""; 0]);
        let mut engine = begun(FILE, &saved);
        check(&mut engine, "");
        says(&mut engine, Wish::EnableServer(aim()));
        let expected = format!(
            "{NAME} is left as found, without a verdict of web/http: host 192.168.0.1 is disabled: \
             it is not checked, and its verdict is frozen"
        );
        assert_eq!(still_out(&engine, &aim()), [expected]);
        says(&mut engine, Wish::Enable(host()));
        engine.handle(at(20.0), Event::Deadline);
        let expected = format!("{NAME} is left as found, until a first report of web/http");
        assert_eq!(still_out(&engine, &aim()), [expected]);
    }

    #[test]
    fn what_freezes_a_verdict_is_named_beside_who_gave_it() {
        let watch = || Target::Watch("web".into());
        let service = |engine: &Engine| {
            let id = engine.model().find("web", "http").expect("the service");
            Target::Service(id)
        };
        let engine = || {
            let mut engine = begun(FILE, &Saved::default());
            check(&mut engine, "192.168.0.1\n");
            engine
        };
        // The next good check ends it, which the answer to the wish says.
        assert_eq!(still_out(&engine(), &aim()), [""; 0]);
        let mut of_host = engine();
        says(&mut of_host, disable(host()));
        let mut of_service = engine();
        let target = service(&of_service);
        says(&mut of_service, disable(target));
        let mut of_watch = engine();
        says(&mut of_watch, disable(watch()));
        let mut stopped = engine();
        says(&mut stopped, Wish::Stop);
        // Whoever takes one back has to take back the other, too.
        let mut of_both = engine();
        let target = service(&of_both);
        says(&mut of_both, disable(target));
        says(&mut of_both, disable(watch()));
        for (engine, why) in [
            (
                of_host,
                "host 192.168.0.1 is disabled: it is not checked, and its verdict is frozen",
            ),
            (of_service, "the service is disabled: its verdict is frozen"),
            (of_watch, "watch web is disabled: its verdict is frozen"),
            (
                stopped,
                "the scheduler is stopped: no check begins, and verdicts are frozen",
            ),
            (
                of_both,
                "the service is disabled: its verdict is frozen, and watch web is disabled: its \
                 verdict is frozen",
            ),
        ] {
            let expected = format!("{NAME} stays out, withdrawn by web/http: {why}");
            assert_eq!(still_out(&engine, &aim()), [expected]);
        }
        for (initial, stands) in [("as_found", "is left as found"), ("out", "stays out")] {
            let mut before = begun(&format!("{FILE} initial {initial}\n"), &Saved::default());
            says(&mut before, disable(watch()));
            let expected = format!(
                "{NAME} {stands}, without a verdict of web/http: watch web is disabled: its verdict \
                 is frozen"
            );
            assert_eq!(still_out(&before, &aim()), [expected]);
        }
    }
}
