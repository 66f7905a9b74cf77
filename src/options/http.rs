//! The options of `http`.

use crate::options::OptionError;

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOptions {}

impl HttpOptions {
    pub(crate) fn parse(_args: &[String]) -> Result<Self, OptionError> {
        Ok(Self {})
    }
}
