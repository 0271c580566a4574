//! What the agent is told before the bridge: card and whisper, each fact with the utterance it came from (B11).

use std::{collections::BTreeMap, time::Duration};

use segue_trigger::{Reason, UtteranceId};
use serde::{Deserialize, Serialize};

/// The brief of one handoff, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The handoff's number in the call, from 1.
    pub handoff: u32,
    /// How often the brief has been rewritten in this call; higher is newer (B12).
    pub revision: u32,
    /// The caller's goal: the main question (B01, B03).
    pub goal: Fact,
    /// Steps already taken by the bot and the caller (B01).
    pub tried: Vec<Fact>,
    /// What to do next (B04).
    pub next: Vec<String>,
    /// Negative −1 to positive 1, over the caller's words.
    pub sentiment: f32,
    /// How to open (B05).
    pub opening: String,
    /// How to sound (B07).
    pub tone: String,
    /// Why the call was handed over.
    pub reason: Reason,
    /// The words the bot used for its own summary, if it gave one; not verified by us.
    pub bot_summary: Option<String>,
    /// Numbers, amounts, addresses and dates that were said (C05).
    pub entities: Vec<Entity>,
    /// Raw priority score, and why it is what it is (B02).
    pub priority: u32,
    /// The reasons for the score, such as `premium +20`.
    pub priority_because: Vec<String>,
    /// What is known of the customer (C04).
    pub customer: BTreeMap<String, String>,
    /// What is missing and would have helped (C13).
    pub missing: Vec<String>,
    /// The caller's language, a BCP 47 tag, where it was found out to be another than the call began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What is whispered, within `whisper_max` when spoken, up to one and a half times that where there is much
    /// to tell (B09, B10).
    pub whisper: String,
}

/// A statement with its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The statement.
    pub text: String,
    /// The utterances it rests on. Empty only where the text says that nothing is known, or names the bot as
    /// its source.
    pub cites: Vec<UtteranceId>,
}

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// An order number.
    Order,
    /// An account or customer number.
    Account,
    /// An amount of money; the value is in whole units and hundredths, such as `500.00`.
    Amount,
    /// An e-mail address.
    Email,
    /// A date or a weekday; the value is in one form, such as `May 3`, `May 3 2026`, `last monday`, `2 weeks ago`.
    Date,
    /// A telephone number.
    Phone,
}

/// Something said that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its value in normal form: digits without blanks, `500.00`, `anna@example.com`.
    pub value: String,
    /// As it was said.
    pub said: String,
    /// The utterance it was said in.
    pub utterance: UtteranceId,
}

/// The wire object of a handoff (C10) is made of this, the transcript and the call's own numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The call's id.
    pub session_id: String,
    /// The primary reason's rule and code, such as `T01 explicit_request`.
    pub escalation_trigger: String,
    /// The bot's last confidence, if it told any.
    pub ai_confidence: Option<f32>,
    /// What the bot tried.
    pub attempted_solutions: Vec<String>,
    /// When the call began, since the Unix epoch.
    pub session_start: Duration,
}
