use std::net::UdpSocket;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU8, AtomicUsize};

use super::servers::{FRESH_MAX, FRESH_MIN};
use super::*;
use crate::logged::lines;
use crate::names::servers::Found;

/// What the name server in a test does.
const ANSWERS: u8 = 0;
const DENIES: u8 = 1;
const SILENT: u8 = 2;
const ONLY_V6_FAILS: u8 = 3;
const ANSWERS_FOR_A_DAY: u8 = 4;
const ONLY_V6_IS_SILENT: u8 = 5;
const ANSWERS_LATE: u8 = 6;

/// How late that is: two questions come one after the other.
const LATE: Duration = Duration::from_millis(1_100);

/// A name server on loopback: every name has 10.0.0.7 and fd00::7, for one second or a day.
struct Server {
    address: SocketAddr,
    manner: Arc<AtomicU8>,
    questions: Arc<AtomicUsize>,
}

impl Server {
    fn start(manner: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let manner = Arc::new(AtomicU8::new(manner));
        let questions = Arc::new(AtomicUsize::new(0));
        let (how, count) = (Arc::clone(&manner), Arc::clone(&questions));
        #[expect(
            clippy::disallowed_methods,
            reason = "a name server that is slow, in a thread of its own"
        )]
        std::thread::spawn(move || {
            let mut packet = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                count.fetch_add(1, SeqCst);
                let manner = how.load(SeqCst);
                if manner == ANSWERS_LATE {
                    std::thread::sleep(LATE);
                }
                if let Some(answer) = answer(&packet[..length], manner) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self {
            address,
            manner,
            questions,
        }
    }
}

/// Builds the answer to a question packet (RFC 1035 section 4).
fn answer(question: &[u8], manner: u8) -> Option<Vec<u8>> {
    if manner == SILENT {
        return None;
    }
    let name = question[12..].iter().position(|byte| *byte == 0)? + 13;
    let is_v6 = question[name + 1] == 28;
    if (manner, is_v6) == (ONLY_V6_IS_SILENT, true) {
        return None;
    }
    let code = match (manner, is_v6) {
        (DENIES, _) => 3,
        (ONLY_V6_FAILS, true) => 2,
        _ => 0,
    };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(code == 0), 0, 0, 0, 0]);
    answer.extend(&question[12..name + 4]);
    if code == 0 {
        let address: Vec<u8> = if is_v6 {
            "fd00::7"
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets()
                .into()
        } else {
            vec![10, 0, 0, 7]
        };
        answer.extend([0xc0, 12, 0, question[name + 1], 0, 1]);
        let lifetime: u32 = match manner {
            ANSWERS_FOR_A_DAY => 86_400,
            _ => 1,
        };
        answer.extend(lifetime.to_be_bytes());
        answer.extend([0, u8::try_from(address.len()).unwrap()]);
        answer.extend(address);
    }
    Some(answer)
}

struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new(manner: u8) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::start(manner),
        };
        place.write("hosts", "192.0.2.1 web1 # a comment\n");
        place.write(
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        );
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn names(&self) -> Names {
        Names::with(self.sources())
    }

    fn sources(&self) -> Sources {
        Sources {
            hosts: self.folder.path().join("hosts"),
            resolver: self.folder.path().join("resolv.conf"),
            servers: vec![self.server.address],
        }
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

fn addresses(answer: &Result<Answer, NameError>) -> Vec<String> {
    let answer = answer.as_ref().unwrap();
    answer.addresses.iter().map(IpAddr::to_string).collect()
}

/// Makes the clock of a resolver look as if this span had passed.
fn age(names: &Names, span: Duration) {
    let mut state = names.inner.state();
    let back = |moment: Mono| {
        let span = u64::try_from(span.as_micros()).unwrap();
        Mono::from_micros(moment.as_micros().saturating_sub(span))
    };
    state.looked = back(state.looked);
    for slot in state.known.values_mut() {
        if let Some(good) = &mut slot.good {
            good.until = back(good.until);
        }
        if let Some((_, until)) = &mut slot.failed {
            *until = back(*until);
        }
    }
}

/// Answers at least five seconds old are asked for again.
const OLD: Duration = Duration::from_secs(7_200);

#[test]
fn literals_are_answered_at_once_and_nothing_is_asked() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        for (host, expected) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::1", "::1"),
            ("[fd00::1]", "fd00::1"),
        ] {
            assert_eq!(addresses(&names.lookup(host).await), [expected]);
        }
        assert!(names.lookup("[10.1.2.3]").await.is_err());
    });
}

