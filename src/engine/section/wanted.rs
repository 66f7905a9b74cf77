//! What is wanted of a declared virtual service, and when does that change by itself?
//!
//! One pure function of all that is known. Each real server is in when nobody withdraws it (D5);
//! what becomes of one that is withdrawn say `on_failure`, `min_live` and the fallback (D15), of
//! one without a verdict `initial` (D16). What nobody declared goes once every server has an
//! address and a verdict (D7): while a name has none, it may be the real server of that name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::manual::Effect;
use crate::engine::section::live::{Live, Replacement, Reserve, ServedBy, ServerStanding, live};
use crate::engine::section::memory::{Found, Memory};
use crate::engine::section::unsaid::{kept_in, most_unsaid, untested};
use crate::engine::section::wanted::fallback::{in_use, put_fallback, replacement, reserve};
use crate::engine::section::wanted::held::held;
use crate::engine::section::wanted::unjudged::{at_worst, surely};
use crate::engine::section::weight::{Share, ramp, weight};
use crate::lvs::{
    DesiredService, Protocol, RealServer, RealServerKey, ServerWish, ServiceFlags, ServiceWish,
    Strangers, VirtualServiceKey, Weight,
};
use crate::model::{DeclaredService, HostName, Initial, OnFailure, OwnRules, WeightFrom};
use crate::pair::turn::Turn;
use crate::time::{Mono, Now};

mod fallback;
mod held;
mod unjudged;

pub use held::HeldUntil;
pub(crate) use held::{Addressless, Held, Lookup, until};

/// How long the first verdict is waited for where nothing is in (D16).
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What is said about one real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Everybody has a verdict, and nobody withdraws it.
    Good,
    /// A verdict is still to come.
    Waiting,
    /// Nobody who can speak of it ever runs.
    Unheard,
    /// Somebody withdraws it.
    Withdrawn,
}

/// Whether the file named a real server before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It names it for the first time, and no verdict on it is there yet: `initial` says what
    /// becomes of it.
    New,
    /// It named it before a restart or a reload, or verdicts on it were there.
    Known,
}

/// One declared real server with an address.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) key: RealServerKey,
    pub(crate) settings: RealServer,
    /// What its line says in place of the section.
    pub(crate) own: OwnRules,
    pub(crate) health: Health,
    pub(crate) arrival: Arrival,
    /// The weight that its checks give it, where the section wants that.
    pub(crate) given: Option<Weight>,
    pub(crate) memory: Memory,
    /// What was known of it last is that it failed, by this word or by its address.
    pub(crate) failed_last: bool,
    /// What an operator wishes of it.
    pub(crate) wished: Option<Effect>,
}

/// All that is known of one section.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) section: &'a DeclaredService,
    /// In file order, no two with the same key.
    pub(crate) servers: &'a [Server],
    /// How many the file declares, with or without an address.
    pub(crate) declared: usize,
    /// In file order.
    pub(crate) addressless: Vec<Addressless<'a>>,
    /// The same of `lvs.alert` lines beside the section.
    pub(crate) addressless_of_lines: Vec<Addressless<'a>>,
    /// The address of the fallback.
    pub(crate) fallback: Option<RealServerKey>,
    /// The name of a fallback that may get clients and has no usable address.
    pub(crate) addressless_fallback: Option<&'a HostName>,
    /// What an operator wishes of it.
    pub(crate) fallback_wished: Option<Effect>,
    /// What is wanted of real servers that only `lvs.alert` lines name, operators' wishes too.
    pub(crate) others: BTreeMap<RealServerKey, ServerWish>,
    /// Real servers that the file named before.
    pub(crate) leaving: BTreeMap<RealServerKey, Leaving>,
    /// A name without an address has kept one of these.
    pub(crate) has_held: bool,
    /// One of these is back behind a wish, or behind others that had emptied the virtual service.
    pub(crate) has_returned: bool,
    /// `-D` withdraws the virtual service itself.
    pub(crate) is_absent: bool,
    pub(crate) found: Found,
    /// Those that are in without a verdict, the fallback too, until there is one.
    pub(crate) put_in: &'a BTreeSet<RealServerKey>,
    /// The real servers that the kernel had at the latest look.
    pub(crate) kernel: Option<&'a BTreeMap<RealServerKey, RealServer>>,
}

