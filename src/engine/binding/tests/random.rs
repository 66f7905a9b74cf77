//! Random reports, answers, reloads and restarts, against a naive reading of the decisions:
//! plain maps by name, everything computed afresh, nothing shared with the code under test.

use proptest::prelude::*;

use super::names::fixture_entry;
use super::*;
use crate::engine::desired::is_in;

/// Files to reload and restart with.
pub(super) const FILES: [&[&str]; 5] = [
    &[
        "a/http w1,10.1.0.1 10.0.0.3:80/tcp each",
        "a/ping w1,10.1.0.1 10.0.0.3:80/tcp each",
        "b/http w2 10.0.0.3:80/tcp 10.1.0.3 op",
    ],
    &[
        "a/http w1,10.1.0.1 10.0.0.3:80/tcp each op",
        "b/http w2 10.0.0.3:80/tcp 10.1.0.3",
        "b/http w2 10.0.0.4:80/tcp w2 -B",
    ],
    &[
        "b/http w2,w1 10.0.0.4:80/tcp each -B",
        "a/ping w1,10.1.0.1 10.0.0.4:80/tcp w2 -B -D",
    ],
    &[
        "b/http w2 10.0.0.4:80/tcp w2 op",
        "b/ping w2 10.0.0.4:80/tcp w2 -B",
        "a/http w1,10.1.0.1",
    ],
    &["a/http w1"],
];

pub(super) const HOSTS: [&str; 5] = ["w1", "w2", "10.1.0.1", "10.1.0.2", "10.1.0.3"];
const SERVICES: [&str; 4] = ["a/http", "a/ping", "b/http", "b/ping"];
/// In every kernel from the start, and nobody's business.
const FOREIGN: &str = "192.168.0.99:80";

#[derive(Clone, Debug)]
pub(super) enum Step {
    Fails {
        service: &'static str,
        ruling: Ruling,
        down: String,
    },
    Succeeds(&'static str),
    Resolves(&'static str, &'static str),
    FailsToResolve(&'static str),
    Reloads(usize),
    Restarts(usize),
    Enables(&'static str),
    Waits,
    Applies,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let service = || prop::sample::select(SERVICES.as_slice());
    let host = || prop::sample::select(HOSTS.as_slice());
    let name = || prop::sample::select(vec!["w1", "w2"]);
    let file = || 0..FILES.len();
    let ruling = prop_oneof![Just(Ruling::Passed), Just(Ruling::HeldBack)];
    let down = prop_oneof![
        1 => Just("?".to_owned()),
        4 => prop::sample::subsequence(HOSTS.to_vec(), 0..3).prop_map(|hosts| hosts.join(" "))
    ];
    const ANSWERS: [&str; 5] = [
        "10.1.0.1",
        "10.1.0.2",
        "10.1.0.1 10.1.0.2",
        "10.1.0.3 10.1.0.4",
        "",
    ];
    let answer = prop::sample::select(ANSWERS.as_slice());
    prop_oneof![
        6 => (service(), ruling, down).prop_map(|(service, ruling, down)| Step::Fails {
            service, ruling, down
        }),
        6 => service().prop_map(Step::Succeeds),
        4 => (name(), answer).prop_map(|(host, answer)| Step::Resolves(host, answer)),
        1 => name().prop_map(Step::FailsToResolve),
        2 => file().prop_map(Step::Reloads),
        1 => file().prop_map(Step::Restarts),
        2 => host().prop_map(Step::Enables),
        1 => Just(Step::Waits),
        2 => Just(Step::Applies),
    ]
}

/// One entry of a line: whose verdict on what counts for which host word.
#[derive(Clone, Debug)]
struct Line {
    service: String,
    key: String,
    host: String,
    /// `*` for the service as a whole.
    part: String,
    flags: Vec<String>,
}

impl Line {
    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|it| it == flag)
    }

    fn judged(&self) -> (String, String) {
        (self.service.clone(), self.part.clone())
    }

    fn entry(&self) -> [String; 3] {
        [&self.service, &self.key, &self.host].map(Clone::clone)
    }
}

/// Each line of a file: its service, the members of its group, its entries.
fn read(file: usize) -> Vec<(String, String, Vec<Line>)> {
    let lines = FILES[file].iter().map(|line| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let mut entries = Vec::new();
        if let [service, members, key, real, flags @ ..] = words.as_slice() {
            let hosts: Vec<&str> = match real.as_str() {
                "each" => members.split(',').collect(),
                host => vec![host],
            };
            entries = hosts
                .iter()
                .map(|&host| Line {
                    service: service.clone(),
                    key: key.clone(),
                    host: host.to_owned(),
                    part: if real == "each" { host } else { "*" }.to_owned(),
                    flags: flags.to_vec(),
                })
                .collect();
        }
        (words[0].clone(), words[1].clone(), entries)
    });
    lines.collect()
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Heard {
    Never,
    Yes,
    GivenUp,
}

/// An address that is to enter, blank for several others, and what was good there.
type Next = Option<(String, BTreeSet<(String, String)>)>;

/// The decisions, read naively.
#[derive(Debug)]
struct Naive {
    file: usize,
    gates: BTreeSet<String>,
    /// By service and part: good or bad.
    verdicts: BTreeMap<(String, String), bool>,
    heard: BTreeMap<(String, String), Heard>,
    latched: BTreeSet<[String; 3]>,
    /// By name: the address that counts, and the next one.
    addresses: BTreeMap<String, (Option<String>, Next)>,
}

impl Naive {
    fn new(file: usize) -> Self {
        let mut naive = Self {
            file,
            gates: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            heard: BTreeMap::new(),
            latched: BTreeSet::new(),
            addresses: BTreeMap::new(),
        };
        naive.fit();
        naive
    }