#[test]
fn the_hosts_file_comes_first() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        assert_eq!(addresses(&names.lookup("WEB1.").await), ["192.0.2.1"]);
        assert_eq!(place.server.questions.load(SeqCst), 0);
    });
}

#[test]
fn an_edit_of_the_hosts_file_is_seen_without_help() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
        place.write("hosts", "192.0.2.100 web1\n");
        let limit = Clock::start();
        while addresses(&names.lookup("web1").await) != ["192.0.2.100"] {
            assert!(limit.now().mono < Mono::from_micros(10_000_000), "never");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_look_up_that_no_server_answers_ends_with_what_the_hosts_file_says_by_then() {
    let place = Place::new(SILENT);
    // Nothing but the hosts file ends it before its ten seconds are over.
    let patient = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
    place.write("resolv.conf", patient);
    run(async {
        let names = place.names();
        let edited = async {
            let limit = Clock::start();
            while place.server.questions.load(SeqCst) == 0 {
                assert!(limit.now().mono < Mono::from_micros(10_000_000), "never");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            place.write("hosts", "192.0.2.9 web9.test\n");
        };
        let (answer, ()) = tokio::join!(names.lookup("Web9.test."), edited);
        assert_eq!(addresses(&answer), ["192.0.2.9"]);
        assert_eq!(answer.unwrap().kept_because, None);
    });
}

#[test]
fn what_servers_say_of_a_name_that_the_hosts_file_has_by_then_counts_for_nothing() {
    let place = Place::new(SILENT);
    let names = place.names();
    let told = lines(|| {
        run(async {
            names.remember("web1", "10.0.0.99".parse().unwrap());
            assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
            let silent = Outcome::NoAnswer("silence".to_owned());
            names.inner.learn("web1", silent);
            let found = Outcome::Found(Found {
                addresses: vec!["10.0.0.7".parse().unwrap()],
                lifetime: OLD,
                silent: None,
            });
            names.inner.learn("web1", found);
            for _ in 0..DENIALS {
                let denied = Outcome::NoSuchName("no such name".to_owned());
                names.inner.learn("web1", denied);
            }
        });
    });
    assert_eq!(told, Vec::<String>::new());
    run(async {
        place.write("hosts", "");
        names.inner.read_files().await;
        let kept = names.lookup("web1").await;
        assert_eq!(addresses(&kept), ["192.0.2.1"]);
        assert!(kept.unwrap().kept_because.is_some(), "it says so");
    });
}

#[test]
fn a_name_that_the_hosts_file_loses_keeps_its_last_address_for_a_minute() {
    for manner in [DENIES, SILENT] {
        let place = Place::new(manner);
        run(async {
            let names = place.names();
            // That of an earlier life is older than what the file says.
            names.remember("web1", "10.0.0.99".parse().unwrap());
            assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
            place.write("hosts", "");
            names.inner.read_files().await;
            for _ in 1..DENIALS {
                let kept = names.lookup("web1").await;
                assert_eq!(addresses(&kept), ["192.0.2.1"]);
                assert!(kept.unwrap().kept_because.is_some(), "it says so");
                if manner == SILENT {
                    return;
                }
                age(&names, OLD);
            }
            assert!(names.lookup("web1").await.is_err());
            place.write("hosts", "192.0.2.1 web1\n");
            names.inner.read_files().await;
            assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
            place.write("hosts", "");
            names.inner.read_files().await;
            assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
        });
    }
}

#[test]
fn name_servers_are_asked_once_for_many_callers() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        let both = tokio::join!(names.lookup("web7.test"), names.lookup("web7.test"));
        assert_eq!(addresses(&both.0), ["10.0.0.7", "fd00::7"]);
        assert_eq!(addresses(&both.1), ["10.0.0.7", "fd00::7"]);
        let again = names.lookup("web7.test").await.unwrap();
        assert_eq!(again.kept_because, None);
        assert!(again.fresh_for <= FRESH_MIN && again.fresh_for > Duration::ZERO);
        assert_eq!(place.server.questions.load(SeqCst), 2, "one A and one AAAA");
        age(&names, OLD);
        names.lookup("web7.test").await.unwrap();
        assert_eq!(place.server.questions.load(SeqCst), 4);
    });
}