/// A real server that the file named before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// What is wanted of it while it stays.
    pub(crate) wish: ServerWish,
    /// Its checks had withdrawn it.
    pub(crate) has_failed: bool,
}

/// Why a real server of a section stands as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerRole {
    /// No look at the kernel's table has come back yet: nothing is changed.
    Unseen,
    /// In, at this share of its weight in percent while it starts slowly, else 100.
    Serves {
        /// Percent.
        share: u32,
    },
    /// Withdrawn, or given weight 0 by its check, and in with a weight above 0 all the same:
    /// `min_live` holds. Which one, `unsaid` says.
    Kept,
    /// Withdrawn, with weight 0 for as long as that lasts.
    Quiesced,
    /// Withdrawn, with weight 0 until its connections have ended or this much time is over.
    Draining {
        /// Time left.
        left: Duration,
    },
    /// Withdrawn, and out.
    Out,
    /// No verdict yet: in (`initial in`, or nothing else is).
    InUntested,
    /// No verdict yet: out (`initial out`).
    OutUntested,
    /// No verdict yet: as found.
    AsFound,
    /// The fallback, in while no real server is healthy.
    FallbackIn,
    /// The fallback, not needed.
    FallbackOut,
}

impl ServerRole {
    /// Whether it stands so for want of a verdict.
    pub(crate) const fn is_untested(self) -> bool {
        matches!(self, Self::AsFound | Self::InUntested | Self::OutUntested)
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) service: DesiredService,
    pub(crate) roles: BTreeMap<RealServerKey, ServerRole>,
    /// Where the fallback is.
    pub(crate) fallback: Option<RealServerKey>,
    /// Who serves; none while nothing is known of the kernel, and while first verdicts are waited
    /// for that it depends on.
    pub(crate) by: Option<ServedBy>,
    /// Who would serve if all without a verdict failed.
    pub(crate) at_worst: ServedBy,
    /// What stays for now.
    pub(crate) held: Option<Held>,
    /// How the section counts as found from now on.
    pub(crate) found: Found,
    /// When it changes by itself, later than now.
    pub(crate) due: Option<Mono>,
}

/// What becomes of a withdrawn real server. Datagrams of a client go on to a server that has
/// weight 0 for as long as the client sends, so UDP and one-packet services remove it.
pub(crate) fn on_failure(section: &DeclaredService, own: OwnRules) -> OnFailure {
    if cannot_quiesce(section) {
        OnFailure::Remove
    } else {
        own.on_failure.unwrap_or(section.on_failure)
    }
}

/// Whether weight 0 does not keep clients away.
pub(crate) const fn cannot_quiesce(section: &DeclaredService) -> bool {
    let is_udp = matches!(section.key, VirtualServiceKey::Address(Protocol::Udp, _));
    is_udp || section.settings.flags.has(ServiceFlags::ONE_PACKET)
}

/// What is wanted of a section now.
pub(crate) fn wanted(facts: &Facts<'_>, now: Now) -> Wanted {
    let mut wanted = wanted_without_ends(facts, now);
    // A slow start is forgotten when it is over, whoever serves and whatever is in then.
    let servers = facts.servers.iter();
    let ends = servers.filter_map(|it| it.memory.slow_start_end(facts.section, now));
    wanted.due = wanted.due.into_iter().chain(ends).min();
    wanted
}

