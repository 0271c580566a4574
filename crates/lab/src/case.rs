//! Past calls as lines of JSON, one call a line.
//!
//! ```json
//! {"id": "c1", "turns": [
//!   {"speaker": "caller", "text": "where is my parcel", "start": 2.0, "end": 3.5},
//!   {"speaker": "bot", "text": "could you repeat that", "start": 4.0, "end": 5.2},
//!   {"facts": [{"fact": "confidence", "value": 0.35}]}
//!  ], "label": {"handoff": true, "turn": 2}}
//! ```

use std::{io::BufRead, time::Duration};

use segue_trigger::{Fact, Speaker};
use serde::{Deserialize, Serialize};

/// One past call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, for reports.
    pub id: String,
    /// What was said, and what was found out, in the order of time.
    pub turns: Vec<Turn>,
    /// What should have happened, if somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
}

/// One piece of a call: words of somebody, or facts, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Who spoke; nobody where there are only facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Speaker>,
    /// What was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When speech began, seconds from the beginning of the call; without it, turns are six seconds apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// When speech ended, seconds from the beginning of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// How sure the recogniser was, 0..=1; 1 for what was not recognised but written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// What was found out at that moment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// A key that the caller pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<char>,
}

/// What should have happened to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Whether it belonged to a human.
    pub handoff: bool,
    /// From which turn on, counted from 1: where the need could first be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u32>,
    /// Why, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A line that is no call.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read on.
    #[error("line {line}: cannot be read: {reason}")]
    Read {
        /// Counted from 1.
        line: u64,
        /// What the system said.
        reason: std::io::Error,
    },
    /// It is no call.
    #[error("line {line}: no call: {reason}")]
    Shape {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
}

/// The calls of a file, read one by one. Empty lines are passed over.
pub struct Cases<R> {
    source: R,
    line: u64,
    text: String,
}

impl<R: BufRead> Cases<R> {
    /// Reads from the beginning.
    pub const fn new(source: R) -> Self {
        Self { source, line: 0, text: String::new() }
    }
}

impl<R: BufRead> Iterator for Cases<R> {
    type Item = Result<Case, CaseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.text.clear();
            self.line += 1;
            match self.source.read_line(&mut self.text) {
                Err(reason) => return Some(Err(CaseError::Read { line: self.line, reason })),
                Ok(0) => return None,
                Ok(_) if self.text.trim().is_empty() => {}
                Ok(_) => return Some(read(&self.text, self.line)),
            }
        }
    }
}

fn read(text: &str, line: u64) -> Result<Case, CaseError> {
    let case: Case =
        serde_json::from_str(text).map_err(|error| CaseError::Shape { line, reason: error.to_string() })?;
    let wrong = |reason: String| Err(CaseError::Shape { line, reason });
    for (at, turn) in case.turns.iter().enumerate() {
        let number = at + 1;
        let times = [turn.start, turn.end].into_iter().flatten();
        if times.clone().any(|time| !(0.0..=DAY).contains(&time)) {
            return wrong(format!("turn {number}: times are seconds from the beginning of the call"));
        }
        if turn.speaker.is_none() && !turn.text.is_empty() {
            return wrong(format!("turn {number}: has words and no speaker (caller, bot or agent)"));
        }
    }
    if let Some(turn) = case.label.as_ref().and_then(|label| label.turn)
        && !(1..=case.turns.len()).contains(&(turn as usize))
    {
        return wrong(format!("label.turn is {turn}, and there are {} turns", case.turns.len()));
    }
    Ok(case)
}

impl Turn {
    /// When it began and ended; a turn without times comes six seconds after the one before and lasts four.
    pub(crate) fn times(&self, before: Duration) -> (Duration, Duration) {
        let start = self.start.map_or(before + PAUSE, Duration::from_secs_f64);
        let end = self.end.map_or(start + LENGTH, Duration::from_secs_f64);
        (start, end.max(start))
    }
}

const PAUSE: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(4);
/// No call is longer.
const DAY: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_line_by_line_and_a_wrong_one_is_named() {
        let text = concat!(
            r#"{"id":"a","turns":[{"speaker":"caller","text":"hello"}],"label":{"handoff":false}}"#,
            "\n\n",
            r#"{"id":"b","turns":[{"text":"hello"}]}"#,
            "\n",
            r#"{"id":"c","turns":[],"label":{"handoff":true,"turn":1}}"#,
            "\n{\n",
            r#"{"id":"e","turns":[{"facts":[{"fact":"confidence","value":0.4},{"fact":"failed"}]}]}"#,
        );
        let read: Vec<_> = Cases::new(text.as_bytes()).collect();
        assert_eq!(read[0].as_ref().unwrap().id, "a");
        let errors: Vec<String> =
            read[1..4].iter().map(|case| case.as_ref().unwrap_err().to_string()).collect();
        assert!(errors[0].starts_with("line 3: no call: turn 1: has words and no speaker"), "{errors:?}");
        assert!(errors[1].contains("label.turn is 1, and there are 0 turns"), "{errors:?}");
        assert!(errors[2].starts_with("line 5: no call"), "{errors:?}");
        assert_eq!(read[4].as_ref().unwrap().turns[0].facts, [Fact::Confidence(0.4), Fact::Failed]);
    }
}
