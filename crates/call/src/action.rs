//! Everything a call can ask of the world. The edges carry these out, in order, and decide nothing.

use std::sync::Arc;

use segue_acd::{AgentId, Refusal, ReservationId, Ticket, TicketId};
use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    party::{AttemptId, Party, PlaybackId},
    record::{Entry, Milestone},
};

/// Something to be done. Actions are carried out in the order they are given; one that needs the store
/// ([`Action::Promise`]) is finished before the next begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    /// Answer the caller's leg.
    AnswerCaller,
    /// Refuse the caller's leg, which was not answered.
    RefuseCaller {
        /// Why.
        why: RefuseWhy,
    },
    /// Reach the bot or an agent. Ends in `Answered` or `Failed` with the same attempt.
    Dial {
        /// The id that comes back.
        attempt: AttemptId,
        /// Whom.
        to: Destination,
    },
    /// Stop an attempt that has not been answered, or hang up a leg that has. Nothing comes back.
    HangUp {
        /// Which leg.
        attempt: AttemptId,
        /// Why, for the log and for a Reason header.
        why: HangUpWhy,
    },
    /// Set what ears hear when no prompt plays. All of them change on one tick.
    Wire {
        /// Ear and source; ears that are not named keep theirs.
        ears: Vec<(Party, Source)>,
    },
    /// Play a prompt to one ear in place of its source. It replaces a prompt that is playing there.
    /// Ends in `Played` with the same id.
    Play {
        /// The id that comes back.
        playback: PlaybackId,
        /// Whose ear. Nobody else hears it.
        ear: Party,
        /// What.
        prompt: Prompt,
    },
    /// Stop a prompt. Ends in `Played` too.
    StopPlay {
        /// Which one.
        playback: PlaybackId,
    },
    /// Have this prompt rendered before it is needed (B12). Nothing comes back.
    Prepare {
        /// What.
        prompt: Prompt,
    },
    /// Wait in a queue. News comes back as `Notice`.
    Enqueue {
        /// The place.
        ticket: Ticket,
    },
    /// Leave the queue, or give back the agent held for the ticket.
    Withdraw {
        /// Which place.
        ticket: TicketId,
    },
    /// The reserved agent did not take the call. The ticket goes on waiting, at the front.
    AgentRefused {
        /// The reservation that ends.
        reservation: ReservationId,
        /// How.
        refusal: Refusal,
    },
    /// The reserved agent is bridged: the ticket is served.
    AgentTook {
        /// Which reservation.
        reservation: ReservationId,
    },
    /// The agent is free again (wrap-up begins).
    AgentFree {
        /// Which reservation.
        reservation: ReservationId,
    },
    /// The agent gave the conversation to somebody else and wraps up. If that is an agent of ours, the reservation is
    /// theirs from here on.
    AgentMoved {
        /// Which reservation.
        reservation: ReservationId,
        /// Whose it is now; `None` for somebody outside.
        to: Option<AgentId>,
    },
    /// Show the brief to the agent while the phone rings, and keep it current.
    ShowBrief {
        /// Who sees it.
        agent: AgentId,
        /// The brief.
        brief: Arc<Brief>,
    },
    /// Store this durably BEFORE the next action.
    Promise(Entry),
    /// Store this; do not wait.
    Note(Entry),
    /// Tell subscribers (events, metrics, pages).
    Publish(Milestone),
    /// The call is over: every leg is down, every place given back.
    Finished,
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// The configured bot.
    Bot,
    /// An agent.
    Agent(AgentId),
}

/// What an ear hears when no prompt plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Comfort noise.
    Quiet,
    /// Hold music.
    Hold,
    /// Another party's voice.
    Voice(Party),
}

/// Something to be spoken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prompt {
    /// The sentence, ready to be spoken but for numbers, which the synthesiser's normaliser reads out.
    pub text: String,
    /// A BCP 47 tag.
    pub language: String,
    /// How it is spoken.
    pub style: Style,
}

/// How a prompt is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// To the caller, unhurried.
    Announcement,
    /// To the agent, a little faster.
    Whisper,
}

/// Why a caller is refused at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseWhy {
    /// Neither bot nor human can take the call.
    NobodyToTalkTo,
    /// The gateway is going down.
    ShuttingDown,
}

/// Why we hang up a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HangUpWhy {
    /// The other side of the conversation ended it.
    PeerHungUp,
    /// The party is not needed any more: the bot after the bridge.
    Replaced,
    /// The agent declined, or their time to accept was over.
    NotAccepted,
    /// Nobody answered in time.
    NoAnswer,
    /// The handoff was taken back or the caller went away.
    Canceled,
    /// The call cannot go on.
    Failed,
    /// Nothing was heard of the party any more.
    Dead,
    /// The gateway is going down.
    ShuttingDown,
}
