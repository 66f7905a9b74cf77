//! Which real servers of a section are in and which are out, and who says so: the list below the
//! sentence that an alert of a section tells.
//!
//! Bounded: [`LINES_MAX`] lines of at most [`WORDS_MAX`] bytes of each check's words, those that
//! serve nobody first. Times are those of the director's zone, as in a mail. Decides nothing.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::desired::{Given, RealServerView, ServerRole, Withdrawal, ZeroBy};
use crate::engine::event::HostVerdict;
use crate::engine::manual::{Heed, ManualView};
use crate::engine::said::Said;
use crate::engine::section::in_table::InTable;
use crate::lvs::{ServerWish, VirtualServiceKey, Weight};
use crate::model::{HostName, ServiceId};
use crate::text::{cut, one_line};
use crate::time::Wall;

/// Real servers that are listed: what a person reads of a mail, and a pager still takes.
pub(super) const LINES_MAX: usize = 40;

/// Bytes of what a check said that are kept: a line that still shows who withdraws.
const WORDS_MAX: usize = 120;

impl Engine {
    /// A line for each real server of a section, each ended by a newline.
    pub(super) fn list_servers(&self, key: VirtualServiceKey) -> String {
        let mut views = self.with_wishes(self.bindings.real_servers_in(key));
        let serves = |view: &RealServerView| match (view.wish, view.server) {
            (ServerWish::AsFound, Some(server)) => {
                self.bindings.takes_clients((key, server), view.wish)
            }
            (wish, _) => serves(wish),
        };
        // Of an address that its name has just left there is nothing to say.
        let is_said = |it: &RealServerView| !it.hosts.is_empty() || it.problem.is_some();
        views.retain(|it| is_said(it) || it.manual.is_some() || serves(it));
        views.sort_by_key(serves);
        let out = views.iter().filter(|view| !serves(view)).count();
        let all = views.len();
        let in_table = self.bindings.in_table(key);
        let as_wanted = match in_table {
            InTable::AsWanted | InTable::Stays(_) => "",
            InTable::Otherwise(_) | InTable::NotReadSince | InTable::Unreadable(_) => " as wanted",
        };
        let mut text = format!("\nReal servers{as_wanted}, {out} of {all} without clients:\n");
        for view in views.iter().take(LINES_MAX) {
            text.push_str(&self.line_of(view, &in_table));
            text.push('\n');
        }
        if let Some(more) = all.checked_sub(LINES_MAX).filter(|&more| more > 0) {
            text.push_str(&format!("and {more} more: lvsmon table\n"));
        }
        text
    }

    /// Who gives it weight 0.
    fn zero_by(&self, by: &ZeroBy) -> String {
        match by {
            ZeroBy::File => "weight 0 in the file".to_owned(),
            ZeroBy::Checks(given) => {
                let words = |it: &Given| it.words(&self.called(it.service).to_string());
                let words: Vec<String> = given.iter().map(words).collect();
                words.join("; ")
            }
        }
    }

    fn line_of(&self, view: &RealServerView, in_table: &InTable) -> String {
        let state = match view.wish {
            ServerWish::In(to) if to.weight == Weight(0) => "weight 0",
            ServerWish::In(_) => "in",
            ServerWish::Out => "out",
            ServerWish::AsFound => "as found",
        };
        let words: Vec<&str> = view.hosts.iter().map(HostName::as_str).collect();
        let words = words.join(" ");
        let name = match view.server {
            None => words,
            Some(server) if words.is_empty() => server.to_string(),
            Some(server) if server.is_called(&words) => server.to_string(),
            Some(server) => format!("{server} ({words})"),
        };
        let mut why: Vec<String> = Vec::new();
        why.extend(view.withdrawals.iter().map(|it| self.withdrawn(view, it)));
        why.extend(view.manual.as_ref().map(|manual| self.wish_of(manual)));
        if view.withdrawals.is_empty() {
            let untested = view.untested.iter();
            why.extend(untested.map(|&id| format!("no verdict yet of {}", self.called(id))));
        }
        why.extend(view.zero_by.as_ref().map(|it| self.zero_by(it)));
        why.extend(match view.role {
            Some(ServerRole::Kept) => Some("kept in by min_live".to_owned()),
            Some(ServerRole::FallbackIn) => Some(match serves(view.wish) {
                true if *in_table == InTable::AsWanted => "the fallback, it serves".to_owned(),
                true => "the fallback, wanted to serve".to_owned(),
                false => "the fallback, kept from clients".to_owned(),
            }),
            Some(ServerRole::FallbackOut) => Some("the fallback, not needed".to_owned()),
            Some(
                ServerRole::Unseen
                | ServerRole::Serves { .. }
                | ServerRole::Out
                | ServerRole::Quiesced
                | ServerRole::Draining { .. }
                | ServerRole::InUntested
                | ServerRole::OutUntested
                | ServerRole::AsFound,
            )
            | None => None,
        });
        why.extend(view.problem.as_ref().map(|text| one_line(text)));
        let line = format!("  {state:<8}  {name}  {}", why.join("; "));
        line.trim_end().to_owned()
    }

    fn withdrawn(&self, view: &RealServerView, it: &Withdrawal) -> String {
        let said = self.said(it.service, view.hosts.first());
        // The words of the latest check, which may be good, or fail for another reason.
        let is_of_it = |said: &Said<'_>| match said.verdict {
            Some(HostVerdict::Down(reason)) => reason == it.reason,
            Some(HostVerdict::Up | HostVerdict::Unknown(_)) => false,
            None => true,
        };
        let said = said.filter(is_of_it).map(|said| {
            let text = one_line(&said.text);
            said.about.of(cut(&text, WORDS_MAX).trim())
        });
        let text = match said.as_deref() {
            None | Some("") => String::new(),
            Some(text) => format!(": {text}"),
        };
        let (service, since) = (self.called(it.service), date(it.since, &self.zone));
        format!("{service} since {since}, {}{text}", it.reason)
    }

    fn wish_of(&self, manual: &ManualView) -> String {
        let since = date(manual.since, &self.zone);
        let mut text = format!("{} since {since}", manual.called());
        if let Some(until) = manual.until {
            text.push_str(&format!(" until {}", date(until, &self.zone)));
        }
        if manual.heed == Heed::GivesWay {
            text.push_str(", not obeyed: min_live would not hold");
        }
        text
    }

    fn called(&self, id: ServiceId) -> String {
        let service = self.model.services.get(id.index());
        service.map_or_else(String::new, |it| format!("{}/{}", it.group, it.name))
    }
}

/// Whether clients get there.
fn serves(wish: ServerWish) -> bool {
    matches!(wish, ServerWish::In(to) if to.weight != Weight(0))
}

fn date(time: Wall, zone: &TimeZone) -> String {
    match Timestamp::from_second(time.seconds()) {
        Ok(stamp) => stamp.to_zoned(zone.clone()).strftime("%F %T").to_string(),
        Err(_) => time.seconds().to_string(),
    }
}
