//! The table by way of the program ipvsadm, for kernels or containers where netlink is not
//! at hand: about 500 times dearer than netlink.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command as Program;

use super::listing::{counts, daemons};
use super::{IpvsRefusal, Look, listing};
use crate::lvs::{Command, ConnectionTimeouts, SyncChange, SyncDaemon, Table, VirtualServiceKey};

/// The program, looked up in PATH and then where distributions put it: a daemon's PATH often
/// lacks the sbin folders.
const PROGRAMS: [&str; 3] = ["ipvsadm", "/usr/sbin/ipvsadm", "/sbin/ipvsadm"];
/// ipvsadm ends within 0.1 s; it loads modules, which may take longer.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Characters of its complaint that are passed on.
const COMPLAINT_MAX: usize = 300;

/// The program as a way to the table.
#[derive(Debug)]
pub(super) struct Ipvsadm {
    programs: Vec<String>,
}

impl Ipvsadm {
    pub(super) fn new() -> Self {
        Self {
            programs: PROGRAMS.map(str::to_owned).to_vec(),
        }
    }

    /// The virtual services that `wanted` names.
    pub(super) async fn list(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Table, IpvsRefusal> {
        let text = self.ask(&["-Sn"]).await?;
        let mut table = listing::parse(&text).map_err(unknown)?;
        // `-S` does not show them, and an edit that nobody sees would be made for ever.
        let text = self.ask(&["-Ln", "--thresholds"]).await?;
        counts::add_thresholds(&text, &mut table).map_err(unknown)?;
        table.retain(|key, _| wanted(key));
        Ok(table)
    }

    /// The virtual services that `wanted` names, with their connections.
    pub(super) async fn look(
        &mut self,
        wanted: &impl Fn(&VirtualServiceKey) -> bool,
    ) -> Result<Look, IpvsRefusal> {
        let table = self.list(wanted).await?;
        let text = self.ask(&["-Ln", "--persistent-conn"]).await?;
        let mut connections = counts::connections(&text).map_err(unknown)?;
        connections.retain(|(key, _), _| table.contains_key(key));
        Ok(Look { table, connections })
    }

    /// The synchronisation daemons that run.
    pub(super) async fn sync_daemons(&self) -> Result<Vec<SyncDaemon>, IpvsRefusal> {
        let text = self.ask(&["-L", "--daemon"]).await?;
        daemons::daemons(&text).ok_or_else(|| unknown(text.trim()))
    }

    /// Starts or stops one.
    pub(super) async fn apply_sync(&self, change: &SyncChange) -> Result<(), IpvsRefusal> {
        let output = self.run(&daemons::sync_words(change)).await?;
        if output.status.success() {
            Ok(())
        } else {
            Err(sync_complaint(&output, change))
        }
    }

    /// How long silent connections are kept.
    pub(super) async fn timeouts(&self) -> Result<ConnectionTimeouts, IpvsRefusal> {
        let text = self.ask(&["-L", "--timeout"]).await?;
        daemons::timeouts(&text).ok_or_else(|| unknown(text.trim()))
    }

    /// What it prints.
    async fn ask(&self, words: &[&str]) -> Result<String, IpvsRefusal> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let output = self.run(&words).await?;
        if !output.status.success() {
            return Err(complaint(&output, None));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes one change.
    pub(super) async fn apply(&self, command: &Command) -> Result<(), IpvsRefusal> {
        let output = self.run(&listing::words(command)).await?;
        if output.status.success() {
            Ok(())
        } else {
            Err(complaint(&output, Some(command)))
        }
    }

    async fn run(&self, words: &[String]) -> Result<Output, IpvsRefusal> {
        let mut missing = IpvsRefusal::NoProgram("no such program".into());
        for program in &self.programs {
            let run = Program::new(program)
                .args(words)
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            match tokio::time::timeout(CALL_LIMIT, run).await {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(Err(error)) => missing = IpvsRefusal::NoProgram(error.to_string()),
                Err(_) => return Err(IpvsRefusal::TimedOut(CALL_LIMIT)),
            }
        }
        Err(missing)
    }
}

/// Something that it printed and that makes no sense here.
fn unknown(what: impl std::fmt::Display) -> IpvsRefusal {
    let what: String = what.to_string().chars().take(COMPLAINT_MAX).collect();
    IpvsRefusal::Other(format!(
        "{what}; this ipvsadm is not known, try `ipvs_backend = netlink`"
    ))
}

/// What its words mean where a synchronisation daemon was to be started or stopped.
fn sync_complaint(output: &Output, change: &SyncChange) -> IpvsRefusal {
    let text = String::from_utf8_lossy(&output.stderr);
    let has = |words: &str| text.contains(words);
    match change {
        SyncChange::Start(_) if has("Daemon has already run") => IpvsRefusal::Exists,
        SyncChange::Start(daemon) if has("No such device") => {
            IpvsRefusal::NoInterface(daemon.interface.to_string())
        }
        SyncChange::Start(_) if has("Invalid operation") => IpvsRefusal::SyncImpossible,
        SyncChange::Stop(_) if has("No daemon is running") => IpvsRefusal::NotRunning,
        SyncChange::Start(_) | SyncChange::Stop(_) => complaint(output, None),
    }
}

/// What ipvsadm's words mean; its exit values (2 and 255) say nothing more.
fn complaint(output: &Output, command: Option<&Command>) -> IpvsRefusal {
    let text = String::from_utf8_lossy(&output.stderr);
    let has = |words: &str| text.contains(words);
    if has("Permission denied") || has("Operation not permitted") {
        return IpvsRefusal::NotPermitted;
    }
    if has("Can't initialize ipvs") {
        return IpvsRefusal::NoModule;
    }
    if let Some(Command::AddService(_, service) | Command::EditService(_, service)) = command
        && has("Scheduler or persistence engine not found")
    {
        return IpvsRefusal::unknown_name(service);
    }
    if has("Service not defined") || has("No such service") {
        return IpvsRefusal::NoSuchService;
    }
    if has("No such destination") {
        return IpvsRefusal::NoSuchServer;
    }
    if has("already exists") {
        return IpvsRefusal::Exists;
    }
    let said: String = text.trim().chars().take(COMPLAINT_MAX).collect();
    IpvsRefusal::Other(format!("ipvsadm ended with {}: {said}", output.status))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_words_of_ipvsadm_1_31_are_understood() {
        let add = Command::AddService(
            "10.0.0.3:99/tcp".parse().unwrap(),
            crate::lvs::VirtualService::plain(
                crate::lvs::Family::V4,
                crate::lvs::Scheduler::new("nosuch").unwrap(),
            ),
        );
        let cases = [
            (
                "modprobe: FATAL: Module ip_vs not found in directory /lib/modules/6.1.176\n\
                 Can't initialize ipvs: Protocol not available\n\
                 Are you sure that IP Virtual Server is built in the kernel or as module?\n",
                IpvsRefusal::NoModule,
            ),
            (
                "modprobe: FATAL: Module ip_vs not found in directory /lib/modules/6.1.176\n\
                 Can't initialize ipvs: Permission denied (you must be root)\n\
                 Are you sure that IP Virtual Server is built in the kernel or as module?\n",
                IpvsRefusal::NotPermitted,
            ),
            (
                "Scheduler or persistence engine not found\n",
                IpvsRefusal::NoScheduler("nosuch".into()),
            ),
            ("Service already exists\n", IpvsRefusal::Exists),
            ("Destination already exists\n", IpvsRefusal::Exists),
            ("No such destination\n", IpvsRefusal::NoSuchServer),
            ("Service not defined\n", IpvsRefusal::NoSuchService),
            ("No such service\n", IpvsRefusal::NoSuchService),
            (
                "Memory allocation problem\n",
                IpvsRefusal::Other(
                    "ipvsadm ended with exit status: 255: Memory allocation problem".into(),
                ),
            ),
        ];
        for (stderr, refusal) in cases {
            let output = Output {
                status: ExitStatus::from_raw(255 << 8),
                stdout: Vec::new(),
                stderr: stderr.into(),
            };
            assert_eq!(complaint(&output, Some(&add)), refusal);
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_said_to_be_missing() {
        let mut backend = Ipvsadm {
            programs: vec!["/nonexistent/ipvsadm".into()],
        };
        let refusal = backend.list(&|_| true).await.unwrap_err();
        assert_eq!(refusal, IpvsRefusal::NoProgram("no such program".into()));
    }
}
