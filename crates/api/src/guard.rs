//! The outermost layer: who asks, whether they may, the request's id, the headers of every answer.
//!
//! With keys, a request needs one. Without, only peers on a loopback address are served, and only if the request was
//! meant for this machine: not through a proxy, and not by a web page under a foreign name (DNS rebinding). Pages of
//! another origin may neither write nor listen, because a browser lends them the user's place in the network.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use crate::{
    config::{ApiConfig, ApiKey, Scope},
    problem::{self, Problem},
    routes::Shared,
};

/// Who asks, for the record.
#[derive(Clone, Debug)]
pub(crate) struct Client(pub(crate) String);

/// The protocol name under which a browser offers its key, which it cannot send in a header of its own.
const KEY_PROTOCOL: &str = "bearer.";

/// Paths that tell how the gateway is.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const REQUEST_ID_BYTES_MAX: usize = 128;

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(crate) async fn guard(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let request_id = shared.request_ids.of(request.headers());
    let instance = request.uri().path().to_owned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let response = match admit(&shared.config, peer, &request) {
        Ok(client) => {
            request.extensions_mut().insert(client);
            timeout(shared.config.request_wait_max, next.run(request)).await.unwrap_or_else(|_| {
                let detail = "the request was not complete in time";
                Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail).into_response()
            })
        }
        Err(problem) => problem.into_response(),
    };
    tracing::debug!(request = request_id, path = instance, status = response.status().as_u16(), "a request");
    let mut response = problem::write_down(response, &instance, &request_id).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Finds out who asks and whether they may.
fn admit(config: &ApiConfig, peer: Option<IpAddr>, request: &Request) -> Result<Client, Problem> {
    let (headers, method) = (request.headers(), request.method());
    let loopback = peer.is_some_and(|peer| peer.is_loopback());
    let client = if config.keys.is_empty() {
        local(loopback, headers, request.uri())?
    } else if loopback && config.probes_open_to_loopback && PROBES.contains(&request.uri().path()) {
        Client("local".to_owned())
    } else {
        keyed(&config.keys, headers, needed(method))?
    };
    let writes = needed(method) == Scope::Write;
    if (writes || headers.contains_key(header::UPGRADE)) && !same_origin(headers, &config.origins) {
        let detail = "pages of another origin may neither write nor listen; the operator can allow an origin";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross-origin", detail));
    }
    Ok(client)
}

fn needed(method: &Method) -> Scope {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) { Scope::Read } else { Scope::Write }
}

/// Without keys: this machine alone, and truly this machine.
fn local(loopback: bool, headers: &HeaderMap, uri: &Uri) -> Result<Client, Problem> {
    let refuse = |code, detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
    if !loopback {
        return refuse("keys-needed", "no API keys are configured, so only this machine is served");
    }
    if ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name)) {
        return refuse("keys-needed", "the request came through a proxy, and no API keys are configured");
    }
    let host =
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
    if host.is_some_and(|host| !names_loopback(host)) {
        return refuse("foreign-host", "without API keys the Host must be localhost or a loopback address");
    }
    Ok(Client("local".to_owned()))
}

fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn keyed(keys: &[ApiKey], headers: &HeaderMap, needed: Scope) -> Result<Client, Problem> {
    let Some(secret) = secret(headers) else {
        let detail = "an API key is needed: Authorization: Bearer KEY, or X-Api-Key: KEY";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key-missing", detail));
    };
    let Some(key) = ApiKey::find(keys, secret) else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key-unknown", "the API key is not known"));
    };
    if key.scope() < needed {
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope-missing", "the API key allows reading only"));
    }
    Ok(Client(key.name().to_owned()))
}

fn secret(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(key.as_bytes());
    }
    if let Some((scheme, key)) = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once(' '))
    {
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().as_bytes());
    }
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    offered.split(',').find_map(|protocol| protocol.trim().strip_prefix(KEY_PROTOCOL)).map(str::as_bytes)
}

/// Whether a request comes from no page at all, from a page of our own, or from one that the operator allows.
fn same_origin(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    };
    let Ok(origin) = origin.to_str() else { return false };
    let ours = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| ours.is_some_and(|ours| authority.eq_ignore_ascii_case(ours)))
        || allowed.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// Gives every request an id: the client's own if it is a decent one, otherwise a new one.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    chance: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    fn of(&self, headers: &HeaderMap) -> String {
        let offered = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| decent(id));
        match offered {
            Some(id) => id.to_owned(),
            None => format!("{:016x}", self.chance.hash_one(self.count.fetch_add(1, Relaxed))),
        }
    }
}

fn decent(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_name_it() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:80", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(names_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_known_by_its_origin() {
        let check = |origin: &str, host: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            let allowed = ["https://desk.example.com/".to_owned()];
            assert_eq!(same_origin(&headers, &allowed), expected, "{origin} at {host}");
        };
        check("http://127.0.0.1:8080", "127.0.0.1:8080", true);
        check("http://127.0.0.1:9090", "127.0.0.1:8080", false);
        check("https://desk.example.com", "127.0.0.1:8080", true);
        check("https://evil.example", "127.0.0.1:8080", false);
        check("null", "127.0.0.1:8080", false);
        assert!(same_origin(&HeaderMap::new(), &[]), "programs send no origin");
    }

    #[test]
    fn a_request_keeps_a_decent_id_and_gets_one_otherwise() {
        let ids = RequestIds::default();
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
            ids.of(&headers)
        };
        assert_eq!(of("abc-1.2_3:4"), "abc-1.2_3:4");
        for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(of(bad).len(), 16, "{bad}");
        }
        assert_ne!(of(""), of(""));
    }
}
