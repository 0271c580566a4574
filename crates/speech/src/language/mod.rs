//! Which language a caller speaks: the evidence of each utterance, and when there is enough of it.
//!
//! A recogniser that knows many languages hears it in the voice; where it does not tell, the words do
//! ([`TextLanguages`]). One utterance is a guess: two in a row that agree decide, or one that leaves no doubt. What was
//! decided changes only when three in a row speak against it, and never often, so that nobody is switched to and fro.

mod text;

use crate::pool::Spoken;

pub use text::TextLanguages;

/// What tells a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The voice, as the recogniser heard it.
    BySound,
    /// The words.
    ByWords,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Two letters (ISO 639-1).
    pub language: String,
    /// What told it.
    pub told: Told,
}

/// Follows the language of one caller.
#[derive(Clone, Debug)]
pub struct Identification {
    allowed: Vec<String>,
    current: String,
    /// The current language was confirmed, or found.
    settled: bool,
    /// A language that the last utterances agree on, and how many they are.
    candidate: Option<(String, u32)>,
    changes: u32,
}

/// One utterance's word on it.
struct Evidence {
    spoken: Spoken,
    told: Told,
    /// It leaves no doubt.
    sure: bool,
}

impl Identification {
    /// A caller who may speak these languages, and is believed to speak one of them. Tags are read by their first part.
    #[must_use]
    pub fn new<'a>(allowed: impl IntoIterator<Item = &'a str>, believed: &str) -> Identification {
        let mut allowed: Vec<String> = allowed.into_iter().map(main_part).collect();
        allowed.dedup();
        Identification { allowed, current: main_part(believed), settled: false, candidate: None, changes: 0 }
    }

    /// Whether there is anything to find out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.allowed.len() > 1 && self.changes < CHANGES_MAX
    }

    /// Whether the language is known, and not only believed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes a finished utterance: its words, and what the recogniser heard, if it told. Gives the language when it
    /// becomes known, be it the one that was believed, or when it changes.
    pub fn hear(
        &mut self,
        text: &str,
        sound: Option<&Spoken>,
        texts: Option<&TextLanguages>,
    ) -> Option<Found> {
        if !self.is_open() {
            return None;
        }
        let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
        let evidence = match sound {
            Some(sound) => of_sound(sound, words)?,
            None => of_words(texts?.of(text)?, words)?,
        };
        let Evidence { spoken, told, sure } = evidence;
        if !self.allowed.contains(&spoken.language) {
            return None;
        }
        let count = match self.candidate.take() {
            Some((language, count)) if language == spoken.language => count + 1,
            Some(_) | None => 1,
        };
        let changes = spoken.language != self.current;
        let enough = match (self.settled, changes) {
            (true, true) => count >= AGAIN_MIN && sure,
            (true, false) => false,
            (false, _) => count >= AGREEING_MIN || sure,
        };
        self.candidate = Some((spoken.language.clone(), count));
        if !enough {
            return None;
        }
        self.changes += u32::from(self.settled);
        self.settled = true;
        self.current.clone_from(&spoken.language);
        Some(Found { language: spoken.language, told })
    }
}

fn of_sound(spoken: &Spoken, words: usize) -> Option<Evidence> {
    let enough = words >= SOUND_WORDS_MIN && spoken.probability >= PROBABLE;
    let sure = words >= SOUND_WORDS_SURE && spoken.probability >= SURE;
    enough.then(|| Evidence { spoken: spoken.clone(), told: Told::BySound, sure })
}

fn of_words(spoken: Spoken, words: usize) -> Option<Evidence> {
    let enough = words >= TEXT_WORDS_MIN && spoken.probability >= PROBABLE;
    let sure = words >= TEXT_WORDS_SURE && spoken.probability >= SURE;
    enough.then_some(Evidence { spoken, told: Told::ByWords, sure })
}

