//! Every route, asked as it should be.

use std::sync::atomic::Ordering::Relaxed;

use segue_acd::{Presence, Ticket, TicketId};
use segue_api::{ApiConfig, Transcription};
use segue_call::{Action, HandoffState, Milestone, Party};

use crate::support::{Api, START, leg, said};

const ORDER: &str = r#"{"reason":"billing_dispute","queue":"billing"}"#;

#[tokio::test]
async fn calls_are_listed_newest_first_in_pages() {
    let api = Api::new();
    let page = api.ask("GET", "/v1/calls?limit=2").await.json();
    assert_eq!((&page["calls"][0]["id"], &page["calls"][1]["id"]), (&"three".into(), &"two".into()));
    assert_eq!(page["calls"][0]["started"], "2026-11-20T13:06:42.000Z");
    let next = page["next"].as_str().unwrap();
    let page = api.ask("GET", &format!("/v1/calls?limit=2&cursor={next}")).await.json();
    assert_eq!(page["calls"].as_array().unwrap().len(), 1);
    assert_eq!(page["calls"][0]["id"], "one");
    assert!(page.get("next").is_none());
}

#[tokio::test]
async fn a_listing_can_be_narrowed() {
    let api = Api::new();
    api.tell("POST", "/v1/calls/two/handoff", ORDER).await;
    api.desk.moves("two", HandoffState::Bridged, Some("alex"));
    for (query, expected) in [
        ("state=live", 3),
        ("state=ended", 0),
        ("handoff_state=bridged", 1),
        ("handoff_state=queued", 0),
        ("agent=alex", 1),
        ("agent=sam", 0),
    ] {
        let page = api.ask("GET", &format!("/v1/calls?{query}")).await.json();
        assert_eq!(page["calls"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_call_is_shown_with_its_legs_its_transcript_and_its_card() {
    let api = Api::new();
    api.desk.does("one", leg(Party::Caller, 0, true));
    api.desk.does("one", leg(Party::Bot, 1, true));
    api.desk.does("one", Action::Publish(Milestone::Heard(said(3, "to a human"))));
    api.desk.does("one", Action::Publish(Milestone::Heard(said(2, "talk"))));
    let call = api.ask("GET", "/v1/calls/one").await.json();
    assert_eq!(call["legs"][1], serde_json::json!({"attempt": 1, "party": "bot", "up": true}));
    let texts: Vec<&str> =
        call["transcript"].as_array().unwrap().iter().map(|said| said["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["I'd like a refund", "talk", "to a human"], "in the order of speech");
    assert!(call.get("handoff").is_none());
    api.tell("POST", "/v1/calls/one/handoff", ORDER).await;
    let call = api.ask("GET", "/v1/calls/one").await.json();
    assert_eq!(call["handoff"]["card"]["goal"], serde_json::json!({"text": "A refund", "cites": [1]}));
    assert_eq!(call["handoff_state"], "requested");
}

#[tokio::test]
async fn words_that_a_bot_tells_are_in_the_transcript() {
    let api = Api::new();
    let words = r#"{"speaker":"caller","text":" my\tparcel\u0007is late ","confidence":0.5,"utterance":7}"#;
    let told = api.tell("POST", "/v1/calls/one/transcript", words).await;
    assert_eq!(told.status.as_u16(), 204);
    let call = api.ask("GET", "/v1/calls/one").await.json();
    let said = call["transcript"].as_array().unwrap().last().unwrap();
    assert_eq!((&said["text"], &said["confidence"]), (&"my parcel is late".into(), &0.5.into()));
}

#[tokio::test]
async fn words_that_cannot_be_taken_are_refused_with_the_reason() {
    let api = Api::new();
    let long = format!(r#"{{"speaker":"caller","text":"{}"}}"#, "x".repeat(4_001));
    for (body, told) in [
        (r#"{"speaker":"caller","text":" \u0000 "}"#, "no words"),
        (r#"{"speaker":"agent","text":"hello"}"#, "agent"),
        (r#"{"speaker":"caller","text":"hi","is_final":false}"#, "utterance"),
        (r#"{"speaker":"caller","text":"hi","confidence":1.5}"#, "confidence"),
        (r#"{"speaker":"caller","text":"hi","lasted_ms":60001}"#, "lasted_ms"),
        (&long, "4000"),
    ] {
        let reply = api.tell("POST", "/v1/calls/one/transcript", body).await;
        reply.is_problem(400, "invalid-body");
        assert!(reply.json()["detail"].as_str().unwrap().contains(told), "{told}: {:?}", reply.json());
    }
    let ours = r#"{"speaker":"bot","text":"hello"}"#;
    api.tell("POST", "/v1/calls/one/transcript", ours).await.is_problem(409, "transcribed-here");
    api.tell("POST", "/v1/calls/nobody/transcript", ours).await.is_problem(404, "no-such-call");
}

#[tokio::test]
async fn transcription_that_is_off_is_told_with_what_turns_it_on() {
    let remedy = "run `segue models fetch base.en-q8_0` and start segue again".to_owned();
    let transcription = Transcription { engine: "none".to_owned(), turn_on: Some(remedy.clone()) };
    let api = Api::with(ApiConfig { transcription, ..ApiConfig::default() });
    for path in ["/healthz", "/readyz", "/v1/calls/one"] {
        let told = api.ask("GET", path).await.json()["transcription"].clone();
        assert_eq!(told, serde_json::json!({"state": "off", "engine": "none", "turn_on": remedy}), "{path}");
    }
    let told = Api::new().ask("GET", "/healthz").await.json()["transcription"]["state"].clone();
    assert_eq!(told, "on");
}

#[tokio::test]
async fn a_handoff_carries_the_request_object() {
    let api = Api::new();
    let asked = api.tell("POST", "/v1/calls/one/handoff", ORDER).await;
    assert_eq!(asked.status.as_u16(), 202);
    let ticket = Ticket {
        id: TicketId(1),
        queue: "billing".into(),
        skills: ["refunds".into()].into(),
        language: "en".into(),
        priority: 135,
        since: START,
    };
    api.desk.does("one", Action::Enqueue { ticket });
    let handoff = api.ask("GET", "/v1/calls/one/handoff").await.json();
    assert_eq!(handoff["queue"], "billing");
    assert_eq!(handoff["reason"]["code"], "billing_dispute");
    let request = &handoff["request"];
    assert_eq!(request["priority"], 100, "shown capped");
    assert_eq!(request["skills_required"], serde_json::json!(["refunds"]));
    assert_eq!((&request["channel"], &request["language"]), (&"voice".into(), &"en".into()));
    assert_eq!(request["context"]["transcript"][0]["text"], "I'd like a refund");
    assert_eq!(request["context"]["recommended_actions"], serde_json::json!(["Look the order up"]));
    assert_eq!(request["metadata"]["session_id"], "one");
    assert_eq!(request["metadata"]["escalation_trigger"], "API billing_dispute");
    assert_eq!(request["metadata"]["customer_id"], "42");
    assert_eq!(request["metadata"]["messages_exchanged"], 1);
}

#[tokio::test]
async fn a_handoff_under_way_is_given_instead_of_a_second_one() {
    let api = Api::new();
    let first = api.tell("POST", "/v1/calls/one/handoff", ORDER).await;
    let second = api.tell("POST", "/v1/calls/one/handoff", ORDER).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 200));
    assert_eq!(second.json()["number"], 1);
    assert_eq!(api.desk.opened.load(Relaxed), 1);
}

#[tokio::test]
async fn a_request_that_is_sent_again_gets_the_first_answer() {
    let api = Api::new();
    let key = [("idempotency-key", "k-1")];
    let first = api.tell_with("POST", "/v1/calls/one/handoff", ORDER, &key).await;
    api.desk.moves("one", HandoffState::Queued, None);
    let spaced = r#"{ "queue": "billing", "reason": "billing_dispute" }"#;
    let again = api.tell_with("POST", "/v1/calls/one/handoff", spaced, &key).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    let other = api.tell_with("POST", "/v1/calls/one/handoff", r#"{"reason":"other"}"#, &key).await;
    other.is_problem(422, "idempotency-key-reused");
    let elsewhere = api.tell_with("POST", "/v1/calls/two/handoff", ORDER, &key).await;
    elsewhere.is_problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn requests_that_race_under_one_key_open_one_handoff_and_all_get_its_answer() {
    let api = Api::new();
    let key = [("idempotency-key", "race")];
    let all = (0..40).map(|_| api.tell_with("POST", "/v1/calls/one/handoff", ORDER, &key));
    let replies = futures::future::join_all(all).await;
    assert!(replies.iter().all(|reply| reply.status.as_u16() == 202 && reply.text == replies[0].text));
    assert_eq!(api.desk.opened.load(Relaxed), 1);
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotent-replayed").is_empty()).count(), 1);
}

#[tokio::test]
async fn a_handoff_can_be_taken_back_before_the_bridge_and_not_after() {
    let api = Api::new();
    api.tell("POST", "/v1/calls/one/handoff", ORDER).await;
    let taken = api.ask("DELETE", "/v1/calls/one/handoff").await;
    assert_eq!((taken.status.as_u16(), &taken.json()["state"]), (200, &"canceled".into()));
    api.tell("POST", "/v1/calls/two/handoff", ORDER).await;
    api.desk.moves("two", HandoffState::Bridged, Some("alex"));
    api.ask("DELETE", "/v1/calls/two/handoff").await.is_problem(409, "already-bridged");
    api.ask("DELETE", "/v1/calls/three/handoff").await.is_problem(409, "no-handoff");
}

#[tokio::test]
async fn an_agent_who_is_briefed_can_accept_or_decline() {
    let api = Api::new();
    for (call, choice, state) in [("one", "accept", "accepted"), ("two", "decline", "queued")] {
        api.tell("POST", &format!("/v1/calls/{call}/handoff"), ORDER).await;
        let path = format!("/v1/calls/{call}/handoff/{choice}");
        api.ask("POST", &path).await.is_problem(409, "nothing-to-choose");
        api.desk.moves(call, HandoffState::Briefing, Some("alex"));
        let chosen = api.ask("POST", &path).await;
        assert_eq!((chosen.status.as_u16(), &chosen.json()["state"]), (200, &state.into()));
    }
    let declined = api.ask("GET", "/v1/calls/two/handoff").await.json();
    assert_eq!(declined["refused"], serde_json::json!(["alex"]));
    assert!(declined.get("agent").is_none());
}

#[tokio::test]
async fn agents_are_shown_and_their_presence_is_set() {
    let api = Api::new();
    let agents = api.ask("GET", "/v1/agents").await.json();
    assert_eq!(agents["agents"][0]["presence"], "available");
    let away =
        api.tell("PUT", "/v1/agents/alex/presence", r#"{"presence":"away","reason":"lunch"}"#).await.json();
    assert_eq!((&away["presence"], &away["away_reason"]), (&"away".into(), &"lunch".into()));
    let back = api.tell("PUT", "/v1/agents/alex/presence", r#"{"presence":"available"}"#).await.json();
    assert_eq!((&back["presence"], back.get("away_reason")), (&"available".into(), None));
    let agents = api.desk.agents.lock().unwrap();
    assert_eq!(agents.values().next().unwrap().presence, Presence::Available);
}

#[tokio::test]
async fn queues_are_shown_with_an_honest_wait() {
    let queues = Api::new().ask("GET", "/v1/queues").await.json();
    let billing = &queues["queues"][0];
    assert_eq!((&billing["wait_least_ms"], &billing["wait_most_ms"]), (&30_000.into(), &90_000.into()));
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let api = Api::new();
    assert_eq!(api.ask("GET", "/healthz").await.json()["status"], "ok");
    assert_eq!(api.ask("GET", "/readyz").await.json()["status"], "ready");
    let metrics = api.ask("GET", "/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text.contains("segue_calls 3"));
    api.desk.reasons.lock().unwrap().push("the gateway is draining".to_owned());
    let not_ready = api.ask("GET", "/readyz").await;
    not_ready.is_problem(503, "not-ready");
    assert_eq!(not_ready.json()["reasons"], serde_json::json!(["the gateway is draining"]));
    assert_eq!(not_ready.header("retry-after"), "1");
    assert_eq!(api.ask("GET", "/healthz").await.status.as_u16(), 200, "it lives all the same");
}
