//! When are mon's own state files, `disabled` and `opstatus`, written and read?
//!
//! Written for `savestate`, and `disabled` after every `enable` and `disable`; read for
//! `loadstate` and at a start with `-l`. The journal, not these, carries the state of lvsmon from
//! one start to the next (D20): at a start they only say what it does not, and nothing at all
//! where lvsmon wrote them, took them in or was reset with them in their place ([`KnownFiles`]);
//! a `disabled` of anybody else counts whole. A file that cannot be used is named and nothing of it
//! is taken; lines of `disabled` that were passed over are named too (E-33).

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tokio::sync::mpsc;

use crate::daemon::Daemon;
use crate::daemon::histories;
use crate::daemon::scribe::{Job, Page, Reply};
use crate::digest::Digest;
use crate::engine::event::{Event, Wish};
use crate::engine::saved::{Classic, ClassicDisabled, StateFile};
use crate::protocol::known_file::{KnownFiles, Modified, Text};
use crate::protocol::state_file::{FILE_MAX, StateFault};
use crate::regular_file;

/// Files that were read and wait for the loop: one for each client that asks is far more than
/// enough.
const READ_MAX: usize = 64;

/// Names that a line of the log has of what a file changed; how many there are is said too.
const NAMES_MAX: usize = 20;

/// What state files say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    classic: Classic,
    /// Those of which something was taken.
    texts: Vec<Text>,
}

/// Files that were read for a client.
pub(super) struct StateRead {
    found: Found,
    reply: Reply,
}

impl fmt::Debug for StateRead {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found.fmt(out)
    }
}

/// The way from the thread that reads to the loop.
#[derive(Debug)]
pub(super) struct StateReads {
    sender: mpsc::Sender<StateRead>,
    receiver: mpsc::Receiver<StateRead>,
}

impl Default for StateReads {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(READ_MAX);
        Self { sender, receiver }
    }
}

impl StateReads {
    /// The next files that were read; cancel safe.
    pub(super) async fn next(&mut self) -> Option<StateRead> {
        self.receiver.recv().await
    }
}

impl Daemon {
    /// `savestate`: writes these files beside the loop and tells `reply`.
    pub(super) fn save_state_files(&mut self, files: &[StateFile], reply: Reply) {
        let classic = if files.contains(&StateFile::Opstatus) {
            self.engine.classic()
        } else {
            self.disabled_alone()
        };
        self.write(files, &classic, vec![reply]);
    }

    /// Something was enabled or disabled.
    pub(super) fn save_disabled(&mut self) {
        let classic = self.disabled_alone();
        self.write(&[StateFile::Disabled], &classic, Vec::new());
    }

    /// What is known of 10,000 services takes a while to say, and `disabled` says none of it.
    fn disabled_alone(&self) -> Classic {
        Classic {
            disabled: Some(self.engine.classic_disabled()),
            ..Classic::default()
        }
    }

    fn write(&mut self, files: &[StateFile], classic: &Classic, replies: Vec<Reply>) {
        let folder = self.engine.model().globals.statedir.clone();
        let modified = Modified::at(self.clock.now().wall);
        let mut pages = Vec::new();
        for &file in files {
            if let Some(text) = file.text(classic) {
                self.journal_has([Text {
                    file,
                    digest: Digest::of(text.as_bytes()),
                    modified,
                }]);
                pages.push(Page {
                    path: folder.join(file.name()),
                    text,
                    modified,
                });
            }
        }
        self.scribe.give(Job::Replace {
            files: pages,
            replies,
        });
    }

    /// What these files say is in the journal, or was forgotten: they say nothing at a start.
    pub(super) fn journal_has(&mut self, texts: impl IntoIterator<Item = Text>) {
        for text in texts {
            if let Some(record) = self.known_files.add(text) {
                self.store.record(record);
            }
        }
    }

    /// The journal begins again.
    pub(super) fn record_known_files(&mut self) {
        for record in self.known_files.record_all() {
            self.store.record(record);
        }
    }

    /// `loadstate`: reads these files beside the loop; `reply` is told when the engine knows.
    pub(super) fn load_state_files(&mut self, files: &[StateFile], reply: Reply) {
        let folder = self.engine.model().globals.statedir.clone();
        let files = files.to_vec();
        let sender = self.state_reads.sender.clone();
        self.scribe.give(Job::Run {
            what: Box::new(move |reply| {
                let found = read(&folder, &files, &KnownFiles::default());
                // The loop may have ended.
                let _ = sender.blocking_send(StateRead { found, reply });
            }),
            reply,
        });
    }

