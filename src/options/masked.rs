//! What of an alert's words, which may be secrets, may people see?
//!
//! One rule for logs, histories, trials, replies and `lvsmon check`, which errs on the side of
//! hiding: of an address that may hold a login only what is surely no part of it is shown, and of
//! a word that is not what it should be nothing but its position. A password with a slash, with an
//! `@` that was mistyped or without the scheme in front looks like anything.
//!
//! The name of the alert decides, not what it became: Debian's `trap.alert` in `alertdir` has the
//! password in the same place as ours.

use std::net::Ipv6Addr;

use crate::effort::visit;

/// In the place of what is not shown.
pub const MASK: &str = "***";

/// The words behind the name of an alert, as people may see them.
pub(crate) fn words(name: &str, args: &[String]) -> Vec<String> {
    match bare(name) {
        "webhook" => of_webhook(args),
        "trap" => of_trap(args),
        _ => args.iter().map(|word| of_any(word)).collect(),
    }
}

/// Whether a line of a file may hold a secret, so that it is not shown beside a mistake. The
/// names in it may be mistyped, so what looks like a secret of an alert is one anywhere but with
/// monitors, where `-H` is a host, and with `lvs.alert`, where `-P` is a protocol.
pub(crate) fn may_hide(line: &str) -> bool {
    let words = || {
        line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .filter(|word| !word.is_empty())
    };
    let is_harmless = words().next() == Some("monitor")
        || words().any(|word| bare(word) == "lvs" && word.ends_with(".alert"));
    words().inspect(|_| visit()).any(|word| {
        let is_alert = matches!(bare(word), "webhook" | "trap") && word.ends_with(".alert");
        is_alert || is_login(word) || (!is_harmless && has_secret_option(word))
    })
}

/// Whether a word has a login, or a URL's query, in the widest sense of both.
fn is_login(word: &str) -> bool {
    let has_both = word
        .rsplit_once('@')
        .is_some_and(|(login, _)| login.contains(':'));
    let has_query = word
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['@', '?', '#']));
    has_both || has_query
}

/// Whether it is an option of an alert whose value is not shown, with its value or without.
fn has_secret_option(word: &str) -> bool {
    word.starts_with("-P") || word.starts_with("-H")
}

/// The name of an alert without its folder and its ending.
fn bare(name: &str) -> &str {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    file.strip_suffix(".alert").unwrap_or(file)
}

/// A word by its position, for a mistake that must not repeat it.
pub(crate) fn position(index: usize) -> String {
    format!("word {} behind the alert's name", index.saturating_add(1))
}

/// An option's name without what may be its value.
pub(crate) fn option(word: &str) -> &str {
    if word.starts_with("--") {
        let end = word.find(['=', ':']).unwrap_or(word.len());
        return word.get(..end).unwrap_or_default();
    }
    let end = word.char_indices().nth(2).map_or(word.len(), |(at, _)| at);
    word.get(..end).unwrap_or_default()
}

/// A URL: `http://user:***@host/path?***`. A user without a password may be a token, and so may
/// what stands behind `?` and `#`; the path is kept, without it two receivers of one host look
/// alike. All of it is hidden where it is no URL of a host, in the widest sense of a login.
#[must_use]
pub fn url(text: &str) -> String {
    visible_url(text).unwrap_or_else(|| MASK.to_owned())
}

/// Whether it is an `http` or `https` URL with a host that can be one.
pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (authority, _) = split_path(rest);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let is_of_the_web = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    is_of_the_web && is_host(host) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn visible_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return None;
    }
    // Whoever writes a slash, a question mark or the like in a password, where `%2F` belongs, has
    // ended the host with it (WHATWG URL, section 4.4): up to the last "@" anything may be one.
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    };
    let (host, path) = split_path(rest);
    if !is_host(host) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let login = login.map(|login| match login.split_once(':') {
        Some((user, _)) if !user.is_empty() && user.chars().all(is_of_name) => {
            format!("{user}:{MASK}@")
        }
        Some(_) | None => format!("{MASK}@"),
    });
    let path = match path.find(['?', '#']) {
        Some(at) => format!("{}{MASK}", path.get(..=at)?),
        None => path.to_owned(),
    };
    Some(format!(
        "{scheme}://{}{host}{path}",
        login.unwrap_or_default()
    ))
}

