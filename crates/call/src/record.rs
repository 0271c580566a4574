//! What a call leaves behind: entries for the store and milestones for subscribers.

use std::{sync::Arc, time::Duration};

use segue_acd::{AgentId, Language, QueueId, WaitEstimate};
use segue_trigger::{Decision, Reason, Speaker, Utterance, UtteranceId};
use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    conversation::{Conversation, ConversationNews},
    party::{AttemptId, Party},
    quality::{LegQuality, LegRecord},
    state::{HandoffState, Phase},
};

/// Something to be kept about the call, besides the events themselves, which the gateway logs as they come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub enum Entry {
    /// A handoff was opened, with the context as it was then.
    HandoffOpened {
        /// Its number in the call, from 1.
        handoff: u32,
        /// What fired.
        decision: Decision,
        /// The brief at that moment.
        brief: Arc<Brief>,
    },
    /// The call took its place in a queue.
    Ticket {
        /// Which handoff.
        handoff: u32,
        /// Which queue.
        queue: QueueId,
        /// When the wait began; kept if the call is offered again.
        since: Duration,
    },
    /// The brief reached the agent (C01).
    BriefDelivered {
        /// Which handoff.
        handoff: u32,
        /// Who got it.
        agent: AgentId,
        /// Which revision.
        revision: u32,
    },
    /// The agent accepted.
    Accepted {
        /// Which handoff.
        handoff: u32,
        /// Who.
        agent: AgentId,
    },
    /// Caller and agent hear each other from here on.
    Bridged {
        /// Which handoff.
        handoff: u32,
        /// Who.
        agent: AgentId,
    },
    /// A handoff ended, well or not.
    HandoffClosed {
        /// Which handoff.
        handoff: u32,
        /// Its last state.
        state: HandoffState,
    },
    /// A finished piece of transcript was an echo of what its leg was sent, all or in part.
    Echo {
        /// Which one.
        utterance: UtteranceId,
        /// What is left of it, if something is.
        rest: Option<String>,
    },
    /// A leg's sound is over; told by the gateway, perhaps after the sum of the call.
    LegMeasured(LegRecord),
    /// The transcript has a hole; told by the gateway, perhaps after the sum of the call.
    TranscriptGap(TranscriptGap),
    /// The whole call, once, at its end.
    CallRecord(CallRecord),
}

/// Somebody said something that is not known. Times are since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptGap {
    /// Whose words are missing.
    pub speaker: Speaker,
    /// From when.
    pub start: Duration,
    /// Until when.
    pub end: Duration,
    /// Why.
    pub cause: GapCause,
}

/// Why something said is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Recognition could not keep up.
    Overload,
    /// Sound never came from the network.
    AudioLost,
    /// Sound came faster than it was taken.
    FramesDropped,
    /// The engine failed or took too long.
    EngineFailed,
    /// The gateway went down before it was decoded.
    Stopped,
}

/// The sum of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it began, since the Unix epoch.
    pub started: Duration,
    /// When it ended.
    pub ended: Duration,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Every handoff of the call, in order.
    pub handoffs: Vec<HandoffRecord>,
    /// Final utterances.
    pub utterances: u32,
    /// The caller's language, if it was found out to be another than the call began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Who spoke over whom, and how often.
    #[serde(default, skip_serializing_if = "Conversation::is_empty")]
    pub conversation: Conversation,
}

/// The sum of one handoff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandoffRecord {
    /// Its number in the call, from 1.
    pub handoff: u32,
    /// Where it ended.
    pub state: HandoffState,
    /// What fired.
    pub reason: Reason,
    /// Reasons that held at the same time.
    pub contributing: Vec<Reason>,
    /// Who took it, or was last asked.
    pub agent: Option<AgentId>,
    /// When it was asked for.
    pub requested: Duration,
    /// When the announcement began.
    pub announced: Option<Duration>,
    /// When the brief reached the agent who took it.
    pub brief_delivered: Option<Duration>,
    /// When the agent's phone was answered.
    pub answered: Option<Duration>,
    /// When the agent accepted.
    pub accepted: Option<Duration>,
    /// When the bridge closed.
    pub bridged: Option<Duration>,
    /// When the handoff was over.
    pub closed: Option<Duration>,
    /// Agents that were offered the call and did not take it.
    pub refused: Vec<AgentId>,
}

impl HandoffRecord {
    /// A handoff that has just been asked for, at a time since the Unix epoch.
    #[must_use]
    pub fn new(handoff: u32, reason: Reason, requested: Duration) -> Self {
        Self {
            handoff,
            state: HandoffState::Requested,
            reason,
            contributing: Vec::new(),
            agent: None,
            requested,
            announced: None,
            brief_delivered: None,
            answered: None,
            accepted: None,
            bridged: None,
            closed: None,
            refused: Vec::new(),
        }
    }
}

/// Who ended the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The caller hung up.
    Caller,
    /// The bot hung up and declared no handoff.
    Bot,
    /// The agent hung up.
    Agent,
    /// Nobody: the caller's leg broke, or nothing was heard of it any more.
    Lost,
    /// We ended it: no one to talk to, a deadline, a shutdown.
    Us,
}

/// What became of a call's recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingNews {
    /// It began.
    Started,
    /// Nothing is kept for a while.
    Paused,
    /// It goes on.
    Resumed,
    /// It ended as it should.
    Stopped,
    /// It ended because it could not be written.
    Failed,
}

/// News for subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "milestone")]
pub enum Milestone {
    /// The call is in a new phase.
    Phase {
        /// Which one.
        phase: Phase,
    },
    /// A piece of transcript, partial or final.
    Heard(Utterance),
    /// A rule fired.
    Decided(Decision),
    /// A handoff is in a new state.
    Handoff {
        /// Which one.
        handoff: u32,
        /// Its state.
        state: HandoffState,
        /// The agent concerned, if there is one.
        agent: Option<AgentId>,
    },
    /// The caller's place in the queue.
    Waiting {
        /// 1 is next.
        position: u32,
        /// The expected wait.
        wait: WaitEstimate,
    },
    /// A prompt began.
    Saying {
        /// To whom.
        ear: Party,
        /// What.
        text: String,
    },
    /// A leg came or went.
    Leg {
        /// Which one.
        attempt: AttemptId,
        /// Whose.
        party: Party,
        /// Up or down.
        up: bool,
    },
    /// What a leg's sound is worth. Told by the gateway, not by the call.
    Quality {
        /// Which leg.
        attempt: AttemptId,
        /// Whose.
        party: Party,
        /// Over the last few seconds, or its whole life.
        quality: LegQuality,
        /// The leg is over, and this is of its whole life.
        whole: bool,
    },
    /// Who spoke over whom, what was an echo, which language is spoken.
    Conversation(ConversationNews),
    /// The call's recording began, paused, went on or ended. Told by the gateway, not by the call.
    Recording(RecordingNews),
    /// The transcript has a hole. Told by the gateway, not by the call.
    TranscriptGap(TranscriptGap),
    /// The brief was rewritten.
    Brief(Arc<Brief>),
    /// The call is over.
    Ended {
        /// Who ended it.
        by: EndedBy,
    },
}
