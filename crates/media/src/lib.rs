//! The pure half of the media engine: packets, commands and ticks in; packets, reports and tap frames out.
//!
//! No socket, no clock, no thread. `crates/gateway/src/media` drives one `Engine` on each media thread.

mod codec;
mod comfort;
mod command;
mod conceal;
mod delay;
mod dtmf;
mod ear;
mod emodel;
mod engine;
mod forward;
pub mod g711;
mod guard;
mod jitter;
mod keys;
mod legs;
pub mod level;
mod life;
mod lock;
mod mouth;
mod music;
mod noise;
mod outbox;
mod places;
mod playout;
mod presses;
mod quality;
pub mod random;
mod reception;
pub mod resample;
mod rtcp;
pub mod rtp;
pub mod security;
mod session;
pub mod srtp;
mod stretch;
pub mod tone;
mod voice;
mod watchdog;
pub mod wav;

pub use codec::{OpusEffort, PayloadDecoder, PayloadEncoder};
pub use command::{
    Channel, Command, EarFrame, EarMeasure, InBandKeys, LegId, LegStats, PlayId, Report, Sound, Source,
    TapFrame, TapPayload, Transmit,
};
pub use engine::{Engine, EngineConfig, EngineCounters};
pub use jitter::JitterLimits;
pub use life::DeadLimits;
pub use music::Music;
pub use places::Places;
pub use quality::{LegQuality, Quality};
pub use session::{Codec, Direction, MediaDescription, OpusWishes, WIDE_FRAME, WideFrame};
