//! The `HandoffRequest` object that carries a handoff's context to another system (C10), as SPEC §2 has it.

use std::collections::BTreeMap;

use segue_call::{HandoffRequest as Inner, Metadata};
use serde::Serialize;
use utoipa::ToSchema;

use super::{call::Utterance, handoff::Entity, milliseconds, time};
use crate::snapshot::{CallSnapshot, HandoffSnapshot};

/// The one object that carries a handoff's context to another system (C10).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoffRequest {
    /// 0 to 100.
    priority: u32,
    /// Skills that are asked of the agent.
    skills_required: Vec<String>,
    /// The language to speak, BCP 47.
    language: String,
    /// Always `voice`.
    #[schema(example = "voice")]
    channel: &'static str,
    /// What is known.
    context: HandoffContext,
    /// Where it comes from.
    metadata: HandoffMetadata,
}

/// What is known of the caller's matter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoffContext {
    /// What was said.
    transcript: Vec<Utterance>,
    /// The goal, what was tried and why the call was handed over, in sentences.
    summary: String,
    /// What is known of the customer.
    customer: BTreeMap<String, String>,
    /// −1 to 1 over the caller's words.
    sentiment: f32,
    /// What to do next.
    recommended_actions: Vec<String>,
    /// What was said that can be looked up.
    entities: Vec<Entity>,
    /// What is not known and would help.
    missing: Vec<String>,
}

/// Where a handoff comes from (C03, C10).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoffMetadata {
    /// The call's id.
    session_id: String,
    /// When the call began, RFC 3339.
    #[schema(format = DateTime)]
    session_start: String,
    /// From there to the end of the last utterance, in milliseconds.
    session_duration_ms: u64,
    /// Final utterances of everybody.
    messages_exchanged: u32,
    /// The primary reason: rule and word.
    #[schema(example = "T01 explicit_request")]
    escalation_trigger: String,
    /// What was said or done that led to the handoff.
    escalation_reason: String,
    /// The bot's last confidence, if it told any.
    #[serde(skip_serializing_if = "Option::is_none")]
    ai_confidence: Option<f32>,
    /// What was tried.
    attempted_solutions: Vec<String>,
    /// The customer's id, if a lookup found one.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
}

impl HandoffRequest {
    /// Puts the object together; `None` until there is a brief.
    pub(super) fn new(call: &CallSnapshot, handoff: &HandoffSnapshot) -> Option<Self> {
        let brief = handoff.brief.as_deref()?;
        let reason = &handoff.record.reason;
        let metadata = Metadata {
            session_id: call.outline.id.0.clone(),
            escalation_trigger: format!("{} {}", reason.rule, reason.code).trim().to_owned(),
            ai_confidence: call.bot_confidence,
            attempted_solutions: brief.tried.iter().map(|fact| fact.text.clone()).collect(),
            session_start: call.outline.started,
        };
        let skills: Vec<_> = handoff.skills.iter().cloned().collect();
        let inner = Inner::new(brief, &call.transcript, &metadata, &skills, &call.outline.language);
        let last = call.transcript.iter().map(|said| said.end).max().unwrap_or(call.outline.started);
        Some(Self {
            priority: inner.priority,
            skills_required: inner.skills_required,
            language: inner.language,
            channel: match inner.channel {
                segue_call::Channel::Voice => "voice",
            },
            context: HandoffContext {
                transcript: call.transcript.iter().map(Into::into).collect(),
                summary: inner.context.summary,
                customer: inner.context.customer,
                sentiment: inner.context.sentiment,
                recommended_actions: inner.context.recommended_actions,
                entities: inner.context.entities.iter().map(Into::into).collect(),
                missing: inner.context.missing,
            },
            metadata: HandoffMetadata {
                session_id: inner.metadata.session_id,
                session_start: time(call.outline.started),
                session_duration_ms: milliseconds(last.saturating_sub(call.outline.started)),
                messages_exchanged: inner.metadata.messages_exchanged,
                escalation_trigger: inner.metadata.escalation_trigger,
                escalation_reason: inner.metadata.escalation_reason,
                ai_confidence: inner.metadata.ai_confidence,
                attempted_solutions: inner.metadata.attempted_solutions,
                customer_id: inner.metadata.customer_id,
            },
        })
    }
}
