//! Writes the brief from what was said, without any service: it chooses and quotes, it never invents (B11).
//!
//! Every statement cites the utterances it rests on, or names the bot or the customer's record as its source,
//! or says that nothing is known. The templates are English; what people said stays in their language.

mod advice;
mod goal;
mod reading;
mod sentiment;
mod text;
mod topic;
mod tried;
mod whisper;

use std::{collections::BTreeMap, time::Duration};

use segue_trigger::{Reason, Speaker, Stage, Utterance};

pub use self::whisper::spoken_length;
use self::{
    advice::Situation,
    reading::{Reading, Said},
    whisper::Parts,
};
use crate::{brief::Brief, entity, event::Declared};

/// What the brief is written from.
#[derive(Clone, Copy, Debug)]
pub struct BriefInput<'a> {
    /// The handoff's number in the call, from 1.
    pub handoff: u32,
    /// How often the brief has been written in this call.
    pub revision: u32,
    /// The utterances of all speakers, in order; partials are left out.
    pub transcript: &'a [Utterance],
    /// Why the call is handed over; the code `no_handoff` where it is not yet.
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
    /// The language that the agent is briefed in, a BCP 47 tag. Only English is written so far.
    pub language: &'a str,
    /// How long the whisper may be.
    pub whisper: WhisperLimit,
    /// Whether the gateway transcribes what is said.
    pub transcribed: bool,
}

/// How long a whisper may be; it keeps to both. A call with much to tell may use one and a half times as
/// much of either (B10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WhisperLimit {
    /// Words for a simple call, as they are written: a number is one.
    pub words_max: u32,
    /// Spoken length for a simple call.
    pub length_max: Duration,
}

impl Default for WhisperLimit {
    fn default() -> Self {
        Self { words_max: 18, length_max: Duration::from_secs(7) }
    }
}

/// Writes the briefs of one call, one after the other.
///
/// It remembers what it read in each utterance, so that a turn costs the reading of what is new. What it writes does
/// not depend on that: it is what [`write`] gives.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// Of the utterances of the last brief, in their order.
    readings: Vec<Reading>,
}

impl Writer {
    /// Writes the brief.
    #[must_use]
    pub fn write(&mut self, input: &BriefInput<'_>) -> Brief {
        let finals: Vec<&Utterance> =
            input.transcript.iter().filter(|utterance| utterance.stage == Stage::Final).collect();
        self.readings = reading::of_call(std::mem::take(&mut self.readings), &finals);
        let said: Vec<Said<'_>> = finals
            .iter()
            .zip(&self.readings)
            .map(|(utterance, reading)| Said { utterance, reading })
            .collect();
        put_together(input, &said)
    }
}

/// Writes the brief of a whole transcript at once.
#[must_use]
pub fn write(input: &BriefInput<'_>) -> Brief {
    Writer::default().write(input)
}

fn put_together(input: &BriefInput<'_>, said: &[Said<'_>]) -> Brief {
    let entities =
        entity::gathered(said.iter().map(|said| (said.utterance.speaker, said.reading.entities.as_slice())));
    let goal = goal::find(said, &entities, input.declared);
    let attempts = tried::find(said, input.declared);
    let of_caller = said.iter().filter(|said| said.utterance.speaker == Speaker::Caller);
    let sentiment = sentiment::over(of_caller.map(|said| said.reading.sentiment));
    let name = first_name(input);
    let situation =
        Situation { input, said, goal: &goal, entities: &entities, attempts: &attempts, sentiment, name };
    let whisper = whisper::compose(
        &Parts {
            name,
            goal: &goal,
            entities: &entities,
            tried: &attempts,
            why: &advice::why(input.reason),
            mood: advice::mood(sentiment),
            tier: advice::tier(input.customer),
        },
        input.whisper,
    );
    Brief {
        handoff: input.handoff,
        revision: input.revision,
        next: situation.next(),
        sentiment,
        opening: situation.opening(),
        tone: situation.tone(),
        reason: input.reason.clone(),
        bot_summary: input.declared.and_then(|declared| declared.summary.clone()),
        priority: input.priority,
        priority_because: input.priority_because.to_vec(),
        customer: input.customer.clone(),
        missing: situation.missing(),
        language: None,
        whisper,
        goal: goal.fact,
        tried: attempts.into_iter().map(|attempt| attempt.fact).collect(),
        entities,
    }
}

/// The name to call the caller by: the customer's record knows better than the telephone network.
fn first_name<'a>(input: &BriefInput<'a>) -> Option<&'a str> {
    let recorded =
        ["first_name", "name"].iter().find_map(|field| input.customer.get(*field)).map(String::as_str);
    let named = |name: &&str| name.chars().any(char::is_alphabetic);
    let full = recorded.filter(named).or_else(|| input.caller_name.filter(named))?;
    let title = |word: &&str| {
        !["mr", "mrs", "ms", "miss", "dr", "prof"]
            .contains(&word.trim_end_matches('.').to_lowercase().as_str())
    };
    full.split_whitespace().find(title)
}
