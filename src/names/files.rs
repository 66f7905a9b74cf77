//! The two files behind [`crate::names`]: the hosts file, and what tells that a file changed.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use tokio::io::AsyncReadExt;

/// Most that is read of either file: a hosts file of an advertisement blocker fits.
const FILE_MAX: u64 = 16 << 20;

/// What tells that a file was changed, replaced, made or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum FileStamp {
    /// Nobody has looked yet.
    #[default]
    Never,
    /// There is no such file.
    Absent,
    /// It was last changed then.
    File {
        modified: Option<SystemTime>,
        length: u64,
        inode: u64,
    },
}

impl FileStamp {
    /// Of the file as it is now.
    pub(super) async fn of(path: &Path) -> Self {
        match tokio::fs::metadata(path).await {
            Ok(metadata) => Self::File {
                modified: metadata.modified().ok(),
                length: metadata.len(),
                inode: metadata.ino(),
            },
            Err(_) => Self::Absent,
        }
    }
}

/// The file's beginning, at most [`FILE_MAX`] bytes.
pub(super) async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut text).await?;
    Ok(text)
}

/// A name as it is compared: lower case, without the final dot.
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The same search domains with other servers.
pub(super) fn with_servers(config: &ResolverConfig, servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        NameServerConfig::new(server.ip(), true, vec![connection])
    });
    ResolverConfig::from_parts(
        config.domain().cloned(),
        config.search().to_vec(),
        servers.collect(),
    )
}

/// What a hosts file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts(BTreeMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    /// Reads `ADDRESS NAME...` lines; what cannot be read is left out, as everywhere.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut hosts: BTreeMap<Box<str>, Vec<IpAddr>> = BTreeMap::new();
        for line in String::from_utf8_lossy(text).lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            for name in words {
                let addresses = hosts.entry(normal(name).into()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        for addresses in hosts.values_mut() {
            addresses.sort_by_key(IpAddr::is_ipv6);
        }
        Self(hosts)
    }

    /// The addresses of a normal name.
    pub(super) fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read_as_everywhere() {
        let text = b"# comment\n\
            ::1 web1\n\
            10.0.0.1\tWeb1 web1.example.com. # web2\n\
            10.0.0.1 web1\n\
            not-an-address web3\n\
            10.0.0.2\n\
            10.0.0.3 \xff\xfe web4\n";
        let hosts = Hosts::parse(text);
        let addresses = |name| {
            hosts
                .addresses(name)
                .map(|list| list.iter().map(IpAddr::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            addresses("web1"),
            Some(vec!["10.0.0.1".to_owned(), "::1".to_owned()])
        );
        assert_eq!(
            addresses("web1.example.com"),
            Some(vec!["10.0.0.1".to_owned()])
        );
        assert_eq!(addresses("web4"), Some(vec!["10.0.0.3".to_owned()]));
        assert_eq!(addresses("web2"), None);
        assert_eq!(addresses("web3"), None);
    }
}
