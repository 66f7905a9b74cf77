use proptest::prelude::*;

use super::*;

fn rules(text: &str) -> AuthRules {
    let read = AuthRules::read(text);
    assert_eq!(read.mistakes, [], "{text}");
    read.rules
}

fn peer(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_command_is_decided_in_the_order_denied_all_any_named() {
    let rules = rules(
        "# who may\n\nlist: all\ncommand section\nRESET : root, admin\nack: AUTH_ANY\n\
         disable: AUTH_ANY, !guest\nservertime: all, !guest\nenable: admin,!AUTH_ANY\nstop: all,!AUTH_ANY\nset:\n",
    );
    let table = [
        // Command, then without a login, as admin, as guest.
        ("list", [true, true, true]),
        ("LIST", [true, true, true]),
        ("reset", [false, true, false]),
        ("ack", [false, true, true]),
        ("disable", [false, true, false]),
        ("servertime", [true, true, false]),
        ("enable", [false, false, false]),
        ("stop", [true, false, false]),
        ("set", [false, false, false]),
        ("term", [false, false, false]),
        ("", [false, false, false]),
    ];
    for (command, expected) in table {
        let users = [None, Some("admin"), Some("guest")];
        let answers = users.map(|user| rules.may(user, command));
        assert_eq!(answers, expected, "{command}");
    }
    assert!(rules.may(Some("root"), "Reset"));
    // Users are told apart by case, and the words for many are no users.
    assert!(!rules.may(Some("Root"), "reset"));
    assert!(!rules.may(Some(""), "reset"));
}

#[test]
fn lines_of_one_command_add_up() {
    let rules = rules("reset: a\nreset: b, !c\n");
    assert!(rules.may(Some("a"), "reset") && rules.may(Some("b"), "reset"));
    assert!(!rules.may(Some("c"), "reset"));
}

#[test]
fn mistakes_name_their_line_and_no_secret() {
    let text = "command section\nlist all\n: all\na b: all\ntrap section\n10.0.0.1 joe\n10.0.0.1 joe abNANd1rDfiNc more\n* joe s3cret\n";
    let read = AuthRules::read(text);
    let lines: Vec<u32> = read.mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [2], "{read:?}");
    let warned: Vec<u32> = read.warnings.iter().map(|mistake| mistake.line).collect();
    assert_eq!(warned, [3, 4, 6, 7, 8], "{read:?}");
    assert!(read.warnings[4].what.contains("\"joe\""), "{read:?}");
    assert!(!format!("{read:?}").contains("s3cret"));
    assert!(!format!("{read:?}").contains("NANd1"));
    let many = "x\n".repeat(100_000);
    assert_eq!(AuthRules::read(&many).mistakes.len(), MISTAKES_MAX);
}

#[test]
fn a_trap_is_judged_by_its_sender_then_by_its_user() {
    let rules = rules(
        "trap section\n10.0.0.1 joe abNANd1rDfiNc\n10.0.0.1 ann none\n10.0.0.2 * x\n::1 joe abNANd1rDfiNc\ngate joe abNANd1rDfiNc\n",
    );
    let mut traps = rules.traps().clone();
    let judge = |traps: &TrapRules, from: &str, user: &str| match traps.judge(peer(from), user) {
        Ok(Verdict::Welcome) => "welcome",
        Ok(Verdict::Verify(hash)) if hash.verify(b"secret") => "verify",
        Ok(Verdict::Verify(_)) => "another hash",
        Err(TrapRefusal::Host) => "host",
        Err(TrapRefusal::User) => "user",
        Err(TrapRefusal::Password) => "password",
        Err(TrapRefusal::Hash(_)) => "hash",
    };
    for (from, user, expected) in [
        ("10.0.0.1", "joe", "verify"),
        ("::ffff:10.0.0.1", "joe", "verify"),
        ("::1", "joe", "verify"),
        ("10.0.0.1", "ann", "hash"),
        ("10.0.0.1", "bob", "user"),
        ("10.0.0.1", "", "user"),
        ("10.0.0.2", "bob", "welcome"),
        ("10.0.0.2", "", "welcome"),
        ("10.0.0.3", "joe", "host"),
        // P-16: the star of a packet is a name like any other.
        ("10.0.0.1", "*", "user"),
        ("10.0.0.3", "*", "host"),
    ] {
        assert_eq!(judge(&traps, from, user), expected, "{from} {user}");
    }
    assert_eq!(traps.names().collect::<Vec<_>>(), ["gate"]);
    traps.resolve("gate", &[]);
    assert_eq!(judge(&traps, "10.0.0.9", "joe"), "host");
    traps.resolve("gate", &[peer("10.0.0.9"), peer("10.0.0.1")]);
    assert_eq!(judge(&traps, "10.0.0.9", "joe"), "verify");
    assert_eq!(judge(&traps, "10.0.0.1", "ann"), "hash");
    assert_eq!(traps.names().count(), 0);
    assert_eq!(judge(&TrapRules::default(), "10.0.0.1", "*"), "host");
    assert!(TrapRules::default().is_empty() && !traps.is_empty());
}

