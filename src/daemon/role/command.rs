//! What comes of `lvsmon role`, by which a person or a notify script says the role?

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::daemon::Daemon;
use crate::pair::role::Source;
use crate::pair::{Coming, InstanceName, State};
use crate::time::Wall;

impl Daemon {
    /// Somebody says over the control socket what the role is.
    pub(in crate::daemon) fn role_said(
        &mut self,
        name: Option<InstanceName>,
        state: State,
    ) -> String {
        let at = self.clock.now().wall;
        let of = name
            .as_ref()
            .map_or_else(String::new, |name| format!(" of {name}"));
        tracing::info!(%state, instance = name.as_ref().map(InstanceName::as_str), "lvsmon role was called");
        self.role.hear(name, state, Source::Command, at);
        self.role_sources.look_now();
        self.settle_role();
        let standing = self.role.standing();
        let (role, why) = (standing.role, &standing.why);
        match self.role.coming(self.clock.now()) {
            None => format!("{state}{of} noted; this director is {role}: {why}"),
            Some(Coming {
                role: coming, at, ..
            }) => format!(
                "{state}{of} noted, and held back until {} because the role changes too often; \
                 until then this director stays {role}, then it is {coming}",
                time_of_day(at, &self.zone)
            ),
        }
    }
}

/// For a person who waits for it.
fn time_of_day(at: Wall, zone: &TimeZone) -> String {
    match Timestamp::from_second(at.seconds()) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
        Err(_) => at.seconds().to_string(),
    }
}