    /// A start with `-l`: of the files that somebody else wrote since, what the journal does not
    /// know better. Blocks.
    pub(super) fn load_at_start(&mut self, files: &[StateFile]) {
        let folder = &self.engine.model().globals.statedir;
        let found = read(folder, files, &self.known_files);
        let (classic, known) = self.engine.news_of(found.classic);
        if known > 0 {
            tracing::info!(
                lines = known,
                "lines of opstatus not taken in: the journal is newer; loadstate takes them in \
                 whatever it says"
            );
        }
        let before: BTreeSet<ClassicDisabled> =
            self.engine.classic_disabled().into_iter().collect();
        self.tell(Event::Operator(Wish::LoadState(classic)));
        let after: BTreeSet<ClassicDisabled> = self.engine.classic_disabled().into_iter().collect();
        say_newer(&before, &after);
        self.journal_has(found.texts);
    }

    /// The loop has the files of a `loadstate`.
    pub(super) fn state_was_read(&mut self, read: StateRead) {
        let StateRead { found, reply } = read;
        let outcome = self.tell(Event::Operator(Wish::LoadState(found.classic)));
        // What was not taken in is not known: a later start is to try it.
        if !matches!(outcome, Some(Err(_))) {
            self.journal_has(found.texts);
        }
        reply(outcome.map_or(Ok(()), |outcome| outcome.map(drop)));
    }
}

/// What these files of a state folder say. One that is missing, or that the journal is newer than,
/// says nothing; one that cannot be used is named. Blocks.
fn read(folder: &Path, files: &[StateFile], known: &KnownFiles) -> Found {
    let mut found = Found::default();
    for &file in files {
        let path = folder.join(file.name());
        let shown = path.display();
        let (bytes, modified) = match bytes(&path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(path = %shown, "no such state file");
                continue;
            }
            Err(error) => {
                tracing::error!(path = %shown, %error, "state file not used");
                continue;
            }
        };
        let text = Text {
            file,
            digest: Digest::of(&bytes),
            modified,
        };
        if known.has(text) {
            tracing::info!(
                path = %shown,
                "state file not taken in: the journal is newer; loadstate takes it whatever the \
                 journal says"
            );
            continue;
        }
        match file.read(&bytes, &mut found.classic) {
            Ok(strangers) => {
                histories::say_strangers(&path, strangers, true);
                found.texts.push(text);
            }
            Err(fault) => tracing::error!(path = %shown, %fault, "state file not used"),
        }
    }
    found
}

/// What a `disabled` changed that lvsmon had not written: one line for each direction.
fn say_newer(before: &BTreeSet<ClassicDisabled>, after: &BTreeSet<ClassicDisabled>) {
    let (disabled, disabled_names) = listed(after.difference(before));
    if disabled > 0 {
        tracing::warn!(
            disabled,
            disabled_names,
            "disabled, because the file disabled, which lvsmon did not write, says so"
        );
    }
    let (enabled, enabled_names) = listed(before.difference(after));
    if enabled > 0 {
        tracing::warn!(
            enabled,
            enabled_names,
            "enabled again, because the file disabled, which lvsmon did not write, does not name it"
        );
    }
}

/// How many there are, and the names of the first ones.
fn listed<'a>(lines: impl Iterator<Item = &'a ClassicDisabled>) -> (usize, String) {
    let mut count = 0;
    let mut names = Vec::new();
    for line in lines {
        count += 1;
        if names.len() < NAMES_MAX {
            names.push(match line {
                ClassicDisabled::Host(host) => format!("host {host}"),
                ClassicDisabled::Watch(group) => format!("watch {group}"),
                ClassicDisabled::Service(group, name) => format!("service {group}/{name}"),
            });
        }
    }
    (count, names.join(", "))
}

/// The state files that are in this folder. Blocks.
pub(super) fn texts_in(folder: &Path) -> Vec<Text> {
    let text = |file: StateFile| {
        let (bytes, modified) = bytes(&folder.join(file.name())).ok()?;
        let digest = Digest::of(&bytes);
        Some(Text {
            file,
            digest,
            modified,
        })
    };
    StateFile::ALL.into_iter().filter_map(text).collect()
}

/// What a file says, and since when.
fn bytes(path: &Path) -> io::Result<(Vec<u8>, Modified)> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let file = regular_file::open(path)?;
    let metadata = file.metadata()?;
    let modified = Modified(metadata.mtime(), metadata.mtime_nsec());
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_MAX {
        return Err(io::Error::other(StateFault::TooLong));
    }
    Ok((bytes, modified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_file_that_is_missing_spoiled_or_none_leaves_the_other_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let found = || read(path, &StateFile::ALL, &KnownFiles::default());
        assert_eq!(found(), Found::default());
        let text = "disable host h\n";
        std::fs::write(path.join("disabled"), text).unwrap();
        std::fs::create_dir(path.join("opstatus")).unwrap();
        let disabled = Some(vec![ClassicDisabled::Host("h".to_owned())]);
        let texts = texts_in(path);
        let digests: Vec<Digest> = texts.iter().map(|text| text.digest).collect();
        assert_eq!(digests, [Digest::of(text.as_bytes())]);
        let classic = Classic {
            disabled,
            ..Classic::default()
        };
        assert_eq!(found(), Found { classic, texts });
        std::fs::write(path.join("disabled"), "disable host h").unwrap();
        assert_eq!(found(), Found::default());
    }
}
