//! How the gateway is: health, readiness, metrics, its own description, and the stream of events.

use std::sync::Arc;

use axum::{
    Json,
    extract::{State, ws::WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::{
    events::{self, EventsQuery, Pace},
    extract::Query,
    openapi,
    problem::{Problem, ProblemBody},
    wire,
};

/// The WebSocket subprotocol of the event stream.
const PROTOCOL: &str = "segue.v1";

/// Bytes that a subscriber may send in one message; nothing but pongs is expected.
const INCOMING_BYTES_MAX: usize = 1_024;

/// The gateway lives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok` or `ready`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Whether calls are transcribed.
    transcription: wire::Transcription,
}

/// Tells that the program runs.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = 200, description = "It runs", body = Health)))]
pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Json<Health> {
    Json(Health { status: "ok", transcription: (&shared.config.transcription).into() })
}

/// Tells whether calls are taken.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses(
    (status = 200, description = "Calls are taken", body = Health),
    (status = 503, description = "Calls are not taken, with the reasons", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Result<Json<Health>, Problem> {
    let reasons = shared.desk.readiness().reasons;
    if reasons.is_empty() {
        let transcription = (&shared.config.transcription).into();
        return Ok(Json(Health { status: "ready", transcription }));
    }
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", reasons.join("; "));
    Err(problem.reasons(reasons).retry_after(1))
}

/// Gives the metrics to Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.desk.metrics())
        .into_response()
}

/// Describes this interface.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::text()).into_response()
}

/// Streams events over a WebSocket, one CloudEvent a message. A subscriber that sends anything is closed with 1008,
/// one that is too slow with 4410 and can resume, and all are closed with 1001 when the gateway goes down. A browser,
/// which can set no header, offers its key as the subprotocol `bearer.KEY` beside `segue.v1`.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(
    EventsQuery,
    ("Last-Event-ID" = Option<u64>, Header, description = "Read on after this sequence, if `after` is not given"),
), responses(
    (status = 101, description = "The stream begins; each message is a CloudEvent", body = wire::CloudEvent),
    (status = 410, description = "News after that sequence is gone; `resume_after` is the oldest there is", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "There are as many subscribers as allowed", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let opening = events::opening(&*shared.desk, query, &headers)?;
    let Ok(place) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        let detail = format!("there are already {} subscribers", shared.config.sockets_max);
        return Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-subscribers", detail).retry_after(5)
        );
    };
    let pace = Pace { ping: shared.config.socket_ping, send_wait_max: shared.config.socket_send_wait_max };
    let desk = Arc::clone(&shared.desk);
    let upgrade =
        upgrade.protocols([PROTOCOL]).max_message_size(INCOMING_BYTES_MAX).max_frame_size(INCOMING_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| {
        events::serve(socket, desk, opening, pace).await;
        drop(place);
    }))
}
