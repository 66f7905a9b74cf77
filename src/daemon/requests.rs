//! How are the requests of mon's clients carried out?
//!
//! [`crate::protocol`] says what a request comes to; here the engine is told, and what only the
//! system can do is begun. Nothing waits: what takes time runs beside the loop and answers the
//! client itself, or comes back to the loop as an event.

use std::sync::Arc;

use nix::unistd::gethostname;
use tokio::sync::oneshot;

use crate::config::Diagnostic;
use crate::daemon::Daemon;
use crate::daemon::gate::{Gate, GateError};
use crate::daemon::scribe::Reply;
use crate::daemon::server::{Ask, Said};
use crate::engine::event::{Event, Memory, Wish};
use crate::protocol::state_file::StateFile;
use crate::protocol::{self, Listing, Session, Sight, StateFiles, Turn, Work, refused};
use crate::site;

/// Mistakes of a configuration that `test config` shows.
const MISTAKES_MAX: usize = 100;

/// A `reset` that waits until the file was read.
#[derive(Debug)]
pub(super) struct Reset {
    memory: Memory,
    reply: oneshot::Sender<String>,
}

/// Who is answered when it was read who may what.
#[derive(Debug)]
pub(super) enum Waiting {
    /// The client that said `reload auth`.
    Reload(oneshot::Sender<String>),
    /// The clients of a reload whose file is in force; none for a SIGHUP.
    Resets(Vec<Reset>),
}

/// Which reading of the rules is the latest: readings run side by side, and a slow one must not
/// put rules in force that are older than those of one that was begun after it.
#[derive(Debug, Default)]
pub(super) struct GateReads {
    begun: u64,
    in_force: u64,
}

