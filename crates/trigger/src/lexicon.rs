//! Counts phrases of a list in an utterance: frustration (T17), profanity (T18), urgency (T19).

use aho_corasick::{AhoCorasick, MatchKind};

use crate::words::Word;

/// A compiled list of phrases.
#[derive(Debug)]
pub(crate) struct Lexicon {
    phrases: Vec<String>,
    searcher: AhoCorasick,
}

impl Lexicon {
    /// Compiles phrases that were already brought into comparable form.
    pub(crate) fn new(phrases: Vec<Vec<String>>) -> Result<Self, String> {
        let phrases: Vec<String> =
            phrases.into_iter().filter(|words| !words.is_empty()).map(|words| words.join(" ")).collect();
        let padded = phrases.iter().map(|phrase| format!(" {phrase} "));
        let searcher = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(padded)
            .map_err(|error| format!("the list is too large to be searched: {error}"))?;
        Ok(Self { phrases, searcher })
    }

    /// The phrases that occur as whole words, in the order in which they end; the longer of two that overlap.
    pub(crate) fn found(&self, words: &[Word]) -> Vec<&str> {
        let mut line = String::from(" ");
        for word in words {
            line.push_str(&word.text);
            line.push(' ');
        }
        let mut spans: Vec<(usize, usize, usize)> = self
            .searcher
            .find_overlapping_iter(&line)
            .map(|hit| (hit.start(), hit.end(), hit.pattern().as_usize()))
            .collect();
        spans.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
        let mut found = Vec::new();
        let mut covered = 0;
        for (start, end, phrase) in spans {
            // Neighbours share one blank, so a phrase may begin on the last byte of the one before.
            if start + 1 >= covered
                && let Some(phrase) = self.phrases.get(phrase)
            {
                found.push(phrase.as_str());
                covered = end;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::words;

    fn check(text: &str, expected: &[&str]) {
        let list = ["fed up", "damn", "damn it", "waste of time"];
        let phrases = list.iter().map(|phrase| words::plain(phrase, &BTreeMap::new())).collect();
        let lexicon = Lexicon::new(phrases).unwrap();
        assert_eq!(lexicon.found(&words::split(text, &BTreeMap::new())), expected, "{text}");
    }

    #[test]
    fn phrases_are_found_as_whole_words_and_the_longer_one_counts() {
        check("I'm fed up with this.", &["fed up"]);
        check("Damn it! Damn, what a waste of time", &["damn it", "damn", "waste of time"]);
        check("unfed upper damned", &[]);
        check("damn damn", &["damn", "damn"]);
        check("", &[]);
    }
}
