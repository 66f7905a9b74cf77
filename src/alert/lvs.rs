//! `lvs.alert` and `ipvs.alert` as programs of their own, called by mon itself or by a person.
//!
//! One call knows one outage only, so it is what the classic scripts are, without their traps
//! it wants one small part of a table, compares, and
//! changes what differs. Only failures, traps, missed traps and recoveries act; all other
//! kinds print that there is nothing to do. Without `-R` the hosts that the summary names go,
//! and all of mon's hosts (`-h`) come back.
//!
//! [`edit`] and [`Edit::desired`] decide, [`standalone`] carries out. The table is the
//! kernel's through netlink; `LVSMON_IPVS_BACKEND=ipvsadm|memory` names another, the one in
//! memory under `MON_STATEDIR`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::alert::standalone::StandaloneError;
use crate::engine::event::AlertKind;
use crate::engine::verdict;
use crate::ipvs::Backend;
use crate::lvs::diff::{diff, missing};
use crate::lvs::{
    Command, Desired, DesiredService, Family, RealServer, RealServerKey, ServerWish, ServiceWish,
    Strangers, VirtualService, VirtualServiceKey,
};
use crate::model::{HostName, IpvsBackend};
use crate::names::Names;
use crate::options::OptionErrors;
use crate::options::lvs::{LvsOptions, Sense, Takes, check_limits};
use crate::options::words::{Word, words};

/// How it is used.
pub(super) const USAGE: &str = "lvs [-P tcp|udp|sctp|fwm] -V ADDRESS:PORT|MARK [-R HOST[:PORT]] [-p PORT] [-W WEIGHT] [-F nat|tun|dr] [-B [-S SCHEDULER]] [-D] [-u] [-6]";

/// mon's marks beside our own letters; `u` and `D` are both.
const MARKS: &str = "s:g:h:t:l:aTO";

/// What one call does to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edit {
    /// The table stays as it is, for this reason.
    Nothing(String),
    /// The whole virtual service goes (`-D`).
    DeleteService(VirtualServiceKey),
    /// These hosts go.
    Out(VirtualServiceKey, Vec<HostName>, u16),
    /// These hosts come, with these settings; the virtual service is made with the scheduler.
    In(Box<LvsOptions>, Vec<HostName>),
}

/// Why a call cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// Words are wrong.
    Words(OptionErrors),
    /// The words are right, but they do not say what to do here.
    Unclear(String),
}

/// Reads the call: words, `MON_ALERTTYPE` where mon sets it, and the summary.
fn edit(args: &[String], alert_type: Option<&str>, stdin: &[u8]) -> Result<Edit, Fault> {
    let letters = format!("{MARKS}{}", LvsOptions::LETTERS);
    let found = words(args, &letters).map_err(Fault::Words)?;
    let has = |letter| found.iter().any(|(_, word)| *word == Word::Flag(letter));
    // Without the variable nobody but the caller says -D, so it is our own option (D11).
    let kind = match alert_type.filter(|word| !word.is_empty()) {
        Some(word) => AlertKind::of(word)
            .ok_or_else(|| Fault::Unclear(format!("MON_ALERTTYPE={word} is not known")))?,
        None if has('u') => AlertKind::Up,
        None if has('T') => AlertKind::Trap,
        None if has('O') => AlertKind::TrapTimeout,
        None if has('a') => AlertKind::Ack,
        None => AlertKind::Failure,
    };
    let options = LvsOptions::from_words(&found, args.len()).map_err(Fault::Words)?;
    let adds = kind == AlertKind::Up || options.sense == Sense::Adds;
    if !kind.is_problem() && kind != AlertKind::Up {
        let text = format!("an alert of kind {} changes no table", kind.word());
        return Ok(Edit::Nothing(text));
    }
    if !adds && options.takes == Takes::VirtualService {
        return Ok(Edit::DeleteService(options.virtual_service));
    }
    let members = found.iter().find_map(|(_, word)| match *word {
        Word::Value('h', hosts) => Some(hosts),
        Word::Value(..) | Word::Flag(_) | Word::Plain(_) => None,
    });
    let hosts = hosts(&options, members, adds, stdin).map_err(Fault::Unclear)?;
    if adds {
        return Ok(Edit::In(Box::new(options), hosts));
    }
    let port = options.real_port();
    Ok(Edit::Out(options.virtual_service, hosts, port))
}

