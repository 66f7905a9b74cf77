//! `lvsmon try`: runs one monitor or alert as the daemon would, and explains what comes of it.
//!
//! | Question | File |
//! |---|---|
//! | what is tried, on which hosts | this one |
//! | what does a monitor do, and what does the daemon make of it | `monitor` |
//! | what goes where when the streams are apart | `probe` |
//! | what is an author to mend | `remarks` |
//! | what does an alert do with each kind of event | `alert` |
//! | how does an event of each kind come about | `sample` |
//! | how does an engine of one service pass its time | `stage` |
//! | how does it look | `print` |
//!
//! Arguments, variables and limits are composed by the engine, programs are run by what runs
//! them in the daemon: nothing here imitates either.

mod alert;
mod monitor;
mod print;
mod probe;
mod remarks;
mod sample;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, Args, CommandFactory as _, Parser};

use crate::cli::misuse::{misused, refuse};
use crate::cli::output::{Form, Output, complain};
use crate::cli::trial::remarks::{Level, Remark};
use crate::cli::{CONFIG, Outcome, load, runtime};
use crate::config;
use crate::engine::binding::Families;
use crate::engine::event::AlertKind;
use crate::model::{
    AlertCommand, AlertProgram, Binding, GroupId, HostName, Hostgroup, Member, Model,
    MonitorCommand, MonitorProgram, Service, ServiceId,
};
use crate::options::{AlertOptions, MonitorOptions};
use crate::program::{Interrupted, unless_interrupted};
use crate::site::{self, Became, ProgramKind, Resolution};
use crate::text::words_line;
use crate::time::timeval;

/// Exit code where the program does what it should not, whatever it reported.
const PROBLEM: u8 = 3;

/// Most runs that `--repeat` may ask for.
const REPEAT_MAX: u32 = 100;

/// The group and the service of a program that is tried without a configuration.
const NAME: &str = "try";

/// Run one monitor or alert as the daemon would, and explain what comes of it
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = AFTER)]
pub(super) struct TrialArgs {
    /// A name as in mon.cf, a file (./my.monitor), or GROUP/SERVICE of the configuration; then
    /// its arguments; the hosts of a monitor come last, behind `--` where there are options
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_names = ["WHAT", "ARG"]
    )]
    words: Vec<String>,
    /// The configuration; without it /etc/mon/mon.cf where that is, else mon's defaults
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// WHAT is an alert, also where its name does not end in .alert; of GROUP/SERVICE: its alerts
    #[arg(long)]
    alert: bool,
    /// Only with this kind of event (failure, up, startup, trap, traptimeout, ack, disable,
    /// test); may stand several times
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<AlertKind>,
    /// Let built-in alerts really send; without it they only say what they would send
    #[arg(long)]
    really: bool,
    /// How often a monitor is run; from 2 on, once more with its streams apart
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPEAT_MAX)))]
    repeat: Option<u32>,
    /// Time limit instead of `monitor_timeout`, such as 30s
    #[arg(long, value_name = "TIME", value_parser = limit)]
    limit: Option<Duration>,
    /// A variable as the service may set it in mon.cf; may stand several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Take warnings for problems
    #[arg(long)]
    strict: bool,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

const AFTER: &str = "\
Exit status: 0 all is well; 1 the monitor reported a failure, or an alert failed, in good form; \
2 wrong usage, nothing was run; 3 the program does something that the daemon or its operator will \
suffer from (see the lines \"problem\"); 128 and the signal's number where SIGINT, SIGTERM or \
SIGHUP ended it, which kills the program with its process group.

Examples:
  lvsmon try ./ssh.monitor -p 22 -- 192.168.0.1 192.168.0.2
  lvsmon try http.monitor -p 8080 192.168.0.1
  lvsmon try www1/http --config /etc/mon/mon.cf
  lvsmon try --kind failure --kind up ./pager.alert
  lvsmon try mail.alert ops@example.org";

/// The same options behind GROUP/SERVICE, where no argument of a program can stand.
#[derive(Debug, Parser)]
#[command(name = "lvsmon try")]
struct Late {
    #[command(flatten)]
    args: TrialArgs,
}

fn kind(word: &str) -> Result<AlertKind, String> {
    AlertKind::of(word).ok_or_else(|| {
        let known = AlertKind::ALL.map(AlertKind::word).join(" ");
        format!("known are {known}")
    })
}

fn limit(text: &str) -> Result<Duration, String> {
    let span = timeval(text).map_err(|_| "write a time such as 30s or 2m".to_owned())?;
    if span.is_zero() {
        return Err("it must be above 0".to_owned());
    }
    Ok(span)
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=value".to_owned()),
    }
}

