//! Synthesis: text in, telephone sound out. Runs where it is called, so never call it on a media thread.

mod flite;

use std::time::Duration;

pub use flite::Flite;

/// Speaks.
pub trait Synthesizer: Send + Sync {
    /// Speaks a text as it stands: pass it through [`crate::normalise`] first if it holds digits or signs.
    ///
    /// Gives mono 16 bit samples at 8 kHz, active speech at −22 dBov, silence at both ends cut to ≤ 60 ms.
    /// Takes about a hundredth of the sound's own length of CPU time with flite.
    ///
    /// # Errors
    /// When the text is empty, too long, or the engine made nothing of it.
    fn speak(&self, text: &str, style: VoiceStyle) -> Result<Vec<i16>, SynthesisError>;
}

/// Who speaks, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VoiceStyle {
    /// The speaker.
    pub voice: Voice,
    /// The speed.
    pub pace: Pace,
}

impl VoiceStyle {
    /// For prompts to the caller.
    pub const PROMPT: VoiceStyle = VoiceStyle { voice: Voice::Rms, pace: Pace::Normal };
    /// For the brief whispered to an agent: every second of it is a second the caller waits.
    pub const WHISPER: VoiceStyle = VoiceStyle { voice: Voice::Rms, pace: Pace::Brisk };
}

/// The speakers that are linked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Voice {
    /// American man, the clearest; our own voice.
    #[default]
    Rms,
    /// American woman.
    Slt,
    /// Scottish man.
    Awb,
    /// American man, diphones at 8 kHz: plainly a machine, for bots in tests and the demo.
    Kal,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Pace {
    /// The speaker's own.
    #[default]
    Normal,
    /// 0.85 of the time.
    Brisk,
}

impl Pace {
    /// Length of the speech against the speaker's own.
    #[must_use]
    pub const fn stretch(self) -> f32 {
        match self {
            Pace::Normal => 1.0,
            Pace::Brisk => 0.85,
        }
    }
}

/// Why nothing was spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SynthesisError {
    /// Our caller gave no word.
    #[error("there is nothing to say: the text holds no letter or digit")]
    NothingToSay,
    /// Our caller gave too much.
    #[error("the text has {length} characters, {limit} is the limit: split it into sentences")]
    TooLong {
        /// Characters given.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// The engine failed.
    #[error("the synthesiser made nothing of a text of {length} characters")]
    Engine {
        /// Characters given.
        length: usize,
    },
}

/// The longest text that is spoken in one go, in characters; about two minutes.
pub const TEXT_MAX: usize = 2_000;

/// How long a sound lasts.
#[must_use]
pub fn length_of(samples: &[i16]) -> Duration {
    Duration::from_micros(samples.len() as u64 * 125)
}