/// `pt` of `pt-BR`.
#[must_use]
pub fn main_part(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

/// A guess counts from here on.
const PROBABLE: f32 = 0.6;
/// And leaves no doubt from here on.
const SURE: f32 = 0.95;
/// Words without which a voice says too little: "okay" is every language.
const SOUND_WORDS_MIN: usize = 2;
const SOUND_WORDS_SURE: usize = 3;
/// Words without which a text says too little.
const TEXT_WORDS_MIN: usize = 3;
const TEXT_WORDS_SURE: usize = 5;
/// Utterances that have to agree at first, and when something was decided already.
const AGREEING_MIN: u32 = 2;
const AGAIN_MIN: u32 = 3;
/// Times that what was decided may change.
const CHANGES_MAX: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(language: &str, probability: f32) -> Spoken {
        Spoken { language: language.to_owned(), probability }
    }

    fn found(language: &str, told: Told) -> Option<Found> {
        Some(Found { language: language.to_owned(), told })
    }

    fn bilingual() -> Identification {
        Identification::new(["en", "es-MX"], "en-US")
    }

    #[test]
    fn two_guesses_that_agree_decide_and_one_that_is_sure_does() {
        let mut caller = bilingual();
        assert_eq!(caller.hear("hola buenas", Some(&sound("es", 0.8)), None), None);
        assert!(!caller.is_settled());
        assert_eq!(caller.hear("quiero ayuda", Some(&sound("es", 0.7)), None), found("es", Told::BySound));
        assert!(caller.is_settled());
        let mut other = bilingual();
        let sure = sound("es", 0.99);
        assert_eq!(other.hear("quiero hablar con alguien", Some(&sure), None), found("es", Told::BySound));
    }

    #[test]
    fn what_says_little_decides_nothing() {
        let mut caller = bilingual();
        for (text, language, probability) in [
            ("okay", "es", 0.99),
            ("12 34", "es", 0.99),
            ("no no", "es", 0.5),
            ("hallo wie gehts", "de", 0.99),
        ] {
            assert_eq!(caller.hear(text, Some(&sound(language, probability)), None), None, "{text}");
        }
        assert!(!caller.is_settled());
    }

    #[test]
    fn guesses_in_turn_decide_nothing() {
        let mut caller = bilingual();
        for turn in 0..10 {
            let language = if turn % 2 == 0 { "es" } else { "en" };
            assert_eq!(caller.hear("si yes si", Some(&sound(language, 0.8)), None), None);
        }
    }

    #[test]
    fn what_was_decided_changes_after_three_sure_ones_and_not_for_ever() {
        let mut caller = bilingual();
        let mut changes = 0;
        for turn in 0..40 {
            let language = if turn / 4 % 2 == 0 { "es" } else { "en" };
            let told = caller.hear("some four words here", Some(&sound(language, 0.99)), None);
            changes += u32::from(told.is_some());
        }
        assert_eq!(changes, 1 + CHANGES_MAX);
        assert!(!caller.is_open());
    }

    #[test]
    fn what_was_believed_is_confirmed_once() {
        let mut caller = bilingual();
        assert_eq!(
            caller.hear("i have a problem", Some(&sound("en", 0.97)), None),
            found("en", Told::BySound)
        );
        assert_eq!(caller.hear("i have a problem", Some(&sound("en", 0.97)), None), None);
    }

    #[test]
    fn one_language_leaves_nothing_to_find_out() {
        let mut caller = Identification::new(["en"], "en");
        assert!(!caller.is_open());
        assert_eq!(caller.hear("quiero hablar con alguien", Some(&sound("es", 0.99)), None), None);
    }

    #[test]
    fn where_the_voice_does_not_tell_the_words_do() {
        let texts = TextLanguages::among(["en", "es"]).unwrap();
        let mut caller = bilingual();
        assert_eq!(caller.hear("no", None, Some(&texts)), None);
        let told = caller.hear("quiero hablar con una persona por favor", None, Some(&texts));
        assert_eq!(told, found("es", Told::ByWords));
        // A name in another language is no change.
        assert_eq!(caller.hear("for the new york times account please", None, Some(&texts)), None);
        assert!(caller.is_settled());
    }
}
