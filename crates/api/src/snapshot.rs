//! What the gateway shows of calls, agents and queues, in the inner words. The wire types are made from these.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use segue_acd::{Activity, AgentId, Language, Presence, QueueId, Skill, WaitEstimate};
use segue_call::{
    AttemptId, Brief, CallId, Conversation, EndedBy, HandoffRecord, HandoffState, LegQuality, PacketCounts,
    Party, Phase, TranscriptGap,
};
use segue_trigger::{Utterance, UtteranceId};

/// One call in a few words, as it stands in a listing. Times are since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutline {
    /// Which call.
    pub id: CallId,
    /// When it began.
    pub started: Duration,
    /// How it ended; `None` while it lives.
    pub ended: Option<CallEnd>,
    /// Where it is.
    pub phase: Phase,
    /// The caller's number, as far as the network told; empty if withheld.
    pub caller: String,
    /// The language the caller is spoken to in.
    pub language: Language,
    /// Final utterances so far.
    pub utterances: u32,
    /// How many handoffs it had.
    pub handoffs: u32,
    /// Where the last handoff is.
    pub handoff: Option<HandoffState>,
    /// The last handoff's primary reason, such as `explicit_request`.
    pub reason: Option<String>,
    /// The agent concerned.
    pub agent: Option<AgentId>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// When, since the Unix epoch.
    pub at: Duration,
    /// Who ended it; `None` where it was lost, and nobody knows.
    pub by: Option<EndedBy>,
}

/// One call in full.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSnapshot {
    /// In a few words.
    pub outline: CallOutline,
    /// Its legs, in the order in which they came; for a call that is over, those whose sound was measured.
    pub legs: Vec<LegSnapshot>,
    /// Final utterances of everybody, in the order in which they began.
    pub transcript: Vec<Utterance>,
    /// Holes in it, in the order in which they were told.
    pub gaps: Vec<TranscriptGap>,
    /// Its handoffs, in order. The last one is the one that requests are about.
    pub handoffs: Vec<HandoffSnapshot>,
    /// The bot's last confidence in 0..=1, if it told any.
    pub bot_confidence: Option<f32>,
    /// Who spoke over whom, so far.
    pub conversation: Conversation,
    /// Finished utterances that were echoes, and what is left of each.
    pub echoes: BTreeMap<UtteranceId, Option<String>>,
}

/// One leg of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LegSnapshot {
    /// Which leg.
    pub attempt: AttemptId,
    /// Whose.
    pub party: Party,
    /// Whether it is up.
    pub up: bool,
    /// What its sound was worth lately, or over its whole life when it is over.
    pub quality: Option<LegQuality>,
    /// What came and went; known when it is over.
    pub packets: Option<PacketCounts>,
}

/// One handoff with its context.
#[derive(Clone, Debug, PartialEq)]
pub struct HandoffSnapshot {
    /// Its state, reasons and times.
    pub record: HandoffRecord,
    /// The newest brief.
    pub brief: Option<Arc<Brief>>,
    /// The queue it waits in or waited in.
    pub queue: Option<QueueId>,
    /// Skills that are asked of the agent.
    pub skills: BTreeSet<Skill>,
    /// The place in the queue, 1 is next, and the expected wait, while it waits.
    pub waiting: Option<(u32, WaitEstimate)>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSnapshot {
    /// Which agent.
    pub id: AgentId,
    /// The name as it is spoken to the caller.
    pub name: String,
    /// What they say of themselves, or what we know of them.
    pub presence: Presence,
    /// What they are doing.
    pub activity: Activity,
    /// Whether their phone can be reached: registered, or a fixed address.
    pub reachable: bool,
    /// The call they are held for or are in.
    pub call: Option<CallId>,
    /// What they know.
    pub skills: BTreeSet<Skill>,
    /// What they speak.
    pub languages: BTreeSet<Language>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSnapshot {
    /// Which queue.
    pub id: QueueId,
    /// Whether it is inside its business hours.
    pub open: bool,
    /// Calls that wait.
    pub waiting: u32,
    /// Calls it may hold.
    pub waiting_max: u32,
    /// Since when the caller who has waited longest waits, since the Unix epoch.
    pub oldest: Option<Duration>,
    /// What a call that comes now would wait.
    pub wait: Option<WaitEstimate>,
    /// Agents who could take a call now.
    pub agents_ready: u32,
    /// Agents who are signed in, ready or busy.
    pub agents_present: u32,
}
