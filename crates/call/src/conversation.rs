//! How a conversation went beside its words: who spoke over whom, what was an echo, which language it is in.

use std::time::Duration;

use segue_acd::Language;
use segue_trigger::Speaker;
use serde::{Deserialize, Serialize};

use crate::party::{Party, PlaybackId};

/// News of a voice on a leg, beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "voice")]
pub enum VoiceNews {
    /// A prompt is heard from here on.
    Prompted {
        /// Which one.
        playback: PlaybackId,
        /// How long it is.
        length: Duration,
    },
    /// Somebody began to speak. Their words follow, or [`Nothing`](Self::Nothing) does.
    Speaks {
        /// Who.
        speaker: Speaker,
        /// Since when, on the clock of utterances.
        at: Duration,
    },
    /// What began was no speech, or nobody knows its words.
    Nothing {
        /// Whose voice.
        speaker: Speaker,
    },
}

/// How a language was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifiedBy {
    /// The recogniser heard it in the voice.
    Sound,
    /// The words are of that language.
    Words,
}

/// News of a conversation, for subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "conversation")]
pub enum ConversationNews {
    /// The caller speaks another language than was believed; they are spoken to in it from here on.
    Language {
        /// The caller's language.
        language: Language,
        /// How that was found out.
        by: IdentifiedBy,
        /// The language that there are prompts in: the caller's, or the default one.
        prompts: Language,
        /// The language that an agent was asked for, where a handoff is under way: it keeps its place in the queue.
        queued_as: Option<Language>,
    },
    /// The caller began to speak while a prompt or somebody else was speaking to them.
    BargeIn {
        /// What they spoke over: `None` is a prompt of ours.
        over: Option<Party>,
        /// When they began.
        at: Duration,
    },
    /// The caller and the party that they are connected to spoke at the same time.
    TalkOver {
        /// Who the other one is.
        with: Party,
        /// From when.
        at: Duration,
        /// For how long.
        length: Duration,
    },
    /// What a party's leg sent was what it had been sent: it is no part of the conversation.
    Echo {
        /// Whose leg.
        party: Party,
        /// From when.
        at: Duration,
        /// How many words.
        words: u32,
    },
}

/// How the conversation of a call went, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Final utterances of the caller.
    pub caller_turns: u32,
    /// Times that the caller began to speak over the bot or the agent.
    pub barge_ins: u32,
    /// Times that the caller began to speak over a prompt of ours.
    pub prompt_barge_ins: u32,
    /// Times that the caller and the bot or agent spoke at once.
    pub talk_overs: u32,
    /// How long they did, all together.
    pub talk_over: Duration,
    /// Utterances that were echoes, all or in part.
    pub echoes: u32,
}

impl Conversation {
    /// The share of the caller's turns that began over somebody who was speaking to them, 0..=1 (T16).
    #[must_use]
    pub fn barge_in_rate(&self) -> f32 {
        let all = self.barge_ins.saturating_add(self.prompt_barge_ins).min(self.caller_turns);
        if self.caller_turns == 0 { 0.0 } else { all as f32 / self.caller_turns as f32 }
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_a_share_of_turns_and_nothing_where_nobody_spoke() {
        assert!((Conversation::default().barge_in_rate() - 0.0).abs() < f32::EPSILON);
        let some = Conversation { caller_turns: 8, barge_ins: 1, prompt_barge_ins: 1, ..Default::default() };
        assert!((some.barge_in_rate() - 0.25).abs() < f32::EPSILON);
    }
}
