//! Finds what was said that can be looked up: order and account numbers, amounts, addresses, dates (C05).
//!
//! Each entity knows its utterance and the words as said. When two readings want the same words, the surer
//! one has them: address, named number, amount, date, telephone number.

mod date;
mod email;
mod identifier;
mod money;
mod number;
mod tokens;

use std::collections::BTreeSet;

use segue_trigger::{Speaker, Stage, Utterance};

use self::tokens::Token;
use crate::brief::{Entity, EntityKind};

/// Words that an entity is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    kind: EntityKind,
    value: String,
    from: usize,
    to: usize,
}

/// The entities of a whole call, in the order in which they were first said.
///
/// A number that answers a question for one is what was asked for. Of the bot's words only order and account
/// numbers count: it also reads out prices and opening hours.
#[must_use]
pub fn of_call(transcript: &[Utterance]) -> Vec<Entity> {
    let mut asked = None;
    let mut found = Vec::new();
    for utterance in transcript.iter().filter(|utterance| utterance.stage == Stage::Final) {
        let answers = asked.filter(|_| utterance.speaker == Speaker::Caller);
        found.push((utterance.speaker, of_utterance(utterance, answers)));
        asked = asked_by(utterance);
    }
    gathered(found.iter().map(|(speaker, entities)| (*speaker, entities.as_slice())))
}

/// The entities of a call from those of its utterances, each kept once.
pub(crate) fn gathered<'a>(found: impl Iterator<Item = (Speaker, &'a [Entity])>) -> Vec<Entity> {
    let mut entities: Vec<Entity> = Vec::new();
    let mut known: BTreeSet<(EntityKind, &str)> = BTreeSet::new();
    for (speaker, found) in found {
        for entity in found {
            let counts =
                speaker != Speaker::Bot || matches!(entity.kind, EntityKind::Order | EntityKind::Account);
            if counts && entities.len() < ENTITIES_MAX && known.insert((entity.kind, &entity.value)) {
                entities.push(entity.clone());
            }
        }
    }
    entities
}

/// What an utterance asks the caller for; the caller's own questions ask for nothing that they would tell.
pub(crate) fn asked_by(utterance: &Utterance) -> Option<EntityKind> {
    match utterance.speaker {
        Speaker::Caller => None,
        Speaker::Bot | Speaker::Agent => asked_for(&utterance.text),
    }
}

/// The entities of one utterance; `asked` is what the other side had just asked for.
#[must_use]
pub fn of_utterance(utterance: &Utterance, asked: Option<EntityKind>) -> Vec<Entity> {
    let mut tokens = tokens::split(&utterance.text);
    tokens.truncate(TOKENS_MAX);
    let mut claims = claims(&tokens, asked);
    claims.sort_by_key(|claim| claim.from);
    let entity = |claim: Claim| {
        let first = tokens.get(claim.from)?;
        let last = tokens.get(claim.to.checked_sub(1)?)?;
        let said = utterance.text.get(first.from..last.to)?.to_owned();
        Some(Entity { kind: claim.kind, value: claim.value, said, utterance: utterance.id })
    };
    claims.into_iter().filter_map(entity).collect()
}

/// What a question asks for, such as an order number.
#[must_use]
pub fn asked_for(question: &str) -> Option<EntityKind> {
    let tokens = tokens::split(question);
    let said = |words: &[&str]| tokens.iter().any(|token| token.is_one_of(words));
    let number = said(&["number", "id", "reference", "code"]);
    if said(&["email", "mail"]) {
        Some(EntityKind::Email)
    } else if number && said(&["phone", "telephone", "mobile", "cell", "callback"]) {
        Some(EntityKind::Phone)
    } else if number && said(&["order", "booking", "reservation", "purchase"]) {
        Some(EntityKind::Order)
    } else if number && said(&["account", "customer", "client", "member", "membership", "policy", "contract"])
    {
        Some(EntityKind::Account)
    } else {
        None
    }
}

fn claims(tokens: &[Token], asked: Option<EntityKind>) -> Vec<Claim> {
    let mut taken: Vec<Claim> = Vec::new();
    let mut add = |claims: Vec<Claim>| {
        for claim in claims {
            if taken.iter().all(|other| claim.to <= other.from || other.to <= claim.from) {
                taken.push(claim);
            }
        }
    };
    add(email::emails(tokens, asked == Some(EntityKind::Email)));
    add(identifier::named(tokens));
    add(money::amounts(tokens));
    add(date::dates(tokens));
    add(identifier::phones(tokens));
    let wanted =
        asked.filter(|kind| matches!(kind, EntityKind::Order | EntityKind::Account | EntityKind::Phone));
    if let Some(kind) = wanted.filter(|kind| taken.iter().all(|claim| claim.kind != *kind)) {
        let answer = identifier::answer(tokens, kind);
        // An answer of ten figures to a question for an order number is no telephone number.
        taken.retain(|claim| {
            claim.kind != EntityKind::Phone
                || answer.as_ref().is_none_or(|answer| claim.to <= answer.from || answer.to <= claim.from)
        });
        let free = answer
            .filter(|answer| taken.iter().all(|other| answer.to <= other.from || other.to <= answer.from));
        taken.extend(free);
    }
    taken
}

/// The words of one utterance that are looked at; the rest is left out.
const TOKENS_MAX: usize = 400;
/// The entities of one call that are kept; later ones are left out.
const ENTITIES_MAX: usize = 100;
