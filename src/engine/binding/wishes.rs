//! Which real servers does an operator mean, and what does a wish do to their virtual services?
//!
//! What is wished and how long stands in [`crate::engine::manual`]; that a wish is the last step
//! over what is wanted, in [`crate::engine::desired`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::effort::visit;
use crate::engine::binding::Bindings;
use crate::engine::binding::notes::mend_note;
use crate::engine::desired::{RealServerView, Survey};
use crate::engine::event::{Action, Aim, Caution, KeptOut, ManualWish, Miss, Order};
use crate::engine::manual::merged::{GaveWay, Section};
use crate::engine::manual::{Effect, EntryKey, ManualView, SPAN_MAX};
use crate::engine::section::wanted::ServerRole;
use crate::lvs::{DesiredService, Protocol, RealServerKey, ServerWish, VirtualServiceKey, Weight};
use crate::model::HostName;
use crate::time::{Now, Readable};

/// Names listed in an answer; a farm may have thousands.
pub(super) const NAMED_MAX: usize = 10;

impl Bindings {
    /// A person wishes something of real servers. The answer is for that person.
    pub(crate) fn order(
        &mut self,
        now: Now,
        order: &Order,
    ) -> (Result<String, String>, Vec<Action>) {
        let mut actions = Vec::new();
        let views = match self.ordered(order) {
            Ok(views) => views,
            Err(why) => return (Err(why), actions),
        };
        let mut lines = Vec::new();
        let mut keys = BTreeSet::new();
        for view in &views {
            let Some(entry) = entry_of(view) else {
                continue;
            };
            let before = self.manual.view(entry, now);
            actions.push(self.manual.wish(now, entry, order));
            lines.push(self.what_follows(view, entry, order, before.as_ref()) + &self.health(view));
            keys.insert(entry.0);
        }
        let accepted: BTreeSet<EntryKey> = views.iter().filter_map(entry_of).collect();
        for &key in &keys {
            if let Some(section) = self.counted_section(key, &self.survey(key)) {
                actions.extend(self.manual.accept(now, &section, &accepted));
            }
        }
        self.decide(&keys, &mut actions);
        self.advance_wishes(now, &mut actions);
        let takes_away = Effect::at_first(&order.wish).takes_away();
        for key in keys {
            let nobody = BTreeSet::new();
            let live = || self.live(key, &nobody) + self.live_beside(key, &nobody);
            let is_known = self.is_known(key) && !self.fallback_may_follow(key);
            if takes_away && is_known && live() == 0 {
                lines.push(format!("{key}: no real server takes new connections now"));
            }
        }
        (Ok(lines.join("\n")), actions)
    }

    /// The real servers that an order is about, or the sentence why it is refused.
    fn ordered(&self, order: &Order) -> Result<Vec<RealServerView>, String> {
        check_bounds(order)?;
        let views = self.aimed(&order.aim).map_err(Miss::into_text)?;
        let nowhere = views.iter().find(|view| view.server.is_none());
        if let Some(view) = nowhere {
            let problem = view.problem.as_deref().unwrap_or("its name has no address");
            return Err(format!(
                "{} in {}: {problem}; a wish is about an address",
                order.aim.server.0, view.virtual_service
            ));
        }
        let entries: BTreeSet<EntryKey> = views.iter().filter_map(entry_of).collect();
        match order.caution {
            Caution::Refuse => self.check_min_live(&entries, order)?,
            Caution::Force => {}
        }
        Ok(views)
    }

