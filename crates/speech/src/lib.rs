//! Speech: recognition of what parties say and synthesis of what the gateway says, on threads of their own.
//!
//! Frames of a leg go in (`Stream::push`, never blocks), hypotheses with times and confidence come out.
//! No media thread ever waits here: queues are bounded, and at every bound the loss is counted or told.
//! Time is the gateway's: every moment is a `Duration` since the Unix epoch, read through `Clock`.

pub mod accuracy;
pub mod language;
pub mod listen;
pub mod models;
pub mod pool;
pub mod remote;
pub mod say;
pub mod sound;
pub mod speak;
pub mod whisper;

mod ffi;

pub use listen::{EndKind, Endpointing, VoiceDetector};
pub use models::{ModelCatalogue, ModelError, Verified};
pub use pool::{
    Attention, Clock, Gap, GapCause, Heard, Hypothesis, Ladder, Recognizer, Speech, SpeechConfig,
    SpeechError, SpeechStats, Spoken, Stream, StreamId, StreamOptions,
};
pub use remote::{Authorities, DeepgramEngine, DeepgramOptions, OpenAiEngine, OpenAiOptions};
pub use say::normalise;
pub use speak::{Flite, Pace, SynthesisError, Synthesizer, Voice, VoiceStyle};
pub use whisper::{UTTERANCE_LONGEST, WhisperEngine, WhisperOptions};
