use super::*;
use crate::pair::settings::Speak;

fn settings(vips: &str, instance: &str) -> PairSettings {
    PairSettings {
        notify_fifo: Some("/run/x".into()),
        notify_instance: (!instance.is_empty()).then(|| instance.parse().unwrap()),
        vips: if vips.is_empty() {
            Vec::new()
        } else {
            Vip::list(vips).unwrap()
        },
        speak: Speak::Active,
        sync: None,
    }
}

/// `WORDS | ADDRESSES`: words are `NAME=STATE` or `STATE`, in the order in which they were said;
/// addresses those that are here, `?` where nobody could look.
fn facts(text: &str) -> Facts {
    let (words, here) = text.split_once('|').unwrap();
    let mut facts = Facts::default();
    for (number, word) in words.split_whitespace().enumerate() {
        let (name, state) = word.split_once('=').unwrap_or(("", word));
        let said = Said {
            state: State::of_word(state).unwrap(),
            at: Wall::from_seconds(0),
            source: Source::Fifo,
            number: number as u64,
        };
        match name {
            "" => facts.said_of_all = Some(said),
            name => {
                facts.said.insert(name.parse().unwrap(), said);
            }
        }
    }
    if here.trim() != "?" {
        let mut looked_for = ["10.0.0.3", "10.0.0.4", "10.0.0.5"].iter();
        let is_here = |address: &&str| here.split_whitespace().any(|it| it == *address);
        let found = looked_for.by_ref();
        let found = found.map(|it| (it.parse().unwrap(), is_here(it)));
        facts.found = found.collect();
    }
    facts
}

/// The same, said by `lvsmon role`.
fn by_command(text: &str) -> Facts {
    let mut known = facts(text);
    let words = known.said.values_mut().chain(&mut known.said_of_all);
    words.for_each(|said| said.source = Source::Command);
    known
}

#[test]
fn fault_beats_the_address_and_the_address_beats_master_and_backup() {
    use Role::{Active, Fault, Standby};
    for (vips, instance, known, role) in [
        // The address alone.
        ("10.0.0.3", "", "| 10.0.0.3", Active),
        ("10.0.0.3", "", "|", Standby),
        ("10.0.0.3", "", "| 10.0.0.4", Standby),
        // It beats the word.
        ("10.0.0.3", "", "a=BACKUP | 10.0.0.3", Active),
        ("10.0.0.3", "", "a=MASTER |", Standby),
        ("10.0.0.3", "", "BACKUP | 10.0.0.3", Active),
        // The word beats it.
        ("10.0.0.3", "", "a=FAULT | 10.0.0.3", Fault),
        ("10.0.0.3", "", "a=STOP | 10.0.0.3", Fault),
        ("10.0.0.3", "", "a=FAULT |", Fault),
        ("10.0.0.3", "", "a=FAULT a=BACKUP |", Standby),
        // Nobody could look.
        ("10.0.0.3", "", "a=MASTER | ?", Active),
        ("10.0.0.3", "", "a=BACKUP | ?", Standby),
        ("10.0.0.3", "", "| ?", Standby),
        // The word alone.
        ("", "", "a=MASTER | ?", Active),
        ("", "", "a=BACKUP | ?", Standby),
        ("", "", "a=STOP | ?", Fault),
        ("", "", "a=MASTER a=DELETED | ?", Standby),
        ("", "", "MASTER | ?", Active),
        ("", "", "| ?", Standby),
        // The newest word counts, with or without a name.
        ("", "", "a=MASTER FAULT | ?", Fault),
        ("", "", "FAULT a=MASTER | ?", Active),
        // Other instances are passed over.
        ("", "b", "a=MASTER b=BACKUP | ?", Standby),
        ("", "b", "a=FAULT b=MASTER | ?", Active),
        ("", "b", "a=MASTER | ?", Standby),
        ("", "", "b=MASTER a=BACKUP | ?", Standby),
        ("", "", "b=MASTER a=DELETED | ?", Active),
        (
            "10.0.0.3 instance b",
            "a",
            "a=FAULT b=MASTER | 10.0.0.3",
            Active,
        ),
        (
            "10.0.0.3 instance b",
            "a",
            "b=FAULT a=MASTER | 10.0.0.3",
            Fault,
        ),
        // The first address decides.
        ("10.0.0.3 10.0.0.4", "", "| 10.0.0.4", Standby),
    ] {
        let standing = of_director(&settings(vips, instance), &facts(known));
        assert_eq!(
            standing.role, role,
            "{vips} {instance} {known}: {}",
            standing.why
        );
        assert!(!standing.why.is_empty());
    }
}