#[test]
fn an_answer_for_a_day_is_asked_for_again_within_a_minute() {
    let place = Place::new(ANSWERS_FOR_A_DAY);
    run(async {
        let names = place.names();
        let answer = names.lookup("web7.test").await.unwrap();
        assert!(answer.fresh_for <= FRESH_MAX && answer.fresh_for > FRESH_MIN);
        age(&names, FRESH_MAX);
        names.lookup("web7.test").await.unwrap();
        assert_eq!(place.server.questions.load(SeqCst), 4, "twice A and AAAA");
    });
    assert_eq!(FRESH_MAX, Duration::from_secs(60));
}

#[test]
fn an_answer_that_is_doubted_is_asked_for_again() {
    let place = Place::new(ANSWERS_FOR_A_DAY);
    run(async {
        let names = place.names();
        let look = async || {
            names.doubt(["web7.test"].into_iter()).await;
            names.lookup_to_its_end("web7.test").await.unwrap();
            place.server.questions.load(SeqCst)
        };
        assert_eq!(look().await, 2, "A and AAAA");
        assert_eq!(look().await, 4);
        // Who was silent just now is not asked again for each doubt.
        place.server.manner.store(SILENT, SeqCst);
        let first = look().await;
        assert_eq!(look().await, first);
        let kept = names.lookup_to_its_end("web7.test").await.unwrap();
        assert!(kept.kept_because.is_some());
        place.write("hosts", "192.0.2.9 web7.test\n");
        look().await;
        let told = names.lookup_to_its_end("web7.test").await;
        assert_eq!(
            addresses(&told),
            ["192.0.2.9"],
            "the file is looked at at once"
        );
    });
}

#[test]
fn what_is_told_is_not_looked_up() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        let there = Lead::To(vec!["10.0.0.99".parse().unwrap()]);
        let led = names.clone().led([("web7.test".into(), there)].into());
        assert_eq!(addresses(&led.lookup("web7.test").await), ["10.0.0.99"]);
        assert_eq!(place.server.questions.load(SeqCst), 0);
        let usual = names.lookup("web7.test").await;
        assert_eq!(addresses(&usual), ["10.0.0.7", "fd00::7"]);
    });
}

#[test]
fn the_last_good_answer_stays_while_the_server_is_gone() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        names.lookup("web7.test").await.unwrap();
        place.server.manner.store(SILENT, SeqCst);
        age(&names, OLD);
        let kept = names.lookup("web7.test").await;
        assert_eq!(addresses(&kept), ["10.0.0.7", "fd00::7"]);
        assert!(
            kept.unwrap().kept_because.is_some(),
            "it says that it is old"
        );
        let unknown = names.lookup("web8.test").await.unwrap_err();
        assert_eq!(unknown.name, "web8.test");
        place.server.manner.store(ANSWERS, SeqCst);
        age(&names, OLD);
        // The look-up that the silence held up may still be under way.
        let limit = Clock::start();
        loop {
            let answer = names.lookup("web7.test").await.unwrap();
            if answer.kept_because.is_none() {
                break;
            }
            assert!(limit.now().mono < Mono::from_micros(20_000_000), "never");
            age(&names, OLD);
        }
    });
}

#[test]
fn an_address_of_an_earlier_life_serves_only_while_no_server_answers() {
    let place = Place::new(SILENT);
    run(async {
        let names = place.names();
        names.remember("Web7.test.", "10.0.0.99".parse().unwrap());
        let kept = names.lookup("web7.test").await;
        assert_eq!(addresses(&kept), ["10.0.0.99"]);
        assert!(kept.unwrap().kept_because.is_some(), "it says so");
    });
    place.server.manner.store(ANSWERS, SeqCst);
    run(async {
        let names = place.names();
        names.remember("web7.test", "10.0.0.99".parse().unwrap());
        let fresh = names.lookup("web7.test").await;
        assert_eq!(addresses(&fresh), ["10.0.0.7", "fd00::7"]);
        // What is known now is not mixed with what was.
        names.remember("web7.test", "10.0.0.99".parse().unwrap());
        let fresh = names.lookup("web7.test").await;
        assert_eq!(addresses(&fresh), ["10.0.0.7", "fd00::7"]);
    });
}

