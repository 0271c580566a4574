//! Transcription on the wire: whether there is any, and words that a bot tells.

use std::time::Duration;

use segue_trigger::Stage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{config, desk::ToldWords, problem::Problem};

/// Longest text of an utterance, in characters; 12 s of speech have about 250.
const CHARACTERS_MAX: usize = 4_000;
/// Longest utterance, in milliseconds.
const LASTED_MAX: u64 = 60_000;

/// Words that somebody else recognised, such as the bot in its own ears.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TranscriptOrder {
    /// Who said them.
    speaker: ToldSpeaker,
    /// The words; at most 4,000 characters. Control characters become blanks.
    #[schema(example = "i want to talk to a human", min_length = 1, max_length = 4000)]
    text: String,
    /// Whether they will not change any more.
    #[serde(default = "yes")]
    is_final: bool,
    /// A number of the client's own, shared by a final and the partials before it. Partials need one.
    #[serde(default)]
    utterance: Option<u64>,
    /// How sure they are, 0 to 1.
    #[serde(default = "sure")]
    #[schema(minimum = 0, maximum = 1)]
    confidence: f32,
    /// How long they took to say; they ended now.
    #[serde(default)]
    #[schema(maximum = 60000)]
    lasted_ms: u64,
}

/// Whose words can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToldSpeaker {
    /// The person who called.
    Caller,
    /// The voice bot.
    Bot,
}

fn yes() -> bool {
    true
}

fn sure() -> f32 {
    1.0
}

impl TranscriptOrder {
    /// What is told, if it can be.
    pub(crate) fn read(self) -> Result<ToldWords, Problem> {
        let invalid = |detail: &str| Err(Problem::bad_request("invalid-body", detail));
        if self.text.chars().count() > CHARACTERS_MAX {
            return invalid("text has more than 4000 characters");
        }
        let words = self.text.split(|letter: char| letter.is_whitespace() || letter.is_control());
        let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return invalid("text has no words");
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return invalid("confidence is not 0 to 1");
        }
        if self.lasted_ms > LASTED_MAX {
            return invalid("lasted_ms is more than 60000");
        }
        if !self.is_final && self.utterance.is_none() {
            return invalid("a partial needs utterance, the number that its final has too");
        }
        Ok(ToldWords {
            speaker: match self.speaker {
                ToldSpeaker::Caller => segue_trigger::Speaker::Caller,
                ToldSpeaker::Bot => segue_trigger::Speaker::Bot,
            },
            text,
            utterance: self.utterance,
            stage: if self.is_final { Stage::Final } else { Stage::Partial },
            confidence: self.confidence,
            lasted: Duration::from_millis(self.lasted_ms),
        })
    }
}

/// Whether the gateway transcribes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Transcription {
    /// `off`: spoken requests are not heard; keys, the bot's own word and words that the bot tells work.
    pub(crate) state: TranscriptionState,
    /// What transcribes: a word of `recognition.engine`.
    #[schema(example = "whisper")]
    engine: String,
    /// What turns it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "run `segue models fetch base.en-q8_0` and start segue again")]
    turn_on: Option<String>,
}

/// Whether anything is transcribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TranscriptionState {
    /// What is said is heard.
    On,
    /// It is not.
    Off,
}

impl From<&config::Transcription> for Transcription {
    fn from(inner: &config::Transcription) -> Self {
        let (state, turn_on) = match &inner.turn_on {
            None => (TranscriptionState::On, None),
            Some(remedy) => (TranscriptionState::Off, Some(remedy.clone())),
        };
        Self { state, engine: inner.engine.clone(), turn_on }
    }
}
