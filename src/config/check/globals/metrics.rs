//! Where the metrics are served.

use crate::config::check::globals::Settings;
use crate::config::lines::Span;

impl Settings<'_, '_> {
    pub(super) fn set_metrics(&mut self, name: &str, value: Span) {
        match name {
            "metricsbind" => self.globals.metrics.bind = self.bind(name, value),
            "metricsport" => self.globals.metrics.port = self.port(name, value),
            _ => {}
        }
    }

    pub(super) fn look_at_metrics(&mut self) {
        if let Some(bind) = self.seen.get("metricsbind")
            && self.globals.metrics.port.is_none()
        {
            let message = "metricsbind without metricsport: no metrics are served";
            let help = "write metricsport = PORT, or remove it";
            self.report.warn(*bind, message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Bind, Listener};

    #[test]
    fn nobody_listens_until_a_port_is_set_and_then_on_loopback() {
        let listener = |text: &str| {
            let (model, warnings) = crate::config::load_text(text).expect("a good file");
            let told = warnings.iter().filter(|it| it.message.contains("metrics"));
            (model.globals.metrics.listener(), told.count())
        };
        let on = |bind| {
            let port = 9578;
            Some(Listener { bind, port })
        };
        assert_eq!(listener(""), (None, 0));
        assert_eq!(listener("metricsport = 9578\n"), (on(Bind::Loopback), 0));
        let both = "metricsport = 9578\nmetricsbind = ::1\n";
        assert_eq!(listener(both), (on(Bind::Host("::1".to_owned())), 0));
        // Said: somebody waits for it.
        assert_eq!(listener("metricsbind = ::1\n"), (None, 1));
        assert!(crate::config::load_text("metricsport = 70000\n").is_err());
    }
}
