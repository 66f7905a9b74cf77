//! What a person may ask the engine for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::event::AlertKind;
use crate::engine::saved::Classic;
use crate::model::{HostName, ServiceId};

/// What a person may ask for. Names were looked up in the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `lvsmon enable SERVER`: end every withdrawal of this real server that no upalert line
    /// would end (D4).
    EnableServer(RealServerName),
    /// `enable`: alerts again.
    Enable(Target),
    /// `disable`: no alerts until it is enabled; checks go on (E-6 kept). Of hosts: they are
    /// no longer checked.
    Disable {
        /// What.
        target: Target,
        /// Who asked; standard input of disablealerts.
        user: String,
    },
    /// `ack`
    Ack {
        /// Which service.
        service: ServiceId,
        /// Who; empty without a login.
        user: String,
        /// The comment without the user.
        comment: String,
    },
    /// `stop`: no run starts, no alert goes out, timers stand still.
    Stop,
    /// `start`: they go on.
    Start,
    /// `clear timers`
    ClearTimers(ServiceId),
    /// `test monitor`: it is due in half a second, so that what is said right behind it counts.
    TestMonitor(ServiceId),
    /// `test alert` and its relatives: call the lines of a period, whatever the rules say.
    TestAlert {
        /// Which service.
        service: ServiceId,
        /// Index of the period.
        period: usize,
        /// Whose lines: [`AlertKind::Test`] for `test alert`, else the kind of that list.
        kind: AlertKind,
        /// `MON_RETVAL`
        exit: i32,
    },
    /// `set GROUP SERVICE VARIABLE VALUE`
    Set {
        /// Which service.
        service: ServiceId,
        /// The variable, such as `interval` or `_failure_count`; an unknown one is kept aside
        /// (D31).
        variable: String,
        /// The new value.
        value: String,
    },
    /// `set maxkeep`: entries of the histories.
    SetHistoryLength(u32),
    /// `loadstate`: what mon's own state files say.
    LoadState(Classic),
}

/// What is enabled or disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A watch, by its group's name.
    Watch(Arc<str>),
    /// One service.
    Service(ServiceId),
    /// Hosts, in every group that has them; a watch whose only host goes is disabled with it.
    Hosts(Vec<HostName>),
}

/// How a person names a real server: by name or address, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RealServerName(pub String);
