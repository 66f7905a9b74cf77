//! What is wanted of each owned key, from what the bound services say about it.
//!
//! Pure functions of verdicts and withdrawals (D5, D7); the machine that remembers these is
//! in `binding`. The wish for a real server is computed afresh from all claims to it whenever
//! one of its services says something new.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::{Cause, Reason};
use crate::engine::manual::ManualView;
use crate::engine::recent::About;
pub use crate::engine::section::giving::Giving;
pub use crate::engine::section::live::ServedBy;
use crate::engine::section::wanted::Held;
pub use crate::engine::section::wanted::{HeldUntil, ServerRole};
use crate::lvs::{
    DesiredService, GivenWeight, RealServer, RealServerKey, Scheduler, ServerWish, ServiceWish,
    Strangers, VirtualService, VirtualServiceKey, Weight,
};
use crate::model::{Ends, HostName, ServiceId};
use crate::time::Wall;

/// One owned real server as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServerView {
    /// In which virtual service.
    pub virtual_service: VirtualServiceKey,
    /// Which real server; none while its name has no usable address.
    pub server: Option<RealServerKey>,
    /// The words that stand for it in the file; empty for one that is no longer declared.
    pub hosts: Vec<HostName>,
    /// What is wanted.
    pub wish: ServerWish,
    /// Who keeps it out, in file order.
    pub withdrawals: Vec<Withdrawal>,
    /// Bound services that have a verdict and do not keep it out.
    pub content: Vec<ServiceId>,
    /// Bound services without a verdict yet: while there are any, the server is left as found.
    pub untested: Vec<ServiceId>,
    /// Bound services that can never run and are left out of the count (D5).
    pub left_out: Vec<ServiceId>,
    /// Why there is no usable address, or what is to be mended in the binding.
    pub problem: Option<String>,
    /// Until when it stays though the file does not name it any more; none of all others.
    pub held: Option<HeldUntil>,
    /// What an operator wishes of it.
    pub manual: Option<ManualView>,
    /// Why it stands so in its `virtual` section; none for one of `lvs.alert` lines only.
    pub role: Option<ServerRole>,
    /// Who gives it weight 0, where nobody withdraws it; none where an operator says its weight.
    pub zero_by: Option<ZeroBy>,
    /// Where it has its weight from, where its section asks its checks; none where it has none, or
    /// 0 since they withdraw it, and where an operator says it.
    pub given_by: Option<GivenBy>,
    /// When it leaves that role by itself: the end of a slow start, or of a drain.
    pub role_ends: Option<Wall>,
    /// The section as a whole; none for one of `lvs.alert` lines only.
    pub section: Option<SectionView>,
    /// How its checks went lately, for each service that the section listens to.
    pub counts: Vec<CountView>,
}

impl RealServerView {
    /// Whether a verdict is known of each service that decides about it; false where none does.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        let has_judge = match self.section {
            Some(_) => self.counts.len() > self.left_out.len(),
            None => self.server.is_some() && self.wish != ServerWish::AsFound,
        };
        has_judge && self.untested.is_empty()
    }

    /// Whether nothing decides over it any more: all its services have left the count.
    #[must_use]
    pub const fn is_left_alone(&self) -> bool {
        !self.left_out.is_empty()
            && self.withdrawals.is_empty()
            && self.content.is_empty()
            && self.untested.is_empty()
    }

    /// One of which nothing is known but where it stands in the file.
    pub(crate) const fn unknown(virtual_service: VirtualServiceKey, hosts: Vec<HostName>) -> Self {
        Self {
            virtual_service,
            server: None,
            hosts,
            wish: ServerWish::AsFound,
            withdrawals: Vec::new(),
            content: Vec::new(),
            untested: Vec::new(),
            left_out: Vec::new(),
            problem: None,
            held: None,
            manual: None,
            role: None,
            zero_by: None,
            given_by: None,
            role_ends: None,
            section: None,
            counts: Vec::new(),
        }
    }
}

