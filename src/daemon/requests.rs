//! How are the requests of mon's clients carried out?
//!
//! [`crate::protocol`] says what a request comes to; here the engine is told, and what only the
//! system can do is begun. Nothing waits: what takes time runs beside the loop and answers the
//! client itself, or comes back to the loop as an event.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use crate::config::Diagnostic;
use crate::daemon::Daemon;
use crate::daemon::clients::{Ask, Said};
use crate::daemon::control::NOT_ON_DISK;
use crate::daemon::permissions::Waiting;
use crate::daemon::readings::BROKE;
use crate::daemon::resets::{self, Reset};
use crate::daemon::scribe::Reply;
use crate::daemon::syslog;
use crate::engine::event::{Event, Wish};
use crate::protocol::{self, DENIED, Listing, Session, Sight, Turn, Work, refused};
use crate::site;

/// Mistakes of a configuration that `test config` shows.
const MISTAKES_MAX: usize = 100;

impl Daemon {
    /// Answers a client. False when the daemon is to end.
    pub(super) fn serve(&mut self, ask: Ask) -> bool {
        // The client may be gone; nothing depends on it.
        match ask {
            Ask::Line {
                mut session,
                line,
                reply,
            } => {
                let said = self.request(&mut session, &line);
                let _ = reply.send((session, said));
            }
            Ask::More { mut listing, reply } => {
                let (text, is_last) = listing.part(&self.sight());
                let _ = reply.send(Said::Part(text, (!is_last).then_some(listing)));
            }
            Ask::End => return false,
        }
        true
    }

