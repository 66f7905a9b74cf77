//! How mon.cf is read: text in, a [`crate::model::Model`] or all mistakes out.
//!
//! Pure. What the machine has to say (files, m4, programs) comes in as values from
//! [`crate::site`].

pub mod diagnostic;

pub use diagnostic::{Diagnostic, Severity};

use crate::model::Model;

/// Reads a configuration from a text, for tests and benches: built-in names are the built-ins,
/// every other program is taken to exist in the first folder of its path.
///
/// # Errors
///
/// All mistakes of the text.
pub fn load_text(text: &str) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    let _ = text;
    Err(vec![Diagnostic::error("not built yet")])
}
