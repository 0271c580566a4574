//! From a transcript to words that can be compared: lower case, no punctuation, contractions written out.
//!
//! A word remembers where it stood in the text, so that evidence is quoted as it was recognised.

use std::collections::BTreeMap;

/// One comparable word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Lower case, letters and digits only.
    pub(crate) text: String,
    /// A sentence ended before this word.
    pub(crate) starts_sentence: bool,
    /// A sentence or a part of one, as commas divide it, ended before this word.
    pub(crate) starts_clause: bool,
    /// Its bytes in the original text.
    pub(crate) from: usize,
    /// The byte after it.
    pub(crate) to: usize,
}

/// Splits a text into words. `expansions` are written out; every part keeps the place of the whole.
pub(crate) fn split(text: &str, expansions: &BTreeMap<String, String>) -> Vec<Word> {
    let mut words = Vec::new();
    let mut begins = Begins { sentence: true, clause: true };
    let mut open: Option<(usize, String)> = None;
    for (at, letter) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        if letter.is_alphanumeric() {
            let (_, word) = open.get_or_insert_with(|| (at, String::new()));
            word.extend(letter.to_lowercase());
        } else if is_apostrophe(letter) && open.is_some() {
            if let Some((_, word)) = open.as_mut() {
                word.push('\'');
            }
        } else {
            if let Some((from, word)) = open.take() {
                push(&mut words, &word, (from, at), begins, expansions);
                begins = Begins { sentence: false, clause: false };
            }
            begins.sentence |= matches!(letter, '.' | '!' | '?' | ';');
            begins.clause |= begins.sentence || matches!(letter, ',' | ':' | '\u{2013}' | '\u{2014}');
        }
    }
    words
}

/// The comparable form of a phrase from the configuration.
pub(crate) fn plain(phrase: &str, expansions: &BTreeMap<String, String>) -> Vec<String> {
    split(phrase, expansions).into_iter().map(|word| word.text).collect()
}

/// What begins with the next word.
#[derive(Clone, Copy)]
struct Begins {
    sentence: bool,
    clause: bool,
}

fn push(
    words: &mut Vec<Word>,
    raw: &str,
    place: (usize, usize),
    begins: Begins,
    expansions: &BTreeMap<String, String>,
) {
    let bare: String = raw.chars().filter(|letter| *letter != '\'').collect();
    let known = expansions.get(raw).or_else(|| expansions.get(&bare));
    let mut begins = begins;
    for part in known.map_or(bare.as_str(), String::as_str).split_whitespace() {
        words.push(Word {
            text: part.to_owned(),
            starts_sentence: begins.sentence,
            starts_clause: begins.clause,
            from: place.0,
            to: place.1,
        });
        begins = Begins { sentence: false, clause: false };
    }
}

fn is_apostrophe(letter: char) -> bool {
    matches!(letter, '\'' | '\u{2019}' | '\u{2018}' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let expansions = BTreeMap::from([("i'd".to_owned(), "i would".to_owned())]);
        let found: Vec<String> = split(text, &expansions).into_iter().map(|word| word.text).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_are_lower_case_without_punctuation_and_contractions_are_written_out() {
        check("Hello, I\u{2019}d like an AGENT!", &["hello", "i", "would", "like", "an", "agent"]);
        check("don't", &["dont"]);
        check("customer-service", &["customer", "service"]);
        check("", &[]);
        check(" ... ", &[]);
        check("'quoted' text'", &["quoted", "text"]);
    }

    #[test]
    fn a_sentence_starts_after_a_full_stop_but_not_after_a_comma() {
        let starts: Vec<bool> =
            split("No, wait. Agent", &BTreeMap::new()).into_iter().map(|word| word.starts_sentence).collect();
        assert_eq!(starts, [true, false, true]);
    }

    #[test]
    fn a_word_knows_where_it_stood() {
        let text = "Ünder  agent's";
        let words = split(text, &BTreeMap::new());
        let quoted: Vec<&str> = words.iter().filter_map(|word| text.get(word.from..word.to)).collect();
        assert_eq!(quoted, ["Ünder", "agent's"]);
    }
}
