//! Handoffs on the wire: the state, the reasons, the times, the card.

use std::collections::BTreeMap;

use segue_call::Brief;
use segue_trigger::Reason as InnerReason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    milliseconds,
    request::HandoffRequest,
    time,
    words::{EntityKind, HandoffState},
};
use crate::snapshot::{CallSnapshot, HandoffSnapshot};

/// The priority that is shown is capped here; the raw score only orders (R13).
const PRIORITY_SHOWN_MAX: u32 = 100;

/// A wish for a handoff.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandoffOrder {
    /// Why, in a word or a sentence; at most 200 characters.
    #[schema(example = "billing_dispute", min_length = 1, max_length = 200)]
    pub(crate) reason: String,
    /// The queue, if it matters; otherwise the routing decides.
    #[serde(default)]
    #[schema(example = "billing", max_length = 64)]
    pub(crate) queue: Option<String>,
}

/// A handoff: where it is, what the agent is told, and the object for other systems.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Handoff {
    /// The call.
    pub(crate) call: String,
    /// Its number in the call, from 1.
    pub(crate) number: u32,
    /// Where it is.
    pub(crate) state: HandoffState,
    /// What fired.
    pub(crate) reason: Reason,
    /// What held at the same time.
    pub(crate) contributing: Vec<Reason>,
    /// The agent who took it or is being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    /// Agents who were asked and did not take it.
    pub(crate) refused: Vec<String>,
    /// The queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    /// The place in the queue, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<Waiting>,
    /// When it reached its states.
    pub(crate) times: Times,
    /// What the agent is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// The whole context as one object; absent until there is a brief.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<HandoffRequest>,
}

/// A rule that fired, with what it saw.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// The rule's row in the specification.
    #[schema(example = "T01")]
    pub(crate) rule: String,
    /// A word for it.
    #[schema(example = "explicit_request")]
    pub(crate) code: String,
    /// What was seen.
    #[schema(example = "talk to a human")]
    pub(crate) evidence: String,
    /// The rule's value.
    pub(crate) value: f64,
    /// The utterance it was seen in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) utterance: Option<u32>,
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// 1 is next.
    pub(crate) position: u32,
    /// The wait is expected to be no shorter, in milliseconds.
    pub(crate) wait_least_ms: u64,
    /// The wait is expected to be no longer, in milliseconds.
    pub(crate) wait_most_ms: u64,
}

/// When a handoff reached its states, RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Times {
    /// It was asked for.
    #[schema(format = DateTime)]
    pub(crate) requested: String,
    /// The caller was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) announced: Option<String>,
    /// The brief reached the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) brief_delivered: Option<String>,
    /// The agent's phone was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) answered: Option<String>,
    /// The agent accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) accepted: Option<String>,
    /// The bridge closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) bridged: Option<String>,
    /// It was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) closed: Option<String>,
}

/// The card: what the agent sees while the phone rings.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Card {
    /// How often it has been rewritten; higher is newer.
    pub(crate) revision: u32,
    /// The caller's goal.
    pub(crate) goal: Fact,
    /// What was tried.
    pub(crate) tried: Vec<Fact>,
    /// What to do next.
    pub(crate) next: Vec<String>,
    /// −1 to 1 over the caller's words.
    pub(crate) sentiment: f32,
    /// How to open.
    pub(crate) opening: String,
    /// How to sound.
    pub(crate) tone: String,
    /// What the bot says of it; not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bot_summary: Option<String>,
    /// Numbers, amounts, addresses and dates that were said.
    pub(crate) entities: Vec<Entity>,
    /// 0 to 100.
    pub(crate) priority: u32,
    /// Why the priority is what it is.
    pub(crate) priority_because: Vec<String>,
    /// What is known of the customer.
    pub(crate) customer: BTreeMap<String, String>,
    /// What is not known and would help.
    pub(crate) missing: Vec<String>,
    /// The caller's language, BCP 47, where it was found out to be another than was believed at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "es")]
    pub(crate) language: Option<String>,
    /// What is whispered to the agent.
    pub(crate) whisper: String,
}

/// A statement with the utterances it rests on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Fact {
    /// The statement.
    pub(crate) text: String,
    /// Utterance ids; empty only where nothing is known.
    pub(crate) cites: Vec<u32>,
}

/// Something said that can be looked up.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Entity {
    /// What it is.
    pub(crate) kind: EntityKind,
    /// Its value in normal form.
    pub(crate) value: String,
    /// As it was said.
    pub(crate) said: String,
    /// The utterance it was said in.
    pub(crate) utterance: u32,
}

impl Handoff {
    pub(crate) fn new(call: &CallSnapshot, handoff: &HandoffSnapshot) -> Self {
        let record = &handoff.record;
        let moment = |at: Option<std::time::Duration>| at.map(time);
        Self {
            call: call.outline.id.0.clone(),
            number: record.handoff,
            state: record.state.into(),
            reason: (&record.reason).into(),
            contributing: record.contributing.iter().map(Into::into).collect(),
            agent: handoff.agent().map(|agent| agent.0.clone()),
            refused: record.refused.iter().map(|agent| agent.0.clone()).collect(),
            queue: handoff.queue.as_ref().map(|queue| queue.0.clone()),
            waiting: handoff.waiting.map(|(position, wait)| Waiting::new(position, wait)),
            times: Times {
                requested: time(record.requested),
                announced: moment(record.announced),
                brief_delivered: moment(record.brief_delivered),
                answered: moment(record.answered),
                accepted: moment(record.accepted),
                bridged: moment(record.bridged),
                closed: moment(record.closed),
            },
            card: handoff.brief.as_deref().map(Into::into),
            request: HandoffRequest::new(call, handoff),
        }
    }
}

impl Waiting {
    pub(crate) fn new(position: u32, wait: segue_acd::WaitEstimate) -> Self {
        Self { position, wait_least_ms: milliseconds(wait.least), wait_most_ms: milliseconds(wait.most) }
    }
}

impl From<&InnerReason> for Reason {
    fn from(reason: &InnerReason) -> Self {
        Self {
            rule: reason.rule.clone(),
            code: reason.code.clone(),
            evidence: reason.evidence.clone(),
            value: reason.value,
            utterance: reason.utterance.map(|utterance| utterance.0),
        }
    }
}

impl From<&Brief> for Card {
    fn from(brief: &Brief) -> Self {
        Self {
            revision: brief.revision,
            goal: (&brief.goal).into(),
            tried: brief.tried.iter().map(Into::into).collect(),
            next: brief.next.clone(),
            sentiment: brief.sentiment,
            opening: brief.opening.clone(),
            tone: brief.tone.clone(),
            bot_summary: brief.bot_summary.clone(),
            entities: brief.entities.iter().map(Into::into).collect(),
            priority: brief.priority.min(PRIORITY_SHOWN_MAX),
            priority_because: brief.priority_because.clone(),
            customer: brief.customer.clone(),
            missing: brief.missing.clone(),
            language: brief.language.clone(),
            whisper: brief.whisper.clone(),
        }
    }
}

impl From<&segue_call::Fact> for Fact {
    fn from(fact: &segue_call::Fact) -> Self {
        Self { text: fact.text.clone(), cites: fact.cites.iter().map(|utterance| utterance.0).collect() }
    }
}

impl From<&segue_call::Entity> for Entity {
    fn from(entity: &segue_call::Entity) -> Self {
        Self {
            kind: entity.kind.into(),
            value: entity.value.clone(),
            said: entity.said.clone(),
            utterance: entity.utterance.0,
        }
    }
}