/// `-R`, or of mon's hosts those that fail, or all where they recover.
fn hosts(
    options: &LvsOptions,
    members: Option<&str>,
    adds: bool,
    stdin: &[u8],
) -> Result<Vec<HostName>, String> {
    if let Some(real) = &options.real {
        return Ok(vec![HostName::new(&real.host)]);
    }
    let members: Vec<HostName> = members
        .unwrap_or_default()
        .split_whitespace()
        .map(HostName::new)
        .collect();
    if members.is_empty() {
        return Err("which real server? Write -R HOST, or -h \"HOST...\" as mon does".to_owned());
    }
    if adds {
        return Ok(members);
    }
    let named: Vec<HostName> = verdict::named(stdin, &members)
        .into_iter()
        .cloned()
        .collect();
    if named.is_empty() {
        return Err(
            "the summary names none of the hosts, so no real server is taken out; write -R HOST"
                .to_owned(),
        );
    }
    Ok(named)
}

impl Edit {
    /// The host words to look up, and for which family.
    fn hosts(&self) -> (&[HostName], Family) {
        match self {
            Self::Nothing(_) => (&[], Family::V4),
            Self::DeleteService(key) => (&[], key.family()),
            Self::Out(key, hosts, _) => (hosts, key.family()),
            Self::In(options, hosts) => (hosts, options.virtual_service.family()),
        }
    }

    /// The part of the table that is wanted; `addresses` are those of [`Edit::hosts`].
    fn desired(&self, addresses: &[IpAddr]) -> Result<Desired, String> {
        let servers = |port: u16, wish: ServerWish| {
            let key = |&address: &IpAddr| RealServerKey(SocketAddr::new(address, port));
            addresses.iter().map(|it| (key(it), wish)).collect()
        };
        let (key, wanted) = match self {
            Self::Nothing(_) => return Ok(Desired::new()),
            Self::DeleteService(key) => {
                let servers = BTreeMap::new();
                let service = ServiceWish::Absent;
                (
                    *key,
                    DesiredService {
                        service,
                        servers,
                        strangers: Strangers::Ignored,
                    },
                )
            }
            Self::Out(key, _, port) => {
                let servers = servers(*port, ServerWish::Out);
                let service = ServiceWish::Foreign;
                (
                    *key,
                    DesiredService {
                        service,
                        servers,
                        strangers: Strangers::Ignored,
                    },
                )
            }
            Self::In(options, _) => {
                let key = options.virtual_service;
                let forwarding = options.forwarding;
                let forwarding = forwarding.unwrap_or(LvsOptions::DEFAULT_FORWARDING);
                let weight = options.weight.unwrap_or(LvsOptions::DEFAULT_WEIGHT);
                for &address in addresses {
                    check_limits(key, forwarding, Some(address), options.real_port())?;
                }
                let settings = RealServer::new(forwarding, weight);
                let service = match &options.creates {
                    Some(scheduler) => {
                        let scheduler = scheduler.clone();
                        ServiceWish::Present(VirtualService::plain(key.family(), scheduler))
                    }
                    None => ServiceWish::Foreign,
                };
                let servers = servers(options.real_port(), ServerWish::In(settings));
                (
                    key,
                    DesiredService {
                        service,
                        servers,
                        strangers: Strangers::Ignored,
                    },
                )
            }
        };
        Ok(Desired::from([(key, wanted)]))
    }
}

