//! How a sub-period is read: scales, values and ranges to bit sets.
//!
//! The grammar is `period.pest`; what the scales are called and which values they have stands
//! here, so that a message can say what would be right.

use pest::Parser;
use pest::error::InputLocation;
use pest::iterators::Pair;

use crate::period::{
    ALL_HOURS, ALL_MONTH_DAYS, ALL_MONTHS, ALL_SIXTY, ALL_WEEK_DAYS, ALL_WEEKS, ALL_YEAR_DAYS,
    Remark, Window, Year,
};

/// What `period.pest` describes.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "period.pest"]
    pub(super) struct Grammar;
}

use grammar::{Grammar, Rule};

pub(super) fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

/// The parts between commas with their places; commas at the very end are allowed.
pub(super) fn subperiods(text: &str) -> Vec<(usize, &str)> {
    let text = text.trim_end_matches(|letter| letter == ',' || is_blank(letter));
    if text.is_empty() {
        return Vec::new();
    }
    let mut at = 0;
    text.split(',')
        .map(|part| {
            let start = at;
            at += part.len() + 1;
            (start, part)
        })
        .collect()
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Year,
    Month,
    Week,
    YearDay,
    MonthDay,
    WeekDay,
    Hour,
    Minute,
    Second,
}

/// The names of the scales, in the order of the manual page.
const SCALES: [(&str, &str, Scale); 9] = [
    ("yr", "year", Scale::Year),
    ("mo", "month", Scale::Month),
    ("wk", "week", Scale::Week),
    ("yd", "yday", Scale::YearDay),
    ("md", "mday", Scale::MonthDay),
    ("wd", "wday", Scale::WeekDay),
    ("hr", "hour", Scale::Hour),
    ("min", "minute", Scale::Minute),
    ("sec", "second", Scale::Second),
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEK_DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

impl Scale {
    fn named(name: &str) -> Option<Self> {
        SCALES
            .iter()
            .find(|(short, long, _)| {
                name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long)
            })
            .map(|&(_, _, scale)| scale)
    }

    /// Least and greatest value of the scales that are a ring of numbers.
    const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Year => (0, u32::MAX),
            Self::Month => (1, 12),
            Self::Week => (1, 6),
            Self::YearDay => (1, 366),
            Self::MonthDay => (1, 31),
            Self::WeekDay => (1, 7),
            Self::Hour => (0, 23),
            Self::Minute | Self::Second => (0, 59),
        }
    }

    /// What its values look like, for messages.
    const fn values(self) -> &'static str {
        match self {
            Self::Year => "a year has two digits or is 1970 or later",
            Self::Month => "a month is 1 to 12 or a name such as Jan",
            Self::Week => "a week of the month is 1 to 6",
            Self::YearDay => "a day of the year is 1 to 366",
            Self::MonthDay => "a day of the month is 1 to 31",
            Self::WeekDay => "a weekday is 1 (Sunday) to 7 or a name such as Mon",
            Self::Hour => "an hour is 0 to 23, or one like 9am, 12noon or 4pm",
            Self::Minute => "a minute is 0 to 59",
            Self::Second => "a second is 0 to 59",
        }
    }

    /// The value that a word stands for, and whether the word is a doubtful one (T-4).
    fn value(self, word: &str) -> Option<(u32, bool)> {
        let word = word.to_ascii_lowercase();
        let (least, greatest) = self.bounds();
        let (value, doubtful) = match self {
            Self::Year => {
                let year = number(&word)?;
                return (year <= 99 || year >= 1970).then_some((year, false));
            }
            Self::Month => match by_prefix(&word, &MONTHS, 3) {
                Some(found) => found,
                None => (number(&word)?, false),
            },
            Self::WeekDay => match by_prefix(&word, &WEEK_DAYS, 2) {
                Some(found) => found,
                None => (number(&word)?, false),
            },
            Self::YearDay => {
                let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
                (number(digits)?, digits.len() < word.len())
            }
            Self::Hour => (hour(&word)?, false),
            Self::Week | Self::MonthDay | Self::Minute | Self::Second => (number(&word)?, false),
        };
        (least <= value && value <= greatest).then_some((value, doubtful))
    }
}

/// Digits as a number; so many digits that they do not fit stand for the greatest one.
fn number(word: &str) -> Option<u32> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().unwrap_or(u32::MAX))
}

