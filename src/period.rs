//! The language of periods (`Time::Period` 1.25): when does a period hold.
//!
//! A text is read once into bit sets; evaluation is a few look-ups and cannot fail. The
//! grammar is `period.pest`; the meaning of each scale, the quirks T-1 to T-7 and the table
//! of the tests were observed on the Perl module. Two things differ from it on purpose: the
//! whole text is checked, not only what is reached at the moment (T-1), and a malformed
//! sub-period never holds where the module says "inside" (T-2).

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::period::reading::{is_blank, read_subperiod, subperiods};
use crate::time::Wall;

mod reading;

#[cfg(test)]
mod tests;

/// Sub-periods in one text. Nobody writes a hundred; the bound keeps one evaluation short.
const SUBPERIODS_MAX: usize = 1_000;

/// How far [`Period::next_change`] looks ahead: longer than any daemon runs, short enough to
/// be searched at once.
const HORIZON_DAYS: i64 = 3_653;

const SECONDS_PER_DAY: i64 = 86_400;

/// A period, fully checked; evaluation cannot fail. A clone costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period(Rules);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rules {
    Always,
    /// Alternatives; with none of them it never holds.
    AnyOf(Option<Arc<[Window]>>),
}

/// A period that was read, and what a person should hear about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it holds.
    pub period: Period,
    /// Malformed sub-periods after the first. `Time::Period` notices them only at moments
    /// when nothing before them holds; here they never hold (T-1).
    pub faults: Vec<Remark>,
    /// What is accepted but hardly means what was written (T-3, T-4).
    pub doubts: Vec<Remark>,
}

/// A remark on a part of a period's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// First byte of the part.
    pub start: usize,
    /// Byte after the part.
    pub end: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Period {
    /// Holds at every moment.
    pub const ALWAYS: Self = Self(Rules::Always);

    /// Holds at no moment.
    pub const NEVER: Self = Self(Rules::AnyOf(None));

    /// Reads a period.
    ///
    /// # Errors
    ///
    /// Where the first sub-period is malformed: mon refuses such a text at any moment. All
    /// malformed parts are named.
    pub fn parse(text: &str) -> Result<Reading, Vec<Remark>> {
        let mut reading = Reading {
            period: Self::ALWAYS,
            faults: Vec::new(),
            doubts: Vec::new(),
        };
        let trimmed = text.trim_matches(is_blank);
        if trimmed.is_empty() {
            return Ok(reading);
        }
        if trimmed.eq_ignore_ascii_case("none") {
            reading.period = Self::NEVER;
            return Ok(reading);
        }
        let parts = subperiods(text);
        if parts.len() > SUBPERIODS_MAX {
            return Err(vec![Remark {
                start: 0,
                end: text.len(),
                message: format!("a period has at most {SUBPERIODS_MAX} sub-periods"),
            }]);
        }
        let mut windows: Vec<Window> = Vec::new();
        let mut starts_well = true;
        for (number, &(at, part)) in parts.iter().enumerate() {
            match read_subperiod(part, at, &mut reading.doubts) {
                Ok(window) if windows.contains(&window) => {}
                Ok(window) => windows.push(window),
                Err(fault) => {
                    starts_well &= number > 0;
                    reading.faults.push(fault);
                }
            }
        }
        if !starts_well {
            return Err(reading.faults);
        }
        reading.period = Self::any_of(windows);
        Ok(reading)
    }

    fn any_of(mut windows: Vec<Window>) -> Self {
        windows.retain(|window| !window.is_empty());
        if windows.is_empty() {
            Self::NEVER
        } else if windows.iter().any(Window::is_unlimited) {
            Self::ALWAYS
        } else {
            Self(Rules::AnyOf(Some(windows.into())))
        }
    }

    fn windows(&self) -> &[Window] {
        match &self.0 {
            Rules::Always | Rules::AnyOf(None) => &[],
            Rules::AnyOf(Some(windows)) => windows,
        }
    }

    /// Whether the moment, as local time of the zone, lies inside.
    #[must_use]
    pub fn holds(&self, at: Wall, zone: &TimeZone) -> bool {
        if matches!(self.0, Rules::Always) {
            return true;
        }
        let windows = self.windows();
        if windows.is_empty() {
            return false;
        }
        let local = zone.to_datetime(timestamp(at));
        let day = Day::of(local.date());
        windows
            .iter()
            .any(|window| window.holds_on(day) && window.holds_at(local))
    }

    /// The first moment after `after`, to the second, at which [`Period::holds`] changes; none
    /// where it does not change within ten years.
    ///
    /// Changes of the clock (daylight saving) are counted in: an hour that is left out or comes
    /// twice changes the answer when it does so on the wall.
    #[must_use]
    pub fn next_change(&self, after: Wall, zone: &TimeZone) -> Option<Wall> {
        if self.windows().is_empty() {
            return None;
        }
        let start = after.seconds();
        let end = start.saturating_add(HORIZON_DAYS * SECONDS_PER_DAY);
        let now = self.holds(after, zone);
        let mut at = start + 1;
        let mut search = Search::new(self.windows(), now);
        loop {
            let here = timestamp(Wall::from_seconds(at));
            let offset = i64::from(zone.to_offset(here).seconds());
            let shift = zone.following(here).next().map_or(end, |transition| {
                transition.timestamp().as_second().min(end)
            });
            if let Some(found) = search.first_change(at + offset, shift + offset) {
                return Some(Wall::from_seconds(found - offset));
            }
            if shift >= end {
                return None;
            }
            at = shift;
        }
    }
}

