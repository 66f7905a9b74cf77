//! What a person may want to read in the log: the words of
//! [`Action::Note`](super::Action::Note).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{Reason, SectionNews, Wish};
use crate::engine::recent::About;
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::model::{HostName, ServiceId};
use crate::time::Wall;

/// Something a person may want to read in the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A service that was not failing fails.
    ServiceDown {
        /// Which.
        service: ServiceId,
        /// Its exit value.
        exit: i32,
        /// First line of its output.
        summary: String,
    },
    /// A failing service is good again.
    ServiceUp {
        /// Which.
        service: ServiceId,
        /// How long it was failing.
        outage: Duration,
    },
    /// A failing service goes on as another outage: the other director told people the end of the
    /// one before.
    AnotherOutage(ServiceId),
    /// A service reported for the first time that all is good.
    ServiceTested(ServiceId),
    /// A limit on runs at once is reached; said at most once a minute.
    Throttled {
        /// `maxprocs` or `maxchecks`.
        limit: &'static str,
        /// Its value.
        value: u32,
        /// Services that wait for a place.
        waiting: usize,
    },
    /// A run had no host to check and was not started; said once until it has one.
    NoHosts(ServiceId),
    /// Traps for a service that nobody has, said from time to time.
    TrapLost {
        /// `GROUP:SERVICE` that the latest was for.
        to: String,
        /// Who sent it.
        from: IpAddr,
        /// How many there were since this was said last, this one included.
        count: u64,
    },
    /// What the journal says of this key makes no sense; the service starts anew.
    NotRestored {
        /// The key of the record.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What a state file of mon says here makes no sense, and is left out.
    NotLoaded {
        /// `GROUP/SERVICE` as the file has it; empty where it is about the rest of the file.
        service: String,
        /// Which field, by mon's key; empty where it is about the whole line.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// The wanted state of a real server changed.
    Server {
        /// In which virtual service.
        virtual_service: VirtualServiceKey,
        /// Which real server.
        server: RealServerKey,
        /// To what.
        change: ServerChange,
        /// Since when it is so: before the note where a daemon before this one
        /// decided that.
        since: Wall,
    },
    /// Something about a binding that a person should mend, such as a name with two addresses (D8).
    Binding {
        /// Whose binding.
        service: ServiceId,
        /// The word of the file that it is about; none where it is about no single one.
        host: Option<HostName>,
        /// What is wrong and what to do.
        text: String,
    },
    /// Something about a declared virtual service.
    Section {
        /// Which.
        virtual_service: VirtualServiceKey,
        /// What.
        news: SectionNews,
    },
    /// No witness reaches anything: failures count for nothing until one does (D17).
    CutOff(CutOff),
    /// A witness reaches something again.
    Reached {
        /// `GROUP:SERVICE` of each.
        witnesses: Vec<Arc<str>>,
        /// How long failures counted for nothing.
        lasted: Duration,
    },
    /// These witnesses have not answered in time for so long that failures count without them.
    Unheeded(Vec<Arc<str>>),
    /// These witnesses can no longer be asked: failures count without them.
    NoWitness(Vec<Arc<str>>),
    /// A `redistribute` line or a test with `lvs.alert`: it changes nothing (D10).
    TableUntouched {
        /// Whose line.
        service: ServiceId,
        /// What it would do as an alert.
        text: String,
    },
    /// What became of an operator's wish by itself: its time is over, a drain has ended.
    Manual {
        /// In which virtual service.
        virtual_service: VirtualServiceKey,
        /// About which real server.
        server: RealServerKey,
        /// What, for a person.
        text: String,
    },
    /// A person acknowledged an outage on the other director.
    AcknowledgedThere {
        /// Of which service.
        service: ServiceId,
        /// `USER: TEXT`, as it is kept there.
        comment: String,
    },
    /// An operator's wish was carried out or refused.
    Wish {
        /// What was asked.
        wish: Wish,
        /// What came of it.
        outcome: Result<String, String>,
    },
}

impl Note {
    /// The word of the file that a person should mend, where it is about one.
    pub(crate) const fn host(&self) -> Option<&HostName> {
        match self {
            Self::Binding { host, .. }
            | Self::Section {
                news: SectionNews::Mend { host, .. },
                ..
            } => host.as_ref(),
            Self::Section {
                news: SectionNews::Began(..) | SectionNews::Over(..),
                ..
            }
            | Self::ServiceDown { .. }
            | Self::ServiceUp { .. }
            | Self::AnotherOutage(_)
            | Self::ServiceTested(_)
            | Self::Throttled { .. }
            | Self::NoHosts(_)
            | Self::TrapLost { .. }
            | Self::NotRestored { .. }
            | Self::NotLoaded { .. }
            | Self::Server { .. }
            | Self::CutOff(_)
            | Self::Reached { .. }
            | Self::Unheeded(_)
            | Self::NoWitness(_)
            | Self::TableUntouched { .. }
            | Self::Manual { .. }
            | Self::AcknowledgedThere { .. }
            | Self::Wish { .. } => None,
        }
    }
}

/// The director is cut off, by the word of its witnesses (D17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Since when failures count for nothing.
    pub since: Wall,
    /// `GROUP:SERVICE` of each witness.
    pub witnesses: Vec<Arc<str>>,
}

/// How the wanted state of a real server changed.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerChange {
    /// It is to be in the table.
    In,
    /// It is to be in although these services withdraw it, or its check gives it weight 0:
    /// `min_live` keeps it.
    Kept(Vec<Cause>),
    /// It is to be out: these services withdraw it, each for a reason.
    Out(Vec<Cause>),
    /// It is to be out although its checks are content: this wish of an operator says so.
    OutByWish(String),
    /// It is to have weight 0: these services withdraw it, each for a reason.
    Quiesced(Vec<Cause>),
    /// It is to have weight 0 although its checks are content: this wish of an operator says so.
    QuiescedByWish(String),
    /// It is to have weight 0: that is its own weight, of the file or by the word of its check.
    Weightless,
    /// A word of the file that stood for it leads to another one now.
    Moved {
        /// Which word.
        host: HostName,
        /// Where to.
        to: RealServerKey,
    },
    /// It is no longer declared.
    Dropped,
}

impl ServerChange {
    /// The services that withdraw it.
    pub(crate) fn causes_mut(&mut self) -> &mut [Cause] {
        match self {
            Self::Out(causes) | Self::Quiesced(causes) | Self::Kept(causes) => causes,
            Self::In
            | Self::OutByWish(_)
            | Self::QuiescedByWish(_)
            | Self::Weightless
            | Self::Moved { .. }
            | Self::Dropped => &mut [],
        }
    }
}

/// Why one service withdraws a real server.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Which service.
    pub service: ServiceId,
    /// About which host of it; none where it withdraws the whole virtual service.
    pub host: Option<HostName>,
    /// Why, as a code (D34).
    pub reason: Reason,
    /// Why, in the words of its latest check: one line, may be empty.
    pub text: String,
    /// What these words are about.
    pub about: About,
}
