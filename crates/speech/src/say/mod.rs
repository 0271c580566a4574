//! From written to spoken English: what a synthesiser would stumble over becomes words.
//!
//! Order numbers and other names of digits are read digit by digit, counts as counts, money with its coins, times
//! as on a clock, mail addresses with `at` and `dot`. Punctuation stays, because it makes the melody.

mod number;
mod word;

use number::{all_digits, decimal, digits};
use word::{Around, amount, currency, spoken};

/// Rewrites a text as it is to be spoken. Of very long texts the first 8,000 characters are kept.
#[must_use]
pub fn normalise(text: &str) -> String {
    let kept: String = text.chars().take(TEXT_MAX).collect();
    let words: Vec<Written<'_>> = kept.split_whitespace().map(Written::of).collect();
    let mut reader = Reader { words: &words, named: Named::No, carried: Named::No };
    let mut out: Vec<String> = Vec::new();
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let (said, used) = reader.read(place, word);
        if !said.is_empty() {
            out.push(said);
        }
        place += used.max(1);
    }
    out.join(" ")
}

/// A word as written: what stands in it, and the punctuation behind it that is kept.
#[derive(Clone, Copy, Debug)]
struct Written<'a> {
    whole: &'a str,
    core: &'a str,
    behind: &'a str,
}

/// Whether digits to come are a name (an order number) or a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    No,
    /// After `order`, `account`: digits are a name if there are three or more.
    Perhaps,
    /// After `number`, `code`: digits are a name.
    Yes,
}

struct Reader<'a> {
    words: &'a [Written<'a>],
    named: Named,
    /// What held for the digits just read: it holds again after an `and`.
    carried: Named,
}

impl<'a> Written<'a> {
    fn of(whole: &'a str) -> Written<'a> {
        let core = whole.trim_matches(|letter| "()[]{}\"'“”‘’,;:!?…".contains(letter));
        let core = core.trim_end_matches('.');
        let core = core.trim_matches(|letter| "()[]{}\"'“”‘’,;:!?…".contains(letter));
        let behind = whole.rfind(core).and_then(|place| whole.get(place + core.len()..)).unwrap_or_default();
        Written { whole, core, behind }
    }

    /// Punctuation without brackets and quotes.
    fn stop(&self) -> &'static str {
        match self.behind.chars().find(|letter| ".,;:!?…".contains(*letter)) {
            Some('.' | '…') => ".",
            Some('!') => "!",
            Some('?') => "?",
            Some(_) => ",",
            None if self.behind.contains(')') => ",",
            None => "",
        }
    }
}

impl<'a> Reader<'a> {
    /// The spoken form of the word at a place, and how many words were used up.
    fn read(&mut self, place: usize, word: &Written<'a>) -> (String, usize) {
        if matches!(word.core, "am" | "pm")
            && place > 0
            && self.small(place - 1).ends_with(|last: char| last.is_ascii_digit())
        {
            return (format!("{} m{}", word.core.trim_end_matches('m'), word.stop()), 1);
        }
        if let Some(short) = abbreviation(word.whole, self.after(place)) {
            self.note(&short);
            return (short, 1);
        }
        if let Some((said, used)) = self.phone(place).or_else(|| self.money_of_two(place)) {
            self.named = Named::No;
            let stop = self.words.get(place + used - 1).map_or("", Written::stop);
            return (format!("{said}{stop}"), used);
        }
        let before = place.checked_sub(1).map_or(String::new(), |before| self.small(before));
        let after = self.after(place);
        let named = match self.named {
            Named::No => false,
            Named::Perhaps => word.core.bytes().filter(u8::is_ascii_digit).count() >= 3,
            Named::Yes => true,
        };
        let said = spoken(word.core, Around { before: &before, after: &after, named });
        if said.is_none() {
            self.note(&word.core.to_lowercase());
        } else {
            self.carried = std::mem::replace(&mut self.named, Named::No);
        }
        let stop = if said.is_some() || word.behind.contains([')', ']']) { word.stop() } else { word.behind };
        let said = said.unwrap_or_else(|| word.core.replace(['(', ')', '[', ']'], ""));
        (format!("{said}{stop}"), 1)
    }

