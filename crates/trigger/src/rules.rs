//! The rules as configuration: everything here can be set without code.
//!
//! A pattern is a line of items between blanks, matched word for word after noise words are dropped:
//! `word` is itself, `one|two` is either, `on_the_line` is three words, `<name>` is any phrase of that class,
//! `<one|two>` of either class, `[item]` may be absent, and `^` at the beginning ties the pattern to the start
//! of a sentence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{decision::Advice, english};

/// All trigger rules of one profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Whether the key 0 of the caller is a request for a human (T01).
    pub dtmf_zero: bool,
    /// A partial transcript is looked at from this mean token probability on, 0..=1.
    pub partial_confidence_min: f32,
    /// A final transcript is looked at from this mean token probability on, 0..=1.
    pub final_confidence_min: f32,
    /// Only so many words at the end of an utterance are looked at; what came before is left out.
    pub words_max: u16,
    /// For how many further utterances of the caller a frustration phrase, a profanity or an urgent word is
    /// named as a contributing reason.
    pub contributing_turns: u16,
    /// Further patterns that count as a request for a human, in every language.
    pub request_patterns: Vec<String>,
    /// Phrases that are never a request, in every language: a request inside one of them does not count.
    pub request_exclusions: Vec<String>,
    /// Which set of limits applies where none is given below.
    pub profile: Profile,
    /// The numbers that rules refer to as `limits.<name>`, over those of the profile.
    pub limits: BTreeMap<String, f64>,
    /// Rules over features, each held against every finished utterance.
    pub rules: Vec<Rule>,
    /// What is listened for, by BCP 47 language tag. Every language given here is tried on every utterance.
    pub languages: BTreeMap<String, LanguageRules>,
}

/// A rule over features: an expression of the Common Expression Language, and what to do when it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule's row in the specification, such as `T15`, or a name of one's own.
    pub id: String,
    /// A machine-readable word for the reason, such as `negative_sentiment`.
    pub code: String,
    /// The expression, such as `negativity >= limits.negative_sentiment`. It may name every feature, every limit and
    /// every topic.
    pub when: String,
    /// What to do when it begins to hold; `none` for a weak signal.
    #[serde(default = "nothing")]
    pub then: Advice,
    /// What a weak signal adds to the feature `score` while it holds.
    #[serde(default)]
    pub weight: f64,
}

const fn nothing() -> Advice {
    Advice::None
}

/// A set of limits for a kind of business (T05).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Hospitals, practices, insurers.
    Healthcare,
    /// Banks and brokers.
    Finance,
    /// Everybody else.
    #[default]
    General,
    /// Shops.
    Retail,
    /// A bot that is new to its work.
    Starter,
}

impl Profile {
    /// The limits of the profile, by name.
    #[must_use]
    pub fn limits(self) -> BTreeMap<String, f64> {
        let confidence = match self {
            Self::Healthcare | Self::Finance => 0.90,
            Self::General => 0.80,
            Self::Retail => 0.65,
            Self::Starter => 0.60,
        };
        let limits = [
            ("bot_confidence", confidence),
            ("confusion_loops", 3.0),
            ("negative_sentiment", 0.7),
            ("low_confidence", 0.4),
            ("topic_switches", 4.0),
            ("session_length", 10.0),
        ];
        limits.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect()
    }
}

/// What is listened for in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanguageRules {
    /// Words written out before anything is compared, such as `i'd` as `i would`. Keys have no blanks.
    pub expansions: BTreeMap<String, String>,
    /// Words that mean nothing here and are dropped wherever they stand.
    pub noise: Vec<String>,
    /// The explicit request for a human (T01).
    pub request: RequestRules,
    /// Phrases of frustration (T17).
    pub frustration: Vec<String>,
    /// Profanity (T18).
    pub profanity: Vec<String>,
    /// Words of urgency (T19).
    pub urgency: Vec<String>,
    /// What words say about the caller's mood (T15).
    pub sentiment: SentimentRules,
    /// Phrases that show whether the conversation gets anywhere (T09–T12).
    pub talk: TalkRules,
    /// What the call is about, by topic: the words and phrases that tell (T13, T20–T24).
    pub topics: BTreeMap<String, Vec<String>>,
}

