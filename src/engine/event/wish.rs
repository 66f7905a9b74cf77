//! What a person may ask the engine for.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::event::AlertKind;
use crate::engine::saved::Classic;
use crate::model::{HostName, ServiceId};

/// What a person may ask for. Names were looked up in the configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `lvsmon enable SERVER`: end what operators wished of this real server, and every
    /// withdrawal of it that no upalert line would end (D4).
    EnableServer(Aim),
    /// `lvsmon drain`, `quiesce`, `disable` and `weight`: of a real server, whatever checks say.
    Manual(Order),
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

/// Which real servers a person means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// All that are called so.
    pub server: RealServerName,
    /// Only those in this virtual service, as a person names it: with or without its protocol
    /// where that is clear; none for all of them.
    #[serde(default)]
    pub within: Option<String>,
}

/// Why it is not known which real servers a person means, in a sentence for that person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nobody is called so, at least not where he looks.
    Unknown(String),
    /// It may be several.
    Unclear(String),
}

impl Miss {
    /// The sentence.
    #[must_use]
    pub fn into_text(self) -> String {
        match self {
            Self::Unknown(text) | Self::Unclear(text) => text,
        }
    }
}

/// What a person wishes of real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of which.
    pub aim: Aim,
    /// What.
    pub wish: ManualWish,
    /// It ends by itself after this long; none where only `lvsmon enable` ends it.
    pub span: Option<Duration>,
    /// Who asks: a login name, or what the system knows of the one who does.
    pub by: String,
    /// Why, for those who read it later; may be empty. Made short and put on one line.
    pub reason: String,
    /// What if it takes too many real servers out.
    pub caution: Caution,
}

/// What an operator may wish of a real server. Health stays what it is: one that its checks
/// withdraw stays out whatever is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum ManualWish {
    /// Weight 0 first; out once no connection is active, at the latest after this long.
    Drain {
        /// Whole seconds.
        limit_s: u64,
    },
    /// Weight 0, for as long as the wish lasts.
    Quiesce,
    /// Out at once; its connections break.
    Disable,
    /// This weight instead of its own.
    Weight {
        /// 0 to [`crate::lvs::Weight::MAX`].
        weight: u32,
    },
}

/// What is done about a wish that leaves fewer real servers than `min_live`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caution {
    /// It is refused.
    #[default]
    Refuse,
    /// It is carried out all the same (`--force`).
    Force,
}

impl Caution {
    /// For what is left out of the journal and of what directors tell each other.
    pub(crate) const fn is_refuse(&self) -> bool {
        matches!(self, Self::Refuse)
    }
}

/// How a person names a real server: by name or address, with or without a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RealServerName(pub String);