impl GateReads {
    /// The number of the next reading.
    fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Whether the good rules of this reading come into force. A later one with mistakes changes
    /// nothing, as it would have done in its turn.
    fn takes(&mut self, number: u64) -> bool {
        let is_newer = number > self.in_force;
        self.in_force = self.in_force.max(number);
        is_newer
    }
}

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
            Ask::Gate {
                gate,
                number,
                waiting,
            } => self.take_gate(gate, number, waiting),
            Ask::End => return false,
        }
        true
    }

    fn sight(&self) -> Sight<'_> {
        Sight {
            engine: &self.engine,
            auth: self.gate.rules(),
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
            Turn::List(listing) => self.first_part(listing),
            Turn::Wish { wish, done } => Said::Text(self.carry_out(*wish, done)),
            Turn::Work(work) => self.begin(session, work),
        }
    }

    fn first_part(&self, mut listing: Box<Listing>) -> Said {
        let (text, is_last) = listing.part(&self.sight());
        Said::Part(text, (!is_last).then_some(listing))
    }

    /// Tells the engine; the reply is `done` when it did so.
    fn carry_out(&mut self, wish: Wish, done: String) -> String {
        match self.tell(Event::Operator(wish)) {
            Some(Err(why)) => refused(&why),
            Some(Ok(_)) | None => done,
        }
    }

    fn begin(&mut self, session: &Session, work: Work) -> Said {
        match work {
            Work::Login(credentials) => Said::Login(credentials, self.gate.clone()),
            Work::Term => {
                tracing::info!(peer = %session.peer(), user = ?session.user(), "a client says term");
                Said::Term(work.reply().to_owned())
            }
            Work::Reset { stops, memory } => {
                if stops {
                    // Before anything takes time, and whatever the file says: nothing may start.
                    self.tell(Event::Operator(Wish::Stop));
                }
                let (reply, answer) = oneshot::channel();
                self.resets.push(Reset { memory, reply });
                self.start_loading();
                Said::Later(answer)
            }
            Work::DowntimeLog => {
                Said::DowntimeLog(self.engine.model().globals.downtime.dtlogfile.clone())
            }
            Work::TestConfig => Said::Later(self.test_config()),
            Work::ReloadAuth => {
                let (reply, answer) = oneshot::channel();
                self.read_gate(Waiting::Reload(reply));
                Said::Later(answer)
            }
            Work::SaveState(files) => {
                let (reply, said) = reply_to(&work);
                self.save_state_files(&state_files(files), reply);
                said
            }
            Work::LoadState(files) => {
                let (reply, said) = reply_to(&work);
                self.load_state_files(&state_files(files), reply);
                said
            }
        }
    }

    /// Reads the file beside the loop and throws it away.
    fn test_config(&self) -> oneshot::Receiver<String> {
        let (reply, answer) = oneshot::channel();
        let (config, options) = (self.config.clone(), self.load.clone());
        tokio::task::spawn_blocking(move || {
            let text = match site::load(&config, &options) {
                Ok(_) => protocol::config_reply(std::iter::empty()),
                Err(found) => {
                    let mistakes = found.iter().filter(|mistake| mistake.is_error());
                    let lines: Vec<String> = mistakes.take(MISTAKES_MAX).map(place).collect();
                    protocol::config_reply(lines.iter().map(String::as_str))
                }
            };
            let _ = reply.send(text);
        });
        answer
    }

    /// Reads who may what beside the loop, and answers who waits for it.
    pub(super) fn read_gate(&mut self, waiting: Waiting) {
        let number = self.gate_reads.begin();
        let settings = self.engine.model().globals.auth.clone();
        let asks = self.server.asks();
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || Gate::read(&settings)).await;
            // The thread broke, which is a defect of lvsmon and logged by its panic.
            if let Ok(gate) = read {
                let ask = Ask::Gate {
                    gate,
                    number,
                    waiting,
                };
                let _ = asks.send(ask).await;
            }
        });
    }

    /// Lets the rules take effect; wrong ones leave the old in force.
    fn take_gate(&mut self, gate: Result<Gate, GateError>, number: u64, waiting: Waiting) {
        let text = match gate {
            Ok(gate) => {
                if self.gate_reads.takes(number) {
                    self.traps.reload(gate.rules().traps());
                    self.gate = Arc::new(gate);
                }
                Work::ReloadAuth.reply().to_owned()
            }
            Err(error) => {
                tracing::error!(%error, "the old rules for clients stay in force");
                refused(&error.to_string())
            }
        };
        match waiting {
            // The client may be gone.
            Waiting::Reload(reply) => drop(reply.send(text)),
            Waiting::Resets(resets) => answer(resets, true),
        }
    }

    /// What becomes of the states in the reload whose file was read: a reset that forgets wins
    /// over a SIGHUP (D32).
    pub(super) fn memory_of_reload(&self) -> Memory {
        let forgets = |reset: &Reset| reset.memory == Memory::Forgotten;
        if self.resets.iter().any(forgets) {
            Memory::Forgotten
        } else {
            Memory::Kept
        }
    }

    /// Answers the clients that wait for a reload: at once where it was refused, else when the
    /// rules of the new file are in force too.
    pub(super) fn answer_resets(&mut self, is_done: bool) {
        let resets = std::mem::take(&mut self.resets);
        if is_done {
            self.read_gate(Waiting::Resets(resets));
        } else {
            answer(resets, false);
        }
    }
}

fn answer(resets: Vec<Reset>, is_done: bool) {
    if resets.is_empty() {
        return;
    }
    let host = gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    let text = protocol::reset_reply(std::process::id(), &host, is_done);
    for reset in resets {
        let _ = reset.reply.send(text.clone());
    }
}

fn state_files(files: StateFiles) -> Vec<StateFile> {
    let all = [
        (files.disabled, StateFile::Disabled),
        (files.opstatus, StateFile::Opstatus),
    ];
    let wanted = all.into_iter().filter(|(is_wanted, _)| *is_wanted);
    wanted.map(|(_, file)| file).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reading_of_the_rules_does_not_replace_those_of_a_later_one() {
        let mut reads = GateReads::default();
        let [first, second, third] = [(); 3].map(|()| reads.begin());
        assert!(reads.takes(second));
        assert!(!reads.takes(first));
        assert!(reads.takes(third));
    }
}
