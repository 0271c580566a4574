//! What the brief advises: next steps, how to open, how to sound, and what is missing (B04, B05, B07, C13).

use std::collections::BTreeMap;

use segue_trigger::{Reason, Speaker};

use super::{BriefInput, goal::Goal, reading::Said, text, tried::Attempt};
use crate::brief::{Entity, EntityKind};

/// All that advice rests on.
pub(super) struct Situation<'a> {
    pub(super) input: &'a BriefInput<'a>,
    pub(super) said: &'a [Said<'a>],
    pub(super) goal: &'a Goal,
    pub(super) entities: &'a [Entity],
    pub(super) attempts: &'a [Attempt],
    pub(super) sentiment: f32,
    pub(super) name: Option<&'a str>,
}

impl Situation<'_> {
    /// What to do next, most urgent first.
    pub(super) fn next(&self) -> Vec<String> {
        let mut steps = Vec::new();
        let topic = self.goal.topic.map(|mention| mention.topic);
        if !self.goal.known {
            steps.push("Ask what the call is about.".to_owned());
        }
        if let Some(order) = self.first(EntityKind::Order) {
            steps.push(format!("Look up order {}.", order.value));
        } else if topic.is_some_and(|topic| topic.needs_order) {
            steps.push("Ask for the order number.".to_owned());
        }
        if let Some(account) = self.first(EntityKind::Account) {
            steps.push(format!("Open account {}.", account.value));
        } else if topic.is_some_and(|topic| topic.needs_account) && self.input.customer.is_empty() {
            steps.push("Ask for the account number.".to_owned());
        }
        steps.extend(
            topic.map(|topic| topic.actions).unwrap_or_default().iter().map(|step| (*step).to_owned()),
        );
        if self.attempts.iter().any(|attempt| attempt.failure.is_some()) {
            steps.push("Do not send the caller back to the bot for what it could not do.".to_owned());
        }
        steps.truncate(STEPS_MAX);
        steps
    }

    /// A sentence to begin with.
    pub(super) fn opening(&self) -> String {
        let greeting = self.name.map_or_else(|| "Hello".to_owned(), |name| format!("Hi {name}"));
        let Some(mention) = self.goal.topic else {
            if self.goal.known {
                return format!(
                    "{greeting}, I have read what you told our assistant. Let me take it from here."
                );
            }
            return format!("{greeting}, you are through to a person now. What can I do for you?");
        };
        let order = self.first(EntityKind::Order).map_or_else(String::new, |order| match mention.label {
            "order" => format!(" {}", order.value),
            _ => format!(" for order {}", order.value),
        });
        let about = if mention.label == "order" && !order.is_empty() { "order" } else { mention.named };
        let close = if self.sentiment < UPSET {
            "I'm sorry for the trouble; let me take care of it."
        } else {
            "Let me take it from here."
        };
        format!("{greeting}, I see you've been asking about {about}{order}. {close}")
    }

    /// How to sound.
    pub(super) fn tone(&self) -> String {
        let urgent = self.goal.topic.is_some_and(|mention| mention.topic.urgent);
        let repeated = self.attempts.len() > 2;
        let tone = match (urgent, self.sentiment) {
            (true, _) => "Quick and reassuring: say at once what you will do.",
            (false, mood) if mood < VERY_UPSET => "Empathy first, solution second.",
            (false, mood) if mood < UPSET => {
                "Calm and reassuring; acknowledge the trouble before you solve it."
            }
            (false, mood) if mood > PLEASED => "Warm and friendly.",
            (false, _) => "Friendly and to the point.",
        };
        if repeated { format!("{tone} Do not ask again for what is on this card.") } else { tone.to_owned() }
    }

    /// What would have helped and is not known.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        let topic = self.goal.topic.map(|mention| mention.topic);
        if self.said.is_empty() && !self.input.transcribed {
            missing
                .push("a transcript: this gateway does not transcribe, and the bot told no words".to_owned());
        } else if self.said.is_empty() {
            missing.push("a transcript: nothing was said, or nothing was recognised".to_owned());
        } else if self.said.iter().all(|said| said.utterance.speaker != Speaker::Caller) {
            missing.push("the caller's words: only the bot was heard".to_owned());
        }
        if !self.goal.known {
            missing.push("the question".to_owned());
        }
        if self.name.is_none() {
            missing.push("the caller's name".to_owned());
        }
        if self.input.customer.is_empty() {
            missing.push("the customer's record: no lookup found one".to_owned());
        }
        if topic.is_some_and(|topic| topic.needs_order) && self.first(EntityKind::Order).is_none() {
            missing.push("the order number".to_owned());
        }
        let account_known = self.first(EntityKind::Account).is_some() || !self.input.customer.is_empty();
        if topic.is_some_and(|topic| topic.needs_account) && !account_known {
            missing.push("the account number".to_owned());
        }
        let faint = self.said.iter().map(|said| said.utterance).filter(|utterance| {
            utterance.speaker == Speaker::Caller && utterance.confidence < CONFIDENCE_MIN
        });
        missing.extend(faint.take(FAINT_MAX).map(|utterance| {
            format!(
                "sure words in utterance {}: heard with confidence {:.2}",
                utterance.id.0, utterance.confidence
            )
        }));
        missing
    }

    fn first(&self, kind: EntityKind) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.kind == kind)
    }
}

/// Why the call is handed over, in a few words for the whisper; empty if it is not.
pub(super) fn why(reason: &Reason) -> String {
    match (reason.rule.as_str(), reason.code.as_str()) {
        (_, "no_handoff") => String::new(),
        (_, "explicit_request") => "Asked for a human".to_owned(),
        (_, "dtmf_zero") => "Pressed zero".to_owned(),
        (_, "bot_declared") => "The bot asked for you".to_owned(),
        (_, "bot_failed") => "The bot failed".to_owned(),
        (_, "agent_lost") => "Was cut off from an agent".to_owned(),
        ("API", _) => text::shortened(&text::capital(&reason.evidence), 6),
        ("T24", code) => format!("The bot says: {}", text::shortened(&code.replace(['_', '-'], " "), 5)),
        (_, code) => text::shortened(&text::capital(&code.replace(['_', '-'], " ")), 5),
    }
}

/// A word on the caller's mood for the whisper, where it matters.
pub(super) fn mood(sentiment: f32) -> Option<&'static str> {
    if sentiment < VERY_UPSET {
        Some("Very upset")
    } else if sentiment < UPSET {
        Some("Upset")
    } else {
        None
    }
}

/// The customer's tier for the whisper, where it is not the usual one.
pub(super) fn tier(customer: &BTreeMap<String, String>) -> Option<&str> {
    let tier = ["account_type", "tier"].iter().find_map(|field| customer.get(*field))?.trim();
    let usual = ["", "standard", "basic", "free", "regular", "normal", "none"];
    (!usual.contains(&tier.to_lowercase().as_str())).then_some(tier)
}

const STEPS_MAX: usize = 4;
const FAINT_MAX: usize = 3;
/// Below this mean token probability the words are shown but not trusted.
const CONFIDENCE_MIN: f32 = 0.45;
const VERY_UPSET: f32 = -0.65;
const UPSET: f32 = -0.2;
const PLEASED: f32 = 0.3;