/// Who gives a real server that nobody withdraws weight 0: it serves nobody, unless `min_live`
/// keeps it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZeroBy {
    /// The checks of these services, in file order.
    Checks(Vec<Given>),
    /// The file.
    File,
}

/// Where a real server has its weight from, whose section asks its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenBy {
    /// The services whose checks give it the smallest, in file order; never empty.
    Checks(Vec<Given>),
    /// The file: no check gave it one.
    File,
    /// The file, but it has no more than the others have, at most: no check gave it
    /// one above 0, and `min_live` keeps it in, or nothing is known of it.
    FileAtMost,
}

/// What the checks of a service give a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which service.
    pub service: ServiceId,
    /// What.
    pub giving: Giving,
}

impl Given {
    /// The weight that comes of it where the file says this one.
    pub(crate) fn of(&self, configured: Weight) -> Weight {
        self.giving.weight().of(configured)
    }

    /// Who gives what, in a few words; the service is called so.
    pub(crate) fn words(&self, service: &str) -> String {
        let what = match self.giving.weight() {
            GivenWeight::Absolute(weight) => format!("weight {weight}"),
            GivenWeight::Percent(0) => "weight 0".to_owned(),
            GivenWeight::Percent(percent) => format!("{percent}% of the weight in the file"),
        };
        match self.giving {
            Giving::Gives(_) => format!("{service} gives it {what}"),
            Giving::Gave { .. } => format!("{service} gave it {what}, its latest check none"),
            Giving::Lent(_) => {
                format!(
                    "the monitor that {service} had before gave it {what}, the present one none yet"
                )
            }
        }
    }
}

/// A `virtual` section as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionView {
    /// Real servers that serve and that nobody withdraws.
    pub serving: usize,
    /// Real servers that the file names, without the fallback.
    pub declared: usize,
    /// At least so many stay in.
    pub min_live: usize,
    /// Who serves its clients; none while that is not known.
    pub by: Option<ServedBy>,
    /// In by `min_live`, although they failed or their checks give them weight 0.
    pub kept: usize,
    /// Whether the fallback is to take clients.
    pub fallback_serves: bool,
    /// Real servers that only `lvs.alert` lines name and that are to take clients.
    pub beside: usize,
}

/// How the checks of a real server went lately, as a section counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountView {
    /// The service that checks it.
    pub service: ServiceId,
    /// Good checks in a row; 0 after a bad one.
    pub good: u32,
    /// Bad checks in a row; 0 after a good one.
    pub bad: u32,
    /// So many bad ones make it fail.
    pub fall: u32,
    /// So many good ones make it good again.
    pub rise: u32,
}

/// A service that keeps a real server out of its virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Which service.
    pub service: ServiceId,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Wall,
    /// What ends it.
    pub ends: Ends,
}

/// What one bound service says about one real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It has a verdict and does not withdraw the server.
    Content,
    /// It keeps the server out.
    Withdraws(Withdrawal),
    /// No verdict yet.
    Silent,
    /// It can never run and is not waited for.
    LeftOut,
}

/// One binding's claim to one real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Which binding, as an index into the Model; none for a `virtual` section.
    pub(crate) binding: Option<usize>,
    pub(crate) service: ServiceId,
    /// The word in the file.
    pub(crate) host: HostName,
    /// Its port; with the host it names the entry where there is no address.
    pub(crate) port: u16,
    pub(crate) settings: RealServer,
    pub(crate) stand: Stand,
}

/// Everything that is said about one virtual service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// By real server, each list in file order and never empty.
    pub(crate) servers: BTreeMap<RealServerKey, Vec<Claim>>,
    /// Claims whose name has no usable address, with the reason.
    pub(crate) addressless: Vec<(Claim, String)>,
    /// Services that withdraw the virtual service itself (`-D`).
    pub(crate) withdrawn_by: Vec<Withdrawal>,
    /// Whether the file names it at all.
    pub(crate) is_declared: bool,
    /// `-B` with its scheduler.
    pub(crate) creates: Option<Scheduler>,
    /// What a person should mend, by host; the service whose line says so, none for a section.
    pub(crate) problems: BTreeMap<HostName, (Option<ServiceId>, String)>,
    /// What a `virtual` section adds.
    pub(crate) section: Option<Places>,
}

