//! Two directors and the link between them: two daemons on loopback.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use jiff::Timestamp;
use lvsmon::pair::talk::{End, Greeting, Key, Life, Session};
use nix::sys::signal::Signal;

use crate::alerts::servers::{Relay, have_relay};
use crate::daemon::farm::SOON;
use crate::support::{Running, TempDir, free_port, lvsmon, wait_until};

/// What both directors see: whether the service `g/s` is well.
pub(super) struct World {
    folder: TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let world = Self {
            folder: TempDir::new(),
        };
        world.folder.write("good", "");
        world
    }

    pub(super) fn fails(&self) {
        fs::remove_file(self.folder.join("good")).unwrap();
    }

    /// It fails from now on, and the monitor says this.
    pub(super) fn fails_with(&self, text: &str) {
        let new = self.folder.write("new", format!("{text}\n"));
        fs::rename(new, self.folder.join("says")).unwrap();
        if self.folder.join("good").exists() {
            self.fails();
        }
    }

    pub(super) fn recovers(&self) {
        self.folder.write("good", "");
    }
}

/// One director.
pub(super) struct Director {
    pub(super) folder: TempDir,
    daemon: Option<Running>,
    pub(super) port: u16,
}

impl Drop for Director {
    /// What it knew when a test failed, which the end of a wait does not say.
    #[expect(clippy::disallowed_macros, reason = "the harness shows it this way")]
    fn drop(&mut self) {
        if std::thread::panicking() && self.daemon.is_some() {
            let (port, role) = (self.port, self.shown());
            eprintln!("director {port}: {role}\n{}", self.log());
        }
    }
}

const KEY: &str = "a key of the two directors\n";

impl Director {
    /// Two that know each other, not started.
    pub(super) fn pair(world: &World) -> [Self; 2] {
        Self::pair_in([world, world])
    }

    /// The same, each with eyes of its own.
    pub(super) fn pair_in(worlds: [&World; 2]) -> [Self; 2] {
        let ports = [free_port(), free_port()];
        [
            Self::new(worlds[0], ports[0], ports[1]),
            Self::new(worlds[1], ports[1], ports[0]),
        ]
    }

    fn new(world: &World, port: u16, peer: u16) -> Self {
        let folder = TempDir::new();
        for name in ["mon.d", "alert.d", "state"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        let good = world.folder.join("good");
        folder.write_executable(
            "mon.d/state.monitor",
            format!(
                "#!/bin/sh\ntest -e {} && exit 0\ncat {} 2>/dev/null || echo h1\nexit 1\n",
                good.display(),
                world.folder.join("says").display()
            ),
        );
        folder.write_executable(
            "alert.d/note.alert",
            format!(
                "#!/bin/sh\necho told >> {}\n",
                folder.join("told").display()
            ),
        );
        let director = Self {
            folder,
            daemon: None,
            port,
        };
        director.key(KEY);
        director.configure(&format!(
            "peer = 127.0.0.1:{peer}\npeer_bind = 127.0.0.1:{port}\n"
        ));
        director
    }

    fn configure(&self, settings: &str) {
        self.configure_with(settings, "");
    }

    /// The same with more lines of the period.
    pub(super) fn configure_with(&self, settings: &str, more: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "statedir = {folder}/state\nmondir = {folder}/mon.d\nalertdir = {folder}/alert.d\n\
             cfbasedir = {folder}\nserverport = 0\ntrapport = 0\nipvs_backend = memory\n\
             peer_key = key\n{settings}\nhostgroup g 127.0.0.1\n\nwatch g\n    service s\n\t\
             interval 0.5s\n\tmonitor state.monitor\n\tperiod wd {{Sun-Sat}}\n\t    \
             alertevery 1h\n\t    alert note.alert\n\t    upalert note.alert\n{more}\n"
        );
        self.folder.write("mon.cf", text);
    }

