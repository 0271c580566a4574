//! Call control: the life of one call as events in and actions out.
//!
//! Pure: no clock, no I/O, no chance. The gateway, the simulator and the replay drive the same code.
//! One mutation, then take every action, then wait for one event or the one alarm.

mod action;
mod brief;
mod event;
mod party;
mod record;
mod state;

pub use action::{Action, Destination, HangUpWhy, Prompt, RefuseWhy, Source, Style};
pub use brief::{Brief, Entity, EntityKind, Fact, Metadata};
pub use event::{AgentChoice, Declared, DialFailure, Event, HandoffOrder, LegEnd, PlayedHow};
pub use party::{AttemptId, CallId, Party, PlaybackId};
pub use record::{CallRecord, EndedBy, Entry, HandoffRecord, Milestone};
pub use state::{HandoffState, Phase};