    /// A declared virtual service keeps its `min_live`, unless a person insists.
    fn check_min_live(&self, entries: &BTreeSet<EntryKey>, order: &Order) -> Result<(), String> {
        if !Effect::at_first(&order.wish).takes_away() {
            return Ok(());
        }
        let mut meant: BTreeMap<VirtualServiceKey, Vec<RealServerKey>> = BTreeMap::new();
        for &(key, server) in entries.iter().inspect(|_| visit()) {
            meant.entry(key).or_default().push(server);
        }
        for declared in &self.model.virtual_services {
            let key = declared.key;
            let Some(here) = meant.get(&key) else {
                continue;
            };
            let least = declared.min_live.of(declared.servers.len());
            let (is, would_be) = (self.live(key, &BTreeSet::new()), self.live(key, entries));
            let mut leaving = self.owned.leaving(key);
            let here_is_held = leaving.any(|it| entries.contains(&(key, it)));
            if here.iter().all(|&server| self.is_fallback(key, server)) {
                if would_be == 0 && is > 0 {
                    return Err(format!(
                        "{key}: this is the fallback, and nobody else takes new connections; \
                         nothing was changed. Say --force to take it away all the same"
                    ));
                }
                continue;
            }
            // Of what stays for a name, one is as good as that.
            let beside = match here_is_held {
                true => (
                    self.live_beside(key, &BTreeSet::new()),
                    self.live_beside(key, entries),
                ),
                false => (0, 0),
            };
            let (is, would_be) = (is + beside.0, would_be + beside.1);
            let fallback = self.addressless_fallback(declared);
            if let Some(fallback) = fallback.filter(|_| would_be == 0 && is > 0 && here_is_held) {
                return Err(format!(
                    "{key}: this may be the fallback {fallback}, whose name has no usable address, \
                     and nobody else takes new connections; nothing was changed. Say --force to \
                     take it away all the same"
                ));
            }
            if would_be < least && would_be < is {
                let servers = match would_be {
                    1 => "real server",
                    _ => "real servers",
                };
                return Err(format!(
                    "{key}: {would_be} {servers} would be left of {is} that take new \
                     connections, and its min_live is {least}; nothing was changed. Enable \
                     others first, or say --force"
                ));
            }
        }
        Ok(())
    }

    /// A section as wishes are counted against it.
    pub(super) fn counted_section(
        &self,
        key: VirtualServiceKey,
        survey: &Survey,
    ) -> Option<Section> {
        let section = self.section(&self.model, key)?;
        let places = survey.section.as_ref()?;
        let servers = places.servers.iter().filter_map(|place| place.server);
        Some(Section {
            key,
            servers: servers.collect(),
            declared: places.servers.len(),
            min_live: section.min_live.of(places.servers.len()),
        })
    }

    /// Which wishes give way in a section is looked at anew.
    pub(super) fn settle_wishes(
        &mut self,
        key: VirtualServiceKey,
        survey: &Survey,
        actions: &mut Vec<Action>,
    ) {
        if self.manual.is_settled() {
            return;
        }
        let Some(section) = self.counted_section(key, survey) else {
            return;
        };
        let (gave_way, more) = self.manual.settle(self.now, &section);
        for GaveWay { server, called } in gave_way {
            let least = section.min_live;
            let text = format!(
                "{called} of {server} is not obeyed: with what else is wished, on the other \
                 director perhaps, fewer than min_live {least} would be left. It counts again when \
                 there are enough: enable others, or say it again with --force"
            );
            actions.push(mend_note((key, None), None, text));
        }
        actions.extend(more);
    }

    /// How many real servers of a section operators keep from its clients, of how many.
    pub(crate) fn kept_out(&self, key: VirtualServiceKey) -> KeptOut {
        let survey = self.survey(key);
        let places = survey.section.iter().flat_map(|places| &places.servers);
        let section = self.counted_section(key, &survey);
        let servers = section.iter().flat_map(|section| &section.servers);
        let taken = servers.filter(|&&server| {
            let effect = self.manual.effect((key, server));
            effect.is_some_and(Effect::takes_away)
        });
        let views = self.real_servers_in(key);
        let is_taken = |view: &RealServerView| {
            let effect = view.server.and_then(|it| self.manual.effect((key, it)));
            effect.is_some_and(Effect::takes_away)
        };
        let zero = views
            .iter()
            .filter(|it| it.zero_by.is_some() && !is_taken(it));
        let is_fallback =
            |view: &RealServerView| view.server.is_some_and(|it| self.is_fallback(key, it));
        let whole = views.iter().find_map(|view| view.section);
        // Of these no verdict is to come.
        let is_unheard = |view: &&RealServerView| {
            let is_silent = view.role.is_some_and(ServerRole::is_untested);
            is_silent && view.untested.is_empty() && !is_taken(view) && !is_fallback(view)
        };
        KeptOut {
            unheard: views.iter().filter(is_unheard).count(),
            count: taken.count(),
            zero: zero.filter(|it| !is_fallback(it)).count(),
            addressless: places.filter(|place| place.server.is_none()).count(),
            of: section.as_ref().map_or(0, |section| section.declared),
            staying: whole.map_or(0, |section| section.kept),
            serving: whole.map_or(0, |section| section.serving),
            beside: self.beside(key),
        }
    }

