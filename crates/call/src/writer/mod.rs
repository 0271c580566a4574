//! Writes the brief from what was said, without any service: it chooses and quotes, it never invents (B11).
//!
//! Every statement cites the utterances it rests on, or rests on the customer's record, or says that nothing
//! is known.

mod sentiment;

use std::{collections::BTreeMap, time::Duration};

use segue_trigger::{Reason, Speaker, Stage, Utterance};

use crate::{
    brief::{Brief, Fact},
    event::Declared,
};

/// What the brief is written from.
#[derive(Clone, Copy, Debug)]
pub struct BriefInput<'a> {
    /// The handoff's number in the call, from 1.
    pub handoff: u32,
    /// How often the brief has been written in this call.
    pub revision: u32,
    /// The utterances of all speakers, in order; partials are left out.
    pub transcript: &'a [Utterance],
    /// Why the call is handed over.
    pub reason: &'a Reason,
    /// What the bot declared, if it did.
    pub declared: Option<&'a Declared>,
    /// What is known of the customer, by field name in lower case (C04); empty if nothing is.
    pub customer: &'a BTreeMap<String, String>,
    /// The raw priority score.
    pub priority: u32,
    /// The reasons for the score, such as `premium +20`.
    pub priority_because: &'a [String],
    /// The caller's name, if it is known from elsewhere than the customer's record.
    pub caller_name: Option<&'a str>,
    /// The language that the agent is briefed in, a BCP 47 tag.
    pub language: &'a str,
    /// How long the whisper may be.
    pub whisper: WhisperLimit,
}

/// How long a whisper may be; it keeps to both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperLimit {
    /// Words for a simple call.
    pub words_max: u32,
    /// Spoken length for a simple call. A complex one may use up to 1.5 times this (B10).
    pub length_max: Duration,
}

impl Default for WhisperLimit {
    fn default() -> Self {
        Self { words_max: 18, length_max: Duration::from_secs(7) }
    }
}

/// Writes the brief.
#[must_use]
pub fn write(input: &BriefInput<'_>) -> Brief {
    let finals: Vec<&Utterance> =
        input.transcript.iter().filter(|utterance| utterance.stage == Stage::Final).collect();
    let goal = finals
        .iter()
        .filter(|utterance| utterance.speaker == Speaker::Caller)
        .max_by_key(|utterance| utterance.text.split_whitespace().count())
        .map_or_else(
            || Fact { text: "Nothing is known yet.".to_owned(), cites: Vec::new() },
            |utterance| Fact { text: utterance.text.clone(), cites: vec![utterance.id] },
        );
    let whisper_words = usize::try_from(input.whisper.words_max).unwrap_or(usize::MAX);
    let whisper = goal.text.split_whitespace().take(whisper_words).collect::<Vec<_>>().join(" ");
    Brief {
        handoff: input.handoff,
        revision: input.revision,
        goal,
        tried: Vec::new(),
        next: Vec::new(),
        sentiment: sentiment::of_call(input.transcript),
        opening: "Hello, how can I help?".to_owned(),
        tone: "Friendly and to the point.".to_owned(),
        reason: input.reason.clone(),
        bot_summary: input.declared.and_then(|declared| declared.summary.clone()),
        entities: Vec::new(),
        priority: input.priority,
        priority_because: input.priority_because.to_vec(),
        customer: input.customer.clone(),
        missing: Vec::new(),
        whisper,
    }
}
