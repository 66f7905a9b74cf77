//! How are the name servers asked, and what do they say?

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
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

/// A resolver for these servers, or for those of its configuration where there are none.
pub(super) fn resolver(
    config: ResolverConfig,
    options: ResolverOpts,
    servers: &[SocketAddr],
) -> Result<TokioResolver, NetError> {
    let config = if servers.is_empty() {
        config
    } else {
        files::with_servers(&config, servers)
    };
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let mut options = options;
    // Both are ours: the hosts file with its changes, and the cache with its bounds.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    // resolv.conf(5) is an order: the next server is asked when the one before says nothing of
    // use. Asked side by side, one that knows less would win by being quicker.
    options.num_concurrent_reqs = 1;
    if options.server_ordering_strategy == ServerOrderingStrategy::QueryStatistics {
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    }
    *builder.options_mut() = options;
    builder.build()
}

/// Asks for all addresses of a name, for [`LOOKUP_MAX`] at most.
pub(super) async fn ask(resolver: &TokioResolver, name: &str) -> Outcome {
    let both = async {
        tokio::join!(
            resolver.lookup(name, RecordType::A),
            resolver.lookup(name, RecordType::AAAA),
        )
    };
    match timeout(LOOKUP_MAX, both).await {
        Ok((v4, v6)) => combine(v4, v6),
        Err(_) => Outcome::NoAnswer(
            "no answer from the name servers in time".to_owned(),
            Vec::new(),
        ),
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
