//! What the server of an `lvs.alert` line serves beside a section is no silence of that.

use crate::model::{Binding, BoundServers, Creation, Ends, Withdraws};

use super::wished::said;
use super::*;

/// A section of two, and one of a line beside them that is good.
fn beside(change: impl Fn(&mut DeclaredService)) -> Director {
    let mut model = model(change);
    let services = vec![
        fixture::service("web", "http"),
        fixture::service("old", "http"),
    ];
    let plain = fixture::model_of(services, &["10.1.0.1", "10.1.0.2"]);
    (model.services, model.hostgroups) = (plain.services, plain.hostgroups);
    model.bindings.push(Binding {
        service: ServiceId(1),
        virtual_service: VS.parse().unwrap(),
        real: BoundServers::One {
            host: HostName::new("10.1.0.4"),
            port: 80,
        },
        forwarding: Forwarding::Dr,
        weight: Weight(5),
        creation: Creation::ByOthers,
        withdraws: Withdraws::RealServer,
        ends: Ends::WithSuccess,
    });
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    for _ in ["web", "old"] {
        director.reports(&fixture::exited(0, ""));
    }
    assert!(director.is_in("10.1.0.4"));
    director
}

impl Director {
    fn says(&mut self, server: &str, wish: ManualWish) -> Vec<String> {
        let mut actions = self.orders(server, wish);
        actions.extend(self.lasts());
        said(&actions)
    }
}

#[test]
fn no_client_is_said_to_be_refused_while_the_server_of_a_line_serves() {
    let mut director = beside(|section| section.min_live = MinLive::Count(1));
    director.says("10.1.0.1", ManualWish::Disable);
    let alone = "has no real server of its section that serves, operators keep all 2 from their \
                 clients: only 1 that lvs.alert lines name serves";
    assert_eq!(director.says("10.1.0.2", ManualWish::Disable), [alone]);
    // Then nothing serves, which is an alarm of its own.
    let nobody = "has no real server that serves and nothing in their place, operators keep all 2 \
                  from their clients: its clients are refused";
    let said = director.says("10.1.0.4", ManualWish::Disable);
    assert_eq!(said, ["has no real server left that serves", nobody]);
    let said = director.says_when_enabled("10.1.0.4");
    assert_eq!(said, [alone, "has somebody to serve it again"]);
    let said = director.says_when_enabled("10.1.0.2");
    assert_eq!(said, ["has enough healthy real servers again"]);
}

#[test]
fn a_fallback_beside_the_server_of_a_line_is_said_to_serve_beside_it() {
    let mut director = beside(|section| {
        section.fallback = with_fallback().virtual_services[0].fallback.clone();
    });
    director.says("10.1.0.1", ManualWish::Disable);
    let said = director.says("10.1.0.2", ManualWish::Disable);
    let fallback = "has no real server of its section that serves: operators keep all 2 from their \
                    clients; the fallback 10.1.0.9:80 serves beside 1 that lvs.alert lines name";
    assert_eq!(said, [fallback]);
}
