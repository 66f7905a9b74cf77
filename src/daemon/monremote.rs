//! Who is told what clients enable, disable and test? The command of `monremote`.
//!
//! It is run as `COMMAND enable|disable host H`, `... watch G`, `... service G S` and `COMMAND test
//! G S`, one call after the other and each for a limited time. COMMAND is given to the shell as
//! mon does; the words behind it are not. At a stop the calls that wait are still made, for a
//! limited time; what is left out then is logged.

use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::engine::event::{Ended, Target, Wish};
use crate::model::{Model, ServiceId};
use crate::program::{self, Streams};

/// Calls that wait: a person disables some hosts at once.
const CALLS_MAX: usize = 256;

/// A call ends after this long: another daemon is told in seconds.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// The way to the calls.
#[derive(Debug)]
pub(super) struct Remote {
    calls: mpsc::Sender<Call>,
    /// Dropped where nobody waits for calls any more.
    patience: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Call {
    command: String,
    words: Vec<String>,
}

impl Remote {
    /// Begins to wait for calls; needs a runtime.
    pub(super) fn start() -> Self {
        let (calls, waiting) = mpsc::channel(CALLS_MAX);
        let (patience, over) = oneshot::channel();
        let task = tokio::spawn(make(waiting, over));
        Self {
            calls,
            patience,
            task,
        }
    }

    /// No more calls come; waits until those that came were made, or for the limit. May be
    /// dropped. [`Self::leave`] is to follow.
    pub(super) async fn finish(&mut self, limit: Duration) {
        let (nothing, _) = mpsc::channel(1);
        self.calls = nothing;
        let _ = timeout(limit, &mut self.task).await;
    }

    /// Ends the call under way, makes no other one, and logs those that were left out.
    pub(super) async fn leave(self) {
        drop((self.calls, self.patience));
        // Who waited for its end cannot wait for it again.
        if !self.task.is_finished() {
            let _ = self.task.await;
        }
    }

    /// A wish was carried out.
    pub(super) fn tell(&self, model: &Model, wish: &Wish) {
        let Some(command) = &model.globals.process.monremote else {
            return;
        };
        for words in words(model, wish) {
            let command = command.clone();
            if self.calls.try_send(Call { command, words }).is_err() {
                tracing::error!("monremote is too slow, a call is left out");
            }
        }
    }
}

/// Makes one call after the other, until no more come or nobody waits for them.
async fn make(mut waiting: mpsc::Receiver<Call>, mut over: oneshot::Receiver<()>) {
    while let Some(call) = waiting.recv().await {
        let (command, words) = (call.command.clone(), call.words.join(" "));
        let is_made = tokio::select! { biased;
            () = run(call) => true,
            _ = &mut over => false,
        };
        if !is_made {
            tracing::error!(command, words, "stopping: monremote was cut off");
            waiting.close();
            while let Ok(Call { command, words }) = waiting.try_recv() {
                let words = words.join(" ");
                tracing::error!(command, words, "stopping: monremote is not told");
            }
            return;
        }
    }
}

fn words(model: &Model, wish: &Wish) -> Vec<Vec<String>> {
    let names = |id: ServiceId| {
        let service = model.services.get(id.index());
        service.map(|service| [service.group.to_string(), service.name.to_string()])
    };
    let (verb, target) = match wish {
        Wish::Enable(target) => ("enable", target),
        Wish::Disable { target, .. } => ("disable", target),
        Wish::TestMonitor(id) => {
            let call = |names: [String; 2]| [vec!["test".to_owned()], names.to_vec()].concat();
            return names(*id).into_iter().map(call).collect();
        }
        Wish::EnableServer(_)
        | Wish::Manual(_)
        | Wish::Ack { .. }
        | Wish::Stop
        | Wish::Start
        | Wish::ClearTimers(_)
        | Wish::TestAlert { .. }
        | Wish::Set { .. }
        | Wish::SetHistoryLength(_)
        | Wish::LoadState(_) => return Vec::new(),
    };
    let call = |kind: &str, names: &[String]| {
        let mut words = vec![verb.to_owned(), kind.to_owned()];
        words.extend_from_slice(names);
        words
    };
    match target {
        Target::Watch(group) => vec![call("watch", &[group.to_string()])],
        Target::Service(id) => {
            let names = names(*id).into_iter();
            names.map(|names| call("service", &names)).collect()
        }
        Target::Hosts(hosts) => {
            let hosts = hosts.iter().map(ToString::to_string);
            hosts.map(|host| call("host", &[host])).collect()
        }
    }
}

async fn run(call: Call) {
    let Call { command, words } = call;
    let script = format!("{command} \"$@\"");
    let started = program::start(Path::new("/bin/sh"), |mut shell| {
        shell.args(["-c", &script, "monremote"]);
        shell.args(&words);
        shell.spawn(Streams {
            input: Some(Streams::nothing()?),
            ..Streams::default()
        })
    });
    let ended = match started.await {
        Ok(mut child) => child.follow(std::future::ready(()), CALL_LIMIT).await,
        Err(unstarted) => Ended::NotStarted(unstarted.why()),
    };
    let words = words.join(" ");
    match ended {
        Ended::Exited(0) => tracing::debug!(words, "monremote told"),
        Ended::Exited(_) | Ended::Signalled(_) | Ended::TimedOut(_) | Ended::NotStarted(_) => {
            tracing::error!(command, words, %ended, "monremote failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::HostName;

    const TEXT: &str =
        "hostgroup g h1 h2\n\nwatch g\n service s\n  interval 1m\n  monitor http.monitor\n";

    #[test]
    fn each_wish_is_told_in_mons_words() {
        let (model, _) = config::load_text(TEXT).unwrap();
        let service = ServiceId(0);
        let hosts = Target::Hosts(["h1", "h2"].map(HostName::new).to_vec());
        let disable = |target| Wish::Disable {
            target,
            user: "joe".to_owned(),
        };
        for (wish, expected) in [
            (disable(hosts), vec!["disable host h1", "disable host h2"]),
            (
                disable(Target::Service(service)),
                vec!["disable service g s"],
            ),
            (
                Wish::Enable(Target::Watch("g".into())),
                vec!["enable watch g"],
            ),
            (Wish::TestMonitor(service), vec!["test g s"]),
            (Wish::Stop, vec![]),
        ] {
            let told: Vec<String> = words(&model, &wish)
                .iter()
                .map(|call| call.join(" "))
                .collect();
            assert_eq!(told, expected, "{wish:?}");
        }
    }

    #[test]
    fn the_command_is_the_shells_and_the_words_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told");
        let command = format!("printf '<%s>' x >{} ", path.display());
        let words = ["disable", "host", "$(reboot) \"h\""]
            .map(str::to_owned)
            .to_vec();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(run(Call { command, words }));
        let told = std::fs::read_to_string(&path).unwrap();
        assert_eq!(told, "<x><disable><host><$(reboot) \"h\">");
    }
}