/// What stands before the path, and the path with all behind it.
fn split_path(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()))
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// A name or an address, and a port or none.
fn is_host(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            (address.parse::<Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (!host.is_empty() && host.chars().all(is_of_name), port)
        }
    };
    let is_number = |digits: &str| digits.parse::<u16>().is_ok_and(|port| port > 0);
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_number))
}

/// A word of an alert whose words we do not know.
fn of_any(word: &str) -> String {
    let has_login = word
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('@'));
    if has_login {
        url(word)
    } else {
        word.to_owned()
    }
}

fn of_webhook(args: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(args.len());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let letter = match option(word) {
            "-k" => 'k',
            "-w" => 'w',
            "-H" => 'H',
            "--" => {
                shown.push(word.clone());
                continue;
            }
            other if other.starts_with('-') => {
                shown.push(if other == word { other } else { MASK }.to_owned());
                continue;
            }
            _ => {
                shown.push(url(word));
                continue;
            }
        };
        let glued = word.get(2..).unwrap_or_default();
        if glued.is_empty() {
            shown.push(word.clone());
            shown.extend(words.next().map(|value| value_of_webhook(letter, value)));
        } else {
            let value = value_of_webhook(letter, glued);
            shown.push(format!("-{letter}{value}"));
        }
    }
    shown
}

fn value_of_webhook(letter: char, value: &str) -> String {
    let visible = match letter {
        'H' => return header(value),
        'w' => value.bytes().all(|b| b.is_ascii_digit()),
        _ => value.contains('/') && !value.contains("://") && !value.contains('@'),
    };
    if visible { value } else { MASK }.to_owned()
}

/// A header with the name of its file, or without its value.
pub(crate) fn header(text: &str) -> String {
    let is_of_header = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.trim().chars().all(is_of_header) => {
            if value.trim_start().starts_with('@') {
                text.to_owned()
            } else {
                format!("{name}: {MASK}")
            }
        }
        Some(_) | None => MASK.to_owned(),
    }
}

