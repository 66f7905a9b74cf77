//! One delivery each: a connection to the relay, a webhook, a program.
//!
//! A job loads what it delivers, delivers it once, and reports; it decides nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::JoinError;

use crate::alert::mail::{self, Email, Fault, Mailer, Session};
use crate::alert::webhook::{Posted, Poster};
use crate::alert::{exec, message, trap};
use crate::clock::Clock;
use crate::daemon::outbox::door::Door;
use crate::daemon::outbox::programs::{Key, ProgramCall};
use crate::daemon::outbox::queue::Outcome;
use crate::daemon::outbox::spool::{Destination, Item, Spool, Unread};
use crate::engine::event::AlertId;
use crate::model::AlertProgram;
use crate::options::AlertOptions;
use crate::pair::Speaking;
use crate::program::Unstarted;

/// What a job tells the courier.
#[derive(Debug)]
pub(super) enum JobReport {
    /// These mails of one transaction were tried, or not.
    Mails(Vec<(u64, Outcome)>),
    /// The connection to the relay is closed.
    RelayDone {
        /// Of the settings that the job worked with.
        generation: u64,
        /// Why it failed.
        fault: Option<String>,
        /// Its addresses, where it worked.
        known: Vec<SocketAddr>,
    },
    /// A webhook was tried.
    Webhook {
        /// Which.
        number: u64,
        /// Dropped messages that it told about.
        left_out: u32,
        /// What came of it.
        outcome: Outcome,
        /// Where the receiver as a whole failed: why, and the wait that it asked for.
        fault: Option<(String, Option<Duration>)>,
    },
    /// A program was started and has what it is told: a crash takes none of that back.
    Started {
        /// Its number.
        number: u64,
    },
    /// A program ended.
    Program {
        /// Which may run again.
        key: Key,
        /// Whose call, where anybody waits for its end.
        call: Option<AlertId>,
        /// Its number.
        number: u64,
        /// Why it does not count as delivered.
        fault: Option<String>,
    },
    /// A program could not be started for now.
    NotNow {
        /// Whose call.
        call: ProgramCall,
        /// Why.
        why: String,
    },
}

/// Where a message's content is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// In the spool.
    Disk(u64),
    /// In memory; the disk did not take it.
    Memory(Arc<Item>),
}

/// Loads a message. A file that is of no use is set aside.
pub(super) async fn load(spool: &Spool, content: &Content) -> Result<Arc<Item>, Unread> {
    match content {
        Content::Memory(item) => Ok(Arc::clone(item)),
        Content::Disk(number) => {
            let (spool, number) = (spool.clone(), *number);
            let file = spool.file(number);
            let read = tokio::task::spawn_blocking(move || {
                let read = spool.read(number);
                if let Err(Unread::Useless(_)) = &read {
                    spool.set_aside(number);
                }
                read
            });
            let broken = |error: JoinError| Err(Unread::NotNow(error.to_string()));
            match read.await.unwrap_or_else(broken) {
                Ok((_, item)) => Ok(Arc::new(item)),
                Err(Unread::Useless(why)) => Err(Unread::Useless(unreadable(&file, &why))),
                Err(Unread::NotNow(why)) => Err(Unread::NotNow(unreadable(&file, &why))),
            }
        }
    }
}

fn unreadable(file: &Path, why: &str) -> String {
    format!("its file {} cannot be read: {why}", file.display())
}

/// What becomes of a message that was not read.
pub(super) fn outcome_unread(unread: Unread) -> Outcome {
    match unread {
        Unread::Useless(why) => Outcome::Refused(why),
        Unread::NotNow(why) => Outcome::Later(why),
    }
}

/// One mail of a job: its number, its recipient, its content.
pub(super) type OneMail = (u64, String, Content);

/// All mails of one connection.
pub(super) struct MailJob {
    /// Each the same mail to several recipients.
    pub(super) transactions: Vec<Vec<OneMail>>,
    pub(super) mailer: Mailer,
    /// Of the settings.
    pub(super) generation: u64,
    pub(super) door: Door,
    pub(super) spool: Spool,
    pub(super) zone: TimeZone,
}

