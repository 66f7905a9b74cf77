//! What is logged of the mistakes and oddities of a person's files?

use std::borrow::Borrow;

use crate::config::Diagnostic;

/// Mistakes of a file that are logged; `lvsmon check` shows all of them.
const DIAGNOSTICS_MAX: usize = 20;

/// Logs the mistakes of a refused file, not its warnings, and says how many there are.
pub(super) fn log_mistakes(diagnostics: &[Diagnostic]) -> usize {
    let mistakes = || diagnostics.iter().filter(|mistake| mistake.is_error());
    for mistake in mistakes().take(DIAGNOSTICS_MAX) {
        let (place, help) = (place_of(mistake), mistake.help.as_deref());
        tracing::error!(place, what = mistake.message, help, "configuration mistake");
    }
    let count = mistakes().count();
    log_rest(count);
    count
}

/// Logs what is odd in a file that is in force.
pub(super) fn log_warnings<W: Borrow<Diagnostic>>(warnings: &[W]) {
    for warning in warnings.iter().map(W::borrow).take(DIAGNOSTICS_MAX) {
        let (place, help) = (place_of(warning), warning.help.as_deref());
        tracing::warn!(place, what = warning.message, help, "configuration warning");
    }
    log_rest(warnings.len());
}

fn place_of(diagnostic: &Diagnostic) -> Option<String> {
    let place = diagnostic.place.as_ref()?;
    Some(place.to_string())
}

fn log_rest(count: usize) {
    if let Some(more) = count.checked_sub(DIAGNOSTICS_MAX).filter(|&more| more > 0) {
        tracing::warn!(more, "not shown here; lvsmon check shows them all");
    }
}
