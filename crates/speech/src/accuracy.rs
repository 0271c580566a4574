//! Word error rate: how far what was heard is from what was said.
//!
//! Both sides are brought to the same spelling first: numbers, money and times as they are spoken ([`normalise`]),
//! small letters, no punctuation but the apostrophe within a word.

use std::ops::AddAssign;

use crate::normalise;

/// The errors of a hypothesis, or of many together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WordErrors {
    /// Words of the true text.
    pub words: usize,
    /// Words heard as another.
    pub substitutions: usize,
    /// Words heard that nobody said.
    pub insertions: usize,
    /// Words said that were not heard.
    pub deletions: usize,
}

impl WordErrors {
    /// Compares what was heard with what was said, by the fewest changes from one to the other (Levenshtein).
    ///
    /// Texts are compared up to 4,000 words; what is beyond on either side counts as deleted or inserted.
    #[must_use]
    pub fn between(said: &str, heard: &str) -> WordErrors {
        let (said, heard) = (spelling(said), spelling(heard));
        let (near, far) = said.split_at(said.len().min(WORDS_MAX));
        let (close, beyond) = heard.split_at(heard.len().min(WORDS_MAX));
        let mut errors = align(near, close);
        errors.words += far.len();
        errors.deletions += far.len();
        errors.insertions += beyond.len();
        errors
    }

    /// All errors together.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }

    /// Errors for each word that was said; above 1 where more was invented than said. `None` if nothing was said.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.words > 0).then(|| self.errors() as f64 / self.words as f64)
    }
}

impl AddAssign for WordErrors {
    fn add_assign(&mut self, other: WordErrors) {
        self.words += other.words;
        self.substitutions += other.substitutions;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
    }
}

/// The words of a text in the spelling that is compared.
#[must_use]
pub fn spelling(text: &str) -> Vec<String> {
    text.lines().map(|line| normalise(&line.replace('’', "'"))).flat_map(|line| words(&line)).collect()
}

fn words(line: &str) -> Vec<String> {
    line.to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric() && letter != '\'')
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// One row of the table at a time: each place holds the best way from the beginning of both to there.
fn align(said: &[String], heard: &[String]) -> WordErrors {
    let start = |insertions| WordErrors { insertions, ..WordErrors::default() };
    let mut row: Vec<WordErrors> = (0..=heard.len()).map(start).collect();
    for word in said {
        let mut left = row.first().copied().unwrap_or_default();
        left.words += 1;
        left.deletions += 1;
        let mut next = vec![left];
        for (pair, other) in row.windows(2).zip(heard) {
            let &[before, above] = pair else { continue };
            left = best(before, above, left, word == other);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn best(before: WordErrors, above: WordErrors, left: WordErrors, same: bool) -> WordErrors {
    let through = WordErrors {
        words: before.words + 1,
        substitutions: before.substitutions + usize::from(!same),
        ..before
    };
    let deleted = WordErrors { words: above.words + 1, deletions: above.deletions + 1, ..above };
    let inserted = WordErrors { insertions: left.insertions + 1, ..left };
    [deleted, inserted]
        .into_iter()
        .fold(through, |best, way| if way.errors() < best.errors() { way } else { best })
}

/// The table is quadratic; nobody says more in 20 minutes.
const WORDS_MAX: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(said: &str, heard: &str) -> (usize, usize, usize, usize) {
        let errors = WordErrors::between(said, heard);
        (errors.words, errors.substitutions, errors.insertions, errors.deletions)
    }

    #[test]
    fn each_kind_of_error_is_counted_as_what_it_is() {
        assert_eq!(counts("where is my order", "where is my order"), (4, 0, 0, 0));
        assert_eq!(counts("where is my order", "where is your order"), (4, 1, 0, 0));
        assert_eq!(counts("where is my order", "where is my order please"), (4, 0, 1, 0));
        assert_eq!(counts("where is my order", "where my order"), (4, 0, 0, 1));
        assert_eq!(counts("where is my order", ""), (4, 0, 0, 4));
        assert_eq!(counts("", "thank you"), (0, 0, 2, 0));
        assert_eq!(counts("a b c d e f", "x b d e f g"), (6, 1, 1, 1));
    }

    #[test]
    fn spelling_is_no_error() {
        assert_eq!(counts("I want 2 tickets, please!", "i want two tickets please"), (5, 0, 0, 0));
        assert_eq!(counts("don’t (really)", "Don't really."), (2, 0, 0, 0));
        assert_eq!(counts("ill-disposed", "ill disposed"), (2, 0, 0, 0));
    }

    #[test]
    fn a_rate_exists_only_where_something_was_said() {
        assert_eq!(WordErrors::between("a b", "c d e f").rate(), Some(2.0));
        assert_eq!(WordErrors::between("", "c").rate(), None);
    }

    #[test]
    fn errors_of_many_texts_add_up() {
        let mut all = WordErrors::between("a b c", "a b");
        all += WordErrors::between("d", "e f");
        assert_eq!((all.words, all.errors()), (4, 3));
    }

    #[test]
    fn what_is_beyond_the_limit_counts_as_missing() {
        let long = vec!["word"; WORDS_MAX + 5].join("\n");
        assert_eq!(counts(&long, &long), (WORDS_MAX + 5, 0, 5, 5));
    }
}