/// What is to be tried: a configuration of one service, and what there is to say about it.
struct Plan {
    model: Model,
    /// What the monitor's or the alert's name became; none for a configured service.
    resolution: Option<Resolution>,
    /// `GROUP/SERVICE` where it was configured.
    configured: Option<String>,
    /// Which services decide over which families, and which of them a configured one is.
    decides: Option<(Families, ServiceId)>,
    /// Time from start to start as configured.
    interval: Option<Duration>,
    /// Hosts that stand on the command line were told from arguments by guess.
    is_guess: bool,
    repeat: u32,
    really: bool,
    kinds: Vec<AlertKind>,
    /// An option of ours that stands where the program's arguments are.
    late_option: Option<Remark>,
}

pub(super) fn trial(args: &TrialArgs, out: &mut Output) -> Outcome {
    let args = match args.complete() {
        Ok(args) => args,
        Err(error) => {
            // It may stand among the words that were not understood.
            let asked = args.json || args.words.iter().any(|word| word == "--json");
            return Ok(refuse(Form::of(asked), error));
        }
    };
    let plan = match args.plan() {
        Ok(plan) => plan,
        Err(why) => return Ok(misused("try", Form::of(args.json), &why)),
    };
    let runtime = runtime()?;
    let is_alert = args.is_alert();
    let interrupted = |end: Interrupted| {
        complain(&format!("lvsmon try: {end}"));
        ExitCode::from(end.exit())
    };
    let code = if is_alert {
        match runtime.block_on(unless_interrupted(alert::run(plan))) {
            Ok(trial) => {
                print::alert(&trial, args.json, out)?;
                exit_code(&trial.remarks, args.strict, trial.failed())
            }
            Err(end) => interrupted(end),
        }
    } else {
        match runtime.block_on(unless_interrupted(monitor::run(plan))) {
            Ok(trial) => {
                print::monitor(&trial, args.json, out)?;
                exit_code(&trial.remarks, args.strict, trial.failed())
            }
            Err(end) => interrupted(end),
        }
    };
    // A program that was left behind keeps nobody waiting.
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(code)
}

