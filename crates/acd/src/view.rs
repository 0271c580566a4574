//! What others may see of the distributor: snapshots of agents and queues.

use std::{collections::BTreeSet, time::Duration};

use crate::words::{Activity, AgentId, Language, Presence, QueueId, ReservationId, Skill};

/// One agent at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// The agent.
    pub id: AgentId,
    /// The name as it is spoken.
    pub name: String,
    /// What the agent says of themselves, or what we concluded from a call they did not answer.
    pub presence: Presence,
    /// Whether the agent's phone is registered here.
    pub registered: bool,
    /// Whether the agent can be rung: registered, or at a fixed address.
    pub reachable: bool,
    /// What the agent does.
    pub activity: Activity,
    /// Since when, on the gateway's clock (since the Unix epoch).
    pub since: Duration,
    /// The reservation that the agent is held or talking for.
    pub reservation: Option<ReservationId>,
    /// What the agent knows.
    pub skills: BTreeSet<Skill>,
    /// What the agent speaks.
    pub languages: BTreeSet<Language>,
}

/// One queue at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// The queue.
    pub id: QueueId,
    /// How it is spoken to the caller.
    pub spoken: String,
    /// How many calls wait.
    pub waiting: u32,
    /// How long the one who waits the longest has waited.
    pub longest_wait: Duration,
    /// How many agents serve it, be they idle or busy.
    pub staffed: u32,
    /// How many of them could take a call this moment.
    pub ready: u32,
    /// How long a call keeps an agent on average.
    pub handle_time: Duration,
    /// Whether it is within its hours.
    pub open: bool,
}
