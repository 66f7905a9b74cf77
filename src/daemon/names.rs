//! Looks names up for the engine, and again when their answer grows old (D8).
//!
//! One task for each name that the engine asked for, asleep between look-ups. The engine
//! hears the first answer and then only changes, those that come together together; the order of
//! addresses is no change. How a name is looked up, and that a good answer outlives an outage of
//! the resolver, is [`crate::names`]' business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock::Clock;
use crate::config::Place;
use crate::engine::event::{AnswerAge, Resolved};
use crate::model::{BoundServers, HostName, Model};
use crate::names::{Answer, Names};
use crate::time::Mono;

/// Shortest time between two look-ups of a good answer: no resolver is flooded because others had
/// asked a while ago. The longest is that of [`crate::names`].
const REFRESH_MIN: Duration = Duration::from_secs(5);

/// Time to the next look-up after an error: soon, because real servers may wait for it.
const RETRY: Duration = Duration::from_secs(5);

/// How long the first answer waits for others: the engine looks at a whole section for an event
/// with names of it, so some thousand answers are to come in a few events. A new address waits for
/// its first good check in any case.
const GATHERED_FOR: Duration = Duration::from_millis(50);

/// Answers that are told at once, and answers on their way to that. Who has one more waits for
/// room, so nothing is lost.
const TOGETHER_MAX: usize = 4_096;

/// The names that are kept fresh.
#[derive(Debug)]
pub(super) struct NameKeeper {
    clock: Clock,
    names: Names,
    tell: mpsc::Sender<Resolved>,
    told: mpsc::Receiver<Resolved>,
    gathered: Gathered,
    tasks: JoinSet<()>,
    handles: BTreeMap<HostName, AbortHandle>,
    /// Where each name, in small letters, first stands in the file.
    places: watch::Sender<Places>,
}

/// Answers that are told together.
#[derive(Debug, Default)]
struct Gathered {
    answers: Vec<Resolved>,
    /// When they are; none while there is no answer.
    due: Option<Mono>,
}

/// Where each name, in small letters, first stands in the configuration.
type Places = BTreeMap<String, Place>;

impl NameKeeper {
    pub(super) fn new(clock: Clock, names: Names, places: Places) -> Self {
        let (tell, told) = mpsc::channel(TOGETHER_MAX);
        Self {
            clock,
            names,
            tell,
            told,
            gathered: Gathered::default(),
            tasks: JoinSet::new(),
            handles: BTreeMap::new(),
            places: watch::Sender::new(places),
        }
    }

    /// Looks a name up, reports the answer, and keeps it fresh from now on. Asked again for
    /// the same name it starts anew, so the answer is reported again.
    pub(super) fn want(&mut self, host: HostName) {
        // Ended tasks (addresses, stopped names) would pile up otherwise.
        while self.tasks.try_join_next().is_some() {}
        let (names, tell) = (self.names.clone(), self.tell.clone());
        let keep = keep_fresh(names, host.clone(), tell, self.places.subscribe());
        let handle = self.tasks.spawn(keep);
        if let Some(old) = self.handles.insert(host, handle) {
            old.abort();
        }
    }

    /// The answers that came since, as soon as there is one and others had time to come. Cancel
    /// safe: what was gathered waits for the next call.
    pub(super) async fn answers(&mut self) -> Vec<Resolved> {
        let Gathered { answers, due } = &mut self.gathered;
        while let Some(room) = TOGETHER_MAX.checked_sub(answers.len()).filter(|it| *it > 0) {
            tokio::select! { biased;
                _ = self.told.recv_many(answers, room) => {
                    due.get_or_insert_with(|| self.clock.now().mono.after(GATHERED_FOR));
                }
                () = self.clock.sleep_until_some(*due) => break,
            }
        }
        std::mem::take(&mut self.gathered).answers
    }

    /// Where a name first stands in the file, as `FILE:LINE`.
    pub(super) fn place(&self, host: &HostName) -> Option<String> {
        place(host, &self.places.borrow())
    }

    /// Forgets the names that nothing in the new configuration can want.
    pub(super) fn keep_only_those_of(&mut self, model: &Model, places: Places) {
        let wanted = wanted_hosts(model);
        self.places.send_replace(places);
        self.handles.retain(|host, handle| {
            let keep = wanted.contains(host);
            if !keep {
                handle.abort();
            }
            keep
        });
    }
}

