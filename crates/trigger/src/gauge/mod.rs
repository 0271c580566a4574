//! What measures features: each gauge listens to the conversation and keeps one idea of it.

mod mood;
mod report;
mod talk;
mod topic;

use std::time::Duration;

pub(crate) use mood::Sentiments;
pub(crate) use talk::Talk;
pub(crate) use topic::Topics;

use crate::{
    feature::{Evidence, Feature, Features},
    utterance::{Speaker, Utterance},
    words::Word,
};

/// One finished utterance in comparable words.
pub(crate) struct Turn<'a> {
    pub(crate) utterance: &'a Utterance,
    pub(crate) words: &'a [Word],
}

impl Turn<'_> {
    pub(crate) fn evidence(&self, text: impl Into<String>) -> Evidence {
        Evidence { text: text.into(), utterance: Some(self.utterance.id) }
    }
}

/// The lists of one language that gauges read, compiled.
#[derive(Debug)]
pub(crate) struct Ears {
    pub(crate) sentiments: Sentiments,
    pub(crate) talk: Talk,
    pub(crate) topics: Topics,
}

/// What the gauges of one call remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) began: Option<Duration>,
    turns: u32,
    mood: mood::Memory,
    talk: talk::Memory,
    topic: topic::Memory,
}

impl Memory {
    /// A finished utterance of anybody.
    pub(crate) fn hear(&mut self, ears: &Ears, turn: &Turn<'_>, features: &mut Features) {
        let topic_changed = match turn.utterance.speaker {
            Speaker::Caller => {
                self.turns += 1;
                features.number(Feature::Turns, f64::from(self.turns), turn.evidence(""));
                self.mood.hear(&ears.sentiments, turn, features);
                self.topic.hear(&ears.topics, turn, features)
            }
            Speaker::Bot | Speaker::Agent => false,
        };
        self.talk.hear(&ears.talk, turn, topic_changed, features);
        self.pass(turn.utterance.end, features);
    }

    /// Time goes by.
    pub(crate) fn pass(&mut self, now: Duration, features: &mut Features) {
        let began = *self.began.get_or_insert(now);
        let minutes = now.saturating_sub(began).as_secs_f64() / 60.0;
        features.number(Feature::SessionMinutes, minutes, Evidence::default());
    }
}
