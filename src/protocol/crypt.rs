//! Is this the password that crypt(3) made this hash of?
//!
//! Pure. Knows the kinds that system files and htpasswd(1) hold: DES, MD5 (`$1$`, `$apr1$`),
//! SHA-256, SHA-512, bcrypt, yescrypt. A hash is looked at when it is read, so that one of an
//! unknown kind, or one whose cost would hold up the machine, is refused with a reason then and
//! not at a login. What a verification costs is bounded by that.

use std::fmt;

use hmac::{Hmac, Mac as _};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use yescrypt::{Params, PasswordVerifier as _, Yescrypt};

/// Longest password, in bytes: that of crypt(3). The work of SHA-crypt grows with its square.
const PASSWORD_MAX: usize = 511;

/// Longest hash, in bytes: that of crypt(3).
const HASH_MAX: usize = 383;

/// Most rounds of SHA-crypt: about a second. The default is 5,000.
const SHA_ROUNDS_MAX: u32 = 1_000_000;

/// Highest cost of bcrypt, twice the time for each step: about a second.
const BCRYPT_COST_MAX: u32 = 14;

/// Most memory of yescrypt, in bytes: four times that of Debian's default.
const YESCRYPT_MEMORY_MAX: u64 = 64 * 1024 * 1024;

/// A hash that passwords can be compared with; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Des,
    Md5,
    Apr1,
    Sha256,
    Sha512,
    Bcrypt,
    Yescrypt,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} ***", self.kind)
    }
}

impl PasswordHash {
    /// Takes a hash as crypt(3) writes it.
    ///
    /// # Errors
    ///
    /// Why no password can ever fit: no hash, an unknown kind, a cost above the bounds. The
    /// text says nothing of the hash but its kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > HASH_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("this is not a hash of crypt(3)".to_owned());
        }
        let kind = if let Some(rest) = text.strip_prefix("$1$") {
            salted(Kind::Md5, rest, 22)?
        } else if let Some(rest) = text.strip_prefix("$apr1$") {
            salted(Kind::Apr1, rest, 22)?
        } else if let Some(rest) = text.strip_prefix("$5$") {
            salted(Kind::Sha256, behind_rounds(rest)?, 43)?
        } else if let Some(rest) = text.strip_prefix("$6$") {
            salted(Kind::Sha512, behind_rounds(rest)?, 86)?
        } else if let Some(rest) = strip_bcrypt(text) {
            bcrypt(rest)?
        } else if let Some(rest) = text.strip_prefix("$y$") {
            yescrypt(rest)?
        } else if let Some(kind) = unknown_kind(text) {
            return Err(format!(
                "hashes of the kind {kind} are not known here; give the user a new one, which \
                 `openssl passwd -6` makes"
            ));
        } else if text.len() == 13 && is_base64(text) {
            Kind::Des
        } else {
            return Err(
                "this is not a hash of crypt(3), and a plain password is none; \
                        `openssl passwd -6` makes one"
                    .to_owned(),
            );
        };
        Ok(Self {
            kind,
            text: text.to_owned(),
        })
    }

    /// Whether it was made of this password. Takes up to a second, by [`SHA_ROUNDS_MAX`] and its
    /// relatives; the comparison itself takes the same time wherever two hashes differ.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        // What crypt(3) would cut at a zero byte is refused instead.
        if password.len() > PASSWORD_MAX || password.contains(&0) {
            return false;
        }
        match self.kind {
            Kind::Des | Kind::Md5 | Kind::Sha256 | Kind::Sha512 | Kind::Bcrypt => {
                pwhash::unix::verify(password, &self.text)
            }
            Kind::Apr1 => apr1(password, &self.text),
            Kind::Yescrypt => Yescrypt::default()
                .verify_password(password, self.text.as_str())
                .is_ok(),
        }
    }
}

impl PasswordHash {
    /// Stands for this hash and a password together; takes a microsecond.
    #[must_use]
    pub(crate) fn digest(&self, key: &[u8; 32], password: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key);
        let Ok(mac) = mac else {
            unreachable!("HMAC takes keys of every length");
        };
        // No hash holds the byte that stands between.
        let mac = mac.chain_update(&self.text).chain_update([0]);
        mac.chain_update(password).finalize().into_bytes().into()
    }
}

/// What it is, where crypt(3) or a file of passwords may know it and we do not. Source: crypt(5)
/// of libxcrypt.
fn unknown_kind(text: &str) -> Option<String> {
    if text.len() == 20 && text.strip_prefix('_').is_some_and(is_base64) {
        return Some("\"_\" (extended DES of BSDi)".to_owned());
    }
    let short = |name: &str| name.chars().take(8).collect::<String>();
    if let Some(name) = text.strip_prefix('{') {
        let name = short(name.split('}').next().unwrap_or_default());
        return Some(format!("\"{{{name}}}\" (of LDAP)"));
    }
    let name = text.strip_prefix('$')?;
    let name = short(name.split('$').next().unwrap_or_default());
    let known = match name.as_str() {
        "2x" => " (bcrypt as it was wrong once)",
        "3" => " (NT)",
        "7" => " (scrypt)",
        "gy" => " (gost-yescrypt)",
        "sha1" => " (PBKDF1 with SHA-1)",
        other if other.starts_with("md5") => " (MD5 of Sun)",
        _ => "",
    };
    Some(format!("\"${name}$\"{known}"))
}

