use super::*;
use crate::daemon::log::tests::told;
use crate::pair::talk::withdrawn::{ServerName, Withdrawn};
use crate::pair::turn::Turn;

const LIMIT: Duration = Duration::from_secs(60);

fn owner() -> LinkOwner {
    let (delivers, _) = mpsc::channel(1);
    let (says_wishes, _) = mpsc::channel(1);
    let (says, _) = watch::channel(Arc::default());
    let mut owner = LinkOwner::new("test", Clock::start(), delivers, says_wishes, says);
    owner.settings.address = Some("127.0.0.1:1".parse().unwrap());
    owner.view.link = LinkState::of(owner.settings.address);
    owner
}

#[tokio::test]
async fn a_call_is_noticed_behind_connections_that_end() {
    let mut tasks = JoinSet::new();
    tasks.spawn(async { None });
    tasks.spawn(std::future::pending()).abort();
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    tasks.spawn(async move {
        let _ = gone.await;
        Some((LinkId(7), Err("refused".to_owned())))
    });
    let noticing = tokio::spawn(async move { next_called(&mut tasks).await.0 });
    // Both others have ended by then.
    tokio::task::yield_now().await;
    go.send(()).unwrap();
    let noticed = tokio::time::timeout(LIMIT, noticing).await;
    assert_eq!(noticed.unwrap().unwrap(), LinkId(7));
}

#[tokio::test]
async fn who_knocks_without_a_key_puts_off_no_call() {
    let mut owner = owner();
    owner.call_later();
    let (planned, rest) = (owner.call_at, owner.rest);
    assert!(planned.is_some());
    for number in 1..9 {
        let task = owner.tasks.spawn(std::future::pending());
        owner.opening.push((LinkId(number), task));
        owner.ended(LinkId(number), "it said nothing".to_owned());
    }
    assert_eq!((owner.call_at, owner.rest), (planned, rest));
    assert_eq!(owner.view.strangers, 8);
}

#[tokio::test]
async fn a_call_that_comes_to_no_connection_is_followed_by_another() {
    let mut owner = owner();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (reports, _) = mpsc::channel(1);
    owner.call = Some(LinkId(1));
    // The key could not be read meanwhile.
    owner.called(LinkId(1), Ok(stream.unwrap()), &reports);
    assert_eq!(owner.call, None);
    assert!(owner.call_at.is_some());
}

/// A connection from this life of the peer has shown the key.
fn open(owner: &mut LinkOwner, link: u64, life: u64) {
    let (words, _) = mpsc::channel(1);
    let task = owner.tasks.spawn(std::future::pending());
    owner.opening.push((LinkId(link), task));
    owner.opened(LinkId(link), Life(life), End::Called, words);
}

/// It tells its whole state: nothing but who it is.
async fn tells_everything(owner: &mut LinkOwner) {
    let name = "other".to_owned();
    for word in [Word::Hello { name }, Word::Whole, Word::Told] {
        owner.said(word).await;
    }
}

#[tokio::test]
async fn a_link_that_takes_the_place_of_another_counts_when_it_has_told_everything() {
    let mut owner = owner();
    open(&mut owner, 1, 5);
    assert!(!owner.view.link.is_up(), "it has told nothing yet");
    tells_everything(&mut owner).await;
    assert!(owner.view.link.is_up());
    // The peer began anew, and its former connection is not noticed to be dead.
    open(&mut owner, 2, 6);
    assert!(
        !owner.view.link.is_up(),
        "what is known is of the former link"
    );
    tells_everything(&mut owner).await;
    assert!(owner.view.link.is_up());
}

#[tokio::test]
async fn a_file_that_names_another_peer_leaves_nothing_of_the_one_before() {
    let mut owner = owner();
    owner.set_up(owner.settings.clone()).await;
    open(&mut owner, 1, 5);
    tells_everything(&mut owner).await;
    let same = PeerSettings {
        bind: Some("127.0.0.1:0".parse().unwrap()),
        ..owner.settings.clone()
    };
    owner.set_up(same).await;
    owner.publish();
    assert_eq!(owner.view.peer.name, "other", "it is the same peer");
    let other = PeerSettings {
        address: Some("127.0.0.1:2".parse().unwrap()),
        ..PeerSettings::default()
    };
    owner.set_up(other).await;
    owner.publish();
    assert_eq!(owner.view.peer, PeerState::default());
    assert_eq!(*owner.talk.peer(), PeerState::default());
    open(&mut owner, 2, 7);
    tells_everything(&mut owner).await;
    // Nobody is named any more.
    owner.set_up(PeerSettings::default()).await;
    owner.publish();
    assert_eq!(owner.view.peer, PeerState::default());
}

