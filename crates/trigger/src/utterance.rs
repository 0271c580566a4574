//! One finished or growing piece of transcript: what was said, by whom, when, and how sure we are.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person who called.
    Caller,
    /// The voice bot.
    Bot,
    /// The human who takes the call over.
    Agent,
}

/// Numbers the utterances of one call, counted from 1 over all speakers.
///
/// A partial and the final that replaces it share one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtteranceId(pub u32);

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The speaker has not finished; the text may still change.
    Partial,
    /// The text will not change any more.
    Final,
    /// As final as that, but known only long after it was said: recognition could not keep up.
    Late,
}

/// One piece of transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Utterance {
    /// Its number in the call.
    pub id: UtteranceId,
    /// Who said it.
    pub speaker: Speaker,
    /// What was said, as recognised.
    pub text: String,
    /// When speech began, on the gateway's clock (since the Unix epoch).
    pub start: Duration,
    /// When speech ended, or how far a partial has heard, on the same clock.
    pub end: Duration,
    /// Mean token probability in 0..=1; 1 for text that was not recognised but told.
    pub confidence: f32,
    /// Partial or final.
    pub stage: Stage,
    /// How loud it was spoken: the mean power of its voiced part in dB against full scale, at most 0; `None` where
    /// nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f32>,
}
