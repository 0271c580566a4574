//! What an operator may decide about a call: times, limits, queues, words. Plain values, no behaviour.
//!
//! Every field has a default, so an empty table is a complete policy. Times are in seconds in
//! configuration. [`Policy::check`] finds what serde cannot: values that contradict each other.

mod prompts;
mod seconds;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use segue_acd::{Language, QueueId, Skill};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use prompts::{Message, PromptError, Prompts};

/// The policy that a call is made with. It does not change while the call lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How long each wait may last.
    pub times: Times,
    /// How much of each thing a call may have.
    pub limits: Limits,
    /// Which queue a handoff goes to.
    pub routes: Routes,
    /// What is said, by language.
    pub speech: Speech,
}

/// How long each wait may last. Every state of a call has one of these as its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// From `Dial` to the bot's answer. Default 10: a bot that needs longer is broken, and the caller is owed a human.
    #[serde(with = "seconds")]
    pub bot_connect_max: Duration,
    /// A bot that hangs up sooner than this after its answer has failed, not finished. Default 2.
    #[serde(with = "seconds")]
    pub bot_talk_min: Duration,
    /// From the request to the fallback, if no agent was found. Default 600: longer waits are abandoned anyway.
    #[serde(with = "seconds")]
    pub queue_max: Duration,
    /// From `Dial` to the agent's answer. Default 20: four rings; the next agent is faster than a fifth.
    #[serde(with = "seconds")]
    pub ring_max: Duration,
    /// From the agent's answer to their choice. Default 30: twice the whisper and a decision.
    #[serde(with = "seconds")]
    pub accept_max: Duration,
    /// How long the spoken brief should be. Default 7 (B09); the writer keeps to it.
    #[serde(with = "seconds")]
    pub whisper_max: Duration,
    /// How long a whisper may play before it is stopped. Default 14: slow voices, one late start.
    #[serde(with = "seconds")]
    pub whisper_deadline: Duration,
    /// Until the first announcement counts as heard although its end was never told. Default 20.
    #[serde(with = "seconds")]
    pub announcement_deadline: Duration,
    /// After an announcement that asks for details, the time the caller has to give them before the first waiting
    /// message (T03). Default 5: a sentence.
    #[serde(with = "seconds")]
    pub details_pause: Duration,
    /// Between the end of one waiting message and the next (M10). Default 30.
    #[serde(with = "seconds")]
    pub update_interval: Duration,
    /// A wait longer than this is called long, once, with an apology (M10). Default 300.
    #[serde(with = "seconds")]
    pub long_wait: Duration,
    /// A wait whose upper end is below this is called "less than a minute" (M05). Default 60.
    #[serde(with = "seconds")]
    pub short_wait: Duration,
    /// Until the introduction counts as heard and the bridge closes. Default 6.
    #[serde(with = "seconds")]
    pub introduction_deadline: Duration,
    /// Until a greeting or an apology counts as heard. Default 15.
    #[serde(with = "seconds")]
    pub prompt_deadline: Duration,
    /// Until a goodbye counts as heard and the caller's leg is hung up. Default 10.
    #[serde(with = "seconds")]
    pub farewell_deadline: Duration,
    /// The longest conversation with bot or agent. Default 14400: a leg that lives longer was lost without notice.
    #[serde(with = "seconds")]
    pub talk_max: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            bot_connect_max: seconds(10),
            bot_talk_min: seconds(2),
            queue_max: seconds(600),
            ring_max: seconds(20),
            accept_max: seconds(30),
            whisper_max: seconds(7),
            whisper_deadline: seconds(14),
            announcement_deadline: seconds(20),
            details_pause: seconds(5),
            update_interval: seconds(30),
            long_wait: seconds(300),
            short_wait: seconds(60),
            introduction_deadline: seconds(6),
            prompt_deadline: seconds(15),
            farewell_deadline: seconds(10),
            talk_max: seconds(14_400),
        }
    }
}

/// How much of each thing a call may have, and what happens at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Handoffs in one call. Default 10. At the limit the caller hears an apology and stays with the bot.
    pub handoffs: u32,
    /// Agents asked in one handoff. Default 10. At the limit the handoff falls back.
    pub offers: u32,
    /// Times the bot is dialled in one call. Default 5. At the limit there is no bot to go back to.
    pub bot_dials: u32,
    /// Final utterances kept. Default 2000, about three hours. At the limit the oldest are dropped and counted.
    pub utterances: usize,
    /// Growing utterances kept at a time. Default 8. At the limit the oldest is dropped.
    pub partials: usize,
    /// Characters kept of one utterance. Default 2000. What is longer is cut.
    pub utterance_chars: usize,
    /// Utterances that a brief is written from. Default 120, about ten minutes: writing takes longer with each. At
    /// the limit the first quarter and the newest three are taken, and the brief says so.
    pub brief_utterances: usize,
    /// Words of a whisper for a simple matter. Default 18, about seven seconds. The writer keeps to it.
    pub whisper_words: u32,
}

/// A handoff takes a second ticket when its queue does not exist or its first one lapsed, and a third when both
/// happen. After that it falls back.
pub(crate) const TICKETS_PER_HANDOFF: u32 = 3;

impl Limits {
    /// Ticket numbers that one call may use.
    pub const fn tickets(&self) -> u64 {
        self.handoffs as u64 * TICKETS_PER_HANDOFF as u64
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handoffs: 10,
            offers: 10,
            bot_dials: 5,
            utterances: 2000,
            partials: 8,
            utterance_chars: 2000,
            brief_utterances: 120,
            whisper_words: 18,
        }
    }
}