    /// Whether a real server is the fallback of a virtual service, and nothing else there.
    fn is_fallback(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        let state = self.sections.state(key);
        state.and_then(|state| state.fallback) == Some(server)
    }

    /// How many real servers of a virtual service take new connections, these left out, nor those
    /// that the file no longer names.
    fn live(&self, key: VirtualServiceKey, without: &BTreeSet<EntryKey>) -> usize {
        let leaving: BTreeSet<RealServerKey> = self.owned.leaving(key).collect();
        let wanted = self.desired.get(&key);
        let servers = wanted.into_iter().flat_map(|wanted| &wanted.servers);
        servers
            .filter(|&(&server, &wish)| {
                let entry = (key, server);
                let is_left = !without.contains(&entry) && !leaving.contains(&server);
                is_left && self.takes_clients(entry, wish)
            })
            .count()
    }

    /// The same of those that the file no longer names, and that stay for now.
    fn live_beside(&self, key: VirtualServiceKey, without: &BTreeSet<EntryKey>) -> usize {
        let wanted = self.desired.get(&key);
        let stays = self.owned.leaving(key).filter(|&server| {
            let entry = (key, server);
            let wish = wanted.and_then(|it| it.servers.get(&server));
            let takes = wish.is_some_and(|&wish| self.takes_clients(entry, wish));
            takes && !without.contains(&entry)
        });
        stays.count()
    }

    /// Whether it is known of every real server of a virtual service whether it takes clients: of
    /// none that is left as it is found, outside of a section, is the kernel asked.
    fn is_known(&self, key: VirtualServiceKey) -> bool {
        let wanted = self.desired.get(&key).map(|wanted| &wanted.servers);
        let mut wishes = wanted.into_iter().flat_map(BTreeMap::values);
        self.sections.kernel(key).is_some() || wishes.all(|it| *it != ServerWish::AsFound)
    }

    /// Whether a real server of which this is wanted takes new connections: one that is left as
    /// found does where the kernel has it in, as of the latest look.
    pub(crate) fn takes_clients(&self, entry @ (key, server): EntryKey, wish: ServerWish) -> bool {
        let weight = match wish {
            ServerWish::In(settings) => settings.weight,
            ServerWish::Out => Weight(0),
            ServerWish::AsFound => {
                let kernel = self.sections.kernel(key);
                let found = kernel.and_then(|kernel| kernel.get(&server));
                found.map_or(Weight(0), |found| found.weight)
            }
        };
        let is_taken = self.manual.effect(entry).is_some_and(Effect::takes_away);
        weight > Weight(0) && !is_taken
    }

