//! How is the table left when the daemon ends (`on_exit`), and who comes back from that when the
//! next one starts?

use std::collections::BTreeSet;

use crate::engine::binding::{Bindings, Verdict};
use crate::engine::desired::Places;
use crate::engine::section::count::judged_part;
use crate::lvs::{Desired, RealServerKey, ServerWish, ServiceWish, VirtualServiceKey, Weight};
use crate::model::{DeclaredServer, DeclaredService, OnExit};

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

    /// The real servers of a section that are in until their first verdict.
    pub(super) fn put_in(
        &self,
        section: &DeclaredService,
        places: &Places,
    ) -> BTreeSet<RealServerKey> {
        let state = self.sections.state(section.key);
        let put_in = state.map(|it| it.put_in.clone());
        let mut put_in = put_in.unwrap_or_default();
        put_in.extend(self.back_from_exit(section, places));
        put_in
    }

    /// Those whom our own exit left with weight 0, and of whom nobody can say how they are but who
    /// found them good: no name server says where their names lead, which programs look up
    /// themselves, or the services that judge them rest. They served before it, and come back, as
    /// what stays for a name does.
    fn back_from_exit(&self, section: &DeclaredService, places: &Places) -> Vec<RealServerKey> {
        let key = section.key;
        let left = self.sections.state(key).map(|it| &it.left_at_zero);
        let Some(left) = left.filter(|it| !it.is_empty() && section.on_exit == OnExit::Quiesce)
        else {
            return Vec::new();
        };
        let servers = section.servers.iter().zip(&places.servers);
        let servers = servers.filter_map(|(it, place)| Some((it, place.server?)));
        let back = servers.filter(|(it, server)| {
            left.contains(server)
                && self.owned.has_served(key, *server)
                && self.is_for_nobody_to_judge(key, it)
        });
        back.map(|(_, server)| server).collect()
    }

    /// Whether no service that judges a real server can say how it is, but who found it good.
    fn is_for_nobody_to_judge(&self, key: VirtualServiceKey, server: &DeclaredServer) -> bool {
        let is_unheeded = self.unheeded(key, &server.host).is_some();
        let mut judges = server.judges.iter();
        judges.all(|judge| {
            let (service, part) = judged_part(judge, &server.host);
            let verdict = self.sections.tally.verdict(key, service, &part);
            self.resting.contains_key(&service)
                || (is_unheeded && !self.goes_where_told(service))
                || verdict == Some(Verdict::Good)
        })
    }
}