/// Carries one call out, once: lists, compares, changes.
///
/// # Errors
///
/// Wrong words; names without exactly one address; a table that cannot be read or changed; a
/// virtual service that is missing where a real server is to enter without `-B`.
pub(super) async fn standalone(
    args: &[String],
    environment: &BTreeMap<String, String>,
    stdin: &[u8],
) -> Result<(), StandaloneError> {
    let alert_type = environment.get("MON_ALERTTYPE").map(String::as_str);
    let edit = edit(args, alert_type, stdin).map_err(|fault| match fault {
        Fault::Words(error) => {
            StandaloneError::Usage(format!("{error}\nusage: lvsmon alert {USAGE}"))
        }
        Fault::Unclear(why) => StandaloneError::Failed(why),
    })?;
    let mut backend = backend(environment)?;
    if let Edit::Nothing(why) = &edit {
        say(&format!("nothing to do: {why}"));
        return Ok(());
    }
    let addresses = look_up(edit.hosts()).await?;
    let desired = edit.desired(&addresses).map_err(StandaloneError::Failed)?;
    let table = backend
        .list_where(|key| desired.contains_key(key))
        .await
        .map_err(|error| StandaloneError::Failed(error.to_string()))?;
    if let Some(key) = missing(&desired, &table).first()
        && let Edit::In(..) = edit
    {
        return Err(StandaloneError::Failed(format!(
            "virtual service {key} is not in the table; make it first, or let -B make it"
        )));
    }
    let commands = diff(&desired, &table);
    let (made, outcome) = carry_out(&mut backend, &commands).await;
    for command in made {
        say(&command.to_string());
    }
    outcome.map_err(StandaloneError::Failed)
}

/// Makes changes up to the first one that is refused: those that are made, and what went wrong.
async fn carry_out<'a>(
    backend: &mut Backend,
    commands: &'a [Command],
) -> (&'a [Command], Result<(), String>) {
    let mut made = 0;
    let mut outcome = Ok(());
    for command in commands {
        if let Err(error) = backend.apply(command).await {
            outcome = Err(error.to_string());
            break;
        }
        made += 1;
    }
    // Also after a refusal: what came before it is made, as in a kernel.
    if let Err(refusal) = backend.settle() {
        return (&[], outcome.and(Err(refusal.to_string())));
    }
    (commands.get(..made).unwrap_or_default(), outcome)
}

fn backend(environment: &BTreeMap<String, String>) -> Result<Backend, StandaloneError> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let kind = match variable("LVSMON_IPVS_BACKEND") {
        Some(word) => word.parse().map_err(|help| {
            StandaloneError::Usage(format!("LVSMON_IPVS_BACKEND={word}: {help}"))
        })?,
        None => IpvsBackend::default(),
    };
    let statedir = match (kind, variable("MON_STATEDIR")) {
        (_, Some(statedir)) => PathBuf::from(statedir),
        (IpvsBackend::Netlink | IpvsBackend::Ipvsadm, None) => PathBuf::new(),
        (IpvsBackend::Memory, None) => {
            return Err(StandaloneError::Usage(
                "LVSMON_IPVS_BACKEND=memory keeps its table in MON_STATEDIR, which is not set"
                    .to_owned(),
            ));
        }
    };
    Ok(Backend::open(kind, &statedir))
}

/// The one address of each host in this family.
async fn look_up((hosts, family): (&[HostName], Family)) -> Result<Vec<IpAddr>, StandaloneError> {
    let mut addresses = Vec::new();
    let names = Names::system();
    for host in hosts {
        let address = match host.as_str().parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => {
                let answer = names.lookup(host.as_str()).await;
                let answer = answer.map_err(|error| StandaloneError::Failed(error.to_string()))?;
                one_address(host, &answer.addresses, family).map_err(StandaloneError::Failed)?
            }
        };
        addresses.push(address);
    }
    Ok(addresses)
}

fn one_address(host: &HostName, all: &[IpAddr], family: Family) -> Result<IpAddr, String> {
    let mut fitting: Vec<IpAddr> = all.to_vec();
    fitting.retain(|&address| Family::of(address) == family);
    fitting.sort_unstable();
    fitting.dedup();
    match fitting.as_slice() {
        [address] => Ok(*address),
        [] => Err(format!(
            "{host} has no address of the virtual service's family; write the address with -R"
        )),
        several => Err(format!(
            "{host} has {} addresses, a real server has one; write the address with -R",
            several.len()
        )),
    }
}

