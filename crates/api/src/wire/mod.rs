//! What goes over the wire: this crate's own types, made from the inner words and never the inner words themselves.
//!
//! Times are RFC 3339 in UTC with milliseconds, lengths of time are whole milliseconds and say so in their name.

mod call;
mod conversation;
mod event;
mod handoff;
mod people;
mod quality;
mod recording;
mod request;
mod transcript;
mod words;

use std::time::Duration;

pub(crate) use call::{CallPage, CallWhole, CallsQuery};
pub(crate) use event::{CloudEvent, event_text, stream_text};
pub(crate) use handoff::{Handoff, HandoffOrder};
pub(crate) use people::{Agent, AgentList, Presence, PresenceOrder, QueueList};
pub(crate) use recording::{Recording, RecordingOrder};
pub(crate) use request::HandoffRequest;
pub(crate) use transcript::{TranscriptOrder, Transcription};
pub(crate) use words::{HandoffState, StateFilter};

/// Writes a time since the Unix epoch as RFC 3339 in UTC, with milliseconds.
pub(crate) fn time(at: Duration) -> String {
    let seconds = at.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.subsec_millis())
}

/// The Gregorian date of a day since the Unix epoch. Years run from March here, so that the leap day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01; 400 years have 146,097.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A length of time in whole milliseconds.
pub(crate) fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (68_169_599, "1972-02-28T23:59:59.000Z"),
            (68_169_600, "1972-02-29T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_795_180_000, "2026-11-20T13:06:40.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
        ] {
            assert_eq!(time(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(time(Duration::from_millis(1_999)), "1970-01-01T00:00:01.999Z");
    }
}