#[test]
fn without_any_source_the_director_is_alone_until_somebody_says_otherwise() {
    let nothing = PairSettings::default();
    let role = |known: &str| of_director(&nothing, &by_command(known)).role;
    assert_eq!(role("| ?"), Role::Alone);
    assert_eq!(role("BACKUP | ?"), Role::Standby);
    assert_eq!(role("a=MASTER | ?"), Role::Active);
}

#[test]
fn a_word_of_the_fifo_counts_only_while_the_file_names_one() {
    for state in ["BACKUP", "MASTER", "FAULT", "STOP"] {
        let heard = facts(&format!("a={state} |"));
        // The pair is dissolved.
        let nothing = PairSettings::default();
        let lone = of_director(&nothing, &heard);
        assert_eq!(lone.role, Role::Alone, "{state}: {}", lone.why);
        assert!(is_known(&nothing, &heard), "{state}");
        // The address alone is left.
        let mut settings = settings("10.0.0.3", "a");
        settings.notify_fifo = None;
        assert_eq!(of_director(&settings, &heard).role, Role::Standby);
        // No word of a FIFO hides what somebody said, nor is it the first by name.
        let mut both = by_command("b=MASTER |");
        both.said.extend(heard.said.clone());
        assert_eq!(of_director(&nothing, &both).role, Role::Active, "{state}");
        // It counts again where the file names a FIFO again: nobody says it a second time.
        let named = self::settings("", "");
        assert_ne!(of_director(&named, &heard).role, Role::Alone);
    }
    let nothing = PairSettings::default();
    let said = by_command("a=BACKUP |");
    assert_eq!(of_director(&nothing, &said).role, Role::Standby);
}

#[test]
fn a_word_that_silences_a_lone_director_is_told_with_what_ends_it() {
    let nothing = PairSettings::default();
    let told = |facts: &Facts| silence(&nothing, facts);
    let of_a = "this director tells nobody, as lvsmon role said BACKUP of a b, and the file has no \
                notify_fifo, vip or peer: where no other director tells people, end that with \
                lvsmon role DELETED --instance \"a b\"";
    let mut known = by_command("a=BACKUP |");
    let said = known.said.pop_first().unwrap().1;
    known.said.insert("a b".parse().unwrap(), said);
    assert_eq!(told(&known).as_deref(), Some(of_a));
    let of_all = told(&by_command("FAULT |")).unwrap();
    assert!(of_all.contains("said FAULT, and"), "{of_all}");
    assert!(of_all.ends_with("lvsmon role DELETED"), "{of_all}");
    // Who speaks is told nothing, nor who has a setting of a pair; the FIFO's words do not count.
    assert_eq!(told(&by_command("a=MASTER |")), None);
    assert_eq!(told(&Facts::default()), None);
    assert_eq!(told(&facts("a=BACKUP |")), None);
    assert_eq!(silence(&settings("", ""), &by_command("a=BACKUP |")), None);
}

#[test]
fn who_hears_nothing_for_long_is_active() {
    let mut known = facts("| ?");
    known.has_waited = true;
    for settings in [settings("", ""), settings("10.0.0.3", "")] {
        assert_eq!(of_director(&settings, &known).role, Role::Active);
    }
    // Until then it stays what it was.
    for before in [Role::Active, Role::Standby, Role::Fault] {
        let mut known = facts("| ?");
        known.before = Some(before);
        let standing = of_director(&settings("10.0.0.3", ""), &known);
        assert_eq!(standing.role, before, "{}", standing.why);
        known.has_waited = true;
        let standing = of_director(&settings("10.0.0.3", ""), &known);
        assert_eq!(standing.role, Role::Active);
    }
    // Of a known address nothing more has to be heard.
    let mut known = facts("|");
    known.has_waited = true;
    let standing = of_director(&settings("10.0.0.3", ""), &known);
    assert_eq!(standing.role, Role::Standby);
}

#[test]
fn each_address_has_its_own_role() {
    let settings = settings("10.0.0.3 instance a 10.0.0.4 instance b 10.0.0.5", "");
    let known = facts("a=MASTER b=FAULT | 10.0.0.3 10.0.0.4");
    let roles: Vec<(Role, Option<bool>)> = of_vips(&settings, &known)
        .into_iter()
        .map(|vip| (vip.standing.role, vip.is_here))
        .collect();
    assert_eq!(
        roles,
        [
            (Role::Active, Some(true)),
            (Role::Fault, Some(true)),
            (Role::Standby, Some(false)),
        ]
    );
}

#[test]
fn a_contradiction_is_told() {
    let why = |known: &str| of_director(&settings("10.0.0.3", ""), &facts(known)).why;
    assert_eq!(
        why("a=BACKUP | 10.0.0.3"),
        "10.0.0.3 is on an interface here, although the FIFO says BACKUP of a"
    );
    assert_eq!(why("a=BACKUP |"), "10.0.0.3 is on no interface here");
}