fn wanted_hosts(model: &Model) -> BTreeSet<&HostName> {
    let mut hosts = BTreeSet::new();
    for section in &model.virtual_services {
        hosts.extend(section.servers.iter().map(|server| &server.host));
        hosts.extend(section.fallback.iter().map(|fallback| &fallback.host));
    }
    for binding in &model.bindings {
        match &binding.real {
            BoundServers::One { host, .. } => {
                hosts.insert(host);
            }
            BoundServers::EachHost { .. } => {
                let members = &model.hostgroup(binding.service).members;
                hosts.extend(members.iter().map(|member| &member.host));
            }
        }
    }
    hosts
}

async fn keep_fresh(
    names: Names,
    host: HostName,
    tell: mpsc::Sender<Resolved>,
    places: watch::Receiver<Places>,
) {
    let is_address = host.as_str().parse::<IpAddr>().is_ok();
    let mut told: Option<Resolved> = None;
    loop {
        // The engine knows what was said before: it waits for an answer.
        let found = names.lookup_to_its_end(host.as_str()).await;
        let (resolved, pause) = match found {
            Ok(answer) => {
                let pause = answer.fresh_for.max(REFRESH_MIN);
                (resolved(host.clone(), answer), pause)
            }
            Err(error) => {
                let todo = what_to_do(&host, &places.borrow());
                let answer = Err(format!("{error}{todo}"));
                (Resolved::fresh(host.clone(), answer), RETRY)
            }
        };
        if told.as_ref() != Some(&resolved) {
            told = Some(resolved.clone());
            // The loop is gone: so is the need for names.
            if tell.send(resolved).await.is_err() {
                return;
            }
        }
        if is_address {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// What the engine hears of an answer.
pub(super) fn resolved(host: HostName, answer: Answer) -> Resolved {
    let mut addresses = answer.addresses;
    addresses.sort_unstable();
    addresses.dedup();
    let age = match (answer.kept_because, answer.kept_family) {
        (None, None) => AnswerAge::Fresh,
        (None, Some(family)) => AnswerAge::KeptOf(family),
        (Some(_), _) => AnswerAge::Kept,
    };
    Resolved {
        host,
        answer: Ok(addresses),
        age,
    }
}

/// Where a name that leads nowhere stands, and how that is mended.
fn what_to_do(host: &HostName, places: &Places) -> String {
    let place = place(host, places).map(|place| format!(", see {place}"));
    format!(
        "{}: mend the name, or write its address there",
        place.unwrap_or_default()
    )
}

fn place(host: &HostName, places: &Places) -> Option<String> {
    let place = places.get(&host.as_str().to_ascii_lowercase())?;
    Some(format!("{}:{}", place.file, place.line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use crate::lead::Lead;

    #[test]
    fn names_that_are_answered_meanwhile_are_told_at_once() {
        let name = |at: u8| format!("w{at}").into_boxed_str();
        let there = |at| Lead::To(vec![IpAddr::from([10, 0, 0, at])]);
        let leads = (0..100).map(|at| (name(at), there(at)));
        let names = Names::system().led(leads.collect());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let answers = runtime.unwrap().block_on(async {
            let mut keeper = NameKeeper::new(Clock::start(), names, Places::new());
            (0..100).for_each(|at| keeper.want(HostName::new(&name(at))));
            keeper.answers().await
        });
        assert_eq!(answers.len(), 100, "{answers:?}");
    }

    #[test]
    fn names_of_lines_and_of_sections_are_kept_over_a_reload_and_no_others() {
        let text = "hostgroup web w1 w2 w3\n\nhostgroup old o1\n\nwatch web\n service s\n  \
                    interval 5s\n  monitor fping.monitor\n  period\n   \
                    alert lvs.alert -P tcp -V 10.0.0.4:80 -R bound\n\n\
                    virtual 10.0.0.3:80\n real web\n fallback sorry:80\n service web:s\n";
        let (model, _) = load_text(text).unwrap();
        let wanted: Vec<&str> = wanted_hosts(&model).iter().map(|it| it.as_str()).collect();
        assert_eq!(wanted, ["bound", "sorry", "w1", "w2", "w3"]);
    }

    #[test]
    fn a_name_that_leads_nowhere_is_said_with_its_place_and_what_to_do() {
        let place = Place {
            file: "/etc/mon/mon.cf".into(),
            line: 12,
            column: 5,
            width: 4,
            excerpt: String::new(),
            indent: 0,
        };
        let places: Places = [("web1".to_owned(), place)].into();
        assert_eq!(
            what_to_do(&HostName::new("Web1"), &places),
            ", see /etc/mon/mon.cf:12: mend the name, or write its address there"
        );
        let said = what_to_do(&HostName::new("other"), &places);
        assert_eq!(said, ": mend the name, or write its address there");
    }
}