fn timestamp(at: Wall) -> Timestamp {
    // Outside of jiff's range (the years -9999 to 9999) no clock of ours ever is.
    Timestamp::from_second(at.seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// One sub-period: the moments at which all its scales hold. Scales that are not named hold
/// always.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    years: Option<Vec<(Year, Year)>>,
    months: u16,
    weeks: u8,
    year_days: [u64; 6],
    month_days: u32,
    week_days: u8,
    hours: u32,
    minutes: u64,
    seconds: u64,
}

/// A year as written: two digits stand for the century of the evaluated moment (T-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Year {
    InCentury(u32),
    Full(u32),
}

impl Year {
    fn seen_from(self, year: u32) -> u32 {
        match self {
            Self::InCentury(short) => year / 100 * 100 + short,
            Self::Full(full) => full,
        }
    }
}

const ALL_MONTHS: u16 = 0x1ffe;
const ALL_WEEKS: u8 = 0x7e;
const ALL_YEAR_DAYS: [u64; 6] = [!1, !0, !0, !0, !0, (1 << 47) - 1];
const ALL_MONTH_DAYS: u32 = !1;
const ALL_WEEK_DAYS: u8 = 0xfe;
const ALL_HOURS: u32 = (1 << 24) - 1;
const ALL_SIXTY: u64 = (1 << 60) - 1;

impl Window {
    const UNLIMITED: Self = Self {
        years: None,
        months: ALL_MONTHS,
        weeks: ALL_WEEKS,
        year_days: ALL_YEAR_DAYS,
        month_days: ALL_MONTH_DAYS,
        week_days: ALL_WEEK_DAYS,
        hours: ALL_HOURS,
        minutes: ALL_SIXTY,
        seconds: ALL_SIXTY,
    };

    fn is_unlimited(&self) -> bool {
        *self == Self::UNLIMITED
    }

    fn is_empty(&self) -> bool {
        self.years.as_ref().is_some_and(Vec::is_empty)
            || self.months == 0
            || self.weeks == 0
            || self.year_days == [0; 6]
            || self.month_days == 0
            || self.week_days == 0
            || self.hours == 0
            || self.minutes == 0
            || self.seconds == 0
    }

    fn holds_on(&self, day: Day) -> bool {
        self.months & 1 << day.month != 0
            && self.weeks & 1 << day.week != 0
            && self.year_days[usize::from(day.year_day / 64)] & 1 << (day.year_day % 64) != 0
            && self.month_days & 1 << day.month_day != 0
            && self.week_days & 1 << day.week_day != 0
            && self.holds_in(day.year)
    }

