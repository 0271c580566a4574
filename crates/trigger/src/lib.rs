//! Handoff triggers: rules over the transcript, keys and bot reports, each decision explained.
//!
//! Pure: a signal goes in, a decision comes out. No clock, no I/O.

mod condition;
mod contextual;
mod decision;
mod english;
mod fact;
mod feature;
mod gauge;
mod lexicon;
mod pattern;
mod request;
mod rules;
mod sound;
mod triggers;
mod utterance;
mod words;

pub use decision::{Advice, Decision, Evaluation, Reason};
pub use fact::Fact;
pub use feature::{FEATURES, FeatureInfo, Kind};
pub use rules::{
    GuardRules, LanguageRules, Profile, RequestRules, Rule, Rules, RulesError, RulesProblem, SentimentRules,
    TalkRules,
};
pub use triggers::{RuleSet, Signal, Triggers};
pub use utterance::{Speaker, Stage, Utterance, UtteranceId};
