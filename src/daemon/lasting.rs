//! What of a new configuration has to wait for a restart?

use crate::model::{Globals, Model};

/// Whether a reload would leave nothing of what there was.
pub(super) fn has_lost_everything(old: &Model, new: &Model) -> bool {
    let has_nothing =
        |model: &Model| model.services.is_empty() && model.virtual_services.is_empty();
    has_nothing(new) && !has_nothing(old)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_virtual_sections_alone_is_no_empty_one() {
        let read = |text: &str| crate::config::load_text(text).expect("a good file").0;
        let nothing = read("");
        let service = read("hostgroup web h1\n\nwatch web\n service http\n  monitor x\n");
        let section = read(
            "virtual 10.0.0.3:80\n protocol tcp\n scheduler wlc\n real 192.168.0.1\n service none\n",
        );
        for (old, new, is_lost) in [
            (&nothing, &nothing, false),
            (&service, &nothing, true),
            (&section, &nothing, true),
            (&service, &section, false),
            (&section, &service, false),
        ] {
            assert_eq!(has_lost_everything(old, new), is_lost);
        }
    }
}
