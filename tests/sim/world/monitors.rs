//! What monitors find and traps say, and when.

use std::time::Duration;

use lvsmon::engine::event::{Action, Note};
use lvsmon::engine::event::{
    Ended, Event, HostResult, HostVerdict, Purpose, Reason, Report, Run, RunId, RunProgram, Tell,
    Trap,
};
use lvsmon::lvs::GivenWeight;
use lvsmon::model::HostName;

use super::super::depend::Name;
use super::super::health::Heard;
use super::super::rules::is_child;
use super::{Coming, World};

impl World {
    /// A monitor runs: most end soon, some hang until they are killed, some report twice.
    pub(super) fn run(&mut self, run: &Run) {
        let fate = if self.is_calm { 0 } else { self.random.u8(..) };
        let mut took = Duration::from_millis(self.random.u64(1..800));
        let mut report = self.found(run);
        match fate {
            0..=229 => {}
            230..=239 => took = Duration::from_secs(self.random.u64(1..15)),
            240..=244 if is_child(run) => {
                report.ended = Ended::Signalled(11);
                report.output = Vec::new();
            }
            245..=249 if is_child(run) => {
                took = Duration::from_secs(20);
                report.ended = Ended::TimedOut(took);
            }
            250 if is_child(run) => {
                took = Duration::ZERO;
                report.ended = Ended::NotStarted("no such file".to_owned());
                report.output = Vec::new();
            }
            _ => {
                let again = self.time.after(took + Duration::from_millis(30));
                let report = report.clone();
                self.at(
                    again,
                    Coming::Ends {
                        run: run.id,
                        report,
                    },
                );
            }
        }
        if run.tell == Tell::EachHost && !self.is_calm && self.random.u8(..) < 60 {
            // Somebody keeps the others waiting.
            took += Duration::from_secs(self.random.u64(1..6));
        }
        report.took = took;
        if run.tell == Tell::EachHost {
            self.tell_each_host(run.id, &report);
        }
        let at = self.time.after(took);
        self.at(
            at,
            Coming::Ends {
                run: run.id,
                report,
            },
        );
    }

    /// Its hosts are over one by one, mostly well before the last of them.
    fn tell_each_host(&mut self, run: RunId, report: &Report) {
        let most = report.took.min(Duration::from_millis(800)).as_micros();
        for result in report.hosts.clone() {
            let took = self.random.u64(0..=u64::try_from(most).unwrap());
            let at = self.time.after(Duration::from_micros(took));
            self.at(at, Coming::Checked { run, result });
        }
    }

