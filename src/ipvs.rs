//! How the kernel's table is read and changed.
//!
//! Decides nothing: it lists a [`Table`] and carries out one [`Command`] at a time. What is
//! wanted stands in [`crate::lvs`], who calls is [`crate::daemon::applier`].
//!
//! | Question | File |
//! |---|---|
//! | how are requests and answers of the kernel put into bytes | `codec` |
//! | how does one talk to the kernel | `netlink` |
//! | what does `ipvsadm -Sn` mean, how is it written | `listing` |
//! | how is the program ipvsadm used | `ipvsadm` |
//! | what is a table that changes no kernel | `memory` |
//! | why could it not be read or changed | `error` |

pub mod codec;
mod error;
mod ipvsadm;
pub mod listing;
mod memory;
mod netlink;

use std::path::Path;

pub use error::{IpvsError, IpvsRefusal, SyncError};

use crate::lvs::{
    Command, ConnectionTimeouts, Connections, SyncChange, SyncDaemon, Table, VirtualServiceKey,
};
use crate::model::IpvsBackend;
use ipvsadm::Ipvsadm;
use memory::Memory;
use netlink::Netlink;

/// A table with the connections of its real servers, read at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The virtual services with their real servers.
    pub table: Table,
    /// Their connections.
    pub connections: Connections,
}

/// The place where the virtual server table is.
#[derive(Debug)]
pub struct Backend {
    place: Inner,
    touch: Touch,
}

/// What may be done with a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// It is read and changed.
    #[default]
    Changes,
    /// It is only read: each change is [`IpvsRefusal::OnlyObserved`].
    OnlyReads,
}

#[derive(Debug)]
enum Inner {
    Netlink(Netlink),
    Ipvsadm(Ipvsadm),
    Memory(Memory),
}

impl Backend {
    /// The backend that the configuration names. Touches nothing yet, so it cannot fail:
    /// a missing module or right is the answer of the first [`Backend::list`].
    ///
    /// `statedir` is used by the table in memory only: it is kept as `STATEDIR/table`, in
    /// the form of `ipvsadm -Sn`, where a person may read, preset and disturb it. Beside it
    /// `connections`, in the form of `ipvsadm -Ln --persistent-conn`, says how many connections
    /// there are, and `daemons`, in that of `ipvsadm -L --daemon`, which synchronisation
    /// daemons run.
    #[must_use]
    pub fn open(kind: IpvsBackend, statedir: &Path) -> Self {
        let place = match kind {
            IpvsBackend::Netlink => Inner::Netlink(Netlink::new()),
            IpvsBackend::Ipvsadm => Inner::Ipvsadm(Ipvsadm::new()),
            IpvsBackend::Memory => Inner::Memory(Memory::new(statedir.join(memory::FILE_NAME))),
        };
        let touch = Touch::default();
        Self { place, touch }
    }

    /// The same, with what may be done with it from now on.
    #[must_use]
    pub fn with_touch(self, touch: Touch) -> Self {
        Self { touch, ..self }
    }

    /// What may be done with it.
    #[must_use]
    pub const fn touch(&self) -> Touch {
        self.touch
    }

    /// Nothing is changed by who only reads, whoever has the table.
    fn may_change(&self) -> Result<(), IpvsRefusal> {
        match self.touch {
            Touch::Changes => Ok(()),
            Touch::OnlyReads => Err(IpvsRefusal::OnlyObserved),
        }
    }

    /// The whole table.
    ///
    /// # Errors
    ///
    /// Where it could not be read: nothing is known then, least of all that it is empty.
    pub async fn list(&mut self) -> Result<Table, IpvsError> {
        self.list_where(|_| true).await
    }