#[test]
fn an_entry_for_every_host_hides_those_of_single_hosts() {
    let read = AuthRules::read("trap section\n* ops abNANd1rDfiNc\n10.0.0.1 * x\n");
    assert!(
        read.warnings
            .iter()
            .any(|warning| warning.line == 2 && warning.what.contains("\"*\""))
    );
    let verdict = |user| read.rules.traps().judge(peer("10.0.0.1"), user);
    assert_eq!(verdict("joe"), Err(TrapRefusal::User));
    assert!(matches!(verdict("ops"), Ok(Verdict::Verify(_))));
}

#[test]
fn each_way_of_login_has_its_rule() {
    let read = UserFile::read(
        "# users\nadmin: abNANd1rDfiNc\n shadowed:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0:19000:0:99999:7:::\nlocked:!\nno colon\nopen:abmF1QH4PEr.E\n",
    );
    assert_eq!(read.mistakes, []);
    let lines: Vec<u32> = read.warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [4, 5]);
    assert_eq!(format!("{:?}", read.rules), "3 users");
    assert!(read.rules.unusable("locked").is_some());
    assert_eq!(read.rules.unusable("admin"), None);
    assert_eq!(read.rules.unusable("nobody"), None);
    // The passwords of open and guest are empty: such an account is nobody's.
    let system = |user: &str| match user {
        "root" => Some(PasswordHash::parse("abNANd1rDfiNc").unwrap()),
        "guest" => Some(PasswordHash::parse("abmF1QH4PEr.E").unwrap()),
        _ => None,
    };
    let is_in = |kind: AuthType, user, password, from| {
        accepts(kind, user, password, peer(from), &read.rules, system)
    };
    use AuthType::{Getpwnam, Trustlocal, Userfile};
    for (kind, user, password, from, expected) in [
        (Userfile, "admin", "secret", "10.0.0.1", true),
        (Userfile, "shadowed", "secret", "10.0.0.1", true),
        (Userfile, "admin", "bad", "10.0.0.1", false),
        (Userfile, "admin", "", "10.0.0.1", false),
        (Userfile, "open", "", "10.0.0.1", false),
        (Getpwnam, "guest", "", "127.0.0.1", false),
        (Userfile, "locked", "!", "10.0.0.1", false),
        (Userfile, "nobody", "secret", "10.0.0.1", false),
        (Userfile, "root", "secret", "10.0.0.1", false),
        (Userfile, "", "secret", "10.0.0.1", false),
        (Getpwnam, "root", "secret", "10.0.0.1", true),
        (Getpwnam, "root", "bad", "127.0.0.1", false),
        (Getpwnam, "admin", "secret", "127.0.0.1", false),
        (Trustlocal, "anybody", "", "127.0.0.1", true),
        (Trustlocal, "anybody", "x", "::ffff:127.0.0.1", true),
        (Trustlocal, "", "x", "127.0.0.1", false),
        (Trustlocal, "anybody", "x", "127.0.0.2", false),
        (Trustlocal, "anybody", "x", "::1", false),
    ] {
        let answer = is_in(kind, user, password, from);
        assert_eq!(answer, expected, "{kind:?} {user} {password} {from}");
    }
}