fn exit_code(remarks: &[Remark], strict: bool, failed: bool) -> ExitCode {
    let is_bad = |level: Level| match level {
        Level::Problem => true,
        Level::Warning => strict,
        Level::Hint => false,
    };
    if remarks.iter().any(|remark| is_bad(remark.level)) {
        ExitCode::from(PROBLEM)
    } else if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

impl TrialArgs {
    fn what(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether the first word names a service of the configuration.
    fn names_service(&self) -> bool {
        let what = self.what();
        what.contains('/')
            && !what.starts_with(['.', '/', '~'])
            && !Path::new(what).exists()
            && what.matches('/').count() == 1
    }

    fn is_alert(&self) -> bool {
        self.alert || (!self.names_service() && self.what().ends_with(".alert"))
    }

    /// With the options that stand behind GROUP/SERVICE.
    fn complete(&self) -> Result<Self, clap::Error> {
        if !self.names_service() || self.words.len() < 2 {
            return Ok(self.clone());
        }
        let mut words = vec!["lvsmon try".to_owned()];
        words.extend(self.words.iter().skip(1).cloned());
        words.push(self.what().to_owned());
        let late = Late::try_parse_from(words)?.args;
        if late.words.len() != 1 {
            let text = "a configured service is tried as it is; it takes no arguments\n";
            let kind = clap::error::ErrorKind::TooManyValues;
            return Err(clap::Error::raw(kind, text));
        }
        Ok(Self {
            words: late.words,
            config: late.config.or_else(|| self.config.clone()),
            alert: self.alert || late.alert,
            kind: [self.kind.clone(), late.kind].concat(),
            really: self.really || late.really,
            repeat: late.repeat.or(self.repeat),
            limit: late.limit.or(self.limit),
            env: [self.env.clone(), late.env].concat(),
            strict: self.strict || late.strict,
            json: self.json || late.json,
        })
    }

    fn plan(&self) -> Result<Plan, String> {
        let mut plan = if self.names_service() {
            self.configured()?
        } else {
            self.program()?
        };
        if let Some(limit) = self.limit {
            plan.model.globals.monitor_timeout = limit;
        }
        for service in &mut plan.model.services {
            let own = self.env.iter();
            let own = own.map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            service.environment.extend(own);
        }
        Ok(plan)
    }

    /// The configuration that says where programs are; an empty one where there is none.
    fn base(&self) -> Result<Model, String> {
        match &self.config {
            Some(path) => load(path),
            None if Path::new(CONFIG).is_file() => load(Path::new(CONFIG)),
            None => match config::load_text("") {
                Ok((model, _)) => Ok(model),
                Err(_) => Err("the empty configuration cannot be read".to_owned()),
            },
        }
    }

    fn configured(&self) -> Result<Plan, String> {
        let path = self.config.as_deref().unwrap_or(Path::new(CONFIG));
        let model = load(path)?;
        let key = self.what();
        let found = key
            .split_once('/')
            .and_then(|(group, name)| model.find(group, name));
        let Some(id) = found else {
            return Err(format!(
                "{} has no service {key}, and there is no such file",
                path.display()
            ));
        };
        let service = model.service(id).clone();
        if !self.is_alert() && service.monitor.is_none() {
            return Err(format!("{key} has no monitor: it lives on traps alone"));
        }
        let families = Families::of(&model);
        Ok(Plan {
            interval: service.interval,
            decides: Some((families, id)),
            model: alone(model, service, id),
            resolution: None,
            configured: Some(key.to_owned()),
            is_guess: false,
            repeat: self.repeat.unwrap_or(2),
            really: self.really,
            kinds: self.kind.clone(),
            late_option: None,
        })
    }

    /// What of the program's arguments may have been meant for us.
    fn late_option(&self) -> Option<Remark> {
        let own = Late::command();
        let is_own = |word: &&str| {
            let name = word.split('=').next().unwrap_or_default();
            let mut long = own.get_arguments().filter_map(Arg::get_long);
            name.strip_prefix("--")
                .is_some_and(|name| long.any(|long| long == name))
        };
        let words = self.words.iter().skip(1).map(String::as_str);
        let word = words.take_while(|word| *word != "--").find(is_own)?;
        let what = self.what();
        Some(Remark::new(
            Level::Hint,
            "own_option",
            format!("{word} stands behind {what}, so it is an argument of that"),
            "options of lvsmon try stand before the program",
        ))
    }

    /// The program may send what was to be tried only: without `--` it is not run.
    fn refuse_late_option(&self) -> Result<(), String> {
        let has_mark = self.words.iter().any(|word| word == "--");
        match self.late_option().filter(|_| !has_mark) {
            None => Ok(()),
            Some(remark) => Err(format!(
                "{}; {}; to hand it to the program, write -- {}",
                remark.text,
                remark.advice,
                match self.is_alert() {
                    true => "last",
                    false => "before the hosts, or last",
                }
            )),
        }
    }

    /// The words behind the program. A last `--` of an alert that marks an option as its own, as
    /// [`Self::refuse_late_option`] asks for it, is no argument.
    fn behind_program(&self) -> &[String] {
        let words = self.words.get(1..).unwrap_or_default();
        match words {
            [args @ .., last] if last == "--" && self.is_alert() => match self.late_option() {
                Some(_) => args,
                None => words,
            },
            _ => words,
        }
    }

    fn program(&self) -> Result<Plan, String> {
        self.refuse_late_option()?;
        let base = self.base()?;
        let words = self.behind_program();
        let kind = match self.is_alert() {
            true => ProgramKind::Alert,
            false => ProgramKind::Monitor,
        };
        let name = self.program_name()?;
        let mut resolution = site::resolve(kind, &name, &base.globals);
        if let (Became::Executable(_), true) = (&resolution.became, self.what().contains('/')) {
            resolution.why.clear();
        }
        let is_unknown = resolution.became == Became::Missing && !self.what().contains('/');
        if is_unknown && !resolution.why.contains("may not be executed") {
            return Err(format!("{}: {}", self.what(), resolution.why));
        }
        let mut service = Service::new(NAME.into(), GroupId(0), NAME.into());
        let mut is_guess = false;
        let hosts = if kind == ProgramKind::Monitor {
            let (args, hosts, guess) = match resolution.became {
                Became::BuiltIn => built_in_words(&name, words)?,
                Became::Executable(_) | Became::Missing => program_words(words),
            };
            is_guess = guess;
            service.monitor = Some(Arc::new(MonitorCommand {
                program: monitor_program(&name, &args, &resolution)?,
                name: name.as_str().into(),
                written: format!("{name} {}", words_line(&args)).into(),
                args,
                appends_hosts: true,
            }));
            hosts
        } else {
            service.periods = vec![alert::period(AlertCommand {
                exit: None,
                program: alert_program(&name, words, &resolution)?,
                name: name.as_str().into(),
                args: words.to_vec(),
                written: words_line(words).into(),
            })];
            sample::HOSTS.map(str::to_owned).to_vec()
        };
        service.allow_empty_group = true;
        let member = |host: &String| Member {
            host: HostName::new(host),
            starts_disabled: false,
        };
        let model = Model {
            hostgroups: vec![Hostgroup {
                name: NAME.into(),
                members: hosts.iter().map(member).collect(),
            }],
            ..base
        };
        Ok(Plan {
            model: alone(model, service, ServiceId(u32::MAX)),
            resolution: Some(resolution),
            configured: None,
            decides: None,
            interval: None,
            is_guess,
            repeat: self.repeat.unwrap_or(2),
            really: self.really,
            kinds: self.kind.clone(),
            late_option: self.late_option(),
        })
    }

    /// The name to look up: a file as an absolute path.
    fn program_name(&self) -> Result<String, String> {
        let what = self.what();
        if !what.contains('/') {
            return Ok(what.to_owned());
        }
        let path = std::path::absolute(what).map_err(|error| format!("{what}: {error}"))?;
        let text = path.into_os_string().into_string();
        text.map_err(|_| format!("{what}: its path is no text"))
    }
}

/// A configuration of one service that is due at once and depends on nobody.
fn alone(model: Model, service: Service, id: ServiceId) -> Model {
    let own = |binding: &Binding| binding.service == id;
    let bindings = model.bindings.iter().filter(|binding| own(binding));
    let bindings = bindings.map(|binding| Binding {
        service: ServiceId(0),
        ..binding.clone()
    });
    let mut globals = model.globals.clone();
    globals.exclude_period = None;
    globals.randstart = None;
    Model {
        bindings: bindings.collect(),
        witnesses: Vec::new(),
        virtual_services: Vec::new(),
        services: vec![Service {
            interval: Some(Duration::from_secs(1)),
            failure_interval: None,
            randskew: None,
            exclude_period: None,
            depend: Vec::new(),
            ..service
        }],
        globals,
        aliases: Vec::new(),
        views: Vec::new(),
        ..model
    }
}

type Words = (Vec<String>, Vec<String>, bool);

/// A built-in tells its hosts from its options itself.
fn built_in_words(name: &str, words: &[String]) -> Result<Words, String> {
    let mut args = words.to_vec();
    let own = match MonitorOptions::parse(name, words) {
        Some(Ok(options)) => options.own_hosts().len(),
        Some(Err(error)) => return Err(format!("{name}: {error}")),
        None => 0,
    };
    let hosts = args.split_off(args.len().saturating_sub(own));
    Ok((args, hosts, false))
}

/// Hosts are what stands behind the last `--`. Without one, and with options, the words behind
/// the last option but for one that is probably its value.
fn program_words(words: &[String]) -> Words {
    if let Some(mark) = words.iter().rposition(|word| word == "--") {
        let (args, rest) = words.split_at(mark);
        return (args.to_vec(), rest.iter().skip(1).cloned().collect(), false);
    }
    let Some(last) = words.iter().rposition(|word| word.starts_with('-')) else {
        return (Vec::new(), words.to_vec(), false);
    };
    let behind = words.len() - last - 1;
    let first_host = last + if behind > 1 { 2 } else { 1 };
    let (args, hosts) = words.split_at(first_host);
    (args.to_vec(), hosts.to_vec(), true)
}

fn monitor_program(
    name: &str,
    args: &[String],
    resolution: &Resolution,
) -> Result<MonitorProgram, String> {
    Ok(match &resolution.became {
        Became::Executable(path) => MonitorProgram::Executable(path.clone()),
        Became::Missing => MonitorProgram::Missing(resolution.why.clone()),
        Became::BuiltIn => match MonitorOptions::parse(name, args) {
            Some(Ok(options)) => MonitorProgram::Native(options),
            Some(Err(error)) => return Err(format!("{name}: {error}")),
            None => MonitorProgram::Missing(resolution.why.clone()),
        },
    })
}

fn alert_program(
    name: &str,
    args: &[String],
    resolution: &Resolution,
) -> Result<AlertProgram, String> {
    Ok(match &resolution.became {
        Became::Executable(path) => AlertProgram::Executable(path.clone()),
        Became::Missing => AlertProgram::Missing(resolution.why.clone()),
        Became::BuiltIn => match AlertOptions::parse(name, args) {
            Some(Ok(options)) => AlertProgram::Native(options),
            Some(Err(error)) => return Err(format!("{name}: {error}")),
            None => AlertProgram::Missing(resolution.why.clone()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (String, String, bool) {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (args, hosts, is_guess) = program_words(&words);
        (args.join(" "), hosts.join(" "), is_guess)
    }

    #[test]
    fn hosts_are_told_from_arguments() {
        for (line, args, hosts, is_guess) in [
            ("h1 h2", "", "h1 h2", false),
            ("-p 22 -- h1 h2", "-p 22", "h1 h2", false),
            ("-- check -H %h -- h1", "-- check -H %h", "h1", false),
            ("-p 22 h1 h2", "-p 22", "h1 h2", true),
            ("-v h1", "-v", "h1", true),
            ("", "", "", false),
        ] {
            let expected = (args.to_owned(), hosts.to_owned(), is_guess);
            assert_eq!(split(line), expected, "{line}");
        }
    }
}
