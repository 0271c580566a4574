//! Call control: the life of one call as events in and actions out.
//!
//! Pure: no clock, no I/O, no chance. The gateway, the simulator and the replay drive the same code.
//! One mutation, then take every action, then wait for one event or the one alarm.

mod action;
mod brief;
mod context;
mod control;
mod conversation;
mod echo;
pub mod entity;
mod event;
mod party;
mod policy;
mod quality;
mod record;
mod start;
mod state;
pub mod writer;

pub use action::{Action, Destination, HangUpWhy, Prompt, RefuseWhy, Source, Style};
pub use brief::{Brief, Entity, EntityKind, Fact, Metadata};
pub use context::{Channel, Context, HandoffMetadata, HandoffRequest, TranscriptLine};
pub use control::{Call, CallView, HandoffView};
pub use conversation::{Conversation, ConversationNews, IdentifiedBy, VoiceNews};
pub use event::{AgentChoice, Declared, DialFailure, Event, HandoffOrder, LegEnd, PlayedHow};
pub use party::{AttemptId, CallId, Party, PlaybackId};
pub use policy::{Limits, Message, Policy, PolicyError, PromptError, Prompts, Routes, Speech, Times};
pub use quality::{LegQuality, LegRecord, PacketCounts, SoundQuality};
pub use record::{
    CallRecord, EndedBy, Entry, GapCause, HandoffRecord, Milestone, RecordingNews, TranscriptGap,
};
pub use start::{CallStart, CallerIdentity};
pub use state::{HandoffState, Phase};
pub use writer::{BriefInput, WhisperLimit, Writer};
