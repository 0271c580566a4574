//! What the rules found: an action, one primary reason, every contributing one (T33).

use serde::{Deserialize, Serialize};

use crate::utterance::UtteranceId;

/// What to do about it (SPEC §1), weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Nothing.
    None,
    /// The bot confirms what it understood.
    Confirm,
    /// The bot asks one clarifying question.
    Clarify,
    /// The caller is offered a human.
    Offer,
    /// The call is handed over.
    Escalate,
}

/// One rule that fired, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule's row in the specification, such as `T01`.
    pub rule: String,
    /// A machine-readable word for it, such as `explicit_request` or `dtmf_zero`.
    pub code: String,
    /// What was seen, in a few words: the phrase that matched, the key that was pressed.
    pub evidence: String,
    /// The rule's value; 1 for rules that are either met or not.
    pub value: f64,
    /// The utterance it was seen in, where there is one.
    pub utterance: Option<UtteranceId>,
}

/// One evaluated rule, fired or not, kept so that a decision can be explained afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The rule's row.
    pub rule: String,
    /// Its value.
    pub value: f64,
    /// The value from which it fires.
    pub threshold: f64,
    /// Whether it fired.
    pub fired: bool,
    /// Why or why not, in a few words.
    pub because: String,
}

/// The rules' verdict on one signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub advice: Advice,
    /// The reason that is named to people.
    pub primary: Reason,
    /// The other reasons that held at the same time.
    pub contributing: Vec<Reason>,
    /// Every rule that was looked at.
    pub evaluated: Vec<Evaluation>,
}
