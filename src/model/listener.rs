//! Where do the ports of a daemon listen?

/// Where a port of ours listens: `serverbind` and `serverport`, `trapbind` and `trapport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// On which addresses.
    pub bind: Bind,
    /// On which port; 0 for one that the system chooses.
    pub port: u16,
}

/// On which addresses a port listens (D21).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bind {
    /// Nothing is set: 127.0.0.1 only.
    #[default]
    Loopback,
    /// Nothing is set and we were started as mon is: on all of IPv4, as mon.
    Everywhere,
    /// This name or address; that it cannot be resolved or used ends a start.
    Host(String),
}

impl Bind {
    /// The name or address as an argument for `bind`.
    #[must_use]
    pub fn host(&self) -> &str {
        match self {
            Self::Loopback => "127.0.0.1",
            Self::Everywhere => "0.0.0.0",
            Self::Host(host) => host,
        }
    }
}

/// Where a monitoring system reads numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// On which addresses; `lvsmon mon` too has loopback for its default here.
    pub bind: Bind,
    /// On which port; none: nowhere.
    pub port: Option<u16>,
}

impl MetricsSettings {
    /// The port to open.
    #[must_use]
    pub fn listener(&self) -> Option<Listener> {
        self.port.map(|port| Listener {
            bind: self.bind.clone(),
            port,
        })
    }
}
