//! What a call thinks of one of its voices now: said from the call's side at any moment, read on the speech
//! threads at the next decode. The stream itself belongs to the media thread; this handle is the call's.

use std::{
    str,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::language::main_part;

/// The handle of a voice, from [`Stream::attention`](super::Stream::attention). Cheap to clone; outliving the
/// voice it changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Attention(Arc<Wishes>);

#[derive(Debug, Default)]
struct Wishes {
    near_handoff: AtomicBool,
    needs_partials: AtomicBool,
    /// The letters of the language, lowest byte first; 0 for none.
    language: AtomicU64,
}

impl Attention {
    /// The attention that a voice begins with.
    #[must_use]
    pub fn new(language: Option<&str>) -> Attention {
        let attention = Attention::default();
        attention.set_language(language);
        attention
    }

    /// Says whether the call is close to a handoff: its finals then go before those of other calls.
    pub fn near_handoff(&self, near: bool) {
        self.0.near_handoff.store(near, Ordering::Relaxed);
    }

    /// Says whether a rule waits for words of this voice: its partials then go before others, and are the last
    /// that are given up under load.
    pub fn needs_partials(&self, needs: bool) {
        self.0.needs_partials.store(needs, Ordering::Relaxed);
    }

    /// Says which language is spoken, from the next decode on: a tag whose first part is an ISO 639 code (`es`,
    /// `pt-BR`). `None`, or what is no such tag, leaves it to the model.
    pub fn set_language(&self, language: Option<&str>) {
        self.0.language.store(language.map_or(0, packed), Ordering::Relaxed);
    }

    /// Whether the call is close to a handoff.
    #[must_use]
    pub fn is_near_handoff(&self) -> bool {
        self.0.near_handoff.load(Ordering::Relaxed)
    }

    /// Whether a rule waits for words of this voice.
    #[must_use]
    pub fn wants_partials(&self) -> bool {
        self.0.needs_partials.load(Ordering::Relaxed)
    }

    /// The language code in lower case, if one is set.
    #[must_use]
    pub fn language(&self) -> Option<Arc<str>> {
        let bytes = self.0.language.load(Ordering::Relaxed).to_le_bytes();
        let letters = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        str::from_utf8(letters).ok().filter(|letters| !letters.is_empty()).map(Arc::from)
    }
}

/// The first part of a tag in lower case; 0 for what is no code of two to eight letters (RFC 5646 §2.1).
fn packed(tag: &str) -> u64 {
    let code = main_part(tag);
    if !(2..=8).contains(&code.len()) || !code.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return 0;
    }
    let mut bytes = [0; 8];
    for (place, letter) in bytes.iter_mut().zip(code.bytes()) {
        *place = letter;
    }
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_the_first_part_of_its_tag() {
        let cases = [
            (Some("es"), Some("es")),
            (Some("pt-BR"), Some("pt")),
            (Some("EN_us"), Some("en")),
            (Some("haw"), Some("haw")),
            (Some("x"), None),
            (Some("sehrlangesprache"), None),
            (Some("d1"), None),
            (Some(""), None),
            (None, None),
        ];
        for (tag, code) in cases {
            assert_eq!(Attention::new(tag).language().as_deref(), code, "{tag:?}");
        }
    }

    #[test]
    fn what_is_said_through_one_handle_is_read_through_all() {
        let attention = Attention::new(Some("en"));
        let other = attention.clone();
        other.near_handoff(true);
        other.needs_partials(true);
        other.set_language(None);
        assert!(attention.is_near_handoff() && attention.wants_partials());
        assert_eq!(attention.language(), None);
    }
}
