//! Who gets in, and what is taken from whom.

use proptest::prelude::*;

use super::*;

fn key(text: &str) -> Key {
    Key::new(text.as_bytes()).unwrap()
}

fn greeting(seed: u8) -> Greeting {
    Greeting {
        nonce: [seed; 32],
        life: Life(seed.into()),
    }
}

const SHARED: &str = "a key that both have";

/// Caller and called, with the same key.
fn pair() -> (Session, Session) {
    pair_of(&greeting(1), &greeting(2))
}

fn pair_of(caller: &Greeting, called: &Greeting) -> (Session, Session) {
    let key = key(SHARED);
    (
        Session::new(&key, End::Caller, caller, called).unwrap(),
        Session::new(&key, End::Called, called, caller).unwrap(),
    )
}

#[test]
fn both_sides_open_by_the_first_line_of_the_other_and_take_lines_in_order() {
    let (mut caller, mut called) = pair();
    assert!(!caller.is_open() && !called.is_open());
    for text in ["first", "", "third"] {
        let line = caller.signer.seal(text);
        assert_eq!(called.verifier.open(line.as_bytes()), Ok(text.as_bytes()));
        let line = called.signer.seal(text);
        assert_eq!(caller.verifier.open(line.as_bytes()), Ok(text.as_bytes()));
    }
    assert!(caller.is_open() && called.is_open());
    assert_eq!((caller.peer(), called.peer()), (Life(2), Life(1)));
}

/// Step, what happens in it, what comes of it.
#[test]
fn every_line_that_is_not_the_next_one_of_the_peer_is_refused() {
    type Attack = fn(&mut Session, &mut Session) -> String;
    let fresh: &[(&str, Attack)] = &[
        ("nothing", |_, _| String::new()),
        ("no HMAC", |_, _| "{\"hello\":1}".to_owned()),
        ("our own line", |_, called| called.signer.seal("x")),
        ("the second line first", |caller, _| {
            caller.signer.seal("x");
            caller.signer.seal("x")
        }),
        ("another text", |caller, _| {
            caller.signer.seal("x").replace("x", "y")
        }),
        ("a longer text", |caller, _| {
            format!("{}x", caller.signer.seal("x"))
        }),
        ("capital digits", |caller, _| {
            caller.signer.seal("x").to_uppercase()
        }),
        ("a line of another connection", |_, _| {
            pair_of(&greeting(1), &greeting(3)).0.signer.seal("x")
        }),
        ("a line of another caller", |_, _| {
            pair_of(&greeting(3), &greeting(2)).0.signer.seal("x")
        }),
        ("a line of the connection the other way round", |_, _| {
            pair_of(&greeting(2), &greeting(1)).1.signer.seal("x")
        }),
    ];
    for (what, attack) in fresh {
        let (mut caller, mut called) = pair();
        let line = attack(&mut caller, &mut called);
        assert_eq!(
            called.verifier.open(line.as_bytes()),
            Err(PeerRefusal::Key),
            "{what}"
        );
        assert!(!called.is_open(), "{what}");
    }
    let open: &[(&str, Attack)] = &[
        ("a line again", |_, _| pair().0.signer.seal("first")),
        ("one left out", |caller, _| {
            caller.signer.seal("second");
            caller.signer.seal("third")
        }),
        ("our own line", |_, called| {
            called.signer.seal("first");
            called.signer.seal("second")
        }),
    ];
    for (what, attack) in open {
        let (mut caller, mut called) = pair();
        called
            .verifier
            .open(caller.signer.seal("first").as_bytes())
            .unwrap();
        let line = attack(&mut caller, &mut called);
        assert_eq!(
            called.verifier.open(line.as_bytes()),
            Err(PeerRefusal::Line),
            "{what}"
        );
    }
}

#[test]
fn a_daemon_that_calls_itself_is_told_so_and_so_is_an_echo() {
    let key = key(SHARED);
    let (own, mut same_life) = (greeting(1), greeting(2));
    same_life.life = own.life;
    let mut same_nonce = greeting(2);
    same_nonce.nonce = own.nonce;
    for other in [own, same_life, same_nonce] {
        for end in [End::Caller, End::Called] {
            let refused = Session::new(&key, end, &own, &other).map(drop);
            assert_eq!(refused, Err(PeerRefusal::Ourselves));
        }
    }
}

