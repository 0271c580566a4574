//! Hearing when somebody speaks: voice activity and where an utterance begins and ends.

mod endpoint;
mod hearing;
mod level;
mod network;

pub use endpoint::{Cue, EndKind, Endpointing, FRAME, FRAME_LENGTH, Segment};
pub use hearing::{Hearing, Samples};
pub use network::{Judge, VoiceDetector};
