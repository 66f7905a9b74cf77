//! What stands in the file of both?

use std::fmt::Write as _;
use std::sync::Arc;

use fastrand::Rng;
use lvsmon::model::Model;

use super::HOSTS;

pub(super) fn site(random: &mut Rng) -> String {
    let mut text = String::new();
    let mut judges = String::new();
    for host in 0..HOSTS {
        let _ = writeln!(text, "hostgroup g{host} 10.1.0.{host}\n");
        let interval = random.u32(3..=6);
        let _ = writeln!(
            text,
            "watch g{host}\n    service http\n        interval {interval}s"
        );
        let _ = writeln!(
            text,
            "        monitor http.monitor\n        period wd {{Sun-Sat}}"
        );
        for option in ["alertevery 20s", "alertafter 2", "alertevery 7s"] {
            if random.u8(..) < 60 {
                let _ = writeln!(text, "            {option}");
                break;
            }
        }
        let _ = writeln!(text, "            alert mail.alert ops@example.org");
        let _ = writeln!(text, "            upalert mail.alert ops@example.org\n");
        let _ = write!(judges, " g{host}:http");
    }
    let _ = writeln!(text, "virtual 10.0.0.3:80");
    for host in 0..HOSTS {
        let _ = writeln!(text, "    real 10.1.0.{host}");
    }
    let _ = writeln!(text, "    service{judges}\n    fall {}", random.u32(1..=2));
    for line in ["alert", "upalert"] {
        let _ = writeln!(text, "    {line} mail.alert ops@example.org");
    }
    for option in [
        "min_live 1",
        "fallback 10.1.0.9",
        "on_failure drain 10s",
        "slow_start 9s",
    ] {
        if random.bool() {
            let _ = writeln!(text, "    {option}");
        }
    }
    text
}

/// A group of hosts of which the service may have one of these options.
pub(super) fn watch(random: &mut Rng, group: &str, hosts: &str, options: &[&str]) -> String {
    let mut text = format!("\nhostgroup {group} {hosts}\n\nwatch {group}\n    service http\n");
    let _ = writeln!(text, "        interval {}s", random.u32(3..=6));
    let _ = writeln!(text, "        monitor http.monitor");
    let _ = writeln!(text, "        period wd {{Sun-Sat}}");
    if let Some(option) = options.get(random.usize(..=options.len())) {
        let _ = writeln!(text, "            {option}");
    }
    let _ = writeln!(text, "            alert mail.alert ops@example.org");
    let _ = writeln!(text, "            upalert mail.alert ops@example.org");
    text
}

pub(super) fn load(text: &str) -> Arc<Model> {
    let loaded = lvsmon::config::load_text(text);
    let (mut model, _) = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{text}"));
    model.globals.peer.address = Some(([192, 0, 2, 2], 2584).into());
    Arc::new(model)
}