/// As one director tells of a withdrawal.
fn withdrawal(number: u16, turn: i64) -> (ServerName, Withdrawn) {
    let server = ServerName {
        virtual_service: "10.0.0.3:80/tcp".parse().unwrap(),
        host: "web".to_owned(),
        port: number,
    };
    let turn = Turn(turn);
    let withdrawn = Withdrawn {
        turn,
        alone: false,
        gave: Vec::new(),
    };
    (server, withdrawn)
}

#[tokio::test]
async fn a_peer_that_speaks_without_end_is_looked_at_now_and_then_and_nothing_is_copied_for_it() {
    let mut owner = owner();
    let mut seen = owner.says.subscribe();
    open(&mut owner, 1, 5);
    tells_everything(&mut owner).await;
    let all = (0..20_000).map(|number| withdrawal(number, 1));
    owner.said(Word::Withdrawn(all.collect())).await;
    owner.show();
    seen.borrow_and_update();
    let (began, mut looks, mut copies) = (owner.clock.now().mono, 0, 0);
    for turn in 2..500 {
        let before = Arc::as_ptr(&owner.talk.peer().withdrawn);
        let word = Word::Withdrawn(vec![withdrawal(7, turn)]);
        owner.said(word).await;
        copies += u128::from(before != Arc::as_ptr(&owner.talk.peer().withdrawn));
        owner.show();
        looks += u128::from(seen.has_changed().unwrap());
        seen.borrow_and_update();
    }
    let lasted = owner.clock.now().mono.since(began);
    assert!(
        looks <= lasted.as_millis() / 100 + 2,
        "{looks} in {lasted:?}"
    );
    assert!(copies <= looks + 1, "{copies} of {looks}");
    let known = owner.talk.peer().withdrawn.values();
    assert_eq!(known.map(|it| it.turn).max(), Some(Turn(499)));
    assert!(owner.pace.due().is_some(), "the latest is shown soon");
}