    fn found(&mut self, run: &Run) -> Report {
        let is_away = self.cut_off.is_now();
        let is_down = |host: &HostName| is_away || self.down.contains(host.as_str());
        let down: Vec<&HostName> = run.hosts.iter().filter(|it| is_down(it)).collect();
        let names: Vec<&str> = down.iter().map(|host| host.as_str()).collect();
        let exit = match (down.is_empty(), &run.program) {
            (true, _) => 0,
            (false, RunProgram::Native(_)) => 1,
            (false, RunProgram::Executable(_)) => self.random.i32(1..=6),
        };
        let detail = self.random.u8(..3);
        let mut output = format!("{}\ndetail {detail}\n", names.join(" "));
        if exit != 0 && self.random.u8(..) < 20 {
            output = "no host is named here\n".to_owned();
        }
        let weight = match self.random.u8(..) {
            0..100 => None,
            _ if self.is_calm => Some(GivenWeight::FULL),
            100..120 => Some(GivenWeight::Percent(0)),
            _ => Some(GivenWeight::Percent(self.random.u16(0..200).into())),
        };
        let hosts = run.hosts.iter().map(|host| HostResult {
            host: host.clone(),
            verdict: match is_down(host) {
                true if is_away => HostVerdict::Down(Reason::Timeout),
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: String::new(),
            weight: match is_down(host) {
                true => None,
                false => weight,
            },
            took: Duration::ZERO,
        });
        Report {
            ended: Ended::Exited(exit),
            output: if exit == 0 {
                Vec::new()
            } else {
                output.into_bytes()
            },
            hosts: match run.program {
                RunProgram::Native(_) => hosts.collect(),
                RunProgram::Executable(_) => Vec::new(),
            },
            took: Duration::ZERO,
        }
    }

    /// A run ends. A forgotten one says nothing any more, a frozen one nothing to the table.
    pub(super) fn ends(&mut self, run: RunId, report: Report) {
        let service = self.rules.going.get(&run).copied();
        let frozen = service.filter(|&id| self.is_frozen(id));
        let before = frozen.map(|_| self.engine.desired().clone());
        let is_late = !self.rules.ended(run);
        let known = self.runs.remove(&run);
        let tripped = self.wires.over(run);
        let beside = known.as_ref().filter(|it| it.purpose == Purpose::Beside);
        // One whose name leads elsewhere since is in no run that goes on.
        if let Some((known, host)) = beside.and_then(|it| Some((it, it.hosts.first()?))) {
            let service = self.engine.model().service(known.service);
            let name = (service.group.to_string(), service.name.to_string());
            self.wires.beside_is_over(&name, host);
        }
        if let (Some(service), Ended::NotStarted(_)) = (service, &report.ended) {
            let service = self.engine.model().service(service);
            let name = (service.group.to_string(), service.name.to_string());
            self.cut_off.did_not_start(name);
        }
        if let (Some(known), Some(service), None) = (known, service, frozen) {
            let mut hosts = known.hosts;
            hosts.retain(|host| !tripped.overtaken.contains(host));
            let heard = Heard {
                service,
                purpose: known.purpose,
                program: &known.program,
                hosts: &hosts,
                report: &report,
                tripped: &tripped,
            };
            self.health.hear(&self.engine, &heard);
        }
        self.seen.late_reports += u64::from(is_late);
        let actions = self.tell(Event::RunEnded { run, report });
        if let Some(service) = service {
            self.looks_again(service);
        }
        if let Some(before) = before {
            self.seen.quiet += 1;
            assert_eq!(&before, self.engine.desired(), "a frozen verdict moved");
        }
        // What was due at this very moment may start beside it.
        let starts = |action: &Action| {
            matches!(
                action,
                Action::Start(_) | Action::Note(Note::Throttled { .. })
            )
        };
        assert!(
            !is_late || actions.iter().all(starts),
            "a forgotten run still counts: {actions:?}"
        );
    }

    /// Whether the table keeps what this service said before.
    pub(super) fn is_frozen(&self, id: lvsmon::model::ServiceId) -> bool {
        let view = self.engine.service(id);
        view.is_some_and(|view| {
            let is_stopped = self.engine.stopped_since().is_some();
            is_stopped || view.is_disabled || self.engine.is_watch_disabled(view.group)
        })
    }

    fn trap(&mut self, group: &str, service: &str, status: &str, summary: &str) {
        self.seen.traps += 1;
        let name = (group.to_owned(), service.to_owned());
        self.health.unsure(&name);
        self.cut_off.heard(&name);
        self.tell(Event::Trap(Trap {
            group: group.to_owned(),
            service: service.to_owned(),
            status: status.to_owned(),
            summary: summary.to_owned(),
            detail: "by a test".to_owned(),
            from: std::net::Ipv4Addr::LOCALHOST.into(),
        }));
    }

    /// Traps for somebody or nobody; when all is calm good ones for everybody.
    pub(super) fn traps(&mut self) {
        let services = self.engine.services();
        let names = services.map(|view| (view.group.to_owned(), view.name.to_owned()));
        // What a person says of the gate moves nobody's link.
        let mut names: Vec<Name> = names.filter(|name| name.0 != "gate").collect();
        if !self.is_calm {
            names.push(("g0".to_owned(), "unheard".to_owned()));
            names.push(("nobody".to_owned(), "knows".to_owned()));
            let one = names.swap_remove(self.random.usize(..names.len()));
            names = vec![one];
        }
        for (group, service) in names {
            let status = match self.is_calm {
                true => "0",
                false => ["0", "", "1", "3", "x"][self.random.usize(..5)],
            };
            let summary = format!("trapped {}", self.random.u8(..2));
            self.trap(&group, &service, status, &summary);
        }
        self.later(10, Coming::Trap);
    }

    /// Some within the same moment, and sometimes the daemon dies of it.
    pub(super) fn trap_burst(&mut self) {
        for _ in 0..self.random.u32(1..6) {
            let status = self.random.i32(0..2);
            self.trap("g0", "traps", &status.to_string(), "said so");
        }
        if self.random.u8(..) < 40 {
            self.kill();
        }
        self.later(200, Coming::TrapBurst);
    }
}
