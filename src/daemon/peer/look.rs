//! Can this director be linked to the other one?
//!
//! The key is read and the address is tried with the daemon's own functions, so that what is
//! good here is good there. Nobody is called.

use crate::daemon::peer::door::{has_here, read_key};
use crate::host::Finding;
use crate::model::Globals;
use crate::pair::talk::PeerSettings;

/// Looks at the file of the key and at the address to be called at; nothing without a peer.
pub(crate) fn look(globals: &Globals) -> Vec<Finding> {
    let settings = &globals.peer;
    if settings.address.is_none() {
        return Vec::new();
    }
    // Binding an address needs the runtime too.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            let mut findings: Vec<Finding> = key(settings).await.into_iter().collect();
            findings.extend(bind(settings));
            findings
        }),
        Err(error) => vec![Finding::warning(
            format!("cannot look at what the link of the pair needs: {error}"),
            "peer",
            "try again",
        )],
    }
}

async fn key(settings: &PeerSettings) -> Option<Finding> {
    let place = settings.key.as_ref()?.display().to_string();
    Some(match read_key(settings).await {
        Ok(_) => Finding::good("the key of the pair can be used", place),
        Err(why) => Finding::problem(
            format!("no link to the peer: {why}"),
            place,
            "openssl rand -hex 32 makes a key: put the same one on both directors, with mode 0600",
        ),
    })
}

fn bind(settings: &PeerSettings) -> Option<Finding> {
    let bind = settings.bind?;
    Some(match has_here(bind.ip()) {
        Ok(()) => Finding::good(
            "the peer can call at an address of this machine",
            bind.to_string(),
        ),
        Err(error) => Finding::problem(
            format!("the peer cannot call at {bind}: {error}"),
            "peer_bind",
            "write an address that this director has all the time; in a file that is copied from \
             the other one, swap peer and peer_bind",
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::*;
    use crate::engine::fixture::globals;
    use crate::host::Level;

    fn levels(key: &Path, bind: &str) -> Vec<Level> {
        let mut globals = globals();
        globals.peer = PeerSettings {
            address: Some("127.0.0.2:7".parse().unwrap()),
            key: Some(key.to_owned()),
            bind: Some(bind.parse().unwrap()),
        };
        let found = look(&globals);
        found.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_pair_that_cannot_link_is_said_before_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str, mode| {
            fs::write(path(name), text).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        };
        let long = "0123456789abcdef".repeat(4);
        write("good", &long, 0o600);
        write("empty", "", 0o600);
        write("short", "abc", 0o600);
        write("open", &long, 0o644);
        fs::create_dir(path("folder")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(levels(&path("good"), "127.0.0.1:7"), [Level::Good; 2]);
        for wrong in [
            "none", "empty", "short", "open", "folder", "dangling", "fifo",
        ] {
            let found = levels(&path(wrong), "127.0.0.1:7");
            assert_eq!(found, [Level::Problem, Level::Good], "{wrong}");
        }
        let found = levels(&path("good"), "192.0.2.1:7");
        assert_eq!(found, [Level::Good, Level::Problem]);
    }
}
