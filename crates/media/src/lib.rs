//! The pure half of the media engine: packets, commands and ticks in; packets, reports and tap frames out.
//!
//! No socket, no clock, no thread. `crates/gateway/src/media` drives one `Engine` on each media thread.

mod command;
mod session;

pub use command::{
    Channel, Command, EarMeasure, LegId, LegStats, PlayId, Report, Sound, Source, TapFrame, Transmit,
};
pub use session::{Codec, Direction, MediaDescription};
