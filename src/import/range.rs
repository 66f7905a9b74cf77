//! Which addresses does a range hold?
//!
//! The ranges of both programs: `10.0.0.1-10` (the last part only, hexadecimal for IPv6),
//! `10.0.0.250-10.0.1.5` and `10.0.0.8/29`. Bounded by [`RANGE_MAX`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of one range: each becomes an entry of the table.
pub(super) const RANGE_MAX: u128 = 1_024;

/// The addresses from one to another.
pub(super) fn between(first: IpAddr, last: IpAddr) -> Result<Vec<IpAddr>, String> {
    let (from, to) = match (first, last) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
            (number(first), number(last))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            return Err(format!("{first} and {last} are of two families"));
        }
    };
    if from > to {
        return Err(format!(
            "the range ends at {last}, before it begins at {first}"
        ));
    }
    if to - from >= RANGE_MAX {
        return Err(format!("the range has more than {RANGE_MAX} addresses"));
    }
    Ok((from..=to).map(|number| address(number, first)).collect())
}

/// The addresses of a word: one, or a range in keepalived's forms.
pub(super) fn of_word(word: &str) -> Result<Vec<IpAddr>, String> {
    let wrong = || format!("\"{}\" is no address", super::shown(word));
    if let Some((network, bits)) = word.split_once('/') {
        let network: IpAddr = network.parse().map_err(|_| wrong())?;
        let bits: u32 = bits.parse().map_err(|_| wrong())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let free = width - bits.min(width);
        if bits > width || free > RANGE_MAX.ilog2() {
            return Err(format!("the range has more than {RANGE_MAX} addresses"));
        }
        let first = number(network) >> free << free;
        let last = first + ((1_u128 << free) - 1);
        return between(address(first, network), address(last, network));
    }
    let Some((first, last)) = word.split_once('-') else {
        return Ok(vec![word.parse().map_err(|_| wrong())?]);
    };
    let first: IpAddr = first.parse().map_err(|_| wrong())?;
    let last = match (first, last.parse()) {
        (_, Ok(last)) => last,
        (IpAddr::V4(address), Err(_)) => {
            let [a, b, c, _] = address.octets();
            let part = last.parse().map_err(|_| wrong())?;
            IpAddr::V4(Ipv4Addr::new(a, b, c, part))
        }
        (IpAddr::V6(address), Err(_)) => {
            let part = u16::from_str_radix(last, 16).map_err(|_| wrong())?;
            let kept = u128::from(address) & !u128::from(u16::MAX);
            IpAddr::V6(Ipv6Addr::from(kept | u128::from(part)))
        }
    };
    between(first, last)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// An address of the family of another one.
fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        // Never above: it lies between two addresses of the family.
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_range_is_read() {
        for (word, count, last) in [
            ("10.0.0.1", 1, "10.0.0.1"),
            ("10.0.0.1-10", 10, "10.0.0.10"),
            ("10.0.0.250-10.0.1.5", 12, "10.0.1.5"),
            ("10.0.0.9/29", 8, "10.0.0.15"),
            ("10.0.0.9/32", 1, "10.0.0.9"),
            ("2001:db8::1-1f", 31, "2001:db8::1f"),
            ("2001:db8::/126", 4, "2001:db8::3"),
            ("255.255.255.254-255.255.255.255", 2, "255.255.255.255"),
        ] {
            let list = of_word(word).unwrap();
            assert_eq!(list.len(), count, "{word}");
            assert_eq!(list.last().unwrap().to_string(), last, "{word}");
        }
    }

    #[test]
    fn what_is_no_range_is_said() {
        for (word, text) in [
            ("10.0.0", "no address"),
            ("10.0.0.1-", "no address"),
            ("10.0.0.1-256", "no address"),
            ("10.0.0.9-3", "before it begins"),
            ("10.0.0.0-10.1.0.0", "more than 1024"),
            ("10.0.0.0/8", "more than 1024"),
            ("10.0.0.0/33", "more than 1024"),
            ("2001:db8::/64", "more than 1024"),
            ("10.0.0.1-::1", "two families"),
        ] {
            let error = of_word(word).unwrap_err();
            assert!(error.contains(text), "{word}: {error}");
        }
    }
}
