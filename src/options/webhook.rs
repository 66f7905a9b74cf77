//! The options of `webhook`.

use crate::options::OptionError;

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookOptions {}

impl WebhookOptions {
    pub(crate) fn parse(_args: &[String]) -> Result<Self, OptionError> {
        Ok(Self {})
    }
}