    fn sight(&self) -> Sight<'_> {
        Sight {
            engine: &self.engine,
            auth: self.permissions.rules(),
            now: self.clock.now(),
            zone: &self.zone,
            pid: std::process::id(),
            processes: &self.runner,
            has_downtime_log: self.engine.model().globals.downtime.dtlogging,
        }
    }

    fn request(&mut self, session: &mut Session, line: &[u8]) -> Said {
        match session.take(line, &self.sight()) {
            Turn::Say(text) => Said::Text(text),
            Turn::Leave(text) => Said::Leave(text),
            Turn::Denied { lacks } => {
                if let Some(command) = lacks {
                    let (peer, user) = (session.peer(), session.user());
                    tracing::warn!(
                        name: syslog::ERR, %peer, user, command,
                        "a client may not do this, as auth.cf says"
                    );
                }
                Said::Text(DENIED.to_owned())
            }
            Turn::List(listing) => self.first_part(listing),
            Turn::Wish { wish, done } => Said::Text(self.carry_out(*wish, done)),
            Turn::Work(work) => self.begin(session, work),
        }
    }

    fn first_part(&self, mut listing: Box<Listing>) -> Said {
        let (text, is_last) = listing.part(&self.sight());
        Said::Part(text, (!is_last).then_some(listing))
    }

    /// Tells the engine; the reply is `done` when it did so. What is to last and cannot is said in
    /// front of it, as a line of data, which mon's clients show or pass over.
    fn carry_out(&mut self, wish: Wish, done: String) -> String {
        let is_lost = is_to_last(&wish) && !self.store.is_good();
        match self.tell(Event::Operator(wish)) {
            Some(Err(why)) => refused(&why),
            Some(Ok(_)) | None if is_lost => format!("{NOT_ON_DISK}\n{done}"),
            Some(Ok(_)) | None => done,
        }
    }

    fn begin(&mut self, session: &Session, work: Work) -> Said {
        match work {
            Work::Login(credentials) => Said::Login(credentials, self.permissions.clone()),
            Work::Term => {
                tracing::info!(peer = %session.peer(), user = session.user(), "a client says term");
                Said::Term(work.reply().to_owned())
            }
            Work::Reset { stops, memory } => {
                if stops {
                    // Before anything takes time, and whatever the file says: nothing may start.
                    self.tell(Event::Operator(Wish::Stop));
                }
                let (reply, answer) = oneshot::channel();
                self.reload(Some(Reset { memory, reply }));
                Said::Later(answer)
            }
            Work::DowntimeLog => {
                Said::DowntimeLog(self.engine.model().globals.downtime.dtlogfile.clone())
            }
            Work::TestConfig => Said::Later(self.test_config()),
            Work::ReloadAuth => {
                let (reply, answer) = oneshot::channel();
                self.read_permissions(Some(Waiting::Reload(reply)));
                Said::Later(answer)
            }
            Work::SaveState(ref files) => {
                let (reply, said) = reply_to(&work);
                self.save_state_files(files, reply);
                said
            }
            Work::LoadState(ref files) => {
                let (reply, said) = reply_to(&work);
                self.load_state_files(files, reply);
                said
            }
        }
    }

    /// Reads the file beside the loop and throws it away.
    fn test_config(&mut self) -> oneshot::Receiver<String> {
        let (reply, answer) = oneshot::channel();
        if self.tests.ask([reply]) {
            self.begin_test();
        }
        answer
    }

    fn begin_test(&mut self) {
        let (config, options) = (self.config.clone(), self.load.clone());
        let leaving = Arc::clone(&self.leaving);
        self.tests.begun(tokio::task::spawn_blocking(
            move || match site::load_unless(&config, &options, &|| leaving.load(Ordering::Relaxed))
            {
                Ok(_) => protocol::config_reply(std::iter::empty()),
                Err(found) => {
                    let mistakes = found.iter().filter(|mistake| mistake.is_error());
                    let lines: Vec<String> = mistakes.take(MISTAKES_MAX).map(place).collect();
                    protocol::config_reply(lines.iter().map(String::as_str))
                }
            },
        ));
    }

    /// The configuration was tried. None where the thread broke.
    pub(super) fn tested(&mut self, text: Option<String>) {
        let text = text.unwrap_or_else(|| refused(BROKE));
        let (answered, goes_on) = self.tests.ended();
        for reply in answered {
            // The client may be gone.
            let _ = reply.send(text.clone());
        }
        if goes_on {
            self.begin_test();
        }
    }

    /// Answers the clients that wait for a reload: at once where it was refused, else when the
    /// rules of the new file are in force too.
    pub(super) fn answer_resets(&mut self, resets: Vec<Reset>, is_done: bool) {
        if is_done {
            self.read_permissions(resets.into_iter().map(Waiting::Reset));
        } else {
            resets::answer(resets, false);
        }
    }
}

/// Whether a client that says this counts on it until somebody takes it back.
const fn is_to_last(wish: &Wish) -> bool {
    match wish {
        Wish::EnableServer(_)
        | Wish::Manual(_)
        | Wish::Enable(_)
        | Wish::Disable { .. }
        | Wish::Ack { .. }
        | Wish::Stop
        | Wish::Start => true,
        Wish::ClearTimers(_)
        | Wish::TestMonitor(_)
        | Wish::TestAlert { .. }
        | Wish::Set { .. }
        | Wish::SetHistoryLength(_)
        | Wish::LoadState(_) => false,
    }
}

/// The answer to work that is done beside the loop, and the way to give it.
fn reply_to(work: &Work) -> (Reply, Said) {
    let (sender, answer) = oneshot::channel();
    let done = work.reply();
    let reply = move |outcome: Result<(), String>| {
        let text = match outcome {
            Ok(()) => done.to_owned(),
            Err(why) => refused(&why),
        };
        // The client may be gone.
        let _ = sender.send(text);
    };
    (Box::new(reply), Said::Later(answer))
}

/// `FILE:LINE: what is wrong`
fn place(mistake: &Diagnostic) -> String {
    match &mistake.place {
        Some(place) => format!("{}:{}: {}", place.file, place.line, mistake.message),
        None => mistake.message.clone(),
    }
}
