//! Which addresses has a name? Literals, the hosts file, then the name servers.

use std::net::IpAddr;
use std::time::Duration;

/// The resolver of this process; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Names {}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// At least one; IPv4 before IPv6, as the monitors of mon knew IPv4 only.
    pub addresses: Vec<IpAddr>,
    /// Ask again after this long.
    pub fresh_for: Duration,
    /// Why this is an old answer that is kept because no new one could be had; none for a
    /// fresh one.
    pub kept_because: Option<NameError>,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve \"{name}\": {why}")]
pub struct NameError {
    /// The name asked for.
    pub name: String,
    /// For a person.
    pub why: String,
}

impl Names {
    /// With `/etc/hosts` and `/etc/resolv.conf`.
    #[must_use]
    pub fn system() -> Self {
        Self {}
    }

    /// Looks a name up.
    ///
    /// # Errors
    ///
    /// The name does not exist, or no server answered and no earlier answer is known.
    pub async fn lookup(&self, host: &str) -> Result<Answer, NameError> {
        Err(NameError {
            name: host.to_owned(),
            why: "not built yet".to_owned(),
        })
    }
}