    /// Remembers words that make a name of the digits that follow.
    fn note(&mut self, word: &str) {
        self.named = match word {
            // "You are number 12" is a place, "order number 12" a name.
            "number" | "numbers" if self.named == Named::No => Named::Perhaps,
            "number" | "numbers" | "code" | "pin" | "id" | "ticket" | "reference" | "tracking"
            | "extension" | "zip" | "serial" | "confirmation" | "flight" => Named::Yes,
            "order" | "orders" | "case" | "invoice" | "account" | "booking" | "customer" | "policy"
            | "contract" | "card" | "phone" | "telephone" | "parcel" | "shipment" | "model" => {
                self.named.max(Named::Perhaps)
            }
            "and" | "or" if self.named == Named::No => self.carried,
            "is" | "was" | "the" | "and" | "or" | "are" | "with" | "my" | "your" => self.named,
            _ => Named::No,
        };
        self.carried = Named::No;
    }

    fn small(&self, place: usize) -> String {
        self.words.get(place).map_or(String::new(), |word| word.core.to_lowercase())
    }

    fn after(&self, place: usize) -> String {
        self.small(place + 1)
    }

    /// `+49 30 1234567`, `(555) 123-4567`, `555-123-4567`, `1-800-555-0199`: groups of digits, at least seven.
    fn phone(&self, place: usize) -> Option<(String, usize)> {
        let first = self.words.get(place)?;
        let bracketed = first.whole.starts_with('(') && first.whole.ends_with(')');
        let plus = first.core.starts_with('+');
        let mut groups = phone_groups(first.core)?;
        let mut used = 1;
        // Only a beginning that can be nothing else takes the next words with it.
        if (plus || bracketed) && first.stop() != "." {
            while let Some(more) = self.words.get(place + used).filter(|_| used < PHONE_WORDS_MAX) {
                let Some(next) = phone_groups(more.core).filter(|_| !more.core.starts_with('+')) else {
                    break;
                };
                groups.extend(next);
                used += 1;
                if !more.stop().is_empty() {
                    break;
                }
            }
        }
        let count: usize = groups.iter().map(|group| group.len()).sum();
        let dashed =
            groups.len() >= 3 || (groups.len() == 2 && groups.iter().map(|group| group.len()).eq([3, 4]));
        let is_phone =
            (7..=15).contains(&count) && (plus || bracketed || dashed) && !looks_like_a_date(&groups);
        let said: Vec<String> = groups.iter().map(|group| digits(group)).collect();
        is_phone.then(|| (format!("{}{}", if plus { "plus " } else { "" }, said.join(", ")), used))
    }

    /// `$5 million`, `49.99 EUR`, `20.50 dollars`.
    fn money_of_two(&self, place: usize) -> Option<(String, usize)> {
        let (first, second) = (self.words.get(place)?, self.words.get(place + 1)?);
        if !first.stop().is_empty() {
            return None;
        }
        let name = second.core.to_lowercase();
        if let Some(coins) = currency(&name) {
            return amount(first.core, coins).map(|said| (said, 2));
        }
        let sign = first.core.chars().next()?;
        let coins = match sign {
            '$' => "dollars",
            '€' => "euros",
            '£' => "pounds",
            _ => return None,
        };
        let scale = ["thousand", "million", "billion"].into_iter().find(|scale| *scale == name)?;
        let number = decimal(first.core.get(sign.len_utf8()..)?)?;
        Some((format!("{number} {scale} {coins}"), 2))
    }
}

/// The groups of digits of one written word of a telephone number.
fn phone_groups(word: &str) -> Option<Vec<&str>> {
    let groups: Vec<&str> = word
        .trim_start_matches('+')
        .split(['-', '.', '(', ')', '/'])
        .filter(|group| !group.is_empty())
        .collect();
    (!groups.is_empty() && groups.iter().all(|group| all_digits(group))).then_some(groups)
}

fn looks_like_a_date(groups: &[&str]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    matches!(lengths.as_slice(), [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4 | 2])
}