/// Where the real servers of a section are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// In file order.
    pub(crate) servers: Vec<Place>,
    /// The fallback, where it has an address of its own.
    pub(crate) fallback: Option<RealServerKey>,
}

impl Places {
    /// The real servers that the section itself has, the fallback too.
    pub(crate) fn keys(&self) -> BTreeSet<RealServerKey> {
        let servers = self.servers.iter().filter_map(|place| place.server);
        servers.chain(self.fallback).collect()
    }
}

/// Where one real server of a section is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Host word and port.
    pub(crate) word: (HostName, u16),
    /// None without a usable address.
    pub(crate) server: Option<RealServerKey>,
    pub(crate) settings: RealServer,
}

/// What is wanted of a real server that all these claims are about (D5).
///
/// Out when any withdraws it; in when each that counts has a verdict; else as found. A server
/// of which no service at all can speak is left as found too: nothing is known of it. Where
/// claims differ in settings the first in file order counts.
pub(crate) fn server_wish(claims: &[Claim]) -> ServerWish {
    let mut wish = ServerWish::AsFound;
    let mut is_waiting = false;
    for claim in claims {
        match claim.stand {
            Stand::Withdraws(_) => return ServerWish::Out,
            Stand::Content => {
                wish = ServerWish::In(claims.first().unwrap_or(claim).settings);
            }
            Stand::Silent => is_waiting = true,
            Stand::LeftOut => {}
        }
    }
    if is_waiting {
        ServerWish::AsFound
    } else {
        wish
    }
}

/// What is wanted of a virtual service of `lvs.alert` lines. `leaving` are real servers that the
/// file declared before, with what is wanted of them while they stay, and why they do; `is_made`
/// tells whether it declared `-B` before; `over` is the last step over what is wanted of a real
/// server: what operators wish.
pub(crate) fn service(
    key: VirtualServiceKey,
    survey: &Survey,
    is_made: bool,
    (leaving, held): (
        impl Iterator<Item = (RealServerKey, ServerWish)>,
        Option<&Held>,
    ),
    over: impl Fn(RealServerKey, ServerWish) -> ServerWish,
) -> DesiredService {
    let is_absent = !survey.withdrawn_by.is_empty() || (!survey.is_declared && is_made);
    let leaves = |(server, stays_as)| match held {
        Some(_) => (server, stays_as),
        None => (server, ServerWish::Out),
    };
    let mut servers: BTreeMap<RealServerKey, ServerWish> = leaving.map(leaves).collect();
    for (&server, claims) in &survey.servers {
        let wish = if is_absent {
            ServerWish::Out
        } else {
            server_wish(claims)
        };
        servers.insert(server, over(server, wish));
    }
    let has_in = servers.values().any(is_in);
    let service = service_wish(key, survey.creates.as_ref(), is_absent, has_in);
    DesiredService {
        service,
        servers,
        strangers: Strangers::Ignored,
    }
}

/// What is wanted of the virtual service itself. `creates` is the scheduler of `-B`, `has_in`
/// tells whether a real server is wanted in.
pub(crate) fn service_wish(
    key: VirtualServiceKey,
    creates: Option<&Scheduler>,
    is_absent: bool,
    has_in: bool,
) -> ServiceWish {
    match creates {
        _ if is_absent => ServiceWish::Absent,
        None => ServiceWish::Foreign,
        // Like the script's `upalert -B`: an empty virtual service lets clients wait where
        // none refuses them at once, so it is made for a server that enters.
        Some(scheduler) if has_in => {
            ServiceWish::Present(VirtualService::plain(key.family(), scheduler.clone()))
        }
        Some(_) => ServiceWish::AsFound,
    }
}