fn wanted_without_ends(facts: &Facts<'_>, now: Now) -> Wanted {
    if facts.is_absent {
        return absent(facts);
    }
    let opens = match facts.found {
        Found::Unseen => return unseen(facts),
        Found::Empty { since } => Some(since.after(GRACE)),
        Found::Filled => None,
    };
    let is_silent = |it: &Server| matches!(it.health, Health::Waiting | Health::Unheard);
    let has_silent = facts.servers.iter().any(is_silent);
    let grace = opens.filter(|&opens| opens > now.mono && has_silent);
    let declared = reserve(facts, replacement(facts, grace));
    let reserve = in_use(facts, declared);
    let is_over = opens.is_some_and(|opens| opens <= now.mono);
    let is_open = is_over && serves_nobody(facts, reserve);
    let standings = standings(facts, is_open);
    let is_needed = live(&standings, declared).by == ServedBy::Fallback;
    let Live {
        kept,
        by,
        is_enough,
    } = live(&standings, reserve);
    let by = match (by, grace) {
        // The fallback is not needed yet: of the others nothing is known.
        (ServedBy::Nobody, Some(_)) => ServedBy::NobodyYet,
        (by, _) => by,
    };
    let mut due = opens.filter(|_| !is_over);
    let held = held(facts, by, (&standings, reserve));
    let mut wanted = Wanted {
        service: frame(facts, held.as_ref(), is_enough),
        roles: BTreeMap::new(),
        fallback: facts.fallback,
        by: surely(facts, &standings, reserve).then_some(by),
        at_worst: at_worst(facts, &standings, reserve),
        held,
        found: facts.found,
        due: None,
    };
    put_fallback(&mut wanted, facts, is_needed, (by, reserve.replacement));
    let pace = pace(facts, &kept);
    let most = most_unsaid(facts, &kept);
    for (place, server) in facts.servers.iter().enumerate() {
        let (wish, role, change) = match server.health {
            Health::Good | Health::Withdrawn if kept.contains(&place) => {
                (kept_in(server, most), ServerRole::Kept, None)
            }
            Health::Good => good(facts.section, server, pace, now),
            Health::Unheard if kept.contains(&place) => in_untested(server),
            Health::Waiting | Health::Unheard => silent(facts, server, is_open),
            Health::Withdrawn => withdrawn(facts, server, now),
        };
        let wish = untested(role, wish, most);
        due = [due, change].into_iter().flatten().min();
        wanted.put(server.key, over(server.wished, wish, role), role);
    }
    if is_over && has_verdict(facts) || has_in(&wanted.service) {
        wanted.found = Found::Filled;
    }
    wanted.due = due;
    wanted
}

/// Whether nobody serves unless somebody is put in without a verdict.
fn serves_nobody(facts: &Facts<'_>, reserve: Reserve) -> bool {
    let has_good = facts.servers.iter().any(|it| it.health == Health::Good);
    // Where nobody was judged, the fallback is in nobody's place.
    let replacement = match reserve.replacement {
        Replacement::Ready if !has_verdict(facts) => Replacement::NotYet,
        Replacement::None | Replacement::Ready | Replacement::NotYet | Replacement::Held => {
            reserve.replacement
        }
    };
    let reserve = Reserve {
        replacement,
        ..reserve
    };
    let by = live(&standings(facts, false), reserve).by;
    !has_good && matches!(by, ServedBy::Nobody | ServedBy::NobodyYet)
}

/// Whether anybody was judged.
fn has_verdict(facts: &Facts<'_>) -> bool {
    let mut servers = facts.servers.iter();
    servers.any(|it| matches!(it.health, Health::Good | Health::Withdrawn))
}

/// Whether anybody is to be in, with a weight above 0.
fn has_in(wanted: &DesiredService) -> bool {
    let mut wishes = wanted.servers.values();
    wishes.any(|wish| matches!(wish, ServerWish::In(settings) if settings.weight > Weight(0)))
}

/// What an operator wishes comes last. No wish gives weight to a server that its checks withdraw.
const fn over(wished: Option<Effect>, wish: ServerWish, role: ServerRole) -> ServerWish {
    match (wished, role) {
        (None, _)
        | (Some(Effect::Weight(_)), ServerRole::Quiesced | ServerRole::Draining { .. }) => wish,
        (Some(effect), _) => effect.over(wish),
    }
}

