//! How are the lines of an answer to `why` laid out: names in front, times in the reader's zone?

use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::output::{Output, Tone};
use crate::wire::why::HeldUpRow;

/// The lines of one answer on their way to a terminal.
pub(super) struct Sheet<'a> {
    /// Unix seconds of the answer.
    now: i64,
    zone: TimeZone,
    pub(super) out: &'a mut Output,
}

impl<'a> Sheet<'a> {
    /// A sheet of an answer of that time, in the zone of the reader.
    pub(super) fn new(now: i64, out: &'a mut Output) -> Self {
        let zone = TimeZone::system();
        Self { now, zone, out }
    }

    /// A field whose text stands out.
    pub(super) fn painted(&mut self, name: &str, tone: Tone, text: &str) -> io::Result<()> {
        let text = self.out.paint(tone, text);
        self.field(name, &text)
    }

    /// A field whose text stands out where it has a tone.
    pub(super) fn toned(&mut self, name: &str, tone: Option<Tone>, text: &str) -> io::Result<()> {
        match tone {
            None => self.field(name, text),
            Some(tone) => self.painted(name, tone, text),
        }
    }

    /// A line with its name in front; none for one that goes on.
    pub(super) fn field(&mut self, name: &str, text: &str) -> io::Result<()> {
        let name = self.out.paint(Tone::Faint, &format!("{name:10}"));
        self.out.line(&format!("  {name} {text}"))
    }

    /// What keeps a verdict from changing; `of` is the name of a service, where it is not the one
    /// that was asked for.
    pub(super) fn held_up(&mut self, row: &HeldUpRow, of: &str) -> io::Result<()> {
        let until = row.until.map(|at| format!(", until {}", self.moment(at)));
        let of = match of {
            "" => String::new(),
            name => format!("{name}: "),
        };
        let text = format!("{of}{}{}", row.text, until.unwrap_or_default());
        self.painted("waits", Tone::Odd, &text)
    }

    /// The time of day, with the day where that is another one than today.
    pub(super) fn moment(&self, seconds: i64) -> String {
        let civil = |seconds| {
            let stamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
            stamp.to_zoned(self.zone.clone()).datetime()
        };
        let (time, now) = (civil(seconds), civil(self.now));
        if time.date() == now.date() {
            time.time().to_string()
        } else {
            format!("{} {}", time.date(), time.time())
        }
    }

    /// When something was so, from the first time to the last of `count`.
    pub(super) fn times(&self, first: i64, last: i64, count: u32) -> String {
        if count <= 1 {
            return self.moment(last);
        }
        let (first, last) = (self.moment(first), self.moment(last));
        format!("{first} to {last} ({count} times)")
    }
}
