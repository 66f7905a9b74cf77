//! A table that changes no kernel: for the demonstration and for trying a configuration.
//!
//! Kept as a file in the form of `ipvsadm -Sn`, read anew each time, so that a person or a
//! test may preset it, look at it and disturb it as `ipvsadm` would a kernel's.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Refusal, listing};
use crate::lvs::{Command, Table, TableEntry, VirtualServiceKey};

/// The file in the state folder.
pub(super) const FILE_NAME: &str = "table";
/// A larger file is no table that a demonstration makes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// A table in a file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
}

impl Memory {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The virtual services that `wanted` names. A missing file is an empty table.
    pub(super) fn list(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Table, Refusal> {
        let mut table = self.read()?;
        table.retain(|key, _| wanted(key));
        Ok(table)
    }

    /// Makes one change, as the kernel would.
    pub(super) fn apply(&mut self, command: &Command) -> Result<(), Refusal> {
        let mut table = self.read()?;
        change(&mut table, command)?;
        self.write(&listing::format(&table))
            .map_err(|error| self.refusal("written", &error))
    }

    fn read(&self) -> Result<Table, Refusal> {
        let text = match std::fs::metadata(&self.path) {
            Ok(file) if file.len() > FILE_MAX => {
                let large = io::Error::other("it is larger than 16 MiB");
                return Err(self.refusal("read", &large));
            }
            Ok(_) => std::fs::read_to_string(&self.path),
            Err(error) => Err(error),
        };
        match text {
            Ok(text) => listing::parse(&text).map_err(|error| {
                let path = self.path.display();
                Refusal::Other(format!("{path}: {error}; mend the file or remove it"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Table::new()),
            Err(error) => Err(self.refusal("read", &error)),
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Renamed into place, so that nobody reads half a table.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn refusal(&self, what: &str, error: &io::Error) -> Refusal {
        let path = self.path.display();
        Refusal::Other(format!("{path} cannot be {what}: {error}"))
    }
}

fn change(table: &mut Table, command: &Command) -> Result<(), Refusal> {
    match command {
        Command::AddService(key, service) => {
            if table.contains_key(key) {
                return Err(Refusal::Exists);
            }
            let servers = BTreeMap::new();
            let service = service.clone();
            table.insert(*key, TableEntry { service, servers });
        }
        Command::DeleteService(key) => {
            table.remove(key).ok_or(Refusal::NoSuchService)?;
        }
        Command::AddServer(key, server, to) | Command::EditServer(key, server, to) => {
            let entry = table.get_mut(key).ok_or(Refusal::NoSuchService)?;
            entry.servers.insert(*server, *to);
        }
        Command::DeleteServer(key, server) => {
            let entry = table.get_mut(key).ok_or(Refusal::NoSuchService)?;
            entry.servers.remove(server).ok_or(Refusal::NoSuchServer)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        Family, Forwarding, RealServer, RealServerKey, Scheduler, VirtualService, Weight,
    };

    fn web() -> VirtualServiceKey {
        "10.0.0.3:80/tcp".parse().unwrap()
    }

    fn real() -> RealServerKey {
        RealServerKey("192.168.0.1:80".parse().unwrap())
    }

    #[test]
    fn it_refuses_what_a_kernel_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(folder.path().join("state/table"));
        let service = VirtualService::plain(Family::V4, Scheduler::wlc());
        let to = RealServer::new(Forwarding::Dr, Weight(5));
        let add = Command::AddService(web(), service);
        let put = Command::AddServer(web(), real(), to);
        let take = Command::DeleteServer(web(), real());
        let steps = [
            (&put, Err(Refusal::NoSuchService)),
            (&take, Err(Refusal::NoSuchService)),
            (&Command::DeleteService(web()), Err(Refusal::NoSuchService)),
            (&add, Ok(())),
            (&add, Err(Refusal::Exists)),
            (&put, Ok(())),
            (&take, Ok(())),
            (&take, Err(Refusal::NoSuchServer)),
            (&put, Ok(())),
        ];
        for (command, outcome) in steps {
            assert_eq!(memory.apply(command), outcome, "{command}");
        }
        let text = std::fs::read_to_string(folder.path().join("state/table")).unwrap();
        let expected = "-A -t 10.0.0.3:80 -s wlc\n-a -t 10.0.0.3:80 -r 192.168.0.1:80 -g -w 5\n";
        assert_eq!(text, expected);
        let again = Memory::new(folder.path().join("state/table")).list(&|key| *key == web());
        assert_eq!(again.unwrap()[&web()].servers[&real()], to);
        assert_eq!(memory.list(&|_| false), Ok(Table::new()));
    }

    #[test]
    fn a_folder_in_its_place_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::new(folder.path().to_owned());
        let refusal = memory.list(&|_| true).unwrap_err().to_string();
        assert!(refusal.contains("cannot be read: "), "{refusal}");
    }
}