    fn lines(&self) -> Vec<Line> {
        read(self.file).into_iter().flat_map(|it| it.2).collect()
    }

    fn members(&self, service: &str) -> Option<Vec<String>> {
        let lines = read(self.file);
        let line = lines.iter().find(|(name, ..)| name == service)?;
        Some(line.1.split(',').map(str::to_owned).collect())
    }

    /// Nothing is kept of what the file does not name.
    fn fit(&mut self) {
        let lines = self.lines();
        let judged: BTreeSet<_> = lines.iter().map(Line::judged).collect();
        self.gates
            .retain(|gate| lines.iter().any(|line| line.service == *gate));
        self.verdicts.retain(|part, _| judged.contains(part));
        self.heard.retain(|part, _| judged.contains(part));
        for part in judged {
            self.heard.entry(part).or_insert(Heard::Never);
        }
        let entries: BTreeSet<_> = lines
            .iter()
            .filter(|line| line.has("op"))
            .map(Line::entry)
            .collect();
        self.latched.retain(|entry| entries.contains(entry));
        self.addresses
            .retain(|host, _| lines.iter().any(|line| line.host == *host));
    }

    /// Whether the checks of a host go elsewhere than to the address that counts.
    fn is_elsewhere(&self, host: &str) -> bool {
        self.addresses.get(host).is_some_and(|it| it.1.is_some())
    }

    /// Whether a name of the lines that a service looks at has no address yet, so that what fails
    /// there failed at no server.
    fn leads_nowhere(&self, service: &str, host: &str) -> bool {
        let lines = self.lines();
        let mut own = lines.iter().filter(|line| line.service == service);
        own.any(|line| line.host == host || line.part == "*")
            && lines.iter().any(|line| line.host == host)
            && self.address(host).is_none()
    }

    /// Whether a report says something about the service that is not due to changed addresses.
    fn is_about_others(&self, service: &str, is_down: impl Fn(&str) -> bool) -> bool {
        let members = self.members(service).unwrap_or_default();
        let is_any = members.iter().any(|host| is_down(host));
        let mut others = members.iter().filter(|host| !self.is_elsewhere(host));
        others.any(|host| !is_any || is_down(host))
    }