#[test]
fn both_sides_keep_the_same_one_of_two_links() {
    let (one, two) = (Life(1), Life(2));
    // (our life, link that was there, link that came, the newer one stays)
    let by_one = |own| {
        if own == one {
            (two, End::Caller)
        } else {
            (one, End::Called)
        }
    };
    let by_two = |own| {
        if own == one {
            (two, End::Called)
        } else {
            (one, End::Caller)
        }
    };
    for own in [one, two] {
        assert!(newer_stays(own, by_two(own), by_one(own)));
        assert!(!newer_stays(own, by_one(own), by_two(own)));
        assert!(
            newer_stays(own, by_one(own), by_one(own)),
            "the older one is dead"
        );
        let reborn = (Life(3), End::Called);
        assert!(newer_stays(own, by_one(own), reborn), "the peer began anew");
    }
}

#[test]
fn a_greeting_has_one_form() {
    let line = greeting(7).line();
    assert!(line.len() <= GREETING_MAX);
    assert_eq!(Greeting::of_line(line.as_bytes()), Ok(greeting(7)));
    let wrong = [
        String::new(),
        line.to_uppercase(),
        line.replace("pair 1", "pair 2"),
        format!("{line} "),
        format!("{line}0"),
        line.replacen("07", "", 1),
        line.replace(" 0000000000000007", " +000000000000007"),
        line.replace(" 0000000000000007", ""),
    ];
    for wrong in wrong {
        assert_eq!(
            Greeting::of_line(wrong.as_bytes()),
            Err(PeerRefusal::Greeting),
            "{wrong}"
        );
    }
}

#[test]
fn a_short_key_is_refused_and_no_key_is_shown() {
    assert!(Key::new(b"fifteen letters").is_err());
    assert_eq!(format!("{:?}", key(SHARED)), "***");
    let (session, _) = pair();
    let shown = format!("{session:?}");
    assert!(!shown.contains(SHARED) && !shown.contains("key"), "{shown}");
}

proptest! {
    /// Whatever comes, nothing breaks and nobody gets in.
    #[test]
    fn no_bytes_open_a_session(
        greeting_bytes in proptest::collection::vec(any::<u8>(), 0..200),
        lines in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "[0-9a-f]{64} .{0,40}".prop_map(String::into_bytes),
            ],
            0..5,
        ),
    ) {
        let _ = Greeting::of_line(&greeting_bytes);
        let (_, mut called) = pair();
        for line in lines {
            prop_assert!(called.verifier.open(&line).is_err());
            prop_assert!(!called.is_open());
        }
    }

    /// Any other key, also one that begins or ends alike.
    #[test]
    fn a_wrong_key_never_opens(other in "[ -~]{16,60}", body in "[ -~]{0,80}") {
        prop_assume!(other != SHARED);
        let (_, mut called) = pair();
        let (own, peer) = (greeting(1), greeting(2));
        let mut stranger = Session::new(&key(&other), End::Caller, &own, &peer).unwrap();
        let line = stranger.signer.seal(&body);
        prop_assert_eq!(called.verifier.open(line.as_bytes()), Err(PeerRefusal::Key));
    }

    /// A line with any one byte changed is another line.
    #[test]
    fn no_changed_byte_passes(body in "[ -~]{1,80}", at in any::<usize>(), by in 1_u8..) {
        let (mut caller, mut called) = pair();
        let mut line = caller.signer.seal(&body).into_bytes();
        let at = at % line.len();
        line[at] = line[at].wrapping_add(by);
        prop_assert!(called.verifier.open(&line).is_err());
    }

    /// Of the lines of a side, kept and sent as an attacker likes, only the next one passes.
    #[test]
    fn replayed_and_reordered_lines_are_refused(
        count in 1_usize..8,
        order in proptest::collection::vec(any::<usize>(), 1..20),
    ) {
        let (mut caller, mut called) = pair();
        let lines: Vec<String> = (0..count).map(|n| caller.signer.seal(&n.to_string())).collect();
        let mut next = 0;
        for pick in order {
            let pick = pick % count;
            let taken = called.verifier.open(lines[pick].as_bytes()).is_ok();
            prop_assert_eq!(taken, pick == next);
            next += usize::from(taken);
        }
    }
}
