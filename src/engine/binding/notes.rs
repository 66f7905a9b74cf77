//! How are notes to a person about bindings worded?

use crate::engine::binding::Part;
use crate::engine::event::{Action, Note, SectionNews, ServerChange};
use crate::engine::manual::EntryKey;
use crate::lvs::VirtualServiceKey;
use crate::model::{HostName, ServiceId};
use crate::time::Wall;

/// What a person should mend about these words: a note about each, or where name servers are gone
/// and there would be thousands, one about all of them, with the first in full.
pub(super) fn mend_notes(
    of: (VirtualServiceKey, Option<ServiceId>),
    news: Vec<(HostName, String)>,
) -> Vec<Action> {
    /// As many are noted singly, or named in the one note; the rest is counted.
    const NAMED_MAX: usize = 5;
    let (Some((first, text)), Some(more)) = (news.first(), news.len().checked_sub(NAMED_MAX + 1))
    else {
        let singly = news.into_iter();
        return singly
            .map(|(host, text)| mend_note(of, Some(host), text))
            .collect();
    };
    let named = news.iter().take(NAMED_MAX).map(|(host, _)| host.as_str());
    let text = format!(
        "{} servers ({} and {} more), the first: {text}; lvsmon table shows all",
        news.len(),
        named.collect::<Vec<&str>>().join(", "),
        more + 1,
    );
    vec![mend_note(of, Some(first.clone()), text)]
}

/// What a person should mend about a line, or about a section.
pub(super) fn mend_note(
    (key, service): (VirtualServiceKey, Option<ServiceId>),
    host: Option<HostName>,
    text: String,
) -> Action {
    Action::Note(match service {
        Some(service) => Note::Binding {
            service,
            host,
            text,
        },
        None => Note::Section {
            virtual_service: key,
            news: SectionNews::Mend { host, text },
        },
    })
}

pub(super) fn server_note((key, server): EntryKey, change: ServerChange, since: Wall) -> Action {
    Action::Note(Note::Server {
        virtual_service: key,
        server,
        change,
        since,
    })
}

pub(super) fn unclear_note(service: ServiceId, count: usize, has_lines: bool) -> Action {
    let line = if has_lines { ", or write -R" } else { "" };
    let text = format!(
        "the failing check does not say which hosts fail; the real servers of {count} hosts stay as they are: name them in the first line of output, or set all_hosts_on_failure{line}"
    );
    Action::Note(Note::Binding {
        service,
        host: None,
        text,
    })
}

pub(super) fn left_out_note(service: ServiceId, parts: &[Part]) -> Action {
    /// Hosts named in one line; the rest is counted.
    const NAMED_MAX: usize = 5;
    let hosts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Whole => None,
            Part::Host(host) => Some(host.as_str()),
        })
        .collect();
    let named = hosts.iter().take(NAMED_MAX).copied();
    let named = named.collect::<Vec<&str>>().join(", ");
    let about = match hosts.len() {
        0 => String::new(),
        1..=NAMED_MAX => format!(" on {named}"),
        count => format!(" on {named} and {} more", count - NAMED_MAX),
    };
    let text = format!(
        "no report{about} came within one interval; its real servers are decided without this service until one comes"
    );
    Action::Note(Note::Binding {
        service,
        host: None,
        text,
    })
}