    fn key(&self, text: &str) {
        let path = self.folder.write("key", text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(super) fn start(&mut self) {
        let log = File::create(self.folder.join("log")).unwrap();
        let mut command = lvsmon(["run", "--config"]);
        command.arg(self.folder.join("mon.cf"));
        command.stdout(Stdio::null()).stderr(log);
        self.daemon = Some(Running::start(&mut command));
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.daemon.as_ref().unwrap().signal(signal);
    }

    pub(super) fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.daemon.take().unwrap().wait(SOON);
    }

    pub(super) fn log(&self) -> String {
        self.folder.read("log")
    }

    #[track_caller]
    pub(super) fn wait_for_log(&self, text: &str) {
        self.wait_for_times(text, 1);
    }

    #[track_caller]
    pub(super) fn wait_for_times(&self, text: &str, times: usize) {
        let what = format!("{text:?} {times} times in the log");
        wait_until(&what, SOON, || self.times(text) >= times);
    }

    /// Does this, and waits until the log says it once more than before: of two calls that cross it
    /// may have said it of both, and of the end of the first in between.
    #[track_caller]
    pub(super) fn wait_for_next(&self, text: &str, act: impl FnOnce()) {
        let times = self.times(text);
        act();
        self.wait_for_times(text, times + 1);
    }

    /// How often the log says it.
    fn times(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// What `lvsmon role` says.
    fn shown(&self) -> String {
        self.says(&["role"])
    }

    /// What a command of `lvsmon` says.
    pub(super) fn says(&self, words: &[&str]) -> String {
        let mut command = lvsmon(words);
        command.arg("--config").arg(self.folder.join("mon.cf"));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// Says what VRRP would say.
    #[track_caller]
    pub(super) fn role(&self, state: &str) {
        let mut command = lvsmon(["role", state, "--config"]);
        let output = command.arg(self.folder.join("mon.cf")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Whether it shows this of the other one.
    pub(super) fn peer_has(&self, outages: &str) -> bool {
        self.shown().contains(&format!(", {outages}"))
    }

    /// How many messages it holds for the other one.
    fn held(&self) -> Option<u64> {
        let mut command = lvsmon(["role", "--json", "--config"]);
        let output = command.arg(self.folder.join("mon.cf")).output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        answer["held"].as_u64()
    }

    #[track_caller]
    pub(super) fn wait_to_hold(&self, count: u64) {
        wait_until(&format!("{count} held"), SOON, || {
            self.held() == Some(count)
        });
    }

    /// Mails to this relay, and has a role.
    pub(super) fn configure_mail(&self, relay: &Relay, link: &str) {
        self.configure_mail_with(relay, &format!("{link}mail_group_wait = 0s\n"));
    }

    /// Nobody is there for it from now on, and nobody may call.
    pub(super) fn cut(&self, peer: &Self, relay: &Relay) {
        self.configure_mail(relay, &format!("peer = 127.0.0.9:{}\n", peer.port));
        self.signal(Signal::SIGHUP);
    }

    /// The peer is there again.
    fn heal(&self, peer: &Self, relay: &Relay) {
        self.configure_mail(relay, &link(self, peer));
        self.signal(Signal::SIGHUP);
    }

    /// The same as [`Director::configure_mail`] with these settings.
    fn configure_mail_with(&self, relay: &Relay, settings: &str) {
        let fifo = self.folder.join("fifo");
        let settings = format!(
            "{settings}notify_fifo = {}\nmail_relay = {}\nmail_domain = d.example\n",
            fifo.display(),
            relay.url()
        );
        let mail = "mail.alert ops@d.example\n";
        let lines = format!("\t    alert {mail}\t    upalert {mail}");
        self.configure_with(&settings, &lines);
    }

    /// How often its alert was called.
    pub(super) fn told(&self) -> usize {
        let path = self.folder.join("told");
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }
}

pub(super) const LINKED: &str = "linked with the peer";
pub(super) const GONE: &str = "the link to the peer is gone";

#[test]
fn both_name_one_outage_by_one_id() {
    if !have_relay("pair: both_name_one_outage_by_one_id") {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    let ports = [(one.port, two.port), (two.port, one.port)];
    for (director, (own, peer)) in [&one, &two].into_iter().zip(ports) {
        let settings = format!(
            "peer = 127.0.0.1:{peer}\npeer_bind = 127.0.0.1:{own}\nmail_relay = {}\n\
             mail_domain = d.example\nmail_group_wait = 0s\n",
            relay.url()
        );
        let mail = format!("mail.alert at{own}@d.example\n");
        let lines = format!("\t    alert {mail}\t    upalert {mail}");
        director.configure_with(&settings, &lines);
    }
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    let ids = |port: u16| -> Vec<String> {
        let mails = relay.mails_to(&format!("at{port}@d.example"));
        let ids = mails.iter().map(|mail| mail.header("X-Lvsmon-Event"));
        ids.collect()
    };
    for count in [2, 4] {
        world.fails();
        for port in [one.port, two.port] {
            wait_until("the alert", SOON, || ids(port).len() == count - 1);
        }
        world.recovers();
        for port in [one.port, two.port] {
            wait_until("the upalert", SOON, || ids(port).len() == count);
        }
    }
    let told = ids(one.port);
    assert_eq!(told, ids(two.port), "{}", two.log());
    assert!(told[1].contains("/up/"), "{told:?}");
    assert_ne!(told[0], told[2]);
    // The peer is shown ten times a second at most.
    wait_until("the peer without outages", SOON, || {
        let shown = one.shown();
        shown.contains(") linked since ") && shown.contains("alone, tells people, 0 outages")
    });
}

#[test]
fn a_link_that_breaks_comes_back_and_a_frozen_peer_is_noticed() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.signal(Signal::SIGSTOP);
    one.wait_for_log("it said nothing for 4 s");
    one.wait_for_next(LINKED, || two.signal(Signal::SIGCONT));
    one.wait_for_next(GONE, || two.end(Signal::SIGKILL));
    one.wait_for_next(LINKED, || two.start());
    two.wait_for_log(LINKED);
    // Another key from now on, and back.
    one.key("another key of nobody\n");
    one.configure(&format!(
        "peer = 127.0.0.1:{}\npeer_bind = 127.0.0.1:{}\nmail_domain = x\n",
        two.port, one.port
    ));
    one.end(Signal::SIGTERM);
    one.start();
    one.wait_for_log("it has another key");
    assert!(one.shown().contains("not linked: "), "{}", one.shown());
    assert!(!one.log().contains(LINKED));
    for director in [&one, &two] {
        let log = director.log();
        assert!(
            !log.contains("another key of nobody") && !log.contains(KEY.trim()),
            "{log}"
        );
    }
}

#[test]
fn a_key_that_others_may_read_or_that_is_short_is_refused() {
    let world = World::new();
    let [mut one, _] = Director::pair(&world);
    let key = one.folder.join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    one.start();
    one.wait_for_log("its mode 0644 lets others read or change it");
    one.end(Signal::SIGTERM);
    one.key("short\n");
    one.start();
    one.wait_for_log("a key has 16 characters at least");
}

#[test]
fn another_key_holds_from_a_reload_on_and_a_key_that_is_gone_ends_nothing() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    // Only the second one calls: of two calls that cross a link may end that was told of.
    two.configure(&format!("peer = 127.0.0.1:{}\n", one.port));
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    // The same key: nothing happens, which the next reload shows.
    one.signal(Signal::SIGHUP);
    one.wait_for_log("configuration reloaded");
    fs::remove_file(one.folder.join("key")).unwrap();
    one.signal(Signal::SIGHUP);
    one.wait_for_log("the key that was read before stays in force");
    assert_eq!(one.times(GONE), 0, "{}", one.log());
    one.key("a key that nobody knows yet\n");
    one.signal(Signal::SIGHUP);
    one.wait_for_log("its key has changed");
    one.wait_for_log("it has another key");
    assert_eq!(one.times(LINKED), 1);
    two.key("a key that nobody knows yet\n");
    one.wait_for_next(LINKED, || two.signal(Signal::SIGHUP));
    assert!(!one.log().contains("nobody knows"));
}

/// Sends this to a director as its peer would, until it hangs up; what it said.
fn stranger(port: u16, bytes: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    for bytes in bytes {
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let mut part = [0; 1_024];
    while let Ok(count @ 1..) = stream.read(&mut part) {
        said.extend_from_slice(&part[..count]);
    }
    said
}

#[test]
fn garbage_silence_and_floods_get_a_greeting_and_nothing_more() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    one.start();
    one.wait_for_log("the peer may call");
    let greeting_only = |said: &[u8]| {
        let lines = said.iter().filter(|byte| **byte == b'\n').count();
        assert!(
            lines <= 2 && said.len() < 300,
            "{}",
            String::from_utf8_lossy(said)
        );
    };
    greeting_only(&stranger(one.port, [b"GET / HTTP/1.0\r\n\r\n".to_vec()]));
    greeting_only(&stranger(one.port, [vec![0xff; 4_096]]));
    let flood = std::iter::repeat_n(vec![b'x'; 1_000_000], 100);
    greeting_only(&stranger(one.port, flood));
    let greeting = format!(
        "lvsmon-pair 1 {} {}\n",
        "ab".repeat(32),
        "0".repeat(15) + "1"
    );
    let nonsense = format!("{greeting}{} \n", "00".repeat(32));
    greeting_only(&stranger(one.port, [nonsense.into_bytes()]));
    // One that says nothing is sent away, and so are too many of them.
    let silent: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(("127.0.0.1", one.port)).unwrap())
        .collect();
    for mut stream in silent {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        greeting_only(&said);
    }
    // None of it keeps the peer out.
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
}

#[test]
fn what_only_a_later_version_says_is_passed_over() {
    let world = World::new();
    let [mut one, two] = Director::pair(&world);
    one.start();
    one.wait_for_log("the peer may call");
    let stream = TcpStream::connect(("127.0.0.1", one.port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut said = BufReader::new(&stream).split(b'\n').map(Result::unwrap);
    let say = |line: &str| writeln!(&stream, "{line}").unwrap();
    let greeting = Greeting {
        nonce: [7; 32],
        life: Life(7),
    };
    say(&greeting.line());
    let theirs = Greeting::of_line(&said.next().unwrap()).unwrap();
    let key = Key::new(KEY.trim_ascii().as_bytes()).unwrap();
    let session = Session::new(&key, End::Caller, &greeting, &theirs).unwrap();
    let Session { mut signer, .. } = session;
    let later = [r#""gust""#, r#"{"tides":[[1,{"high":true}]]}"#, r#""gust""#];
    let told = [r#"{"hello":{"name":"later"}}"#, r#""whole""#].into_iter();
    for word in [""]
        .into_iter()
        .chain(told)
        .chain(later)
        .chain([r#""told""#])
    {
        say(&signer.seal(word));
    }
    one.wait_for_log(LINKED);
    one.wait_for_log("what only that one understands is passed over; update this director");
    assert_eq!(one.times("is passed over"), 1);
    // What is no word of any version ends the link.
    say(&signer.seal(r#"{"over":1}"#));
    one.wait_for_log("it says something that is not to be understood");
    drop(two);
}

#[test]
fn a_peer_that_takes_calls_and_says_nothing_holds_up_nobody() {
    let world = World::new();
    let [mut one, two] = Director::pair(&world);
    let silent = TcpListener::bind(("127.0.0.1", two.port)).unwrap();
    one.start();
    let (_stream, _) = silent.accept().unwrap();
    world.fails();
    wait_until("the alert", SOON, || one.told() == 1);
    world.recovers();
    wait_until("the upalert", SOON, || one.told() == 2);
    one.wait_for_log("it did not introduce itself within 4 s");
}

#[test]
fn only_the_peers_address_may_call_and_only_where_it_is_said() {
    let world = World::new();
    let [mut one, two] = Director::pair(&world);
    one.configure(&format!(
        "peer = 127.0.0.9:{}\npeer_bind = 127.0.0.1:{}\n",
        two.port, one.port
    ));
    one.start();
    one.wait_for_log("the peer may call");
    let said = stranger(one.port, [Vec::new()]);
    assert_eq!(said, b"", "not even a greeting");
    one.wait_for_log("127.0.0.1 is not the peer's address");
    one.end(Signal::SIGTERM);
    // Without peer_bind nobody listens.
    one.configure(&format!("peer = 127.0.0.1:{}\n", two.port));
    one.start();
    one.wait_for_log("no link to the peer");
    assert!(TcpStream::connect(("127.0.0.1", one.port)).is_err());
}

/// Two that are linked: the first tells people, the second holds.
pub(super) fn active_and_standby(world: &World, relay: &Relay) -> [Director; 2] {
    roles(Director::pair(world), relay)
}

fn roles(pair: [Director; 2], relay: &Relay) -> [Director; 2] {
    roles_with(pair, relay, "mail_group_wait = 0s\n")
}

fn roles_with([mut one, mut two]: [Director; 2], relay: &Relay, more: &str) -> [Director; 2] {
    one.configure_mail_with(relay, &format!("{}{more}", link(&one, &two)));
    two.configure_mail_with(relay, &format!("{}{more}", link(&two, &one)));
    start_linked(&mut one, &mut two);
    [one, two]
}

/// Starts both; they are linked, and the first has the address.
pub(super) fn start_linked(one: &mut Director, two: &mut Director) {
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    one.role("master");
    two.role("backup");
}

pub(super) fn link(own: &Director, peer: &Director) -> String {
    format!(
        "peer = 127.0.0.1:{}\npeer_bind = 127.0.0.1:{}\n",
        peer.port, own.port
    )
}

/// Event ids that arrived, each as often as it did.
pub(super) fn ids(relay: &Relay) -> Vec<String> {
    let mails = relay.mails();
    let mut ids: Vec<String> = mails.iter().map(|it| it.header("X-Lvsmon-Event")).collect();
    ids.sort();
    ids
}

#[test]
fn what_the_active_told_the_standby_drops_and_never_tells() {
    if !have_relay("pair: what_the_active_told_the_standby_drops_and_never_tells") {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, two] = active_and_standby(&world, &relay);
    relay.hold_after(0);
    world.fails();
    wait_until("the program of the active one", SOON, || one.told() == 1);
    // The mail; of the program it was told.
    two.wait_to_hold(1);
    two.wait_for_log("alert held, the other director tells people");
    assert!(!two.log().contains("alert sent"), "{}", two.log());
    relay.release();
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    two.wait_to_hold(0);
    world.recovers();
    wait_until("the upalert", SOON, || relay.mails().len() == 2);
    wait_until("the program again", SOON, || one.told() == 2);
    wait_until("the standby to see it", SOON, || one.peer_has("0 outages"));
    two.wait_to_hold(0);
    one.end(Signal::SIGKILL);
    two.role("master");
    world.fails();
    wait_until("the next outage", SOON, || relay.mails().len() == 3);
    wait_until("its program", SOON, || two.told() == 1);
    let mut told = ids(&relay);
    told.dedup();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn an_active_that_dies_before_or_after_the_relay_accepted_loses_nothing() {
    if !have_relay("pair: an_active_that_dies_before_or_after_the_relay_accepted_loses_nothing") {
        return;
    }
    for is_before in [true, false] {
        let relay = Relay::start(&[]);
        let world = World::new();
        let [mut one, two] = active_and_standby(&world, &relay);
        relay.hold_after(0);
        world.fails();
        // The mail; of the program it was told.
        two.wait_to_hold(1);
        if is_before {
            one.end(Signal::SIGKILL);
            relay.release();
        } else {
            relay.release();
            wait_until("the mail", SOON, || relay.mails().len() == 1);
            one.end(Signal::SIGKILL);
        }
        two.role("master");
        wait_until("the failure", SOON, || !relay.mails().is_empty());
        world.recovers();
        let has_up = || ids(&relay).iter().any(|id| id.contains("/up/"));
        wait_until("its end", SOON, has_up);
        let all = ids(&relay);
        let mut unique = all.clone();
        unique.dedup();
        assert_eq!(unique.len(), 2, "{all:?}");
        assert!(all.len() <= 3, "one is told twice at most: {all:?}");
    }
}

#[test]
fn what_was_told_while_the_link_was_cut_is_dropped_later_and_nothing_is_lost() {
    let test = "pair: what_was_told_while_the_link_was_cut_is_dropped_later_and_nothing_is_lost";
    if !have_relay(test) {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [mut one, two] = active_and_standby(&world, &relay);
    world.fails();
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    wait_until("the standby to see it", SOON, || one.peer_has("1 outage"));
    two.wait_to_hold(0);
    two.wait_for_next(GONE, || one.cut(&two, &relay));
    world.recovers();
    wait_until("the upalert", SOON, || relay.mails().len() == 2);
    two.wait_to_hold(2);
    two.wait_for_next(LINKED, || one.heal(&two, &relay));
    two.wait_to_hold(0);
    // Once more, and this time the active one does not get it out.
    two.wait_for_next(GONE, || one.cut(&two, &relay));
    relay.hold_after(2);
    world.fails();
    two.wait_to_hold(2);
    one.end(Signal::SIGKILL);
    relay.release();
    two.role("master");
    let last = || two.log().matches("message delivered").count();
    wait_until("the one that was held", SOON, || last() == 1);
    let all = ids(&relay);
    let mut unique = all.clone();
    unique.dedup();
    assert!(unique.len() >= 3 && all.len() <= 4, "{all:?}");
}

/// An outage of the first one's world, told without a link and then found by the second in its own:
/// later, so that it gives it another number. The second, and the first outage of a daemon has the
/// one after its start at least.
fn found_while_cut([world, same]: [&World; 2], relay: &Relay) -> [Director; 2] {
    let [one, two] = roles(Director::pair_in([world, same]), relay);
    two.wait_for_next(GONE, || one.cut(&two, relay));
    world.fails();
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    wait_until("the program", SOON, || one.told() == 1);
    let found = Timestamp::now().as_second();
    let is_later = || Timestamp::now().as_second() > found + 1;
    wait_until("a later number", SOON, is_later);
    same.fails();
    two.wait_to_hold(2);
    [one, two]
}

#[test]
fn an_outage_that_both_found_while_the_link_was_cut_is_told_under_one_id() {
    if !have_relay("pair: an_outage_that_both_found_while_the_link_was_cut_is_told_under_one_id") {
        return;
    }
    let relay = Relay::start(&[]);
    let [world, same] = [World::new(), World::new()];
    let [mut one, two] = found_while_cut([&world, &same], &relay);
    one.heal(&two, &relay);
    two.wait_for_log("an outage has another number from now on");
    two.wait_to_hold(0);
    // Its end is of the same outage, whoever tells it.
    one.end(Signal::SIGKILL);
    two.role("master");
    same.recovers();
    wait_until("the upalert", SOON, || relay.mails().len() == 2);
    wait_until("its program", SOON, || two.told() == 1);
    let outage = |id: &String| id.rsplitn(3, '/').nth(2).map(str::to_owned);
    let all = ids(&relay);
    assert_eq!(outage(&all[0]), outage(&all[1]), "{all:?}");
    assert!(all[1].contains("/up/"), "{all:?}");
}

/// The standby's checks run ahead: what it has found and the active one has not is no event that
/// was told.
#[test]
fn what_only_the_standby_has_found_is_told_when_the_active_dies() {
    if !have_relay("pair: what_only_the_standby_has_found_is_told_when_the_active_dies") {
        return;
    }
    let relay = Relay::start(&[]);
    let (world, same) = (World::new(), World::new());
    let [mut one, two] = roles(Director::pair_in([&world, &same]), &relay);
    for (count, text) in [(1, "127.0.0.1"), (2, "127.0.0.1 slow")] {
        same.fails_with(text);
        two.wait_to_hold(2);
        world.fails_with(text);
        wait_until("the mail", SOON, || relay.mails().len() == count);
        two.wait_to_hold(0);
    }
    same.fails_with("127.0.0.1 slower");
    two.wait_to_hold(2);
    one.end(Signal::SIGKILL);
    two.role("master");
    wait_until("the third mail", SOON, || relay.mails().len() == 3);
    let mut all = ids(&relay);
    all.dedup();
    assert_eq!(all.len(), 3, "{all:?}");
}

/// Whether the standby has seen the end when the link is back, or still waits for it.
#[test]
fn an_outage_that_was_over_before_the_link_is_back_is_told_under_one_id() {
    if !have_relay("pair: an_outage_that_was_over_before_the_link_is_back_is_told_under_one_id") {
        return;
    }
    for is_over in [true, false] {
        let relay = Relay::start(&[]);
        let [world, same] = [World::new(), World::new()];
        let [mut one, two] = found_while_cut([&world, &same], &relay);
        // Both see that it fails; now it is over, which the standby finds sooner or later.
        world.recovers();
        wait_until("the upalert", SOON, || relay.mails().len() == 2);
        wait_until("its program", SOON, || one.told() == 2);
        if is_over {
            same.recovers();
            two.wait_to_hold(4);
        }
        one.heal(&two, &relay);
        two.wait_for_log("an outage has another number from now on");
        two.wait_to_hold(0);
        // Nothing of it is told any more, nor its end: the next one is.
        one.end(Signal::SIGKILL);
        two.role("master");
        if !is_over {
            same.recovers();
            let up = || two.log().matches("service up").count() == 1;
            wait_until("its end", SOON, up);
        }
        same.fails();
        wait_until("the next outage", SOON, || relay.mails().len() >= 3);
        wait_until("its program", SOON, || two.told() >= 1);
        let outage = |id: &String| id.rsplitn(3, '/').nth(2).map(str::to_owned);
        let all = ids(&relay);
        let mut outages: Vec<_> = all.iter().map(outage).collect();
        outages.dedup();
        assert_eq!((all.len(), outages.len(), two.told()), (3, 2, 1), "{all:?}");
    }
}

#[test]
fn a_frozen_active_that_wakes_tells_nothing_that_the_other_one_has_told() {
    if !have_relay("pair: a_frozen_active_that_wakes_tells_nothing_that_the_other_one_has_told") {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let [one, two] = roles_with(Director::pair(&world), &relay, "mail_group_wait = 5s\n");
    world.fails();
    wait_until("the active to see it", SOON, || two.peer_has("1 outage"));
    two.wait_to_hold(1);
    // Its mail waits for more of them.
    two.wait_for_next(GONE, || {
        one.signal(Signal::SIGSTOP);
        two.role("master");
    });
    wait_until("the mail", SOON, || relay.mails().len() == 1);
    two.wait_for_next(LINKED, || {
        one.signal(Signal::SIGCONT);
        one.role("backup");
    });
    one.wait_to_hold(0);
    world.recovers();
    wait_until("the upalert", SOON, || relay.mails().len() >= 2);
    wait_until("the other to see it", SOON, || two.peer_has("0 outages"));
    one.wait_to_hold(0);
    let all = ids(&relay);
    let mut unique = all.clone();
    unique.dedup();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(unique.len(), 2, "{all:?}");
    assert!(one.log().contains("this director stood still"));
}

#[test]
fn where_the_standby_is_to_speak_and_dies_the_active_does() {
    if !have_relay("pair: where_the_standby_is_to_speak_and_dies_the_active_does") {
        return;
    }
    let relay = Relay::start(&[]);
    let world = World::new();
    let more = "mail_group_wait = 0s\nspeak = standby\n";
    let [mut one, two] = roles_with(Director::pair(&world), &relay, more);
    one.end(Signal::SIGKILL);
    two.role("master");
    world.fails();
    wait_until("the failure", SOON, || relay.mails().len() == 1);
    let shown = two.shown();
    let expected = "speak = standby: this director tells people, because the peer is gone";
    assert!(shown.contains(expected), "{shown}");
    // Back, and the standby by now.
    one.start();
    one.wait_for_log(LINKED);
    one.role("backup");
    wait_until("the active to be silent", SOON, || {
        two.shown().contains("this director holds its messages")
    });
    wait_until("the standby to see it", SOON, || two.peer_has("1 outage"));
    world.recovers();
    wait_until("the upalert", SOON, || relay.mails().len() == 2);
    let mut all = ids(&relay);
    all.dedup();
    assert_eq!(all.len(), 2, "{all:?}");
}
