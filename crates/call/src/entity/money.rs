//! Amounts of money, spoken or written: `five hundred dollars`, `$49.99`, `it cost twenty nine ninety nine`.

use super::{
    Claim,
    number::{self, Number},
    tokens::Token,
};
use crate::brief::EntityKind;

/// All amounts, left to right.
pub(super) fn amounts(tokens: &[Token]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let found = written(tokens, at).or_else(|| spoken(tokens, at)).or_else(|| price(tokens, at));
        match found {
            Some(amount) => {
                at = amount.to;
                claims.push(amount.claim());
            }
            None => at += 1,
        }
    }
    claims
}

/// Whether the word is a unit of money.
pub(super) fn is_unit(word: &str) -> bool {
    UNITS.contains(&word) || SMALL_UNITS.contains(&word)
}

/// An amount in hundredths and its tokens.
#[derive(Debug)]
struct Amount {
    hundredths: u64,
    from: usize,
    to: usize,
}

impl Amount {
    fn claim(&self) -> Claim {
        let value = format!("{}.{:02}", self.hundredths / 100, self.hundredths % 100);
        Claim { kind: EntityKind::Amount, value, from: self.from, to: self.to }
    }
}

/// `$49.99`, `120€`, `49.99`, `1,200 dollars`: figures, with a sign or a unit.
fn written(tokens: &[Token], at: usize) -> Option<Amount> {
    let text = tokens.get(at)?.text.as_str();
    let bare = text.trim_start_matches("us").trim_start_matches(SIGNS).trim_end_matches(SIGNS);
    let hundredths = decimal(bare)?;
    if bare.len() < text.len() {
        let (hundredths, to) = match tokens.get(at + 1).map(|token| token.text.as_str()) {
            Some("thousand") => (hundredths.checked_mul(1_000)?, at + 2),
            Some("million") => (hundredths.checked_mul(1_000_000)?, at + 2),
            _ => (hundredths, at + 1),
        };
        let to = to + usize::from(tokens.get(to).is_some_and(|token| UNITS.contains(&token.text.as_str())));
        return Some(Amount { hundredths, from: at, to });
    }
    let unit = tokens.get(at + 1).is_some_and(|token| UNITS.contains(&token.text.as_str()));
    if unit && bare.contains('.') {
        return Some(Amount { hundredths, from: at, to: at + 2 });
    }
    let priced = bare.contains('.') && cued(tokens, at);
    priced.then_some(Amount { hundredths, from: at, to: at + 1 })
}

/// `five hundred dollars and fifty cents`, `forty nine point nine nine euros`, `fifty cents`.
fn spoken(tokens: &[Token], at: usize) -> Option<Amount> {
    if after_vague(tokens, at) {
        return None;
    }
    let hundred = tokens.get(at)?.is_one_of(&["hundred", "thousand"]);
    let number = if hundred { bare_scale(tokens, at)? } else { number::cardinal(tokens, at)? };
    let (number, from) = with_a_single_hundred(tokens, at, number);
    let mut to = at + number.length;
    let mut hundredths = number.value.checked_mul(100)?;
    if tokens.get(to)?.is("point") {
        let (places, length) = after_the_point(tokens, to + 1)?;
        hundredths = hundredths.checked_add(places)?;
        to += 1 + length;
        if let Some(factor) = tokens.get(to).and_then(|token| factor(&token.text)) {
            hundredths = hundredths.checked_mul(factor)?;
            to += 1;
        }
    }
    let unit = tokens.get(to)?;
    if SMALL_UNITS.contains(&unit.text.as_str()) {
        return (number.value < 1_000).then_some(Amount { hundredths: number.value, from, to: to + 1 });
    }
    let weight =
        unit.is("pounds") && tokens.get(to + 1).is_some_and(|token| token.is_one_of(&["of", "heavy"]));
    if !UNITS.contains(&unit.text.as_str()) || weight {
        return None;
    }
    let (cents, length) = cents(tokens, to + 1);
    Some(Amount { hundredths: hundredths.checked_add(cents)?, from, to: to + 1 + length })
}

/// `it cost twenty nine ninety nine`: a price without a unit, believed after a word that speaks of money, or
/// where it ends in 99 or 95 and cannot be a year.
fn price(tokens: &[Token], at: usize) -> Option<Amount> {
    let whole = number::below_hundred(tokens, at)?;
    let middle = at + whole.length;
    let part = number::below_hundred(tokens, middle).filter(|part| part.value >= 10)?;
    let to = middle + part.length;
    let touches = |place: Option<usize>| {
        place.and_then(|place| tokens.get(place)).is_some_and(|token| {
            number::digit(&token.text).is_some()
                || token.is_one_of(&["number", "hundred", "thousand", "point"])
        })
    };
    if touches(at.checked_sub(1)) || number::below_hundred(tokens, to).is_some() || touches(Some(to)) {
        return None;
    }
    let year = matches!(whole.value, 18..=20);
    let ends_like_one = matches!(part.value, 95 | 99) && !year && whole.value > 0;
    let hundredths = whole.value * 100 + part.value;
    (ends_like_one || cued(tokens, at)).then_some(Amount { hundredths, from: at, to })
}

