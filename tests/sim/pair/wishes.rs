//! What operators wish, and what of it both know.

use std::time::Duration;

use lvsmon::engine::Engine;
use lvsmon::engine::event::{Aim, Caution, Event, ManualWish, Order, RealServerName, Wish};
use lvsmon::engine::manual::Heed;

use super::link::Deaf;
use super::{HOSTS, World};

impl World {
    /// An operator says something on one of them about one real server.
    pub(super) fn wish(&mut self) {
        let side = self.random.usize(..2);
        if !self.directors[side].is_alive || self.is_frozen(side) {
            return;
        }
        let host = self.random.usize(..HOSTS);
        let aim = Aim {
            server: RealServerName(format!("10.1.0.{host}")),
            within: None,
        };
        let limit_s = self.random.u64(3..30);
        let weight = self.random.u32(0..4);
        let span = self.random.u64(5..90);
        let span = Duration::from_secs(span);
        let span = self.random.bool().then_some(span);
        let wish = match self.random.u8(..6) {
            0 => Some(ManualWish::Drain { limit_s }),
            1 => Some(ManualWish::Quiesce),
            2 => Some(ManualWish::Disable),
            3 => Some(ManualWish::Weight { weight }),
            _ => None,
        };
        let wish = match wish {
            None => Wish::EnableServer(aim),
            Some(wish) => Wish::Manual(Order {
                aim,
                wish,
                span,
                by: "ann".to_owned(),
                reason: "new kernel".to_owned(),
                caution: match self.random.bool() {
                    true => Caution::Force,
                    false => Caution::Refuse,
                },
            }),
        };
        self.note(format_args!("{side} is told {wish:?}"));
        self.wishes += 1;
        // Another one may end by itself now, or this one later.
        self.wished = self.time;
        let least = self.time.after(span.unwrap_or_default());
        self.quiet_since = self.quiet_since.max(least);
        self.tell(side, Event::Operator(wish));
    }

    /// Whether both have heard what operators said on either of them.
    pub(super) fn both_know(&self) -> bool {
        let second = Duration::from_secs(1);
        self.deaf.last().is_none_or(|&Deaf { from, to, .. }| {
            let is_long_ago = to.is_some_and(|to| self.time >= to.after(second * 10));
            is_long_ago || self.wished.after(second * 2) < from
        })
    }
}

/// What operators wish leaves `min_live`, unless one of them insisted.
pub(super) fn min_live_holds(engine: &Engine) {
    let model = engine.model();
    let declared = model.virtual_services[0].servers.len();
    let least = model.virtual_services[0].min_live.of(declared);
    let servers = engine.real_servers();
    let declared_ones = servers.iter().filter(|it| !it.hosts.is_empty());
    let wishes = declared_ones.filter_map(|it| it.manual.as_ref());
    let obeyed: Vec<_> = wishes
        .filter(|it| it.heed == Heed::Obeyed && is_taking(it.wish))
        .collect();
    let is_insisted = obeyed.iter().any(|it| it.caution == Caution::Force);
    assert!(
        is_insisted || declared >= least + obeyed.len(),
        "{obeyed:?}"
    );
}

const fn is_taking(wish: ManualWish) -> bool {
    match wish {
        ManualWish::Drain { .. } | ManualWish::Quiesce | ManualWish::Disable => true,
        ManualWish::Weight { weight } => weight == 0,
    }
}