    fn holds_in(&self, year: u32) -> bool {
        self.years.as_ref().is_none_or(|ranges| {
            ranges.iter().any(|(from, to)| {
                let (from, to) = (from.seen_from(year), to.seen_from(year));
                from.min(to) <= year && year <= from.max(to)
            })
        })
    }

    fn holds_at(&self, time: DateTime) -> bool {
        self.hours & 1 << time.hour() != 0
            && self.minutes & 1 << time.minute() != 0
            && self.seconds & 1 << time.second() != 0
    }
}

/// What the scales ask of a day, numbered as they number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    year: u32,
    month: u8,
    /// Week of the month: each Sunday but the first day starts one.
    week: u8,
    /// 1 to 366.
    year_day: u16,
    month_day: u8,
    /// 1 is Sunday.
    week_day: u8,
}

impl Day {
    fn of(date: Date) -> Self {
        let week_day = date.weekday().to_sunday_one_offset();
        let last_sunday = date.day() - (week_day - 1);
        let sundays = if last_sunday < 2 {
            0
        } else {
            (last_sunday - 2) / 7 + 1
        };
        Self {
            year: u32::from(date.year().unsigned_abs()),
            month: date.month().unsigned_abs(),
            week: 1 + sundays.unsigned_abs(),
            year_day: date.day_of_year().unsigned_abs(),
            month_day: date.day().unsigned_abs(),
            week_day: week_day.unsigned_abs(),
        }
    }

    /// The day that starts so many days after 1970-01-01.
    fn number(days: i64) -> Option<Self> {
        let second = days.checked_mul(SECONDS_PER_DAY)?;
        let moment = Timestamp::from_second(second).ok()?;
        Some(Self::of(TimeZone::UTC.to_datetime(moment).date()))
    }
}

/// The search for the next change along local time, in which every day has 24 hours.
struct Search<'a> {
    windows: &'a [Window],
    /// What is the case now.
    now: bool,
    /// Windows that hold on a day which, as a whole, is like now: such days are passed over.
    dull: Option<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(windows: &'a [Window], now: bool) -> Self {
        Self {
            windows,
            now,
            dull: None,
        }
    }

    /// The first second of local time from `from` up to before `to` that is unlike now.
    fn first_change(&mut self, from: i64, to: i64) -> Option<i64> {
        let mut at = from;
        while at < to {
            let day_number = at.div_euclid(SECONDS_PER_DAY);
            let midnight = day_number * SECONDS_PER_DAY;
            let day = Day::number(day_number)?;
            let active: Vec<usize> = (0..self.windows.len())
                .filter(|&index| self.windows[index].holds_on(day))
                .collect();
            if self.dull.as_ref() != Some(&active) {
                let found = self.change_in_day(&active, at - midnight);
                if let Some(second) = found {
                    return Some(midnight + second).filter(|&second| second < to);
                }
                if at == midnight {
                    self.dull = Some(active);
                }
            }
            at = midnight + SECONDS_PER_DAY;
        }
        None
    }

    /// The first second of a day, not before `from`, that is unlike now.
    fn change_in_day(&self, active: &[usize], from: i64) -> Option<i64> {
        let (from_hour, from_minute, from_second) = (from / 3600, from / 60 % 60, from % 60);
        for hour in from_hour..24 {
            let in_hour: Vec<&Window> = active
                .iter()
                .map(|&index| &self.windows[index])
                .filter(|window| window.hours & 1 << hour != 0)
                .collect();
            let first = if hour == from_hour { from_minute } else { 0 };
            for minute in first..60 {
                let seconds = in_hour
                    .iter()
                    .filter(|window| window.minutes & 1 << minute != 0)
                    .fold(0, |seconds, window| seconds | window.seconds);
                let unlike = if self.now {
                    !seconds & ALL_SIXTY
                } else {
                    seconds
                };
                let passed = if (hour, minute) == (from_hour, from_minute) {
                    from_second
                } else {
                    0
                };
                let unlike = unlike >> passed << passed;
                if unlike != 0 {
                    return Some(hour * 3600 + minute * 60 + i64::from(unlike.trailing_zeros()));
                }
            }
        }
        None
    }
}
