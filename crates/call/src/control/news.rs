//! What an event means to the states: whose it is, and nothing that is late.

use segue_acd::{AgentId, Notice, QueueId};
use segue_trigger::Decision;

use super::{core::Spoken, timers::Timer};
use crate::event::{AgentChoice, DialFailure, LegEnd};

/// An event that is not late, in the words of the states.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// The bot answered.
    BotUp,
    /// The bot could not be reached.
    BotUnreached(DialFailure),
    /// The bot's leg, which was up, is gone, and it declared nothing.
    BotGone(LegEnd),
    /// The agent's phone rings.
    AgentRinging,
    /// The agent answered.
    AgentUp,
    /// The agent could not be reached.
    AgentUnreached(DialFailure),
    /// The agent's leg, which was up, is gone.
    AgentGone(LegEnd),
    /// The agent gives the caller to a queue.
    Referred(Request),
    /// Somebody else speaks on the agent's leg.
    AgentMoved(Moved),
    /// The agent chose by key or on screen.
    Choice(AgentChoice),
    /// A prompt ended; whether it was heard at all.
    Spoken(Spoken, Heard),
    /// Somebody or something wants a human for the caller.
    Request(Request),
    /// The distributor has news.
    Ticket(Notice),
    /// The handoff of this number is taken back.
    Recalled(u32),
    /// More is known: the brief has to be written anew.
    Learned,
    /// A timer fired.
    Due(Timer),
}

/// Whether a prompt was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All or a part of it.
    Yes,
    /// It could not be rendered or played.
    No,
}

/// To whom an agent gave their side of a call.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// `None` for somebody outside.
    pub(crate) agent: Option<AgentId>,
    /// As it is spoken; empty for somebody outside.
    pub(crate) name: String,
}

/// Why a human is wanted, and where, if that was said.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) decision: Decision,
    pub(crate) queue: Option<QueueId>,
}
