//! Hearing when somebody speaks: voice activity and where an utterance begins and ends.

mod endpoint;
mod voice;

pub use endpoint::{Cue, EndKind, Endpointer, Endpointing, FRAME, FRAME_LENGTH, Segment};
pub use voice::VoiceDetector;
