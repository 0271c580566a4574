//! Handoff triggers: rules over the transcript, keys and bot reports, each decision explained.
//!
//! Pure: a signal goes in, a decision comes out. No clock, no I/O.

mod decision;
mod utterance;

pub use decision::{Advice, Decision, Evaluation, Reason};
pub use utterance::{Speaker, Stage, Utterance, UtteranceId};
