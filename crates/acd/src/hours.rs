//! Business hours of a queue: spans of a week on a clock with a fixed offset from UTC.
//!
//! There is no time-zone database here: where summer time is kept, the offset is changed with the configuration.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// When a queue takes calls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Minutes that the local clock is ahead of UTC; negative west of Greenwich.
    #[serde(default)]
    pub utc_offset_minutes: i16,
    /// The spans in which it is open; none means never.
    pub open: Vec<OpenSpan>,
}

/// One span of a day, on the named days.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSpan {
    /// The days on which the span begins.
    pub days: Vec<Weekday>,
    /// When it begins, `"08:00"`.
    pub from: TimeOfDay,
    /// When it ends, `"18:00"`; `"24:00"` is midnight. Earlier than `from` means on the next day.
    pub until: TimeOfDay,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A time of day to the minute, `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// Minutes since midnight, at most 1440.
    minutes: u16,
}

impl TimeOfDay {
    /// Reads `HH:MM`; nothing else is a time of day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        if hour.len() != 2 || minute.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
            return None;
        }
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        let minutes = hour * 60 + minute;
        (minute < 60 && minutes <= MINUTES_PER_DAY).then_some(Self { minutes })
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = TimeOfDay;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of day such as \"08:30\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeOfDay, E> {
                TimeOfDay::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        from.deserialize_str(Text)
    }
}

impl Hours {
    /// Whether the queue is open at a moment (since the Unix epoch).
    #[must_use]
    pub fn open_at(&self, at: Duration) -> bool {
        let local = i64::try_from(at.as_secs() / 60)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(self.utc_offset_minutes));
        let day = local.div_euclid(i64::from(MINUTES_PER_DAY));
        let minute = local.rem_euclid(i64::from(MINUTES_PER_DAY));
        self.open.iter().any(|span| span.covers(day, minute))
    }
}

impl OpenSpan {
    fn covers(&self, day: i64, minute: i64) -> bool {
        let (from, until) = (i64::from(self.from.minutes), i64::from(self.until.minutes));
        let over_midnight = until <= from;
        let today = minute >= from && (over_midnight || minute < until) && self.begins_on(day);
        let since_yesterday = over_midnight && minute < until && self.begins_on(day - 1);
        today || since_yesterday
    }

    /// Day 0 of the epoch, 1 January 1970, was a Thursday.
    fn begins_on(&self, day: i64) -> bool {
        let weekday = (day + 3).rem_euclid(7);
        self.days.iter().any(|d| *d as i64 == weekday)
    }
}

const MINUTES_PER_DAY: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> Hours {
        toml::from_str(text).unwrap()
    }

    /// 2026-01-05 was a Monday: 1_767_571_200 s.
    fn monday(hour: u64, minute: u64) -> Duration {
        Duration::from_secs(1_767_571_200 + hour * 3600 + minute * 60)
    }

    #[test]
    fn an_office_is_open_from_the_first_minute_and_closed_at_the_last() {
        let office = hours("open = [{ days = ['monday'], from = '08:00', until = '18:00' }]");
        assert!(!office.open_at(monday(7, 59)));
        assert!(office.open_at(monday(8, 0)));
        assert!(office.open_at(monday(17, 59)));
        assert!(!office.open_at(monday(18, 0)));
        assert!(!office.open_at(monday(24 + 9, 0)), "tuesday is not named");
    }

    #[test]
    fn a_night_shift_reaches_into_the_next_day() {
        let night = hours("open = [{ days = ['monday'], from = '22:00', until = '06:00' }]");
        assert!(night.open_at(monday(23, 0)));
        assert!(night.open_at(monday(24 + 5, 59)));
        assert!(!night.open_at(monday(24 + 6, 0)));
        assert!(!night.open_at(monday(3, 0)), "sunday's night is not named");
    }

    #[test]
    fn the_offset_moves_the_clock() {
        let east = hours(
            "utc_offset_minutes = 120\nopen = [{ days = ['monday'], from = '08:00', until = '09:00' }]",
        );
        assert!(east.open_at(monday(6, 30)));
        assert!(!east.open_at(monday(8, 30)));
        let west = hours(
            "utc_offset_minutes = -480\nopen = [{ days = ['sunday'], from = '16:00', until = '24:00' }]",
        );
        assert!(west.open_at(monday(0, 0)));
        assert!(west.open_at(monday(7, 59)));
        assert!(!west.open_at(monday(8, 0)));
    }

    #[test]
    fn only_hh_mm_is_a_time_of_day() {
        assert!(TimeOfDay::parse("24:00").is_some());
        for text in ["24:01", "8:00", "08:60", "0800", "", "08:00:00", "+8:00", "aa:bb"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_span_means_never_open() {
        assert!(!hours("open = []").open_at(monday(12, 0)));
    }
}
