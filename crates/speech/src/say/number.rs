//! Numbers in English words.

/// The words of a whole number: 1234 is `one thousand two hundred thirty four`.
pub(super) fn cardinal(number: u64) -> String {
    match number {
        0..=19 => SMALL.get(number as usize).copied().unwrap_or_default().to_owned(),
        20..=99 => {
            let ten = TENS.get(number as usize / 10).copied().unwrap_or_default();
            joined(ten, number % 10)
        }
        100..=999 => joined(&format!("{} hundred", cardinal(number / 100)), number % 100),
        _ => {
            let (value, name) =
                SCALES.into_iter().find(|(value, _)| number >= *value).unwrap_or((1_000, "thousand"));
            joined(&format!("{} {name}", cardinal(number / value)), number % value)
        }
    }
}

/// The words of a place in an order: 22 is `twenty second`.
pub(super) fn ordinal(number: u64) -> String {
    let words = cardinal(number);
    let (before, last) = words.rsplit_once(' ').map_or(("", words.as_str()), |(before, last)| (before, last));
    let odd =
        ODD_ORDINALS.iter().find(|(cardinal, _)| *cardinal == last).map(|(_, ordinal)| (*ordinal).to_owned());
    let last = odd.unwrap_or_else(|| match last.strip_suffix('y') {
        Some(stem) => format!("{stem}ieth"),
        None => format!("{last}th"),
    });
    if before.is_empty() { last } else { format!("{before} {last}") }
}

/// A year as it is said: 2026 is `twenty twenty six`, 2005 `two thousand five`, 1900 `nineteen hundred`.
pub(super) fn year(number: u64) -> String {
    match (number / 100, number % 100) {
        (20, rest @ 0..=9) => joined("two thousand", rest),
        (century, 0) => format!("{} hundred", cardinal(century)),
        (century, rest @ 1..=9) => format!("{} oh {}", cardinal(century), cardinal(rest)),
        (century, rest) => format!("{} {}", cardinal(century), cardinal(rest)),
    }
}

/// Each digit on its own; other signs are left out.
pub(super) fn digits(text: &str) -> String {
    let words = text.chars().filter_map(|letter| letter.to_digit(10)).map(|digit| cardinal(u64::from(digit)));
    words.collect::<Vec<_>>().join(" ")
}

/// A number with or without thousands commas and a decimal point; `None` for anything else.
pub(super) fn decimal(text: &str) -> Option<String> {
    let (minus, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("minus ", rest),
        None => ("", text),
    };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let number = cardinal(whole_number(whole)?);
    match fraction {
        None => Some(format!("{minus}{number}")),
        Some(fraction) if all_digits(fraction) => Some(format!("{minus}{number} point {}", digits(fraction))),
        Some(_) => None,
    }
}

/// The value of digits, with thousands commas or without.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    if all_digits(text) {
        return (text.len() <= DIGITS_MAX).then(|| text.parse().ok()).flatten();
    }
    let mut groups = text.split(',');
    let first = groups.next().filter(|first| all_digits(first) && first.len() <= 3)?;
    let rest: Vec<&str> = groups.collect();
    let grouped = !rest.is_empty() && rest.iter().all(|group| all_digits(group) && group.len() == 3);
    (grouped && text.len() <= DIGITS_MAX).then(|| format!("{first}{}", rest.concat()).parse().ok()).flatten()
}

/// Whether there is at least one digit and nothing else.
pub(super) fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn joined(words: &str, rest: u64) -> String {
    if rest == 0 { words.to_owned() } else { format!("{words} {}", cardinal(rest)) }
}

/// Longer numbers are no counts.
const DIGITS_MAX: usize = 18;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
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
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(u64, &str); 5] = [
    (1_000_000_000_000_000, "quadrillion"),
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];
const ODD_ORDINALS: [(&str, &str); 7] = [
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_words() {
        let cases = [
            (0, "zero"),
            (13, "thirteen"),
            (20, "twenty"),
            (21, "twenty one"),
            (100, "one hundred"),
            (115, "one hundred fifteen"),
            (1_000, "one thousand"),
            (1_234, "one thousand two hundred thirty four"),
            (20_015, "twenty thousand fifteen"),
            (1_000_001, "one million one"),
            (2_500_000_000, "two billion five hundred million"),
        ];
        for (number, words) in cases {
            assert_eq!(cardinal(number), words);
        }
        assert!(cardinal(u64::MAX).starts_with("eighteen thousand four hundred forty six quadrillion"));
    }

    #[test]
    fn places_have_their_words() {
        let cases = [
            (1, "first"),
            (2, "second"),
            (3, "third"),
            (4, "fourth"),
            (5, "fifth"),
            (8, "eighth"),
            (9, "ninth"),
            (12, "twelfth"),
            (20, "twentieth"),
            (22, "twenty second"),
            (100, "one hundredth"),
            (131, "one hundred thirty first"),
        ];
        for (number, words) in cases {
            assert_eq!(ordinal(number), words);
        }
    }

    #[test]
    fn years_are_said_in_pairs() {
        let cases = [
            (2026, "twenty twenty six"),
            (2000, "two thousand"),
            (2005, "two thousand five"),
            (1999, "nineteen ninety nine"),
            (1900, "nineteen hundred"),
            (1907, "nineteen oh seven"),
        ];
        for (number, words) in cases {
            assert_eq!(year(number), words);
        }
    }

    #[test]
    fn only_numbers_are_numbers() {
        for text in ["", "1,23", "12,345,6", ",123", "1.2.3", "1.", "x1", "1234,567", "9999999999999999999"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
        assert_eq!(
            decimal("-1,234.50").as_deref(),
            Some("minus one thousand two hundred thirty four point five zero")
        );
    }
}
