//! Calls on the wire.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    conversation::Conversation,
    handoff::Handoff,
    quality::{LegQuality, PacketCounts},
    time,
    transcript::Transcription,
    words::{EndedBy, GapCause, HandoffState, Party, Phase, Speaker, StateFilter},
};
use crate::{
    config,
    snapshot::{CallOutline, CallSnapshot, LegSnapshot},
};

/// Which calls to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallsQuery {
    /// Only calls that live, or only calls that have ended.
    pub(crate) state: Option<StateFilter>,
    /// Only calls whose last handoff is in this state.
    pub(crate) handoff_state: Option<HandoffState>,
    /// Only calls of this agent.
    pub(crate) agent: Option<String>,
    /// The `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// How many calls; the server's own default and limit are 50 and 200 unless configured otherwise.
    #[param(minimum = 1)]
    pub(crate) limit: Option<u32>,
}

/// One call in a few words.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Call {
    /// The call's id, the same in SIP headers, logs, events and records.
    #[schema(example = "019a9d2c-7b1e-7c40-9a51-0c2f6b1d2e3f")]
    pub(crate) id: String,
    /// Where it is.
    pub(crate) phase: Phase,
    /// When it began, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) started: String,
    /// When it ended, RFC 3339; absent while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) ended: Option<String>,
    /// Who ended it; absent while it lives, or if nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_by: Option<EndedBy>,
    /// The caller's number; empty if withheld.
    pub(crate) caller: String,
    /// The language the caller is spoken to in, BCP 47.
    #[schema(example = "en")]
    pub(crate) language: String,
    /// Final utterances so far.
    pub(crate) utterances: u32,
    /// How many handoffs it had.
    pub(crate) handoffs: u32,
    /// Where the last handoff is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handoff_state: Option<HandoffState>,
    /// Why it was handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "explicit_request")]
    pub(crate) handoff_reason: Option<String>,
    /// The agent concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
}

/// One page of calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallPage {
    /// The calls.
    pub(crate) calls: Vec<Call>,
    /// What to give as `cursor` to get the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// One call in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallWhole {
    /// In a few words.
    #[serde(flatten)]
    pub(crate) call: Call,
    /// Its legs while it lives; afterwards those whose sound was measured.
    pub(crate) legs: Vec<Leg>,
    /// Who spoke over whom, so far.
    pub(crate) conversation: Conversation,
    /// What was said, by everybody, in the order in which it was said.
    pub(crate) transcript: Vec<Utterance>,
    /// What was said and is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<TranscriptGap>,
    /// Whether the gateway transcribes it; absent when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transcription: Option<Transcription>,
    /// Its last handoff, with the brief.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handoff: Option<Handoff>,
}

/// One leg of a call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Leg {
    /// Its number in the call.
    pub(crate) attempt: u32,
    /// Whose it is.
    pub(crate) party: Party,
    /// Whether it is up.
    pub(crate) up: bool,
    /// What its sound was worth: over the last seconds while it is up, over its whole life afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quality: Option<LegQuality>,
    /// What came and went; known when the leg is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) packets: Option<PacketCounts>,
}

/// A hole in the transcript.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TranscriptGap {
    /// Whose words are missing.
    pub(crate) speaker: Speaker,
    /// From when, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) start: String,
    /// Until when, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) end: String,
    /// Why.
    pub(crate) cause: GapCause,
}

impl From<&segue_call::TranscriptGap> for TranscriptGap {
    fn from(gap: &segue_call::TranscriptGap) -> Self {
        Self {
            speaker: gap.speaker.into(),
            start: time(gap.start),
            end: time(gap.end),
            cause: gap.cause.into(),
        }
    }
}

/// One finished piece of transcript.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Utterance {
    /// Its number in the call.
    pub(crate) id: u32,
    /// Who said it.
    pub(crate) speaker: Speaker,
    /// What was said, as recognised.
    pub(crate) text: String,
    /// When speech began, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) start: String,
    /// When speech ended, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) end: String,
    /// How sure the recogniser is, 0 to 1.
    pub(crate) confidence: f32,
    /// Whether it was known only long after it was said, because recognition could not keep up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) late: bool,
}

impl From<&CallOutline> for Call {
    fn from(call: &CallOutline) -> Self {
        Self {
            id: call.id.0.clone(),
            phase: call.phase.into(),
            started: time(call.started),
            ended: call.ended.map(|end| time(end.at)),
            ended_by: call.ended.and_then(|end| end.by).map(Into::into),
            caller: call.caller.clone(),
            language: call.language.0.clone(),
            utterances: call.utterances,
            handoffs: call.handoffs,
            handoff_state: call.handoff.map(Into::into),
            handoff_reason: call.reason.clone(),
            agent: call.agent.as_ref().map(|agent| agent.0.clone()),
        }
    }
}

impl CallWhole {
    /// Shows a call of a gateway that transcribes in that way.
    pub(crate) fn new(call: &CallSnapshot, transcription: &config::Transcription) -> Self {
        Self {
            call: (&call.outline).into(),
            legs: call.legs.iter().map(Into::into).collect(),
            conversation: counted(call).into(),
            transcript: call.transcript.iter().map(Into::into).collect(),
            gaps: call.gaps.iter().map(Into::into).collect(),
            transcription: call.outline.ended.is_none().then(|| transcription.into()),
            handoff: call.handoffs.last().map(|handoff| Handoff::new(call, handoff)),
        }
    }
}

/// The call counts turns itself and tells them at its end; until then they are counted here.
fn counted(call: &CallSnapshot) -> segue_call::Conversation {
    let turns = call.transcript.iter().filter(|said| said.speaker == segue_trigger::Speaker::Caller).count();
    let turns = u32::try_from(turns).unwrap_or(u32::MAX);
    segue_call::Conversation { caller_turns: call.conversation.caller_turns.max(turns), ..call.conversation }
}

impl From<&LegSnapshot> for Leg {
    fn from(leg: &LegSnapshot) -> Self {
        Self {
            attempt: leg.attempt.0,
            party: leg.party.into(),
            up: leg.up,
            quality: leg.quality.as_ref().map(Into::into),
            packets: leg.packets.map(Into::into),
        }
    }
}

impl From<&segue_trigger::Utterance> for Utterance {
    fn from(utterance: &segue_trigger::Utterance) -> Self {
        Self {
            id: utterance.id.0,
            speaker: utterance.speaker.into(),
            text: utterance.text.clone(),
            start: time(utterance.start),
            end: time(utterance.end),
            confidence: utterance.confidence,
            late: utterance.stage == segue_trigger::Stage::Late,
        }
    }
}