impl Wanted {
    fn put(&mut self, key: RealServerKey, wish: ServerWish, role: ServerRole) {
        self.service.servers.insert(key, wish);
        self.roles.insert(key, role);
    }
}

/// All of it but the declared real servers. Where `is_enough` says that nobody needs them, those
/// that failed and have a weight leave also where the others stay: one with weight 0 gets no new
/// clients, and keeps those that it has.
fn frame(facts: &Facts<'_>, held: Option<&Held>, is_enough: bool) -> DesiredService {
    let is_waiting = |it: &Server| it.health == Health::Waiting;
    let is_judged = !facts.servers.iter().any(is_waiting);
    let removes = held.is_none() && is_judged;
    let strangers = if removes {
        facts.section.foreign
    } else {
        Strangers::Kept
    };
    let leaving = facts.leaving.iter().map(|(&server, it)| {
        let found = facts.kernel.and_then(|kernel| kernel.get(&server));
        let is_quiet = found.is_some_and(|found| found.weight == Weight(0));
        let leaves = removes || is_judged && is_enough && it.has_failed && !is_quiet;
        let wish = if leaves { ServerWish::Out } else { it.wish };
        (server, wish)
    });
    DesiredService {
        service: ServiceWish::Owned(facts.section.settings.clone()),
        servers: leaving.chain(facts.others.clone()).collect(),
        strangers,
    }
}

/// Every key of the section with the same wish.
fn all(facts: &Facts<'_>, service: ServiceWish, wish: ServerWish, role: ServerRole) -> Wanted {
    let own = facts.servers.iter().map(|server| server.key);
    let own: Vec<RealServerKey> = own.chain(facts.fallback).collect();
    let others = facts.leaving.keys().chain(facts.others.keys()).copied();
    Wanted {
        service: DesiredService {
            service,
            servers: others.chain(own.clone()).map(|key| (key, wish)).collect(),
            strangers: Strangers::Kept,
        },
        roles: own.into_iter().map(|key| (key, role)).collect(),
        fallback: facts.fallback,
        by: None,
        at_worst: ServedBy::NobodyYet,
        held: None,
        found: facts.found,
        due: None,
    }
}

fn absent(facts: &Facts<'_>) -> Wanted {
    all(facts, ServiceWish::Absent, ServerWish::Out, ServerRole::Out)
}

fn unseen(facts: &Facts<'_>) -> Wanted {
    let (service, server) = (ServiceWish::AsFound, ServerWish::AsFound);
    all(facts, service, server, ServerRole::Unseen)
}

/// How they all stand, those without an address last. While the first verdict on one that is not in
/// is waited for, none that failed is put in to hold `min_live`; one that is in stays.
fn standings(facts: &Facts<'_>, is_open: bool) -> Vec<ServerStanding> {
    let servers = facts.servers.iter();
    let servers = servers.map(|server| standing(facts, server, is_open));
    let addressless = facts.addressless.iter().map(|it| match it.lookup {
        Lookup::GoesOn => ServerStanding::Idle,
        Lookup::Failed => ServerStanding::Taken,
    });
    let mut standings: Vec<ServerStanding> = servers.chain(addressless).collect();
    if standings.contains(&ServerStanding::Idle) {
        for (server, standing) in facts.servers.iter().zip(&mut standings) {
            if matches!(standing, ServerStanding::Withdrawn(_)) && !is_found_in(facts, server) {
                *standing = ServerStanding::Taken;
            }
        }
    }
    standings
}

/// Whether the kernel has a real server in, with a weight above 0, as of the latest look.
fn is_found_in(facts: &Facts<'_>, server: &Server) -> bool {
    let found = facts.kernel.and_then(|kernel| kernel.get(&server.key));
    found.is_some_and(|found| found.weight > Weight(0))
}

