//! `lvsmon check`: every mistake and warning of a file, what each name and each `virtual`
//! section became, and the host.

mod declared;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::output::{Output, Tone};
use crate::cli::{CONFIG, Outcome, refused};
use crate::client::Client;
use crate::config::{Diagnostic, Severity};
use crate::daemon;
use crate::host::{self, Finding, Level, Needs};
use crate::model::{Bind, Globals, Listener, Model};
use crate::site::{self, Became, LoadOptions, Loaded, ProgramKind, Resolution};
use crate::text::counted;
use crate::wire::reload::RefusedReload;

/// Check a configuration, and with --host the machine
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// One JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// Look at what the director needs of this machine too: modules, sysctls, rights, folders,
    /// names
    #[arg(long)]
    host: bool,
}

/// How long a daemon may take to say what it refused: it is asked beside the work.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// What a daemon that runs with this file refused of it, and goes on without. None where nobody
/// runs, nothing was refused, or nobody may ask.
fn refused_by_daemon(config: &Path) -> Option<RefusedReload> {
    let statedir = site::statedir(config).ok()?;
    let mut daemon = Client::connect_within(&statedir, ASK_LIMIT).ok()?;
    daemon.health().ok()?;
    let is_same = |other: &Path| match (config.canonicalize(), other.canonicalize()) {
        (Ok(config), Ok(other)) => config == other,
        (_, _) => false,
    };
    let refused = daemon.refused_reload()?;
    is_same(&refused.config).then(|| refused.clone())
}

pub(super) fn check(args: &CheckArgs, out: &mut Output) -> Outcome {
    let loaded = site::load(&args.config, &LoadOptions::default()).and_then(with_auth);
    let findings = match &loaded {
        _ if !args.host => Vec::new(),
        Ok(loaded) => {
            let root = Path::new("/");
            let mut findings = host::look(root, &Needs::of(&loaded.model));
            findings.extend(host::names::look(root, &loaded.model, &loaded.hosts));
            findings.extend(host::timeouts::look(&loaded.model.globals));
            findings.extend(daemon::peer::look(&loaded.model.globals));
            findings.sort_by_key(|finding| finding.level);
            findings
        }
        Err(_) => host::look(Path::new("/"), &Needs::of_any_director()),
    };
    let refused = refused_by_daemon(&args.config);
    if args.json {
        let answer = as_json(args, &loaded, &findings);
        out.line(&refused::json(&answer, refused.as_ref())?)?;
    } else {
        print(args, &loaded, &findings, out)?;
        if let Some(refused) = refused {
            let again = match loaded {
                Ok(_) => "; this file is good: reload it",
                Err(_) => "",
            };
            let text = refused.sentence(&TimeZone::system());
            out.line(&out.paint(Tone::Odd, &format!("of the daemon: {text}{again}")))?;
        }
    }
    let worst = if args.strict {
        Level::Warning
    } else {
        Level::Problem
    };
    let is_good = match &loaded {
        Ok(loaded) => !args.strict || loaded.warnings.is_empty(),
        Err(_) => false,
    };
    if is_good && findings.iter().all(|finding| finding.level > worst) {
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// The same with what is wrong in auth.cf and the user file.
fn with_auth(mut loaded: Loaded) -> Checked {
    let access = site::read_access(&loaded.model.globals.auth);
    loaded.warnings.extend(access.findings);
    if loaded.warnings.iter().any(Diagnostic::is_error) {
        Err(loaded.warnings)
    } else {
        Ok(loaded)
    }
}

type Checked = Result<Loaded, Vec<Diagnostic>>;

fn print(
    args: &CheckArgs,
    loaded: &Checked,
    findings: &[Finding],
    out: &mut Output,
) -> std::io::Result<()> {
    let diagnostics = match loaded {
        Ok(loaded) => &loaded.warnings,
        Err(diagnostics) => diagnostics,
    };
    for diagnostic in diagnostics {
        print_diagnostic(diagnostic, out)?;
    }
    let config = args.config.display();
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let count = mistakes.iter().filter(|mistake| mistake.is_error()).count();
            let text = format!("{config}: {}", counted(count, "mistake"));
            out.line(&out.paint(Tone::Bad, &text))?;
            if args.host {
                for finding in findings {
                    print_finding(finding, out)?;
                }
                out.line("what the file asks of the machine shows once it has no mistakes")?;
            }
            return Ok(());
        }
    };
    for program in &loaded.programs {
        let (tone, became) = became(program);
        let kind = kind(program.kind);
        let became = out.paint(tone, &became);
        out.line(&format!(
            "{kind:7} {} is {became}: {}",
            program.name, program.why
        ))?;
    }
    for finding in findings {
        print_finding(finding, out)?;
    }
    let model = &loaded.model;
    for declared in &model.virtual_services {
        for line in declared::lines(model, declared) {
            out.line(&line)?;
        }
    }
    notes(args, model, out)?;
    let mut text = format!(
        "{config}: no mistakes, {}; {}, {} of real servers",
        counted(loaded.warnings.len(), "warning"),
        counted(model.services.len(), "service"),
        counted(model.bindings.len(), "binding"),
    );
    if !model.virtual_services.is_empty() {
        text.push_str(", ");
        text.push_str(&counted(model.virtual_services.len(), "virtual service"));
    }
    let tone = if loaded.warnings.is_empty() {
        Tone::Good
    } else {
        Tone::Odd
    };
    out.line(&out.paint(tone, &text))
}

