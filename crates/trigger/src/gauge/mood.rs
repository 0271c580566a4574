//! The caller's sentiment, from a list of words and phrases with their weight, turned by negations and made stronger
//! or weaker by the words before them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Turn;
use crate::{
    feature::{Feature, Features},
    rules::SentimentRules,
    words::{self, Word},
};

/// The compiled list of one language.
#[derive(Debug)]
pub(crate) struct Sentiments {
    weights: BTreeMap<String, f64>,
    longest: usize,
    strength: BTreeMap<String, f64>,
    negations: BTreeSet<String>,
    turns: BTreeSet<String>,
}

/// What a call's moods were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    now: f64,
    course: VecDeque<f64>,
}

/// The sentiment of one utterance, and the words it came from.
pub(super) struct Felt {
    pub(super) value: f64,
    pub(super) words: Vec<String>,
}

impl Sentiments {
    pub(crate) fn new(rules: &SentimentRules, expansions: &BTreeMap<String, String>) -> Self {
        let plain = |phrase: &String| words::plain(phrase, expansions).join(" ");
        let weigh = |list: &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
            list.iter().map(|(phrase, weight)| (plain(phrase), *weight)).collect()
        };
        let weights = weigh(&rules.weights);
        Self {
            longest: weights.keys().map(|phrase| phrase.split(' ').count()).max().unwrap_or(1),
            weights,
            strength: weigh(&rules.strength),
            negations: rules.negations.iter().map(plain).collect(),
            turns: rules.turns.iter().map(plain).collect(),
        }
    }

    /// −1..1; nothing where no word says anything.
    pub(super) fn feel(&self, words: &[Word]) -> Option<Felt> {
        let mut found: Vec<(usize, f64, String)> = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let Some((length, phrase, weight)) = self.phrase_at(words, at) else {
                if words.get(at).is_some_and(|word| self.turns.contains(&word.text)) {
                    // What comes before a "but" counts half.
                    found.iter_mut().for_each(|(_, weight, _)| *weight /= 2.0);
                }
                at += 1;
                continue;
            };
            found.push((at, weight * self.turned(words, at), phrase));
            at += length;
        }
        let sum: f64 = found.iter().map(|(_, weight, _)| weight).sum();
        (!found.is_empty()).then(|| Felt {
            value: sum / (sum * sum + SATURATION).sqrt(),
            words: found.into_iter().map(|(_, _, phrase)| phrase).collect(),
        })
    }

    fn phrase_at(&self, words: &[Word], at: usize) -> Option<(usize, String, f64)> {
        (1..=self.longest).rev().find_map(|length| {
            let part = words.get(at..at + length)?;
            let phrase = part.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            let weight = *self.weights.get(&phrase)?;
            Some((length, phrase, weight))
        })
    }

    /// By what the words before it make of a word.
    fn turned(&self, words: &[Word], at: usize) -> f64 {
        let mut factor = 1.0;
        for back in 1..=REACH.min(at) {
            let (Some(word), Some(after)) = (words.get(at - back), words.get(at - back + 1)) else { break };
            if after.starts_sentence || self.turns.contains(&word.text) {
                break;
            }
            if self.negations.contains(&word.text) {
                return factor * NEGATED;
            }
            factor *= self.strength.get(&word.text).copied().unwrap_or(1.0);
        }
        factor
    }
}

impl Memory {
    pub(super) fn hear(&mut self, ears: &Sentiments, turn: &Turn<'_>, features: &mut Features) {
        let felt = ears.feel(turn.words);
        self.now = match &felt {
            Some(felt) => NEWEST * felt.value + (1.0 - NEWEST) * self.now,
            None => self.now * FADING,
        };
        let evidence = || turn.evidence(felt.as_ref().map_or_else(String::new, |felt| felt.words.join(", ")));
        let negativity = (-self.now).max(0.0);
        features.number(Feature::Sentiment, self.now, evidence());
        features.number(Feature::Negativity, negativity, evidence());
        self.course.push_back(negativity);
        if self.course.len() > COURSE_MAX {
            self.course.pop_front();
        }
        if let Some(forecast) = forecast(&self.course) {
            features.number(Feature::NegativityForecast, forecast, turn.evidence("by the last turns"));
        }
    }
}

/// Two turns on, by the straight line through the last turns.
fn forecast(course: &VecDeque<f64>) -> Option<f64> {
    if course.len() < COURSE_MIN {
        return None;
    }
    let count = course.len() as f64;
    let (mean_at, mean) = ((count - 1.0) / 2.0, course.iter().sum::<f64>() / count);
    let (mut rise, mut run) = (0.0, 0.0);
    for (at, value) in course.iter().enumerate() {
        let from_mean = at as f64 - mean_at;
        rise += from_mean * (value - mean);
        run += from_mean * from_mean;
    }
    let ahead = count - 1.0 + 2.0 - mean_at;
    Some((mean + rise / run * ahead).clamp(0.0, 1.0))
}

/// So many words back a negation or a stronger word reaches.
const REACH: usize = 3;
/// "Not good" is bad, but less so than "bad".
const NEGATED: f64 = -0.7;
/// One word of weight 4 gives 0.76, two of them 0.92.
const SATURATION: f64 = 12.0;
const NEWEST: f64 = 0.65;
const FADING: f64 = 0.8;
const COURSE_MIN: usize = 3;
const COURSE_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    fn felt(text: &str) -> f64 {
        let rules = Rules::default();
        let english = &rules.languages["en"];
        let ears = Sentiments::new(&english.sentiment, &english.expansions);
        ears.feel(&words::split(text, &english.expansions)).map_or(0.0, |felt| felt.value)
    }

    #[test]
    fn sentences_that_differ_in_one_word_differ_in_sentiment_as_they_should() {
        let order = |lines: &[&str]| {
            for pair in lines.windows(2) {
                let (low, high) = (felt(pair[0]), felt(pair[1]));
                assert!(low < high, "{:?} {low:.2} is not below {:?} {high:.2}", pair[0], pair[1]);
            }
        };
        order(&[
            "this is absolutely terrible",
            "this is terrible",
            "this is a bit terrible",
            "this is",
            "this is not terrible",
        ]);
        order(&["I am not happy", "I am", "I am happy", "I am very happy"]);
        order(&[
            "the agent was nice but the service is awful",
            "the service is awful but the agent was nice",
        ]);
        order(&["it is bad", "it is not good", "it is fine", "it is great"]);
    }

    #[test]
    fn what_says_nothing_weighs_nothing() {
        for text in ["", "my order number is one two three four", "the parcel comes on Tuesday", "yes"] {
            assert_eq!(felt(text), 0.0, "{text}");
        }
    }

    #[test]
    fn anger_is_over_the_usual_limit_and_a_plain_complaint_is_not() {
        assert!(felt("this is ridiculous I am absolutely furious with your terrible service") < -0.85);
        let complaint = felt("my parcel is late again");
        assert!((-0.7..0.0).contains(&complaint), "{complaint}");
        assert!(felt("thank you that is wonderful") > 0.7);
    }

    #[test]
    fn a_forecast_goes_on_where_the_course_went() {
        let course = |values: &[f64]| forecast(&values.iter().copied().collect());
        assert_eq!(course(&[0.1, 0.2]), None);
        assert!((course(&[0.1, 0.2, 0.3]).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(course(&[0.5, 0.7, 0.9, 1.0]).unwrap(), 1.0);
        assert_eq!(course(&[0.3, 0.2, 0.1]).unwrap(), 0.0);
        assert!((course(&[0.4, 0.4, 0.4]).unwrap() - 0.4).abs() < 1e-9);
    }
}
