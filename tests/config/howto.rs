//! The mon.cf of the LVS HOWTO, as it stands there.

use std::time::Duration;

use lvsmon::config;
use lvsmon::lvs::{Forwarding, Weight};
use lvsmon::model::{AlertProgram, BoundServers, Creation, Ends, MonitorProgram, Withdraws};
use lvsmon::period::Period;

const HOWTO: &str = include_str!("../data/howto.cf");

#[test]
fn the_howto_s_file_means_what_the_howto_says() {
    let (model, warnings) = config::load_text(HOWTO).unwrap();
    let said: Vec<String> = warnings.iter().map(|one| one.message.clone()).collect();
    assert_eq!(said, [""; 0]);
    assert_eq!(model.globals.maxprocs, Some(20));
    assert_eq!(model.globals.randstart, Some(Duration::from_secs(30)));
    assert_eq!(model.services.len(), 2);
    let http = model.service(model.find("www2", "http").unwrap());
    assert_eq!(http.interval, Some(Duration::from_secs(10)));
    let monitor = http.monitor.as_ref().unwrap();
    assert!(matches!(monitor.program, MonitorProgram::Native(_)));
    assert!(monitor.appends_hosts);
    let period = &http.periods[0];
    assert_eq!(
        (&*period.label, &period.when),
        ("wd {Sun-Sat}", &Period::ALWAYS)
    );
    let names: Vec<&str> = period.alerts.iter().map(|alert| &*alert.name).collect();
    assert_eq!(names, ["mail.alert", "lvs.alert"]);
    assert_eq!(period.alerts, period.upalerts);
    assert!(
        period
            .alerts
            .iter()
            .all(|alert| matches!(alert.program, AlertProgram::Native(_)))
    );
}

#[test]
fn the_howto_s_lines_compile_to_one_binding_for_each_server() {
    let (model, _) = config::load_text(HOWTO).unwrap();
    let hosts = ["192.168.0.1", "192.168.0.2"];
    assert_eq!(model.bindings.len(), hosts.len());
    for (binding, host) in model.bindings.iter().zip(hosts) {
        assert_eq!(binding.virtual_service, "10.0.0.3:80/tcp".parse().unwrap());
        let BoundServers::One { host: name, port } = &binding.real else {
            panic!("-R names one server");
        };
        assert_eq!((name.as_str(), *port), (host, 80));
        assert_eq!(
            (binding.forwarding, binding.weight),
            (Forwarding::Dr, Weight(5))
        );
        assert_eq!(binding.creation, Creation::ByOthers);
        assert_eq!(
            (binding.withdraws, binding.ends),
            (Withdraws::RealServer, Ends::WithSuccess)
        );
    }
    assert_ne!(model.bindings[0].service, model.bindings[1].service);
}
