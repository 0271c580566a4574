//! REST, events, health and metrics: what other systems see of the gateway (SPEC §10).
//!
//! Wire types are this crate's own; the inner words never go out as they are. Everything that is shown or asked for
//! goes through one seam, [`Desk`], which the gateway implements. [`Board`] keeps what live calls look like from
//! their actions, and [`Feed`] keeps the latest news for subscribers; both are the gateway's to fill.
//! Nothing here waits for a caller's sound, and nothing of a caller's sound waits for anything here.

mod board;
mod config;
mod desk;
mod events;
mod extract;
mod feed;
mod guard;
mod idempotency;
mod openapi;
mod picture;
mod problem;
mod routes;
mod serve;
mod snapshot;
mod wire;

pub use board::Board;
pub use config::{ApiConfig, ApiKey, ApiKeyError, ExposedBind, Scope, Transcription, bind_allowed};
pub use desk::{
    Answer, Asked, CallFound, CallQuery, CallsFound, Desk, DeskError, Readiness, RecordingOrder,
    RecordingState, ToldWords,
};
pub use feed::{Feed, FeedItem, Gap, News, RecognitionStep};
pub use openapi::document;
pub use problem::Problem;
pub use routes::{paths, router};
pub use serve::serve;
pub use snapshot::{
    AgentSnapshot, CallEnd, CallOutline, CallSnapshot, HandoffSnapshot, LegSnapshot, QueueSnapshot,
};
