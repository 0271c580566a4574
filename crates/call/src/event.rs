//! Everything that can happen to a call. The event log holds exactly these, so a call can be replayed.

use std::{collections::BTreeMap, time::Duration};

use segue_acd::{AgentId, Language, Notice, QueueId};
use segue_trigger::Utterance;
use serde::{Deserialize, Serialize};

use crate::{
    conversation::{IdentifiedBy, VoiceNews},
    party::{AttemptId, PlaybackId},
};

/// Something that happened. Late news (an old attempt, playback, ticket or reservation) changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The time that [`Call::poll_timeout`](crate::Call::poll_timeout) named has come.
    Alarm,
    /// A dialled phone rings.
    Ringing {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A dialled party answered; its media flows.
    Answered {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// A dialled party could not be reached, or refused.
    Failed {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        failure: DialFailure,
    },
    /// A leg that was up is gone.
    Ended {
        /// Which leg.
        attempt: AttemptId,
        /// How.
        cause: LegEnd,
        /// What the bot declared in its BYE, if it is the bot's leg and it declared anything.
        declared: Option<Declared>,
    },
    /// Nothing was heard of a leg that is up, for too long: neither sound nor RTCP, while its signalling looks alive.
    Dead {
        /// Which leg.
        attempt: AttemptId,
        /// For how long.
        silent: Duration,
    },
    /// The bot asks for a handoff while its leg stays up (REFER).
    BotDeclared(Declared),
    /// A key was pressed.
    Key {
        /// Whose leg.
        attempt: AttemptId,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// A party put the call on hold with its phone, or took it back.
    Held {
        /// Whose leg.
        attempt: AttemptId,
        /// On hold from here on, or not any more.
        held: bool,
    },
    /// The agent's phone gives the caller to a queue (REFER).
    Referred {
        /// The agent's attempt.
        attempt: AttemptId,
        /// Which queue.
        queue: QueueId,
    },
    /// The agent's phone gave their side of the call to somebody else (REFER, Replaces), who speaks on the same leg from
    /// here on.
    Transferred {
        /// The agent's attempt.
        attempt: AttemptId,
        /// Who it is, if it is an agent of ours.
        agent: Option<AgentId>,
        /// Their name as it is spoken; empty for anybody else.
        name: String,
    },
    /// A piece of transcript.
    Heard(Utterance),
    /// A voice, beside its words.
    Voice(VoiceNews),
    /// The caller's language was found out.
    Language {
        /// What they speak.
        language: Language,
        /// How that was found out.
        by: IdentifiedBy,
    },
    /// A prompt ended.
    Played {
        /// Which one.
        playback: PlaybackId,
        /// How.
        how: PlayedHow,
    },
    /// The distributor has news about this call's ticket.
    Notice(Notice),
    /// Somebody outside asks for a handoff (API).
    Asked(HandoffOrder),
    /// Somebody outside takes the handoff back before the bridge (API).
    Recalled {
        /// The handoff's number in the call.
        handoff: u32,
    },
    /// The agent accepts or declines on screen instead of by key (API).
    AgentChose {
        /// The agent's attempt.
        attempt: AttemptId,
        /// What they chose.
        choice: AgentChoice,
    },
    /// What a customer lookup found (C04).
    Customer(BTreeMap<String, String>),
    /// The gateway is going down: say sorry and end the call. A second time, or during the last words of a call
    /// that ends anyway, it ends at once.
    Shutdown,
}

/// What an agent may choose while being briefed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentChoice {
    /// Take the call (key 1).
    Accept,
    /// Leave it to somebody else (key 2).
    Decline,
    /// Hear the brief again (key `*`).
    Repeat,
}

/// How an attempt to reach a party failed, and thereby whose turn it is to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DialFailure {
    /// 486 or 600.
    Busy,
    /// 603, 403 and their like: the party does not want it.
    Declined,
    /// Rang until the time was over, or 480/408.
    NoAnswer,
    /// No such party, no registration, 404, no route, transport error.
    Unreachable,
    /// 488: no codec in common.
    NoCommonCodec,
    /// 5xx.
    ServerError,
    /// We gave up ourselves.
    Canceled,
}

/// How a leg that was up went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegEnd {
    /// The party hung up.
    HungUp,
    /// No media or no signalling for too long.
    Lost,
    /// The party's side reported an error.
    Error,
}

/// A handoff that the bot declares itself, with what it knows (X-headers, REFER, a dialect's message).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// Why, as a word such as `billing_dispute`; empty if the bot gave none.
    pub reason: String,
    /// Where to, a queue's name, if the bot said.
    pub queue: Option<String>,
    /// The bot's confidence in 0..=1, if it said.
    pub confidence: Option<f32>,
    /// The caller's intent, if the bot said.
    pub intent: Option<String>,
    /// A summary in the bot's words, if it gave one.
    pub summary: Option<String>,
    /// Everything else it sent, by name in lower case.
    pub details: BTreeMap<String, String>,
}

/// A handoff asked for by another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandoffOrder {
    /// Who asks, for the record.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Where to, if it matters.
    pub queue: Option<String>,
}

/// How a prompt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayedHow {
    /// To its end.
    Finished,
    /// Stopped by command, or replaced by another prompt.
    Stopped,
    /// It could not be rendered or played.
    Failed,
}