    fn what_follows(
        &self,
        view: &RealServerView,
        entry @ (key, server): EntryKey,
        order: &Order,
        before: Option<&ManualView>,
    ) -> String {
        let is_udp = matches!(key, VirtualServiceKey::Address(Protocol::Udp, _));
        let latest = |limit_s| {
            let limit = Duration::from_secs(limit_s);
            // It ends before that.
            match order.span.is_some_and(|span| span <= limit) {
                true => String::new(),
                false => format!(", in {} at the latest", Readable(limit)),
            }
        };
        let what = match order.wish {
            ManualWish::Drain { .. } if self.manual.effect(entry) == Some(Effect::Out) => {
                "stays out".to_owned()
            }
            ManualWish::Drain { .. } if is_udp => {
                "weight 0, then out: of UDP the kernel counts no connection as active".to_owned()
            }
            ManualWish::Drain { limit_s } => format!(
                "weight 0, and out once no connection is active{}",
                latest(limit_s)
            ),
            ManualWish::Quiesce => "weight 0: connections go on, new ones go elsewhere".to_owned(),
            ManualWish::Disable => "to be out".to_owned(),
            ManualWish::Weight { weight } => format!("weight {weight}"),
        };
        let is_let_go = Effect::at_first(&order.wish).takes_away() && self.is_only_kept(view);
        let what = match (anyhow(view), order.wish) {
            (Anyhow::No, ManualWish::Drain { .. }) if is_let_go => {
                "out: min_live keeps it in no more".to_owned()
            }
            (Anyhow::No, ManualWish::Quiesce | ManualWish::Weight { .. }) if is_let_go => {
                "out: min_live keeps it in no more; weight 0 when it is back".to_owned()
            }
            (Anyhow::No, _) => what,
            (Anyhow::Out, ManualWish::Drain { .. } | ManualWish::Disable) => "stays out".to_owned(),
            (Anyhow::Out, ManualWish::Quiesce) => "stays out; weight 0 when it is back".to_owned(),
            (Anyhow::Out, ManualWish::Weight { weight }) => {
                format!("stays out; weight {weight} when it is back")
            }
            (Anyhow::AsFound, ManualWish::Disable) => what,
            (
                Anyhow::AsFound,
                ManualWish::Drain { .. } | ManualWish::Quiesce | ManualWish::Weight { .. },
            ) => format!("as it is found until its first verdict; then {what}"),
        };
        let mut line = format!("{server} in {key}: {what}");
        // Writing to a String cannot fail.
        if let Some(span) = order.span {
            let _ = write!(line, "; ends by itself in {}", Readable(span));
        }
        if let Some(before) = before {
            let _ = write!(line, "; in the place of {}", before.called());
        }
        line
    }

    /// What its health has to say about one that is out anyhow.
    fn health(&self, view: &RealServerView) -> String {
        let by = view.withdrawals.iter().map(|withdrawal| {
            let service = self.model.service(withdrawal.service);
            format!("{}/{}", service.group, service.name)
        });
        let by: Vec<String> = by.collect();
        if let Some(until) = &view.held {
            return format!("; the file does not name it any more, and it stays until {until}");
        }
        match by.as_slice() {
            [] if view.role == Some(ServerRole::FallbackOut) => {
                "; it is the fallback, which is not needed now".to_owned()
            }
            [] => String::new(),
            by => format!("; its checks withdraw it anyhow: {}", by.join(", ")),
        }
    }

    /// The real servers that a person means, in table order; never none of them.
    pub(crate) fn aimed(&self, aim: &Aim) -> Result<Vec<RealServerView>, Miss> {
        let within = match &aim.within {
            Some(name) => Some(self.virtual_service_called(name)?),
            None => None,
        };
        let name = &aim.server.0;
        // The whole of each virtual service is surveyed: only of those that may have it.
        let is_word = |host: &HostName| name.starts_with(host.as_str());
        let keys = self.by_host.iter().filter(|(host, _)| is_word(host));
        let keys: BTreeSet<VirtualServiceKey> = keys.flat_map(|(_, keys)| keys).copied().collect();
        let may_have = |key: VirtualServiceKey, wanted: &DesiredService| {
            let called = |server: RealServerKey| is_address(name, server);
            keys.contains(&key)
                || wanted.servers.keys().copied().any(called)
                || self.owned.leaving(key).any(called)
        };
        let mut views = self.real_servers_of(may_have);
        views.retain(|view| {
            let port = view.server.map_or(0, |server| server.0.port());
            let mut hosts = view.hosts.iter();
            let is_held = || {
                let server = view.server.filter(|_| view.held.is_some());
                server.is_some_and(|server| is_address(name, server))
            };
            hosts.any(|host| is_called(name, host, port, view.server)) || is_held()
        });
        if views.is_empty() {
            let known = || self.unknown(&aim.server);
            let text = self.undeclared(aim).unwrap_or_else(known);
            return Err(Miss::Unknown(text + &self.kept_of_lost(aim)));
        }
        let Some(within) = within else {
            return Ok(views);
        };
        let keys: BTreeSet<String> = views
            .iter()
            .map(|it| it.virtual_service.to_string())
            .collect();
        views.retain(|view| view.virtual_service == within);
        if views.is_empty() {
            let keys: Vec<String> = keys.into_iter().take(NAMED_MAX).collect();
            let keys = keys.join(", ");
            let text = format!("{name} is not in {within}; it is in {keys}");
            return Err(Miss::Unknown(text));
        }
        Ok(views)
    }

