//! The spoken brief: who, what, what went wrong, why, in the order of a sentence and cut by importance (B09).

use std::time::Duration;

use super::{WhisperLimit, goal::Goal, text, tried::Attempt};
use crate::brief::{Entity, EntityKind};

/// What a whisper is made from.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// The caller's first name.
    pub(super) name: Option<&'a str>,
    /// The main question.
    pub(super) goal: &'a Goal,
    /// What was said that can be looked up.
    pub(super) entities: &'a [Entity],
    /// What was tried.
    pub(super) tried: &'a [Attempt],
    /// Why the call is handed over, in a few words; empty if it is not.
    pub(super) why: &'a str,
    /// A word on the caller's mood, if it matters.
    pub(super) mood: Option<&'a str>,
    /// The customer's tier, if it matters.
    pub(super) tier: Option<&'a str>,
}

/// Puts the whisper together within its limit.
pub(super) fn compose(parts: &Parts<'_>, limit: WhisperLimit) -> String {
    let limit = grown(limit, complexity(parts));
    let mut pieces = pieces(parts);
    loop {
        let line = told(&pieces);
        if fits(&line, limit) {
            return line;
        }
        let Some(least) = pieces.iter().map(|piece| piece.importance).max().filter(|least| *least > 0) else {
            return cut(&line, limit);
        };
        pieces.retain(|piece| piece.importance != least);
    }
}

/// A piece of the whisper, in the order in which pieces are spoken.
struct Piece {
    text: String,
    /// 0 is never dropped; the highest is dropped first.
    importance: u8,
    /// How it is joined to the piece before.
    joint: &'static str,
}

fn pieces(parts: &Parts<'_>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if let Some(name) = parts.name {
        pieces.push(Piece { text: name.to_owned(), importance: 3, joint: "" });
    }
    match parts.goal.topic {
        Some(mention) => {
            pieces.push(Piece { text: mention.label.to_owned(), importance: 0, joint: ", " });
            pieces.extend(details(parts));
        }
        None => {
            let words = if parts.goal.known { GOAL_WORDS_MAX } else { usize::MAX };
            let line = text::shortened(text::unended(&parts.goal.fact.text), words);
            pieces.push(Piece { text: line, importance: 0, joint: ". " });
        }
    }
    if let Some(failure) = parts.tried.iter().rev().find_map(|attempt| attempt.failure.as_deref()) {
        let order_told =
            parts.goal.topic.is_some() && parts.entities.iter().any(|e| e.kind == EntityKind::Order);
        pieces.push(Piece { text: of_bot(failure, order_told), importance: 4, joint: ". " });
    }
    if !parts.why.is_empty() {
        pieces.push(Piece { text: parts.why.to_owned(), importance: 2, joint: ". " });
    }
    if let Some(mood) = parts.mood {
        pieces.push(Piece { text: mood.to_owned(), importance: 5, joint: ". " });
    }
    if let Some(tier) = parts.tier {
        pieces.push(Piece { text: format!("{tier} customer"), importance: 6, joint: ". " });
    }
    pieces
}

/// The order and the amount, or what else identifies the matter.
fn details(parts: &Parts<'_>) -> Vec<Piece> {
    let first = |kind: EntityKind| parts.entities.iter().find(|entity| entity.kind == kind);
    let mut pieces = Vec::new();
    if let Some(order) = first(EntityKind::Order) {
        let about_order = parts.goal.topic.is_some_and(|mention| mention.label == "order");
        let (text, joint) = if about_order {
            (order.value.clone(), " ")
        } else {
            (format!("order {}", order.value), " for ")
        };
        pieces.push(Piece { text, importance: 1, joint });
    } else if let Some(account) = first(EntityKind::Account) {
        pieces.push(Piece { text: format!("account {}", account.value), importance: 1, joint: ", " });
    }
    if let Some(amount) = first(EntityKind::Amount) {
        pieces.push(Piece { text: amount.said.clone(), importance: 1, joint: ", " });
    }
    pieces
}

/// `I could not find that order` in the words of somebody who tells it: `Bot could not find it`, where the
/// order was named just before.
fn of_bot(failure: &str, order_told: bool) -> String {
    let named = ["that order", "your order", "the order", "this order"];
    let short = named.iter().find_map(|order| failure.strip_suffix(order)).filter(|_| order_told);
    let shorter = short.map(|head| format!("{head}it"));
    let failure = shorter.as_deref().unwrap_or(failure);
    let told = ["I ", "We "].iter().find_map(|subject| failure.strip_prefix(subject));
    let line = told.map_or_else(|| format!("Bot: {failure}"), |rest| format!("Bot {rest}"));
    text::shortened(&line, FAILURE_WORDS_MAX)
}

fn told(pieces: &[Piece]) -> String {
    let mut line = String::new();
    for piece in pieces {
        if line.is_empty() {
            line.push_str(&text::capital(&piece.text));
        } else if piece.joint == ". " {
            line = format!("{} {}", text::ended(&line), text::capital(&piece.text));
        } else {
            line.push_str(piece.joint);
            line.push_str(&piece.text);
        }
    }
    if line.is_empty() { line } else { text::ended(&line) }
}

/// More to tell needs more time: up to one and a half times the limit (B10).
fn grown(limit: WhisperLimit, complexity: usize) -> WhisperLimit {
    let percent: u32 = match complexity {
        0..=3 => 100,
        4..=5 => 125,
        _ => 150,
    };
    WhisperLimit {
        words_max: limit.words_max.saturating_mul(percent) / 100,
        length_max: limit.length_max.saturating_mul(percent) / 100,
    }
}

/// How much there is to tell: things to look up, and what was tried.
fn complexity(parts: &Parts<'_>) -> usize {
    let kinds: std::collections::BTreeSet<EntityKind> =
        parts.entities.iter().map(|entity| entity.kind).collect();
    kinds.len() + parts.tried.len()
}

fn fits(line: &str, limit: WhisperLimit) -> bool {
    text::count(line) <= limit.words_max && text::spoken_length(line) <= limit.length_max
}

/// As many words from the beginning as the limit allows.
fn cut(line: &str, limit: WhisperLimit) -> String {
    let count = line.split_whitespace().count();
    let shorter = (1..count).rev().map(|words| text::shortened(line, words));
    shorter.into_iter().find(|line| fits(line, limit)).unwrap_or_default()
}

/// About how long a text takes when it is whispered.
#[must_use]
pub fn spoken_length(text: &str) -> Duration {
    text::spoken_length(text)
}

const GOAL_WORDS_MAX: usize = 11;
const FAILURE_WORDS_MAX: usize = 7;
