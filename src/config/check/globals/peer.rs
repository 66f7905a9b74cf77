//! What the settings say of the other director (docs/peer.md).

use std::path::PathBuf;

use crate::config::check::globals::Settings;
use crate::config::lines::Span;
use crate::pair::talk::settings;

impl Settings<'_, '_> {
    /// One setting of the link between the directors.
    pub(super) fn set_peer(&mut self, name: &str, value: Span) {
        let text = self.report.text(value);
        let peer = &mut self.globals.peer;
        match name {
            "peer" => match settings::callable(text) {
                Ok(address) => peer.address = Some(address),
                Err(help) => self.bad(name, value, &help),
            },
            "peer_bind" => match settings::bindable(text) {
                Ok(address) => peer.bind = Some(address),
                Err(help) => self.bad(name, value, &help),
            },
            "peer_key" if text.is_empty() => {
                self.bad(name, value, "write the name of a file with the shared key");
            }
            "peer_key" => peer.key = Some(PathBuf::from(text)),
            _ => self.set_metrics(name, value),
        }
    }

    /// The link needs an address and a key; without a place to be called this director only calls.
    pub(super) fn look_at_peer(&mut self) {
        let peer = &self.globals.peer;
        let is_itself = peer.bind.is_some() && peer.bind == peer.address;
        // One that is wrong is reported as such.
        let is_bound = self.seen.contains_key("peer_bind");
        let place = |name: &str| self.seen.get(name).copied();
        match (place("peer"), place("peer_key")) {
            (Some(peer), None) => {
                let message = "peer needs peer_key, the file of a key that both directors share";
                let help = "write peer_key = FILE; openssl rand -hex 32 makes a key";
                self.report.error(peer, message, help);
            }
            (None, Some(key)) => {
                let message = "peer_key without peer: there is nobody to talk to";
                self.report.warn(key, message, "write peer = ADDRESS");
            }
            (Some(peer), Some(_)) if !is_bound => {
                let message = "peer without peer_bind: this director calls, and is not called";
                let help = "write peer_bind = ADDRESS, an address of this director, on one of the \
                            two at least; best on both";
                self.report.warn(peer, message, help);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let (Some(peer), true) = (place("peer"), is_itself) {
            let message = "peer is peer_bind: this director would call itself";
            let help = "write the address of the other director; in a file that is copied to it, \
                        swap the two";
            self.report.error(peer, message, help);
        }
        if let (None, Some(bind)) = (place("peer"), place("peer_bind")) {
            let message = "peer_bind without peer: nobody is listened to";
            self.report.warn(bind, message, "write peer = ADDRESS");
        }
    }
}
