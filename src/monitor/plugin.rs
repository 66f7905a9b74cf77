//! The built-in `plugin`: check plugins of the Nagios kind, one process for each host.
//!
//! The plugin says OK, WARNING, CRITICAL or UNKNOWN by its exit value 0 to 3, one line of text,
//! performance data behind a `|`, and perhaps more lines. A warning is no failure unless the line
//! says so; UNKNOWN, every other end and a run over the limit (D22) say nothing about the host,
//! so that a plugin that cannot work takes no server out of the table. The exit value of the
//! whole is that of the worst host: 2, else 1, else 3.
//!
//! Bounded: so many at once for one line, [`PLUGINS_MAX`] for the process, a limit for each, and
//! [`TEXT_MAX`] bytes of each output.

use std::path::PathBuf;

use crate::clock::Stopwatch;
use crate::engine::event::{Ended, Executable, HostName, HostVerdict, Reason, Report};
use crate::monitor::Tools;
use crate::monitor::group::{self, Checked, Finding, Output};
use crate::options::plugin::PluginOptions;
use crate::site::find_plugin;
use crate::time::Readable;

/// Plugins of all checks at once: processes, so fewer than connections.
pub(super) const PLUGINS_MAX: usize = 100;

/// Output kept of one plugin, in bytes: as much as Nagios itself takes.
const TEXT_MAX: usize = 8_192;

pub(super) async fn check(options: &PluginOptions, hosts: &[HostName], tools: &Tools) -> Report {
    let watch = Stopwatch::start();
    let hosts = group::hosts(&options.hosts, hosts);
    let name = options.command.first().map_or("", String::as_str);
    let plugin = find_plugin(name, options.folder.as_deref());
    let is_whole = !options.names_host();
    // What stands in the summary and the detail where there is no host.
    let whole = [HostName::new(name.rsplit('/').next().unwrap_or(name))];
    let checked = group::each_in(
        if is_whole { &whole } else { &hosts },
        options.at_once,
        tools.plugins(),
        |host| probe(plugin.clone(), host, options.clone(), tools.clone()),
    )
    .await;
    let bad = || checked.iter().filter(|one| one.finding.exit != 0);
    let mut output = Output::default();
    output.line(&group::summary(bad()));
    output.line("");
    checked.iter().for_each(|one| write(one, &mut output));
    let exit = worst(checked.iter().map(|one| one.finding.exit));
    if is_whole {
        // The plugin speaks for the service, not for a host.
        return group::report(&[], exit, output, watch.elapsed());
    }
    if checked.is_empty() {
        output = Output::default();
    }
    group::report(&checked, exit, output, watch.elapsed())
}

/// CRITICAL, else WARNING, else UNKNOWN.
fn worst(exits: impl Iterator<Item = i32>) -> i32 {
    let rank = |exit: &i32| match exit {
        2 => 3,
        1 => 2,
        0 => 0,
        _ => 1,
    };
    exits.max_by_key(rank).unwrap_or(0)
}

async fn probe(
    plugin: Result<PathBuf, String>,
    host: HostName,
    options: PluginOptions,
    tools: Tools,
) -> Finding {
    let path = match plugin {
        Ok(path) => path,
        Err(why) => return finding(&Ended::NotStarted(why), "", Vec::new(), &options),
    };
    let program = Executable {
        path,
        args: options.arguments(host.as_str()),
        environment: options.environment.clone(),
        limit: options.timeout,
    };
    let report = tools.run_program(&program).await;
    let mut output = report.output;
    output.truncate(TEXT_MAX);
    let said = String::from_utf8_lossy(&output);
    let first = said.lines().next().unwrap_or_default();
    let text = first.split('|').next().unwrap_or_default().trim();
    let text = text.to_owned();
    drop(said);
    finding(&report.ended, &text, output, &options)
}

