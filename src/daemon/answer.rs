//! What is answered to a person's questions and wishes?
//!
//! Who asks comes in over the socket, which is `control`; the answers are views of the engine, and
//! what a person wishes is told to it as an event. Everything is answered at once.

use std::time::Duration;

use crate::daemon::Daemon;
use crate::daemon::control::{Ask, Reply};
use crate::daemon::health;
use crate::daemon::store::Kept;
use crate::engine::event::{Aim, Event, Order, RealServerName, TableLook, TableOutcome, Wish};
use crate::host;
use crate::model::IpvsBackend;
use crate::site::Duty;
use crate::wire::refusal::{Refusal, RefusalReason};
use crate::wire::role::{FifoRow, RoleAnswer};
use crate::wire::server::Expiry;
use crate::wire::{Answer, Request, Source, server as wire_server, services, table, why};

/// What an observer says to a wish, and to a role: what it decides must be what whoever works
/// would.
const OBSERVES: &str = "lvsmon only observes here: it takes no wishes and has no role, and nothing was \
     changed; say it to whoever works";

impl Daemon {
    /// Answers a person; what came of a wish is told when the journal has it.
    pub(super) fn answer(&mut self, ask: Ask) {
        let is_change = ask.is_change();
        if ask.is_given_up() {
            let why = "asked too long ago, nobody waits for it any more: nothing was changed";
            tracing::warn!(
                uid = ask.uid,
                why,
                "a wish on the control socket is left out"
            );
            let answer = Answer::Error(Refusal::new(RefusalReason::Late, why));
            let _ = ask.reply.send(self.reply(answer, None));
            return;
        }
        if let (true, Duty::Observe) = (is_change, self.load.duty) {
            let answer = Answer::Error(Refusal::new(RefusalReason::Denied, OBSERVES));
            let _ = ask.reply.send(self.reply(answer, None));
            return;
        }
        let answer = match ask.request {
            Request::Table => {
                let seen = self.seen();
                let mut answer = table::table(&self.engine, &seen, self.source());
                answer.sync = self.role_sources.sync();
                Answer::Table(answer)
            }
            Request::Services { from } => Answer::Services(services::services(&self.engine, from)),
            Request::Events { after } => Answer::Events(self.chronicle.after(after)),
            Request::Why { group, service } => {
                let delivery = |id| self.chronicle.delivery(id);
                let now = self.clock.now();
                match why::why(&self.engine, now, &group, &service, delivery) {
                    Ok(answer) => Answer::Why(Box::new(answer)),
                    Err(why) => Answer::Error(Refusal::new(RefusalReason::Unknown, why)),
                }
            }
            Request::Server(aim) => {
                let (seen, now) = (self.seen(), self.clock.now());
                let since = |vs, rs| self.chronicle.since(vs, rs);
                let expiry = match self.engine.model().globals.ipvs_backend {
                    IpvsBackend::Memory => Expiry::default(),
                    IpvsBackend::Netlink | IpvsBackend::Ipvsadm => host::expiry(),
                };
                let from = (self.source(), expiry);
                match wire_server::why(&self.engine, &seen, now, &aim, from, since) {
                    Ok(answer) => Answer::Server(Box::new(answer)),
                    Err(miss) => Answer::Error(Refusal::from(miss)),
                }
            }
            Request::Wish(desire) => self.carry_out_order(Wish::Manual(Order {
                aim: desire.aim,
                wish: desire.wish,
                span: desire.for_s.map(Duration::from_secs),
                by: wire_server::asked_by(desire.login.as_deref(), ask.uid),
                reason: desire.reason,
                caution: desire.caution,
            })),
            Request::Enable { server, within } => {
                let server = RealServerName(server);
                self.enable(Aim { server, within })
            }
            Request::Role => Answer::Role(Box::new(self.role_answer())),
            Request::SetRole { instance, state } => self.role_said(instance, state),
            Request::Health => Answer::Health(self.health()),
            Request::Metrics => Answer::Metrics(Box::new(self.metrics())),
        };
        let kept = is_change.then(|| self.store.kept());
        // The client may be gone; nothing depends on it.
        let _ = ask.reply.send(self.reply(answer, kept));
    }

    fn carry_out_order(&mut self, wish: Wish) -> Answer {
        match self.tell(Event::Operator(wish)) {
            Some(Ok(text)) => Answer::Done(text),
            Some(Err(why)) => Answer::Error(Refusal::new(RefusalReason::Denied, why)),
            None => Answer::Done("done".to_owned()),
        }
    }

    fn reply(&self, answer: Answer, kept: Option<Kept>) -> Reply {
        Reply {
            answer,
            refused_reload: self.refused_reload.clone(),
            kept,
        }
    }

    /// The answer to "which role".
    fn role_answer(&self) -> RoleAnswer {
        let heard = self.role_sources.fifo();
        let mut answer = RoleAnswer::of(&self.role, self.clock.now());
        let source = self.source();
        answer.speaks &= source != Source::Observer;
        answer.source = Some(source);
        answer.silence = self.silence();
        answer.held = self.outbox.held();
        answer.sync = self.role_sources.sync();
        answer.peer = self.peer_row();
        answer.fifo = self
            .role
            .settings()
            .notify_fifo
            .clone()
            .map(|path| FifoRow {
                path,
                trouble: heard.trouble,
                words: heard.count,
                others: heard.others,
            });
        answer
    }

    /// The newest look at the kernel's table, with the connections it found.
    pub(super) fn seen(&self) -> TableOutcome {
        let table = match self.hangs_for() {
            None => self.table.table.clone(),
            Some(took) => TableLook::Unreadable(health::hangs(took)),
        };
        TableOutcome {
            table,
            connections: self.applier.connections(),
            ..self.table.clone()
        }
    }

    /// As what it answers.
    pub(super) fn source(&self) -> Source {
        match self.load.duty {
            Duty::Work => Source::Daemon,
            Duty::Observe => Source::Observer,
        }
    }
}
