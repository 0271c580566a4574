//! Handoff triggers: rules over the transcript, keys and bot reports, each decision explained.
//!
//! Pure: a signal goes in, a decision comes out. No clock, no I/O.

mod decision;
mod english;
mod lexicon;
mod pattern;
mod request;
mod rules;
mod sound;
mod triggers;
mod utterance;
mod words;

pub use decision::{Advice, Decision, Evaluation, Reason};
pub use rules::{GuardRules, LanguageRules, RequestRules, Rules, RulesError, RulesProblem};
pub use triggers::{RuleSet, Signal, Triggers};
pub use utterance::{Speaker, Stage, Utterance, UtteranceId};