#[tokio::test]
async fn the_log_says_once_that_something_had_no_room() {
    let mut owner = owner();
    open(&mut owner, 1, 5);
    tells_everything(&mut owner).await;
    let said = told(|| {
        owner.publish();
        for count in [3, 4] {
            owner.cut_off = count;
            owner.publish();
        }
    });
    assert_eq!(owner.view.left_out, 4);
    let [(4, line)] = said.as_slice() else {
        panic!("{said:?}")
    };
    for word in ["something is left out", "count=3", "other"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[tokio::test]
async fn the_log_says_now_and_then_that_strangers_were_refused() {
    let mut owner = owner();
    let said = told(|| {
        owner.stranger("it is another address");
        owner.stranger("it has no key");
    });
    assert_eq!(owner.view.strangers, 2);
    let [(4, line)] = said.as_slice() else {
        panic!("{said:?}")
    };
    for word in [
        "a connection to peer_bind was refused",
        "count=1",
        "another address",
    ] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

/// What syslog gets of what is logged meanwhile: priority and text.
fn told_of(what: impl Future<Output = ()>) -> Vec<(u8, String)> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    told(|| runtime.block_on(what))
}

/// The two know of two calls that cross at different moments.
#[test]
fn a_call_that_loses_against_the_one_that_crosses_it_before_it_said_all_is_no_lost_link() {
    let said = told_of(async {
        let mut owner = owner();
        open(&mut owner, 1, 5);
        let task = owner.tasks.spawn(std::future::pending());
        owner.opening.push((LinkId(2), task));
        owner.ended(LinkId(1), "Broken pipe (os error 32)".to_owned());
        assert!(owner.link.is_none());
        assert_eq!(owner.view.fault, None);
        // Where the other one comes to nothing either, one is called again.
        assert!(owner.call_at.is_some());
        let (words, _) = mpsc::channel(1);
        owner.opened(LinkId(2), Life(5), End::Caller, words);
        tells_everything(&mut owner).await;
        assert!(owner.view.link.is_up());
    });
    let [(6, line)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(line.contains("linked with the peer"), "{line}");
}

#[test]
fn a_link_that_ends_before_it_said_all_was_none() {
    let said = told_of(async {
        let mut owner = owner();
        for link in [1, 2] {
            open(&mut owner, link, 5);
            owner.ended(LinkId(link), "it ended the connection".to_owned());
            assert_eq!(owner.view.fault.as_deref(), Some("it ended the connection"));
            assert!(owner.call_at.is_some());
        }
    });
    let [(4, line)] = said.as_slice() else {
        panic!("once: {said:?}")
    };
    for word in ["no link to the peer", "127.0.0.1:1", "it ended the"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[test]
fn a_link_that_was_told_of_is_gone_also_where_another_one_had_taken_its_place() {
    let said = told_of(async {
        let mut owner = owner();
        open(&mut owner, 1, 5);
        tells_everything(&mut owner).await;
        open(&mut owner, 2, 6);
        owner.ended(LinkId(2), "it ended the connection".to_owned());
        assert!(owner.view.fault.is_some());
        open(&mut owner, 3, 6);
        owner.ended(LinkId(3), "it is slow".to_owned());
    });
    let [(6, linked), (4, gone), (4, none)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(linked.contains("linked with the peer"), "{linked}");
    for word in ["the link to the peer is gone", "other", "it ended the"] {
        assert!(gone.contains(word), "{word}: {gone}");
    }
    assert!(none.contains("no link to the peer"), "{none}");
}

/// A connection from the peer's address that never shows the key.
fn stuck(owner: &mut LinkOwner, link: u64) {
    let task = owner.tasks.spawn(std::future::pending());
    owner.opening.push((LinkId(link), task));
}

#[test]
fn a_link_that_gave_way_to_none_is_told_of_with_its_own_reason() {
    let said = told_of(async {
        let mut owner = owner();
        open(&mut owner, 1, 5);
        stuck(&mut owner, 8);
        stuck(&mut owner, 9);
        owner.ended(LinkId(1), "it is slow".to_owned());
        owner.ended(LinkId(8), "it said nothing".to_owned());
        assert_eq!(
            owner.view.fault, None,
            "another one may be the call that crosses"
        );
        owner.ended(LinkId(9), "it said nothing".to_owned());
        assert_eq!(owner.view.fault.as_deref(), Some("it is slow"));
    });
    let [(4, line)] = said.as_slice() else {
        panic!("{said:?}")
    };
    for word in ["no link to the peer", "it is slow"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[test]
fn links_that_all_end_early_are_told_of_also_beside_a_stuck_connection() {
    let said = told_of(async {
        let mut owner = owner();
        stuck(&mut owner, 9);
        for link in [1, 2, 3] {
            open(&mut owner, link, 5);
            owner.ended(LinkId(link), "it is slow".to_owned());
            assert!(owner.link.is_none());
            assert!(owner.call_at.is_some());
        }
        assert_eq!(owner.view.fault.as_deref(), Some("it is slow"));
    });
    let [(4, line)] = said.as_slice() else {
        panic!("once: {said:?}")
    };
    for word in ["no link to the peer", "it is slow"] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[test]
fn a_link_in_the_place_of_one_that_was_told_of_is_told_of_where_the_peer_is_a_new_one() {
    let lines = |life| {
        let said = told_of(async move {
            let mut owner = owner();
            open(&mut owner, 1, 5);
            tells_everything(&mut owner).await;
            open(&mut owner, 2, life);
            assert_eq!(owner.link.as_ref().map(|it| it.id), Some(LinkId(2)));
            tells_everything(&mut owner).await;
            assert!(owner.view.link.is_up());
        });
        let linked = said.iter();
        linked
            .filter(|it| it.1.contains("linked with the peer"))
            .count()
    };
    // Of two calls that cross; behind a restart of the peer.
    assert_eq!([lines(5), lines(6)], [1, 2]);
}
