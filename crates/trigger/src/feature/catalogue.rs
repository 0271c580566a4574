//! The names that rules may use, with their units and what they mean. This is the public list.

/// What kind of value a feature has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// A word.
    Word,
    /// A list of words.
    Words,
}

/// What there is to know about a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureInfo {
    /// Its name in a rule.
    pub name: &'static str,
    /// What kind of value.
    pub kind: Kind,
    /// The unit or range of a number.
    pub unit: &'static str,
    /// Its value at the beginning of a call; `None` if it is not known until something tells.
    pub from: Option<f64>,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! features {
    ($($name:ident $text:literal $kind:ident $unit:literal $from:expr, $meaning:literal;)*) => {
        /// Names a feature in the code; its place in [`FEATURES`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Feature { $($name),* }

        /// Every feature, in alphabetical order of the names.
        pub const FEATURES: &[FeatureInfo] = &[$(FeatureInfo {
            name: $text, kind: Kind::$kind, unit: $unit, from: $from, meaning: $meaning,
        }),*];
    };
}

features! {
    Amount "amount" Number "currency units" None, "the largest sum of money the caller named";
    Attempts "attempts" Number "count" Some(0.0), "attempts on the topic at hand, by the bot's count or ours";
    Band "band" Word "" None, "what the bot's confidence calls for: answer, confirm, offer, clarify or escalate";
    CircularTurns "circular_turns" Number "count" Some(0.0), "turns in which bot and caller both said what they had said before";
    Clarifications "clarifications" Number "count" Some(0.0), "clarifying questions of the bot in a row";
    Confidence "confidence" Number "0..1" None, "the bot's last word on how sure it is";
    ConfusionLoops "confusion_loops" Number "count" Some(0.0), "the most of: clarifications, circular turns, times the same question was asked again";
    Considering "considering" Words "" None, "what the bot says the caller is considering";
    ContactsRecent "contacts_recent" Number "count" None, "the caller's other contacts in the last 48 h";
    Engagement "engagement" Number "0..1" None, "how engaged the caller is, as the bot says";
    Exception "exception" Word "" None, "the reason code of an exception that the bot declared";
    Frustration "frustration" Number "count" Some(0.0), "phrases of frustration in the caller's last turns";
    Intent "intent" Word "" None, "the caller's intent, as the bot says";
    Negativity "negativity" Number "0..1" Some(0.0), "how negative the caller sounds: the part of sentiment below zero";
    NegativityForecast "negativity_forecast" Number "0..1" None, "negativity two turns from now, if its course goes on";
    OffersDeclined "offers_declined" Number "count" Some(0.0), "how often the caller declined a human";
    Profanity "profanity" Number "count" Some(0.0), "profanities in the caller's last turns";
    QuestionRepeats "question_repeats" Number "count" Some(0.0), "how often the caller asked again what they had asked before";
    Score "score" Number "weight" Some(0.0), "the weights of all weak rules that hold now, together";
    Sentiment "sentiment" Number "-1..1" Some(0.0), "the caller's sentiment over their last turns, the newest counting most";
    SessionMinutes "session_minutes" Number "minutes" Some(0.0), "since the call began";
    Similarity "similarity" Number "0..1" Some(0.0), "of the caller's last question to the most similar one before it";
    Strikes "strikes" Number "count" Some(0.0), "failures in a row: the bot unsure, the caller saying it is wrong; success sets it to nothing";
    Topic "topic" Word "" None, "what the call is about now";
    TopicSwitches "topic_switches" Number "count" Some(0.0), "how often the topic changed";
    Topics "topics" Words "" None, "every topic in the caller's last utterance";
    Turns "turns" Number "count" Some(0.0), "utterances of the caller so far";
    Urgency "urgency" Number "count" Some(0.0), "words of urgency in the caller's last turns";
    VagueAnswers "vague_answers" Number "count" Some(0.0), "answers of the bot that say nothing, in a row";
}

/// Where a name stands in [`FEATURES`].
pub(crate) fn place(name: &str) -> Option<usize> {
    FEATURES.binary_search_by(|info| info.name.cmp(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_so_that_they_can_be_found() {
        for (at, info) in FEATURES.iter().enumerate() {
            assert_eq!(place(info.name), Some(at));
            assert_eq!(info.kind == Kind::Number, !info.unit.is_empty(), "{}", info.name);
        }
        assert_eq!(place("sentimental"), None);
        assert_eq!(FEATURES[Feature::Negativity as usize].name, "negativity");
    }

    #[test]
    fn the_page_lists_every_feature_as_it_is() {
        let page = include_str!("../../README.md");
        for info in FEATURES {
            let unit = match info.kind {
                Kind::Number => info.unit,
                Kind::Word => "word",
                Kind::Words => "words",
            };
            let from = if info.from.is_some() { "0" } else { "–" };
            let line = format!("| `{}` | {unit} | {from} | {} |", info.name, info.meaning);
            assert!(page.contains(&line), "crates/trigger/README.md lacks this line:\n{line}");
        }
    }
}
