//! E-mail addresses, written (`anna@example.com`) or spoken (`anna dot smith at example dot com`).

use super::{Claim, number, tokens::Token};
use crate::brief::EntityKind;

/// All e-mail addresses, left to right.
pub(super) fn emails(tokens: &[Token], asked: bool) -> Vec<Claim> {
    let cued = asked || tokens.iter().any(|token| token.is_one_of(&["email", "e-mail", "mail", "emails"]));
    let mut claims: Vec<Claim> = Vec::new();
    for at in 0..tokens.len() {
        let found = written(tokens, at).or_else(|| spoken(tokens, at, cued));
        if let Some(claim) = found
            && claims.last().is_none_or(|last| last.to <= claim.from)
        {
            claims.push(claim);
        }
    }
    claims
}

fn written(tokens: &[Token], at: usize) -> Option<Claim> {
    let text = &tokens.get(at)?.text;
    let (local, domain) = text.split_once('@')?;
    let shaped = !local.is_empty()
        && !domain.contains('@')
        && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte));
    let labels: Vec<&str> = domain.split('.').collect();
    let domain_shaped = labels.len() >= 2
        && labels.iter().all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    let top = labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()));
    (shaped && domain_shaped && top).then(|| claim(text.clone(), at, at + 1))
}

/// `cued` is whether an address was spoken of. Without it, a verb before the `at` means a web site.
fn spoken(tokens: &[Token], at: usize, cued: bool) -> Option<Claim> {
    let sign = tokens.get(at)?;
    if !sign.is_one_of(&["at", "@"]) {
        return None;
    }
    let (domain, to) = domain(tokens, at + 1)?;
    let (local, from) = local(tokens, at, cued)?;
    Some(claim(format!("{local}@{domain}"), from, to))
}

fn claim(value: String, from: usize, to: usize) -> Claim {
    Claim { kind: EntityKind::Email, value, from, to }
}

/// Labels joined by `dot`, the last of them a known top-level domain: `gmail dot com`, `example.co.uk`.
fn domain(tokens: &[Token], from: usize) -> Option<(String, usize)> {
    let mut domain = String::new();
    let mut at = from;
    let mut best: Option<(String, usize)> = None;
    while at < tokens.len() && at - from < PARTS_MAX {
        let token = tokens.get(at)?;
        if token.is_one_of(&["dot", "point"]) {
            domain.push('.');
            at += 1;
        } else if let Some(mark) = mark(token).filter(|mark| *mark == '-') {
            domain.push(mark);
            at += 1;
        } else if let Some((part, length)) =
            label(tokens, at, domain.is_empty() || domain.ends_with(['.', '-']))
        {
            domain.push_str(&part);
            at += length;
        } else {
            break;
        }
        let top = domain.rsplit_once('.').map(|(labels, top)| (labels.is_empty(), top));
        if let Some((false, top)) = top
            && TOP_LEVEL.contains(&top)
        {
            best = Some((domain.clone(), at));
        }
        if token.pause && best.is_some() {
            break;
        }
    }
    best.filter(|(domain, _)| !domain.contains("..") && !domain.starts_with(['.', '-']))
}

/// The part before the sign, read backwards: a word, spelled letters and figures, joined by spoken marks.
fn local(tokens: &[Token], sign: usize, cued: bool) -> Option<(String, usize)> {
    let mut from = sign;
    let mut needs_part = true;
    let mut has_word = false;
    while from > 0 && sign - from < PARTS_MAX {
        let token = tokens.get(from - 1)?;
        let single = token.letter().is_some() || number::digit(&token.text).is_some();
        let figures =
            number::below_hundred(tokens, from - 1).is_some() || number::literal(&token.text).is_some();
        if mark(token).is_some() && !needs_part {
            needs_part = true;
            has_word = false;
        } else if (single || figures) && !joins_a_sentence(tokens, from - 1, needs_part) {
            needs_part = false;
        } else if !has_word && is_word(token) && (needs_part || only_figures(tokens, from, sign)) {
            needs_part = false;
            has_word = true;
        } else {
            break;
        }
        from -= 1;
    }
    if needs_part {
        return None;
    }
    let first = tokens.get(from)?;
    if !cued && first.is_one_of(NOT_A_NAME) {
        return None;
    }
    let mut local = String::new();
    let mut at = from;
    while at < sign {
        let token = tokens.get(at)?;
        let (text, length) = match mark(token) {
            Some(mark) => (mark.to_string(), 1),
            None => part(tokens, at, true)?,
        };
        local.push_str(&text);
        at += length;
    }
    (at == sign).then_some((local, from))
}

