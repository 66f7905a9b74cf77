//! Which service has this name?

use std::collections::BTreeMap;

use crate::effort::visit;
use crate::model::{Model, ServiceId};

/// The services of a Model by group and name.
#[derive(Debug)]
pub(crate) struct ServiceNames<'m>(BTreeMap<(&'m str, &'m str), ServiceId>);

impl ServiceNames<'_> {
    /// The service `group/name`.
    pub(crate) fn find(&self, group: &str, name: &str) -> Option<ServiceId> {
        self.0.get(&(group, name)).copied()
    }
}

impl Model {
    /// The service `group/name`. One after the other is looked at: who asks for many takes
    /// the names of all first.
    #[must_use]
    pub fn find(&self, group: &str, name: &str) -> Option<ServiceId> {
        self.services()
            .inspect(|_| visit())
            .find(|(_, service)| &*service.group == group && &*service.name == name)
            .map(|(id, _)| id)
    }

    /// The services by their names: to look many of them up.
    pub(crate) fn service_names(&self) -> ServiceNames<'_> {
        let named = self.services().inspect(|_| visit());
        let named = named.map(|(id, it)| ((&*it.group, &*it.name), id));
        ServiceNames(named.collect())
    }
}
