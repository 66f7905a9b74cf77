//! How does a program that checks run as `monitor_user` (D28)?
//!
//! The daemon takes no rights away from itself, not even between fork and exec: it starts its own
//! image once more with [`WORD`] before what is to be run ([`words`]), and that process gives up
//! its rights and becomes the program ([`run`]). What runs then has the arguments, environment,
//! streams and process group that the daemon gave it.
//!
//! Where that fails, a line and an exit status of its own tell the daemon so ([`refusal`]): a
//! program that could not be run says nothing of any host. User and groups were looked up when
//! the file was read, so a directory server that is away delays no check.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
};

use crate::engine::event::Ended;
use crate::model::MonitorUser;
use crate::program;

/// Our own image, the same also after its file has been replaced by an upgrade (proc(5)).
pub(crate) const OWN_IMAGE: &str = "/proc/self/exe";

/// The first word of a command line that is meant for [`run`].
pub(crate) const WORD: &str = "as-user";

/// Exit status where the program was not run, as of env(1) and nohup(1) for themselves.
pub(crate) const NOT_RUN: u8 = 125;

/// What begins the line that says why, beside [`NOT_RUN`].
const BEGINNING: &str = "lvsmon: monitor_user ";

/// What stands before the arguments of `path` where [`OWN_IMAGE`] runs it as `user`.
pub(crate) fn words(user: &MonitorUser, path: &Path) -> [OsString; 6] {
    let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
    [
        WORD.into(),
        user.name.as_ref().into(),
        user.uid.to_string().into(),
        user.gid.to_string().into(),
        groups.join(",").into(),
        path.into(),
    ]
}

/// Why the program was not run; none where it was, whatever became of it.
pub(crate) fn refusal(ended: &Ended, output: &[u8]) -> Option<String> {
    if *ended != Ended::Exited(i32::from(NOT_RUN)) || !output.starts_with(BEGINNING.as_bytes()) {
        return None;
    }
    let text = String::from_utf8_lossy(output);
    let line = text.lines().next().unwrap_or_default();
    Some(line.trim_start_matches("lvsmon: ").to_owned())
}

/// Becomes the program that `words` (what follows [`WORD`]) ask for. Returns only where that
/// failed, with the line that says why.
#[must_use]
pub fn run(words: &[OsString]) -> String {
    let failed = |name: &OsStr, why: String| format!("{BEGINNING}{}: {why}", name.display());
    let Some(wish) = Wish::of(words) else {
        let why = format!("lvsmon {WORD} is for lvsmon itself, and stands in no script");
        return failed(OsStr::new("?"), why);
    };
    let done = give_up_rights(&wish).and_then(|()| become_program(&wish));
    match done {
        Ok(never) => match never {},
        Err(why) => failed(&wish.name, why),
    }
}

