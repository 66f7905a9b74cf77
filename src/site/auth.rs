//! What is wrong in `auth.cf` and the user file, for `lvsmon check`.
//!
//! Lines of these files hold hashes, so findings name their line and do not show it. The daemon
//! reads the files on its own, at the start and at `reload auth`.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::config::Diagnostic;
use crate::model::{AuthSettings, AuthType};
use crate::protocol::auth::{AuthRules, FILE_MAX, Mistake, Read, UserFile};

/// Everything that is wrong, errors first. A file that nobody named need not be there.
#[must_use]
pub fn look_at_auth(settings: &AuthSettings) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let is_named = settings.is_authfile_named;
    look(&settings.authfile, is_named, AuthRules::read, &mut findings);
    if settings.authtype.contains(&AuthType::Userfile) {
        look(&settings.userfile, true, UserFile::read, &mut findings);
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn look<T>(
    path: &Path,
    is_needed: bool,
    read: impl Fn(&str) -> Read<T>,
    findings: &mut Vec<Diagnostic>,
) {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    if let Err(error) = file {
        if is_needed || error.kind() != ErrorKind::NotFound {
            let what = format!("{} cannot be read: {error}", path.display());
            findings.push(Diagnostic::error(what));
        }
        return;
    }
    let read = read(&String::from_utf8_lossy(&bytes));
    let place = |Mistake { line, what }: Mistake| match line {
        0 => format!("{}: {what}", path.display()),
        line => format!("{}:{line}: {what}", path.display()),
    };
    let mistakes = read.mistakes.into_iter().map(place).map(Diagnostic::error);
    findings.extend(mistakes);
    let warnings = read.warnings.into_iter().map(place);
    findings.extend(warnings.map(Diagnostic::warning));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_and_warnings_name_file_and_line_and_show_no_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("auth.cf"), "list all\ntrap section\n* joe s3cret\n").unwrap();
        std::fs::write(path("users"), "ann: s3cret\n").unwrap();
        let mut settings = AuthSettings {
            authfile: path("auth.cf"),
            is_authfile_named: false,
            authtype: vec![AuthType::Userfile],
            userfile: path("users"),
            pamservice: String::new(),
        };
        let said = |settings: &AuthSettings| -> Vec<String> {
            let findings = look_at_auth(settings);
            findings.iter().map(ToString::to_string).collect()
        };
        let all = said(&settings).join("\n");
        for part in [
            "auth.cf:1: no colon",
            "auth.cf:3: traps of user \"joe\"",
            "users:1: no login",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains("s3cret"), "{all}");
        settings.authfile = path("none");
        settings.authtype = vec![AuthType::Getpwnam];
        assert!(said(&settings).is_empty());
        settings.is_authfile_named = true;
        assert!(said(&settings)[0].contains("cannot be read"));
    }
}
