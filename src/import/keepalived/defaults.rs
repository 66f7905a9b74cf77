//! What does a virtual server give its real servers, and these their checkers?

use std::time::Duration;

use crate::import::keepalived::blocks::Block;
use crate::import::keepalived::virtual_server::{PAUSE_MAX, unknown};
use crate::import::keepalived::{is_on, swallowed, timer};
use crate::import::{Remarks, shown};

/// What a virtual server gives its real servers, and these their checkers.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) virtualhost: Option<String>,
    pub(super) alpha: bool,
    pub(super) inhibit: bool,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) retry: Option<u32>,
    pub(super) pause: Option<Duration>,
    pub(super) delay_loop: Option<Duration>,
}

impl Defaults {
    /// Takes a line that may stand on all levels.
    pub(super) fn take(&mut self, line: &Block, remarks: &mut Remarks) {
        let value = line.word(1);
        swallowed(line, 1, remarks);
        let mut span =
            |place: &mut Option<Duration>| match value.and_then(timer).filter(|it| !it.is_zero()) {
                Some(span) => *place = Some(span.min(PAUSE_MAX)),
                None => remarks.tolerated(
                    &line.place,
                    format!(
                        "{} is no time above 0 s, 7 days at most; left out",
                        line.name()
                    ),
                ),
            };
        match line.name() {
            "virtualhost" => self.virtualhost = value.map(str::to_owned),
            "alpha" => self.alpha = is_on(line, remarks).unwrap_or(self.alpha),
            "inhibit_on_failure" => self.inhibit = is_on(line, remarks).unwrap_or(self.inhibit),
            "connect_timeout" => span(&mut self.connect_timeout),
            "delay_before_retry" => span(&mut self.pause),
            "delay_loop" => span(&mut self.delay_loop),
            "retry" | "nb_get_retry" => match value.and_then(|it| it.parse().ok()) {
                Some(number) => self.retry = Some(number),
                None => remarks.tolerated(&line.place, "retry without a number; left out"),
            },
            "warmup" => remarks.note(
                &line.place,
                "warmup: left out, first checks follow each other at short distances anyway",
            ),
            _ => unknown(line, remarks),
        }
    }

    /// Takes a word of a virtual server that turns something on for its real servers: keepalived
    /// looks at nothing behind it there.
    pub(super) fn turn_on(&mut self, line: &Block, remarks: &mut Remarks) {
        if let Some(word) = line.word(1) {
            let (name, word) = (line.name(), shown(word));
            let text = format!(
                "{name} takes no word in a virtual_server: keepalived drops \"{word}\", and it is on; \
                 take the line out where that is not meant"
            );
            remarks.tolerated(&line.place, text);
        }
        match line.name() {
            "alpha" => self.alpha = true,
            _ => self.inhibit = true,
        }
    }

    /// The time between two checks.
    pub(super) fn interval(&self) -> Duration {
        self.delay_loop.unwrap_or(Duration::from_secs(60))
    }
}