/// What is neither right nor wrong, and good to know.
fn notes(args: &CheckArgs, model: &Model, out: &mut Output) -> std::io::Result<()> {
    if let Some(text) = loopback_only(&model.globals) {
        out.line(&text)?;
    }
    if let Some(text) = served(&model.globals) {
        out.line(&text)?;
    }
    let names = host::names::count(model);
    if names > 0 && !args.host {
        let names = counted(names, "name");
        out.line(&format!(
            "{names} not looked up: with --host it is said which have no address here"
        ))?;
    }
    let statedir = &model.globals.statedir;
    if !statedir.exists() {
        let statedir = statedir.display();
        out.line(&format!(
            "statedir {statedir} does not exist: a daemon makes it at its start, empty"
        ))?;
    }
    Ok(())
}

/// Which ports `lvsmon run` opens on loopback because the file does not say (D21).
fn loopback_only(globals: &Globals) -> Option<String> {
    let unset = globals.unbound_ports()?;
    Some(format!(
        "{unset} not set: lvsmon run listens on 127.0.0.1 there, lvsmon mon everywhere"
    ))
}

/// Where metrics can be read, and by whom.
fn served(globals: &Globals) -> Option<String> {
    let Listener { bind, port } = globals.metrics.listener()?;
    let who = match bind {
        Bind::Loopback => "from this machine only (metricsbind not set)",
        Bind::Everywhere | Bind::Host(_) => "by whoever reaches it: there are no passwords",
    };
    let host = match bind.host() {
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    Some(format!(
        "metrics are served at http://{host}:{port}/metrics, {who}"
    ))
}

fn print_diagnostic(diagnostic: &Diagnostic, out: &mut Output) -> std::io::Result<()> {
    let text = diagnostic.to_string();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let tone = match diagnostic.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Odd,
    };
    out.line(&out.paint(tone, first))?;
    if rest.is_empty() {
        Ok(())
    } else {
        out.line(rest)
    }
}

fn print_finding(finding: &Finding, out: &mut Output) -> std::io::Result<()> {
    let (tone, word) = match finding.level {
        Level::Problem => (Tone::Bad, "problem"),
        Level::Warning => (Tone::Odd, "warning"),
        Level::Good => (Tone::Good, "good"),
    };
    let word = out.paint(tone, &format!("{word:7}"));
    out.line(&format!("{word} {} ({})", finding.what, finding.place))?;
    if finding.advice.is_empty() {
        Ok(())
    } else {
        out.line(&format!("        {}", finding.advice))
    }
}

fn as_json(args: &CheckArgs, loaded: &Checked, findings: &[Finding]) -> Value {
    let (diagnostics, programs) = match loaded {
        Ok(loaded) => (&loaded.warnings, &*loaded.programs),
        Err(diagnostics) => (diagnostics, &[][..]),
    };
    let programs: Vec<Value> = programs.iter().map(program_json).collect();
    let diagnostics: Vec<Value> = diagnostics.iter().map(diagnostic_json).collect();
    let mut answer = json!({
        "config": args.config,
        "valid": loaded.is_ok(),
        "diagnostics": diagnostics,
        "programs": programs,
    });
    if let Ok(loaded) = loaded {
        answer["statedir"] = json!(loaded.model.globals.statedir);
        answer["virtual_services"] = declared::as_json(&loaded.model);
    }
    if args.host {
        answer["host"] = json!(findings);
    }
    answer
}

fn diagnostic_json(diagnostic: &Diagnostic) -> Value {
    let place = diagnostic.place.as_deref();
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": diagnostic.message,
        "help": diagnostic.help,
        "file": place.map(|place| &*place.file),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column).filter(|&column| column > 0),
    })
}

fn program_json(program: &Resolution) -> Value {
    json!({
        "kind": kind(program.kind),
        "name": program.name,
        "became": match &program.became {
            Became::BuiltIn => json!("built-in"),
            Became::Executable(path) => json!({ "executable": path }),
            Became::Missing => json!("missing"),
        },
        "why": program.why,
    })
}

fn kind(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::Monitor => "monitor",
        ProgramKind::Alert => "alert",
    }
}

fn became(program: &Resolution) -> (Tone, String) {
    match &program.became {
        Became::BuiltIn => (Tone::Good, "the built-in".to_owned()),
        Became::Executable(path) => (Tone::Good, path.display().to_string()),
        Became::Missing => (Tone::Bad, "missing".to_owned()),
    }
}
