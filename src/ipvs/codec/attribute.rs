//! Netlink attributes: kind, length and value, one in another.
//!
//! Values of the kernel are taken as hostile: what is cut off ends the list, what is too short
//! is [`Malformed`].

use netlink_packet_core::NlasIterator;

use super::Malformed;

/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;

pub(super) fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // Every value here is a few hundred bytes at most.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    out.extend(length.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

pub(super) fn nest(out: &mut Vec<u8>, kind: u16, inner: &[u8]) {
    put(out, kind | NESTED, inner);
}

/// The attributes up to the first that is cut off.
pub(super) fn attributes(body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(body)
        .map_while(Result::ok)
        .map_while(|attribute| {
            let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
            let value = attribute.into_inner().get(4..length)?;
            Some((kind, value))
        })
}

pub(super) fn find(body: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(body)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

pub(super) fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value
        .first_chunk()
        .copied()
        .ok_or(Malformed("a number is too short"))
}

pub(super) fn number(value: &[u8]) -> Result<u32, Malformed> {
    fixed(value).map(u32::from_ne_bytes)
}

/// A text with a zero at its end.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    let end = value
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(value.len());
    value
        .get(..end)
        .and_then(|text| std::str::from_utf8(text).ok())
}
