//! The interface's own description, OpenAPI 3.1.

use std::sync::LazyLock;

use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use crate::{events::OnGap, problem::ProblemBody, routes, wire};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Segue",
        description = "Voice-call handoff gateway: calls, handoffs, agents, queues and events. Errors are RFC 9457 \
                       problems. Times are RFC 3339 in UTC."
    ),
    paths(
        routes::calls,
        routes::one_call,
        routes::record,
        routes::transcript,
        routes::show,
        routes::ask,
        routes::recall,
        routes::accept,
        routes::decline,
        routes::agents,
        routes::presence,
        routes::queues,
        routes::events,
        routes::health,
        routes::ready,
        routes::metrics,
        routes::openapi
    ),
    components(schemas(
        ProblemBody,
        wire::CloudEvent,
        wire::HandoffRequest,
        wire::StateFilter,
        wire::HandoffState,
        OnGap
    )),
    tags(
        (name = "calls", description = "Calls, live and ended"),
        (name = "handoffs", description = "Handoffs: look, ask, take back, choose"),
        (name = "agents", description = "Agents and their presence"),
        (name = "queues", description = "Queues"),
        (name = "events", description = "News as they happen"),
        (name = "operation", description = "How the gateway is")
    ),
    modifiers(&Keys),
    security(("bearer" = []), ("key" = []))
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let header = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
        components.add_security_scheme("key", SecurityScheme::ApiKey(header));
    }
}

/// The description as JSON text.
#[must_use]
pub fn document() -> String {
    text().to_owned()
}

/// The description as JSON text, written once.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        Document::openapi().to_pretty_json().unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document has no JSON form");
            String::from("{}")
        })
    });
    &TEXT
}