/// Whether a real server is wanted in.
pub(crate) const fn is_in(wish: &ServerWish) -> bool {
    matches!(wish, ServerWish::In(_))
}

impl Stand {
    /// The withdrawal, where it is one.
    pub(crate) const fn withdrawal(&self) -> Option<Withdrawal> {
        match self {
            Self::Withdraws(withdrawal) => Some(*withdrawal),
            Self::Content | Self::Silent | Self::LeftOut => None,
        }
    }
}

impl Withdrawal {
    fn cause(&self, host: Option<&HostName>) -> Cause {
        Cause {
            service: self.service,
            host: host.cloned(),
            reason: self.reason,
            text: String::new(),
            about: About::Host,
        }
    }
}

/// Who of those that claim a real server withdraws it.
pub(crate) fn causes(claims: &[Claim]) -> Vec<Cause> {
    let withdrawing = claims.iter().filter_map(|claim| {
        let withdrawal = claim.stand.withdrawal()?;
        Some(withdrawal.cause(Some(&claim.host)))
    });
    withdrawing.collect()
}

impl Survey {
    /// Who keeps this real server out.
    pub(crate) fn withdrawals<'a>(
        &'a self,
        claims: &'a [Claim],
    ) -> impl Iterator<Item = Withdrawal> + 'a {
        let own = claims.iter().filter_map(|claim| claim.stand.withdrawal());
        let of_all = self.withdrawn_by.iter().copied();
        let of_all = of_all.filter(|it| claims.iter().all(|claim| claim.service != it.service));
        own.chain(of_all)
    }

    /// The same for the log. The engine adds what the checks said.
    pub(crate) fn causes(&self, claims: &[Claim]) -> Vec<Cause> {
        let of_all = self.withdrawn_by.iter();
        let of_all = of_all.filter(|it| claims.iter().all(|claim| claim.service != it.service));
        let of_all = of_all.map(|withdrawal| withdrawal.cause(None));
        causes(claims).into_iter().chain(of_all).collect()
    }

    /// Readers' views of all real servers declared here.
    pub(crate) fn views(
        &self,
        key: VirtualServiceKey,
        desired: &DesiredService,
    ) -> Vec<RealServerView> {
        let placed = self.servers.iter().map(|(&server, claims)| {
            let problem = claims.iter().find_map(|claim| {
                let (_, text) = self.problems.get(&claim.host)?;
                Some(text.clone())
            });
            (Some(server), claims.as_slice(), problem)
        });
        let addressless = self
            .addressless
            .iter()
            .map(|(claim, problem)| (None, std::slice::from_ref(claim), Some(problem.clone())));
        placed
            .chain(addressless)
            .map(|(server, claims, problem)| {
                let mut view = self.view(key, claims);
                view.server = server;
                view.problem = problem;
                let wish = server.and_then(|server| desired.servers.get(&server));
                view.wish = wish.copied().unwrap_or(ServerWish::AsFound);
                view
            })
            .collect()
    }

    fn view(&self, virtual_service: VirtualServiceKey, claims: &[Claim]) -> RealServerView {
        let with = |stand: Stand| {
            let claims = claims.iter().filter(move |claim| claim.stand == stand);
            distinct(claims.map(|claim| claim.service))
        };
        let hosts = distinct(claims.iter().map(|claim| claim.host.clone()));
        RealServerView {
            withdrawals: self.withdrawals(claims).collect(),
            content: with(Stand::Content),
            untested: with(Stand::Silent),
            left_out: with(Stand::LeftOut),
            ..RealServerView::unknown(virtual_service, hosts)
        }
    }
}

