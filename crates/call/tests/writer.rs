//! A writer that follows a call writes what a writer of the whole transcript writes (B12).

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use segue_call::{
    Brief, BriefInput, WhisperLimit,
    writer::{self, Writer},
};
use segue_trigger::{Reason, Speaker, Stage, Utterance, UtteranceId};

const LINES: &[&str] = &[
    "What is your order number?",
    "What is the customer number of your account?",
    "nine nine eight one",
    "five five five one two three four five six seven",
    "I want a refund for order one two three four, it cost five hundred dollars",
    "I'm sorry, I could not find that order. Please try to restart the router.",
    "Sorry, I did not understand that.",
    "I already tried that, it did not work. This is ridiculous!",
    "Your order 4711 will arrive on Monday.",
    "My package has not arrived; cancel it, and let me talk to a human",
    "great, thank you",
    "agent",
    "",
    "\u{1f600} ??? \u{2026}",
];

/// What happens to a transcript between two briefs.
#[derive(Clone, Debug)]
enum Change {
    /// Something is said, in its place: a late final comes before what is there already.
    Said { id: u32, speaker: Speaker, line: &'static str, stage: Stage, confidence: f32 },
    /// The oldest utterance is dropped at a limit.
    Dropped,
    /// One in the middle is left out, because there are so many.
    LeftOut(usize),
    /// The same utterance is told with other words.
    Corrected(usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let speaker = proptest::sample::select(&[Speaker::Caller, Speaker::Caller, Speaker::Bot, Speaker::Agent]);
    let stage = prop_oneof![8 => Just(Stage::Final), 1 => Just(Stage::Partial)];
    let confidence = proptest::sample::select(&[0.3_f32, 0.9]);
    prop_oneof![
        12 => (0..60_u32, speaker, proptest::sample::select(LINES), stage, confidence).prop_map(
            |(id, speaker, line, stage, confidence)| Change::Said { id, speaker, line, stage, confidence }
        ),
        1 => Just(Change::Dropped),
        1 => any::<usize>().prop_map(Change::LeftOut),
        1 => (any::<usize>(), proptest::sample::select(LINES)).prop_map(|(place, line)| Change::Corrected(place, line)),
    ]
}

fn apply(change: &Change, transcript: &mut Vec<Utterance>) {
    let count = transcript.len().max(1);
    match *change {
        Change::Said { id, speaker, line, stage, confidence } => {
            let place = transcript.partition_point(|known| known.id.0 <= id);
            let said = Utterance {
                id: UtteranceId(id),
                speaker,
                text: line.to_owned(),
                start: Duration::from_secs(u64::from(id)),
                end: Duration::from_secs(u64::from(id) + 1),
                confidence,
                stage,
                level: None,
            };
            transcript.insert(place, said);
        }
        Change::Dropped => drop(transcript.drain(..transcript.len().min(1))),
        Change::LeftOut(place) => {
            drop(transcript.drain(place % count..transcript.len().min(place % count + 1)))
        }
        Change::Corrected(place, line) => {
            if let Some(said) = transcript.get_mut(place % count) {
                said.text = line.to_owned();
            }
        }
    }
}

fn write(transcript: &[Utterance], by: impl FnOnce(&BriefInput<'_>) -> Brief) -> serde_json::Result<String> {
    let reason = Reason {
        rule: "T01".to_owned(),
        code: "explicit_request".to_owned(),
        evidence: "talk to a human".to_owned(),
        value: 1.0,
        utterance: None,
    };
    let brief = by(&BriefInput {
        transcribed: true,
        handoff: 1,
        revision: 1,
        transcript,
        reason: &reason,
        declared: None,
        customer: &BTreeMap::new(),
        priority: 50,
        priority_because: &[],
        caller_name: Some("Sarah"),
        language: "en",
        whisper: WhisperLimit::default(),
    });
    serde_json::to_string(&brief)
}

#[test]
fn a_brief_is_the_same_whether_it_grew_with_the_call_or_was_written_at_once() {
    let config = ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() };
    proptest!(config, |(changes in proptest::collection::vec(change(), 1..40))| {
        let mut writer = Writer::default();
        let mut transcript = Vec::new();
        for change in &changes {
            apply(change, &mut transcript);
            let grown = write(&transcript, |input| writer.write(input)).unwrap();
            prop_assert_eq!(grown, write(&transcript, writer::write).unwrap(), "after {:?}", change);
        }
    });
}

#[test]
fn an_utterance_is_read_anew_where_a_late_question_makes_it_an_answer() {
    let said = |id, speaker, line| Change::Said { id, speaker, line, stage: Stage::Final, confidence: 0.9 };
    let mut writer = Writer::default();
    let mut transcript = Vec::new();
    apply(&said(2, Speaker::Caller, "nine nine eight one"), &mut transcript);
    let before = write(&transcript, |input| writer.write(input)).unwrap();
    assert!(!before.contains("9981"), "{before}");
    apply(&said(1, Speaker::Bot, "What is your order number?"), &mut transcript);
    let after = write(&transcript, |input| writer.write(input)).unwrap();
    assert!(after.contains(r#""kind":"order","value":"9981""#), "{after}");
}