impl MailJob {
    /// Delivers them one after the other until the relay fails.
    pub(super) async fn run(self, reports: mpsc::Sender<JobReport>) {
        let mut fault = None;
        let mut known = Vec::new();
        let mut session = match self.mailer.open().await {
            Ok(session) => Some(session),
            Err(why) => {
                fault = Some(why);
                None
            }
        };
        for transaction in &self.transactions {
            let outcomes = match &mut session {
                None => untried(transaction),
                Some(open) => match self.send(open, transaction).await {
                    Ok(outcomes) => {
                        known = open.addresses();
                        outcomes
                    }
                    Err(why) => {
                        session = None;
                        let later = |(number, ..): &OneMail| (*number, Outcome::Later(why.clone()));
                        let outcomes = transaction.iter().map(later).collect();
                        fault = Some(why);
                        outcomes
                    }
                },
            };
            // The courier reads as long as it lives; without it nothing matters.
            let _ = reports.send(JobReport::Mails(outcomes)).await;
        }
        if let Some(session) = session {
            session.close().await;
        }
        let done = JobReport::RelayDone {
            generation: self.generation,
            fault,
            known,
        };
        let _ = reports.send(done).await;
    }

    async fn send(
        &self,
        session: &mut Session,
        transaction: &[OneMail],
    ) -> Result<Vec<(u64, Outcome)>, String> {
        let mut outcomes = Vec::new();
        let mut numbers = Vec::new();
        let mut recipients = Vec::new();
        let mut email = None;
        for (number, to, content) in transaction {
            match load(&self.spool, content).await {
                Ok(item) => {
                    numbers.push(*number);
                    recipients.push(to.clone());
                    email = email.or_else(|| email_of(&item, &self.zone));
                }
                Err(unread) => outcomes.push((*number, outcome_unread(unread))),
            }
        }
        let Some(email) = email else {
            let why = || Outcome::Refused("it is not a mail".to_owned());
            outcomes.extend(numbers.into_iter().map(|number| (number, why())));
            return Ok(outcomes);
        };
        let bytes = match mail::bytes(&email) {
            Ok(bytes) => bytes,
            Err(why) => {
                let refused = |number| (number, Outcome::Refused(why.clone()));
                outcomes.extend(numbers.into_iter().map(refused));
                return Ok(outcomes);
            }
        };
        if self.door.speaking() == Speaking::Silent {
            let untried = |number| (number, Outcome::Untried);
            outcomes.extend(numbers.into_iter().map(untried));
            return Ok(outcomes);
        }
        let results = session.send(&email.from, &recipients, &bytes).await?;
        outcomes.extend(numbers.into_iter().zip(results.into_iter().map(outcome_of)));
        Ok(outcomes)
    }
}

fn untried(transaction: &[OneMail]) -> Vec<(u64, Outcome)> {
    let untried = |(number, ..): &OneMail| (*number, Outcome::Untried);
    transaction.iter().map(untried).collect()
}

fn outcome_of(result: Result<(), Fault>) -> Outcome {
    match result {
        Ok(()) => Outcome::Delivered,
        Err(Fault::Temporary(why)) => Outcome::Later(why),
        Err(Fault::Permanent(why)) => Outcome::Refused(why),
    }
}

/// The mail that a settled item is; none where it is none.
pub(super) fn email_of(item: &Item, zone: &TimeZone) -> Option<Email> {
    let Destination::Mail {
        from, header_to, ..
    } = &item.destination
    else {
        return None;
    };
    Some(Email {
        message_id: item.seal.as_ref()?.message_id.clone(),
        date: item.accepted,
        from: from.clone(),
        to: header_to.clone(),
        text: message::text(&item.notices, zone),
        events: item.notices.iter().map(|n| n.event.clone()).collect(),
    })
}

/// One webhook.
pub(super) struct WebhookJob {
    pub(super) number: u64,
    /// Messages that were dropped before it.
    pub(super) left_out: u32,
    pub(super) content: Content,
    pub(super) spool: Spool,
    pub(super) door: Door,
    /// Made at the first webhook: it reads the machine's certificates.
    pub(super) poster: Arc<OnceCell<Poster>>,
    /// This machine's name.
    pub(super) director: String,
    pub(super) clock: Clock,
}

impl WebhookJob {
    /// Posts it once.
    pub(super) async fn run(self, reports: mpsc::Sender<JobReport>) {
        let (outcome, fault) = match self.post().await {
            None => (Outcome::Untried, None),
            Some(Posted::Done) => (Outcome::Delivered, None),
            Some(Posted::Refused(why)) => (Outcome::Refused(why), None),
            Some(Posted::Later(why)) => (Outcome::Later(why), None),
            Some(Posted::Closed(why, wait)) => (Outcome::Later(why.clone()), Some((why, wait))),
            Some(Posted::Unsent(why)) => (Outcome::Untried, Some((why, None))),
        };
        let report = JobReport::Webhook {
            number: self.number,
            left_out: self.left_out,
            outcome,
            fault,
        };
        let _ = reports.send(report).await;
    }

