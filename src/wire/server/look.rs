//! What is known of the kernel's table of which an answer about a real server speaks, as a row.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::desired::RealServerView;
use crate::engine::event::{TableLook, TableOutcome};

/// What is known of the kernel's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "table", rename_all = "snake_case")]
pub enum LookRow {
    /// It was read.
    #[default]
    Read,
    /// Nobody has looked yet.
    NotYet,
    /// It cannot be read now.
    Unreadable {
        /// Where the real server was when it was read last; none where it never was.
        last: Option<LastRow>,
    },
}

/// Where a real server was in the kernel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastRow {
    /// In, with this weight.
    In(u32),
    /// Out.
    Out,
}

impl LastRow {
    /// What the kernel has of a real server, where its table cannot be read.
    #[must_use]
    pub fn unknown(last: Option<Self>) -> String {
        let last = match last {
            None => String::new(),
            Some(Self::Out) => " (last seen: not in the table)".to_owned(),
            Some(Self::In(weight)) => format!(" (last seen: in the table with weight {weight})"),
        };
        format!("nobody knows what the kernel has{last}")
    }
}

pub(super) fn look(engine: &Engine, seen: &TableOutcome, view: &RealServerView) -> LookRow {
    match &seen.table {
        TableLook::Read(_) => LookRow::Read,
        TableLook::NotYet => LookRow::NotYet,
        TableLook::Unreadable(_) => LookRow::Unreadable {
            last: view.server.and_then(|server| {
                let table = engine.table_last_read()?;
                let entry = table.get(&view.virtual_service);
                let found = entry.and_then(|entry| entry.servers.get(&server));
                Some(found.map_or(LastRow::Out, |found| LastRow::In(found.weight.0)))
            }),
        },
    }
}