/// Which queue a handoff goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// The queue for everything else. Default `general`.
    pub default_queue: QueueId,
    /// A reason's code, such as `billing_dispute`, to its queue. Default: none.
    pub reasons: BTreeMap<String, QueueId>,
    /// A word or phrase in the caller's or the bot's words, in lower case, to a queue; used when no reason decides.
    /// The phrase said last wins, the longer one of two that end together. Default: none.
    pub keywords: BTreeMap<String, QueueId>,
    /// What an agent must know to serve a queue, beside being its member. Default: nothing.
    pub skills: BTreeMap<QueueId, BTreeSet<Skill>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            default_queue: QueueId::from("general"),
            reasons: BTreeMap::new(),
            keywords: BTreeMap::new(),
            skills: BTreeMap::new(),
        }
    }
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Speech {
    /// The language for callers whose own has no prompts. Default `en`.
    pub default_language: Language,
    /// The prompts of each language. Default: the English ones.
    pub prompts: BTreeMap<Language, Arc<Prompts>>,
    /// Whether the announcement asks for details while the caller is being connected (T03). Default true.
    pub ask_for_details: bool,
    /// Rules of SPEC §1 that mean frustration: the announcement begins with an apology (M15).
    pub apology_rules: BTreeSet<String>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            default_language: Language::from("en"),
            prompts: BTreeMap::from([(Language::from("en"), Arc::new(Prompts::english()))]),
            ask_for_details: true,
            apology_rules: ["T09", "T10", "T11", "T12", "T15", "T16", "T17", "T18"]
                .into_iter()
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// A policy that contradicts itself. It is the operator's to mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The default language has no prompts.
    #[error("speech.default_language is {0}, but there are no prompts in {0}")]
    NoPrompts(Language),
    /// A time that must pass for anything to happen is zero.
    #[error("times.{0} is 0, which leaves no time for it; leave it out for the default")]
    ZeroTime(&'static str),
    /// A limit that would forbid the product's work is zero.
    #[error("limits.{0} is 0, which forbids it altogether; leave it out for the default")]
    ZeroLimit(&'static str),
    /// The whisper would be cut before its usual end.
    #[error("times.whisper_deadline is shorter than times.whisper_max: every whisper would be cut")]
    WhisperCut,
    /// The agent could not hear the brief out.
    #[error(
        "times.accept_max is shorter than times.whisper_max: an agent could not hear the brief to its end"
    )]
    AcceptTooShort,
}

impl Policy {
    /// Finds everything that contradicts itself.
    ///
    /// # Errors
    /// All findings, never an empty list.
    pub fn check(&self) -> Result<(), Vec<PolicyError>> {
        let mut found = Vec::new();
        if !self.speech.prompts.contains_key(&self.speech.default_language) {
            found.push(PolicyError::NoPrompts(self.speech.default_language.clone()));
        }
        let zero_times = self.times.named().into_iter().filter(|(_, time)| time.is_zero());
        found.extend(zero_times.map(|(name, _)| PolicyError::ZeroTime(name)));
        let limits = [
            ("handoffs", self.limits.handoffs as usize),
            ("offers", self.limits.offers as usize),
            ("bot_dials", self.limits.bot_dials as usize),
            ("utterances", self.limits.utterances),
            ("partials", self.limits.partials),
            ("utterance_chars", self.limits.utterance_chars),
            ("brief_utterances", self.limits.brief_utterances),
            ("whisper_words", self.limits.whisper_words as usize),
        ];
        let zero_limits = limits.into_iter().filter(|(_, limit)| *limit == 0);
        found.extend(zero_limits.map(|(name, _)| PolicyError::ZeroLimit(name)));
        if self.times.whisper_deadline < self.times.whisper_max {
            found.push(PolicyError::WhisperCut);
        }
        if self.times.accept_max < self.times.whisper_max {
            found.push(PolicyError::AcceptTooShort);
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// What is allowed and still a bad idea, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let silent =
            self.speech.prompts.iter().filter(|(_, prompts)| prompts.say(Message::Greeting, &[]).is_none());
        silent
            .map(|(language, _)| {
                format!(
                    "the greeting in {language} is empty, so nothing tells a caller how to reach a person (T04); \
                     make sure that the bot does"
                )
            })
            .collect()
    }

    /// The prompts for a language: its own, those of its main language (`es` for `es-MX`), or the default ones.
    pub(crate) fn prompts(&self, language: &Language) -> Arc<Prompts> {
        let main = Language(language.0.split('-').next().unwrap_or_default().to_owned());
        let prompts = &self.speech.prompts;
        let found = prompts.get(language).or_else(|| prompts.get(&main));
        found.or_else(|| prompts.get(&self.speech.default_language)).cloned().unwrap_or_default()
    }
}

impl Times {
    /// The times that may not be zero.
    fn named(&self) -> [(&'static str, Duration); 11] {
        [
            ("bot_connect_max", self.bot_connect_max),
            ("queue_max", self.queue_max),
            ("ring_max", self.ring_max),
            ("accept_max", self.accept_max),
            ("whisper_max", self.whisper_max),
            ("announcement_deadline", self.announcement_deadline),
            ("update_interval", self.update_interval),
            ("introduction_deadline", self.introduction_deadline),
            ("prompt_deadline", self.prompt_deadline),
            ("farewell_deadline", self.farewell_deadline),
            ("talk_max", self.talk_max),
        ]
    }
}