/// The number, from 1, of the name whose first letters the word has, and whether the rest of
/// the word is not that of the name.
fn by_prefix(word: &str, names: &[&str], letters: usize) -> Option<(u32, bool)> {
    let start = word.get(..letters)?;
    (1_u32..)
        .zip(names)
        .find(|(_, name)| name.starts_with(start))
        .map(|(value, name)| (value, !name.starts_with(word)))
}

fn hour(word: &str) -> Option<u32> {
    if word == "12noon" {
        return Some(12);
    }
    if let Some(digits) = word.strip_suffix("am") {
        // 13am is 13 in mon, too.
        return number(digits).map(|hour| if hour == 12 { 0 } else { hour });
    }
    if let Some(digits) = word.strip_suffix("pm") {
        return number(digits).map(|hour| {
            if hour == 12 {
                12
            } else {
                hour.saturating_add(12)
            }
        });
    }
    number(word)
}

/// Reads one sub-period that stands at `at` in its text.
pub(super) fn read_subperiod(
    text: &str,
    at: usize,
    doubts: &mut Vec<Remark>,
) -> Result<Window, Remark> {
    let mut parsed = Grammar::parse(Rule::subperiod, text).map_err(|error| {
        let place = match error.location {
            InputLocation::Pos(place) | InputLocation::Span((place, _)) => place,
        };
        malformed(text, at, place)
    })?;
    let mut sets: [Option<Set>; SCALES.len()] = Default::default();
    for pair in parsed.next().into_iter().flat_map(Pair::into_inner) {
        if pair.as_rule() != Rule::scale {
            continue;
        }
        let mut inner = pair.into_inner();
        let Some(name) = inner.next() else { continue };
        let Some(scale) = Scale::named(name.as_str()) else {
            return Err(remark(&name, at, unknown_scale(name.as_str())));
        };
        let set = sets[scale as usize].get_or_insert_default();
        for range in inner {
            set.add(scale, read_range(scale, range, at, doubts)?);
        }
    }
    Ok(window(sets))
}

/// The ends of a range, both the same for a single value.
fn read_range(
    scale: Scale,
    range: Pair<'_, Rule>,
    at: usize,
    doubts: &mut Vec<Remark>,
) -> Result<(u32, u32), Remark> {
    let whole = range.clone();
    let parts: Vec<Pair<'_, Rule>> = range.into_inner().collect();
    let hyphens: usize = parts
        .iter()
        .filter(|part| part.as_rule() == Rule::hyphen)
        .map(|part| part.as_str().len())
        .sum();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        unreachable!("the grammar gives a range at least one value");
    };
    let mut end = |pair: &Pair<'_, Rule>| {
        let wrong = || {
            let text = format!("\"{}\" is out of range: {}", pair.as_str(), scale.values());
            remark(pair, at, text)
        };
        let (value, doubtful) = scale.value(pair.as_str()).ok_or_else(wrong)?;
        let in_range = hyphens > 0;
        if doubtful && scale == Scale::YearDay && in_range {
            return Err(wrong());
        }
        if doubtful {
            let text = format!("\"{}\" is read as {}", pair.as_str(), spelled(scale, value));
            push(doubts, remark(pair, at, text));
        }
        Ok(value)
    };
    let from = end(first)?;
    let to = if hyphens > 0 { end(last)? } else { from };
    let ends = (from, to);
    if hyphens > 1 {
        // T-3 holds for words without a blank between them.
        let text = whole.as_str();
        let in_words =
            text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(is_blank);
        if !in_words {
            let text = format!("\"{}\" has more than one hyphen", whole.as_str());
            return Err(remark(&whole, at, text));
        }
        let text = format!(
            "\"{}\" is read as {}-{}",
            whole.as_str(),
            spelled(scale, ends.0),
            spelled(scale, ends.1)
        );
        push(doubts, remark(&whole, at, text));
    }
    Ok(ends)
}

