//! The wire object of a handoff (C10): what a desktop, a CRM or another contact centre receives.
//!
//! Field names and values are a contract with the outside; times are seconds since the Unix epoch.

use std::{collections::BTreeMap, time::Duration};

use segue_acd::{Language, Skill};
use segue_trigger::{Speaker, Stage, Utterance, UtteranceId};
use serde::{Deserialize, Serialize};

use crate::brief::{Brief, Entity, Metadata};

/// A handoff with everything that travels with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoffRequest {
    /// The priority score as shown, 0..=100. Queues order by the raw score, which may be higher.
    pub priority: u32,
    /// The skills an agent must have.
    pub skills_required: Vec<String>,
    /// The caller's language, a BCP 47 tag.
    pub language: String,
    /// Always `voice`.
    pub channel: Channel,
    /// What the call was about.
    pub context: Context,
    /// How the handoff came about.
    pub metadata: HandoffMetadata,
}

/// How the contact reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A telephone call.
    Voice,
}

/// What the call was about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Every final utterance of both sides, in order (C02).
    pub transcript: Vec<TranscriptLine>,
    /// The goal, what was tried and why the call was handed over, in sentences.
    pub summary: String,
    /// What is known of the customer, by field name (C04).
    pub customer: BTreeMap<String, String>,
    /// Negative −1 to positive 1.
    pub sentiment: f32,
    /// What to do next (B04).
    pub recommended_actions: Vec<String>,
    /// What was said that can be looked up (C05).
    pub entities: Vec<Entity>,
    /// What is missing (C13).
    pub missing: Vec<String>,
}

/// One line of the transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptLine {
    /// The utterance's number in the call; facts of the brief cite it.
    pub utterance: UtteranceId,
    /// Who spoke.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
    /// Seconds since the Unix epoch at which speech began.
    pub start: f64,
    /// Seconds since the Unix epoch at which it ended.
    pub end: f64,
    /// Mean token probability in 0..=1.
    pub confidence: f32,
}

/// How the handoff came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoffMetadata {
    /// The call's id (C11).
    pub session_id: String,
    /// The primary reason's rule and code, such as `T01 explicit_request`.
    pub escalation_trigger: String,
    /// The bot's last confidence in 0..=1, if it told any.
    pub ai_confidence: Option<f32>,
    /// What the bot tried (C07).
    pub attempted_solutions: Vec<String>,
    /// Seconds since the Unix epoch at which the call began (C03).
    pub session_start: f64,
    /// Seconds from there to the end of the last utterance (C03).
    pub session_duration: f64,
    /// How many final utterances of all speakers there are (C03).
    pub messages_exchanged: u32,
    /// The customer's id, if the lookup found one (C03).
    pub customer_id: Option<String>,
    /// What was said or done that led to the handoff, in words (C03).
    pub escalation_reason: String,
}

impl HandoffRequest {
    /// Puts the package together. `transcript` may hold partials; only finals travel.
    #[must_use]
    pub fn new(
        brief: &Brief,
        transcript: &[Utterance],
        metadata: &Metadata,
        skills: &[Skill],
        language: &Language,
    ) -> Self {
        let lines: Vec<TranscriptLine> = transcript
            .iter()
            .filter(|utterance| utterance.stage == Stage::Final)
            .map(TranscriptLine::from)
            .collect();
        let last = transcript.iter().map(|utterance| utterance.end).max().unwrap_or(metadata.session_start);
        Self {
            priority: brief.priority.min(PRIORITY_SHOWN_MAX),
            skills_required: skills.iter().map(|skill| skill.0.clone()).collect(),
            language: language.0.clone(),
            channel: Channel::Voice,
            metadata: HandoffMetadata {
                session_id: metadata.session_id.clone(),
                escalation_trigger: metadata.escalation_trigger.clone(),
                ai_confidence: metadata.ai_confidence,
                attempted_solutions: metadata.attempted_solutions.clone(),
                session_start: seconds(metadata.session_start),
                session_duration: seconds(last.saturating_sub(metadata.session_start)),
                messages_exchanged: u32::try_from(lines.len()).unwrap_or(u32::MAX),
                customer_id: brief.customer.get("customer_id").cloned(),
                escalation_reason: brief.reason.evidence.clone(),
            },
            context: Context {
                transcript: lines,
                summary: summary(brief),
                customer: brief.customer.clone(),
                sentiment: brief.sentiment,
                recommended_actions: brief.next.clone(),
                entities: brief.entities.clone(),
                missing: brief.missing.clone(),
            },
        }
    }
}

impl From<&Utterance> for TranscriptLine {
    fn from(utterance: &Utterance) -> Self {
        Self {
            utterance: utterance.id,
            speaker: utterance.speaker,
            text: utterance.text.clone(),
            start: seconds(utterance.start),
            end: seconds(utterance.end),
            confidence: utterance.confidence,
        }
    }
}

fn summary(brief: &Brief) -> String {
    let mut sentences = vec![ended(&brief.goal.text)];
    sentences.extend(brief.tried.iter().map(|fact| ended(&fact.text)));
    sentences
        .push(ended(&format!("Handed over because of {}: {}", brief.reason.code, brief.reason.evidence)));
    sentences.join(" ")
}

fn ended(sentence: &str) -> String {
    let sentence = sentence.trim();
    if sentence.ends_with(['.', '?', '!']) { sentence.to_owned() } else { format!("{sentence}.") }
}

/// Milliseconds are kept: more would be noise, and a fraction with three places survives a JSON round trip.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().trunc() + f64::from(time.subsec_millis()) / 1000.0
}

const PRIORITY_SHOWN_MAX: u32 = 100;
