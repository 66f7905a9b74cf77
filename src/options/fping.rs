//! The options of `fping`.

use crate::options::OptionError;

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct FpingOptions {}

impl FpingOptions {
    pub(crate) fn parse(_args: &[String]) -> Result<Self, OptionError> {
        Ok(Self {})
    }
}
