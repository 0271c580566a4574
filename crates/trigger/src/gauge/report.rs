//! What facts become: the bot's confidence and its band, intent, exceptions, what it achieved.

use super::Memory;
use crate::{
    fact::Fact,
    feature::{Evidence, Feature, Features, Value},
    utterance::UtteranceId,
};

impl Memory {
    /// A fact, and the utterance it was found in.
    pub(crate) fn learn(&mut self, fact: &Fact, utterance: Option<UtteranceId>, features: &mut Features) {
        let evidence = |text: &str| Evidence { text: text.to_owned(), utterance };
        let word = |word: &str| Value::Word(word.to_owned());
        match fact {
            Fact::Amount(amount) => {
                let largest = features.as_number(Feature::Amount).unwrap_or(0.0).max(*amount);
                features.number(Feature::Amount, largest, evidence(&format!("{amount:.2}")));
            }
            Fact::Confidence(confidence) => {
                let told = evidence(&format!("the bot is sure to {confidence:.2}"));
                let band = band(*confidence);
                features.number(Feature::Confidence, *confidence, told.clone());
                features.set(Feature::Band, word(band), told.clone());
                if band == CLARIFY {
                    self.talk.strike(features, &told);
                }
            }
            Fact::Intent(intent) => features.set(Feature::Intent, word(intent), evidence(intent)),
            Fact::Topic(topic) => {
                if self.topic.set(topic, &evidence("by the bot"), features) {
                    self.talk.topic_changed();
                }
            }
            Fact::Considering(what) => {
                features.set(Feature::Considering, Value::Words(what.clone()), evidence(&what.join(", ")));
            }
            Fact::Engagement(engagement) => {
                features.number(Feature::Engagement, *engagement, evidence("by the bot"));
            }
            Fact::Exception(code) => features.set(Feature::Exception, word(code), evidence(code)),
            Fact::Failed => self.talk.strike(features, &evidence("the bot failed")),
            Fact::Succeeded => self.talk.succeed(features, &evidence("the bot succeeded")),
            Fact::Declined => {
                let declined = features.as_number(Feature::OffersDeclined).unwrap_or(0.0) + 1.0;
                features.number(Feature::OffersDeclined, declined, evidence("declined"));
            }
            Fact::ContactsRecent(count) => {
                features.number(Feature::ContactsRecent, f64::from(*count), evidence("earlier contacts"));
            }
        }
    }
}

/// What a confidence calls for (T06): half-open bands without a hole.
fn band(confidence: f64) -> &'static str {
    match confidence {
        0.90.. => "answer",
        0.75.. => "confirm",
        0.60.. => "offer",
        0.40.. => CLARIFY,
        _ => "escalate",
    }
}

const CLARIFY: &str = "clarify";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_are_half_open_and_have_no_hole() {
        let cases = [
            (1.0, "answer"),
            (0.90, "answer"),
            (0.8999, "confirm"),
            (0.75, "confirm"),
            (0.7499, "offer"),
            (0.60, "offer"),
            (0.5999, "clarify"),
            (0.40, "clarify"),
            (0.3999, "escalate"),
            (0.0, "escalate"),
        ];
        for (confidence, expected) in cases {
            assert_eq!(band(confidence), expected, "{confidence}");
        }
    }
}