/// What the daemon asked for.
struct Wish {
    name: OsString,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Wish {
    /// The inverse of [`words`], arguments behind them.
    fn of(words: &[OsString]) -> Option<Self> {
        let [name, uid, gid, groups, program, arguments @ ..] = words else {
            return None;
        };
        let number = |word: &str| word.parse::<u32>().ok();
        let groups = groups.to_str()?.split(',').filter(|word| !word.is_empty());
        Some(Self {
            name: name.clone(),
            uid: Uid::from_raw(number(uid.to_str()?)?),
            gid: Gid::from_raw(number(gid.to_str()?)?),
            groups: groups
                .map(|word| number(word).map(Gid::from_raw))
                .collect::<Option<_>>()?,
            program: program.into(),
            arguments: arguments.to_vec(),
        })
    }

    /// Whether this process is that user already and in these groups.
    fn is_fulfilled(&self) -> bool {
        let sorted = |mut groups: Vec<Gid>| {
            groups.sort_unstable_by_key(|group| group.as_raw());
            groups.dedup();
            groups
        };
        let (Ok(user), Ok(group), Ok(groups)) = (getresuid(), getresgid(), getgroups()) else {
            return false;
        };
        let users = [user.real, user.effective, user.saved];
        let own = [group.real, group.effective, group.saved];
        users == [self.uid; 3]
            && own == [self.gid; 3]
            && sorted(groups) == sorted(self.groups.clone())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that changes users, in a process that the daemon started for it"
)]
fn give_up_rights(wish: &Wish) -> Result<(), String> {
    // From one user without rights to another the kernel would leave the capabilities that the
    // daemon's unit gave it. A kernel before 4.3 has none of this kind.
    let _ = clear_ambient_capability_set();
    hand_nothing_on()?;
    if wish.is_fulfilled() {
        return Ok(());
    }
    // In this order: without the user's rights no group could be changed any more.
    setgroups(&wish.groups)
        .and_then(|()| setresgid(wish.gid, wish.gid, wish.gid))
        .and_then(|()| setresuid(wish.uid, wish.uid, wish.uid))
        .map_err(|error| {
            let hint = if error == Errno::EPERM {
                "; run lvsmon as root or with CAP_SETUID, CAP_SETGID and CAP_KILL (README, \
                 \"Rights\"), or remove monitor_user"
            } else {
                program::shortage(&error.into())
            };
            format!("cannot become this user: {error}{hint}")
        })
}

/// Empties the inheritable set: what stands in it would come back with a file that has the same
/// capabilities (capabilities(7)).
fn hand_nothing_on() -> Result<(), String> {
    let emptied = capabilities(None).and_then(|sets| {
        let inheritable = CapabilitySet::empty();
        set_capabilities(
            None,
            CapabilitySets {
                inheritable,
                ..sets
            },
        )
    });
    emptied.map_err(|error| format!("cannot give up its inheritable capabilities: {error}"))
}

fn become_program(wish: &Wish) -> Result<Infallible, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("{error}{}", program::shortage(&error)))?;
    runtime.block_on(program::start_patiently(&wish.program, |mut command| {
        command.args(&wish.arguments);
        command.take_over()
    }))
}

impl program::Command {
    /// Becomes this program, in the environment that this process was given.
    ///
    /// # Errors
    ///
    /// The system's word where it cannot be run; a NUL in a word.
    fn take_over(&self) -> io::Result<Infallible> {
        let words: Vec<CString> = self.texts()?;
        let file = words.first().ok_or(io::ErrorKind::InvalidInput)?;
        Ok(nix::unistd::execvp(file, &words)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood_and_nothing_else() {
        let user = MonitorUser {
            name: "watcher".into(),
            uid: 70_001,
            gid: 70_002,
            groups: vec![70_002, 27],
            home: "/home/watcher".into(),
        };
        let asked = words(&user, Path::new("/usr/lib/mon/mon.d/x y.monitor"));
        assert_eq!(asked[0], WORD);
        let mut asked = asked[1..].to_vec();
        asked.extend(["-p", "80"].map(OsString::from));
        let wish = Wish::of(&asked).unwrap();
        assert_eq!(wish.name, "watcher");
        assert_eq!(wish.uid.as_raw(), 70_001);
        assert_eq!(wish.gid.as_raw(), 70_002);
        assert_eq!(wish.groups, [70_002, 27].map(Gid::from_raw));
        assert_eq!(wish.program, Path::new("/usr/lib/mon/mon.d/x y.monitor"));
        assert_eq!(wish.arguments, ["-p", "80"]);
        for wrong in [
            &["watcher", "1", "2", "3"][..],
            &["watcher", "x", "2", "3", "/bin/true"],
            &["watcher", "1", "-1", "3", "/bin/true"],
            &["watcher", "1", "2", "3,x", "/bin/true"],
        ] {
            let wrong: Vec<OsString> = wrong.iter().map(OsString::from).collect();
            assert!(Wish::of(&wrong).is_none(), "{wrong:?}");
            let said = run(&wrong);
            assert!(said.contains("for lvsmon itself"), "{said}");
        }
    }

    #[test]
    fn only_the_line_and_the_status_together_say_that_the_program_was_not_run() {
        let line = b"lvsmon: monitor_user watcher: cannot become this user: EPERM\nmore\n";
        let not_run = Ended::Exited(i32::from(NOT_RUN));
        assert_eq!(
            refusal(&not_run, line).as_deref(),
            Some("monitor_user watcher: cannot become this user: EPERM")
        );
        assert_eq!(refusal(&Ended::Exited(1), line), None);
        assert_eq!(refusal(&not_run, b"www1 www2\n"), None);
        assert_eq!(refusal(&not_run, b""), None);
    }
}