#[test]
fn who_waits_for_the_end_of_a_look_up_is_given_no_old_answer_before() {
    let place = Place::new(SILENT);
    run(async {
        let names = place.names();
        names.remember("web7.test", "10.0.0.99".parse().unwrap());
        let others = async {
            let kept = names.lookup("web7.test").await;
            place.server.manner.store(ANSWERS, SeqCst);
            kept
        };
        let (kept, fresh) = tokio::join!(others, names.lookup_to_its_end("web7.test"));
        assert_eq!(addresses(&kept), ["10.0.0.99"]);
        assert_eq!(addresses(&fresh), ["10.0.0.7", "fd00::7"]);
    });
}

#[test]
fn a_denial_between_two_answers_costs_nothing() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        for manner in [ANSWERS, DENIES, ANSWERS, DENIES, ANSWERS] {
            place.server.manner.store(manner, SeqCst);
            let answer = names.lookup("web7.test").await;
            assert_eq!(addresses(&answer), ["10.0.0.7", "fd00::7"]);
            age(&names, OLD);
        }
    });
}

#[test]
fn the_second_server_is_asked_where_the_first_one_is_silent() {
    let (place, second) = (Place::new(SILENT), Server::start(ANSWERS));
    run(async {
        let mut sources = place.sources();
        sources.servers.push(second.address);
        let names = Names::with(sources);
        let answer = names.lookup("web7.test").await;
        assert_eq!(addresses(&answer), ["10.0.0.7", "fd00::7"]);
        assert_eq!(answer.unwrap().kept_because, None);
        assert!(place.server.questions.load(SeqCst) > 0);
    });
}

#[test]
fn a_slow_server_is_waited_for_as_long_as_resolv_conf_says() {
    let (place, second) = (Place::new(ANSWERS_LATE), Server::start(DENIES));
    run(async {
        let mut sources = place.sources();
        sources.servers.push(second.address);
        place.write(
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:4 attempts:5\n",
        );
        let answer = Names::with(sources).lookup("web7.test").await;
        assert_eq!(addresses(&answer), ["10.0.0.7", "fd00::7"]);
    });
    assert_eq!(second.questions.load(SeqCst), 0);
}

#[test]
fn the_second_server_is_asked_only_where_the_first_one_says_nothing() {
    let (place, second) = (Place::new(ANSWERS), Server::start(DENIES));
    run(async {
        let mut sources = place.sources();
        sources.servers.push(second.address);
        for round in 0..10 {
            let names = Names::with(sources.clone());
            let answer = names.lookup("web7.test").await;
            assert_eq!(addresses(&answer), ["10.0.0.7", "fd00::7"], "round {round}");
        }
    });
    assert_eq!(second.questions.load(SeqCst), 0);
}

#[test]
fn a_name_that_no_longer_exists_loses_its_addresses() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        names.lookup("web7.test").await.unwrap();
        place.server.manner.store(DENIES, SeqCst);
        age(&names, OLD);
        // A few may be answers of a server that knows less.
        for _ in 1..DENIALS {
            let kept = names.lookup("web7.test").await;
            assert_eq!(addresses(&kept), ["10.0.0.7", "fd00::7"]);
            assert!(kept.unwrap().kept_because.is_some(), "it says so");
            age(&names, OLD);
        }
        let error = names.lookup("web7.test").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot resolve \"web7.test\": the name servers know no address of it"
        );
        let asked = place.server.questions.load(SeqCst);
        names.lookup("web7.test").await.unwrap_err();
        assert_eq!(
            place.server.questions.load(SeqCst),
            asked,
            "a failure stands for a moment"
        );
    });
}