/// Abbreviations and single signs.
fn abbreviation(word: &str, after: String) -> Option<String> {
    let small = word.to_lowercase();
    let said = match small.trim_end_matches(',') {
        "mr." | "mr" => "mister",
        "mrs." | "mrs" => "missus",
        "ms." => "miss",
        "dr." => "doctor",
        "a.m." => "a m",
        "p.m." => "p m",
        "am" if word == "AM" => "a m",
        "pm" => "p m",
        "e.g." => "for example",
        "i.e." => "that is",
        "etc." => "and so on",
        "approx." => "about",
        "no." | "nr." if after.bytes().any(|byte| byte.is_ascii_digit()) => "number",
        "ext." => "extension",
        "vs." | "vs" => "versus",
        "&" => "and",
        "@" => "at",
        "+" => "plus",
        "=" => "equals",
        "w/" => "with",
        "-" | "–" | "—" => ",",
        _ => return None,
    };
    Some(said.to_owned())
}

const TEXT_MAX: usize = 8_000;
const PHONE_WORDS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, &str)]) {
        for (written, said) in cases {
            assert_eq!(normalise(written), *said, "{written:?}");
        }
    }

    #[test]
    fn names_made_of_digits_are_read_digit_by_digit() {
        check(&[
            ("order 1234", "order one two three four"),
            ("Your order number is 40917.", "Your order number is four zero nine one seven."),
            ("order #1234", "order number one two three four"),
            ("number #7", "number seven"),
            ("ticket 42", "ticket four two"),
            ("orders 1234 and 5678", "orders one two three four and five six seven eight"),
            ("case no. 77", "case number seven seven"),
            ("account 0042", "account zero zero four two"),
            ("reference AB12-34", "reference A B one two, three four"),
            ("tracking code ORD-20391", "tracking code O R D, two zero three nine one"),
            ("extension 305", "extension three zero five"),
            ("flight BA117", "flight B A one one seven"),
            (
                "the parcel 123456789012 is lost",
                "the parcel one two three four five six seven eight nine zero one two is lost",
            ),
            ("they order 12 pizzas", "they order twelve pizzas"),
            ("20391847", "two zero three nine one eight four seven"),
            ("You are number 12 in the queue.", "You are number twelve in the queue."),
            ("order number 12", "order number one two"),
            ("order 1234, 250 euros", "order one two three four, two hundred fifty euros"),
            ("order 1234 and 3 more", "order one two three four and three more"),
            ("invoice 2024-118", "invoice two zero two four, one one eight"),
        ]);
    }

    #[test]
    fn money_has_its_coins() {
        check(&[
            ("$49.99", "forty nine dollars and ninety nine cents"),
            ("It costs $1.", "It costs one dollar."),
            ("$1.01", "one dollar and one cent"),
            ("$0.50", "fifty cents"),
            ("$1,250", "one thousand two hundred fifty dollars"),
            ("€20.00", "twenty euros"),
            ("£3.05", "three pounds and five pence"),
            ("£0.01", "one penny"),
            ("-$5", "minus five dollars"),
            ("$5 million", "five million dollars"),
            ("$2.5 billion", "two point five billion dollars"),
            ("49.99 EUR", "forty nine euros and ninety nine cents"),
            ("20.50 dollars, please", "twenty dollars and fifty cents, please"),
            ("between $10-$20", "between ten dollars to twenty dollars"),
        ]);
    }

    #[test]
    fn counts_ranges_and_parts_are_words() {
        check(&[
            ("2 to 4 minutes", "two to four minutes"),
            ("2-4 minutes", "two to four minutes"),
            ("about 10–15 people", "about ten to fifteen people"),
            ("You are number 3 in the queue", "You are number three in the queue"),
            ("1,234 calls", "one thousand two hundred thirty four calls"),
            ("1500 items", "one thousand five hundred items"),
            ("3.5 stars", "three point five stars"),
            ("-5 degrees", "minus five degrees"),
            ("5%", "five percent"),
            ("12.5% off!", "twelve point five percent off!"),
            ("1/2 hour", "one half hour"),
            ("3/4 full", "three quarters full"),
            ("we work 24/7", "we work twenty four seven"),
            ("5kg and 2.5GB", "five kilograms and two point five gigabytes"),
            ("in 1h", "in one hour"),
            ("20°C outside", "twenty degrees Celsius outside"),
        ]);
    }

    #[test]
    fn times_are_said_as_on_a_clock() {
        check(&[
            ("10:30", "ten thirty"),
            ("at 9:05", "at nine oh five"),
            ("10:00", "ten o'clock"),
            ("10:00 am", "ten a m"),
            ("10:30 pm.", "ten thirty p m."),
            ("I am here", "I am here"),
            ("10:00 a.m.", "ten a m"),
            ("9:15pm.", "nine fifteen p m."),
            ("9am", "nine a m"),
            ("14:00", "fourteen hundred"),
            ("14:30", "fourteen thirty"),
            ("00:15", "zero fifteen"),
            ("9:00-17:00", "nine o'clock to seventeen hundred"),
            ("12:60 is no time", "12:60 is no time"),
        ]);
    }

    #[test]
    fn dates_and_places_in_an_order_are_words() {
        check(&[
            ("2026-11-20", "November twentieth, twenty twenty six"),
            ("11/20/2026", "November twentieth, twenty twenty six"),
            ("20.11.2026", "November twentieth, twenty twenty six"),
            ("20/11/2026", "November twentieth, twenty twenty six"),
            ("on November 3", "on November third"),
            ("on Nov 3,", "on Nov third,"),
            ("on 3 November", "on the third of November"),
            ("since 2019", "since twenty nineteen"),
            ("in 2005 people", "in two thousand five people"),
            ("the 1st and the 22nd", "the first and the twenty second"),
            ("the 3rd time", "the third time"),
            ("5/12", "May twelfth"),
        ]);
    }

    #[test]
    fn addresses_are_read_sign_by_sign() {
        check(&[
            ("anna@example.com", "anna at example dot com"),
            (
                "Write to j.smith_42@mail-shop.example.",
                "Write to j dot smith underscore four two at mail dash shop dot example.",
            ),
            ("www.example.com", "www dot example dot com"),
            ("see https://example.org/help", "see example dot org slash help"),
            ("support.example.com,", "support dot example dot com,"),
        ]);
    }

    #[test]
    fn telephone_numbers_are_read_in_groups() {
        check(&[
            ("555-123-4567", "five five five, one two three, four five six seven"),
            ("(555) 123-4567", "five five five, one two three, four five six seven"),
            ("+49 30 1234567", "plus four nine, three zero, one two three four five six seven"),
            ("+15551234567.", "plus one five five five one two three four five six seven."),
            ("call 1-800-555-0199 now", "call one, eight zero zero, five five five, zero one nine nine now"),
            ("555-0142", "five five five, zero one four two"),
        ]);
    }

    #[test]
    fn short_forms_are_spoken_out() {
        check(&[
            ("Mr. Miller & Mrs. Jones", "mister Miller and missus Jones"),
            ("e.g. shoes, hats etc.", "for example shoes, hats and so on"),
            ("terminal2", "terminal two"),
            ("room B12", "room B one two"),
            ("salt + pepper", "salt plus pepper"),
        ]);
    }

    #[test]
    fn plain_words_and_their_punctuation_stay() {
        for text in [
            "Hello, how are you?",
            "It's late; call me.",
            "well-known words",
            "I don't know...",
            "A to B",
            "",
        ] {
            assert_eq!(normalise(text), text);
        }
        assert_eq!(normalise("  many \n spaces "), "many spaces");
        assert_eq!(normalise("she (my sister) left"), "she my sister, left");
    }

    #[test]
    fn no_input_makes_it_panic_or_grow_without_limit() {
        for text in [
            "@@@",
            "$",
            "€.",
            "#",
            "1/0",
            "99999999999999999999999",
            "::",
            "1:2:3",
            "+",
            "((((",
            "é1é",
            "٣٤",
            "-",
            "%",
        ] {
            assert!(normalise(text).len() < 400, "{text:?}");
        }
        assert!(normalise(&"9".repeat(20_000)).len() < 60_000);
    }
}
