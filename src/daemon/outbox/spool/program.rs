//! What is kept of a call until its program is started?
//!
//! All that the program gets: its arguments, its variables, its standard input. What the call is
//! about is in the message's notice. Arguments and variables may hold passwords: they go to the
//! spool, whose files only the daemon's user can read, and nowhere else.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::notice::Notice;
use crate::daemon::outbox::programs::ProgramCall;
use crate::engine::event::{AlertCall, AlertId};
use crate::model::{AlertCommand, AlertProgram};
use crate::options::AlertOptions;
use crate::pair::post;

/// A program, or a built-in alert that waits its turn like one, with what it is told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::daemon::outbox) struct KeptProgram {
    /// The file; the name of a built-in alert.
    path: PathBuf,
    /// As the alert line has it.
    name: String,
    args: Vec<String>,
    written: String,
    environment: Vec<(String, String)>,
    input: Input,
}

/// Standard input: text mostly, and a fourth of the size as such.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    Text(String),
    Bytes(Vec<u8>),
}

impl fmt::Debug for KeptProgram {
    /// Without anything that may be a password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("KeptProgram").field(&self.path).finish()
    }
}

impl KeptProgram {
    /// That of a call.
    pub(in crate::daemon::outbox) fn of(program: &ProgramCall) -> Self {
        let call = &program.call;
        let input = match std::str::from_utf8(&call.input) {
            Ok(text) => Input::Text(text.to_owned()),
            Err(_) => Input::Bytes(call.input.to_vec()),
        };
        Self {
            path: program.path.clone(),
            name: call.command.name.to_string(),
            args: call.command.args.clone(),
            written: call.command.written.to_string(),
            environment: call.environment.to_vec(),
            input,
        }
    }

    /// As the file names it.
    pub(in crate::daemon::outbox) fn name(&self) -> &str {
        &self.name
    }

    /// Who is reached, as directors call it among themselves.
    pub(super) fn receiver(&self) -> Arc<str> {
        receiver(&self.command())
    }

    /// The call again. Nobody in this life of the daemon waits for its end.
    pub(in crate::daemon::outbox) fn into_call(self, number: u64, notice: Notice) -> ProgramCall {
        let command = Arc::new(self.command());
        let input = match self.input {
            Input::Text(text) => text.into_bytes(),
            Input::Bytes(bytes) => bytes,
        };
        let call = AlertCall {
            id: AlertId::default(),
            record: "".into(), // It does not go through the journal again.
            event: notice.event,
            service: None,
            kind: notice.kind,
            command,
            group: notice.group.into(),
            name: notice.service.into(),
            period: notice.period.into(),
            hosts: notice.hosts.join(" "),
            time: notice.time,
            summary: notice.summary,
            input: input.into(),
            environment: self.environment.into(),
            results: Vec::new(),
            status: notice.status,
            exit: notice.exit,
            first_failure: notice.first_failure,
        };
        ProgramCall {
            path: self.path,
            call: Box::new(call),
            number,
            waiting: None,
        }
    }

    fn command(&self) -> AlertCommand {
        let program = match AlertOptions::parse(&self.name, &self.args) {
            Some(Ok(options @ AlertOptions::Trap(_))) if !self.path.is_absolute() => {
                AlertProgram::Native(options)
            }
            Some(_) | None => AlertProgram::Executable(self.path.clone()),
        };
        AlertCommand {
            exit: None,
            name: self.name.as_str().into(),
            args: self.args.clone(),
            written: self.written.as_str().into(),
            program,
        }
    }
}

/// What directors call a program with these arguments among themselves.
pub(in crate::daemon::outbox) fn receiver(command: &AlertCommand) -> Arc<str> {
    let shown = command.shown_args();
    let words = shown.iter().map(String::as_str);
    post::receiver("program", std::iter::once(&*command.name).chain(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notice::tests::call;
    use crate::daemon::outbox::spool::{Destination, Item};

    fn program(name: &str, path: &str, args: &[&str], input: &[u8]) -> ProgramCall {
        let mut call = call();
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        let program = match AlertOptions::parse(name, &args) {
            Some(options) => AlertProgram::Native(options.unwrap()),
            None => AlertProgram::Executable(path.into()),
        };
        call.command = Arc::new(AlertCommand {
            exit: None,
            name: name.into(),
            written: args.join(" ").into(),
            args,
            program,
        });
        call.input = input.into();
        ProgramCall {
            path: path.into(),
            waiting: Some(call.id),
            call: Box::new(call),
            number: 3,
        }
    }

    /// Through the file and back.
    fn kept(before: &ProgramCall) -> (Item, ProgramCall) {
        let item = Item {
            version: Item::VERSION,
            accepted: before.call.time,
            destination: Destination::Program(Box::new(KeptProgram::of(before))),
            seal: None,
            notices: vec![Notice::new(&before.call, None)],
            held: false,
        };
        let read: Item = serde_json::from_slice(&item.to_bytes()).unwrap();
        let Destination::Program(kept) = read.destination.clone() else {
            panic!("{read:?}");
        };
        let after = kept.into_call(before.number, read.notices[0].clone());
        (read, after)
    }

    #[test]
    fn a_call_that_was_kept_tells_the_same() {
        for before in [
            program(
                "own.alert",
                "/a/own.alert",
                &["-x", "b c"],
                b"web1\n\n\xff\n",
            ),
            program("own.alert", "/a/own.alert", &[], b"web1\n"),
            program("trap.alert", "trap.alert", &["10.0.0.9"], b"web1\n"),
        ] {
            let (_, after) = kept(&before);
            assert_eq!((after.number, after.waiting), (3, None));
            assert_eq!(after.key(), before.key());
            let mut call = *before.call.clone();
            // What no program is told.
            (call.id, call.service) = (AlertId::default(), None);
            call.record = "".into();
            call.results.clear();
            assert_eq!(*after.call, call);
        }
    }

    #[test]
    fn what_may_be_a_password_is_in_the_file_and_nowhere_else() {
        let mut before = program("own.alert", "/a/own.alert", &["s3cret"], b"web1\n");
        before.call.environment = [("TOKEN".to_owned(), "s3cret".to_owned())].into();
        let (item, _) = kept(&before);
        let file = String::from_utf8(item.to_bytes()).unwrap();
        assert_eq!(file.matches("s3cret").count(), 3, "{file}");
        assert!(!format!("{item:?}").contains("s3cret"));
    }

    #[test]
    fn directors_call_a_kept_program_as_they_call_it_in_line() {
        let before = program("own.alert", "/a/own.alert", &["-x"], b"");
        let (item, after) = kept(&before);
        assert_eq!(item.destination.receiver(), receiver(&before.call.command));
        assert_eq!(item.destination.receiver(), receiver(&after.call.command));
    }
}