/// `a` and `i` are letters only beside another letter or mark.
fn joins_a_sentence(tokens: &[Token], at: usize, first: bool) -> bool {
    let article = tokens.get(at).is_some_and(|token| token.is_one_of(&["a", "i"]));
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let beside = before.is_some_and(|token| token.letter().is_some() || mark(token).is_some());
    article && !first && !beside && tokens.get(at + 1).is_some_and(is_word)
}

/// Whether nothing but figures was read since the last mark, as in `anna forty two`.
fn only_figures(tokens: &[Token], from: usize, sign: usize) -> bool {
    let read = tokens.get(from..sign).unwrap_or_default();
    let figure = |token: &Token| {
        number::below_hundred(std::slice::from_ref(token), 0).is_some()
            || number::literal(&token.text).is_some()
    };
    read.iter().take_while(|token| mark(token).is_none()).all(figure)
}

fn is_word(token: &Token) -> bool {
    let plain = token.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    plain && token.text.len() > 1 && !token.is_one_of(AROUND) && mark(token).is_none()
}

/// One part of a domain, where any word may stand.
fn label(tokens: &[Token], at: usize, word_allowed: bool) -> Option<(String, usize)> {
    part(tokens, at, word_allowed).or_else(|| {
        let token = tokens.get(at).filter(|token| word_allowed && token.is_one_of(AROUND))?;
        Some((token.text.clone(), 1))
    })
}

/// One part of an address: figures, a spelled letter, or a word where one may stand.
fn part(tokens: &[Token], at: usize, word_allowed: bool) -> Option<(String, usize)> {
    let token = tokens.get(at)?;
    if let Some(letter) = number::letter(tokens, at) {
        return Some((letter.text.to_lowercase(), letter.length));
    }
    if let Some(number) = number::below_hundred(tokens, at) {
        return Some((number.value.to_string(), number.length));
    }
    (word_allowed && is_word(token) || number::literal(&token.text).is_some())
        .then(|| (token.text.clone(), 1))
}

fn mark(token: &Token) -> Option<char> {
    match token.text.as_str() {
        "dot" | "point" | "period" => Some('.'),
        "underscore" => Some('_'),
        "dash" | "hyphen" | "minus" => Some('-'),
        "plus" => Some('+'),
        _ => None,
    }
}

/// Longer addresses than this many spoken parts are not believed.
const PARTS_MAX: usize = 30;

const TOP_LEVEL: &[&str] = &[
    "com", "net", "org", "edu", "gov", "io", "co", "uk", "de", "fr", "es", "it", "eu", "info", "biz", "me",
    "us", "ca", "au", "nl", "ch", "be", "se", "no", "dk", "pl", "pt", "ie", "in", "jp", "br", "mx", "nz",
    "za", "dev", "app", "ai", "tv", "online", "shop", "email", "tech", "cloud",
];
/// Words that stand around an address and are never part of one.
const AROUND: &[&str] = &[
    "is", "its", "it", "to", "me", "email", "e-mail", "mail", "address", "um", "uh", "my", "the", "on",
    "under", "with", "for", "and", "us", "was", "be", "at", "of", "thats", "that", "from", "yes", "okay",
    "or", "as", "in", "like",
];
/// Words before an `at` that make it a place.
const NOT_A_NAME: &[&str] = &[
    "look",
    "looked",
    "looking",
    "shop",
    "shopped",
    "shopping",
    "bought",
    "ordered",
    "order",
    "arrived",
    "found",
    "visit",
    "visited",
    "buy",
    "purchased",
    "here",
    "there",
    "work",
    "working",
    "check",
    "checked",
    "am",
    "are",
    "online",
    "store",
    "stuff",
    "something",
    "this",
    "account",
    "saw",
    "them",
    "login",
    "page",
    "site",
    "website",
];
