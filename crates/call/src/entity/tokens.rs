//! A transcript as tokens that still know where they stood, so that an entity is quoted as it was said.

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Lower case, without surrounding punctuation and without apostrophes.
    pub(super) text: String,
    /// A comma or a stop follows it.
    pub(super) pause: bool,
    /// Its bytes in the text.
    pub(super) from: usize,
    /// The byte after it.
    pub(super) to: usize,
}

impl Token {
    /// Whether it is this word.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text == word
    }

    /// Whether it is one of these words.
    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.contains(&self.text.as_str())
    }

    /// Its letter, if it is a single one.
    pub(super) fn letter(&self) -> Option<char> {
        let mut letters = self.text.chars();
        let letter = letters.next().filter(char::is_ascii_alphabetic)?;
        letters.next().is_none().then_some(letter)
    }
}

/// Splits a text at blanks, and number words at their hyphens (`twenty-nine`).
pub(super) fn split(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut from = None;
    for (at, letter) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        let hyphen = letter == '-' && between_letters(text, at);
        if letter.is_whitespace() || hyphen {
            if let Some(from) = from.take() {
                push(&mut tokens, text, from, at);
            }
        } else {
            from.get_or_insert(at);
        }
    }
    tokens
}

fn between_letters(text: &str, at: usize) -> bool {
    let letter = |found: Option<char>| found.is_some_and(char::is_alphabetic);
    let before = text.get(..at).and_then(|head| head.chars().next_back());
    let after = text.get(at + 1..).and_then(|tail| tail.chars().next());
    letter(before) && letter(after)
}

fn push(tokens: &mut Vec<Token>, text: &str, from: usize, to: usize) {
    let raw = text.get(from..to).unwrap_or_default();
    let headless = raw.trim_start_matches(OPENING);
    let bare = headless.trim_end_matches(CLOSING);
    if bare.is_empty() {
        if let Some(last) = tokens.last_mut() {
            last.pause |= raw.contains(PAUSES);
        }
        return;
    }
    let start = from + (raw.len() - headless.len());
    let tail = headless.get(bare.len()..).unwrap_or_default();
    tokens.push(Token {
        text: bare.to_lowercase().replace(['\'', '\u{2019}'], ""),
        pause: tail.contains(PAUSES),
        from: start,
        to: start + bare.len(),
    });
}

const OPENING: &[char] = &['"', '\'', '(', '[', '.', ',', '\u{2018}', '\u{201c}', '-'];
const CLOSING: &[char] =
    &['"', '\'', ')', ']', '.', ',', ';', ':', '!', '?', '\u{2019}', '\u{201d}', '-', '\u{2026}'];
const PAUSES: &[char] = &['.', ',', ';', ':', '!', '?', '\u{2026}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let tokens = split(text);
        let found: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(found, expected, "{text}");
        for token in &tokens {
            assert!(text.get(token.from..token.to).is_some(), "{text}: {token:?}");
        }
    }

    #[test]
    fn tokens_lose_the_punctuation_around_them_and_keep_what_is_inside() {
        check("It's $49.99, (twenty-nine) euros!", &["its", "$49.99", "twenty", "nine", "euros"]);
        check("Call 555-123-4567 -- now.", &["call", "555-123-4567", "now"]);
        check("Anna@Example.com.", &["anna@example.com"]);
        check("Überweisung \u{2026} ", &["überweisung"]);
        check("", &[]);
    }

    #[test]
    fn a_pause_is_remembered() {
        let pauses: Vec<bool> = split("one, two three .").iter().map(|token| token.pause).collect();
        assert_eq!(pauses, [true, false, true]);
    }
}