/// `SALT$HASH`, the hash so long.
fn salted(kind: Kind, rest: &str, length: usize) -> Result<Kind, String> {
    let parts = rest.split_once('$');
    let is_whole = parts.is_some_and(|(salt, hash)| {
        is_base64(salt) && salt.len() <= 16 && hash.len() == length && is_base64(hash)
    });
    if is_whole { Ok(kind) } else { Err(cut_off()) }
}

fn cut_off() -> String {
    "this hash is incomplete or damaged".to_owned()
}

/// What follows `rounds=N$`, where that stands at the start.
fn behind_rounds(rest: &str) -> Result<&str, String> {
    let Some(rounds) = rest.strip_prefix("rounds=") else {
        return Ok(rest);
    };
    let (number, rest) = rounds.split_once('$').ok_or_else(cut_off)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(cut_off());
    }
    match number.parse::<u32>() {
        Ok(rounds) if rounds <= SHA_ROUNDS_MAX => Ok(rest),
        Ok(_) | Err(_) => Err(format!(
            "this hash asks for more than {SHA_ROUNDS_MAX} rounds, which would take seconds; \
             make one with fewer"
        )),
    }
}

fn strip_bcrypt(text: &str) -> Option<&str> {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))
}

/// `COST$SALT_AND_HASH`
fn bcrypt(rest: &str) -> Result<Kind, String> {
    let (cost, hash) = rest.split_once('$').ok_or_else(cut_off)?;
    if cost.len() != 2 || hash.len() != 53 || !is_base64(hash) {
        return Err(cut_off());
    }
    match cost.parse::<u32>() {
        Ok(4..=BCRYPT_COST_MAX) => Ok(Kind::Bcrypt),
        Ok(cost) if cost > BCRYPT_COST_MAX => Err(format!(
            "this hash has a cost above {BCRYPT_COST_MAX}, which would take seconds; make one \
             with less"
        )),
        Ok(_) | Err(_) => Err(cut_off()),
    }
}

/// `PARAMETERS$SALT$HASH`
fn yescrypt(rest: &str) -> Result<Kind, String> {
    let mut parts = rest.split('$');
    let (Some(params), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(cut_off());
    };
    let is_whole = !salt.is_empty() && is_base64(salt) && hash.len() == 43 && is_base64(hash);
    // Three letters are flavour, memory and block size; those that may follow multiply the time
    // and are never written by crypt(3).
    if !is_whole || params.len() != 3 || !params.starts_with('j') {
        return Err(cut_off());
    }
    let params: Params = params.parse().map_err(|_| cut_off())?;
    let memory = params
        .n()
        .saturating_mul(u64::from(params.r()))
        .saturating_mul(128);
    if memory > YESCRYPT_MEMORY_MAX {
        let most = YESCRYPT_MEMORY_MAX / 1024 / 1024;
        return Err(format!(
            "this hash needs more than {most} MiB of memory; make one with less"
        ));
    }
    Ok(Kind::Yescrypt)
}

fn is_base64(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    text.bytes().all(is_digit)
}

/// The letters of crypt's own base 64, least significant first.
const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Apache's variant of MD5-crypt: another mark, the same steps. Source: the description of
/// `$apr1$` in Apache's "Password Formats".
fn apr1(password: &[u8], hash: &str) -> bool {
    const MARK: &[u8] = b"$apr1$";
    let mut parts = hash.split('$').skip(2);
    let (Some(salt), Some(expected)) = (parts.next(), parts.next()) else {
        return false;
    };
    let salt = salt.as_bytes().get(..8).unwrap_or(salt.as_bytes());
    let inner = Md5::new().chain(password).chain(salt).chain(password);
    let inner = inner.finalize();
    let mut outer = Md5::new().chain(password).chain(MARK).chain(salt);
    for rest in (1..=password.len()).rev().step_by(inner.len()) {
        outer.update(inner.get(..rest).unwrap_or(&inner));
    }
    let mut bits = password.len();
    while bits > 0 {
        let byte = if bits & 1 == 1 {
            &[0]
        } else {
            password.get(..1).unwrap_or_default()
        };
        outer.update(byte);
        bits >>= 1;
    }
    let mut digest = outer.finalize();
    for round in 0..1_000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &digest } else { password });
        digest = next.finalize();
    }
    let made = apr1_letters(digest.as_slice());
    made.as_slice().ct_eq(expected.as_bytes()).into()
}

/// The digest in crypt's base 64, its bytes in the order that MD5-crypt has.
fn apr1_letters(digest: &[u8]) -> Vec<u8> {
    let byte = |index: usize| u32::from(digest.get(index).copied().unwrap_or_default());
    let mut letters = Vec::with_capacity(22);
    let mut put = |mut value: u32, count: usize| {
        for _ in 0..count {
            letters.push(LETTERS[(value & 63) as usize]);
            value >>= 6;
        }
    };
    for (first, second, third) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        put(byte(first) << 16 | byte(second) << 8 | byte(third), 4);
    }
    put(byte(11), 2);
    letters
}

#[cfg(test)]
mod tests;