    /// The virtual services that `wanted` names, with their real servers. On a director that
    /// also serves others this spares one dump for each of their services.
    ///
    /// # Errors
    ///
    /// As [`Backend::list`].
    pub async fn list_where(
        &mut self,
        wanted: impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Table, IpvsError> {
        let refusal = match &mut self.place {
            Inner::Netlink(netlink) => netlink.look(&wanted).await.map(|look| look.table),
            Inner::Ipvsadm(ipvsadm) => ipvsadm.list(&wanted).await,
            Inner::Memory(memory) => memory.list(&wanted),
        };
        refusal.map_err(|refusal| IpvsError {
            command: None,
            refusal,
        })
    }

    /// As [`Backend::list_where`], with the connections of each real server.
    ///
    /// # Errors
    ///
    /// As [`Backend::list`].
    pub async fn look_where(
        &mut self,
        wanted: impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Look, IpvsError> {
        let refusal = match &mut self.place {
            Inner::Netlink(netlink) => netlink.look(&wanted).await,
            Inner::Ipvsadm(ipvsadm) => ipvsadm.look(&wanted).await,
            Inner::Memory(memory) => memory.look(&wanted),
        };
        refusal.map_err(|refusal| IpvsError {
            command: None,
            refusal,
        })
    }

    /// The synchronisation daemons that run.
    ///
    /// # Errors
    ///
    /// Where that could not be read.
    pub async fn sync_daemons(&mut self) -> Result<Vec<SyncDaemon>, SyncError> {
        let refusal = match &mut self.place {
            Inner::Netlink(netlink) => netlink.sync_daemons().await,
            Inner::Ipvsadm(ipvsadm) => ipvsadm.sync_daemons().await,
            Inner::Memory(memory) => memory.sync_daemons(),
        };
        let change = None;
        refusal.map_err(|refusal| SyncError { change, refusal })
    }

    /// Starts or stops a synchronisation daemon. To stop one that does not run counts as done.
    ///
    /// # Errors
    ///
    /// Where the kernel refused; to start one whose role is taken is refused, whatever its
    /// settings: see [`crate::lvs::sync_diff`].
    pub async fn apply_sync(&mut self, change: &SyncChange) -> Result<(), SyncError> {
        self.may_change().map_err(|refusal| SyncError {
            change: Some(change.clone()),
            refusal,
        })?;
        let outcome = match &mut self.place {
            Inner::Netlink(netlink) => netlink.apply_sync(change).await,
            Inner::Ipvsadm(ipvsadm) => ipvsadm.apply_sync(change).await,
            Inner::Memory(memory) => memory.apply_sync(change),
        };
        match (outcome, change) {
            (Err(IpvsRefusal::NotRunning), SyncChange::Stop(_)) => Ok(()),
            (outcome, _) => outcome.map_err(|refusal| SyncError {
                change: Some(change.clone()),
                refusal,
            }),
        }
    }

    /// How long the kernel keeps silent connections; its defaults for the table in memory.
    ///
    /// # Errors
    ///
    /// Where that could not be read.
    pub async fn timeouts(&mut self) -> Result<ConnectionTimeouts, SyncError> {
        let refusal = match &mut self.place {
            Inner::Netlink(netlink) => netlink.timeouts().await,
            Inner::Ipvsadm(ipvsadm) => ipvsadm.timeouts().await,
            Inner::Memory(_) => Ok(memory::TIMEOUTS),
        };
        let change = None;
        refusal.map_err(|refusal| SyncError { change, refusal })
    }

    /// Makes one change.
    ///
    /// What is already so counts as done: deleting what is gone, adding a virtual service
    /// that is there (it keeps its settings). Adding a real server that is there sets it;
    /// setting one that is gone, or a virtual service that is gone, adds it.
    ///
    /// # Errors
    ///
    /// Where the kernel refused; the table is as before.
    ///
    /// After the last change of a batch follows [`Backend::settle`].
    pub async fn apply(&mut self, command: &Command) -> Result<(), IpvsError> {
        let mut outcome = self.change(command).await;
        if let Err(refusal) = &outcome
            && let Some(other) = command.other_form(refusal)
        {
            // Someone was faster than our look: the same wish in its other form.
            outcome = self.change(&other).await;
        }
        match outcome {
            Err(IpvsRefusal::NoSuchServer | IpvsRefusal::NoSuchService) if command.removes() => {
                Ok(())
            }
            Err(IpvsRefusal::Exists) if matches!(command, Command::AddService(..)) => Ok(()),
            other => other.map_err(|refusal| IpvsError {
                command: Some(command.clone()),
                refusal,
            }),
        }
    }

    /// Makes one change, or says what whoever has the table says.
    async fn change(&mut self, command: &Command) -> Result<(), IpvsRefusal> {
        self.may_change()?;
        match &mut self.place {
            Inner::Netlink(netlink) => netlink.apply(command).await,
            Inner::Ipvsadm(ipvsadm) => ipvsadm.apply(command).await,
            Inner::Memory(memory) => memory.apply(command),
        }
    }

    /// Makes the changes since the last call last. A kernel has them already; the table in
    /// memory is written to its file once for all of them.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written; none of the changes was made then.
    pub fn settle(&mut self) -> Result<(), IpvsRefusal> {
        match &mut self.place {
            Inner::Netlink(_) | Inner::Ipvsadm(_) => Ok(()),
            Inner::Memory(memory) => memory.settle(),
        }
    }
}

impl Command {
    const fn removes(&self) -> bool {
        match self {
            Self::DeleteService(_) | Self::DeleteServer(..) => true,
            Self::AddService(..)
            | Self::EditService(..)
            | Self::AddServer(..)
            | Self::EditServer(..) => false,
        }
    }

    /// The same wish for an entry that turned out to be there, or not to be there; none for a
    /// change that was refused for another reason, or that has no other form.
    fn other_form(&self, refusal: &IpvsRefusal) -> Option<Self> {
        match self {
            Self::AddServer(key, server, to) if *refusal == IpvsRefusal::Exists => {
                Some(Self::EditServer(*key, *server, *to))
            }
            Self::EditServer(key, server, to) if *refusal == IpvsRefusal::NoSuchServer => {
                Some(Self::AddServer(*key, *server, *to))
            }
            Self::EditService(key, to) if *refusal == IpvsRefusal::NoSuchService => {
                Some(Self::AddService(*key, to.clone()))
            }
            Self::AddService(..)
            | Self::EditService(..)
            | Self::DeleteService(_)
            | Self::AddServer(..)
            | Self::EditServer(..)
            | Self::DeleteServer(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        Family, Forwarding, RealServer, RealServerKey, Scheduler, VirtualService, Weight,
    };

    #[tokio::test]
    async fn a_wish_is_met_whoever_was_faster() {
        let folder = tempfile::tempdir().unwrap();
        let mut backend = Backend::open(IpvsBackend::Memory, folder.path());
        let web: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let real = RealServerKey("192.168.0.1:80".parse().unwrap());
        let service = VirtualService::plain(Family::V4, Scheduler::wlc());
        let to = |weight| RealServer::new(Forwarding::Dr, Weight(weight));
        for (command, weight) in [
            (Command::AddService(web, service.clone()), None),
            (Command::EditServer(web, real, to(1)), Some(1)),
            (Command::AddServer(web, real, to(2)), Some(2)),
            (Command::AddService(web, service.clone()), Some(2)),
            (Command::EditService(web, service.clone()), Some(2)),
            (Command::DeleteServer(web, real), None),
            (Command::DeleteServer(web, real), None),
            (Command::DeleteService(web), None),
            (Command::EditService(web, service), None),
        ] {
            assert_eq!(backend.apply(&command).await, Ok(()), "{command}");
            let table = backend.list_where(|_| true).await.unwrap();
            let entry = table.get(&web);
            let found = entry.and_then(|entry| entry.servers.get(&real));
            assert_eq!(found.map(|it| it.weight.0), weight, "{command}");
        }
        let nowhere = "10.0.0.4:80/tcp".parse().unwrap();
        let refused = backend
            .apply(&Command::AddServer(nowhere, real, to(1)))
            .await;
        assert_eq!(refused.unwrap_err().refusal, IpvsRefusal::NoSuchService);
    }
}
