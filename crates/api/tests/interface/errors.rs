//! Everything that can be wrong with a request gives a problem that says so.

use std::time::Duration;

use axum::{body::Body, http::Request};
use segue_api::ApiConfig;

use crate::support::Api;

const HANDOFF: &str = "/v1/calls/one/handoff";

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let api = Api::new();
    for (method, path, code) in [
        ("GET", "/", "no-such-path"),
        ("GET", "/v2/calls", "no-such-path"),
        ("GET", "/v1/calls/", "no-such-path"),
        ("GET", "/v1/calls/nobody", "no-such-call"),
        ("GET", "/v1/calls/..%2f..%2fetc", "no-such-call"),
        ("GET", "/v1/calls/one/handoff", "no-handoff"),
        ("DELETE", "/v1/calls/nobody/handoff", "no-such-call"),
        ("POST", "/v1/calls/nobody/handoff/accept", "no-such-call"),
    ] {
        let reply = api.ask(method, path).await;
        reply.is_problem(404, code);
        assert_eq!(reply.json()["instance"], path.split('?').next().unwrap());
    }
    api.tell("PUT", "/v1/agents/nobody/presence", r#"{"presence":"away"}"#)
        .await
        .is_problem(404, "no-such-agent");
    api.tell("POST", HANDOFF, r#"{"reason":"x","queue":"nowhere"}"#).await.is_problem(422, "no-such-queue");
}

#[tokio::test]
async fn a_method_that_the_path_does_not_know_is_a_problem_that_names_the_others() {
    let reply = Api::new().ask("PATCH", HANDOFF).await;
    reply.is_problem(405, "method-not-allowed");
    let allowed = reply.header("allow").to_owned();
    for method in ["GET", "POST", "DELETE"] {
        assert!(allowed.contains(method), "{allowed}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_taken_is_a_problem() {
    let api = Api::new();
    for (body, code) in [
        ("", "malformed-json"),
        ("{", "malformed-json"),
        ("{\"reason\":\"a\"} trailing", "malformed-json"),
        ("[]", "invalid-body"),
        ("{}", "invalid-body"),
        ("{\"reason\":7}", "invalid-body"),
        ("{\"reason\":\" \"}", "invalid-body"),
        ("{\"reason\":\"a\\u0000b\"}", "invalid-body"),
        ("{\"reason\":\"a\",\"queue\":\"\"}", "invalid-body"),
        ("{\"reason\":\"a\",\"priority\":1}", "invalid-body"),
        (&format!("{{\"reason\":\"{}\"}}", "x".repeat(201)), "invalid-body"),
        (&"[".repeat(20_000), "malformed-json"),
    ] {
        api.tell("POST", HANDOFF, body).await.is_problem(400, code);
    }
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    api.tell("POST", HANDOFF, &large).await.is_problem(413, "body-too-large");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let reply = api.tell_with("POST", HANDOFF, "{\"reason\":\"a\"}", &[("content-type", kind)]).await;
        reply.is_problem(415, "not-json");
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(api.tell_with("POST", HANDOFF, "{\"reason\":\"a\"}", &charset).await.status.as_u16(), 202);
    for body in [
        "{\"presence\":\"busy\"}",
        "{\"presence\":\"available\",\"reason\":\"why\"}",
        "{\"presence\":\"away\",\"reason\":\"a\\nb\"}",
    ] {
        api.tell("PUT", "/v1/agents/alex/presence", body).await.is_problem(400, "invalid-body");
    }
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_a_problem() {
    let api = Api::new();
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=x", "state=dead", "cursor=x", "cursor=1", "nonsense=1"]
    {
        api.ask("GET", &format!("/v1/calls?{query}")).await.is_problem(400, "invalid-query");
    }
    assert_eq!(api.ask("GET", "/v1/calls?limit=200").await.status.as_u16(), 200);
    let reply = api.ask("GET", "/v1/calls/%ff").await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (400, "application/problem+json"));
}

#[tokio::test]
async fn an_idempotency_key_that_is_none_is_a_problem() {
    let api = Api::new();
    for key in ["", " ", &"k".repeat(256)] {
        let reply = api.tell_with("POST", HANDOFF, "{\"reason\":\"a\"}", &[("idempotency-key", key)]).await;
        reply.is_problem(400, "bad-idempotency-key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_answer_in_time_is_a_problem() {
    let api = Api::new();
    *api.desk.delay.lock().unwrap() = Duration::from_secs(3_600);
    api.ask("GET", "/v1/calls/one").await.is_problem(504, "no-answer-in-time");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_a_problem() {
    let api = Api::new();
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post(HANDOFF).header("content-type", "application/json").body(never).unwrap();
    api.send(Some("127.0.0.1"), request).await.is_problem(408, "too-slow");
}

#[tokio::test]
async fn a_bug_behind_the_interface_is_a_problem_and_the_next_request_is_answered() {
    let api = Api::new();
    api.ask("GET", "/v1/calls/bug").await.is_problem(500, "bug");
    assert_eq!(api.ask("GET", "/v1/calls/one").await.status.as_u16(), 200);
}

#[tokio::test]
async fn every_answer_has_its_id_and_forbids_what_browsers_might_do_with_it() {
    let api = Api::new();
    for path in ["/v1/calls", "/nowhere", "/metrics"] {
        let reply = api.ask("GET", path).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(reply.header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(reply.header("access-control-allow-origin"), "", "no CORS");
        assert_eq!(reply.header("x-request-id").len(), 16);
    }
    let named = api.tell_with("GET", "/nowhere", "", &[("x-request-id", "trace-7")]).await;
    assert_eq!(named.json()["request_id"], "trace-7");
}

#[tokio::test]
async fn a_page_is_as_large_as_the_operator_allows() {
    let api = Api::with(ApiConfig { page_max: 2, ..ApiConfig::default() });
    assert_eq!(api.ask("GET", "/v1/calls").await.json()["calls"].as_array().unwrap().len(), 2);
    api.ask("GET", "/v1/calls?limit=3").await.is_problem(400, "invalid-query");
}
