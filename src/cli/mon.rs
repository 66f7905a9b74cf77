//! `lvsmon mon`, and the name `mon`: mon's command line.
//!
//! Every flag of mon(8) with its long name. What a flag says instead of the file counts at every
//! reading of it (C-26 mended). `-f` does not fork: the program starts itself a second time and
//! waits until that one says that it is ready, or ends.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::cli::output::{self, Output};
use crate::cli::run::no_log;
use crate::cli::{CONFIG, Outcome, exit_code_of};
use crate::daemon::log::{self, FacilitySwitch, Format, Settings};
use crate::daemon::{self, Ready, StartOptions};
use crate::engine::saved::StateFile;
use crate::model::{Facility, Globals};
use crate::program;
use crate::site::{Duty, LoadOptions, Manner, Overrides};
use crate::time::timeval;

/// What the second program says when it is ready.
const READY: &str = "ready\n";

/// The flag that tells the second program what it is.
const DETACHED: &str = "--detached";

/// Run the daemon with mon's command line, as the name mon does too
#[derive(Debug, Args)]
#[command(infer_long_args = true)]
pub(super) struct MonArgs {
    /// Who may do what, instead of authfile
    #[arg(short = 'A', long, value_name = "FILE")]
    authfile: Option<String>,
    /// Base of the configuration, of auth.cf and the user file; cfbasedir in the file wins
    #[arg(short = 'B', long, value_name = "DIR")]
    cfbasedir: Option<String>,
    /// State folder, instead of statedir
    #[arg(short = 'D', long, value_name = "DIR")]
    statedir: Option<String>,
    /// Log folder, instead of logdir
    #[arg(short = 'L', long, value_name = "DIR")]
    logdir: Option<String>,
    /// Read the file through m4, or through this command
    #[arg(short = 'M', long, value_name = "PATH", num_args = 0..=1, default_missing_value = "")]
    m4: Option<String>,
    /// Facility in syslog; syslog_facility in the file wins
    #[arg(short = 'O', long, value_name = "FACILITY")]
    syslogfacility: Option<Facility>,
    /// File with the process id, instead of pidfile; empty for none
    #[arg(short = 'P', long, value_name = "FILE")]
    pidfile: Option<String>,
    /// Start with the scheduler stopped, until a client says start
    #[arg(short = 'S', long)]
    stopped: bool,
    /// Folders with alerts, instead of alertdir
    #[arg(short = 'a', long, value_name = "LIST")]
    alertdir: Option<String>,
    /// Base of the other folders, instead of basedir
    #[arg(short = 'b', long, value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// The configuration; mon.cf in the base of the configuration where it is not given
    #[arg(short = 'c', long, value_name = "FILE")]
    configfile: Option<PathBuf>,
    /// Log more; twice for all
    #[arg(short = 'd', long, action = ArgAction::Count)]
    debug: u8,
    /// Go to the background
    #[arg(short = 'f', long)]
    fork: bool,
    /// Accepted; lvsmon does not sleep between checks
    #[arg(short = 'i', long, value_name = "SECONDS")]
    sleep: Option<u32>,
    /// Entries of the histories, instead of histlength
    #[arg(short = 'k', long, value_name = "NUMBER")]
    maxkeep: Option<u32>,
    /// Load saved state at the start, of one type
    #[arg(
        short = 'l',
        long,
        value_name = "TYPE",
        value_enum,
        num_args = 0..=1,
        default_missing_value = "disabled"
    )]
    loadstate: Option<StateKind>,
    /// Programs at once, instead of maxprocs
    #[arg(short = 'm', long, value_name = "NUMBER")]
    maxprocs: Option<u32>,
    /// Port of clients, instead of serverport
    #[arg(short = 'p', long, value_name = "PORT")]
    port: Option<u16>,
    /// First checks at random within this time, instead of randstart
    #[arg(short = 'r', long, value_name = "TIME", value_parser = time)]
    randstart: Option<Duration>,
    /// Folders with monitors, instead of mondir
    #[arg(short = 's', long, value_name = "LIST")]
    scriptdir: Option<String>,
    /// Port of traps, instead of trapport
    #[arg(short = 't', long, value_name = "PORT")]
    trapport: Option<u16>,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
    /// We are the second program.
    #[arg(long, hide = true)]
    detached: bool,
    /// Words without a flag, which mon passes over.
    #[arg(hide = true)]
    stray: Vec<OsString>,
}

