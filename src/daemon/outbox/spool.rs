//! The spool: one file for each message that must not be lost (D23). What one of a program holds
//! is in `program`.
//!
//! A message counts as accepted when its file has its final name and file and folder are on
//! the disk. Files are named by a growing number, which is the order of acceptance. A file
//! that holds no message is renamed to `NAME.corrupt` and left for a person; one that the
//! system cannot read just now stays where it is. Everything here blocks; the outbox calls it
//! from a thread that may.

pub(super) mod program;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::notice::Notice;
use crate::daemon::outbox::spool::program::KeptProgram;
use crate::folder;
use crate::options::webhook::WebhookOptions;
use crate::pair::post;
use crate::regular_file::{self, NotRegular};
use crate::time::Wall;

/// What one spool file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// [`Item::VERSION`]; another one was written by another lvsmon.
    pub(super) version: u32,
    /// When the outbox took it.
    pub(super) accepted: Wall,
    /// Where it goes.
    pub(super) destination: Destination,
    /// A mail that was made ready: its content is settled and never grouped anew.
    pub(super) seal: Option<Seal>,
    /// What it tells: one event, or those of a sealed group, the oldest first.
    pub(super) notices: Vec<Notice>,
    /// It was taken while the other director was to tell it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) held: bool,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Destination {
    /// To one recipient.
    Mail {
        /// Complete address.
        to: String,
        /// Complete address.
        from: String,
        /// All recipients of the alert line, for the header `To`.
        header_to: Vec<String>,
    },
    /// To one receiver.
    Webhook(WebhookOptions),
    /// To a program that is still to be started.
    Program(Box<KeptProgram>),
}

impl Destination {
    /// Who is reached, as directors call it among themselves: of a webhook what is shown of its URL
    /// and its headers. Neither key nor time limit makes it another one.
    pub(super) fn receiver(&self) -> Arc<str> {
        match self {
            Self::Mail { to, .. } => to.as_str().into(),
            Self::Webhook(options) => {
                let shown = options.shown();
                post::receiver("webhook", shown.iter().map(String::as_str))
            }
            Self::Program(kept) => kept.receiver(),
        }
    }
}

/// A settled mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    /// With angle brackets; the same in every attempt.
    pub(super) message_id: String,
    /// Numbers of the messages that went into it; their files are void.
    pub(super) replaces: Vec<u64>,
}

impl Item {
    /// Of the format; raised when an older lvsmon could not read it.
    pub(super) const VERSION: u32 = 1;

    /// As it stands in the file. Text, numbers and lists only: writing it cannot fail.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Largest file that is read: a sealed group of many full events, with room.
const FILE_MAX: u64 = 16 * 1024 * 1024;
const SUFFIX: &str = ".json";
const TEMPORARY: &str = ".tmp";
const CORRUPT: &str = ".corrupt";

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is gone, or what it says is no message: no attempt will change that.
    Useless(String),
    /// The system could not read it (no descriptors left, a disk error); it may later.
    NotNow(String),
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    folder: PathBuf,
}

/// What a spool held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Number, size in bytes and content, in order.
    pub(super) items: Vec<(u64, u64, Item)>,
    /// Files set aside, with the reason.
    pub(super) corrupt: Vec<(PathBuf, String)>,
    /// Files that the system could not read, with the reason; left where they are.
    pub(super) not_now: Vec<(PathBuf, String)>,
    /// A number greater than all in use.
    pub(super) next: u64,
}

