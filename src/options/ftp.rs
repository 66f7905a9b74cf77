//! The options of `ftp`.

use crate::options::OptionError;

/// What the line says.
#[derive(Clone, Debug, PartialEq)]
pub struct FtpOptions {}

impl FtpOptions {
    pub(crate) fn parse(_args: &[String]) -> Result<Self, OptionError> {
        Ok(Self {})
    }
}
