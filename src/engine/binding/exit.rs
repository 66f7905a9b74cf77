//! How is the table left when the daemon ends (`on_exit`)?

use crate::engine::binding::Bindings;
use crate::lvs::{Desired, ServerWish, ServiceWish, Weight};
use crate::model::OnExit;

impl Bindings {
    /// The table as it should be left when the daemon ends; none where that changes nothing. What
    /// is as found stays so: the next daemon would not know that it was in.
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
                    for wish in wanted.servers.values_mut() {
                        if let ServerWish::In(settings) = wish {
                            settings.weight = Weight(0);
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
