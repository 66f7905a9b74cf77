//! A story on the pure engine under virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lvsmon::engine::event::{
    self, Action as Do, AlertCall, Ended, Event, Memory, Report, RunId, Wish,
};
use lvsmon::model::{AlertProgram, Model, MonitorProgram, ServiceId};
use lvsmon::protocol::auth::AuthRules;
use lvsmon::protocol::{self, Process, Processes, Session, Sight, Turn, Work};
use lvsmon::time::Mono;

use super::story::{Action, Call, Entry, Story, When, masked};
use crate::timeline::{World, load, wish};

/// Everybody may do everything.
pub(crate) const EVERYBODY: &str = "\
command section
list: all
set: all
get: all
test: all
reset: all
reload: all
loadstate: all
savestate: all
disable: all
enable: all
ack: all
stop: all
start: all
servertime: all
clear: all
term: all
trap section
* * none
";

/// What came of a story: the answers of each step, and the calls.
pub(crate) struct Told {
    pub(crate) answers: Vec<Vec<String>>,
    pub(crate) calls: Vec<String>,
}

/// Plays a story to its end.
pub(crate) fn play(file: &Path, story: &Story) -> Told {
    let local = "2024-03-13T10:00:00".parse().unwrap();
    let model = model(file, &story.config);
    let (world, _) = World::start(model, local, TimeZone::UTC);
    let mut player = Player {
        file,
        story,
        config: story.config.clone(),
        world,
        ends: BTreeMap::new(),
        started: BTreeMap::new(),
        left: (0..story.steps.len()).collect(),
        answers: vec![Vec::new(); story.steps.len()],
        calls: Vec::new(),
        auth: AuthRules::read(EVERYBODY).rules,
        session: Session::new(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    player.settle();
    while player.go_on() {}
    let mut calls = player.calls;
    // In the order of the services; of one service in that of the calls.
    calls.sort_by_key(|(id, _)| *id);
    Told {
        answers: player.answers,
        calls: calls
            .into_iter()
            .map(|(_, call)| call.line(&story.shown))
            .collect(),
    }
}

/// The model of a configuration, on a machine without the programs named `nosuch...`.
fn model(file: &Path, config: &str) -> Model {
    let mut model = load(file, config);
    let missing = || "it is nowhere".to_owned();
    for service in &mut model.services {
        if let Some(monitor) = &mut service.monitor
            && monitor.name.starts_with("nosuch")
        {
            Arc::make_mut(monitor).program = MonitorProgram::Missing(missing());
        }
        for period in &mut service.periods {
            for list in [
                &mut period.alerts,
                &mut period.upalerts,
                &mut period.startupalerts,
            ] {
                for command in list.iter_mut().filter(|it| it.name.starts_with("nosuch")) {
                    Arc::make_mut(command).program = AlertProgram::Missing(missing());
                }
            }
        }
    }
    model
}

struct Player<'a> {
    file: &'a Path,
    story: &'a Story,
    config: String,
    world: World,
    /// When the runs that go on end, and how.
    ends: BTreeMap<ServiceId, (Mono, Entry)>,
    /// How often each monitor was started.
    started: BTreeMap<String, usize>,
    /// Steps to come.
    left: VecDeque<usize>,
    answers: Vec<Vec<String>>,
    calls: Vec<(ServiceId, Call)>,
    auth: AuthRules,
    session: Session,
}

impl Player<'_> {
    /// The next thing that happens, if there is one before the end.
    fn go_on(&mut self) -> bool {
        let end = self.ends.iter().map(|(id, (at, _))| (*at, *id)).min();
        let step = self.left.iter().copied().find_map(|step| {
            let (when, _) = self.story.steps[step].action.as_ref()?;
            match when {
                When::After(after) => Some((Mono::ZERO.after(*after), step)),
                When::Before(..) => None,
            }
        });
        let due = [
            end.map(|(at, _)| at),
            step.map(|(at, _)| at),
            self.world.due(),
        ];
        let Some(at) = due.into_iter().flatten().min() else {
            return false;
        };
        if at > Mono::ZERO.after(self.story.until) {
            return false;
        }
        let at = at.max(self.world.elapsed);
        self.world.advance(at, &mut Vec::new());
        self.settle();
        if let Some((due, step)) = step
            && due <= at
        {
            self.left.retain(|left| *left != step);
            self.act(step);
        } else if let Some((due, id)) = end
            && due <= at
            && let Some((_, entry)) = self.ends.remove(&id)
        {
            self.end(id, &entry);
        }
        self.settle();
        true
    }

    /// Takes in what the engine said: runs begin, calls are kept, and what waits for a run
    /// happens.
    fn settle(&mut self) {
        loop {
            let done = std::mem::take(&mut self.world.done);
            for action in done {
                match action {
                    Do::Start(run) => self.begin(&run),
                    Do::Stop(_) => {
                        let running = &self.world.running;
                        self.ends.retain(|id, _| running.contains_key(id));
                    }
                    Do::Send(call) => self.called(&call),
                    Do::Resolve(_)
                    | Do::ApplyTable
                    | Do::Record(_)
                    | Do::Renumber { .. }
                    | Do::Suppressed(_)
                    | Do::Answer(_)
                    | Do::Note(_)
                    | Do::History(_)
                    | Do::Hold(_)
                    | Do::LetGo(_)
                    | Do::Downtime(_) => {}
                }
            }
            let waiting = self.left.iter().copied().find(|&step| {
                let action = &self.story.steps[step].action;
                matches!(action, Some((When::Before(service, run), _))
                    if self.started.get(service).is_some_and(|started| started >= run))
            });
            let Some(step) = waiting else {
                return;
            };
            self.left.retain(|left| *left != step);
            self.act(step);
        }
    }

    fn begin(&mut self, run: &event::Run) {
        let name = self.name(run.service);
        let number = self.started.entry(name.clone()).or_default();
        *number += 1;
        let script = self.story.scripts.get(&name);
        // Behind its last entry a monitor hangs.
        if let Some(entry) = script.and_then(|script| script.get(*number - 1)) {
            let at = self.world.elapsed.after(entry.takes);
            self.ends.insert(run.service, (at, entry.clone()));
        }
    }

    fn end(&mut self, id: ServiceId, entry: &Entry) {
        let Some((run, _)) = self.world.running.remove(&id) else {
            return;
        };
        let report = Report {
            ended: match entry.signal {
                Some(signal) => Ended::Signalled(signal),
                None => Ended::Exited(entry.exit),
            },
            output: entry.output.clone().into_bytes(),
            hosts: Vec::new(),
            took: entry.takes,
        };
        self.tell(Event::RunEnded { run, report });
    }

    fn tell(&mut self, event: Event) {
        self.world.tell(event, &mut Vec::new());
    }

    fn reload(&mut self, memory: Memory) {
        let model = Arc::new(model(self.file, &self.config));
        self.tell(Event::Reload { model, memory });
    }

    fn act(&mut self, step: usize) {
        let Some((_, action)) = &self.story.steps[step].action else {
            return;
        };
        match action {
            Action::Client(line) => self.answers[step] = self.client(line),
            Action::Trap(words) => {
                let words: Vec<&str> = ["trap"]
                    .into_iter()
                    .chain(words.iter().map(String::as_str))
                    .collect();
                let trap = wish::trap(&words).expect("!trap GROUP/SERVICE STATUS ...");
                self.tell(Event::Trap(trap));
            }
            Action::Reload(change) => {
                self.change(change.as_ref());
                self.reload(Memory::Kept);
            }
            Action::Restart(change) => {
                self.change(change.as_ref());
                let after = self.world.elapsed.since(Mono::ZERO);
                let model = Arc::new(model(self.file, &self.config));
                self.ends.clear();
                self.world.restart(after, model);
            }
        }
    }

    fn change(&mut self, change: Option<&(String, String)>) {
        if let Some((old, new)) = change {
            let changed = self.config.replace(old, new);
            assert_ne!(changed, self.config, "the configuration does not change");
            self.config = changed;
        }
    }

    /// What a client who may do everything is answered, line by line.
    fn client(&mut self, line: &str) -> Vec<String> {
        let sight = Sight {
            engine: &self.world.engine,
            auth: &self.auth,
            now: self.world.now(),
            zone: &TimeZone::UTC,
            pid: 4_711,
            processes: &InDaemon,
            has_downtime_log: false,
        };
        let reply = match self.session.take(line.as_bytes(), &sight) {
            Turn::Say(reply) | Turn::Leave(reply) => reply,
            Turn::Denied { .. } => lvsmon::protocol::DENIED.to_owned(),
            Turn::List(mut listing) => {
                let mut reply = String::new();
                loop {
                    let (part, is_last) = listing.part(&sight);
                    reply.push_str(&part);
                    if is_last {
                        break reply;
                    }
                }
            }
            Turn::Wish { wish, done } => match self.wish(*wish) {
                Ok(_) => done,
                Err(why) => protocol::refused(&why),
            },
            Turn::Work(Work::Reset { stops, memory }) => {
                self.reload(memory);
                if stops {
                    let _ = self.wish(Wish::Stop);
                }
                protocol::reset_reply(4_711, "host", true)
            }
            Turn::Work(work) => work.reply().to_owned(),
        };
        reply.lines().map(masked).collect()
    }

    /// What the engine says to a wish.
    fn wish(&mut self, wish: Wish) -> Result<String, String> {
        self.tell(Event::Operator(wish));
        let mut done = self.world.done.iter().rev();
        let outcome = done.find_map(Do::answered);
        outcome.cloned().expect("every wish is answered")
    }

    fn called(&mut self, call: &AlertCall) {
        let service = format!("{}/{}", call.group, call.name);
        let mut command = match &call.command.program {
            AlertProgram::Executable(path) => path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            AlertProgram::Native(_) | AlertProgram::Missing(_) => call.command.name.to_string(),
        };
        for word in &call.command.args {
            command.push(' ');
            command.push_str(word);
        }
        let told = Call {
            run: self.started.get(&service).copied().unwrap_or_default(),
            service,
            kind: call.kind.word().to_owned(),
            command,
            hosts: call.hosts.clone(),
            exit: call
                .exit
                .map_or_else(|| "-".to_owned(), |exit| exit.to_string()),
            status: call.status.word().to_owned(),
            input: String::from_utf8_lossy(&call.input).into_owned(),
            variables: call.environment.iter().cloned().collect(),
        };
        self.calls.push((call.service.unwrap(), told));
    }

    fn name(&self, id: ServiceId) -> String {
        let service = self.world.engine.model().service(id);
        format!("{}/{}", service.group, service.name)
    }
}

/// All runs go on in the daemon.
#[derive(Debug)]
struct InDaemon;

impl Processes for InDaemon {
    fn of(&self, _: RunId) -> Process {
        Process::Daemon
    }
}
