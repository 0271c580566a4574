//! The names of the states that others may see (SPEC §7). How a call moves between them is `control`'s business.

use serde::{Deserialize, Serialize};

/// Where a handoff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandoffState {
    /// A trigger fired, or somebody asked.
    Requested,
    /// The caller has been told.
    Announced,
    /// Waiting for an agent.
    Queued,
    /// An agent is held for the call and sees the brief.
    Offered,
    /// The agent's phone rings.
    Ringing,
    /// The agent hears the whisper.
    Briefing,
    /// The agent accepted; the announcement is still being finished.
    Accepted,
    /// Caller and agent hear each other.
    Bridged,
    /// The conversation with the agent is over.
    Completed,
    /// Nobody could be offered: everybody away, queue full.
    Rejected,
    /// Something broke.
    Failed,
    /// The caller went away or the handoff was taken back.
    Canceled,
    /// The caller is called back later.
    CallbackScheduled,
}

/// Where the call as a whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The bot is being reached; the caller hears the greeting or hold.
    Connecting,
    /// Caller and bot talk.
    WithBot,
    /// A handoff is under way.
    HandingOff,
    /// Caller and agent talk.
    WithAgent,
    /// Legs are being taken down.
    Ending,
    /// Nothing is left.
    Ended,
}
