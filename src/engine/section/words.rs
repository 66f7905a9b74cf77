//! For which real servers of sections does a host word stand?
//!
//! A section has thousands of real servers, and each of them is asked for by its word.

use std::collections::BTreeMap;

use crate::effort::visit;
use crate::lvs::VirtualServiceKey;
use crate::model::{DeclaredServer, HostName, Model};

/// The real servers of each word, as indexes into the Model: of the section, and in it.
#[derive(Debug, Default)]
pub(crate) struct Words(BTreeMap<HostName, Vec<(usize, usize)>>);

impl Words {
    /// Those of all sections of a Model.
    pub(crate) fn of(model: &Model) -> Self {
        let mut words: BTreeMap<HostName, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, section) in model.virtual_services.iter().enumerate() {
            for (index, server) in section.servers.iter().enumerate() {
                let places = words.entry(server.host.clone());
                places.or_default().push((at, index));
            }
        }
        Self(words)
    }

    /// The real server of this word and port in the section that stands there in the same Model.
    pub(crate) fn server_of<'a>(
        &self,
        model: &'a Model,
        at: usize,
        (host, port): (&HostName, u16),
    ) -> Option<&'a DeclaredServer> {
        let places = self.0.get(host)?;
        let first = places.partition_point(|&(section, _)| section < at);
        let places = places.iter().skip(first);
        let mut servers = places
            .take_while(|&&(section, _)| section == at)
            .inspect(|_| visit())
            .filter_map(|&(_, server)| model.virtual_services.get(at)?.servers.get(server));
        servers.find(|it| it.port == port)
    }

    /// The real servers of this word, each with its virtual service. Of the same Model.
    pub(crate) fn servers<'a>(
        &'a self,
        model: &'a Model,
        host: &HostName,
    ) -> impl Iterator<Item = (VirtualServiceKey, &'a DeclaredServer)> {
        let places = self.0.get(host).into_iter().flatten();
        places
            .inspect(|_| visit())
            .filter_map(|&(section, server)| {
                let section = model.virtual_services.get(section)?;
                Some((section.key, section.servers.get(server)?))
            })
    }
}
