//! `lvsmon monitor NAME`: a built-in as a program, for mon itself, keepalived, or a person.

use std::io::Write;

use crate::engine::event::Ended;
use crate::monitor::{Tools, check};
use crate::names::Names;
use crate::options::MonitorOptions;
use crate::options::{agent, fping, ftp, http, misc, plugin, tcp};
use crate::program::unless_interrupted;

/// Exit status for wrong usage.
const USAGE: u8 = 2;

/// Runs a built-in with the words of a command line and returns the exit status.
///
/// `name` with or without `.monitor`. The report goes to standard output, exactly as the daemon
/// would take it; complaints about the command line go to standard error, with status 2. No
/// hosts: nothing is printed, status 0.
#[must_use]
pub fn standalone(name: &str, args: &[String]) -> u8 {
    let bare = name.strip_suffix(".monitor").unwrap_or(name);
    if let Some(first) = args.first()
        && ["-h", "--help"].contains(&first.as_str())
        && let Some(usage) = usage(bare)
    {
        say(
            &mut std::io::stdout(),
            &format!("usage: lvsmon monitor {usage}\n"),
        );
        return 0;
    }
    let options = match MonitorOptions::parse(&format!("{bare}.monitor"), args) {
        Some(Ok(options)) if !is_ended(&options) => {
            let text = format!(
                "lvsmon monitor {bare}: end the command with --, so that its last argument \
                 can be told from the first host; in mon.cf as in `monitor {bare}.monitor \
                 -- check_http -H %h --`\n"
            );
            say(&mut std::io::stderr(), &text);
            return USAGE;
        }
        Some(Ok(options)) => options,
        Some(Err(error)) => {
            let usage = usage(bare).unwrap_or_default();
            let text = format!("lvsmon monitor {bare}: {error}\nusage: lvsmon monitor {usage}\n");
            say(&mut std::io::stderr(), &text);
            return USAGE;
        }
        None => {
            let names: Vec<&str> = MonitorOptions::NAMES
                .iter()
                .map(|name| name.trim_end_matches(".monitor"))
                .collect();
            let known = names.join(", ");
            let text =
                format!("lvsmon monitor: no built-in is called \"{name}\"; known are {known}\n");
            say(&mut std::io::stderr(), &text);
            return USAGE;
        }
    };
    run(bare, &options)
}

/// Checks the hosts among the options and returns the exit status.
fn run(bare: &str, options: &MonitorOptions) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let text = format!("lvsmon monitor {bare}: cannot start: {error}\n");
            say(&mut std::io::stderr(), &text);
            return 1;
        }
    };
    let checked = runtime.block_on(unless_interrupted(async {
        let tools = Tools::new(Names::system());
        check(options, &[], &tools).await
    }));
    let report = match checked {
        Ok(report) => report,
        Err(end) => {
            say(
                &mut std::io::stderr(),
                &format!("lvsmon monitor {bare}: {end}\n"),
            );
            return end.exit();
        }
    };
    let mut output = std::io::stdout();
    // A reader that left early still gets the exit status.
    let _ = output.write_all(&report.output);
    let _ = output.flush();
    if let Ended::NotStarted(why) = &report.ended {
        say(
            &mut std::io::stderr(),
            &format!("lvsmon monitor {bare}: {why}\n"),
        );
    }
    u8::try_from(report.ended.exit()).unwrap_or(1)
}

/// Whether hosts can be told from the arguments of a program.
fn is_ended(options: &MonitorOptions) -> bool {
    match options {
        MonitorOptions::Plugin(options) => options.is_ended,
        MonitorOptions::Misc(options) => options.is_ended,
        MonitorOptions::Agent(_)
        | MonitorOptions::Fping(_)
        | MonitorOptions::Ftp(_)
        | MonitorOptions::Http(_)
        | MonitorOptions::Tcp(_) => true,
    }
}

fn usage(name: &str) -> Option<&'static str> {
    match name {
        "agent" => Some(agent::AgentOptions::USAGE),
        "fping" => Some(fping::FpingOptions::USAGE),
        "ftp" => Some(ftp::FtpOptions::USAGE),
        "http" => Some(http::HttpOptions::USAGE),
        "misc" => Some(misc::MiscOptions::USAGE),
        "plugin" => Some(plugin::PluginOptions::USAGE),
        "tcp" => Some(tcp::TcpOptions::USAGE),
        _ => None,
    }
}

fn say(to: &mut dyn Write, text: &str) {
    // Where standard output or error are closed, nobody wants to hear it.
    let _ = to.write_all(text.as_bytes());
}