    /// What was said where names lead now.
    fn say_elsewhere(&mut self, service: &str, part: &str, is_good: bool) {
        let place = (service.to_owned(), part.to_owned());
        for (host, (_, next)) in &mut self.addresses {
            if let Some((_, good)) = next
                && (part == "*" || part == host)
            {
                if is_good {
                    good.insert(place.clone());
                } else {
                    good.remove(&place);
                }
            }
        }
    }

    fn fails(&mut self, service: &str, passed: bool, down: &str) {
        let lines = self.lines();
        if !lines.iter().any(|line| line.service == service) {
            return;
        }
        if passed {
            self.gates.insert(service.to_owned());
        }
        let is_open = self.gates.contains(service);
        let is_named = |host: &str| down.split(' ').any(|it| it == host);
        self.say_elsewhere(service, "*", false);
        for host in self.members(service).unwrap_or_default() {
            self.say_elsewhere(service, &host, down != "?" && !is_named(&host));
        }
        let members = self.members(service).unwrap_or_default();
        let mut named = members.iter().filter(|host| is_named(host)).peekable();
        let is_at_no_server =
            named.peek().is_some() && named.all(|host| self.leads_nowhere(service, host));
        let whole = self.is_about_others(service, is_named) && !is_at_no_server;
        for line in lines.iter().filter(|line| line.service == service) {
            self.heard.insert(line.judged(), Heard::Yes);
            let is_down = match (line.part.as_str(), down) {
                ("*", _) if !whole => continue,
                ("*", _) => true,
                (_, "?") => continue,
                (host, _) if self.is_elsewhere(host) => continue,
                (host, _) if is_named(host) && self.leads_nowhere(service, host) => continue,
                (host, _) => is_named(host),
            };
            if is_down && !is_open {
                continue;
            }
            self.verdicts.insert(line.judged(), !is_down);
            if is_down && line.has("op") {
                self.latched.insert(line.entry());
            }
        }
        self.change_addresses();
    }

    fn succeeds(&mut self, service: &str) {
        self.gates.remove(service);
        let lines = self.lines();
        self.say_elsewhere(service, "*", true);
        for host in self.members(service).unwrap_or_default() {
            self.say_elsewhere(service, &host, true);
        }
        let whole = self.is_about_others(service, |_| false);
        for line in lines.iter().filter(|line| line.service == service) {
            self.heard.insert(line.judged(), Heard::Yes);
            let counts = match line.part.as_str() {
                "*" => whole,
                host => !self.is_elsewhere(host),
            };
            if counts {
                self.verdicts.insert(line.judged(), true);
            }
        }
        if lines.iter().any(|line| line.service == service) {
            self.change_addresses();
        }
    }

    fn change_addresses(&mut self) {
        let lines = self.lines();
        for (host, (current, next)) in &mut self.addresses {
            let Some((address, good)) = next.clone() else {
                continue;
            };
            let counted: Vec<_> = lines
                .iter()
                .filter(|line| line.host == *host)
                .map(Line::judged)
                .filter(|part| self.heard[part] != Heard::GivenUp)
                .collect();
            // A service as a whole may fail for another host.
            let is_good = |(service, part): &(String, String)| {
                good.contains(&(service.clone(), part.clone()))
                    || (part == "*" && good.contains(&(service.clone(), host.clone())))
            };
            if !address.is_empty() && !counted.is_empty() && counted.iter().all(is_good) {
                *current = Some(address);
                *next = None;
                let heard = counted.into_iter().filter(|part| good.contains(part));
                self.verdicts.extend(heard.map(|part| (part, true)));
            }
        }
    }

