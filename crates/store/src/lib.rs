//! The event log of one node: every event of every call, append-only, on SQLite.
//!
//! One writer commits in groups; readers never wait for it (WAL). What a call *promises* is durable before it is
//! acted on ([`Store::promise`]); everything else rides along and is never waited for ([`Store::append`]).
//! A store in trouble is counted and reported, and never stops a call: sound does not depend on a disk.
//!
//! Order: lines become durable in the order in which they were handed over, so a kept promise means that every
//! line this call appended before it is kept too, unless `append` said that it was refused.

mod config;
mod effect;
mod error;
mod line;
mod query;
mod replay;
mod schema;
mod store;
mod writer;

pub use config::StoreConfig;
pub use error::{Refused, StoreError};
pub use line::{ActionDigest, LogLine, PolicyText, What};
pub use query::{CallFilter, CallPage, CallSummary, Counts, Cursor, StoredCall, StoredEvent, StoredHandoff};
pub use replay::{Difference, Followed, Replay, replay};
pub use store::{Health, Store};
pub use writer::Writer;