/// Whether one of the few words before speaks of money.
fn cued(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(at.saturating_sub(4)..at).unwrap_or_default();
    before.iter().any(|token| token.is_one_of(CUES))
}

fn after_vague(tokens: &[Token], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|place| tokens.get(place));
    before(1).is_some_and(|token| token.is_one_of(&["couple", "few", "several", "many", "point"]))
        || (before(1).is_some_and(|token| token.is("of"))
            && before(2).is_some_and(|token| token.is_one_of(&["couple", "hundreds", "thousands"])))
}

/// `hundred dollars`, as some say for `a hundred dollars`; not as the tail of another number.
fn bare_scale(tokens: &[Token], at: usize) -> Option<Number> {
    let tail = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| {
        number::literal(&before.text).is_some() || before.is_one_of(&["a", "an", "one"])
    });
    let value = if tokens.get(at)?.is("hundred") { 100 } else { 1_000 };
    (!tail && at.checked_sub(1).and_then(|before| number::below_hundred(tokens, before)).is_none())
        .then_some(Number { value, length: 1 })
}

/// `one twenty dollars` is a hundred and twenty.
fn with_a_single_hundred(tokens: &[Token], at: usize, number: Number) -> (Number, usize) {
    let whole = (number.length == 1 && number.value < 10)
        .then(|| number::below_hundred(tokens, at + 1))
        .flatten()
        .filter(|rest| rest.value >= 10);
    let alone = at.checked_sub(1).and_then(|before| number::below_hundred(tokens, before)).is_none();
    match whole {
        Some(rest) if alone && tokens.get(at + 1 + rest.length).is_some_and(|unit| is_unit(&unit.text)) => {
            (Number { value: number.value * 100 + rest.value, length: 1 + rest.length }, at)
        }
        _ => (number, at),
    }
}

/// `point nine nine`, `point five`, in hundredths.
fn after_the_point(tokens: &[Token], at: usize) -> Option<(u64, usize)> {
    let first = tokens.get(at).and_then(|token| number::digit(&token.text));
    let second = tokens.get(at + 1).and_then(|token| number::digit(&token.text));
    match (first, second) {
        (Some(tenths), Some(hundredths)) => Some((tenths * 10 + hundredths, 2)),
        (Some(tenths), None) => Some((tenths * 10, 1)),
        (None, _) => number::below_hundred(tokens, at).map(|part| (part.value, part.length)),
    }
}

/// `and fifty cents`, `ninety nine` right after the unit.
fn cents(tokens: &[Token], at: usize) -> (u64, usize) {
    let and = usize::from(tokens.get(at).is_some_and(|token| token.is("and")));
    let Some(part) = number::below_hundred(tokens, at + and).or_else(|| {
        let value = number::literal(&tokens.get(at + and)?.text).filter(|value| *value < 100)?;
        Some(Number { value, length: 1 })
    }) else {
        return (0, 0);
    };
    let end = at + and + part.length;
    let named = tokens.get(end).is_some_and(|token| SMALL_UNITS.contains(&token.text.as_str()));
    let another = tokens.get(end).is_some_and(|token| {
        is_unit(&token.text) || factor(&token.text).is_some() || number::digit(&token.text).is_some()
    });
    let paused = at.checked_sub(1).and_then(|unit| tokens.get(unit)).is_some_and(|unit| unit.pause);
    if named {
        (part.value, and + part.length + 1)
    } else if and == 0 && part.value >= 10 && !another && !paused && ends_phrase(tokens, end) {
        (part.value, part.length)
    } else {
        (0, 0)
    }
}

fn ends_phrase(tokens: &[Token], end: usize) -> bool {
    let paused = end.checked_sub(1).and_then(|last| tokens.get(last)).is_some_and(|last| last.pause);
    paused
        || tokens
            .get(end)
            .is_none_or(|next| next.is_one_of(&["for", "and", "but", "on", "from", "in", "back"]))
}

fn factor(word: &str) -> Option<u64> {
    match word {
        "hundred" => Some(100),
        "thousand" | "grand" => Some(1_000),
        "million" => Some(1_000_000),
        _ => None,
    }
}

/// Figures with up to two decimal places, in hundredths.
fn decimal(text: &str) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let whole = number::literal(whole)?;
    let places = match places.len() {
        0 if !text.contains('.') => 0,
        1 => places.parse::<u64>().ok()? * 10,
        2 => places.parse::<u64>().ok()?,
        _ => return None,
    };
    whole.checked_mul(100)?.checked_add(places)
}

const SIGNS: &[char] = &['$', '€', '£'];
const UNITS: &[&str] =
    &["dollars", "dollar", "bucks", "buck", "euros", "euro", "pounds", "pound", "quid", "usd", "eur", "gbp"];
const SMALL_UNITS: &[&str] = &["cents", "cent", "pence"];
const CUES: &[&str] = &[
    "cost", "costs", "paid", "pay", "paying", "charge", "charged", "charges", "price", "priced", "bill",
    "billed", "refund", "amount", "total", "worth", "fee", "owe", "invoice", "balance", "spent",
];
