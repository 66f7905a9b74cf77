//! Who may be a client, and for how long may it be silent?

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use regex::Regex;

/// Who may be a client, and for how long it may be silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// An address that none of these fits is turned away without a byte; none: everybody.
    pub clientallow: Option<Vec<ClientPattern>>,
    /// A client that is silent for longer is sent away.
    pub cltimeout: Duration,
}

impl Clients {
    /// `cltimeout` where the file says nothing: mon's default.
    const CLTIMEOUT: Duration = Duration::from_secs(30);

    /// Whether an address may be a client. An IPv4 address inside an IPv6 one is IPv4.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        match &self.clientallow {
            None => true,
            Some(patterns) => patterns.iter().any(|pattern| pattern.fits(address)),
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            clientallow: None,
            cltimeout: Self::CLTIMEOUT,
        }
    }
}

/// One word of `clientallow`: a regular expression for a whole address, in which a dot is a dot
/// unless `[` or `\` stands before it, or `ADDRESS/BITS`.
#[derive(Clone, Debug)]
pub struct ClientPattern {
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Expression(Regex),
    Network { address: u128, bits: u32 },
}

impl ClientPattern {
    /// Longest word, in bytes: far more than any set of addresses needs.
    const TEXT_MAX: usize = 1_000;

    /// Bound of a compiled expression, in bytes: some hundred times that of a plain address.
    const SIZE_MAX: usize = 1 << 20;

    /// Whether the address is one of these. An IPv4 address inside an IPv6 one is IPv4.
    #[must_use]
    pub fn fits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match &self.rule {
            Rule::Expression(expression) => expression.is_match(&address.to_string()),
            Rule::Network {
                address: network,
                bits,
            } => first_bits(number(address) ^ network, *bits) == 0,
        }
    }
}

impl PartialEq for ClientPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ClientPattern {}

impl FromStr for ClientPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::TEXT_MAX {
            return Err(format!("write at most {} bytes a word", Self::TEXT_MAX));
        }
        let rule = match text.split_once('/') {
            Some((address, bits)) => network(address, bits)?,
            None => Rule::Expression(expression(text)?),
        };
        Ok(Self {
            text: text.to_owned(),
            rule,
        })
    }
}

fn network(address: &str, bits: &str) -> Result<Rule, String> {
    let address: IpAddr = address
        .parse()
        .map_err(|_| "write ADDRESS/BITS, as in 10.0.0.0/8".to_owned())?;
    let (width, before) = match address {
        IpAddr::V4(_) => (32, 96),
        IpAddr::V6(_) => (128, 0),
    };
    let bits = bits.parse().ok().filter(|&bits: &u32| bits <= width);
    let bits = bits.ok_or_else(|| format!("write from 0 to {width} bits behind the slash"))?;
    Ok(Rule::Network {
        address: number(address),
        bits: before + bits,
    })
}

/// IPv4 and IPv6 on one line, so that no network of the one holds an address of the other.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

const fn first_bits(number: u128, bits: u32) -> u128 {
    match bits {
        0 => 0,
        bits => number >> (128 - bits),
    }
}

fn expression(text: &str) -> Result<Regex, String> {
    let mut whole = String::with_capacity(text.len() + 8);
    whole.push_str("^(?:");
    let mut before = None;
    for letter in text.chars() {
        if letter == '.' && !matches!(before, Some('[' | '\\')) {
            whole.push('\\');
        }
        whole.push(letter);
        before = Some(letter);
    }
    whole.push_str(")$");
    regex::RegexBuilder::new(&whole)
        .size_limit(ClientPattern::SIZE_MAX)
        .build()
        .map_err(|_| "write addresses, or expressions such as 10.1.\\d+.\\d+".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, address: &str) -> bool {
        let pattern: ClientPattern = pattern.parse().unwrap();
        pattern.fits(address.parse().unwrap())
    }

    #[test]
    fn a_client_pattern_is_an_expression_for_the_whole_address_in_which_a_dot_is_a_dot() {
        for (pattern, address, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.10", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("1.1.1.1", "101.1.1.1", false),
            ("10.1.1.1", "10.111.1.1", false),
            (r"10.1.\d+.\d+", "10.1.22.3", true),
            (r"10.1.\d+.\d+", "10.2.22.3", false),
            (r"10\.1\.1\.1", "10.1.1.1", true),
            ("10.1.1.[.1-3]", "10.1.1.2", true),
            ("10.1.1.1|10.1.1.2", "10.1.1.2", true),
            ("10.1.1.1|10.1.1.2", "210.1.1.1", false),
            ("fe80::1", "fe80::1", true),
        ] {
            assert_eq!(fits(pattern, address), expected, "{pattern} {address}");
        }
    }

    #[test]
    fn a_client_pattern_is_a_network() {
        for (pattern, address, expected) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("2001:db8::/32", "2001:db8:1::7", true),
            ("::/0", "2001:db8:1::7", true),
        ] {
            assert_eq!(fits(pattern, address), expected, "{pattern} {address}");
        }
        for pattern in [
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "x/8",
            "(",
            "[",
            "a{9999}{9999}",
        ] {
            assert!(pattern.parse::<ClientPattern>().is_err(), "{pattern}");
        }
        assert!("1".repeat(1_001).parse::<ClientPattern>().is_err());
    }
}
