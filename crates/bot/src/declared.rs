//! What a bot declares about a handoff, in whatever dialect it said so. All text is bounded and clean.

use std::collections::BTreeMap;

/// A handoff that the bot declares itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// Why, as a word such as `billing_dispute`; empty if the bot gave none.
    pub reason: String,
    /// Where to, a queue's name, if the bot said.
    pub queue: Option<String>,
    /// The bot's confidence in 0..=1, if it said.
    pub confidence: Option<f32>,
    /// The caller's intent, if the bot said.
    pub intent: Option<String>,
    /// A summary in the bot's words, if it gave one.
    pub summary: Option<String>,
    /// Everything else it sent, by name in lower case.
    pub details: BTreeMap<String, String>,
}

/// How long things may be, in characters. What is longer is cut; details beyond the number are left out, and
/// [`Declared::details`] then has an entry `truncated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a word: reason, queue, intent, the name of a detail.
    pub word: usize,
    /// Of the summary.
    pub summary: usize,
    /// Of the value of one detail.
    pub detail: usize,
    /// How many details.
    pub details: usize,
}

impl Limits {
    /// The limits of all dialects.
    pub const STANDARD: Self = Self { word: 64, summary: 1_000, detail: 500, details: 24 };
}

/// Cuts to so many characters and makes one line of it: control and direction-changing characters become blanks,
/// runs of blanks become one.
pub(crate) fn clean(text: &str, characters_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(4 * characters_max));
    let mut length = 0;
    for word in text.split(|c: char| c.is_whitespace() || is_hostile(c)).filter(|word| !word.is_empty()) {
        if length > 0 {
            out.push(' ');
            length += 1;
        }
        for c in word.chars() {
            if length >= characters_max {
                return out.trim_end().to_owned();
            }
            out.push(c);
            length += 1;
        }
    }
    out.trim_end().to_owned()
}

/// Control characters, and those that make text look like what it is not (Unicode bidirectional controls).
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Cleans; an empty text is none.
pub(crate) fn clean_some(text: &str, characters_max: usize) -> Option<String> {
    Some(clean(text, characters_max)).filter(|text| !text.is_empty())
}

/// A confidence written as `0.83`, `0,83` or `83%`. What is no number between nothing and certainty is none.
pub(crate) fn read_confidence(text: &str) -> Option<f32> {
    let text = text.trim().replace(',', ".");
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f32>().ok()? / 100.0,
        None => text.parse::<f32>().ok()?,
    };
    (0.0..=1.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_clean_line() {
        assert_eq!(clean("  a\r\nb\t\tc \u{202E}d\0e ", 100), "a b c d e");
        assert_eq!(clean("äöü ß", 3), "äöü");
        assert_eq!(clean("ab cd", 3), "ab");
        assert_eq!(clean_some(" \r\n ", 10), None);
    }

    #[test]
    fn a_confidence_is_between_nothing_and_certainty() {
        for (text, value) in [
            ("0.5", Some(0.5)),
            (" 1 ", Some(1.0)),
            ("50%", Some(0.5)),
            ("0,25", Some(0.25)),
            ("0", Some(0.0)),
        ] {
            assert_eq!(read_confidence(text), value, "{text}");
        }
        for text in ["", "high", "-0.1", "1.01", "101%", "NaN", "inf", "1e9", "%"] {
            assert_eq!(read_confidence(text), None, "{text}");
        }
    }
}
