//! Which text do the bytes of a `UDP_CHECK` make?

/// Bytes in hexadecimal as text, where all are printable. In each word a byte has two digits, but
/// for the last one of an odd number: keepalived.conf(5).
pub(super) fn printable(hex: &str) -> Option<String> {
    let pairs = hex
        .split_whitespace()
        .flat_map(|it| it.as_bytes().chunks(2));
    let letters = pairs.map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
        let byte = u8::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        (0x20..0x7f).contains(&byte).then(|| char::from(byte))
    });
    let text: String = letters.collect::<Option<_>>()?;
    (!text.is_empty()).then_some(text)
}