/// A value as one writes it.
fn spelled(scale: Scale, value: u32) -> String {
    let names: &[&str] = match scale {
        Scale::Month => &MONTHS,
        Scale::WeekDay => &WEEK_DAYS,
        Scale::Year
        | Scale::Week
        | Scale::YearDay
        | Scale::MonthDay
        | Scale::Hour
        | Scale::Minute
        | Scale::Second => &[],
    };
    match names.get((value as usize).wrapping_sub(1)) {
        Some(name) => {
            let mut letters = name.chars().take(3);
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
        None => value.to_string(),
    }
}

/// The values of one scale in one sub-period.
#[derive(Clone, Debug, Default)]
struct Set {
    bits: [u64; 6],
    years: Vec<(Year, Year)>,
}

impl Set {
    fn add(&mut self, scale: Scale, (from, to): (u32, u32)) {
        if scale == Scale::Year {
            let year = |year| match year {
                0..=99 => Year::InCentury(year),
                _ => Year::Full(year),
            };
            self.years.push((year(from), year(to)));
            return;
        }
        let (least, greatest) = scale.bounds();
        let mut fill = |from: u32, to: u32| {
            for value in from..=to {
                self.bits[value as usize / 64] |= 1 << (value % 64);
            }
        };
        if from <= to {
            fill(from, to);
        } else {
            fill(from, greatest);
            fill(least, to);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Scale::value lets no bit beyond the width of its field through"
)]
fn window(sets: [Option<Set>; SCALES.len()]) -> Window {
    let [
        years,
        months,
        weeks,
        year_days,
        month_days,
        week_days,
        hours,
        minutes,
        seconds,
    ] = sets;
    let low = |set: Option<Set>, all: u64| set.map_or(all, |set| set.bits[0]);
    Window {
        years: years.map(|set| set.years),
        months: low(months, ALL_MONTHS.into()) as u16,
        weeks: low(weeks, ALL_WEEKS.into()) as u8,
        year_days: year_days.map_or(ALL_YEAR_DAYS, |set| set.bits),
        month_days: low(month_days, ALL_MONTH_DAYS.into()) as u32,
        week_days: low(week_days, ALL_WEEK_DAYS.into()) as u8,
        hours: low(hours, ALL_HOURS.into()) as u32,
        minutes: low(minutes, ALL_SIXTY),
        seconds: low(seconds, ALL_SIXTY),
    }
}

fn remark(pair: &Pair<'_, Rule>, at: usize, message: String) -> Remark {
    let span = pair.as_span();
    Remark {
        start: at + span.start(),
        end: at + span.end(),
        message,
    }
}

fn unknown_scale(name: &str) -> String {
    let known: Vec<&str> = SCALES.iter().map(|&(short, _, _)| short).collect();
    format!("unknown scale \"{name}\"; known are {}", known.join(" "))
}

/// Says what is wrong with a sub-period that the grammar refuses at `place`.
fn malformed(text: &str, at: usize, place: usize) -> Remark {
    let trimmed = text.trim_matches(is_blank);
    let start = at + text.len() - text.trim_start_matches(is_blank).len();
    let whole = |message: String| Remark {
        start,
        end: start + trimmed.len(),
        message,
    };
    if trimmed.is_empty() {
        let end = at + text.len();
        return Remark {
            start: at,
            end: end.max(at + 1),
            message: "nothing stands before this comma".to_owned(),
        };
    }
    if trimmed.eq_ignore_ascii_case("none") {
        return whole("\"none\" stands alone or not at all".to_owned());
    }
    if !trimmed.contains('{') {
        return whole(format!(
            "\"{trimmed}\" is not a period: write a scale and values in braces, as in wd {{Mon-Fri}}"
        ));
    }
    let (opened, closed) = (text.matches('{').count(), text.matches('}').count());
    if opened != closed {
        return whole(format!(
            "{opened} opening but {closed} closing braces (a comma ends a sub-period also inside \
             braces; values are separated by blanks)"
        ));
    }
    Remark {
        start: at + place,
        end: at
            + text[place..]
                .chars()
                .next()
                .map_or(place + 1, |c| place + c.len_utf8()),
        message:
            "a period is made of scales with values in braces, as in wd {Mon-Fri} hr {9am-4pm}"
                .to_owned(),
    }
}

/// Notes a doubt; of a thousand of them nobody reads more than the first.
fn push(doubts: &mut Vec<Remark>, doubt: Remark) {
    const DOUBTS_MAX: usize = 20;
    if doubts.len() < DOUBTS_MAX {
        doubts.push(doubt);
    }
}
