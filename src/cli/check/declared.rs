//! What a `virtual` section became, as `lvsmon check` tells it: in text, and as JSON.

use serde_json::{Value, json};

use crate::lvs::Strangers;
use crate::model::{
    DeclaredServer, DeclaredService, Initial, JudgedBy, MinLive, Model, OnExit, OnFailure,
    OwnRules, WeightFrom,
};
use crate::text::counted;
use crate::time::Readable;

/// Real servers that are named in a line of text; of fifty, the first few tell enough.
const NAMED_MAX: usize = 8;

/// A section in a few lines: servers that are alike stand together.
pub(super) fn lines(model: &Model, declared: &DeclaredService) -> Vec<String> {
    let key = declared.key;
    let settings = declared.settings.words(key.family());
    let count = counted(declared.servers.len(), "real server");
    let mut lines = vec![format!("virtual {key} is {settings}; {count}")];
    for alike in groups(&declared.servers) {
        let names: Vec<String> = alike.iter().take(NAMED_MAX).map(|it| named(it)).collect();
        let more = match alike.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names.join(" ");
        let Some(first) = alike.first() else {
            continue;
        };
        let how = how(first);
        let judges = match judges(model, first).as_slice() {
            [] => "always in".to_owned(),
            judges => format!("decided by {}", judges.join(" ")),
        };
        lines.push(format!("        {names}{more}: {how}, {judges}"));
    }
    if let Some(fallback) = &declared.fallback {
        let server = DeclaredServer {
            host: fallback.host.clone(),
            port: fallback.port,
            settings: fallback.settings,
            own: OwnRules::default(),
            judges: Vec::new(),
        };
        let (name, how) = (named(&server), how(&server));
        lines.push(format!(
            "        {name}: {how}, while none of these is healthy"
        ));
    }
    lines.push(format!("        {}", policy(model, declared).join(", ")));
    lines
}

/// Servers that differ in nothing but their names.
fn groups(servers: &[DeclaredServer]) -> Vec<Vec<&DeclaredServer>> {
    let mut groups: Vec<Vec<&DeclaredServer>> = Vec::new();
    for server in servers {
        let is_alike = |other: &DeclaredServer| {
            other.settings == server.settings
                && other.judges == server.judges
                && other.own == server.own
        };
        // A line of the file makes servers that are alike, so the last group is the likely one.
        match groups.last_mut() {
            Some(last) if last.first().is_some_and(|other| is_alike(other)) => last.push(server),
            Some(_) | None => groups.push(vec![server]),
        }
    }
    groups
}

fn named(server: &DeclaredServer) -> String {
    server.host.with_port(server.port)
}

fn how(server: &DeclaredServer) -> String {
    let settings = &server.settings;
    let mut text = format!("{}, weight {}", settings.forwarding, settings.weight);
    if settings.upper_threshold > 0 {
        text.push_str(&format!(", upper {}", settings.upper_threshold));
    }
    if settings.lower_threshold > 0 {
        text.push_str(&format!(", lower {}", settings.lower_threshold));
    }
    if let Some(own) = server.own.on_failure {
        text.push_str(&format!(", {}", on_failure(own)));
    }
    match server.own.initial {
        Some(Initial::In) => text.push_str(", initial in"),
        Some(Initial::Out) => text.push_str(", initial out"),
        Some(Initial::AsFound) => text.push_str(", initial as_found"),
        None => {}
    }
    text
}

fn on_failure(it: OnFailure) -> String {
    match it {
        OnFailure::Remove => "on_failure remove".to_owned(),
        OnFailure::Quiesce => "on_failure quiesce".to_owned(),
        OnFailure::Drain(time) => format!("on_failure drain {}", Readable(time)),
    }
}

fn judges(model: &Model, server: &DeclaredServer) -> Vec<String> {
    let judges = server.judges.iter().map(|judge| {
        let service = model.service(judge.service);
        let whole = match judge.verdict {
            JudgedBy::Host => "",
            JudgedBy::Whole => " (as a whole)",
        };
        format!("{}:{}{whole}", service.group, service.name)
    });
    judges.collect()
}

/// What happens when servers fail; only what the reader has to know, in the words of the file.
fn policy(model: &Model, declared: &DeclaredService) -> Vec<String> {
    let counts = declared.counts;
    let mut said = vec![
        format!("fall {}", counts.fall),
        format!("rise {}", counts.rise),
        on_failure(declared.on_failure),
        match declared.min_live {
            MinLive::Count(count) => format!("min_live {count}"),
            MinLive::Percent(share) => format!("min_live {share}%"),
        },
    ];
    if counts.fall.get() > 1 {
        said.push(format!("recheck {}", Readable(counts.recheck)));
    }
    if let Some(time) = declared.slow_start {
        said.push(format!("slow_start {}", Readable(time)));
    }
    if declared.weight_from == WeightFrom::Check {
        said.push("weight_from check".to_owned());
    }
    match declared.initial {
        Initial::In => said.push("initial in".to_owned()),
        Initial::Out => said.push("initial out".to_owned()),
        Initial::AsFound => {}
    }
    match declared.foreign {
        Strangers::Kept => said.push("foreign keep".to_owned()),
        Strangers::Ignored | Strangers::Removed => {}
    }
    match declared.on_exit {
        OnExit::Keep => {}
        OnExit::Quiesce => said.push("on_exit quiesce".to_owned()),
        OnExit::Remove => said.push("on_exit remove".to_owned()),
    }
    let witnesses = declared.witnesses.iter().map(|&id| model.service(id));
    let witnesses: Vec<String> = witnesses
        .map(|service| format!("{}:{}", service.group, service.name))
        .collect();
    if !witnesses.is_empty() {
        said.push(format!("witness {}", witnesses.join(" ")));
    }
    said
}

/// All sections as a list of objects.
pub(super) fn as_json(model: &Model) -> Value {
    let server = |server: &DeclaredServer| {
        json!({
            "server": named(server),
            "forward": server.settings.forwarding.to_string(),
            "weight": server.settings.weight.0,
            "upper": server.settings.upper_threshold,
            "lower": server.settings.lower_threshold,
            "services": judges(model, server),
        })
    };
    let section = |declared: &DeclaredService| {
        let servers: Vec<Value> = declared.servers.iter().map(server).collect();
        let fallback = declared.fallback.as_ref().map(|fallback| {
            server(&DeclaredServer {
                host: fallback.host.clone(),
                port: fallback.port,
                settings: fallback.settings,
                own: OwnRules::default(),
                judges: Vec::new(),
            })
        });
        json!({
            "virtual_service": declared.key,
            "settings": declared.settings.words(declared.key.family()),
            "servers": servers,
            "fallback": fallback,
            "policy": policy(model, declared),
        })
    };
    model.virtual_services.iter().map(section).collect()
}
