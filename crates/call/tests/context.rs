//! The wire object of a handoff: its exact shape, and that nothing is lost on the way (C03, C10).

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use segue_acd::{Language, Skill};
use segue_call::{Brief, BriefInput, Channel, HandoffRequest, Metadata, WhisperLimit, writer::write};
use segue_trigger::{Reason, Speaker, Stage, Utterance, UtteranceId};
use serde_json::{Value, json};

fn transcript() -> Vec<Utterance> {
    let said = |id: u32, speaker, text: &str, stage| Utterance {
        id: UtteranceId(id),
        speaker,
        text: text.to_owned(),
        start: Duration::from_millis(1_700_000_000_250 + u64::from(id) * 10_000),
        end: Duration::from_millis(1_700_000_003_500 + u64::from(id) * 10_000),
        confidence: 0.75,
        stage,
        level: None,
    };
    vec![
        said(1, Speaker::Caller, "I want a refund for order 1234", Stage::Final),
        said(2, Speaker::Bot, "I cannot refund that order.", Stage::Final),
        said(3, Speaker::Caller, "talk to a human", Stage::Final),
        said(4, Speaker::Caller, "are you", Stage::Partial),
    ]
}

fn brief(priority: u32) -> Brief {
    let reason = Reason {
        rule: "T01".to_owned(),
        code: "explicit_request".to_owned(),
        evidence: "talk to a human".to_owned(),
        value: 1.0,
        utterance: Some(UtteranceId(3)),
    };
    write(&BriefInput {
        transcribed: true,
        handoff: 1,
        revision: 1,
        transcript: &transcript(),
        reason: &reason,
        declared: None,
        customer: &BTreeMap::from([
            ("customer_id".to_owned(), "C-77".to_owned()),
            ("name".to_owned(), "Sarah".to_owned()),
        ]),
        priority,
        priority_because: &[],
        caller_name: None,
        language: "en",
        whisper: WhisperLimit::default(),
    })
}

fn request(priority: u32) -> HandoffRequest {
    let metadata = Metadata {
        session_id: "0190-7".to_owned(),
        escalation_trigger: "T01 explicit_request".to_owned(),
        ai_confidence: Some(0.5),
        attempted_solutions: vec!["Bot: I cannot refund that order".to_owned()],
        session_start: Duration::from_secs(1_700_000_000),
    };
    HandoffRequest::new(
        &brief(priority),
        &transcript(),
        &metadata,
        &[Skill::from("refunds")],
        &Language::from("en"),
    )
}

#[test]
fn the_wire_object_has_this_shape() {
    let found = serde_json::to_value(request(70)).unwrap();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&found), ["channel", "context", "language", "metadata", "priority", "skills_required"]);
    let context = found.pointer("/context").unwrap();
    assert_eq!(
        keys(context),
        ["customer", "entities", "missing", "recommended_actions", "sentiment", "summary", "transcript"]
    );
    let at = |path: &str| found.pointer(path).unwrap().clone();
    assert_eq!(at("/priority"), json!(70));
    assert_eq!(at("/skills_required"), json!(["refunds"]));
    assert_eq!((at("/language"), at("/channel")), (json!("en"), json!("voice")));
    assert_eq!(
        at("/context/transcript/0"),
        json!({
            "utterance": 1,
            "speaker": "caller",
            "text": "I want a refund for order 1234",
            "start": 1_700_000_010.25,
            "end": 1_700_000_013.5,
            "confidence": 0.75,
        })
    );
    assert_eq!(
        at("/context/summary"),
        json!(
            "I want a refund for order 1234. Bot: I cannot refund that order. Handed over because of \
             explicit_request: talk to a human."
        )
    );
    assert_eq!(
        at("/context/entities/0"),
        json!({ "kind": "order", "value": "1234", "said": "1234", "utterance": 1 })
    );
    assert_eq!(
        at("/metadata"),
        json!({
            "session_id": "0190-7",
            "escalation_trigger": "T01 explicit_request",
            "ai_confidence": 0.5,
            "attempted_solutions": ["Bot: I cannot refund that order"],
            "session_start": 1_700_000_000.0,
            "session_duration": 43.5,
            "messages_exchanged": 3,
            "customer_id": "C-77",
            "escalation_reason": "talk to a human",
        })
    );
}

#[test]
fn only_finals_travel_and_the_priority_is_shown_up_to_a_hundred() {
    let request = request(135);
    assert_eq!(request.priority, 100);
    assert_eq!(request.channel, Channel::Voice);
    assert_eq!(request.context.transcript.len(), 3);
}

#[test]
fn nothing_is_lost_on_the_way() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(text in ".{0,60}", start in 0_u64..4_000_000_000_000, confidence in 0.0_f32..=1.0)| {
        let mut sent = request(60);
        let line = Utterance {
            id: UtteranceId(9),
            speaker: Speaker::Agent,
            text,
            start: Duration::from_millis(start),
            end: Duration::from_millis(start + 1),
            confidence,
            stage: Stage::Final,
            level: None,
        };
        sent.context.transcript.push((&line).into());
        let wire = serde_json::to_string(&sent).unwrap();
        let received: HandoffRequest = serde_json::from_str(&wire).unwrap();
        prop_assert_eq!(received, sent);
    });
}

#[test]
fn a_field_that_is_not_in_the_contract_is_refused() {
    let mut value = serde_json::to_value(request(60)).unwrap();
    value.as_object_mut().unwrap().insert("chanel".to_owned(), json!("voice"));
    assert!(serde_json::from_value::<HandoffRequest>(value).is_err());
}
