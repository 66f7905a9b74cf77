//! Who is the user that `monitor_user` names: number and groups, as the system has them now.

use std::ffi::CString;

use nix::unistd::{User, getgrouplist};

use crate::model::MonitorUser;

/// The user of that name with all groups, as login(1) would give them. Blocks where users come
/// from a directory server.
///
/// # Errors
///
/// What is wrong, in a few words.
pub(super) fn look_up(name: &str) -> Result<MonitorUser, String> {
    let cannot = |error| format!("it cannot be looked up: {error}");
    let found = User::from_name(name).map_err(cannot)?;
    let user = found.ok_or("there is no such user")?;
    let written = CString::new(name).map_err(|_| "there is no such user")?;
    let groups = getgrouplist(&written, user.gid).map_err(cannot)?;
    Ok(MonitorUser {
        name: name.into(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(|group| group.as_raw()).collect(),
        home: user.dir,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_this_machine_is_found_with_its_groups_and_no_other_one() {
        let root = look_up("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0), "{root:?}");
        for name in ["", "no-such-user-here", "ro\0ot"] {
            assert!(look_up(name).is_err(), "{name:?}");
        }
    }
}
