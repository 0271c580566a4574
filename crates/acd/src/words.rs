//! The words of call distribution that other crates speak too.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.to_owned())
            }
        }
    };
}

name!(
    /// Names one agent, as in `agents.toml`.
    AgentId
);
name!(
    /// Names one queue, such as `billing`.
    QueueId
);
name!(
    /// Something an agent knows, such as `refunds`.
    Skill
);
name!(
    /// A BCP 47 language tag, such as `en` or `es-MX`.
    Language
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// One call's place in a queue. Kept when the call is offered again, so the place is kept too.
    TicketId
);
number!(
    /// One agent held for one ticket. News about an older reservation changes nothing.
    ReservationId
);

/// What an agent says of themselves, or what we know of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum Presence {
    /// Ready to take a call.
    Available,
    /// Not ready, with the reason.
    Away(String),
}

/// What an agent is doing, as the distributor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Waiting for a call.
    Idle,
    /// Held for a ticket: being rung or briefed.
    Reserved,
    /// In a call.
    Talking,
    /// Writing up the last call.
    WrappingUp,
}

/// What a call asks of the distributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The call's place; the caller of `enqueue` picks a number that is new.
    pub id: TicketId,
    /// The queue it waits in.
    pub queue: QueueId,
    /// Skills an agent must have.
    pub skills: BTreeSet<Skill>,
    /// The language an agent must speak.
    pub language: Language,
    /// Raw priority score (R13); higher goes first.
    pub priority: u32,
    /// When the caller began to wait, on the gateway's clock (since the Unix epoch).
    pub since: Duration,
}

/// How long a caller will wait: an interval, because a single number would be a lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitEstimate {
    /// Not sooner than this.
    pub least: Duration,
    /// Probably not later than this.
    pub most: Duration,
}

/// How a reserved agent did not take the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The agent declined by key or click. They stay available.
    Declined,
    /// The agent's phone rang out. They are marked away (R11).
    NoAnswer,
    /// The agent's phone was busy or refused.
    Busy,
    /// The agent's phone could not be reached. They are marked away.
    Unreachable,
    /// The agent hung up before accepting.
    HungUp,
    /// The call went away; it is nobody's fault.
    CallGone,
}

/// Why a ticket cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unqueued {
    /// The queue holds as many calls as it may.
    QueueFull,
    /// Nobody who could take the call is signed in and available or busy.
    EverybodyAway,
    /// The queue is outside its business hours.
    Closed,
    /// No such queue is configured.
    UnknownQueue,
    /// An agent was held for the ticket longer than the lease allows and neither taken nor given back:
    /// the call is taken for dead. The fault is ours.
    Lapsed,
}

/// What the distributor tells about a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The ticket waits, or its place or estimate changed.
    Waiting {
        /// Which ticket.
        ticket: TicketId,
        /// Its place, 1 is next.
        position: u32,
        /// The expected wait.
        wait: WaitEstimate,
    },
    /// The ticket was not taken in, or can no longer be served.
    Unqueued {
        /// Which ticket.
        ticket: TicketId,
        /// Why.
        why: Unqueued,
    },
    /// An agent is held for the ticket.
    Reserved {
        /// Which ticket.
        ticket: TicketId,
        /// The reservation to name from now on.
        reservation: ReservationId,
        /// The agent.
        agent: AgentId,
        /// The agent's name as it is spoken to the caller.
        agent_name: String,
    },
}
