//! The options of `mail`.

use crate::options::OptionError;

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct MailOptions {}

impl MailOptions {
    pub(crate) fn parse(_args: &[String]) -> Result<Self, OptionError> {
        Ok(Self {})
    }
}
