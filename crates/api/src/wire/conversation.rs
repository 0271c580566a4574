//! How a conversation goes beside its words, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    event::EventData,
    milliseconds, time,
    words::{IdentifiedBy, Party},
};

/// Who spoke over whom in a call, and how often.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Conversation {
    /// Final utterances of the caller.
    pub(crate) caller_turns: u32,
    /// Times that the caller began to speak over the bot.
    pub(crate) barge_ins: u32,
    /// Times that the caller began to speak over an announcement.
    pub(crate) prompt_barge_ins: u32,
    /// Both by the caller's turns, 0 to 1.
    pub(crate) barge_in_rate: f32,
    /// Times that the caller and the bot or agent spoke at once.
    pub(crate) talk_overs: u32,
    /// How long they did, all together, in milliseconds.
    pub(crate) talk_over_ms: u64,
    /// Utterances that were kept out of the transcript, all or in part: a leg sent back what it was sent.
    pub(crate) echoes: u32,
}

impl From<segue_call::Conversation> for Conversation {
    fn from(inner: segue_call::Conversation) -> Self {
        Self {
            caller_turns: inner.caller_turns,
            barge_ins: inner.barge_ins,
            prompt_barge_ins: inner.prompt_barge_ins,
            barge_in_rate: inner.barge_in_rate(),
            talk_overs: inner.talk_overs,
            talk_over_ms: milliseconds(inner.talk_over),
            echoes: inner.echoes,
        }
    }
}

/// The caller speaks another language than was believed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LanguageFound {
    /// What they speak, BCP 47.
    #[schema(example = "es")]
    pub(crate) language: String,
    /// How that was found out.
    pub(crate) by: IdentifiedBy,
    /// What they are spoken to in: their language, or the default one where there are no prompts in theirs.
    pub(crate) prompts: String,
    /// What an agent was asked for, where the call waits for one already; it keeps its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queued_as: Option<String>,
}

/// The caller began to speak while they were spoken to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BargeIn {
    /// Over whom; absent for an announcement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over: Option<Party>,
    /// When, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) began: String,
}

/// The caller and the party that they are connected to spoke at once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TalkOver {
    /// With whom.
    pub(crate) with: Party,
    /// From when, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) began: String,
    /// For how long.
    pub(crate) length_ms: u64,
}

/// A leg sent back what it was sent; its words are kept out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Echo {
    /// Whose leg.
    pub(crate) party: Party,
    /// From when, RFC 3339.
    #[schema(format = DateTime)]
    pub(crate) began: String,
    /// How many words.
    pub(crate) words: u32,
}

/// An event's type, and its form.
pub(crate) fn news(news: &segue_call::ConversationNews) -> (&'static str, EventData) {
    use segue_call::ConversationNews as Inner;
    match news {
        Inner::Language { language, by, prompts, queued_as } => (
            "segue.call.language",
            EventData::Language(LanguageFound {
                language: language.0.clone(),
                by: (*by).into(),
                prompts: prompts.0.clone(),
                queued_as: queued_as.as_ref().map(|language| language.0.clone()),
            }),
        ),
        Inner::BargeIn { over, at } => (
            "segue.call.barge_in",
            EventData::BargeIn(BargeIn { over: over.map(Into::into), began: time(*at) }),
        ),
        Inner::TalkOver { with, at, length } => (
            "segue.call.talk_over",
            EventData::TalkOver(TalkOver {
                with: (*with).into(),
                began: time(*at),
                length_ms: milliseconds(*length),
            }),
        ),
        Inner::Echo { party, at, words } => (
            "segue.call.echo",
            EventData::Echo(Echo { party: (*party).into(), began: time(*at), words: *words }),
        ),
    }
}
