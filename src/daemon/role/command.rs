//! What comes of `lvsmon role`, by which a person or a notify script says the role?

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::daemon::Daemon;
use crate::pair::role::Source;
use crate::pair::{Coming, Facts, InstanceName, Reception, State};
use crate::time::Wall;
use crate::wire::Answer;
use crate::wire::refusal::{Refusal, RefusalReason};

impl Daemon {
    /// Somebody says over the control socket what the role is.
    pub(in crate::daemon) fn role_said(
        &mut self,
        name: Option<InstanceName>,
        state: State,
    ) -> Answer {
        let at = self.clock.now().wall;
        let of = name
            .as_ref()
            .map_or_else(String::new, |name| format!(" of {name}"));
        tracing::info!(%state, instance = name.as_ref().map(InstanceName::as_str), "lvsmon role was called");
        if let Reception::NoRoom = self.role.hear(name, state, Source::Command, at) {
            let limit = Facts::INSTANCES_MAX;
            let why = format!(
                "{state}{of} is not noted: {limit} other instances are known, and nothing in the \
                 file names this one; lvsmon role DELETED --instance NAME makes one forgotten"
            );
            tracing::warn!(why, "what was said by lvsmon role is refused");
            return Answer::Error(Refusal::new(RefusalReason::Denied, why));
        }
        self.role_sources.look_now();
        self.settle_role();
        let standing = self.role.standing();
        let (role, why) = (standing.role, &standing.why);
        Answer::Done(match self.role.coming(self.clock.now()) {
            None => {
                let silence = self.silence();
                let silence = silence.map_or_else(String::new, |it| format!("; {it}"));
                format!("{state}{of} noted; this director is {role}: {why}{silence}")
            }
            Some(Coming {
                role: coming, at, ..
            }) => format!(
                "{state}{of} noted, and held back until {} because the role changes too often; \
                 until then this director stays {role}, then it is {coming}",
                time_of_day(at, &self.zone)
            ),
        })
    }
}

/// For a person who waits for it.
fn time_of_day(at: Wall, zone: &TimeZone) -> String {
    match Timestamp::from_second(at.seconds()) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
        Err(_) => at.seconds().to_string(),
    }
}
