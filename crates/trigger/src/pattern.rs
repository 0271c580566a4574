//! Patterns over words: compiled once, matched by trying each item in turn from each word on.
//!
//! The notation is told in `rules.rs`. A pattern has at most `ITEMS_MAX` items, so matching cannot run away.

use std::collections::{BTreeMap, BTreeSet};

use crate::sound::Sound;

/// A word of the patterns.
pub(crate) type WordId = usize;

/// All words that occur in patterns, and which of them are recognised when slightly wrong.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    ids: BTreeMap<String, WordId>,
    texts: Vec<String>,
    tolerant: BTreeMap<WordId, Sound>,
    distinct: BTreeSet<String>,
}

/// What a heard word may stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    words: Vec<WordId>,
}

impl Meaning {
    /// Whether it stands for nothing that any pattern knows.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl Vocabulary {
    /// Adds a word and gives its number.
    pub(crate) fn learn(&mut self, word: &str) -> WordId {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = self.texts.len();
        self.texts.push(word.to_owned());
        self.ids.insert(word.to_owned(), id);
        id
    }

    /// From here on the word is also recognised when slightly wrong.
    pub(crate) fn tolerate(&mut self, word: WordId) {
        let sound = Sound::of(self.text(word));
        self.tolerant.insert(word, sound);
    }

    /// The word is never taken for another.
    pub(crate) fn keep_apart(&mut self, word: &str) {
        self.distinct.insert(word.to_owned());
    }

    /// The text of a word.
    pub(crate) fn text(&self, word: WordId) -> &str {
        self.texts.get(word).map_or("", String::as_str)
    }

    /// What a heard word may stand for: itself if it is known, else every tolerant word that it resembles.
    pub(crate) fn meaning(&self, heard: &str) -> Meaning {
        if let Some(&id) = self.ids.get(heard) {
            return Meaning { words: vec![id] };
        }
        if heard.len() < 3 || self.distinct.contains(heard) {
            return Meaning::default();
        }
        let sound = Sound::of(heard);
        let alike = self.tolerant.iter().filter(|(_, meant)| sound.may_be(meant));
        Meaning { words: alike.map(|(id, _)| *id).collect() }
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    at_start: bool,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    optional: bool,
    /// By first word; longest first, so that "human being" is preferred to "human".
    phrases: BTreeMap<WordId, Vec<Vec<WordId>>>,
    literal: bool,
}

/// Where a pattern matched, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The first word.
    pub(crate) start: usize,
    /// For each matched word, what it was taken for.
    pub(crate) taken: Vec<WordId>,
}

impl Found {
    /// The word after the last one.
    pub(crate) fn end(&self) -> usize {
        self.start + self.taken.len()
    }
}

impl Pattern {
    /// Compiles a pattern. The error says what is wrong with it.
    pub(crate) fn compile(
        text: &str,
        classes: &BTreeMap<String, Vec<Vec<String>>>,
        vocabulary: &mut Vocabulary,
    ) -> Result<Self, String> {
        let mut pattern = Self { at_start: false, items: Vec::new() };
        for part in text.split_whitespace() {
            if part == "^" && pattern.items.is_empty() {
                pattern.at_start = true;
            } else {
                pattern.items.push(item(part, classes, vocabulary)?);
            }
        }
        if pattern.items.len() > ITEMS_MAX {
            return Err(format!("`{text}` has more than {ITEMS_MAX} items; make two patterns of it"));
        }
        if pattern.items.iter().all(|item| item.optional) {
            return Err(format!("`{text}` would match nothing at all; one item must not be in brackets"));
        }
        Ok(pattern)
    }

    /// Whether it holds only at the start of a sentence.
    pub(crate) fn at_start(&self) -> bool {
        self.at_start
    }

    /// Matches from `start` on.
    pub(crate) fn match_at(&self, heard: &[Meaning], start: usize) -> Option<Found> {
        let mut taken = Vec::new();
        let rest = heard.get(start..)?;
        advance(&self.items, rest, &mut taken).then_some(Found { start, taken })
    }

    /// Whether the words from `start` to the last one could be the beginning of this pattern, whose first
    /// word is a literal one.
    pub(crate) fn may_grow_from(&self, heard: &[Meaning], start: usize) -> bool {
        let first_is_literal = self.items.first().is_some_and(|item| item.literal);
        let rest = heard.get(start..).unwrap_or_default();
        first_is_literal && !rest.is_empty() && runs_out(&self.items, rest)
    }
}

fn advance(items: &[Item], heard: &[Meaning], taken: &mut Vec<WordId>) -> bool {
    let Some((item, later)) = items.split_first() else { return true };
    for phrase in item.begun_by(heard) {
        if !begins_with(heard, phrase) {
            continue;
        }
        let before = taken.len();
        taken.extend(phrase);
        if advance(later, heard.get(phrase.len()..).unwrap_or_default(), taken) {
            return true;
        }
        taken.truncate(before);
    }
    item.optional && advance(later, heard, taken)
}

/// Whether the heard words end before the items do, with every word in its place so far.
fn runs_out(items: &[Item], heard: &[Meaning]) -> bool {
    let Some((item, later)) = items.split_first() else { return false };
    if heard.is_empty() {
        return true;
    }
    let through = item.begun_by(heard).any(|phrase| {
        if phrase.len() > heard.len() {
            return phrase.get(..heard.len()).is_some_and(|head| begins_with(heard, head));
        }
        begins_with(heard, phrase) && runs_out(later, heard.get(phrase.len()..).unwrap_or_default())
    });
    through || (item.optional && runs_out(later, heard))
}

