//! The language of words, by their letters: n-grams of up to five, as the crate `lingua` has counted them.

use std::fmt;

use lingua::{IsoCode639_1, Language, LanguageDetector, LanguageDetectorBuilder};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::pool::Spoken;

/// Tells some languages from each other. Made once, for all calls.
pub struct TextLanguages {
    detector: LanguageDetector,
    /// One thread: left alone, the crate would make one for each core.
    thread: ThreadPool,
}

impl TextLanguages {
    /// Tells those of the languages from each other that it knows: English, Spanish, German, French. `None` if these are
    /// fewer than two. Tags are read by their first part.
    #[must_use]
    pub fn among<'a>(tags: impl IntoIterator<Item = &'a str>) -> Option<TextLanguages> {
        let known: Vec<Language> = tags.into_iter().filter_map(language).collect();
        if known.len() < 2 {
            return None;
        }
        let name = |_| "segue-text".to_owned();
        let thread = ThreadPoolBuilder::new().num_threads(1).thread_name(name).build();
        let thread =
            thread.inspect_err(|error| tracing::error!(%error, "no thread to tell languages by words"));
        Some(TextLanguages {
            detector: LanguageDetectorBuilder::from_languages(&known).build(),
            thread: thread.ok()?,
        })
    }

    /// Whether the words of a language can be told by their letters.
    #[must_use]
    pub fn knows(tag: &str) -> bool {
        language(tag).is_some()
    }

    /// The likeliest language of a text, and how likely it is beside the others; `None` where no letter tells.
    #[must_use]
    pub fn of(&self, text: &str) -> Option<Spoken> {
        let begun: String = text.chars().take(LETTERS_MAX).collect();
        let values = self.thread.install(|| self.detector.compute_language_confidence_values(begun));
        let likeliest = values.into_iter().next();
        let (language, probability) = likeliest.filter(|(_, probability)| *probability > 0.0)?;
        let language = language.iso_code_639_1().to_string();
        Some(Spoken { language, probability: probability as f32 })
    }
}

impl fmt::Debug for TextLanguages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TextLanguages").finish_non_exhaustive()
    }
}

fn language(tag: &str) -> Option<Language> {
    match super::main_part(tag).as_str() {
        "en" => Some(IsoCode639_1::EN),
        "es" => Some(IsoCode639_1::ES),
        "de" => Some(IsoCode639_1::DE),
        "fr" => Some(IsoCode639_1::FR),
        _ => None,
    }
    .map(|code| Language::from_iso_code_639_1(&code))
}

/// Letters that are looked at: a breath of speech has fewer.
const LETTERS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCES: &[(&str, &str)] = &[
        ("en", "i want to talk to a human"),
        ("en", "it does not work"),
        ("en", "i was charged twice last month"),
        ("en", "hello i have a question about my account"),
        ("es", "mi pedido no ha llegado"),
        ("es", "puede ayudarme con mi factura"),
        ("es", "quiero hablar con una persona"),
        ("es", "el internet no funciona otra vez"),
        ("de", "ich möchte mit einem menschen sprechen"),
        ("de", "meine bestellung ist nicht angekommen"),
        ("de", "das internet geht schon wieder nicht"),
        ("de", "ich muss mein abo kündigen"),
        ("fr", "je veux parler à une personne"),
        ("fr", "ma commande n'est pas arrivée"),
        ("fr", "on m'a débité deux fois le mois dernier"),
        ("fr", "j'ai oublié mon mot de passe"),
    ];

    #[test]
    fn sentences_of_contact_centres_are_told_from_each_other() {
        let texts = TextLanguages::among(["en-GB", "es", "de", "fr"]).unwrap();
        for (language, sentence) in SENTENCES {
            let told = texts.of(sentence).unwrap();
            assert_eq!(told.language, *language, "{sentence}: {told:?}");
        }
    }

    #[test]
    fn where_nothing_can_be_told_apart_nothing_is() {
        assert!(TextLanguages::among(["en", "nl"]).is_none());
        assert!(!TextLanguages::knows("nl") && TextLanguages::knows("fr-CA"));
        let texts = TextLanguages::among(["en", "es"]).unwrap();
        assert_eq!(texts.of("1 2 3 4"), None);
        assert_eq!(texts.of(""), None);
    }
}