#[test]
fn where_one_family_is_not_answered_the_other_one_is_known_all_the_same() {
    for manner in [ONLY_V6_FAILS, ONLY_V6_IS_SILENT] {
        let place = Place::new(manner);
        run(async {
            let names = place.names();
            for _ in 0..3 {
                let answer = names.lookup_to_its_end("web7.test").await;
                assert_eq!(addresses(&answer), ["10.0.0.7"]);
                let answer = answer.unwrap();
                assert_eq!(answer.kept_because, None, "{manner}: no outage");
                assert!(answer.fresh_for <= RETRY_AFTER, "{manner}");
                age(&names, OLD);
            }
        });
    }
}

#[test]
fn of_a_family_that_is_not_answered_what_is_known_stays() {
    let place = Place::new(ONLY_V6_FAILS);
    run(async {
        let names = place.names();
        let known: [IpAddr; 2] = ["10.0.0.6", "fd00::6"].map(|it| it.parse().unwrap());
        for address in known {
            names.remember("web7.test", address);
        }
        let answer = names.lookup_to_its_end("web7.test").await;
        assert_eq!(addresses(&answer), ["10.0.0.7", "fd00::6"]);
        assert_eq!(answer.unwrap().kept_family, Some(Family::V6));
    });
}

#[test]
fn a_second_server_takes_away_nothing_that_the_first_one_knows() {
    let (place, second) = (Place::new(ONLY_V6_FAILS), Server::start(DENIES));
    run(async {
        let mut sources = place.sources();
        sources.servers.push(second.address);
        let names = Names::with(sources);
        assert_eq!(addresses(&names.lookup("web7.test").await), ["10.0.0.7"]);
    });
}

#[test]
fn of_a_name_that_is_looked_for_in_one_family_the_other_is_not_heard_of() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        let of = |name: &str, family| {
            names
                .clone()
                .led([(name.into(), Lead::Within(family))].into())
        };
        let both = names.lookup("web7.test").await;
        assert_eq!(addresses(&both), ["10.0.0.7", "fd00::7"]);
        for (family, address) in [(Family::V4, "10.0.0.7"), (Family::V6, "fd00::7")] {
            let found = of("web7.test", family).lookup("web7.test").await;
            assert_eq!(addresses(&found), [address]);
        }
        let error = of("web1", Family::V6).lookup("web1").await.unwrap_err();
        let words = "cannot resolve \"web1\": it has no IPv6 address";
        assert_eq!(error.to_string(), words);
    });
}

#[test]
fn without_a_resolver_the_hosts_file_still_works() {
    let place = Place::new(ANSWERS);
    std::fs::remove_file(place.folder.path().join("resolv.conf")).unwrap();
    run(async {
        let names = place.names();
        assert_eq!(addresses(&names.lookup("web1").await), ["192.0.2.1"]);
        let error = names.lookup("web7.test").await.unwrap_err();
        assert!(error.why.contains("no name server is known"), "{error}");
        place.write("resolv.conf", "nameserver 127.0.0.1\n");
        names.inner.read_files().await;
        names.lookup("web7.test").await.unwrap();
    });
}

#[test]
fn what_cannot_be_a_name_is_refused_without_asking() {
    let place = Place::new(ANSWERS);
    run(async {
        let names = place.names();
        for host in ["", "a b", "http://web1/", "a\nb", &"x".repeat(300)] {
            assert!(names.lookup(host).await.is_err(), "{host}");
        }
        assert_eq!(place.server.questions.load(SeqCst), 0);
    });
}

#[test]
fn silence_about_many_names_that_have_an_answer_is_a_few_lines() {
    let place = Place::new(SILENT);
    let told = lines(|| {
        run(async {
            let names = place.names();
            for at in 0..20_u8 {
                let name = format!("web{at}.test");
                names.remember(&name, IpAddr::from([10, 0, 0, at]));
                let silent = Outcome::NoAnswer("silence".to_owned());
                names.inner.learn(&name, silent);
            }
        });
    });
    let is_of_silence = |text: &&String| text.contains("no answer, the last good one is kept");
    let said = told.iter().filter(is_of_silence);
    assert_eq!(said.count(), 5, "{told:?}");
}
