//! How are the name servers asked, and what do they say?

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::lvs::Family;
use crate::names::files;

/// Shortest lifetime of a name server's answer: one of zero must not become a query for each check.
pub(super) const FRESH_MIN: Duration = Duration::from_secs(5);
/// Longest lifetime: a program looks names up itself, so until we do it speaks of another machine
/// than the one in the table, and keeps that in though it may be dead.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(60);

/// Longest look-up, over all servers, tries and search domains.
pub(super) const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// How long the addresses of one family wait for those of the other: some name servers never
/// answer where they have none of it (RFC 4074).
const OTHER_FAMILY_MAX: Duration = Duration::from_secs(2);

/// What a look-up of the name servers came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(Found),
    /// The servers say that there is no such address.
    NoSuchName(String),
    /// They say nothing of one family at least, and know no address of the other.
    NoAnswer(String),
}

/// The addresses of a name: one at least.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) lifetime: Duration,
    /// Of which family nobody answered.
    pub(super) silent: Option<Family>,
}

/// What they say of the addresses of one family.
enum OfFamily {
    Found(Vec<IpAddr>, Duration),
    Nothing,
    Silent(String),
}

impl OfFamily {
    fn silent() -> Self {
        Self::Silent("no answer from the name servers in time".to_owned())
    }
}

/// The name servers, one after the other. resolv.conf(5) is an order: the next one is asked when
/// the one before says nothing. Asked side by side, one that knows less would win by being
/// quicker.
#[derive(Clone)]
pub(super) struct Servers {
    resolvers: Vec<TokioResolver>,
    /// So long each is waited for alone.
    share: Duration,
}

impl Servers {
    /// These servers, or those of the configuration where there are none.
    pub(super) fn new(
        config: &ResolverConfig,
        mut options: ResolverOpts,
        servers: &[SocketAddr],
    ) -> Result<Self, NetError> {
        let config = match servers {
            [] => config.clone(),
            servers => files::with_servers(config, servers),
        };
        let count = u32::try_from(config.name_servers().len()).unwrap_or(u32::MAX);
        let share = options.timeout.min(LOOKUP_MAX / count.max(1));
        // Both are ours: the hosts file with its changes, and the cache with its bounds.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let resolvers = config.name_servers().iter().map(|server| {
            let (domain, search) = (config.domain().cloned(), config.search().to_vec());
            let config = ResolverConfig::from_parts(domain, search, vec![server.clone()]);
            let runtime = TokioRuntimeProvider::default();
            let mut builder = TokioResolver::builder_with_config(config, runtime);
            *builder.options_mut() = options.clone();
            builder.build()
        });
        let resolvers = resolvers.collect::<Result<_, NetError>>()?;
        Ok(Self { resolvers, share })
    }

    /// Asks for all addresses of a name, for [`LOOKUP_MAX`] at most.
    pub(super) async fn ask(&self, name: &str) -> Outcome {
        let of_family = async |kind| {
            let said = timeout(LOOKUP_MAX, self.ask_for(name, kind)).await;
            said.unwrap_or_else(|_| OfFamily::silent())
        };
        let (mut v4, mut v6) = (
            pin!(of_family(RecordType::A)),
            pin!(of_family(RecordType::AAAA)),
        );
        tokio::select! {
            first = &mut v4 => {
                let other = rest(&first, v6).await;
                combine(first, other)
            }
            first = &mut v6 => {
                let other = rest(&first, v4).await;
                combine(other, first)
            }
        }
    }

    /// Each family goes down the list by itself: where the first server fails one alone, it is
    /// still the one that is believed about the other. A server that is slow is waited for while
    /// the next one is asked.
    async fn ask_for(&self, name: &str, kind: RecordType) -> OfFamily {
        let mut why = "no name server is known".to_owned();
        let mut asked = JoinSet::new();
        let mut others = self.resolvers.iter().cloned();
        loop {
            let next = others.next();
            let patience = next.as_ref().map_or(LOOKUP_MAX, |_| self.share);
            if let Some(resolver) = next {
                let name = name.to_owned();
                asked.spawn(async move { resolver.lookup(name, kind).await });
            }
            match timeout(patience, asked.join_next()).await {
                Ok(Some(Ok(Ok(lookup)))) => return addresses(&lookup),
                Ok(Some(Ok(Err(error)))) if error.is_no_records_found() => {
                    return OfFamily::Nothing;
                }
                Ok(Some(Ok(Err(error)))) => why = error.to_string(),
                Ok(Some(Err(error))) => why = error.to_string(),
                Err(_) => {}
                // All were asked.
                Ok(None) => return OfFamily::Silent(why),
            }
        }
    }
}

/// What is said of the other family.
async fn rest(first: &OfFamily, other: impl Future<Output = OfFamily>) -> OfFamily {
    let limit = match first {
        OfFamily::Found(..) => OTHER_FAMILY_MAX,
        OfFamily::Nothing | OfFamily::Silent(_) => LOOKUP_MAX,
    };
    let said = timeout(limit, other).await;
    said.unwrap_or_else(|_| OfFamily::silent())
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of hickory that grows; only addresses are looked for"
)]
fn addresses(lookup: &Lookup) -> OfFamily {
    let records = lookup.answers().iter().filter_map(|record| {
        let address = match record.data {
            RData::A(ref address) => IpAddr::V4(address.0),
            RData::AAAA(ref address) => IpAddr::V6(address.0),
            _ => return None,
        };
        Some((address, Duration::from_secs(record.ttl.into())))
    });
    let (addresses, lifetimes): (Vec<_>, Vec<_>) = records.unzip();
    match lifetimes.into_iter().min() {
        Some(lifetime) => OfFamily::Found(addresses, lifetime),
        None => OfFamily::Nothing,
    }
}

fn combine(v4: OfFamily, v6: OfFamily) -> Outcome {
    let (mut addresses, mut lifetime) = (Vec::new(), FRESH_MAX);
    let mut silent = None;
    for (family, answer) in [(Family::V4, v4), (Family::V6, v6)] {
        match answer {
            OfFamily::Found(found, fresh_for) => {
                addresses.extend(found);
                lifetime = lifetime.min(fresh_for);
            }
            OfFamily::Nothing => {}
            OfFamily::Silent(why) => silent = Some((family, why)),
        }
    }
    match (addresses.is_empty(), silent) {
        (true, Some((_, why))) => Outcome::NoAnswer(why),
        (true, None) => Outcome::NoSuchName("the name servers know no address of it".to_owned()),
        (false, silent) => Outcome::Found(Found {
            addresses,
            lifetime: lifetime.max(FRESH_MIN),
            silent: silent.map(|(family, _)| family),
        }),
    }
}
