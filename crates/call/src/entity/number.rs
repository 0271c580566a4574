//! Numbers as they are spoken in English: cardinals, ordinals, and the pieces of spelled-out identifiers.

use super::tokens::Token;

/// A number and how many tokens it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Its value.
    pub(super) value: u64,
    /// Its tokens.
    pub(super) length: usize,
}

/// A piece of an identifier and how many tokens it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its digits, or upper-case letters.
    pub(super) text: String,
    /// Its tokens.
    pub(super) length: usize,
}

/// A cardinal number: `five hundred`, `a hundred and twenty`, `fifteen hundred`, `1,500`, `two million`.
pub(super) fn cardinal(tokens: &[Token], at: usize) -> Option<Number> {
    let mut total: u64 = 0;
    let mut current: Option<u64> = None;
    let mut scale_before = u64::MAX;
    let mut next = at;
    while let Some(token) = tokens.get(next) {
        if let Some(scale) = scale(&token.text) {
            let Some(factor) = current.filter(|_| scale < scale_before) else { break };
            if scale == 100 {
                if factor == 0 || factor >= 100 {
                    break;
                }
                current = Some(factor * 100);
            } else {
                total = total.checked_add(factor.checked_mul(scale)?)?;
                (current, scale_before) = (None, scale);
            }
            next += 1;
        } else if token.is_one_of(&["a", "an"]) && next == at {
            tokens.get(next + 1).and_then(|token| scale(&token.text))?;
            current = Some(1);
            next += 1;
        } else if token.is("and") {
            let joins = current.map_or(total > 0, |value| value >= 100 && value % 100 == 0);
            if !joins || below_hundred(tokens, next + 1).is_none() {
                break;
            }
            next += 1;
        } else if let Some(part) = literal(&token.text).filter(|_| current.is_none() && total == 0) {
            current = Some(part);
            next += 1;
        } else if let Some(part) = below_hundred(tokens, next) {
            match current {
                None => current = Some(part.value),
                Some(value) if value >= 100 && value % 100 == 0 && part.value > 0 => {
                    current = Some(value.checked_add(part.value)?);
                }
                Some(_) => break,
            }
            next += part.length;
        } else {
            break;
        }
    }
    let value = total.checked_add(current.unwrap_or(0))?;
    (next > at && (current.is_some() || total > 0)).then_some(Number { value, length: next - at })
}

/// A day or a place in a row: `third`, `twenty first`, `3rd`.
pub(super) fn ordinal(tokens: &[Token], at: usize) -> Option<Number> {
    let token = tokens.get(at)?;
    if let Some(value) = ordinal_word(&token.text) {
        return Some(Number { value, length: 1 });
    }
    let digits = token.text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let ending = token.text.get(digits.len()..).unwrap_or_default();
    if matches!(ending, "st" | "nd" | "rd" | "th") && !digits.is_empty() {
        return digits.parse().ok().map(|value| Number { value, length: 1 });
    }
    let tens = tens(&token.text)?;
    let units = ordinal_word(&tokens.get(at + 1)?.text).filter(|value| *value < 10)?;
    Some(Number { value: tens + units, length: 2 })
}

/// One piece of an identifier: `seven`, `oh`, `twenty three`, `one hundred`, `double five`, `1234`, `b as in boy`.
pub(super) fn piece(tokens: &[Token], at: usize) -> Option<Piece> {
    let token = tokens.get(at)?;
    let times = match token.text.as_str() {
        "double" => Some(2),
        "triple" | "treble" => Some(3),
        _ => None,
    };
    if let Some(times) = times {
        let digit = tokens.get(at + 1).and_then(|next| digit(&next.text))?;
        return Some(Piece { text: digit.to_string().repeat(times), length: 2 });
    }
    if token.is_one_of(&["oh", "o"]) {
        return Some(Piece { text: "0".to_owned(), length: 1 });
    }
    if let Some(text) = alphanumeric(&token.text) {
        return Some(Piece { text, length: 1 });
    }
    if let Some(number) = cardinal(tokens, at).filter(|_| !token.is_one_of(&["a", "an"])) {
        return Some(Piece { text: number.value.to_string(), length: number.length });
    }
    letter(tokens, at)
}

/// A spelled letter: `b`, `b as in boy`, `b for bravo`.
pub(super) fn letter(tokens: &[Token], at: usize) -> Option<Piece> {
    let letter = tokens.get(at)?.letter()?;
    let stands_for = |place: usize| {
        tokens.get(place).is_some_and(|word| word.text.len() > 2 && word.text.starts_with(letter))
    };
    let words = |place: usize| tokens.get(place).map_or("", |token| token.text.as_str());
    let length = match (words(at + 1), words(at + 2)) {
        ("as", "in") if stands_for(at + 3) => 4,
        ("for" | "like", _) if stands_for(at + 2) => 3,
        _ => 1,
    };
    Some(Piece { text: letter.to_ascii_uppercase().to_string(), length })
}

/// A single spoken or written digit.
pub(super) fn digit(word: &str) -> Option<u64> {
    match word {
        "zero" | "oh" => Some(0),
        _ => unit(word).or_else(|| literal(word).filter(|value| *value < 10)),
    }
}

