//! What do `auth.cf` and the user file say, and what is wrong in them?
//!
//! For the daemon, at the start and at `reload auth`, and for `lvsmon check`: both find the same.
//! Lines of these files hold hashes, so findings name their line and do not show it. Blocks.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Diagnostic, Place};
use crate::model::{AuthSettings, AuthType};
use crate::protocol::auth::{AuthRules, FILE_MAX, Mistake, Read, SWAPPED, UserFile, names};
use crate::site::reading;

/// Users that are told as unknown to the user file: the others have the same reason.
const STRANGERS_MAX: usize = 100;

/// What both files say.
#[derive(Debug, Default)]
pub struct Access {
    /// Who may say what, and who may send traps.
    pub rules: AuthRules,
    /// Who can log in by `userfile`.
    pub users: UserFile,
    /// There is an authfile, or somebody named one.
    pub has_authfile: bool,
    /// Everything that is wrong, errors first; with one, the files are not to be used.
    pub findings: Vec<Diagnostic>,
}

/// Reads both files. An authfile that nobody named need not be there.
#[must_use]
pub fn read_access(settings: &AuthSettings) -> Access {
    let mut access = Access::default();
    let findings = &mut access.findings;
    let authfile = &settings.authfile;
    // What cannot be looked at is said when it is read.
    access.has_authfile = settings.is_authfile_named || authfile.try_exists().unwrap_or(true);
    if access.has_authfile {
        access.rules = read(authfile, AuthRules::read, findings);
    }
    if settings.authtype.contains(&AuthType::Userfile) {
        let before = findings.len();
        access.users = read(&settings.userfile, UserFile::read, findings);
        let is_read = !findings.iter().skip(before).any(Diagnostic::is_error);
        if is_read && settings.authtype == [AuthType::Userfile] {
            findings.extend(strangers(settings, &access.rules, &access.users));
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    access
}

/// Users of `auth.cf` that cannot log in, where the user file is the only way to.
fn strangers(settings: &AuthSettings, rules: &AuthRules, users: &UserFile) -> Vec<Diagnostic> {
    let file: Arc<str> = settings.authfile.to_string_lossy().into();
    let named = rules.users().into_iter();
    let unknown = named.filter(|(user, _)| !users.knows(user));
    let told = unknown.take(STRANGERS_MAX).map(|(user, line)| {
        let help = if names::may_be_hash(user) {
            SWAPPED
        } else {
            "add a line \"USER: HASH\" there (htpasswd -d, or mkpasswd), or take the user out"
        };
        let user = names::name(user).map_or_else(
            || "a user of this line".to_owned(),
            |name| format!("user \"{name}\""),
        );
        let userfile = settings.userfile.display();
        let what = format!("{user} cannot log in: it is not in {userfile}");
        let place = Place::unseen(Arc::clone(&file), line);
        Diagnostic::warning(what).with_help(help).at(place)
    });
    told.collect()
}

fn read<T: Default>(
    path: &Path,
    meaning: impl Fn(&str) -> Read<T>,
    findings: &mut Vec<Diagnostic>,
) -> T {
    let bytes = match reading::read_bounded(path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(refused) => {
            let what = format!("cannot read {}: {}", path.display(), refused.why);
            findings.push(Diagnostic::error(what).with_help(refused.advice));
            return T::default();
        }
    };
    let read = meaning(&String::from_utf8_lossy(&bytes));
    let file: Arc<str> = path.to_string_lossy().into();
    let place = |line| Place::unseen(Arc::clone(&file), line);
    for Mistake { line, what } in read.mistakes {
        findings.push(Diagnostic::error(what).at(place(line)));
    }
    for Mistake { line, what } in read.warnings {
        findings.push(Diagnostic::warning(what).at(place(line)));
    }
    read.rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_and_warnings_name_file_and_line_and_show_no_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("auth.cf"), "list all\ntrap section\n* joe s3cret\n").unwrap();
        std::fs::write(path("users"), "ann: s3cret\nbob s3cret\n").unwrap();
        let mut settings = AuthSettings {
            authfile: path("auth.cf"),
            is_authfile_named: false,
            authtype: vec![AuthType::Userfile],
            userfile: path("users"),
            pamservice: String::new(),
        };
        let said = |settings: &AuthSettings| -> Vec<String> {
            let findings = read_access(settings).findings;
            findings.iter().map(ToString::to_string).collect()
        };
        let all = said(&settings).join("\n");
        for part in [
            "cf error: no colon behind the command",
            "auth.cf:1",
            "cf warning: traps of user \"joe\"",
            "auth.cf:3",
            "cf warning: no login for \"ann\"",
            "users:1",
            "cf warning: no colon behind the user",
            "users:2",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains("s3cret"), "{all}");
        std::fs::write(
            path("auth.cf"),
            "list: ann, bob\nreset: cid, AUTH_ANY\nack: all, dan+ops/2\n",
        )
        .unwrap();
        let strange = said(&settings).join("\n");
        assert!(strange.contains("user \"bob\" cannot log in"), "{strange}");
        assert!(strange.contains("user \"cid\" cannot log in"), "{strange}");
        assert!(strange.contains("auth.cf:2"), "{strange}");
        assert!(
            strange.contains("a user of this line cannot log in"),
            "{strange}"
        );
        assert_eq!(strange.matches("cannot log in").count(), 3, "{strange}");
        assert_eq!(strange.matches("add a line").count(), 3, "{strange}");
        settings.authtype.push(AuthType::Trustlocal);
        assert!(!said(&settings).join("\n").contains("cannot log in"));
        settings.authfile = path("none");
        settings.authtype = vec![AuthType::Getpwnam];
        assert!(said(&settings).is_empty());
        assert!(!read_access(&settings).has_authfile);
        settings.is_authfile_named = true;
        assert!(said(&settings)[0].contains("cannot read"));
        // Nothing is waited for, and nothing is read by half.
        settings.authfile = folder.path().to_owned();
        assert!(said(&settings)[0].contains("it is a folder"));
        settings.authfile = path("long");
        let long = "#\n".repeat(usize::try_from(FILE_MAX).unwrap());
        std::fs::write(&settings.authfile, long).unwrap();
        assert!(said(&settings)[0].contains("it has 8 MB"));
    }

    /// Both files in each other's place, and lines of the user file in each section.
    #[test]
    fn a_line_of_the_user_file_in_auth_cf_is_told_by_its_place_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let users = "ann:$6$saltsalt$s3cretA\nann: s3cretB\nbob:abNANd1rDfiNc:1:2\n\
                     s3cretC $6$abc$s3cretD: x\n$6$abc$s3cretE:ann\nabNANd1rDfiNd: ann\n\
                     \u{feff}$6$s3cretF: !x\nlist $6$s3cretG: x\nlist:$6$abc$s3cretH\n\
                     10.0.0.1 joe $6$salt:s3cretI\nack: bob:abNANd1rDfiNc\nlist: x $6$s3cretJ\n\
                     5f4dcc3b5aa765d61d8327deb882cf99: ann\n";
        let auth = "list: all\ncommand section\nack: bob\ntrap section\n* joe $6$s3cretK\n\
                    $6$s3cretL joe x\njoe $6$s3cretM 10.0.0.1\nann:$6$s3cretN x y\n";
        std::fs::write(path("users"), users).unwrap();
        std::fs::write(
            path("both"),
            format!("{auth}{users}{auth}command section\n{users}"),
        )
        .unwrap();
        std::fs::write(path("auth.cf"), auth).unwrap();
        for (authfile, userfile) in [("auth.cf", "users"), ("users", "auth.cf"), ("both", "both")] {
            let settings = AuthSettings {
                authfile: path(authfile),
                is_authfile_named: true,
                authtype: vec![AuthType::Userfile],
                userfile: path(userfile),
                pamservice: String::new(),
            };
            let access = read_access(&settings);
            let said: Vec<String> = access.findings.iter().map(ToString::to_string).collect();
            let all = said.join("\n").to_lowercase();
            for part in ["s3cret", "abnand1rdfin", "$6", "5f4dcc3b5aa7"] {
                assert!(!all.contains(part), "{authfile}: {part} in {all}");
            }
            assert!(all.contains("swapped?"), "{authfile}: {all}");
            let names: Vec<&str> = access.rules.traps().names().collect();
            assert!(!names.iter().any(|name| name.contains('$')), "{names:?}");
        }
    }
}
