//! What is kept across a restart: one record for each service and each declared key [D20].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of the journal. A later record replaces an earlier one with the same key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which state.
    pub key: String,
    /// The state itself; null where it is to be forgotten.
    pub value: serde_json::Value,
}

/// Everything a journal says, newest records only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// By key.
    pub records: BTreeMap<String, serde_json::Value>,
}
