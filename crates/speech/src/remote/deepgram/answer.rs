//! What the service says, as far as it is read.

use std::time::Duration;

use serde::Deserialize;

use super::tape::Times;
use crate::pool::{Standing, Told, Word};

/// One text message.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Answer {
    /// Words.
    Results(Results),
    /// Silence after words.
    UtteranceEnd,
    /// Sums up the stream, after the last words.
    Metadata,
    /// The service cannot go on.
    Error {
        #[serde(default, alias = "message")]
        description: String,
    },
    /// Somebody speaks, or what else is there one day.
    #[serde(other)]
    Other,
}

/// What was said in a piece of the sound, in seconds since the connection began.
#[derive(Debug, Deserialize)]
pub(super) struct Results {
    #[serde(default)]
    start: f64,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    is_final: bool,
    #[serde(default)]
    speech_final: bool,
    #[serde(default)]
    from_finalize: bool,
    channel: Channel,
}

#[derive(Debug, Deserialize)]
struct Channel {
    #[serde(default)]
    alternatives: Vec<Alternative>,
}

/// The best comes first.
#[derive(Debug, Deserialize)]
struct Alternative {
    #[serde(default)]
    transcript: String,
    #[serde(default)]
    confidence: f32,
    #[serde(default)]
    words: Vec<Timed>,
}

#[derive(Debug, Deserialize)]
struct Timed {
    word: String,
    start: f64,
    end: f64,
    punctuated_word: Option<String>,
}

impl Results {
    /// The words, and up to where they will not change, if that is so.
    pub(super) fn told(self, times: &Times) -> (Told, Option<Duration>) {
        let standing = match (self.is_final, self.speech_final || self.from_finalize) {
            (true, true) => Standing::Last,
            (true, false) => Standing::Settled,
            (false, _) => Standing::Growing,
        };
        let end = self.start + self.duration;
        let best = self.channel.alternatives.into_iter().next();
        let words = best.map_or_else(Vec::new, |best| best.words(times, (self.start, end)));
        let until = times.at(end);
        (Told::Words { words, standing, until }, self.is_final.then_some(until))
    }
}

impl Alternative {
    fn words(self, times: &Times, (start, end): (f64, f64)) -> Vec<Word> {
        let confidence = self.confidence.clamp(0.0, 1.0);
        let word = |text: String, start, end| Word {
            text,
            start: times.at(start),
            end: times.at(end).max(times.at(start)),
            confidence,
        };
        if self.words.is_empty() && !self.transcript.trim().is_empty() {
            // Servers that tell no times of words: the piece is as good as one word.
            return vec![word(self.transcript.trim().to_owned(), start, end)];
        }
        self.words
            .into_iter()
            .map(|timed| word(timed.punctuated_word.unwrap_or(timed.word), timed.start, timed.end))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Told {
        let Answer::Results(results) = serde_json::from_str(text).unwrap() else { panic!("{text} is none") };
        results.told(&Times::default()).0
    }

    #[test]
    fn words_are_written_with_their_punctuation_and_the_alternatives_confidence() {
        let text = r#"{"type":"Results","channel_index":[0,1],"start":0.0,"duration":1.0,"is_final":true,
            "speech_final":true,"channel":{"alternatives":[{"transcript":"a human please","confidence":0.93,
            "words":[{"word":"a","start":0.1,"end":0.2,"confidence":0.5},
            {"word":"human","start":0.3,"end":0.6,"confidence":0.9,"punctuated_word":"human,"}]}]}}"#;
        let Told::Words { words, standing, .. } = told(text) else { panic!("no words") };
        let texts: Vec<(&str, f32)> =
            words.iter().map(|word| (word.text.as_str(), word.confidence)).collect();
        assert_eq!((texts, standing), (vec![("a", 0.93), ("human,", 0.93)], Standing::Last));
    }

    #[test]
    fn a_server_that_tells_no_words_or_no_alternative_is_understood() {
        let text = r#"{"type":"Results","start":1.0,"duration":1.0,"is_final":true,
            "channel":{"alternatives":[{"transcript":" thank you "}]}}"#;
        let Told::Words { words, standing, .. } = told(text) else { panic!("no words") };
        assert_eq!((words.len(), words[0].text.as_str(), standing), (1, "thank you", Standing::Settled));
        let Told::Words { words, standing, .. } = told(r#"{"type":"Results","channel":{}}"#) else {
            panic!("no words")
        };
        assert_eq!((words.len(), standing), (0, Standing::Growing));
    }

    #[test]
    fn news_of_other_kinds_are_passed_over() {
        for text in [r#"{"type":"SpeechStarted","timestamp":1.2}"#, r#"{"type":"Nova","x":[1]}"#] {
            assert!(matches!(serde_json::from_str(text), Ok(Answer::Other)), "{text}");
        }
        let metadata = r#"{"type":"Metadata","request_id":"1","duration":2.5}"#;
        assert!(matches!(serde_json::from_str(metadata), Ok(Answer::Metadata)));
        assert!(serde_json::from_str::<Answer>("<html>").is_err());
    }
}
