//! The seam between the pool and an engine that decodes whole utterances.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Clock, SpeechError};
use crate::ffi::AskAbort;

/// Makes decoders that share one model.
pub trait Engine: Send + Sync {
    /// For logs and the health page.
    fn name(&self) -> &str;
    /// The longest utterance it can take in one go, if shorter than the endpointing's own limit.
    fn longest(&self) -> Option<Duration>;
    /// Whether a decoder is slow until it has decoded once. A service elsewhere is not asked before it is needed.
    fn warms_up(&self) -> bool {
        true
    }
    /// A decode that has not asked whether to stop for so long hangs: its worker is given up, and what it was
    /// decoding is fed to another.
    fn silent_max(&self) -> Duration {
        Duration::from_secs(3)
    }
    /// A decoder for one worker thread, made on that thread.
    ///
    /// # Errors
    /// When the model cannot give one, for want of memory for example.
    fn decoder(&self) -> Result<Box<dyn Decoder>, SpeechError>;
}

/// Decodes, one utterance at a time, on its own thread.
pub trait Decoder {
    /// Gives the words in the sound (mono, 16 kHz). Asks `stop` often and gives up when told.
    ///
    /// # Errors
    /// When it was stopped or failed; the decoder can be used again.
    fn decode(&mut self, sound: &[i16], language: Option<&str>, stop: &Stop) -> Result<Decoded, DecodeError>;
}

/// What an utterance holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The words; empty when nothing was said, or nothing that the engine is sure of.
    pub text: String,
    /// Mean token probability, 0..=1.
    pub confidence: f32,
    /// Whether it took a second attempt.
    pub retried: bool,
    /// Whether there were words, left out because the engine's confidence in them was too low.
    pub unsure: bool,
    /// The language that it heard, where it looked.
    pub language: Option<Spoken>,
}

/// A language that was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// Two letters (ISO 639-1).
    pub language: String,
    /// How sure that is, 0..=1, among the languages that may be spoken.
    pub probability: f32,
}

/// Why there are no words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nobody wants the answer any more, or it took three times its budget.
    #[error("the decode was stopped")]
    Stopped,
    /// The engine failed.
    #[error("the engine failed: {0}")]
    Failed(String),
}

/// When a decode must end.
#[derive(Clone)]
pub struct Stop {
    pub(crate) pool: Arc<AtomicBool>,
    pub(crate) job: Arc<AtomicBool>,
    pub(crate) deadline: Duration,
    pub(crate) clock: Clock,
    /// Counts the questions.
    pub(crate) beats: Arc<AtomicU64>,
}

impl Stop {
    /// At a moment of a clock.
    #[must_use]
    pub fn at(deadline: Duration, clock: Clock) -> Stop {
        Stop { pool: Arc::default(), job: Arc::default(), deadline, clock, beats: Arc::default() }
    }

    /// True when the decode should give up now.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.pool.load(Ordering::Relaxed)
            || self.job.load(Ordering::Relaxed)
            || (self.clock)() >= self.deadline
    }

    /// The same with a nearer deadline, so long after now, and a sign of its own that ends it alone.
    #[must_use]
    pub(crate) fn within(&self, time: Duration) -> Stop {
        let deadline = (self.clock)().saturating_add(time).min(self.deadline);
        Stop { job: Arc::default(), deadline, ..self.clone() }
    }

    /// How long until the deadline.
    pub(crate) fn rest(&self) -> Duration {
        self.deadline.saturating_sub((self.clock)())
    }
}

impl AskAbort for Stop {
    fn abort(&self) -> bool {
        self.asked()
    }
}
