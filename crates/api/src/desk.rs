//! The seam to the gateway: what can be seen of it and asked of it.

use std::{future::Future, pin::Pin, time::Duration};

use segue_acd::{AgentId, Presence, QueueId};
use segue_call::{AgentChoice, CallId, HandoffOrder, HandoffState};
use segue_trigger::{Speaker, Stage};

use crate::{
    feed::Feed,
    snapshot::{AgentSnapshot, CallOutline, CallSnapshot, HandoffSnapshot, QueueSnapshot},
};

/// An answer that may take a while. One that takes longer than
/// [`ApiConfig::desk_wait_max`](crate::ApiConfig::desk_wait_max) is not waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// The gateway, as seen from outside. An answer's future may be dropped at any time: what was asked for still
/// happens or does not, but never by half.
pub trait Desk: Send + Sync {
    /// Lists calls, live and ended, newest first, by start.
    fn calls<'a>(&'a self, query: &'a CallQuery) -> Answer<'a, CallsFound>;

    /// Shows one call, live or ended.
    fn call<'a>(&'a self, call: &'a CallId) -> Answer<'a, CallSnapshot>;

    /// Asks for a handoff of a live call. If one is under way already, that one is given (a handoff is latched).
    fn ask_handoff<'a>(&'a self, call: &'a CallId, order: HandoffOrder) -> Answer<'a, Asked>;

    /// Takes the handoff under way back, which is possible before the bridge.
    fn recall_handoff<'a>(&'a self, call: &'a CallId) -> Answer<'a, HandoffSnapshot>;

    /// Chooses for the agent who is being briefed.
    fn choose<'a>(&'a self, call: &'a CallId, choice: AgentChoice) -> Answer<'a, HandoffSnapshot>;

    /// Takes words of a live call that somebody else recognised, such as its bot.
    fn hear<'a>(&'a self, call: &'a CallId, told: ToldWords) -> Answer<'a, ()>;

    /// Begins, pauses, continues or ends the recording of a live call.
    fn record<'a>(&'a self, call: &'a CallId, order: RecordingOrder) -> Answer<'a, RecordingState>;

    /// Shows every agent, by id.
    fn agents(&self) -> Answer<'_, Vec<AgentSnapshot>>;

    /// Sets what an agent says of themselves.
    fn set_presence<'a>(&'a self, agent: &'a AgentId, presence: Presence) -> Answer<'a, AgentSnapshot>;

    /// Shows every queue, by id.
    fn queues(&self) -> Answer<'_, Vec<QueueSnapshot>>;

    /// The news for subscribers.
    fn feed(&self) -> &Feed;

    /// Whether calls are taken.
    fn readiness(&self) -> Readiness;

    /// The metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;
}

/// What shall be done about a call's recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingOrder {
    /// Begin one; one that runs or is paused stays as it is.
    Start,
    /// Keep nothing for a while.
    Pause,
    /// Go on.
    Resume,
    /// End it.
    Stop,
}

/// Where a call's recording is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingState {
    /// There is none.
    #[default]
    Off,
    /// What is said is kept.
    Running,
    /// What is said is not kept.
    Paused,
}

/// Which calls to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallQuery {
    /// Only those that have ended, or only those that live.
    pub ended: Option<bool>,
    /// Only those whose last handoff is in this state.
    pub handoff: Option<HandoffState>,
    /// Only those of this agent.
    pub agent: Option<AgentId>,
    /// Only those after this place in the listing.
    pub before: Option<CallFound>,
    /// How many, at most; at least 1.
    pub limit: u32,
}

/// A place in the listing of calls. Older calls come after it; among calls of one instant, smaller ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallFound {
    /// When the call began, since the Unix epoch.
    pub started: Duration,
    /// Which call.
    pub id: CallId,
}

/// One page of calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallsFound {
    /// Newest first.
    pub calls: Vec<CallOutline>,
    /// Whether there are older ones.
    pub more: bool,
}

/// The answer to a wish for a handoff.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The handoff.
    pub handoff: HandoffSnapshot,
    /// Whether it was opened by this wish; otherwise it was under way already.
    pub opened: bool,
}

/// Whether the gateway takes calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why it does not, in plain sentences; empty if it does.
    pub reasons: Vec<String>,
}

/// Words that somebody else recognised. They count as said when they are told, and as begun so much earlier as they
/// lasted.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldWords {
    /// Who said them.
    pub speaker: Speaker,
    /// The words, one clean line.
    pub text: String,
    /// Shared by a final and the partials before it, unique to them in the call and for the speaker.
    pub utterance: Option<u64>,
    /// Whether they may still change.
    pub stage: Stage,
    /// How sure they are, 0..=1.
    pub confidence: f32,
    /// How long they took to say.
    pub lasted: Duration,
}

/// Why the gateway did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// The client's: there is no such call.
    #[error("no call has the id {0}")]
    NoSuchCall(CallId),
    /// The client's: there is no such agent.
    #[error("no agent has the id {0}")]
    NoSuchAgent(AgentId),
    /// The client's: there is no such queue.
    #[error("no queue has the name {0}")]
    NoSuchQueue(QueueId),
    /// Nobody's: the call has ended.
    #[error("the call has ended")]
    CallEnded,
    /// The client's: no handoff is under way.
    #[error("the call has no handoff under way")]
    NoHandoff,
    /// Nobody's: too late to take it back.
    #[error("caller and agent are already bridged")]
    AlreadyBridged,
    /// The client's: there is nothing to choose, in this state.
    #[error("no agent is being briefed: the handoff is {0:?}")]
    NothingToChoose(HandoffState),
    /// The client's: the gateway hears for itself, and words would be in the transcript twice.
    #[error(
        "the gateway transcribes this call itself (recognition.engine), and would have these words twice"
    )]
    TranscribedHere,
    /// The operator's: nobody may be recorded here.
    #[error("recording is off: recording.mode in the configuration allows it")]
    RecordingOff,
    /// The client's: there is no recording to pause or to continue.
    #[error("the call is not being recorded")]
    NotRecorded,
    /// Ours: a limit is reached.
    #[error("the gateway is at its limit: {0}")]
    Busy(String),
    /// Ours: it is starting, or going down.
    #[error("the gateway is not taking requests: {0}")]
    NotReady(String),
    /// Ours: something broke.
    #[error("the gateway could not do it: {0}")]
    Failed(String),
}