/// Which of mon's state files are loaded at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateKind {
    /// `disabled`: what was disabled.
    Disabled,
    /// `opstatus`: what is known of each service.
    Opstatus,
    /// Both.
    All,
}

impl StateKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Opstatus => "opstatus",
            Self::All => "all",
        }
    }

    fn files(self) -> Vec<StateFile> {
        match self {
            Self::Disabled => vec![StateFile::Disabled],
            Self::Opstatus => vec![StateFile::Opstatus],
            Self::All => StateFile::ALL.to_vec(),
        }
    }
}

/// A time with its unit, or seconds as mon's manual page has it.
fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => timeval(text).map_err(|_| "write a time, as in 30s or 1.5h".to_owned()),
    }
}

/// The command line with the word that the name `mon` stands for.
pub(super) fn with_its_name(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|path| Path::new(path).file_name());
    if name == Some(OsStr::new("mon")) {
        // The usage names what it says, and it is the same under both names.
        args.splice(..1, ["lvsmon", "mon"].map(OsString::from));
    }
    args
}

pub(super) fn mon(args: &MonArgs, out: &mut Output) -> Outcome {
    if args.version {
        let version = env!("CARGO_PKG_VERSION");
        out.line(&format!("lvsmon {version}, in place of mon-1.3.6"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(basedir) = args.basedir.as_deref().filter(|folder| !folder.is_dir()) {
        let why = format!("basedir {} is not a folder", basedir.display());
        return Err(why.into());
    }
    if args.fork && !args.detached {
        return start_detached();
    }
    let starter = args.detached.then(detach).flatten();
    let guard = log::start(Settings {
        format: Format::Text {
            colours: output::wants_colours(),
        },
        syslog: Some(args.syslogfacility.unwrap_or_default()),
        level: match args.debug {
            0 => "info",
            1 => "debug",
            _ => "trace",
        },
    })
    .map_err(no_log)?;
    args.say_stray_words();
    let facility = guard.facility();
    let ready = Ready::new(move |globals| ready(globals, &facility, starter));
    let result = daemon::run(args.start(ready));
    if let (Err(error), true) = (&result, args.detached) {
        tracing::error!(%error, "lvsmon ends");
    }
    drop(guard);
    result?;
    Ok(ExitCode::SUCCESS)
}

impl MonArgs {
    /// Says what mon passes over in silence.
    fn say_stray_words(&self) {
        // They may be anything, the value of a flag that was forgotten too: they are counted only.
        let stray = self.stray.len();
        if stray > 0 {
            tracing::warn!(
                stray,
                "words without a flag on the command line are passed over"
            );
        }
        if let (Some(kind), Some(word)) = (self.loadstate, self.second_type()) {
            let (taken, passed_over) = (kind.word(), word.word());
            tracing::warn!(
                taken,
                passed_over,
                "-l takes one word only, as with mon, and the other one is passed over; -l all \
                 loads disabled and opstatus"
            );
        }
    }

    /// What stands behind `-l TYPE` as if it were one more.
    fn second_type(&self) -> Option<StateKind> {
        let mut types = self.stray.iter().filter_map(|word| {
            let word = word.to_str()?;
            StateKind::from_str(word, false).ok()
        });
        types.find(|kind| self.loadstate != Some(*kind))
    }

    fn start(&self, ready: Ready) -> StartOptions {
        StartOptions {
            config: self.config(),
            load: LoadOptions {
                m4: self.m4.clone(),
                overrides: self.overrides(),
                manner: Manner::Mon,
                duty: Duty::Work,
            },
            is_stopped: self.stopped,
            load_state: self.loadstate.map_or_else(Vec::new, StateKind::files),
            ready: Some(ready),
        }
    }

    fn config(&self) -> PathBuf {
        match (&self.configfile, &self.cfbasedir) {
            (Some(file), _) => file.clone(),
            (None, Some(folder)) => Path::new(folder).join("mon.cf"),
            (None, None) => PathBuf::from(CONFIG),
        }
    }

    /// What the flags say instead of the file. As in mon, a number of 0 says nothing.
    fn overrides(&self) -> Overrides {
        let basedir = self.basedir.as_ref().map(|folder| {
            let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            absolute.display().to_string()
        });
        Overrides {
            authfile: self.authfile.clone(),
            pidfile: self.pidfile.clone(),
            histlength: self.maxkeep.filter(|&number| number > 0),
            maxprocs: self.maxprocs.filter(|&number| number > 0),
            serverport: self.port.filter(|&number| number > 0),
            trapport: self.trapport.filter(|&number| number > 0),
            randstart: self.randstart.filter(|time| !time.is_zero()),
            syslog_facility: self.syslogfacility,
            basedir,
            cfbasedir: self.cfbasedir.clone(),
            statedir: self.statedir.clone(),
            logdir: self.logdir.clone(),
            mondir: self.scriptdir.clone(),
            alertdir: self.alertdir.clone(),
        }
    }
}

/// Starts this program again, away from the terminal, and waits until it is ready. What it says
/// before that is on our own standard error.
fn start_detached() -> Outcome {
    let program = program::own_path().ok_or("the system does not say which program this is")?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| OsString::from("mon"));
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(program)
        .arg0(name)
        .args(args)
        .arg(DETACHED)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut answer = String::new();
    // A daemon that dies closes its end.
    BufReader::new(ours).read_line(&mut answer)?;
    if answer == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait()?;
    let code = status.code().filter(|&code| code != 0).unwrap_or(1);
    Ok(exit_code_of(code))
}

/// Leaves the terminal; gives the way to the program that started us.
fn detach() -> Option<UnixStream> {
    // Who leads a session already is away from the terminal.
    let _ = setsid();
    umask(Mode::from_bits_truncate(0o022));
    let starter = std::io::stdin().as_fd().try_clone_to_owned().ok();
    if let Ok(null) = File::open("/dev/null") {
        // Without it, programs that we start read what nobody writes: as good.
        let _ = dup2_stdin(null);
    }
    starter.map(UnixStream::from)
}

/// Says that the daemon is ready; in the background it lets go of its starter's outputs.
fn ready(globals: &Globals, facility: &FacilitySwitch, starter: Option<UnixStream>) {
    facility.set(globals.process.syslog_facility);
    let Some(mut starter) = starter else {
        return;
    };
    let path = &globals.process.monerrfile;
    let errors = append(path).or_else(|error| {
        let path = path.display();
        tracing::warn!(%path, %error, "cannot write to monerrfile, nobody sees what programs say");
        append(Path::new("/dev/null"))
    });
    match errors {
        Ok(errors) => {
            if let Err(error) = dup2_stdout(&errors).and_then(|()| dup2_stderr(&errors)) {
                tracing::warn!(%error, "cannot leave the starter's outputs");
            }
        }
        Err(error) => tracing::warn!(%error, "cannot leave the starter's outputs"),
    }
    // Nobody may be waiting any more.
    let _ = starter.write_all(READY.as_bytes());
}

/// Opens a file to append to; never one that would become our terminal.
fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(path)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "mon")]
    struct Alone {
        #[command(flatten)]
        args: MonArgs,
    }

    fn parse(words: &str) -> Result<MonArgs, clap::Error> {
        let words = std::iter::once("mon").chain(words.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.args)
    }

    #[test]
    fn words_without_a_flag_are_passed_over_as_with_mon() {
        let args = parse("extra -c c more -v").unwrap();
        assert_eq!(args.configfile.as_deref(), Some(Path::new("c")));
        assert!(args.version);
        assert!(parse("-c c --unknown").is_err());
    }

    #[test]
    fn of_two_types_behind_l_the_first_is_loaded_as_with_mon_and_the_other_is_found() {
        for (words, loaded, second) in [
            (
                "-l disabled opstatus",
                Some(StateKind::Disabled),
                Some(StateKind::Opstatus),
            ),
            (
                "-l opstatus x disabled",
                Some(StateKind::Opstatus),
                Some(StateKind::Disabled),
            ),
            ("-l all all", Some(StateKind::All), None),
            ("-l -c c x", Some(StateKind::Disabled), None),
            ("-l", Some(StateKind::Disabled), None),
        ] {
            let args = parse(words).unwrap();
            assert_eq!(
                (args.loadstate, args.second_type()),
                (loaded, second),
                "{words}"
            );
        }
        assert!(parse("-l disabled,opstatus").is_err());
    }

    #[test]
    fn every_flag_of_mon_has_its_short_and_its_long_form() {
        let short = "-A a -B /b -D d -L l -M -O local1 -P p -S -a al -b / -c c -d -d -f -i 5 -k 6 \
                     -l all -m 7 -p 8 -r 9s -s s -t 10";
        let long = "--authfile a --cfbasedir=/b --statedir d --logdir l --m4 --syslogfacility local1 \
                    --pidfile p --stopped --alertdir al --basedir / --configfile c --debug --debug \
                    --fork --sleep 5 --maxkeep 6 --loadstate=all --maxprocs 7 --port 8 \
                    --randstart 9 --scriptdir s --trapport 10";
        let bundled = "-fSdd -Aa -B/b -Dd -Ll -M -Olocal1 -Pp -aal -b/ -cc -i5 -k6 -lall -m7 -p8 \
                       -r9s -ss -t10";
        let expected = Overrides {
            authfile: Some("a".to_owned()),
            pidfile: Some("p".to_owned()),
            histlength: Some(6),
            maxprocs: Some(7),
            serverport: Some(8),
            trapport: Some(10),
            randstart: Some(Duration::from_secs(9)),
            syslog_facility: Some("local1".parse().unwrap()),
            basedir: Some("/".to_owned()),
            cfbasedir: Some("/b".to_owned()),
            statedir: Some("d".to_owned()),
            logdir: Some("l".to_owned()),
            mondir: Some("s".to_owned()),
            alertdir: Some("al".to_owned()),
        };
        for words in [short, long, bundled] {
            let args = parse(words).unwrap();
            assert_eq!(args.overrides(), expected, "{words}");
            assert_eq!(args.configfile.as_deref(), Some(Path::new("c")));
            assert_eq!((args.m4.as_deref(), args.debug), (Some(""), 2));
            assert!(args.stopped && args.fork);
        }
    }

    #[test]
    fn what_no_flag_says_stays_with_the_file() {
        let args = parse("").unwrap();
        assert_eq!(args.overrides(), Overrides::default());
        let args = parse("-k 0 -m 0 -p 0 -t 0 -r 0").unwrap();
        assert_eq!(args.overrides(), Overrides::default());
        let pidfile = Alone::try_parse_from(["mon", "-P", ""])
            .unwrap()
            .args
            .pidfile;
        assert_eq!(pidfile.as_deref(), Some(""));
    }

    #[test]
    fn what_mon_does_not_know_is_wrong_usage() {
        for words in [
            "-x",
            "--nothing",
            "-k many",
            "-p 70000",
            "-r soon",
            "-l most",
        ] {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words}");
        }
    }

    #[test]
    fn the_file_is_mon_cf_in_the_base_of_the_configuration() {
        let config = |words| parse(words).unwrap().config();
        assert_eq!(config(""), Path::new("/etc/mon/mon.cf"));
        assert_eq!(config("-B /srv/mon"), Path::new("/srv/mon/mon.cf"));
        assert_eq!(config("-B /srv/mon -c other.cf"), Path::new("other.cf"));
    }

    #[test]
    fn the_name_mon_is_the_subcommand() {
        let given = |name: &str| {
            let args = with_its_name([name, "-f"].map(OsString::from));
            args.into_iter()
                .map(|arg| arg.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(given("/usr/sbin/mon"), ["lvsmon", "mon", "-f"]);
        assert_eq!(given("/usr/sbin/lvsmon"), ["/usr/sbin/lvsmon", "-f"]);
        assert_eq!(given("lemon"), ["lemon", "-f"]);
    }
}
