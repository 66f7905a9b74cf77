//! How does a reload go?
//!
//! The file is read beside the loop; a good one is taken over in one go, with a wrong one
//! everything stays as it is, and every answer says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::Diagnostic;
use crate::daemon::Daemon;
use crate::daemon::gone::{self, LastLine, has_lost_everything};
use crate::daemon::histories;
use crate::daemon::lasting::keep_what_cannot_change;
use crate::daemon::mistakes::{log_mistakes, log_warnings};
use crate::daemon::outbox::OutboxSettings;
use crate::daemon::resets::{Reset, memory_of};
use crate::daemon::statefiles;
use crate::engine::event::{Event, HistoryLine, Memory};
use crate::model::Model;
use crate::protocol::known_file::Text;
use crate::site::{self, Loaded};
use crate::text::counted;
use crate::wire::reload::RefusedReload;

/// What comes of reading the file again.
pub(super) type Reloaded = Result<Reread, Vec<Diagnostic>>;

/// What a reload reads beside the loop.
#[derive(Debug)]
pub(super) struct Reread {
    loaded: Loaded,
    last_line: LastLine,
    /// As [`histories::read_back`] has it.
    history: Option<Vec<HistoryLine>>,
    /// mon's state files that were there.
    state_files: Vec<Text>,
}

impl Daemon {
    /// A signal, or a client that waits for it, wants the file to be read.
    pub(super) fn reload(&mut self, who: Option<Reset>) {
        if self.reloads.ask(who) {
            self.begin_loading();
        }
    }

    /// Reads the file beside the loop.
    fn begin_loading(&mut self) {
        let config = self.config.clone();
        let load = self.load.clone();
        let leaving = Arc::clone(&self.leaving);
        let statedir = self.engine.model().globals.statedir.clone();
        tracing::info!(config = %config.display(), "reading the configuration again");
        self.reloads.begun(tokio::task::spawn_blocking(move || {
            let loaded = site::load_unless(&config, &load, &|| leaving.load(Ordering::Relaxed))?;
            let history = histories::read_back(&loaded.model.globals);
            Ok(Reread {
                loaded,
                last_line: LastLine::of(&config),
                history,
                state_files: statefiles::texts_in(&statedir),
            })
        }));
    }

    /// Takes a good configuration over, also where it is to be read once more: else somebody
    /// who asks again and again would keep it out of force. With a wrong one everything stays as
    /// it is.
    pub(super) fn finish_loading(&mut self, loaded: Option<Reloaded>) {
        let (resets, goes_on) = self.reloads.ended();
        let loaded = loaded.unwrap_or_else(|| Err(Vec::new()));
        let is_done = self.take_over(loaded, memory_of(&resets));
        if is_done {
            // A person who has found the other writer waits for nothing.
            self.applier.end_all_rests();
        }
        self.answer_resets(resets, is_done);
        if goes_on {
            self.begin_loading();
        }
    }

    /// Whether the configuration that was read is in force now.
    fn take_over(&mut self, loaded: Reloaded, memory: Memory) -> bool {
        let wall = self.clock.now().wall;
        match loaded {
            Ok(reread) if has_lost_everything(self.engine.model(), &reread.loaded.model) => {
                log_warnings(&reread.loaded.warnings);
                let text = "the new configuration has no service and no virtual section, the \
                            old one stays in force: a file that is written half must not empty the table; to \
                            have nothing checked, stop lvsmon";
                tracing::error!(config = %self.config.display(), "{text}");
                self.chronicle
                    .keep(wall, "reload_refused", None, text.to_owned());
                let why = "it has no service and no virtual section".to_owned();
                let config = self.config.clone();
                self.refused_reload = Some(RefusedReload::because(wall, config, 0, why));
                false
            }
            Ok(Reread {
                mut loaded,
                last_line,
                history,
                state_files,
            }) => {
                log_warnings(&loaded.warnings);
                if let Some(names) = gone::names(self.engine.model(), &loaded.model) {
                    gone::say(&names, last_line);
                }
                keep_what_cannot_change(&self.engine.model().globals, &mut loaded.model.globals);
                let model = Arc::new(loaded.model);
                self.client_port.reload(&model.globals);
                self.outbox.reload(OutboxSettings::new(&model.globals));
                self.metrics.reload(&model.globals);
                self.peer.reload(model.globals.peer.clone());
                self.peer.has_news();
                self.names.keep_only_those_of(&model, loaded.hosts);
                self.role.reload(model.globals.pair.clone());
                self.role_sources.reload(&model.globals.pair);
                self.reload_engine(Arc::clone(&model), memory);
                match memory {
                    Memory::Kept => {}
                    Memory::Forgotten => self.journal_has(state_files),
                }
                if let Some(lines) = history {
                    self.tell(Event::HistoryRead(lines));
                }
                self.is_unpublished = true;
                self.settle_role();
                self.role_holds();
                self.histories.begin(&model.globals, wall, &mut self.scribe);
                self.refused_reload = None;
                let services = model.services.len();
                tracing::info!(services, "configuration reloaded");
                let text = format!("configuration reloaded, {services} services");
                self.chronicle.keep(wall, "reload", None, text);
                true
            }
            Err(mistakes) => {
                let config = self.config.clone();
                self.refused_reload = Some(RefusedReload::of(wall, config, &mistakes));
                let count = log_mistakes(&mistakes);
                tracing::error!(
                    mistakes = count,
                    "configuration has mistakes, the old one stays in force; lvsmon check shows them all"
                );
                let count = counted(count, "mistake");
                let text = format!("configuration refused, {count}; the old one stays");
                self.chronicle.keep(wall, "reload_refused", None, text);
                false
            }
        }
    }

    /// The engine's part, and what it does to the wishes that both directors know of.
    fn reload_engine(&mut self, model: Arc<Model>, memory: Memory) {
        self.settle_wishes();
        self.tell(Event::Reload { model, memory });
        self.rebase_wishes();
    }
}