fn standing(facts: &Facts<'_>, server: &Server, is_open: bool) -> ServerStanding {
    let own = own_weight(server);
    if server.wished.is_some_and(Effect::takes_away) {
        return ServerStanding::Taken;
    }
    match server.health {
        Health::Good => match (good_weight(server), own) {
            (Weight(0), Weight(0)) => ServerStanding::Taken,
            (Weight(0), _) => ServerStanding::Spent,
            (_, _) => ServerStanding::Serves,
        },
        Health::Withdrawn if own == Weight(0) => ServerStanding::Taken,
        Health::Withdrawn => {
            ServerStanding::Withdrawn(server.memory.turn().unwrap_or(Turn::LATEST))
        }
        Health::Waiting | Health::Unheard => {
            let is_in = match silent(facts, server, is_open).0 {
                ServerWish::In(_) => own > Weight(0),
                ServerWish::Out => false,
                ServerWish::AsFound => is_found_in(facts, server),
            };
            match (is_in, server.health) {
                (true, _) => ServerStanding::Serves,
                (false, Health::Unheard) if own == Weight(0) => ServerStanding::Taken,
                (false, Health::Unheard) => ServerStanding::Unheard,
                (false, _) if !may_serve(facts.section, own) => ServerStanding::Taken,
                (false, _) => ServerStanding::Idle,
            }
        }
    }
}

/// The weight that the file, or an operator in its place, gives a real server.
const fn own_weight(server: &Server) -> Weight {
    match server.wished {
        Some(Effect::Weight(weight)) => weight,
        Some(Effect::Out) | None => server.settings.weight,
    }
}

/// The weight of a healthy one, at the end of its slow start.
pub(super) fn good_weight(server: &Server) -> Weight {
    match (server.wished, server.given) {
        (None | Some(Effect::Out), Some(given)) => given,
        (Some(Effect::Weight(_)), _) | (_, None) => own_weight(server),
    }
}

/// Whether a good verdict can bring clients to a server with this weight of its own: that does, or
/// one that its check gives.
pub(crate) fn may_serve(section: &DeclaredService, own: Weight) -> bool {
    own > Weight(0) || section.weight_from == WeightFrom::Check
}

type Decided = (ServerWish, ServerRole, Option<Mono>);

/// How fast those that came back get their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As `slow_start` says.
    Ramp,
    /// One that failed is kept with the weight that it had: no healthy one may have less of its
    /// own than that, or most clients would go to the one that failed.
    AtOnce,
}

fn pace(facts: &Facts<'_>, kept: &[usize]) -> Pace {
    let mut kept = kept.iter().filter_map(|&place| facts.servers.get(place));
    let is_failing = |it: &Server| matches!(it.health, Health::Good | Health::Withdrawn);
    match kept.any(is_failing) {
        true => Pace::AtOnce,
        false => Pace::Ramp,
    }
}

fn good(section: &DeclaredService, server: &Server, pace: Pace, now: Now) -> Decided {
    let ramp = match (pace, server.memory.back, section.slow_start) {
        (Pace::Ramp, Some(back), Some(slow_start)) => ramp(back, slow_start, now),
        (Pace::AtOnce, _, _) | (Pace::Ramp, None, _) | (Pace::Ramp, _, None) => (Share::FULL, None),
    };
    let (share, next) = ramp;
    let settings = RealServer {
        weight: weight(server.settings.weight, server.given, share),
        ..server.settings
    };
    let share = share.percent();
    (ServerWish::In(settings), ServerRole::Serves { share }, next)
}

/// What becomes of one without a verdict. `initial` is for those that are new; a new look at the
/// others takes none out that was right before, and puts none in that had failed. Once somebody was
/// in or judged, whoever is not in waits for the verdict (D16).
fn silent(facts: &Facts<'_>, server: &Server, is_open: bool) -> Decided {
    let failed_last = server.failed_last;
    let is_new = server.arrival == Arrival::New;
    match server.own.initial.unwrap_or(facts.section.initial) {
        Initial::Out if is_new => (ServerWish::Out, ServerRole::OutUntested, None),
        Initial::In if is_new && !failed_last => in_untested(server),
        _ if facts.put_in.contains(&server.key) => in_untested(server),
        Initial::In | Initial::AsFound if is_open && !failed_last => in_untested(server),
        Initial::In | Initial::Out | Initial::AsFound => {
            (ServerWish::AsFound, ServerRole::AsFound, None)
        }
    }
}