    /// What is said of real servers that a person means and the file does not have, where the
    /// newest look at the kernel's table found them.
    fn undeclared(&self, aim: &Aim) -> Option<String> {
        let found = self.manual.in_kernel();
        let found = found.filter(|&entry| self.is_meant(aim, entry));
        let found = found.map(|(key, server)| format!("{server} in {key}"));
        let found: Vec<String> = found.take(NAMED_MAX).collect();
        let (is, it) = match found.as_slice() {
            [] => return None,
            [_] => ("is", "it"),
            [..] => ("are", "them"),
        };
        Some(format!(
            "{} {is} in the kernel's table, but the file does not have {it}, so nothing can be \
             wished of {it}: add {it} to the file, or take {it} out with ipvsadm -d",
            found.join(", ")
        ))
    }

    /// Whether a person may mean this entry by its address, also where nobody declared it.
    pub(crate) fn is_meant(&self, aim: &Aim, (key, server): EntryKey) -> bool {
        let is_within = |name: &String| self.virtual_service_called(name) == Ok(key);
        is_address(&aim.server.0, server) && aim.within.as_ref().is_none_or(is_within)
    }

    /// The virtual service that a person names, with or without its protocol.
    fn virtual_service_called(&self, name: &str) -> Result<VirtualServiceKey, Miss> {
        let is_meant = |key: &VirtualServiceKey| match name.parse::<VirtualServiceKey>() {
            Ok(named) => named == *key,
            Err(_) => match (name.parse::<SocketAddr>(), key) {
                (Ok(named), VirtualServiceKey::Address(_, address)) => named == *address,
                (Ok(_), VirtualServiceKey::Mark(..)) | (Err(_), _) => false,
            },
        };
        let known = || self.desired.keys().copied();
        let mut meant: Vec<VirtualServiceKey> = known().filter(is_meant).collect();
        if meant.is_empty()
            && let Ok(VirtualServiceKey::Mark(_, named)) = name.parse()
        {
            // The one of IPv6, whose number a person knows.
            meant.extend(known().filter(|key| match key {
                VirtualServiceKey::Mark(_, mark) => *mark == named,
                VirtualServiceKey::Address(..) => false,
            }));
        }
        match meant.as_slice() {
            [key] => Ok(*key),
            [] => Err(Miss::Unknown(format!(
                "no virtual service is called \"{name}\"; write ADDRESS:PORT, ADDRESS:PORT/PROTOCOL \
                 or fwmark MARK as lvsmon table shows them"
            ))),
            several => {
                let several: Vec<String> = several.iter().map(ToString::to_string).collect();
                let text = format!("\"{name}\" may be {}", several.join(" or "));
                Err(Miss::Unclear(text))
            }
        }
    }

    /// Of these real servers that the file has those are given the wishes of the server as a whole
    /// that it had not when it was last looked at, before a restart too.
    pub(super) fn wish_of_new(
        &mut self,
        key: VirtualServiceKey,
        servers: impl Iterator<Item = RealServerKey>,
        actions: &mut Vec<Action>,
    ) {
        if self.manual.is_empty() {
            return;
        }
        let is_new = |server: &RealServerKey| !self.owned.is_declared(key, *server);
        let new: BTreeSet<RealServerKey> = servers.filter(is_new).collect();
        if !new.is_empty() {
            actions.extend(self.manual.named_anew(self.now, key, &new));
        }
    }

