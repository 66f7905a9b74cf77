//! What of a new configuration has to wait for a restart?

use crate::model::Globals;

/// Ports, the state folder, the backend and the files of the process are open or written: they
/// change with a restart only.
pub(super) fn keep_what_cannot_change(old: &Globals, new: &mut Globals) {
    if old.statedir != new.statedir {
        tracing::warn!(
            old = %old.statedir.display(),
            new = %new.statedir.display(),
            "statedir changes at the next restart only"
        );
        new.statedir.clone_from(&old.statedir);
    }
    if old.ipvs_backend != new.ipvs_backend {
        tracing::warn!(
            old = %old.ipvs_backend,
            new = %new.ipvs_backend,
            "ipvs_backend changes at the next restart only"
        );
        new.ipvs_backend = old.ipvs_backend;
    }
    // mon says nothing of these.
    let ports = (&old.server, &old.trap) == (&new.server, &new.trap);
    for (what, is_same) in [
        ("serverbind, serverport, trapbind and trapport", ports),
        ("pidfile", old.process.pidfile == new.process.pidfile),
        (
            "monerrfile",
            old.process.monerrfile == new.process.monerrfile,
        ),
        (
            "syslog_facility",
            old.process.syslog_facility == new.process.syslog_facility,
        ),
    ] {
        if !is_same {
            tracing::warn!(what, "changes at the next restart only");
        }
    }
    new.server.clone_from(&old.server);
    new.trap.clone_from(&old.trap);
    let monremote = new.process.monremote.take();
    new.process.clone_from(&old.process);
    new.process.monremote = monremote;
}