impl Spool {
    /// The spool in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Makes the folder where it is missing and reads what it holds.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or listed.
    pub(super) fn load(&self) -> io::Result<Found> {
        folder::make(&self.folder)?;
        let mut found = Found {
            next: 1,
            ..Found::default()
        };
        let mut replaced = BTreeSet::new();
        for name in self.names()? {
            if name.ends_with(TEMPORARY) {
                // Never accepted: the crash came before the rename.
                let _ = fs::remove_file(self.folder.join(&name));
                continue;
            }
            let Some(number) = number_of(&name) else {
                continue;
            };
            found.next = found.next.max(number.saturating_add(1));
            if !name.ends_with(SUFFIX) {
                continue;
            }
            match self.read(number) {
                Ok((size, item)) => {
                    if let Some(seal) = &item.seal {
                        replaced.extend(seal.replaces.iter().copied());
                    }
                    found.items.push((number, size, item));
                }
                Err(Unread::Useless(why)) => found.corrupt.push((self.set_aside(number), why)),
                Err(Unread::NotNow(why)) => {
                    found.not_now.push((self.path(number, SUFFIX), why));
                }
            }
        }
        found.items.sort_by_key(|(number, ..)| *number);
        let (void, valid) = found
            .items
            .into_iter()
            .partition(|(number, ..)| replaced.contains(number));
        found.items = valid;
        let void: Vec<(u64, u64, Item)> = void;
        self.delete(void.into_iter().map(|(number, ..)| number));
        Ok(found)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // A name that is not text is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Writes files so that they survive a crash; says for each whether it did.
    pub(super) fn write(&self, files: &[(u64, Vec<u8>)]) -> Vec<io::Result<()>> {
        let results: Vec<io::Result<()>> = files
            .iter()
            .map(|(number, bytes)| self.write_one(*number, bytes))
            .collect();
        match folder::sync(&self.folder) {
            Ok(()) => results,
            Err(error) => {
                let again = || io::Error::new(error.kind(), error.to_string());
                results
                    .into_iter()
                    .map(|result| result.and(Err(again())))
                    .collect()
            }
        }
    }

    fn write_one(&self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path(number, TEMPORARY);
        let written = self.write_temporary(&temporary, bytes);
        let done = written.and_then(|()| fs::rename(&temporary, self.path(number, SUFFIX)));
        if done.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        done
    }

    fn write_temporary(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            regular_file::open_as(path, &mut options)
        };
        let opened = open().or_else(|error| {
            // The folder may have been removed under the running daemon.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            folder::make(&self.folder)?;
            open()
        });
        let mut file = opened.map_err(|error| in_the_way(path, error))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Reads one file: its size and content.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and whether it may be later.
    pub(super) fn read(&self, number: u64) -> Result<(u64, Item), Unread> {
        let mut bytes = Vec::new();
        let read = regular_file::open(&self.path(number, SUFFIX))
            .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if NotRegular::in_error(&error).is_some() => {
                let why = format!("{error}; remove it, no message is lost with it");
                return Err(Unread::NotNow(why));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Unread::Useless(error.to_string()));
            }
            Err(error) => return Err(Unread::NotNow(error.to_string())),
        }
        let size = bytes.len() as u64;
        let item = item_of(&bytes).map_err(Unread::Useless)?;
        Ok((size, item))
    }

    /// Deletes files. One that stays is delivered again, which is allowed.
    pub(super) fn delete(&self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let _ = fs::remove_file(self.path(number, SUFFIX));
        }
    }

    /// Gives a file that cannot be used a name under which it is left alone.
    pub(super) fn set_aside(&self, number: u64) -> PathBuf {
        let from = self.path(number, SUFFIX);
        let to = self.path(number, &format!("{SUFFIX}{CORRUPT}"));
        match fs::rename(&from, &to) {
            Ok(()) => to,
            Err(_) => from,
        }
    }

    /// Where a message is, for a person.
    pub(super) fn file(&self, number: u64) -> PathBuf {
        self.path(number, SUFFIX)
    }

    fn path(&self, number: u64, suffix: &str) -> PathBuf {
        self.folder.join(format!("{number:020}{suffix}"))
    }
}

/// What stands where a file is to be written: it is deleted, as whatever is left of a write.
pub(super) fn in_the_way(path: &Path, error: io::Error) -> io::Error {
    match NotRegular::in_error(&error) {
        None | Some(NotRegular::Folder) => error,
        Some(what) => io::Error::other(format!("{}: {what}; it is removed", path.display())),
    }
}

/// The message that a file holds, or why it holds none.
pub(super) fn item_of(bytes: &[u8]) -> Result<Item, String> {
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let item: Item = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if item.version != Item::VERSION {
        return Err(format!(
            "it has format {}, this lvsmon reads {}",
            item.version,
            Item::VERSION
        ));
    }
    if item.notices.is_empty() {
        return Err("it tells no event".to_owned());
    }
    Ok(item)
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.split('.').next()?;
    if digits.len() != 20 {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
pub(super) mod tests;
