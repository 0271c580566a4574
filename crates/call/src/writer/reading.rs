//! What one utterance says by itself: read once in a call, however often the brief is written (B12).

use segue_trigger::{Speaker, Utterance, UtteranceId};

use super::{
    goal::Told,
    sentiment,
    tried::{self, Step},
};
use crate::{
    brief::{Entity, EntityKind},
    entity,
};

/// A final utterance and what was read in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub(super) utterance: &'a Utterance,
    pub(super) reading: &'a Reading,
}

/// What was read in an utterance. It depends on the first four fields and on nothing else.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    id: UtteranceId,
    speaker: Speaker,
    text: String,
    /// What the other side had asked for just before, if the caller speaks.
    asked: Option<EntityKind>,
    /// What it asks the caller for.
    asks: Option<EntityKind>,
    /// What was said that can be looked up.
    pub(super) entities: Vec<Entity>,
    /// What a caller says about the goal.
    pub(super) told: Option<Told>,
    /// What was tried.
    pub(super) steps: Vec<Step>,
    /// The words in which a caller says that something did not help.
    pub(super) refusal: Option<String>,
    /// How a caller feels, −1..=1; 0 for everybody else.
    pub(super) sentiment: f32,
}

/// The readings of all utterances, in their order. What is among `known` is not read again, if both are in the order
/// of their ids.
pub(super) fn of_call(known: Vec<Reading>, finals: &[&Utterance]) -> Vec<Reading> {
    let mut known = known.into_iter().peekable();
    let mut readings: Vec<Reading> = Vec::with_capacity(finals.len());
    for utterance in finals {
        while known.next_if(|reading| reading.id < utterance.id).is_some() {}
        let asks = readings.last().and_then(|before| before.asks);
        let asked = asks.filter(|_| utterance.speaker == Speaker::Caller);
        let same = known.next_if(|reading| reading.is_of(utterance, asked));
        readings.push(same.unwrap_or_else(|| Reading::read(utterance, asked)));
    }
    readings
}

impl Reading {
    fn read(utterance: &Utterance, asked: Option<EntityKind>) -> Self {
        let text = utterance.text.as_str();
        let by_caller = utterance.speaker == Speaker::Caller;
        Self {
            id: utterance.id,
            speaker: utterance.speaker,
            text: text.to_owned(),
            asked,
            asks: entity::asked_by(utterance),
            entities: entity::of_utterance(utterance, asked),
            told: by_caller.then(|| Told::read(text)).flatten(),
            steps: tried::steps(utterance),
            refusal: by_caller.then(|| tried::refusal(text)).flatten(),
            sentiment: if by_caller { sentiment::of_text(text) } else { 0.0 },
        }
    }

    fn is_of(&self, utterance: &Utterance, asked: Option<EntityKind>) -> bool {
        self.id == utterance.id
            && self.speaker == utterance.speaker
            && self.asked == asked
            && self.text == utterance.text
    }
}