/// What the end of a plugin means.
fn finding(ended: &Ended, text: &str, heard: Vec<u8>, options: &PluginOptions) -> Finding {
    let said = |word: &str| match text {
        "" => format!("{word}, without a word"),
        text => format!("{word}: {text}"),
    };
    let unknown = |reason, text, exit| (HostVerdict::Unknown(reason), text, exit);
    let (verdict, text, exit) = match ended {
        Ended::Exited(0) => (HostVerdict::Up, said("OK"), 0),
        Ended::Exited(1) if options.warning_fails => {
            (HostVerdict::Down(Reason::Exit), said("WARNING"), 1)
        }
        Ended::Exited(1) => (HostVerdict::Up, said("WARNING"), 0),
        Ended::Exited(2) => (HostVerdict::Down(Reason::Exit), said("CRITICAL"), 2),
        Ended::Exited(3) => unknown(Reason::Exit, said("UNKNOWN"), 3),
        Ended::Exited(value) => {
            let word = format!("UNKNOWN (exit value {value} is none of a plugin)");
            unknown(Reason::Exit, said(&word), 3)
        }
        Ended::Signalled(signal) => {
            let word = format!("UNKNOWN (killed by signal {signal})");
            unknown(Reason::Signal, said(&word), 3)
        }
        Ended::TimedOut(limit) => {
            let word = format!("UNKNOWN (no result within {}, killed)", Readable(*limit));
            unknown(Reason::Limit, said(&word), 3)
        }
        Ended::NotStarted(why) => unknown(Reason::Exit, format!("UNKNOWN: {why}"), 3),
    };
    Finding {
        verdict,
        text,
        heard,
        weight: None,
        exit,
    }
}

/// One line of a host, its further lines, and its performance data on a line of their own.
fn write(checked: &Checked, output: &mut Output) {
    output.text(&format!("{} {}", checked.host, checked.finding.text));
    let said = String::from_utf8_lossy(&checked.finding.heard);
    let (more, data) = behind_first(&said);
    for line in more {
        output.text(&format!("    {line}"));
    }
    if !data.is_empty() {
        output.text(&format!("    performance data: {}", data.join(" ")));
    }
}

/// The lines behind the first, and the performance data: behind the `|` of the first line, and
/// from the first `|` of the others to the end.
fn behind_first(said: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    let mut data: Vec<&str> = first
        .split_once('|')
        .map(|(_, data)| data)
        .into_iter()
        .collect();
    let mut more = Vec::new();
    let mut is_data = false;
    for line in lines {
        match line.split_once('|') {
            _ if is_data => data.push(line),
            Some((text, begin)) => {
                is_data = true;
                more.push(text);
                data.push(begin);
            }
            None => more.push(line),
        }
    }
    let mut data: Vec<&str> = data.into_iter().map(str::trim).collect();
    data.retain(|part| !part.is_empty());
    more.retain(|line| !line.trim().is_empty());
    (more, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn performance_data_is_told_from_text() {
        let said = "DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968\n\
                    / 15272 MB (77%)\n/boot 68 MB | /boot=68MB;88;93;0;98\n/home=69357MB\n";
        let (more, data) = behind_first(said);
        assert_eq!(more, ["/ 15272 MB (77%)", "/boot 68 MB "]);
        assert_eq!(
            data,
            [
                "/=2643MB;5948;5958;0;5968",
                "/boot=68MB;88;93;0;98",
                "/home=69357MB"
            ]
        );
        assert_eq!(behind_first("OK"), (Vec::new(), Vec::new()));
        assert_eq!(behind_first(""), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_worst_host_decides_and_unknown_is_the_least_bad() {
        for (exits, expected) in [
            (&[][..], 0),
            (&[0, 0], 0),
            (&[0, 3], 3),
            (&[1, 3], 1),
            (&[3, 2, 1, 0], 2),
        ] {
            assert_eq!(worst(exits.iter().copied()), expected, "{exits:?}");
        }
    }
}
