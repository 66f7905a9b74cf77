//! Hashes that the system's own programs made, and hashes that nobody should try.

use proptest::prelude::*;

use super::*;

/// Made by crypt(3) of libxcrypt 4.4 through Perl, and by `openssl passwd -apr1`.
const MADE: [(&[u8], &str); 54] = [
    (b"secret", "abNANd1rDfiNc"),
    (b"", "abmF1QH4PEr.E"),
    (b"a b'\"\\", "abWzE5.GpcCNQ"),
    (b"p\xc3\xa4ss", "abxNd6oRGYP9Q"),
    (&[b'x'; 80], "abzDJoqKYZJww"),
    (b"longer than eight", "abKuvfXyuH4Fw"),
    (b"secret", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
    (b"", "$1$saltsalt$5Jhcit4zN9UlGiA0txPkO0"),
    (b"a b'\"\\", "$1$saltsalt$/5bavHcMFcFzm.iUDEf3S1"),
    (b"p\xc3\xa4ss", "$1$saltsalt$npHVA9aR/rej/t9wc6U4V0"),
    (&[b'x'; 80], "$1$saltsalt$cdp3mv1pRxGa6vHES2lPv."),
    (b"longer than eight", "$1$saltsalt$JdLbUlToz4CzhwfZRWzS0/"),
    (b"secret", "$1$x$0AXOYAuOs.uNCmG2qRI8W."),
    (b"", "$1$x$fwjfZtMwarkdetsjiQreU1"),
    (
        b"secret",
        "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
    ),
    (
        b"",
        "$5$saltstring$FdNfA4gXqvCeO6iZs7G/.wwwoywYZqo0l1pwmfWaBA7",
    ),
    (
        b"a b'\"\\",
        "$5$saltstring$LQkVIoJJLUB6q1NKgTn6DJZJosIDZQdH48J/QcIAVe0",
    ),
    (
        b"p\xc3\xa4ss",
        "$5$saltstring$6G3HI990O.FtcpzpgeQzNXoeB9pWn9YU.gVTtFgbMz/",
    ),
    (
        &[b'x'; 80],
        "$5$saltstring$jZdy2gGq0OUSP01AhBb7yOgBitgAZa7g8axx/wgsXj5",
    ),
    (
        b"longer than eight",
        "$5$saltstring$SL/0l4n26Urp5gjVz/wbF1Kj2Im/UKQUch0o.IWMxZ1",
    ),
    (
        b"secret",
        "$5$rounds=1400$anotherlongsalt$5y0oTZRDdf9EeBuPgkf9VoE/WDN/4ZWqUs1zWU1lTn9",
    ),
    (
        b"secret",
        "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
    ),
    (
        b"",
        "$6$saltstring$kyGrqt6gmjAdtFLPrflEFifSYLCWWq1pyx95SvqinLDy2UHmj0sTF0MSLMwxPFZc3tu5kQckI8fks0zOPda3n1",
    ),
    (
        b"a b'\"\\",
        "$6$saltstring$cqHnCtEjPI.1Srj.n3eUotD5rLVdsOYPZ9a07iVLjCWXiKN0KcKaPEj9y2/nbNrpW98qweHI3wR9l9umYV0971",
    ),
    (
        b"p\xc3\xa4ss",
        "$6$saltstring$CoxdaS6Tm7cKJz.0a7sfzA1BgPrkxcckeT9l5tpg6fYMO1ZCS2yugTAnv7yXZAoWpDhDjauR6rdy1PhJ/807W.",
    ),
    (
        &[b'x'; 80],
        "$6$saltstring$eKlwYdh2DQgzGVZNTRbDdwNSIU.yzEhS/nALlBafFhL/T/Kf8GRhO5otN52zAGQKa229QbUXUyFPbCMzMf2HX0",
    ),
    (
        b"longer than eight",
        "$6$saltstring$goYIz2LhLjPjvtSZnohRk2xf8u0htw.Gr96k.5YspNi234GC.vW7BhOtxy6v/Br4cfT0kYtOOF3o6nIGfjJhg/",
    ),
    (
        b"secret",
        "$6$rounds=1000$short$6tSIGJhRDPAcVPe.fgC3tA3qgO5VzEI7WO7PAQunK6Jgsor.dcMzB/C/BHVQ.FuIJXMKXhI/oZC1yGOXB/QXp1",
    ),
    (
        b"",
        "$6$rounds=1000$short$Ocl6K/qPAcDqPeFvc9A.3r9CpINjXCDnNaLAGbHGaUfW/VAnUhMnVHLP9fLC0f.gFxi5W6DCYe3HkDMICsYY21",
    ),
    (
        b"secret",
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    ),
    (
        b"",
        "$2y$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq",
    ),
    (
        b"a b'\"\\",
        "$2y$04$abcdefghijklmnopqrstuuBakVI0M5HvCy0FXpekVGQEmwJ2c0YgC",
    ),
    (
        b"p\xc3\xa4ss",
        "$2y$04$abcdefghijklmnopqrstuuF7KK/SfP9IRGj0pPJMr8GdtCS8xpmpC",
    ),
    (
        &[b'x'; 80],
        "$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
    ),
    (
        b"longer than eight",
        "$2y$04$abcdefghijklmnopqrstuuB4Wf2Pt.s538tlaw2Gu9kZLWVzcKkt6",
    ),
    (
        b"secret",
        "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    ),
    (
        b"secret",
        "$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    ),
    (
        b"secret",
        "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC",
    ),
    (
        b"",
        "$y$j75$abcdefghijklmnop$W3jLI.KDs1Jg0xC2FrQ1TMiJW.pH0hPvINobN2Hlvw9",
    ),
    (
        b"a b'\"\\",
        "$y$j75$abcdefghijklmnop$PbnsVb0d9T/fL8f1uiSqw.ZPdKZTOFlItSUA1o4K4/1",
    ),
    (
        b"p\xc3\xa4ss",
        "$y$j75$abcdefghijklmnop$WAlsn3FePL36OYFuGuzu6OUszPCFYGbWYV7US0HrNt6",
    ),
    (
        &[b'x'; 80],
        "$y$j75$abcdefghijklmnop$itrYBeqCISlrdAexSKZViSAwnzkcBzegcx3zZBD9PeB",
    ),
    (
        b"longer than eight",
        "$y$j75$abcdefghijklmnop$vCNHw5150ScuEm0FLkeQYbSryJbqdy94ydQn40YxMR4",
    ),
    (
        b"secret",
        "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$hLaZXcKh6m7JYeftf3YBX9tUkp4CF5Pqe06e1mb9bt8",
    ),
    (b"secret", "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0"),
    (b"secret", "$apr1$x$12YdXEY0/hH4rDNkmZupO0"),
    (
        b"longer than eight",
        "$apr1$saltsalt$0I9YCTbvcozPSR.iabIkM0",
    ),
    (b"longer than eight", "$apr1$x$lMC7cYw99ZC66rNLIRk2q0"),
    (b"", "$apr1$saltsalt$a8ml/vK5HEjiZ5oypDWA7/"),
    (b"", "$apr1$x$tMwYqBfQwi3FYAr0aJc8M/"),
    (b"a b'\"\\", "$apr1$saltsalt$ULtKrWBUcHAg.jwi6h7C61"),
    (b"a b'\"\\", "$apr1$x$lEtESroqFXW2EY2OxAvcj1"),
    (&[b'x'; 80], "$apr1$saltsalt$hKkggCZZFYq6lmH2u3zcE."),
    (&[b'x'; 80], "$apr1$x$pLEunWuY.CGHJollRLhE/0"),
];

#[test]
fn hashes_of_the_system_fit_their_passwords_and_no_other() {
    for (password, text) in MADE {
        let hash = PasswordHash::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(hash.verify(password), "{text}");
        assert!(!hash.verify(b"Secret"), "{text}");
        // DES and bcrypt look at the first letters only, as they are known to.
        let changed = [b"x", password].concat();
        assert_eq!(
            hash.verify(&changed),
            password.starts_with(b"xxx")
                && password.len() > 72
                && matches!(hash.kind, Kind::Des | Kind::Bcrypt),
            "{text}"
        );
    }
}

#[test]
fn a_hash_that_would_hold_up_the_machine_is_refused_with_a_reason() {
    let sha = "C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.";
    let bcrypt = "abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
    let yescrypt = "LdJMENpBABJJ3hIHjB1Bi.$hLaZXcKh6m7JYeftf3YBX9tUkp4CF5Pqe06e1mb9bt8";
    for (text, reason) in [
        (format!("$5$rounds=999999999$salt${sha}"), "rounds"),
        (format!("$6$rounds=1000001$salt${sha}{sha}"), "rounds"),
        (
            format!("$5$rounds=99999999999999999999$salt${sha}"),
            "rounds",
        ),
        (format!("$2y$15${bcrypt}"), "cost"),
        (format!("$2b$31${bcrypt}"), "cost"),
        (format!("$y$jFT${yescrypt}"), "MiB"),
        (format!("$y$jzT${yescrypt}"), "damaged"),
        // With a factor of time behind the block size.
        (format!("$y$j9T/z${yescrypt}"), "damaged"),
    ] {
        let why = PasswordHash::parse(&text).expect_err(&text);
        assert!(why.contains(reason), "{text}: {why}");
    }
    assert!(PasswordHash::parse(&format!("$5$rounds=1000000$salt${sha}")).is_ok());
    assert!(PasswordHash::parse(&format!("$2b$14${bcrypt}")).is_ok());
    assert!(PasswordHash::parse(&format!("$y$jBT${yescrypt}")).is_ok());
}

#[test]
fn what_is_no_hash_is_refused_without_showing_it() {
    for text in [
        "",
        "*",
        "!!",
        "x",
        "none",
        "plain-secret",
        "abNANd1rDfiN",
        "abNANd1rDfiNcc",
        "ab:ANd1rDfiNc",
        "$",
        "$1$",
        "$1$salt",
        "$1$salt$short",
        "$5$rounds=$salt$x",
        "$5$rounds=+5$salt$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi.",
        "$6$a-b$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
        "$2y$4$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2y$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr",
        "$y$j9T$$",
        "$y$j9T$salt",
        "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$hLaZ$x",
        "$7$CU..../....abc$x",
        "$gy$j9T$x$y",
        "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ",
        "p\u{e4}ss\u{20ac}",
    ] {
        let why = PasswordHash::parse(text).expect_err(text);
        assert!(text.len() < 5 || !why.contains(text), "{why}");
    }
    assert!(
        PasswordHash::parse("$gy$j9T$x$y")
            .unwrap_err()
            .contains("$gy$")
    );
    let hash = PasswordHash::parse("abNANd1rDfiNc").unwrap();
    assert_eq!(format!("{hash:?}"), "Des ***");
}

#[test]
fn a_password_that_crypt_would_not_take_fits_nothing() {
    let hash = PasswordHash::parse("abNANd1rDfiNc").unwrap();
    assert!(hash.verify(b"secret"));
    assert!(!hash.verify(b"secret\0"));
    let long = [b'x'; PASSWORD_MAX + 1];
    let of_long = PasswordHash::parse("abzDJoqKYZJww").unwrap();
    assert!(of_long.verify(&long[1..]));
    assert!(!of_long.verify(&long));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_breaks_the_reading_of_hashes(text in "(\\$(1|apr1|5|6|2y|y)\\$)?[$./0-9A-Za-z=]{0,60}") {
        if let Ok(hash) = PasswordHash::parse(&text) {
            // Nothing that is taken is expensive but what the bounds allow.
            if matches!(hash.kind, Kind::Des | Kind::Md5 | Kind::Apr1) {
                prop_assert!(!hash.verify(b"no such password"));
            }
        }
    }

    #[test]
    fn no_byte_breaks_the_reading_of_hashes(text in any::<String>()) {
        let _ = PasswordHash::parse(&text);
    }
}
