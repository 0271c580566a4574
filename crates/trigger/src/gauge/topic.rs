//! What the call is about, by sets of words, and how often that changed.

use std::collections::BTreeMap;

use super::Turn;
use crate::{
    feature::{Evidence, Feature, Features, Value},
    lexicon::Lexicon,
    words,
};

/// The compiled sets of one language.
#[derive(Debug)]
pub(crate) struct Topics {
    sets: Vec<(String, Lexicon)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    topic: Option<String>,
    switches: u32,
}

impl Topics {
    /// # Errors
    /// A set that cannot be searched, with its name.
    pub(crate) fn new(
        sets: &BTreeMap<String, Vec<String>>,
        expansions: &BTreeMap<String, String>,
    ) -> Result<Self, (String, String)> {
        let mut compiled = Vec::new();
        for (name, phrases) in sets {
            let phrases = phrases.iter().map(|phrase| words::plain(phrase, expansions)).collect();
            let lexicon = Lexicon::new(phrases).map_err(|problem| (name.clone(), problem))?;
            compiled.push((name.clone(), lexicon));
        }
        Ok(Self { sets: compiled })
    }
}

impl Memory {
    /// True when the topic changed. An utterance without a topic changes nothing; of several, the one with the most
    /// words counts, and the topic at hand if it has as many.
    pub(super) fn hear(&mut self, ears: &Topics, turn: &Turn<'_>, features: &mut Features) -> bool {
        let mut found: Vec<(usize, &str, String)> = Vec::new();
        for (name, lexicon) in &ears.sets {
            let phrases = lexicon.found(turn.words);
            if !phrases.is_empty() {
                let words = phrases.iter().map(|phrase| phrase.split(' ').count()).sum();
                found.push((words, name, phrases.join(", ")));
            }
        }
        let names = found.iter().map(|(_, name, _)| (*name).to_owned()).collect();
        features.set(Feature::Topics, Value::Words(names), turn.evidence(""));
        let at_hand = self.topic.clone();
        let best =
            found.into_iter().max_by_key(|(words, name, _)| (*words, Some(*name) == at_hand.as_deref()));
        let Some((_, topic, said)) = best else { return false };
        self.set(topic, &turn.evidence(said), features)
    }

    /// True when the topic changed.
    pub(super) fn set(&mut self, topic: &str, evidence: &Evidence, features: &mut Features) -> bool {
        let before = self.topic.replace(topic.to_owned());
        features.set(Feature::Topic, Value::Word(topic.to_owned()), evidence.clone());
        let changed = before.as_deref() != Some(topic);
        if let Some(before) = before.filter(|_| changed) {
            self.switches += 1;
            let text = format!("from {before} to {topic}: {}", evidence.text);
            features.number(
                Feature::TopicSwitches,
                f64::from(self.switches),
                Evidence { text, ..evidence.clone() },
            );
        }
        changed
    }
}