    fn resolves(&mut self, host: &str, answer: &str) {
        if !self.lines().iter().any(|line| line.host == host) {
            return;
        }
        if answer.is_empty() || answer.contains(' ') {
            if let Some((Some(current), next)) = self.addresses.get_mut(host) {
                let is_left = answer.contains(' ') && !answer.split(' ').any(|it| it == current);
                *next = is_left.then(Default::default);
            }
            return;
        }
        let (current, next) = self.addresses.entry(host.to_owned()).or_default();
        match current {
            None => *current = Some(answer.to_owned()),
            Some(current) if current == answer => *next = None,
            Some(_) if next.as_ref().is_some_and(|(it, _)| it == answer) => {}
            Some(_) => *next = Some((answer.to_owned(), BTreeSet::new())),
        }
        self.change_addresses();
    }

    fn reloads(&mut self, file: usize) {
        let old: Vec<Line> = self.lines();
        let services: BTreeSet<String> = old.iter().map(|line| line.service.clone()).collect();
        let members: BTreeMap<&String, _> =
            services.iter().map(|it| (it, self.members(it))).collect();
        self.file = file;
        for (_, next) in self.addresses.values_mut() {
            next.iter_mut().for_each(|(_, good)| good.clear());
        }
        for (service, before) in members {
            if self.members(service) != before {
                self.verdicts.remove(&(service.clone(), "*".to_owned()));
                self.heard.remove(&(service.clone(), "*".to_owned()));
            }
        }
        self.fit();
        for line in self.lines().iter().filter(|line| line.has("op")) {
            let was_op = old
                .iter()
                .any(|it| it.has("op") && it.entry() == line.entry());
            let verdict = self.verdicts.get(&line.judged());
            if !was_op && verdict.is_some_and(|&good| !good) {
                self.latched.insert(line.entry());
            }
        }
    }

    fn restarts(&mut self, file: usize) {
        let old = self.lines();
        self.file = file;
        let new = self.lines();
        self.verdicts.clear();
        self.heard.clear();
        self.addresses.retain(|host, (current, next)| {
            *next = None;
            let is_in = |lines: &[Line], key: &str| {
                lines
                    .iter()
                    .any(|line| line.host == *host && line.key == key)
            };
            current.is_some()
                && old
                    .iter()
                    .any(|line| is_in(&old, &line.key) && is_in(&new, &line.key))
        });
        self.fit();
    }

    fn address(&self, host: &str) -> Option<String> {
        if host.starts_with('w') {
            self.addresses.get(host)?.0.clone()
        } else {
            Some(host.to_owned())
        }
    }

    fn enables(&mut self, server: &str) {
        let lines = self.lines();
        let is_meant = |line: &&Line| {
            line.host == server || self.address(&line.host).as_deref() == Some(server)
        };
        let ended: Vec<_> = lines.iter().filter(is_meant).map(Line::entry).collect();
        self.latched.retain(|entry| !ended.contains(entry));
    }

    fn withdraws(&self, line: &Line) -> bool {
        if line.has("op") {
            self.latched.contains(&line.entry())
        } else {
            let verdict = self.verdicts.get(&line.judged());
            verdict.is_some_and(|&good| !good)
        }
    }

    /// Whether what its lines name no more stays, since a name of them has no address.
    fn holds(&self, key: VirtualServiceKey) -> bool {
        let lines = self.lines();
        let here = lines.iter().filter(|line| line.key == key.to_string());
        let here: Vec<&Line> = here.collect();
        let mut all = here.iter();
        let is_gone = all.any(|line| line.has("-D") && self.withdraws(line));
        !is_gone && here.iter().any(|line| self.address(&line.host).is_none())
    }

