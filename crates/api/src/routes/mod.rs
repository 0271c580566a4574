//! The routes and the layers around them.

mod calls;
mod handoffs;
mod people;
mod probes;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    response::IntoResponse,
    routing::{MethodRouter, get, post, put},
};
use tokio::{sync::Semaphore, time::timeout};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    config::ApiConfig,
    desk::{Desk, DeskError},
    guard::{self, RequestIds},
    idempotency::Ledger,
    problem::Problem,
};

pub(crate) use calls::{__path_calls, __path_one_call, __path_record, __path_transcript};
pub(crate) use handoffs::{__path_accept, __path_ask, __path_decline, __path_recall, __path_show};
pub(crate) use people::{__path_agents, __path_presence, __path_queues};
pub(crate) use probes::{__path_events, __path_health, __path_metrics, __path_openapi, __path_ready};

/// What every request shares.
pub(crate) struct Shared {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) config: ApiConfig,
    pub(crate) request_ids: RequestIds,
    pub(crate) ledger: Ledger,
    pub(crate) sockets: Arc<Semaphore>,
}

impl Shared {
    /// Waits for the gateway's answer, but not longer than is allowed.
    pub(crate) async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, DeskError>>,
    ) -> Result<T, Problem> {
        match timeout(self.config.desk_wait_max, answer).await {
            Ok(answer) => answer.map_err(Problem::from),
            Err(_) => Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "no-answer-in-time",
                "the gateway did not answer in time; what was asked for may still happen",
            )),
        }
    }
}

/// Builds the interface. It must be served with
/// [`into_make_service_with_connect_info::<SocketAddr>()`](Router::into_make_service_with_connect_info): a request
/// whose peer is not known is treated as one from far away.
pub fn router(desk: Arc<dyn Desk>, config: ApiConfig) -> Router {
    let shared = Arc::new(Shared {
        desk,
        request_ids: RequestIds::default(),
        ledger: Ledger::new(config.idempotency_keys_max, config.idempotency_keep),
        sockets: Arc::new(Semaphore::new(config.sockets_max)),
        config,
    });
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .layer(DefaultBodyLimit::max(shared.config.body_bytes_max))
        .layer(CatchPanicLayer::custom(|_| {
            tracing::error!("a request met a bug");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", "the gateway met a bug of its own")
                .into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .with_state(shared)
}

/// Every path with its methods. A test compares it with the OpenAPI document.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        ("/v1/calls", get(calls::calls)),
        ("/v1/calls/{id}", get(calls::one_call)),
        ("/v1/calls/{id}/handoff", get(handoffs::show).post(handoffs::ask).delete(handoffs::recall)),
        ("/v1/calls/{id}/handoff/accept", post(handoffs::accept)),
        ("/v1/calls/{id}/handoff/decline", post(handoffs::decline)),
        ("/v1/calls/{id}/recording", post(calls::record)),
        ("/v1/calls/{id}/transcript", post(calls::transcript)),
        ("/v1/agents", get(people::agents)),
        ("/v1/agents/{id}/presence", put(people::presence)),
        ("/v1/queues", get(people::queues)),
        ("/v1/events", get(probes::events)),
        ("/healthz", get(probes::health)),
        ("/readyz", get(probes::ready)),
        ("/metrics", get(probes::metrics)),
        ("/openapi.json", get(probes::openapi)),
    ]
}

/// Every path of the interface, in the form that OpenAPI has too.
#[must_use]
pub fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, _)| path).collect()
}