fn say(line: &str) {
    // A closed pipe is no fault: the change is made.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::Table;
    use crate::lvs::replay::apply;

    const HOWTO: &str = "-P tcp -V 10.0.0.3:80 -R 192.168.0.1 -W 5 -F dr";

    /// mon's own words, the kind's mark, and those of the file.
    fn call(kind: &str, own: &str, summary: &str) -> Result<Edit, Fault> {
        let mark = [
            ("up", "-u"),
            ("ack", "-a"),
            ("disable", "-D"),
            ("trap", "-T"),
            ("traptimeout", "-O"),
        ];
        let mut args: Vec<String> = ["-s", "http", "-g", "www", "-h", "w1 w2", "-t", "17"]
            .map(str::to_owned)
            .to_vec();
        let mark = mark.iter().find(|(word, _)| *word == kind);
        args.extend(mark.map(|(_, mark)| (*mark).to_owned()));
        args.extend(own.split(' ').map(str::to_owned));
        edit(&args, Some(kind), summary.as_bytes())
    }

    /// The commands for an empty virtual service, or one with 192.168.0.1:80.
    fn commands(edit: &Edit, has_server: bool) -> Vec<Command> {
        let address: IpAddr = "192.168.0.1".parse().unwrap();
        let addresses = vec![address; edit.hosts().0.len()];
        let desired = edit.desired(&addresses).unwrap();
        let made = call("up", &format!("{HOWTO} -B"), "").unwrap();
        let mut table = Table::new();
        for command in diff(&made.desired(&[address]).unwrap(), &table) {
            if has_server || matches!(command, Command::AddService(..)) {
                apply(&mut table, &command).unwrap();
            }
        }
        diff(&desired, &table)
    }

    #[test]
    fn only_failures_and_recoveries_act() {
        for kind in ["failure", "trap", "traptimeout"] {
            let edit = call(kind, HOWTO, "w1").unwrap();
            let commands = commands(&edit, true);
            assert!(
                matches!(commands.as_slice(), [Command::DeleteServer(..)]),
                "{kind}"
            );
            assert!(super::tests::commands(&edit, false).is_empty());
        }
        let edit = call("up", HOWTO, "").unwrap();
        assert!(matches!(
            commands(&edit, false).as_slice(),
            [Command::AddServer(..)]
        ));
        assert!(commands(&edit, true).is_empty());
        for kind in ["ack", "disable", "startup", "test"] {
            for words in [HOWTO, &format!("{HOWTO} -D -B")] {
                let edit = call(kind, words, "w1").unwrap();
                assert!(matches!(edit, Edit::Nothing(_)), "{kind} {words}");
                assert!(edit.desired(&[]).unwrap().is_empty());
            }
        }
        assert!(matches!(call("odd", HOWTO, ""), Err(Fault::Unclear(_))));
    }

    #[test]
    fn the_kind_decides_whether_d_is_mons_mark() {
        let words = format!("{HOWTO} -D -B");
        let edit = call("failure", &words, "").unwrap();
        assert!(matches!(edit, Edit::DeleteService(_)));
        assert!(matches!(
            commands(&edit, true).as_slice(),
            [Command::DeleteService(_)]
        ));
        let edit = call("up", &words, "").unwrap();
        assert!(matches!(edit, Edit::In(..)));
        assert!(matches!(call("disable", HOWTO, ""), Ok(Edit::Nothing(_))));
    }

    #[test]
    fn by_hand_the_marks_decide() {
        let by_hand = |text: &str| {
            let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
            edit(&args, None, b"").unwrap()
        };
        assert!(matches!(by_hand(HOWTO), Edit::Out(..)));
        assert!(matches!(by_hand(&format!("-u {HOWTO}")), Edit::In(..)));
        assert!(matches!(by_hand(&format!("-a {HOWTO}")), Edit::Nothing(_)));
        assert!(matches!(by_hand(&format!("-T {HOWTO}")), Edit::Out(..)));
        assert!(matches!(
            by_hand("-V 10.0.0.3:80 -D"),
            Edit::DeleteService(_)
        ));
    }

    #[test]
    fn without_r_the_summary_names_who_goes_and_all_come_back() {
        let named = |edit: Edit| {
            let hosts = edit.hosts().0.iter();
            hosts.map(ToString::to_string).collect::<Vec<_>>()
        };
        let words = "-P tcp -V 10.0.0.3:80 -F dr";
        assert_eq!(
            named(call("failure", words, "w2(3s)\nw1 is fine").unwrap()),
            ["w2"]
        );
        assert_eq!(named(call("up", words, "w2").unwrap()), ["w1", "w2"]);
        for summary in ["", "something else", "\nw1"] {
            let fault = call("failure", words, summary).unwrap_err();
            assert!(matches!(fault, Fault::Unclear(_)), "{summary}");
        }
        let args = ["-V", "10.0.0.3:80"].map(str::to_owned);
        assert!(matches!(edit(&args, None, b"w1"), Err(Fault::Unclear(_))));
    }

    #[test]
    fn limits_hold_for_looked_up_addresses_too() {
        let edit = call("up", "-V 10.0.0.3:80 -R w1 -F nat", "").unwrap();
        let error = edit.desired(&["127.0.0.1".parse().unwrap()]).unwrap_err();
        assert!(error.contains("loopback"), "{error}");
        // The HOWTO's remark on NAT has no -F, and dr cannot change the port.
        let edit = call("up", "-V 10.0.0.3:80 -R 192.168.0.3:8080", "").unwrap();
        let error = edit.desired(&["192.168.0.3".parse().unwrap()]).unwrap_err();
        assert!(error.contains("use -F nat"), "{error}");
        let addresses = ["10.1.0.1", "2001:db8::1", "10.1.0.1"].map(|it| it.parse().unwrap());
        let host = HostName::new("w1");
        assert_eq!(one_address(&host, &addresses, Family::V4), Ok(addresses[0]));
        assert_eq!(one_address(&host, &addresses, Family::V6), Ok(addresses[1]));
        assert!(one_address(&host, &[], Family::V4).is_err());
        let two = ["10.1.0.1", "10.1.0.2"].map(|it| it.parse().unwrap());
        assert!(one_address(&host, &two, Family::V4).is_err());
    }

    #[test]
    fn unknown_words_are_wrong_usage() {
        for words in ["-V 10.0.0.3:80 -q", "-R 10.0.0.7", "-V 10.0.0.3:80 www"] {
            assert!(
                matches!(call("failure", words, ""), Err(Fault::Words(_))),
                "{words}"
            );
        }
    }

    /// Makes a virtual service, a real server in it, and one where no virtual service is.
    fn two_that_fit_and_one_that_does_not() -> [Command; 3] {
        let made = call("up", &format!("{HOWTO} -B"), "").unwrap();
        let desired = made.desired(&["192.168.0.1".parse().unwrap()]).unwrap();
        let [service, server] = diff(&desired, &Table::new()).try_into().unwrap();
        let Command::AddServer(_, real, settings) = server else {
            panic!("{server}");
        };
        let nowhere = "10.0.0.4:80/tcp".parse().unwrap();
        let odd = Command::AddServer(nowhere, real, settings);
        [service, server, odd]
    }

    #[tokio::test]
    async fn what_came_before_a_refusal_is_made_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut backend = Backend::open(IpvsBackend::Memory, folder.path());
        let commands = two_that_fit_and_one_that_does_not();
        let (made, outcome) = carry_out(&mut backend, &commands).await;
        assert_eq!(made, &commands[..2]);
        let error = outcome.unwrap_err();
        assert!(error.contains("10.0.0.4:80"), "{error}");
        let mut again = Backend::open(IpvsBackend::Memory, folder.path());
        let table = again.list().await.unwrap();
        assert_eq!(table.len(), 1);
        assert!(table.values().all(|entry| entry.servers.len() == 1));
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_not_said_to_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let statedir = folder.path().join("state");
        std::os::unix::fs::symlink(folder.path().join("gone/state"), &statedir).unwrap();
        let mut backend = Backend::open(IpvsBackend::Memory, &statedir);
        let commands = two_that_fit_and_one_that_does_not();
        let (made, outcome) = carry_out(&mut backend, &commands[..2]).await;
        assert!(made.is_empty(), "{made:?}");
        let error = outcome.unwrap_err();
        assert!(error.contains("cannot be written"), "{error}");
    }
}