    /// What time and connections have brought about for wishes.
    pub(super) fn advance_wishes(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.manual.is_empty() {
            return;
        }
        // What stays for a name may be the server of that.
        let wished = self.manual.entries();
        let held = wished.filter(|(key, _)| self.held_until(*key).is_some());
        let held: BTreeSet<EntryKey> = held.collect();
        let (desired, owned) = (&self.desired, &self.owned);
        let is_known = |entry @ (key, server): EntryKey| {
            let wanted = desired.get(&key);
            let wish = wanted.and_then(|wanted| wanted.servers.get(&server));
            wish.is_some_and(|wish| {
                let stays = *wish == ServerWish::AsFound || held.contains(&entry);
                stays || owned.leaving(key).all(|leaving| leaving != server)
            })
        };
        actions.extend(self.manual.known(now, is_known));
        let (keys, more) = self.manual.advance(now);
        actions.extend(more);
        self.decide(&keys, actions);
    }

    /// What is wished of an entry, for readers.
    pub(crate) fn wished(&self, entry: EntryKey, now: Now) -> Option<ManualView> {
        self.manual.view(entry, now)
    }
}

/// Where a real server is whatever an operator wishes.
enum Anyhow {
    /// Where he wishes it.
    No,
    /// Out: its checks withdraw it, or it is not needed.
    Out,
    /// As it is found: there is no verdict yet.
    AsFound,
}

fn anyhow(view: &RealServerView) -> Anyhow {
    match (view.role, view.wish) {
        (_, _) if view.held.is_some() => Anyhow::No,
        (_, ServerWish::AsFound) => Anyhow::AsFound,
        (Some(ServerRole::Out | ServerRole::OutUntested | ServerRole::FallbackOut), _) => {
            Anyhow::Out
        }
        (Some(_), _) => Anyhow::No,
        (None, _) if view.withdrawals.is_empty() => Anyhow::No,
        (None, _) => Anyhow::Out,
    }
}

/// Whatever a client may send.
fn check_bounds(order: &Order) -> Result<(), String> {
    let limit = match order.wish {
        ManualWish::Drain { limit_s } => Some(Duration::from_secs(limit_s)),
        ManualWish::Weight { weight } if weight > Weight::MAX => {
            return Err(format!("a weight is 0 to {}, not {weight}", Weight::MAX));
        }
        ManualWish::Quiesce | ManualWish::Disable | ManualWish::Weight { .. } => None,
    };
    if limit.is_some_and(|limit| limit > SPAN_MAX) || order.span.is_some_and(|it| it > SPAN_MAX) {
        let most = Readable(SPAN_MAX);
        return Err(format!(
            "a wish lasts {most} at most; what is to last longer belongs in the file"
        ));
    }
    if order.span == Some(Duration::ZERO) {
        return Err("a wish that ends at once changes nothing".to_owned());
    }
    Ok(())
}

pub(super) fn entry_of(view: &RealServerView) -> Option<EntryKey> {
    Some((view.virtual_service, view.server?))
}

/// Whether a person means this real server: by its word in the file or its address, with or
/// without the port; brackets about an IPv6 address are taken with and without one.
pub(super) fn is_called(
    name: &str,
    host: &HostName,
    port: u16,
    server: Option<RealServerKey>,
) -> bool {
    let word = host.as_str();
    let has_port = |rest: &str| {
        rest.strip_prefix(':')
            .is_some_and(|it| it == port.to_string())
    };
    if name
        .strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || has_port(rest))
    {
        return true;
    }
    server.is_some_and(|server| is_address(name, server))
}

/// Whether a person means this real server by its address.
pub(super) fn is_address(name: &str, RealServerKey(address): RealServerKey) -> bool {
    let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let ip: Option<IpAddr> = bare.unwrap_or(name).parse().ok();
    name.parse() == Ok(address) || ip == Some(address.ip())
}
