//! May messages go on leaving?
//!
//! [`Pulse`] says what follows from what was heard; here it is asked at each beat, and the outbox
//! gets its lease.

use crate::clock::boot_moment;
use crate::daemon::Daemon;
use crate::daemon::outbox::Outbox;
use crate::daemon::role::change::speaking;
use crate::model::Globals;
use crate::pair::{Absence, Beat, Contact, Pulse, Speaking};
use crate::time::{Mono, Readable};

/// At a start, where there is a peer: nothing leaves before it was heard.
pub(in crate::daemon) fn first_pulse(globals: &Globals, outbox: &Outbox) -> Pulse {
    let peer = match globals.peer.address {
        None => Contact::Unneeded,
        Some(_) => Contact::Waits,
    };
    let pulse = Pulse::started(boot_moment(), peer);
    if pulse.has_to_hear() {
        // One that is over: a beat gives another.
        outbox.lease(Some(Mono::ZERO));
    }
    pulse
}

impl Daemon {
    /// Lets messages leave for a while; after a stall only when role and peer were heard again.
    /// This comes behind what is heard of the role, so that it is acted upon.
    pub(in crate::daemon) fn beat(&mut self) {
        self.outbox.hand_over();
        let peer = self.peer_contact();
        if !Pulse::is_needed(self.role.standing().role, peer) {
            self.pulse.rest();
            return self.outbox.lease(None);
        }
        let role = self.role.contact(self.role_sources.looked());
        let loops = self.clock.now().mono;
        let beat = self.pulse.beat(loops, boot_moment(), role, peer);
        if let Some(until) = beat.lease() {
            self.outbox.lease(Some(until));
        }
        match beat {
            Beat::Leave(_) | Beat::Waits => {}
            // What is held leaves no sooner for that.
            Beat::Unheard(..) if speaking(&self.role) == Speaking::Silent => {}
            Beat::Stood(lasted) => {
                let help = "messages wait until it has heard its role and the peer";
                tracing::warn!(lasted = %Readable(lasted), help, "this director stood still");
                self.role_sources.look_now();
                self.peer.renew();
            }
            Beat::Unheard(absence, _) => {
                let why = match absence {
                    Absence::Start => "its role or the peer was not heard since it was started",
                    Absence::Stall => "its role or the peer was not heard since it stood still",
                };
                tracing::warn!(
                    why,
                    "messages leave all the same: better two that mail than none"
                );
            }
        }
    }
}
