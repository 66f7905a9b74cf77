//! What no file in the spool may do to the outbox: one of a message, the list of what was
//! delivered.
//!
//! Bodies of fuzz targets as those in `bodies`.

use std::time::Duration;

use lvsmon::daemon::outbox::retold;
use lvsmon::pair::ledger::{Entry, Page};
use lvsmon::pair::post::{Origin, Stage, Terms};
use lvsmon::pair::talk::delivered::DELIVERED_MAX;
use lvsmon::pair::talk::{EventId, Own, Talk, Word};
use lvsmon::pair::{Letter, Post, Speaking};
use lvsmon::time::{Mono, Now, Wall};

pub(crate) const NOW: Now = Now {
    mono: Mono::ZERO,
    // 2024-03-13 10:00 UTC
    wall: Wall::from_seconds(1_710_324_000),
};

/// Longest text that directors believe.
const TEXT_MAX: usize = 2_048;

/// A message: what is made of it is written as a file that comes to the same.
pub(crate) fn spooled(bytes: &[u8]) {
    match retold(bytes) {
        Ok(text) => assert_eq!(retold(&text).as_deref(), Ok(text.as_slice())),
        Err(why) => assert!(!why.is_empty()),
    }
}

/// The list of what was delivered: it is written as it was read, what it says was told is not told
/// again, and the other director understands what it hears of it.
pub(crate) fn delivered(bytes: &[u8]) {
    let page = Page::of(bytes, NOW.wall);
    let again = Page::of(page.text().as_bytes(), NOW.wall);
    assert_eq!((&again.lines, again.passed_over), (&page.lines, 0));
    let entries: Vec<Entry> = page.lines.into_iter().map(|line| line.entry).collect();
    assert!(entries.len() <= DELIVERED_MAX);
    let mut post = standby();
    let count = post.len();
    let recalled = post.recall(NOW.mono, entries.clone());
    assert_eq!(post.len() + recalled.forgotten.len(), count);
    assert!(recalled.changed.iter().all(|it| post.letter(*it).is_some()));
    for entry in &entries {
        if let Entry::Told(it) = entry {
            let is_sound = EventId::of(&it.event).is_some();
            let is_short = it.event.len() <= TEXT_MAX && it.to.len() <= TEXT_MAX;
            assert_eq!(post.is_needless(&it.event, &it.to), is_sound && is_short);
        }
    }
    told_on(&mut post, entries.len());
}

/// A director that does not speak, with messages of before.
fn standby() -> Post {
    let day = Duration::from_secs(86_400);
    let terms = Terms {
        held_most: day,
        give_up_after: day,
    };
    let mut post = Post::new(NOW.mono, terms);
    post.speak(NOW, Speaking::Silent);
    for (number, call) in (0..).zip(["failure/1", "failure/2", "up/1"]) {
        let letter = Letter {
            to: "ops@example.org".into(),
            events: vec![format!("web/http/1710323000/{call}").into()],
            accepted: NOW.wall,
            since: NOW.mono,
            origin: Origin::Spool,
            stage: Stage::Held,
        };
        post.put(number, letter);
    }
    post
}

/// What the other director hears.
fn told_on(post: &mut Post, most: usize) {
    let (mut talk, mut other) = (Talk::new("one"), Talk::new("two"));
    let mut count = 0;
    while let Some(tidings) = post.next_tidings() {
        count += 1;
        talk.pass_on(NOW.mono, tidings);
    }
    assert!(count <= most, "{count} of {most}");
    talk.tell(Own::default());
    talk.linked();
    other.linked();
    let mut words = 0;
    while let Some(word) = talk.say(NOW) {
        words += 1;
        assert!(words < 2 * DELIVERED_MAX, "it never ends");
        let word = Word::of_text(word.text().as_bytes()).expect("what is said is understood");
        assert!(other.hear(NOW, word).is_ok());
    }
}