const fn in_untested(server: &Server) -> Decided {
    let wish = ServerWish::In(server.settings);
    (wish, ServerRole::InUntested, None)
}

fn withdrawn(facts: &Facts<'_>, server: &Server, now: Now) -> Decided {
    let quiesced = ServerWish::In(RealServer {
        weight: Weight(0),
        ..server.settings
    });
    // What the kernel does not have has no connections that could end.
    let is_gone = facts.kernel.is_some_and(|it| !it.contains_key(&server.key));
    match on_failure(facts.section, server.own) {
        OnFailure::Remove => (ServerWish::Out, ServerRole::Out, None),
        OnFailure::Quiesce => (quiesced, ServerRole::Quiesced, None),
        OnFailure::Drain(limit) => match server.memory.drain_left(limit, now) {
            Some(_) if is_gone && !server.memory.drains() => {
                (ServerWish::Out, ServerRole::Out, None)
            }
            None => (ServerWish::Out, ServerRole::Out, None),
            Some(left) => {
                let role = ServerRole::Draining { left };
                (quiesced, role, Some(now.mono.after(left)))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture;
    use crate::engine::state::Moment;
    use crate::lvs::{Forwarding, Scheduler, VirtualService};
    use crate::model::MinLive;

    /// The weights of servers of weight 10 when all is decided: `+` is good, `b` has come back
    /// just now, `x` failed, `0` has weight 0 by its check.
    fn weights(letters: &str, min_live: u32) -> String {
        let now = fixture::at(100.0);
        let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let plain = VirtualService::plain(key.family(), Scheduler::wlc());
        let mut section = DeclaredService::new(key, plain);
        section.slow_start = Some(Duration::from_secs(9));
        section.min_live = MinLive::Count(min_live);
        let server = |(last, letter): (usize, char)| Server {
            key: RealServerKey(format!("10.1.0.{last}:80").parse().unwrap()),
            settings: RealServer::new(Forwarding::Dr, Weight(10)),
            own: OwnRules::default(),
            health: match letter {
                'x' => Health::Withdrawn,
                _ => Health::Good,
            },
            arrival: Arrival::Known,
            given: (letter == '0').then_some(Weight(0)),
            memory: Memory {
                back: (letter == 'b').then(|| Moment::of(now)),
                ..Memory::default()
            },
            failed_last: letter == 'x',
            wished: None,
        };
        let servers: Vec<Server> = letters.chars().enumerate().map(server).collect();
        let facts = Facts {
            section: &section,
            servers: &servers,
            declared: servers.len(),
            addressless: Vec::new(),
            addressless_of_lines: Vec::new(),
            fallback: None,
            addressless_fallback: None,
            fallback_wished: None,
            others: BTreeMap::new(),
            leaving: BTreeMap::new(),
            has_held: false,
            has_returned: false,
            is_absent: false,
            found: Found::Filled,
            put_in: &BTreeSet::new(),
            kernel: None,
        };
        let wanted = wanted(&facts, now);
        let weights = servers.iter().map(|server| {
            let wish = wanted.service.servers.get(&server.key).unwrap();
            match wish {
                ServerWish::In(settings) => settings.weight.to_string(),
                ServerWish::Out => "-".to_owned(),
                ServerWish::AsFound => "?".to_owned(),
            }
        });
        weights.collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn those_that_came_back_have_no_less_than_a_failed_one_that_is_kept() {
        for (letters, min_live, expected) in [
            ("b+", 0, "1 10"),
            ("bx", 0, "1 -"),
            ("bx", 1, "1 -"),
            ("bx", 2, "10 10"),
            ("b+x", 2, "1 10 -"),
            ("b+x", 3, "10 10 10"),
            ("bbxx", 3, "10 10 10 -"),
            ("b0", 1, "1 0"),
            ("b0", 2, "10 10"),
        ] {
            assert_eq!(weights(letters, min_live), expected, "{letters} {min_live}");
        }
    }
}