impl Item {
    /// The phrases whose first word is the first one heard.
    fn begun_by<'a>(&'a self, heard: &'a [Meaning]) -> impl Iterator<Item = &'a Vec<WordId>> {
        let first = heard.first().map(|meaning| meaning.words.as_slice()).unwrap_or_default();
        first.iter().filter_map(|word| self.phrases.get(word)).flatten()
    }
}

fn begins_with(heard: &[Meaning], phrase: &[WordId]) -> bool {
    phrase.len() <= heard.len()
        && phrase.iter().zip(heard).all(|(wanted, heard)| heard.words.contains(wanted))
}

fn item(
    part: &str,
    classes: &BTreeMap<String, Vec<Vec<String>>>,
    vocabulary: &mut Vocabulary,
) -> Result<Item, String> {
    let (optional, inner) = match part.strip_prefix('[') {
        Some(open) => (true, open.strip_suffix(']').ok_or_else(|| format!("`{part}` lacks its `]`"))?),
        None => (false, part),
    };
    let mut phrases = Vec::new();
    let mut literal = true;
    let mut in_class = false;
    for word in inner.split('|') {
        let opens = word.starts_with('<');
        let closes = word.ends_with('>');
        in_class |= opens;
        let name = word.trim_start_matches('<').trim_end_matches('>');
        if name.is_empty() {
            return Err(format!("`{part}` has an empty alternative"));
        }
        if in_class {
            literal = false;
            let class = classes
                .get(name)
                .ok_or_else(|| format!("`{part}` names the class `{name}`, which is not among `classes`"))?;
            phrases.extend(class.iter().map(|phrase| learn(phrase.iter().map(String::as_str), vocabulary)));
        } else if name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
            phrases.push(learn(name.split('_'), vocabulary));
        } else {
            return Err(format!("`{part}`: `{name}` is neither a word nor a class; leave out punctuation"));
        }
        in_class &= !closes;
    }
    if in_class {
        return Err(format!("`{part}` lacks its `>`"));
    }
    phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
    let mut by_first: BTreeMap<WordId, Vec<Vec<WordId>>> = BTreeMap::new();
    for phrase in phrases {
        if let Some(first) = phrase.first() {
            by_first.entry(*first).or_default().push(phrase);
        }
    }
    Ok(Item { optional, phrases: by_first, literal })
}

fn learn<'a>(words: impl Iterator<Item = &'a str>, vocabulary: &mut Vocabulary) -> Vec<WordId> {
    words.map(|word| vocabulary.learn(word)).collect()
}

const ITEMS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<(Pattern, Vocabulary), String> {
        let classes = BTreeMap::from([
            (
                "human".to_owned(),
                vec![vec!["human".to_owned()], vec!["human".to_owned(), "being".to_owned()]],
            ),
            ("empty".to_owned(), Vec::new()),
        ]);
        let mut vocabulary = Vocabulary::default();
        let pattern = Pattern::compile(text, &classes, &mut vocabulary)?;
        let human = vocabulary.learn("human");
        vocabulary.tolerate(human);
        Ok((pattern, vocabulary))
    }

    fn check(pattern: &str, heard: &str, matched: Option<usize>) {
        let (compiled, vocabulary) = compile(pattern).unwrap();
        let meanings: Vec<Meaning> = heard.split_whitespace().map(|word| vocabulary.meaning(word)).collect();
        let found = compiled.match_at(&meanings, 0).map(|found| found.end());
        assert_eq!(found, matched, "{pattern} on {heard}");
    }

    #[test]
    fn a_pattern_matches_its_words_classes_and_optional_items() {
        check("get|give me [a] <human>", "give me a human being", Some(5));
        check("get|give me [a] <human>", "get me human", Some(3));
        check("get|give me [a] <human>", "get a human", None);
        check("on_the_line", "on the line", Some(3));
        check("[a] <human|empty>", "human", Some(1));
        check("<human> being", "human being", Some(2));
        check("a <human>", "a hyuman", Some(2));
        check("a <human>", "a", None);
    }

    #[test]
    fn a_pattern_that_cannot_be_is_refused_with_the_reason() {
        for (pattern, word) in [
            ("<nobody>", "nobody"),
            ("[open", "`]`"),
            ("<human", "`>`"),
            ("[a] [b]", "nothing at all"),
            ("a||b", "empty"),
            ("what?", "punctuation"),
            ("", "nothing at all"),
            ("a b c d e f g h i j k l m", "more than"),
        ] {
            let problem = compile(pattern).unwrap_err();
            assert!(problem.contains(word), "{pattern}: {problem}");
        }
    }

    #[test]
    fn a_pattern_may_still_grow_where_the_words_end_inside_it() {
        let (pattern, vocabulary) = compile("human resources|error").unwrap();
        let grows = |heard: &str| {
            let meanings: Vec<Meaning> =
                heard.split_whitespace().map(|word| vocabulary.meaning(word)).collect();
            pattern.may_grow_from(&meanings, 0)
        };
        assert!(grows("human"));
        assert!(!grows("human resources"));
        assert!(!grows("human being"));
        assert!(!grows("agent"));
    }
}
