//! How is the table left when the daemon ends (`on_exit`)?

use crate::engine::binding::Bindings;
use crate::lvs::{Desired, RealServer, ServerWish, ServiceWish, Weight};
use crate::model::OnExit;

impl Bindings {
    /// The table as it should be left when the daemon ends; none where that changes nothing.
    pub(crate) fn at_exit(&self) -> Option<Desired> {
        let mut last = self.desired.clone();
        let mut is_changed = false;
        for section in &self.model.virtual_services {
            let Some(wanted) = last.get_mut(&section.key) else {
                continue;
            };
            match section.on_exit {
                OnExit::Keep => {}
                OnExit::Quiesce => {
                    let kernel = self.sections.kernel(section.key);
                    for (server, wish) in &mut wanted.servers {
                        let found = kernel.and_then(|kernel| kernel.get(server));
                        if let Some(quiesced) = quiesced(*wish, found) {
                            *wish = quiesced;
                            is_changed = true;
                        }
                    }
                }
                OnExit::Remove => {
                    wanted.service = ServiceWish::Absent;
                    is_changed = true;
                }
            }
        }
        is_changed.then_some(last)
    }
}

/// What is wanted at the end of a real server that is to have weight 0 then and that the kernel has
/// so; none where that is as it was.
fn quiesced(wish: ServerWish, found: Option<&RealServer>) -> Option<ServerWish> {
    let settings = match wish {
        ServerWish::In(settings) => settings,
        // Nobody knows yet whether it is to be in, or it is held for a name: it serves.
        ServerWish::AsFound => *found.filter(|it| it.weight > Weight(0))?,
        ServerWish::Out => return None,
    };
    Some(ServerWish::In(RealServer {
        weight: Weight(0),
        ..settings
    }))
}