    /// None where it may not leave any more.
    async fn post(&self) -> Option<Posted> {
        let item = match load(&self.spool, &self.content).await {
            Ok(item) => item,
            Err(Unread::Useless(why)) => return Some(Posted::Refused(why)),
            Err(Unread::NotNow(why)) => return Some(Posted::Later(why)),
        };
        let (Destination::Webhook(options), Some(notice)) =
            (&item.destination, item.notices.first())
        else {
            return Some(Posted::Refused("it is not a webhook".to_owned()));
        };
        let mut notice = notice.clone();
        notice.left_out = notice.left_out.saturating_add(self.left_out);
        let made = self
            .poster
            .get_or_try_init(|| async { tokio::task::spawn_blocking(Poster::new).await });
        let poster = match made.await {
            Ok(poster) => poster,
            Err(error) => return Some(Posted::Unsent(error.to_string())),
        };
        if self.door.speaking() == Speaking::Silent {
            return None;
        }
        let now = self.clock.now().wall;
        let posted = poster.post(options, &notice, &self.director, now);
        Some(posted.await)
    }
}

/// Runs one alert program, or sends one trap.
pub(super) async fn program(call: ProgramCall, limit: Duration, reports: mpsc::Sender<JobReport>) {
    let ended = match &call.call.command.program {
        AlertProgram::Native(AlertOptions::Trap(options)) => {
            Ok(trap::alert(options, &call.call).await.err())
        }
        AlertProgram::Native(_) | AlertProgram::Executable(_) | AlertProgram::Missing(_) => {
            run(&call, limit, &reports).await
        }
    };
    let report = match ended {
        Ok(fault) => JobReport::Program {
            key: call.key(),
            call: call.waiting,
            number: call.number,
            fault,
        },
        Err(why) => JobReport::NotNow { call, why },
    };
    let _ = reports.send(report).await;
}

/// Runs the program; the answer is why it does not count as delivered, or why it could not be
/// started for now.
async fn run(
    call: &ProgramCall,
    limit: Duration,
    reports: &mpsc::Sender<JobReport>,
) -> Result<Option<String>, String> {
    let running = match exec::start(&call.path, &call.call).await {
        Ok(running) => running,
        Err(Unstarted::ForNow(why)) => return Err(why),
        Err(Unstarted::Refused(why)) => return Ok(Some(why)),
    };
    let number = call.number;
    let (says, told) = oneshot::channel();
    let said = async {
        // Where it ends before, its end is said instead.
        if told.await.is_ok() {
            let _ = reports.send(JobReport::Started { number }).await;
        }
    };
    let (ran, ()) = tokio::join!(running.end_saying(limit, says), said);
    tracing::debug!(
        group = %call.call.group,
        service = %call.call.name,
        alert = %call.call.command.name,
        output = ran.output.trim_end(),
        "alert program ended"
    );
    Ok(ran.fault())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::AlertCommand;

    /// More than a pipe holds: what a crash would cut off is not told.
    #[tokio::test]
    async fn a_program_counts_as_started_when_it_has_what_it_is_told() {
        const LENGTH: usize = 4 * 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let (path, got) = (folder.path().join("got.alert"), folder.path().join("got"));
        let script = format!("#!/bin/sh\nexec cat > {}\n", got.display());
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut call = crate::alert::notice::tests::call();
        call.command = Arc::new(AlertCommand {
            program: AlertProgram::Executable(path.clone()),
            ..(*call.command).clone()
        });
        call.input = vec![b'x'; LENGTH].into();
        let call = ProgramCall {
            path,
            call: Box::new(call),
            number: 1,
            waiting: None,
        };
        let (says, mut hears) = mpsc::channel(4);
        let job = tokio::spawn(program(call, exec::ALERT_LIMIT, says));
        let first = hears.recv().await.unwrap();
        assert!(
            matches!(first, JobReport::Started { number: 1 }),
            "{first:?}"
        );
        let has = fs::metadata(&got).map_or(0, |got| got.len());
        assert!(has > LENGTH as u64 / 2, "{has} of {LENGTH} bytes");
        let last = hears.recv().await.unwrap();
        assert!(
            matches!(last, JobReport::Program { fault: None, .. }),
            "{last:?}"
        );
        job.await.unwrap();
        assert_eq!(fs::metadata(&got).unwrap().len(), LENGTH as u64);
    }
}