/// Without repetitions, in the order of first occurrence.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{Forwarding, Weight};

    const SETTINGS: RealServer = RealServer::new(Forwarding::Dr, Weight(5));

    fn claims(stands: &[Stand]) -> Vec<Claim> {
        (0..)
            .zip(stands)
            .map(|(at, &stand)| Claim {
                binding: Some(0),
                service: ServiceId(at),
                host: HostName::new("h"),
                port: 80,
                settings: RealServer {
                    weight: Weight(5 + at),
                    ..SETTINGS
                },
                stand,
            })
            .collect()
    }

    fn withdraws(service: u32) -> Stand {
        Stand::Withdraws(Withdrawal {
            service: ServiceId(service),
            reason: Reason::Timeout,
            since: Wall::default(),
            ends: Ends::WithSuccess,
        })
    }

    /// The whole table for up to three services, against the sentence of decision 5.
    #[test]
    fn out_by_one_in_by_all_else_as_found() {
        let stands = [Stand::Content, withdraws(0), Stand::Silent, Stand::LeftOut];
        let mut lists: Vec<Vec<Stand>> = vec![Vec::new()];
        for length in 0..3 {
            let longer: Vec<Vec<Stand>> = lists
                .iter()
                .filter(|list| list.len() == length)
                .flat_map(|list| stands.map(|stand| [list.as_slice(), &[stand]].concat()))
                .collect();
            lists.extend(longer);
        }
        assert_eq!(lists.len(), 1 + 4 + 16 + 64);
        for list in lists {
            let has = |stand| list.contains(&stand);
            let expected = if has(withdraws(0)) {
                ServerWish::Out
            } else if has(Stand::Content) && !has(Stand::Silent) {
                ServerWish::In(SETTINGS)
            } else {
                ServerWish::AsFound
            };
            assert_eq!(server_wish(&claims(&list)), expected, "{list:?}");
        }
    }

    #[test]
    fn the_virtual_service_belongs_to_whoever_makes_it() {
        let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
        let server = RealServerKey("192.168.0.1:80".parse().unwrap());
        let gone = RealServerKey("192.168.0.9:80".parse().unwrap());
        let made = ServiceWish::Present(VirtualService::plain(key.family(), Scheduler::wlc()));
        let (foreign, absent, as_found) = (
            ServiceWish::Foreign,
            ServiceWish::Absent,
            ServiceWish::AsFound,
        );
        // -B now, -B before, declared, withdrawn by -D, stand of the one server.
        let cases = [
            (false, false, true, false, Stand::Content, &foreign),
            (false, true, true, false, Stand::Content, &foreign),
            (true, false, true, false, Stand::Content, &made),
            (true, false, true, false, Stand::Silent, &as_found),
            (true, false, true, false, withdraws(0), &as_found),
            (true, false, true, true, withdraws(0), &absent),
            (true, false, true, true, Stand::Content, &absent),
            (false, false, true, true, withdraws(0), &absent),
            (false, true, false, false, Stand::Silent, &absent),
            (false, false, false, false, Stand::Silent, &foreign),
        ];
        for (creates, is_made, is_declared, is_withdrawn, stand, expected) in cases {
            let by = Withdrawal {
                service: ServiceId(7),
                reason: Reason::Timeout,
                since: Wall::default(),
                ends: Ends::WithSuccess,
            };
            let by: Vec<Withdrawal> = is_withdrawn.then_some(by).into_iter().collect();
            let mut survey = Survey {
                withdrawn_by: by,
                is_declared,
                creates: creates.then(Scheduler::wlc),
                ..Survey::default()
            };
            if is_declared {
                survey.servers.insert(server, claims(&[stand]));
            }
            let leaving = [(gone, ServerWish::AsFound)].into_iter();
            let wanted = service(key, &survey, is_made, (leaving, None), |_, wish| wish);
            let case = (creates, is_made, is_declared, is_withdrawn, stand);
            assert_eq!(&wanted.service, expected, "{case:?}");
            assert_eq!(wanted.servers[&gone], ServerWish::Out);
            if is_withdrawn {
                assert_eq!(wanted.servers[&server], ServerWish::Out, "{case:?}");
            }
        }
    }
}
