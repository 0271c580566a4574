//! Dates and weekdays: `last monday`, `march third`, `the 3rd of May`, `two weeks ago`, `2026-11-20`.

use super::{
    Claim,
    number::{self, Number},
    tokens::Token,
};
use crate::brief::EntityKind;

/// All dates, left to right.
pub(super) fn dates(tokens: &[Token]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let found = day_of_month(tokens, at)
            .or_else(|| month_and_day(tokens, at))
            .or_else(|| weekday(tokens, at))
            .or_else(|| period(tokens, at))
            .or_else(|| ago(tokens, at))
            .or_else(|| month_alone(tokens, at))
            .or_else(|| written(tokens, at));
        match found {
            Some((value, from, to)) => {
                at = to;
                claims.push(Claim { kind: EntityKind::Date, value, from, to });
            }
            None => at += 1,
        }
    }
    claims
}

type Found = (String, usize, usize);

/// `the third of march`, `3 May`, `the 3rd of May 2026`.
fn day_of_month(tokens: &[Token], at: usize) -> Option<Found> {
    let ordinal = number::ordinal(tokens, at);
    let day = ordinal.or_else(|| figures(tokens, at)).filter(|day| (1..=31).contains(&day.value))?;
    let mut to = at + day.length;
    let of = tokens.get(to).is_some_and(|token| token.is("of"));
    to += usize::from(of);
    let (month, sure) = month(tokens.get(to)?)?;
    if !sure && !of && ordinal.is_none() {
        return None;
    }
    Some(with_year(tokens, month, day.value, (at, to + 1)))
}

/// `march third`, `march the third`, `May 3`, `june twenty first twenty twenty six`.
fn month_and_day(tokens: &[Token], at: usize) -> Option<Found> {
    let (month, sure) = month(tokens.get(at)?)?;
    let the = usize::from(tokens.get(at + 1).is_some_and(|token| token.is("the")));
    let day = number::ordinal(tokens, at + 1 + the)
        .or_else(|| figures(tokens, at + 1 + the))
        .or_else(|| sure.then(|| number::below_hundred(tokens, at + 1 + the)).flatten())
        .filter(|day| (1..=31).contains(&day.value))?;
    Some(with_year(tokens, month, day.value, (at, at + 1 + the + day.length)))
}

fn with_year(tokens: &[Token], month: &str, day: u64, place: (usize, usize)) -> Found {
    let (from, to) = place;
    match year(tokens, to) {
        Some(year) => (format!("{month} {day} {}", year.value), from, to + year.length),
        None => (format!("{month} {day}"), from, to),
    }
}

/// `2026`, `twenty twenty six`, `two thousand and twenty six`.
fn year(tokens: &[Token], at: usize) -> Option<Number> {
    let plausible = |year: &Number| (1990..=2099).contains(&year.value);
    if let Some(year) = number::cardinal(tokens, at).filter(plausible) {
        return Some(year);
    }
    let century = number::below_hundred(tokens, at).filter(|part| matches!(part.value, 19 | 20))?;
    let rest = number::below_hundred(tokens, at + century.length).filter(|part| part.value >= 10)?;
    let year = Number { value: century.value * 100 + rest.value, length: century.length + rest.length };
    Some(year).filter(plausible)
}

/// `monday`, `last monday`.
fn weekday(tokens: &[Token], at: usize) -> Option<Found> {
    let first = tokens.get(at)?;
    if first.is_one_of(QUALIFIERS) {
        let day = tokens.get(at + 1).filter(|day| day.is_one_of(WEEKDAYS))?;
        return Some((format!("{} {}", first.text, day.text), at, at + 2));
    }
    if first.is_one_of(&["yesterday", "tomorrow"]) {
        return Some((first.text.clone(), at, at + 1));
    }
    first.is_one_of(WEEKDAYS).then(|| (first.text.clone(), at, at + 1))
}

/// `last week`, `next month`.
fn period(tokens: &[Token], at: usize) -> Option<Found> {
    let qualifier = tokens.get(at).filter(|token| token.is_one_of(&["last", "next"]))?;
    let unit =
        tokens.get(at + 1).filter(|token| token.is_one_of(&["week", "month", "year", "weekend", "night"]))?;
    Some((format!("{} {}", qualifier.text, unit.text), at, at + 2))
}

/// `two weeks ago`, `a month ago`.
fn ago(tokens: &[Token], at: usize) -> Option<Found> {
    let one = tokens.get(at)?.is_one_of(&["a", "an"]).then_some(Number { value: 1, length: 1 });
    let count = one.or_else(|| number::cardinal(tokens, at)).filter(|count| count.value > 0)?;
    let unit = tokens.get(at + count.length)?;
    let single = unit.text.trim_end_matches('s');
    let known = ["day", "week", "month", "year"].contains(&single);
    let ago = tokens.get(at + count.length + 1).is_some_and(|token| token.is("ago"));
    let unit = if count.value == 1 { single.to_owned() } else { format!("{single}s") };
    (known && ago).then(|| (format!("{} {unit} ago", count.value), at, at + count.length + 2))
}

/// `in march`, `since january`, `last december`. `may` and `march` are also verbs.
fn month_alone(tokens: &[Token], at: usize) -> Option<Found> {
    let (month, sure) = month(tokens.get(at)?)?;
    let before = at.checked_sub(1).and_then(|before| tokens.get(before))?;
    let placed =
        before.is_one_of(&["in", "since", "last", "next", "until", "this", "during", "early", "late"]);
    let verb = !sure && tokens.get(at + 1).is_some_and(|next| next.is_one_of(&["i", "we", "you", "be"]));
    if !placed || verb {
        return None;
    }
    let qualified = before.is_one_of(&["last", "next"]);
    let value = if qualified { format!("{} {month}", before.text) } else { month.to_owned() };
    Some((value, if qualified { at - 1 } else { at }, at + 1))
}

/// `2026-11-20`, `11/20/2026`: kept as it was written, since the order of day and month is not known.
fn written(tokens: &[Token], at: usize) -> Option<Found> {
    let text = tokens.get(at)?.text.as_str();
    let mark = if text.contains('-') { '-' } else { '/' };
    let parts: Vec<&str> = text.split(mark).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let figures = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let shaped = matches!((mark, lengths.as_slice()), ('-', [4, 2, 2]) | ('/', [1 | 2, 1 | 2, 2 | 4]));
    (figures && shaped).then(|| (text.to_owned(), at, at + 1))
}

fn figures(tokens: &[Token], at: usize) -> Option<Number> {
    let value = number::literal(&tokens.get(at)?.text)?;
    Some(Number { value, length: 1 })
}

/// The month, and whether the word can be nothing else.
fn month(token: &Token) -> Option<(&'static str, bool)> {
    let found = match token.text.as_str() {
        "january" | "jan" => "January",
        "february" | "feb" => "February",
        "march" => "March",
        "april" | "apr" => "April",
        "may" => "May",
        "june" => "June",
        "july" => "July",
        "august" | "aug" => "August",
        "september" | "sept" | "sep" => "September",
        "october" | "oct" => "October",
        "november" | "nov" => "November",
        "december" | "dec" => "December",
        _ => return None,
    };
    Some((found, !matches!(found, "May" | "March")))
}

const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const QUALIFIERS: &[&str] = &["last", "next", "this"];