/// A number in figures, thousands divided by commas or not; `None` if there is anything else in it.
pub(super) fn literal(word: &str) -> Option<u64> {
    let bare = word.replace(',', "");
    let grouped = word.split(',').skip(1).all(|group| group.len() == 3);
    let figures = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    (figures && grouped).then(|| bare.parse().ok()).flatten()
}

/// An identifier in figures and letters with at least one figure, hyphens left out.
fn alphanumeric(word: &str) -> Option<String> {
    let bare: String = word.trim_start_matches('#').chars().filter(|letter| *letter != '-').collect();
    let plain = bare.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let has_figure = bare.bytes().any(|byte| byte.is_ascii_digit());
    (plain && has_figure && ordinal_ending(&bare).is_none()).then(|| bare.to_ascii_uppercase())
}

fn ordinal_ending(word: &str) -> Option<()> {
    let figures = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let ending = word.get(figures.len()..)?;
    let ordinal = matches!(ending, "st" | "nd" | "rd" | "th" | "am" | "pm");
    (ordinal && figures.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
}

/// A number below a hundred in words.
pub(super) fn below_hundred(tokens: &[Token], at: usize) -> Option<Number> {
    let word = tokens.get(at)?.text.as_str();
    if word == "zero" {
        return Some(Number { value: 0, length: 1 });
    }
    if let Some(value) = unit(word).or_else(|| teen(word)) {
        return Some(Number { value, length: 1 });
    }
    let tens = tens(word)?;
    match tokens.get(at + 1).and_then(|token| unit(&token.text)) {
        Some(units) => Some(Number { value: tens + units, length: 2 }),
        None => Some(Number { value: tens, length: 1 }),
    }
}

fn unit(word: &str) -> Option<u64> {
    place(&["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], word).map(|at| at + 1)
}

fn teen(word: &str) -> Option<u64> {
    let words = [
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    place(&words, word).map(|at| at + 10)
}

fn tens(word: &str) -> Option<u64> {
    let word = if word == "fourty" { "forty" } else { word };
    place(&["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], word)
        .map(|at| (at + 2) * 10)
}

fn scale(word: &str) -> Option<u64> {
    match word {
        "hundred" => Some(100),
        "thousand" | "grand" => Some(1_000),
        "million" => Some(1_000_000),
        _ => None,
    }
}

fn ordinal_word(word: &str) -> Option<u64> {
    let words = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    place(&words, word).map(|at| at + 1).or_else(|| (word == "thirtieth").then_some(30))
}

fn place(words: &[&str], word: &str) -> Option<u64> {
    words.iter().position(|known| *known == word).and_then(|at| u64::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::{super::tokens::split, *};

    fn check_cardinal(text: &str, expected: Option<(u64, usize)>) {
        let found = cardinal(&split(text), 0).map(|number| (number.value, number.length));
        assert_eq!(found, expected, "{text}");
    }

    fn check_pieces(text: &str, expected: &str) {
        let tokens = split(text);
        let (mut at, mut found) = (0, String::new());
        while let Some(piece) = piece(&tokens, at) {
            found.push_str(&piece.text);
            at += piece.length;
        }
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cardinals_are_read_as_far_as_they_go() {
        check_cardinal("five hundred dollars", Some((500, 2)));
        check_cardinal("a hundred and twenty euros", Some((120, 4)));
        check_cardinal("twenty-nine", Some((29, 2)));
        check_cardinal("fifteen hundred", Some((1500, 2)));
        check_cardinal("two thousand five hundred and six", Some((2506, 6)));
        check_cardinal("one million two hundred thousand", Some((1_200_000, 5)));
        check_cardinal("1,500 euros", Some((1500, 1)));
        check_cardinal("2 million", Some((2_000_000, 2)));
        check_cardinal("three grand", Some((3000, 2)));
        check_cardinal("zero", Some((0, 1)));
        check_cardinal("one twenty", Some((1, 1)));
        check_cardinal("five and six", Some((5, 1)));
        check_cardinal("a person", None);
        check_cardinal("hundred", None);
        check_cardinal("and five", None);
        check_cardinal("1,50", None);
        check_cardinal("99999999999999999999999", None);
        check_cardinal("", None);
    }

    #[test]
    fn an_identifier_is_put_together_from_its_pieces() {
        check_pieces("one two three four", "1234");
        check_pieces("one twenty three", "123");
        check_pieces("twelve thirty four", "1234");
        check_pieces("one hundred and twenty three", "123");
        check_pieces("double five triple oh seven", "550007");
        check_pieces("A B one two", "AB12");
        check_pieces("b as in boy 42", "B42");
        check_pieces("ab-1234", "AB1234");
        check_pieces("#1234 please", "1234");
        check_pieces("nineteen eighty four", "1984");
        check_pieces("hello", "");
        check_pieces("3rd", "");
    }

    #[test]
    fn ordinals_are_read_in_words_and_figures() {
        let read = |text: &str| ordinal(&split(text), 0).map(|number| number.value);
        assert_eq!(read("third"), Some(3));
        assert_eq!(read("twenty first"), Some(21));
        assert_eq!(read("31st"), Some(31));
        assert_eq!(read("thirtieth"), Some(30));
        assert_eq!(read("three"), None);
        assert_eq!(read("twenty"), None);
        assert_eq!(read("st"), None);
    }
}
