//! How are the name servers asked, and what do they say?

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use crate::names::files;

/// Shortest lifetime of a name server's answer: one of zero must not become a query for each check.
pub(super) const FRESH_MIN: Duration = Duration::from_secs(5);
/// Longest lifetime: a program looks names up itself, so until we do it speaks of another machine
/// than the one in the table, and keeps that in though it may be dead.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(60);

/// Longest look-up, over all servers, tries and search domains.
pub(super) const LOOKUP_MAX: Duration = Duration::from_secs(10);

/// What a look-up of the name servers came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(Vec<IpAddr>, Duration),
    /// The servers say that there is no such address.
    NoSuchName(String),
    /// No usable answer; the addresses of one family, where at least that was answered.
    NoAnswer(String, Vec<IpAddr>),
}

/// The name servers, one after the other. resolv.conf(5) is an order: the next one is asked when
/// the one before says nothing of use. Asked side by side, one that knows less would win by being
/// quicker.
#[derive(Clone)]
pub(super) struct Servers {
    resolvers: Vec<TokioResolver>,
    /// How long each is asked.
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
        let share = LOOKUP_MAX / count.max(1);
        // Both are ours: the hosts file with its changes, and the cache with its bounds.
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let attempts = u32::try_from(options.attempts).unwrap_or(u32::MAX);
        options.timeout = options.timeout.min(share / attempts.max(1));
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
        let mut heard = Outcome::NoAnswer("no name server is known".to_owned(), Vec::new());
        for resolver in &self.resolvers {
            match (self.ask_one(resolver, name).await, &heard) {
                // The half answer of one before is better than none.
                (Outcome::NoAnswer(_, half), Outcome::NoAnswer(_, before))
                    if half.is_empty() && !before.is_empty() => {}
                (outcome @ Outcome::NoAnswer(..), _) => heard = outcome,
                (outcome @ (Outcome::Found(..) | Outcome::NoSuchName(_)), _) => return outcome,
            }
        }
        heard
    }

    async fn ask_one(&self, resolver: &TokioResolver, name: &str) -> Outcome {
        let both = async {
            tokio::join!(
                resolver.lookup(name, RecordType::A),
                resolver.lookup(name, RecordType::AAAA),
            )
        };
        match timeout(self.share, both).await {
            Ok((v4, v6)) => combine(v4, v6),
            Err(_) => Outcome::NoAnswer(
                "no answer from the name servers in time".to_owned(),
                Vec::new(),
            ),
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of hickory that grows; only addresses are looked for"
)]
fn combine(v4: Result<Lookup, NetError>, v6: Result<Lookup, NetError>) -> Outcome {
    let mut found = Vec::new();
    let mut lifetime = FRESH_MAX;
    let mut failed = None;
    for answer in [v4, v6] {
        match answer {
            Ok(lookup) => {
                for record in lookup.answers() {
                    let address = match record.data {
                        RData::A(ref address) => IpAddr::V4(address.0),
                        RData::AAAA(ref address) => IpAddr::V6(address.0),
                        _ => continue,
                    };
                    lifetime = lifetime.min(Duration::from_secs(record.ttl.into()));
                    found.push(address);
                }
            }
            Err(error) if error.is_no_records_found() => {}
            Err(error) => failed = Some(error.to_string()),
        }
    }
    match failed {
        Some(why) => Outcome::NoAnswer(why, found),
        None if found.is_empty() => {
            Outcome::NoSuchName("the name servers know no address of it".to_owned())
        }
        None => Outcome::Found(found, lifetime.max(FRESH_MIN)),
    }
}