/// All that may stand behind a `-P` of ours, or of a program of that name with other options.
fn of_trap(args: &[String]) -> Vec<String> {
    let mut is_password = false;
    let mut shown = Vec::with_capacity(args.len());
    for word in args {
        let glued = word.strip_prefix("-P");
        shown.push(match glued {
            _ if is_password => MASK.to_owned(),
            Some("") | None => of_any(word),
            Some(_) => format!("-P{MASK}"),
        });
        is_password = glued == Some("");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, line: &str) -> String {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words(name, &args).join(" ")
    }

    #[test]
    fn of_a_url_neither_login_nor_query_is_shown_and_of_anything_else_nothing() {
        for (text, expected) in [
            ("http://h/x", "http://h/x"),
            ("HTTPS://h.example:8443/x", "HTTPS://h.example:8443/x"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("http://me:s3cret@h:80/a?b", "http://me:***@h:80/a?***"),
            ("http://h/?token=s3cret", "http://h/?***"),
            ("http://h#s3cret", "http://h#***"),
            ("http://me:s3@cret@h", "http://me:***@h"),
            ("http://me:s3/cret@h/x", "http://me:***@h/x"),
            ("http://me:s3?c@r#et@h?q", "http://me:***@h?***"),
            ("http://t0k/en@h/x", "http://***@h/x"),
            ("http://t0k/e:n@h/x", "http://***@h/x"),
            ("https://t0ken@h/", "https://***@h/"),
            ("http://:s3cret@h/", "http://***@h/"),
            ("http://h:80/a@b", "http://h:***@b"),
            // Broken ones.
            ("me:s3cret@h/x", MASK),
            ("http:/me:s3cret@h/x", MASK),
            ("HTTP:me:s3cret@h/x", MASK),
            ("http://[me:s3cret@h/x", "http://***@h/x"),
            ("http://[me:s3cret", MASK),
            ("http://[::1:s3cret]/", MASK),
            ("http://u:s3cret%40h", MASK),
            ("http://s3cret%40h/x", MASK),
            ("http://h:s3cret/x", MASK),
            ("http://h/s3 cret", MASK),
            ("//me:s3cret@h", MASK),
            ("s3 cret://h", MASK),
            ("s3cret", MASK),
            ("", MASK),
        ] {
            assert_eq!(url(text), expected, "{text}");
        }
    }

    #[test]
    fn a_url_has_a_scheme_of_the_web_and_a_host() {
        for text in [
            "http://h",
            "HTTP://u:p@h/",
            "https://[::1]:8443/x?y",
            "http://b\u{fc}cher.example",
        ] {
            assert!(is_url(text), "{text}");
        }
        for text in [
            "h/x",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://?x",
            "http://h/a b",
            "http:/u:p@h",
            "http://[u:p/x",
            "http://u:p%40h",
            "http://u:p/q@h/",
            "http://h:0/",
            "http://h:99999/",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }

    #[test]
    fn the_name_of_the_alert_says_where_a_secret_stands() {
        for (name, line, expected) in [
            (
                "trap.alert",
                "-U me -P s3cret -o 1 h",
                "-U me -P *** -o 1 h",
            ),
            ("trap", "-Ps3cret h1 h2", "-P*** h1 h2"),
            // Whose value is which is up to the program.
            ("trap.alert", "-U -P -P s3cret h", "-U -P *** *** h"),
            ("trap.alert", "-U me -- h", "-U me -- h"),
            ("trap.alert", "-f file h", "-f file h"),
            (
                "webhook.alert",
                "-w 5 -k /f http://me:s3cret@h/",
                "-w 5 -k /f http://me:***@h/",
            ),
            (
                "webhook.alert",
                "-H X-Key:s3cret http://h/",
                "-H X-Key: *** http://h/",
            ),
            (
                "webhook.alert",
                "-HX-Key:s3cret -H A:@/f http://h/",
                "-HX-Key: *** -H A:@/f http://h/",
            ),
            (
                "webhook.alert",
                "-H s3cret --header s3cret --key=s3cret",
                "-H *** --header *** ***",
            ),
            (
                "webhook.alert",
                "-k s3cret -w s3cret -xs3cret",
                "-k *** -w *** ***",
            ),
            (
                "own.alert",
                "-P x ftp://me:s3cret@h/ a@b",
                "-P x ftp://me:***@h/ a@b",
            ),
            ("mail.alert", "-f a@b ops", "-f a@b ops"),
        ] {
            assert_eq!(shown(name, line), expected);
        }
    }

    #[test]
    fn a_line_with_a_login_or_one_of_those_alerts_is_not_shown() {
        for line in [
            "alert webhook.alert h",
            "\talert /x/trap.alert -P \\",
            "  http://u:p@h",
            "alert \"me:s3cret@h/x\"",
            "alertt own.alert -P s3cret",
            "alert trap.alrt -Ps3cret h",
            "alert own.alert \"-H\" 'Authorization: Bearer s3cret'",
            "alertt own.alert http://h/x?s3cret",
            "monitr https://s3cret@h/",
        ] {
            assert!(may_hide(line), "{line}");
        }
        for line in [
            "alert mail.alert ops@example.org",
            "wd {Mon-Fri} hr {7am}",
            "trap 10.0.0.1:80",
            "monitor plugin.monitor check_http -H web1 -P x",
            "alert own.alert http://h/x",
            "alert lvs.alert -P tcp -V 10.0.0.3:80 -R 10.0.0.1",
        ] {
            assert!(!may_hide(line), "{line}");
        }
    }

    #[test]
    fn of_an_option_only_its_name_is_shown() {
        for (word, name) in [
            ("-Ps3cret", "-P"),
            ("-P", "-P"),
            ("--key=s3cret", "--key"),
            ("-\u{e4}x", "-\u{e4}"),
        ] {
            assert_eq!(option(word), name);
        }
    }
}