    /// As [`Farm::wanted`], without what is leaving.
    fn wanted(&self) -> Vec<String> {
        let mut all = self.lines();
        all.sort_by(|one, two| one.key.cmp(&two.key));
        let mut wanted = Vec::new();
        for lines in all.chunk_by(|one, two| one.key == two.key) {
            let is_gone = lines
                .iter()
                .any(|line| line.has("-D") && self.withdraws(line));
            let mut servers: BTreeMap<String, &str> = BTreeMap::new();
            for line in lines {
                let Some(address) = self.address(&line.host) else {
                    continue;
                };
                let about: Vec<&Line> = lines
                    .iter()
                    .filter(|it| self.address(&it.host).as_ref() == Some(&address))
                    .collect();
                let counted: Vec<_> = about
                    .iter()
                    .filter(|it| {
                        self.verdicts.contains_key(&it.judged())
                            || self.heard[&it.judged()] != Heard::GivenUp
                    })
                    .collect();
                let wish = if is_gone || about.iter().any(|it| self.withdraws(it)) {
                    "out"
                } else if !counted.is_empty()
                    && counted
                        .iter()
                        .all(|it| self.verdicts.contains_key(&it.judged()))
                {
                    "in"
                } else {
                    "found"
                };
                servers.insert(address, wish);
            }
            let service = if is_gone {
                "absent"
            } else if !lines.iter().any(|line| line.has("-B")) {
                "foreign"
            } else if servers.values().any(|&wish| wish == "in") {
                "present"
            } else {
                "found"
            };
            let mut text = format!("{} {service}", lines[0].key);
            for (address, wish) in servers {
                text.push_str(&format!(" {address}={wish}"));
            }
            wanted.push(text);
        }
        wanted
    }
}

/// Checks the wishes against the naive ones; what is wanted beyond these must be leaving.
fn agree(farm: &Farm, naive: &Naive, ever: &BTreeSet<String>) -> Result<(), TestCaseError> {
    let owned = &farm.bindings.owned;
    let leaving = owned.keys();
    let leaving = leaving.flat_map(|key| owned.leaving(key).map(move |server| (key, server)));
    let leaving: BTreeSet<(VirtualServiceKey, RealServerKey)> = leaving.collect();
    let mut declared = farm.bindings.desired().clone();
    for (key, server) in &leaving {
        let wish = declared[key].servers[server];
        let is_replaced = farm.bindings.held_until(*key).is_none();
        if naive.holds(*key) || owned.has_held(*key) && !is_replaced {
            prop_assert_ne!(wish, ServerWish::Out);
        } else {
            prop_assert_eq!(wish, ServerWish::Out);
        }
        // For one that comes back the virtual service is made, too.
        let wanted = declared.get_mut(key).unwrap();
        wanted.servers.remove(server);
        let has_in = wanted.servers.values().any(is_in);
        if let (ServiceWish::Present(_), false) = (&wanted.service, has_in) {
            wanted.service = ServiceWish::AsFound;
        }
        let name = format!("{key} {}", server.0.ip());
        prop_assert!(ever.contains(&name), "{name} was never declared");
    }
    let expected = naive.wanted();
    let named = |key: &VirtualServiceKey| {
        let prefix = format!("{key} ");
        expected.iter().any(|line| line.starts_with(&prefix))
    };
    for (key, wanted) in declared.iter().filter(|(key, _)| !named(key)) {
        prop_assert!(wanted.servers.is_empty());
        let is_fit = matches!(wanted.service, ServiceWish::Absent | ServiceWish::Foreign);
        prop_assert!(is_fit, "{key} {:?}", wanted.service);
    }
    declared.retain(|key, _| named(key));
    prop_assert_eq!(in_words(&declared), expected);
    Ok(())
}

/// Every name of a real server that is declared now.
fn declared(farm: &Farm) -> impl Iterator<Item = String> {
    let views = farm.bindings.real_servers().into_iter();
    views.filter_map(|view| {
        let server = view.server.filter(|_| !view.hosts.is_empty())?;
        Some(format!("{} {}", view.virtual_service, server.0.ip()))
    })
}

fn take(farm: Farm, naive: &mut Naive, kernel: &mut Table, step: &Step) -> Farm {
    let mut farm = farm;
    let is_there = |service: &str| naive.members(service).is_some();
    match step {
        Step::Fails {
            service,
            ruling,
            down,
        } if is_there(service) => {
            farm.failing(service, down, *ruling);
            naive.fails(service, *ruling == Ruling::Passed, down);
        }
        Step::Succeeds(service) if is_there(service) => {
            farm.succeeds(service);
            naive.succeeds(service);
        }
        Step::Fails { .. } | Step::Succeeds(_) => {}
        Step::Resolves(host, answer) => {
            farm.resolves(host, answer);
            naive.resolves(host, answer);
        }
        Step::FailsToResolve(host) => {
            farm.fails_to_resolve(host);
            // No answer: all stays.
        }
        Step::Reloads(file) => {
            farm.reloads(FILES[*file]);
            naive.reloads(*file);
        }
        Step::Restarts(file) => {
            farm = farm.restarted(FILES[*file]);
            naive.restarts(*file);
        }
        Step::Enables(server) => {
            let _ = farm.enables(server);
            naive.enables(server);
        }
        Step::Waits => {
            farm.waits_until(farm.seconds + 700.0);
            for heard in naive.heard.values_mut() {
                if *heard == Heard::Never {
                    *heard = Heard::GivenUp;
                }
            }
            // Nobody waits any more for what they would have said.
            naive.change_addresses();
        }
        Step::Applies => {
            farm.applies(kernel);
        }
    }
    farm
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_machine_decides_as_the_decisions_say(
        first in 0..FILES.len(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut kernel = Table::new();
        let mut entry = fixture_entry();
        let foreign = RealServerKey(FOREIGN.parse().unwrap());
        entry.servers.insert(foreign, RealServer::new(Forwarding::Nat, Weight(1)));
        kernel.insert(VS.parse().unwrap(), entry);
        let mut farm = Farm::new(FILES[first]);
        let mut naive = Naive::new(first);
        let mut ever: BTreeSet<String> = declared(&farm).collect();
        for step in &steps {
            let before = farm.bindings.desired().clone();
            farm.said();
            farm = take(farm, &mut naive, &mut kernel, step);
            ever.extend(declared(&farm));
            agree(&farm, &naive, &ever)?;
            let is_said = farm.said().contains(&"apply".to_owned());
            let expected = if matches!(step, Step::Restarts(_)) {
                !farm.bindings.desired().is_empty()
            } else {
                *farm.bindings.desired() != before
            };
            prop_assert_eq!(is_said, expected);
        }
        // In the end the kernel is as wanted, and nothing of the past is left in it, once all names
        // have addresses and one of the file is good.
        for line in naive.lines() {
            if naive.address(&line.host).is_none() {
                farm.resolves(&line.host, "10.1.0.7 2001:db8::7");
            }
        }
        let services = farm.model.services();
        let services = services.map(|(_, it)| format!("{}/{}", it.group, it.name));
        for service in services.collect::<Vec<String>>() {
            farm.succeeds(&service);
        }
        farm.applies(&mut kernel);
        farm.applies(&mut kernel);
        prop_assert_eq!(farm.applies(&mut kernel), []);
        let now: BTreeSet<String> = declared(&farm).collect();
        let is_held = |key| farm.bindings.held_until(key).is_some();
        for (key, entry) in kernel.iter().filter(|(key, _)| !is_held(**key)) {
            for server in entry.servers.keys().filter(|&&server| server != foreign) {
                let name = format!("{key} {}", server.0.ip());
                prop_assert!(now.contains(&name), "{name} is left over");
            }
        }
        prop_assert!(kernel[&VS.parse().unwrap()].servers.contains_key(&foreign));
        let views = farm.bindings.real_servers();
        let is_told = |view: &RealServerView| !view.hosts.is_empty() || view.held.is_some();
        prop_assert!(views.iter().all(is_told));
    }
}
