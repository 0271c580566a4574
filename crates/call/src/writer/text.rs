//! Small readings of a text: sentences, comparable words, what is left without greetings, spoken length.

use std::time::Duration;

/// The sentences of a text, without blanks around them.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (sentence, later) = rest.split_at(sentence_end(rest));
        rest = later;
        Some(sentence.trim())
    })
}

/// The byte after the first mark that ends a sentence; a point inside a number or an address ends none.
fn sentence_end(text: &str) -> usize {
    let mut marks = text.char_indices().peekable();
    while let Some((at, letter)) = marks.next() {
        let last = marks.peek().is_none_or(|(_, next)| next.is_whitespace());
        if matches!(letter, '.' | '!' | '?' | ';') && last {
            return at + letter.len_utf8();
        }
    }
    text.len()
}

/// Lower-case words without punctuation and apostrophes; numbers and addresses stay whole.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| letter.is_whitespace() || letter == '\u{2014}')
        .map(|word| {
            let bare = word.trim_matches(|letter: char| !letter.is_alphanumeric());
            bare.to_lowercase().replace(['\'', '\u{2019}'], "")
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether a phrase occurs in words, word for word.
pub(super) fn says(words: &[String], phrase: &str) -> bool {
    position(words, phrase).is_some()
}

/// Where a phrase begins in words.
pub(super) fn position(words: &[String], phrase: &str) -> Option<usize> {
    let (first, later) = phrase.split_once(' ').unwrap_or((phrase, ""));
    let goes_on = |at: usize| later.is_empty() || begins_with(words.get(at + 1..).unwrap_or_default(), later);
    words.iter().enumerate().find(|(at, word)| *word == first && goes_on(*at)).map(|(at, _)| at)
}

fn begins_with(words: &[String], phrase: &str) -> bool {
    let mut words = words.iter();
    phrase.split(' ').all(|wanted| words.next().is_some_and(|word| word == wanted))
}

/// Whether a word is in a list of words with one blank between.
pub(super) fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// A sentence without the greetings and fillers that it begins with, and with a capital.
pub(super) fn without_preamble(sentence: &str) -> String {
    let mut rest = sentence.trim();
    loop {
        let (first, later) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let bare = words(first).pop().unwrap_or_default();
        if later.is_empty() || !PREAMBLE.contains(&bare.as_str()) {
            break;
        }
        rest = later.trim_start();
    }
    capital(rest)
}

/// The text with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// At most so many words, with a mark where something was left out.
pub(super) fn shortened(text: &str, words_max: usize) -> String {
    let mut words = text.split_whitespace();
    let kept: Vec<&str> = words.by_ref().take(words_max).collect();
    let line = kept.join(" ");
    if words.next().is_none() {
        return line;
    }
    format!("{}\u{2026}", line.trim_end_matches([',', ';', ':', '.', '-']))
}

/// The text without the mark at its end.
pub(super) fn unended(text: &str) -> &str {
    text.trim_end().trim_end_matches(['.', '!', '?', ';', ','])
}

/// The text as a sentence.
pub(super) fn ended(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?', '\u{2026}']) { text.to_owned() } else { format!("{text}.") }
}

/// How many words a text has as it is written.
pub(super) fn count(text: &str) -> u32 {
    u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX)
}

/// About how long a text is when whispered: syllables at the whisper's pace, and a rest at each mark.
pub(super) fn spoken_length(text: &str) -> Duration {
    let syllables: u32 = text.split_whitespace().map(syllables).sum();
    let marks = |wanted: &[char]| {
        let count = text.split_whitespace().filter(|word| word.ends_with(wanted)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let rests =
        marks(&['.', '!', '?', '\u{2026}']) * SENTENCE_REST_MS + marks(&[',', ';', ':']) * COMMA_REST_MS;
    Duration::from_millis(u64::from(syllables * SYLLABLE_MS + rests))
}

/// The syllables of a word: its groups of vowels, a silent last `e` left out; figures are spelled out.
fn syllables(word: &str) -> u32 {
    let figures = u32::try_from(figures(word)).unwrap_or(u32::MAX);
    let letters: Vec<char> = word.to_lowercase().chars().filter(|letter| letter.is_alphabetic()).collect();
    let mut groups = 0;
    let mut in_vowels = false;
    for letter in &letters {
        let vowel = matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
        groups += u32::from(vowel && !in_vowels);
        in_vowels = vowel;
    }
    let silent = letters.len() > 2 && letters.last() == Some(&'e') && groups > 1;
    let spoken = groups - u32::from(silent);
    let told = if letters.is_empty() { 0 } else { spoken.max(1) };
    // "Zero" and "seven" have two syllables; four figures have about five.
    told + figures + figures / 4
}

fn figures(word: &str) -> usize {
    word.bytes().filter(u8::is_ascii_digit).count()
}

/// Fitted to the shipped voice at the whisper's pace (flite `rms`, stretch 0.85): of twelve whispers of 2.6 to
/// 8.3 s the estimate was between 0.3 s too short and 0.6 s too long.
const SYLLABLE_MS: u32 = 190;
const SENTENCE_REST_MS: u32 = 350;
const COMMA_REST_MS: u32 = 300;

const PREAMBLE: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "yes",
    "yeah",
    "yep",
    "no",
    "nope",
    "um",
    "uh",
    "er",
    "erm",
    "well",
    "so",
    "okay",
    "ok",
    "please",
    "sorry",
    "right",
    "look",
    "listen",
    "oh",
    "ah",
    "and",
    "but",
    "because",
    "actually",
    "basically",
    "alright",
    "thanks",
    "thank",
    "you",
    "good",
    "morning",
    "afternoon",
    "evening",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_marks_but_not_inside_numbers() {
        let found: Vec<&str> = sentences("It was $49.99. Can you help? anna@example.com  now").collect();
        assert_eq!(found, ["It was $49.99.", "Can you help?", "anna@example.com  now"]);
        assert_eq!(sentences("").count(), 0);
        assert_eq!(sentences(" . ").collect::<Vec<_>>(), ["."]);
    }

    #[test]
    fn the_preamble_is_left_out_and_the_rest_begins_with_a_capital() {
        assert_eq!(without_preamble("um, hello, where is my order?"), "Where is my order?");
        assert_eq!(without_preamble("yes"), "Yes");
        assert_eq!(without_preamble(""), "");
    }

    #[test]
    fn a_phrase_is_found_word_for_word() {
        let check = |said: &str, phrase: &str, expected: Option<usize>| {
            assert_eq!(position(&words(said), phrase), expected, "{phrase} in {said}");
        };
        check("I want my money, money back", "money back", Some(4));
        check("my money", "money back", None);
        check("moneybags", "money", None);
        check("It's back", "its", Some(0));
        check("", "money", None);
    }

    #[test]
    fn a_text_is_shortened_at_a_word() {
        assert_eq!(shortened("one two, three", 2), "one two\u{2026}");
        assert_eq!(shortened("one two", 2), "one two");
    }

    #[test]
    fn seventeen_plain_words_take_about_seven_seconds() {
        let whisper =
            "Sarah, refund for order 1234, five hundred dollars. Bot could not find it. Asked for a human.";
        let length = spoken_length(whisper).as_secs_f64();
        assert!((6.4..=7.0).contains(&length), "{length}");
        assert_eq!(count(whisper), 17);
        assert_eq!(spoken_length(""), Duration::ZERO);
        assert_eq!(syllables("refund"), 2);
        assert_eq!(syllables("the"), 1);
        assert_eq!(syllables("invoice"), 2);
        assert_eq!(syllables("..."), 0);
    }
}
