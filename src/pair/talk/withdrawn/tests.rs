//! What is withdrawn as words, and back again.

use super::*;

fn server(last: usize) -> ServerName {
    ServerName {
        virtual_service: "10.0.0.3:80/tcp".parse().unwrap(),
        host: format!("web{last}"),
        port: 80,
    }
}

fn withdrawn_in(turn: i64) -> Withdrawn {
    Withdrawn {
        turn: Turn(turn),
        alone: turn < 0,
        gave: Vec::new(),
    }
}

fn gave(weight: GivenWeight) -> Withdrawn {
    let of = ServiceName {
        group: "web".to_owned(),
        service: "http".to_owned(),
    };
    Withdrawn {
        turn: Turn(7),
        alone: false,
        gave: vec![Gave { of, weight }],
    }
}

fn of(all: &[(usize, i64)]) -> WithdrawnServers {
    let all = all.iter();
    all.map(|&(last, turn)| (server(last), withdrawn_in(turn)))
        .collect()
}

/// What the other one knows after these words.
fn told(known: &WithdrawnServers, words: Vec<Word>) -> WithdrawnServers {
    let mut known = Arc::new(known.clone());
    for word in words {
        let text = word.text();
        match Word::of_text(text.as_bytes()).unwrap() {
            Word::Withdrawn(entries) => assert_eq!(withdrawn(&mut known, entries), 0),
            Word::Back(servers) => back(&mut known, &servers),
            Word::Hello { .. }
            | Word::Whole
            | Word::Told
            | Word::Here(_)
            | Word::Open(_)
            | Word::Over(_)
            | Word::Ended(_)
            | Word::Gone(_)
            | Word::Delivered(_)
            | Word::Wishes(_) => panic!("{text}"),
        }
    }
    Arc::unwrap_or_clone(known)
}

#[test]
fn only_what_changed_is_said_and_it_is_said_as_it_is() {
    let states = [
        of(&[]),
        of(&[(1, 5), (2, 5)]),
        of(&[(1, 5), (2, 4), (3, -9)]),
        of(&[(3, -9)]),
        [(server(3), gave(GivenWeight::Absolute(17)))].into(),
        [(server(3), gave(GivenWeight::Percent(75)))].into(),
        of(&[]),
    ];
    let mut left_out = 0;
    for pair in states.windows(2) {
        let [before, after] = pair else {
            unreachable!("windows of two");
        };
        let words = news(before, after, &mut left_out);
        assert!(!words.is_empty());
        assert_eq!(told(before, words), *after);
        assert_eq!(news(after, after, &mut left_out), []);
    }
    let words = news(&states[1], &states[2], &mut left_out);
    let changed = vec![(server(2), withdrawn_in(4)), (server(3), withdrawn_in(-9))];
    assert_eq!(words, [Word::Withdrawn(changed)]);
    let words = news(&states[2], &states[3], &mut left_out);
    assert_eq!(words, [Word::Back(vec![server(1), server(2)])]);
    assert_eq!(left_out, 0);
}

#[test]
fn a_peer_that_withdraws_without_end_fills_no_memory() {
    let mut peers = Arc::new(WithdrawnServers::new());
    let many = (0..WITHDRAWN_MAX + 3).map(|last| (server(last), withdrawn_in(1)));
    assert_eq!(withdrawn(&mut peers, many.collect()), 3);
    assert_eq!(peers.len(), WITHDRAWN_MAX);
    // What is known may change.
    let (known, _) = peers.first_key_value().unwrap();
    let again = vec![(known.clone(), withdrawn_in(2))];
    assert_eq!(withdrawn(&mut peers, again), 0);
}

#[test]
fn an_older_version_says_of_no_turn_by_which_clock_it_is() {
    let said = serde_json::from_str::<Withdrawn>(r#"{"turn":5}"#).unwrap();
    assert_eq!(said, withdrawn_in(5));
}

#[test]
fn a_weight_that_is_none_ends_the_link() {
    let entry = (server(1), gave(GivenWeight::Percent(75)));
    let text = Word::Withdrawn(vec![entry]).text();
    assert!(text.contains(r#""weight":"75%""#), "{text}");
    let wrong = text.replace("75%", "much");
    assert!(Word::of_text(wrong.as_bytes()).is_err());
}