proptest! {
    /// Who is denied never may, whatever else stands in the file; without a line nobody may.
    #[test]
    fn nobody_gets_past_a_denial(lines in "((list|ack|reset|trap section|command section)[: ,!*a-z\nAUTH_ANY]{0,40}\n){0,8}", user in "[a-c]") {
        let before = AuthRules::read(&lines).rules;
        prop_assert!(!before.may(Some(&user), "unheard"));
        let denied = format!("{lines}\ncommand section\nack: all, AUTH_ANY, {user}, !{user}\n");
        let read = AuthRules::read(&denied).rules;
        prop_assert!(!read.may(Some(&user), "ack"));
        // Whoever has not logged in cannot be told from others.
        prop_assert!(read.may(None, "ack"));
    }

    #[test]
    fn no_text_breaks_the_reading(text in any::<String>(), user in any::<String>()) {
        let read = AuthRules::read(&format!("trap section\n{text}"));
        let _ = read.rules.traps().judge(peer("10.0.0.1"), &user);
        let _ = AuthRules::read(&text).rules.may(Some(&user), &text);
        let _ = UserFile::read(&text);
    }
}

#[test]
fn a_line_that_lets_nobody_in_is_one_warning_that_says_what_to_write() {
    for (text, words) in [
        ("list pids: all", "rights are given for \"list\" as a whole"),
        (": all", "no command"),
        ("lsit: all", "no command is called \"lsit\""),
        ("list: auth_any", "write AUTH_ANY"),
        ("list: All", "write all"),
        ("list: all # comment", "a line of its own"),
        ("list: des md5", "write a comma"),
        ("list: all, !all", "write !AUTH_ANY"),
        ("list: all, ! guest", "nothing between ! and a user"),
        ("list: a\0b", "control characters"),
        ("list\0: ab", "stands no command"),
        ("\u{feff}list: all", "byte order mark"),
        ("list: !guest", "nobody may say \"list\""),
        ("set:", "nobody may say \"set\""),
        ("login:", "everybody may say \"login\""),
        ("quit: !guest", "everybody may say \"quit\""),
        ("trap  section\n10.0.0.0/8 * x", "looks like a network"),
        (
            "trap section\n10.0.0.300 * x",
            "neither an address nor a name",
        ),
        ("trap section\njoe abNANd1rDfiNc", "three words"),
    ] {
        let read = AuthRules::read(text);
        assert_eq!(read.mistakes, [], "{text}");
        assert_eq!(read.warnings.len(), 1, "{text}: {read:?}");
        let Mistake { line, what } = &read.warnings[0];
        assert_eq!(*line, 1 + u32::from(text.contains('\n')), "{text}");
        assert!(what.contains(words), "{text}: {what}");
        let is_open = text.contains(", !") || text.contains(", ! ");
        assert_eq!(read.rules.may(Some("joe"), "list"), is_open, "{text}");
    }
}

#[test]
fn lines_that_let_somebody_in_are_no_warnings() {
    let text = "quit: all\ndisable: AUTH_ANY\ndisable: !guest\nlist: all,\nreset: root,admin\n\
                command\tsection\nack: AUTH_ANY, !guest\ntrap section\n10.0.0.5 * x\nwww-1.example.org * x\n";
    let read = AuthRules::read(text);
    assert_eq!((read.mistakes, read.warnings), (vec![], vec![]));
    let users: Vec<(&str, u32)> = read.rules.users().into_iter().collect();
    assert_eq!(users, [("admin", 5), ("root", 5)]);
}
