//! Who is served: with keys, without keys, from where, on whose behalf.

use axum::{body::Body, http::Request};
use segue_api::{ApiConfig, ApiKey, Scope};
use sha2::{Digest, Sha256};

use crate::support::{Api, Reply};

fn with_keys() -> Api {
    let key = |name: &str, secret: &str, scope| {
        ApiKey::new(name, &hex::encode(Sha256::digest(secret)), scope).unwrap()
    };
    let keys = vec![key("wallboard", "read-secret", Scope::Read), key("crm", "write-secret", Scope::Write)];
    let origins = vec!["https://desk.example.com".to_owned()];
    Api::with(ApiConfig { keys, origins, ..ApiConfig::default() })
}

async fn ask(api: &Api, peer: Option<&str>, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "POST" { "{\"reason\":\"a\"}" } else { "" };
    api.send(peer, request.body(Body::from(body)).unwrap()).await
}

const FAR: Option<&str> = Some("192.0.2.7");
const NEAR: Option<&str> = Some("127.0.0.1");

#[tokio::test]
async fn without_keys_only_this_machine_is_served() {
    let api = Api::new();
    for peer in [FAR, None, Some("[2001:db8::1]"), Some("[::ffff:192.0.2.7]")] {
        for path in ["/v1/calls", "/healthz", "/metrics", "/openapi.json", "/nowhere"] {
            ask(&api, peer, "GET", path, &[]).await.is_problem(403, "keys-needed");
        }
    }
    for peer in [NEAR, Some("127.1.2.3"), Some("[::1]"), Some("[::ffff:127.0.0.1]")] {
        assert_eq!(ask(&api, peer, "GET", "/v1/calls", &[]).await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn without_keys_a_proxy_or_a_foreign_name_opens_nothing() {
    let api = Api::new();
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        ask(&api, NEAR, "GET", "/v1/calls", &[(header, "192.0.2.7")]).await.is_problem(403, "keys-needed");
    }
    ask(&api, NEAR, "GET", "/v1/calls", &[("host", "evil.example")]).await.is_problem(403, "foreign-host");
    assert_eq!(ask(&api, NEAR, "GET", "/v1/calls", &[("host", "localhost:8080")]).await.status.as_u16(), 200);
}

#[tokio::test]
async fn with_keys_a_key_is_needed_from_everywhere() {
    let api = with_keys();
    for peer in [FAR, NEAR] {
        let refused = ask(&api, peer, "GET", "/v1/calls", &[]).await;
        refused.is_problem(401, "key-missing");
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        for header in [
            ("authorization", "Bearer read-secret"),
            ("authorization", "bearer  write-secret"),
            ("x-api-key", "read-secret"),
            ("sec-websocket-protocol", "segue.v1, bearer.read-secret"),
        ] {
            assert_eq!(
                ask(&api, peer, "GET", "/v1/calls", &[header]).await.status.as_u16(),
                200,
                "{header:?}"
            );
        }
        for header in [("authorization", "Bearer nonsense"), ("x-api-key", ""), ("x-api-key", "read-secret ")]
        {
            ask(&api, peer, "GET", "/nowhere", &[header]).await.is_problem(401, "key-unknown");
        }
        ask(&api, peer, "GET", "/v1/calls", &[("authorization", "Basic cmVhZA==")])
            .await
            .is_problem(401, "key-missing");
    }
}

#[tokio::test]
async fn a_key_to_read_does_not_write() {
    let api = with_keys();
    let path = "/v1/calls/one/handoff";
    for method in ["POST", "DELETE", "PUT", "PATCH"] {
        ask(&api, FAR, method, path, &[("x-api-key", "read-secret")]).await.is_problem(403, "scope-missing");
    }
    let asked = ask(&api, FAR, "POST", path, &[("x-api-key", "write-secret")]).await;
    assert_eq!(asked.status.as_u16(), 202);
    assert_eq!(
        asked.json()["reason"]["evidence"],
        "asked for by api:crm",
        "the record names the key's owner"
    );
}

#[tokio::test]
async fn two_clients_do_not_share_idempotency_keys() {
    let keys = ["a", "b"]
        .map(|secret| ApiKey::new(secret, &hex::encode(Sha256::digest(secret)), Scope::Write).unwrap());
    let api = Api::with(ApiConfig { keys: keys.into(), ..ApiConfig::default() });
    let path = "/v1/calls/one/handoff";
    let first = ask(&api, FAR, "POST", path, &[("x-api-key", "a"), ("idempotency-key", "k")]).await;
    let second = ask(&api, FAR, "POST", path, &[("x-api-key", "b"), ("idempotency-key", "k")]).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (202, 200));
}

#[tokio::test]
async fn probes_are_open_to_this_machine_unless_the_operator_closes_them() {
    let api = with_keys();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(&api, NEAR, "GET", path, &[]).await.status.as_u16(), 200);
        ask(&api, FAR, "GET", path, &[]).await.is_problem(401, "key-missing");
        assert_eq!(ask(&api, FAR, "GET", path, &[("x-api-key", "read-secret")]).await.status.as_u16(), 200);
    }
    let key = ApiKey::new("crm", &hex::encode(Sha256::digest("s")), Scope::Read).unwrap();
    let closed = ApiConfig { keys: vec![key], probes_open_to_loopback: false, ..ApiConfig::default() };
    ask(&Api::with(closed), NEAR, "GET", "/healthz", &[]).await.is_problem(401, "key-missing");
}

#[tokio::test]
async fn a_page_of_another_origin_neither_writes_nor_listens() {
    let api = with_keys();
    let key = ("x-api-key", "write-secret");
    let host = ("host", "segue.example.com");
    let path = "/v1/calls/one/handoff";
    for origin in ["https://evil.example", "null", "https://segue.example.com.evil.example"] {
        let headers = [key, host, ("origin", origin)];
        ask(&api, FAR, "POST", path, &headers).await.is_problem(403, "cross-origin");
        ask(&api, FAR, "GET", "/v1/events", &[key, host, ("origin", origin), ("upgrade", "websocket")])
            .await
            .is_problem(403, "cross-origin");
    }
    ask(&api, FAR, "POST", path, &[key, ("sec-fetch-site", "cross-site")])
        .await
        .is_problem(403, "cross-origin");
    for origin in ["https://segue.example.com", "https://desk.example.com"] {
        let status = ask(&api, FAR, "POST", path, &[key, host, ("origin", origin)]).await.status;
        assert!(status.is_success(), "{origin}");
    }
}
