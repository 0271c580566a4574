//! Header text that may hold octets which are no UTF-8: a display name in Latin-1 must not lose a call, and what is
//! copied from a request into its answer must come back octet for octet (RFC 3261 §8.2.6.2).
//!
//! Inside, headers are `String`s. An octet that is no part of a UTF-8 sequence travels in them as a private-use
//! character of its own, U+10FE80 to U+10FEFF, and is an octet again when the message is printed. Characters of that
//! very range that come from outside are taken octet by octet too, so the way there and back is exact for any input:
//!
//! ```text
//! [0x4d, 0xfc, 0x6c] ── take ──► "M\u{10FEFC}l" ── give ──► [0x4d, 0xfc, 0x6c]
//!                                      └────────── shown ──► "Mül"   (for people: Latin-1)
//! ```

use std::borrow::Cow;

/// The character of octet 0; only those from 0x80 on are used.
const BASE: u32 = 0x0010_FE00;
/// The first octet in UTF-8 of everything from U+100000 on, and so of every character that stands for an octet.
const LEAD: u8 = 0xF4;

/// Reads octets as text.
pub(crate) fn take(octets: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(octets)
        && !octets.contains(&LEAD)
    {
        return text.to_owned();
    }
    let mut text = String::with_capacity(octets.len() + 16);
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            if octet(c).is_some() {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| text.push(stand_in(b)));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|&b| text.push(stand_in(b)));
    }
    text
}

/// The octets of a text that [`take`] read.
pub(crate) fn give(text: &str) -> Cow<'_, [u8]> {
    if !text.as_bytes().contains(&LEAD) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut octets = Vec::with_capacity(text.len());
    for c in text.chars() {
        match octet(c) {
            Some(b) => octets.push(b),
            None => octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(octets)
}

/// A text as people should see it: octets that are no UTF-8 are read as Latin-1, which is what they mostly are, and
/// control characters are marked as unreadable.
pub(crate) fn shown(text: &str) -> String {
    let readable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(|c| readable(octet(c).map_or(c, char::from))).collect()
}

fn stand_in(b: u8) -> char {
    char::from_u32(BASE + u32::from(b)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn octet(c: char) -> Option<u8> {
    let place = u32::from(c).checked_sub(BASE)?;
    u8::try_from(place).ok().filter(|b| *b >= 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_1_is_kept_and_shown() {
        let text = take(b"M\xfcller \x80 \xf0\x9f\x98\x80");
        assert_eq!(give(&text).as_ref(), b"M\xfcller \x80 \xf0\x9f\x98\x80");
        assert_eq!(shown(&text), "Müller \u{fffd} 😀");
        assert_eq!(shown("a\0b\u{7}"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn a_character_that_looks_like_a_stand_in_is_taken_octet_by_octet() {
        let outside = "\u{10FEFC}";
        let text = take(outside.as_bytes());
        assert_eq!(text.chars().count(), 4);
        assert_eq!(give(&text).as_ref(), outside.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn any_octets_come_back(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let text = take(&octets);
            let given = give(&text);
            proptest::prop_assert_eq!(given.as_ref(), octets.as_slice());
        }

        #[test]
        fn the_last_plane_comes_back(cs in proptest::collection::vec(proptest::char::range('\u{100000}', '\u{10FFFF}'), 0..40)) {
            let text: String = cs.into_iter().collect();
            let taken = take(text.as_bytes());
            let given = give(&taken);
            proptest::prop_assert_eq!(given.as_ref(), text.as_bytes());
        }
    }
}
