//! What the settings say of the pair.

use std::path::PathBuf;

use crate::config::check::globals::Settings;
use crate::config::lines::Span;
use crate::pair::{Speak, SyncSettings, Vip};

impl Settings<'_, '_> {
    /// One setting of the pair.
    pub(super) fn set_pair(&mut self, name: &str, value: Span) {
        let text = self.report.text(value);
        match name {
            // A relative one would depend on where the daemon was started, and keepalived has its
            // own.
            "notify_fifo" if text.starts_with('/') => {
                self.globals.pair.notify_fifo = Some(PathBuf::from(text));
            }
            "notify_fifo" => self.bad(
                name,
                value,
                "write the FIFO's path from the root on, as notify_fifo of keepalived.conf has it",
            ),
            "notify_instance" => match text.parse() {
                Ok(instance) => self.globals.pair.notify_instance = Some(instance),
                Err::<_, String>(help) => self.bad(name, value, &help),
            },
            "vip" => match Vip::list(text) {
                Ok(vips) => self.globals.pair.vips = vips,
                Err(help) => self.bad(name, value, &help),
            },
            "speak" => match text.parse() {
                Ok(speak) => self.globals.pair.speak = speak,
                Err::<_, String>(help) => self.bad(name, value, &help),
            },
            "sync_daemon" => match text.parse::<SyncSettings>() {
                Ok(sync) => self.globals.pair.sync = Some(sync),
                Err(help) => self.bad(name, value, &help),
            },
            _ => self.set_peer(name, value),
        }
    }

    /// What hardly means what was written: settings that only work together.
    pub(super) fn look_at_pair(&mut self) {
        let has_source = self.globals.pair.has_source();
        if has_source && self.globals.pair.vips.is_empty() {
            let message = "notify_fifo without vip: what the VRRP daemon says is all that is known";
            let help = "write vip = ADDRESS too: it tells the role after a restart, and where a \
                        message was missed";
            self.warn_at("notify_fifo", message, help);
        }
        let is_linked = self.seen.contains_key("peer");
        if self.globals.pair.speak == Speak::Standby && !is_linked {
            let message = "speak = standby without peer: while one director is dead, nobody is told of \
                           anything";
            let help = "write peer and peer_key too, so that the one that is left tells people; or \
                        remove this line";
            self.warn_at("speak", message, help);
        }
        if has_source {
            return;
        }
        let needs = "write notify_fifo or vip, or have notify scripts call lvsmon role";
        for name in ["speak", "sync_daemon", "notify_instance"] {
            let message = format!("{name} without notify_fifo and vip: this director is alone");
            self.warn_at(name, &message, needs);
        }
    }

    /// A warning at a setting, where it is set.
    fn warn_at(&mut self, name: &str, message: &str, help: &str) {
        if let Some(&place) = self.seen.get(name) {
            self.report.warn(place, message, help);
        }
    }
}