/// What words say about the caller's mood (T15).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SentimentRules {
    /// Words and phrases with their weight, −4 (furious) to 4.
    pub weights: BTreeMap<String, f64>,
    /// Words that multiply the weight of one that follows within three words.
    pub strength: BTreeMap<String, f64>,
    /// Words that turn the weight of one that follows within three words.
    pub negations: Vec<String>,
    /// Words such as `but`: what was said before them counts half.
    pub turns: Vec<String>,
}

/// Phrases that show whether the conversation gets anywhere (T09–T12).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TalkRules {
    /// The bot asks to say it again, or otherwise.
    pub clarifying: Vec<String>,
    /// The bot says nothing that helps.
    pub vague: Vec<String>,
    /// The caller says that it is wrong or does not help.
    pub wrong: Vec<String>,
    /// The caller says that it is solved.
    pub resolved: Vec<String>,
    /// Words that say nothing about what a question is about.
    pub unimportant: Vec<String>,
}

/// How a request for a human is recognised (T01).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestRules {
    /// Named sets of phrases that patterns refer to as `<name>`. Classes do not nest.
    pub classes: BTreeMap<String, Vec<String>>,
    /// The classes whose words are also recognised when the recogniser got them slightly wrong.
    pub tolerant: Vec<String>,
    /// Real words that are never taken for a misheard word of a class.
    pub distinct: Vec<String>,
    /// Patterns that are a request wherever they stand, unless a guard holds.
    pub patterns: Vec<String>,
    /// Patterns that are a request if nothing else was said in the utterance.
    pub whole: Vec<String>,
    /// Patterns that refuse the machine, and so ask for a human; guards do not apply.
    pub refusals: Vec<String>,
    /// Words that may stand around a `whole` pattern, such as a greeting.
    pub around: Vec<String>,
    /// Words that end a request, such as `please`: a partial `whole` match before one need not wait.
    pub complete: Vec<String>,
    /// Patterns that void a request that they overlap, such as `human resources`.
    pub compounds: Vec<String>,
    /// The article-like words after which a compound is unlikely, so that a partial need not wait.
    pub determiners: Vec<String>,
    /// What takes a request back.
    pub guards: GuardRules,
}

/// What takes a request back. Guards are looked for from the request backwards, over `transparent` words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardRules {
    /// Negations, such as `dont`. One that a subject follows (`why dont you`) is a question and no negation.
    pub negations: Vec<String>,
    /// Phrases that look like a guard and are none, such as `why not`.
    pub exceptions: Vec<String>,
    /// Verbs of reported speech, such as `said`. One that a subject of `own` precedes is the caller's own.
    pub reports: Vec<String>,
    /// Words before a verb of reporting that make it the caller's own, such as `i`.
    pub own: Vec<String>,
    /// Subjects, such as `i` or `you`.
    pub subjects: Vec<String>,
    /// Conditions and questions about a request, such as `do i need` or `if i`.
    pub conditions: Vec<String>,
    /// Words that may stand between a guard and the request.
    pub transparent: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dtmf_zero: true,
            partial_confidence_min: 0.35,
            final_confidence_min: 0.2,
            words_max: 120,
            contributing_turns: 3,
            request_patterns: Vec::new(),
            request_exclusions: Vec::new(),
            profile: Profile::default(),
            limits: BTreeMap::new(),
            rules: Vec::new(),
            languages: BTreeMap::from([("en".to_owned(), english::rules())]),
        }
    }
}

/// The rules do not fit together; the fault is the configuration's. Names every problem at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trigger rules cannot be used: {}", self.listed())]
pub struct RulesError {
    /// What is wrong, each with the key it is about.
    pub problems: Vec<RulesProblem>,
}

/// One thing wrong with the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesProblem {
    /// The key, such as `languages.en.request.patterns[3]`.
    pub key: String,
    /// What is wrong and what to do about it.
    pub problem: String,
}

impl RulesError {
    fn listed(&self) -> String {
        let lines: Vec<String> =
            self.problems.iter().map(|found| format!("{}: {}", found.key, found.problem)).collect();
        lines.join("; ")
    }
}
