//! Agents and queues on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{milliseconds, time, words::Activity};
use crate::snapshot::{AgentSnapshot, QueueSnapshot};

/// Whether an agent takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presence {
    /// Ready to take a call.
    Available,
    /// Not ready.
    Away,
}

/// What an agent says of themselves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresenceOrder {
    /// Whether they take calls.
    pub(crate) presence: Presence,
    /// Why they do not, at most 100 characters; only with `away`.
    #[serde(default)]
    #[schema(example = "lunch", max_length = 100)]
    pub(crate) reason: Option<String>,
}

/// One agent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Agent {
    /// The agent's id.
    #[schema(example = "alex")]
    pub(crate) id: String,
    /// The name as it is spoken to callers.
    pub(crate) name: String,
    /// Whether they take calls.
    pub(crate) presence: Presence,
    /// Why they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) away_reason: Option<String>,
    /// What they are doing.
    pub(crate) activity: Activity,
    /// Whether their phone can be reached.
    pub(crate) reachable: bool,
    /// The call they are held for or are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    /// What they know.
    pub(crate) skills: Vec<String>,
    /// What they speak, BCP 47.
    pub(crate) languages: Vec<String>,
}

/// Every agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentList {
    /// By id.
    pub(crate) agents: Vec<Agent>,
}

/// One queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// The queue's name.
    #[schema(example = "billing")]
    pub(crate) id: String,
    /// Whether it is inside its business hours.
    pub(crate) open: bool,
    /// Calls that wait.
    pub(crate) waiting: u32,
    /// Calls it may hold.
    pub(crate) waiting_max: u32,
    /// Since when the caller who has waited longest waits, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) oldest: Option<String>,
    /// A call that comes now waits no shorter than this, in milliseconds; absent if nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wait_least_ms: Option<u64>,
    /// A call that comes now probably waits no longer than this, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wait_most_ms: Option<u64>,
    /// Agents who could take a call now.
    pub(crate) agents_ready: u32,
    /// Agents who are signed in, ready or busy.
    pub(crate) agents_present: u32,
}

/// Every queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueList {
    /// By name.
    pub(crate) queues: Vec<Queue>,
}

impl From<&AgentSnapshot> for Agent {
    fn from(agent: &AgentSnapshot) -> Self {
        let (presence, away_reason) = match &agent.presence {
            segue_acd::Presence::Available => (Presence::Available, None),
            segue_acd::Presence::Away(why) => {
                (Presence::Away, Some(why.clone()).filter(|why| !why.is_empty()))
            }
        };
        Self {
            id: agent.id.0.clone(),
            name: agent.name.clone(),
            presence,
            away_reason,
            activity: agent.activity.into(),
            reachable: agent.reachable,
            call: agent.call.as_ref().map(|call| call.0.clone()),
            skills: agent.skills.iter().map(|skill| skill.0.clone()).collect(),
            languages: agent.languages.iter().map(|language| language.0.clone()).collect(),
        }
    }
}

impl From<&QueueSnapshot> for Queue {
    fn from(queue: &QueueSnapshot) -> Self {
        Self {
            id: queue.id.0.clone(),
            open: queue.open,
            waiting: queue.waiting,
            waiting_max: queue.waiting_max,
            oldest: queue.oldest.map(time),
            wait_least_ms: queue.wait.map(|wait| milliseconds(wait.least)),
            wait_most_ms: queue.wait.map(|wait| milliseconds(wait.most)),
            agents_ready: queue.agents_ready,
            agents_present: queue.agents_present,
        }
    }
}
