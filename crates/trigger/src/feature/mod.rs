//! What is known of a call at a moment, as named values that rules are written over.
//!
//! A feature is a number, a word or a list of words, or it is not known yet: a rule that needs what is not known does
//! not fire, and its explanation says which one it was. Beside its value a feature remembers what it was seen in.

mod catalogue;

use std::fmt;

use crate::utterance::UtteranceId;

pub use catalogue::{FEATURES, FeatureInfo, Kind};
pub(crate) use catalogue::{Feature, place};

/// The value of a feature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number, in the catalogue's unit.
    Number(f64),
    /// A word, such as a topic.
    Word(String),
    /// Words.
    Words(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{}", (number * 1_000.0).round() / 1_000.0),
            Self::Word(word) => f.write_str(word),
            Self::Words(words) => f.write_str(&words.join(", ")),
        }
    }
}

/// What a feature was seen in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    /// A few words: the phrase, the count, the comparison.
    pub(crate) text: String,
    pub(crate) utterance: Option<UtteranceId>,
}

/// All features of one call.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    known: Vec<Option<(Value, Evidence)>>,
}

impl Features {
    /// Nothing is known but what counts from nothing.
    pub(crate) fn new() -> Self {
        let known = FEATURES
            .iter()
            .map(|info| info.from.map(|from| (Value::Number(from), Evidence::default())))
            .collect();
        Self { known }
    }

    pub(crate) fn set(&mut self, feature: Feature, value: Value, evidence: Evidence) {
        if let Some(place) = self.known.get_mut(feature as usize) {
            *place = Some((value, evidence));
        }
    }

    /// By the place in [`FEATURES`].
    pub(crate) fn set_at(&mut self, place: usize, value: Value) {
        if let Some(place) = self.known.get_mut(place) {
            *place = Some((value, Evidence::default()));
        }
    }

    pub(crate) fn number(&mut self, feature: Feature, value: f64, evidence: Evidence) {
        self.set(feature, Value::Number(value), evidence);
    }

    pub(crate) fn as_number(&self, feature: Feature) -> Option<f64> {
        match self.known.get(feature as usize)?.as_ref()?.0 {
            Value::Number(number) => Some(number),
            Value::Word(_) | Value::Words(_) => None,
        }
    }

    /// Every feature that is known, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        let known = FEATURES.iter().zip(&self.known);
        known.filter_map(|(info, known)| Some((info.name, known.as_ref()?.0.to_string())))
    }

    /// By the name that rules use.
    pub(crate) fn named(&self, name: &str) -> Option<(&Value, &Evidence)> {
        self.at(place(name)?).map(|(value, evidence)| (value, evidence))
    }

    fn at(&self, place: usize) -> Option<&(Value, Evidence)> {
        self.known.get(place)?.as_ref()
    }
}
