//! Handoffs: look at one, ask for one, take it back, choose for the agent.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use segue_call::{AgentChoice, CallId};

use super::Shared;
use crate::{
    desk::DeskError,
    extract,
    guard::Client,
    idempotency::{self, Saved},
    problem::{Problem, ProblemBody},
    snapshot::{CallSnapshot, HandoffSnapshot},
    wire,
};

const REASON_CHARACTERS_MAX: usize = 200;
const QUEUE_CHARACTERS_MAX: usize = 64;

/// Shows the last handoff of a call, with the card and the whole context.
#[utoipa::path(get, path = "/v1/calls/{id}/handoff", tag = "handoffs", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "The handoff", body = wire::Handoff),
    (status = 404, description = "There is no such call, or it has no handoff", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Handoff>, Problem> {
    let id = CallId(id);
    let call = shared.answer(shared.desk.call(&id)).await?;
    match call.handoffs.last() {
        Some(handoff) => Ok(Json(wire::Handoff::new(&call, handoff))),
        None => {
            let detail = "the call has no handoff yet";
            Err(Problem::new(StatusCode::NOT_FOUND, "no-handoff", detail))
        }
    }
}

/// Asks for a handoff. A handoff is latched: if one is under way, that one is the answer.
#[utoipa::path(post, path = "/v1/calls/{id}/handoff", tag = "handoffs", params(
    ("id" = String, Path, description = "The call's id"),
    ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body gives the same answer and asks once"),
), request_body = wire::HandoffOrder, responses(
    (status = 202, description = "The handoff was opened", body = wire::Handoff),
    (status = 200, description = "A handoff was under way already", body = wire::Handoff),
    (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "The call has ended", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "There is no such queue, or the key was used for another request", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn ask(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Extension(Client(client)): Extension<Client>,
    headers: HeaderMap,
    extract::Json(order): extract::Json<wire::HandoffOrder>,
) -> Result<Response, Problem> {
    check(&order)?;
    let key = idempotency::key(&headers)?;
    let id = CallId(id);
    let request = format!("POST {id} {order:?}");
    let work = || async {
        let order = segue_call::HandoffOrder {
            by: format!("api:{client}"),
            reason: order.reason.trim().to_owned(),
            queue: order.queue.clone(),
        };
        let asked = shared.answer(shared.desk.ask_handoff(&id, order)).await?;
        let status = if asked.opened { StatusCode::ACCEPTED } else { StatusCode::OK };
        let body = whole(&shared, &id, asked.handoff).await?;
        let body = serde_json::to_vec(&body).map_err(|error| {
            Problem::from(DeskError::Failed(format!("the handoff has no JSON form: {error}")))
        })?;
        Ok(Saved { status, body: Bytes::from(body) })
    };
    let (saved, again) = match key {
        None => (work().await?, false),
        Some(key) => shared.ledger.answer((&client, key), &request, work).await?,
    };
    let mut response = (saved.status, saved.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if again {
        headers.insert(HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Takes the handoff back, which is possible before the bridge.
#[utoipa::path(delete, path = "/v1/calls/{id}/handoff", tag = "handoffs", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "The handoff was taken back", body = wire::Handoff),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "No handoff is under way, or caller and agent are bridged", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn recall(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Handoff>, Problem> {
    let id = CallId(id);
    let handoff = shared.answer(shared.desk.recall_handoff(&id)).await?;
    Ok(Json(whole(&shared, &id, handoff).await?))
}

/// Accepts for the agent who is being briefed, as key 1 does.
#[utoipa::path(post, path = "/v1/calls/{id}/handoff/accept", tag = "handoffs", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "The agent's choice was taken", body = wire::Handoff),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "No agent is being briefed", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn accept(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Handoff>, Problem> {
    choose(&shared, CallId(id), AgentChoice::Accept).await
}

/// Declines for the agent who is being briefed, as key 2 does.
#[utoipa::path(post, path = "/v1/calls/{id}/handoff/decline", tag = "handoffs", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "The agent's choice was taken", body = wire::Handoff),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "No agent is being briefed", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn decline(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Handoff>, Problem> {
    choose(&shared, CallId(id), AgentChoice::Decline).await
}

async fn choose(shared: &Shared, id: CallId, choice: AgentChoice) -> Result<Json<wire::Handoff>, Problem> {
    let handoff = shared.answer(shared.desk.choose(&id, choice)).await?;
    Ok(Json(whole(shared, &id, handoff).await?))
}

/// Puts a handoff together with its call, whose transcript belongs to the context.
async fn whole(shared: &Shared, id: &CallId, handoff: HandoffSnapshot) -> Result<wire::Handoff, Problem> {
    let call: CallSnapshot = shared.answer(shared.desk.call(id)).await?;
    Ok(wire::Handoff::new(&call, &handoff))
}

fn check(order: &wire::HandoffOrder) -> Result<(), Problem> {
    let reason = order.reason.trim();
    if reason.is_empty()
        || reason.chars().count() > REASON_CHARACTERS_MAX
        || reason.chars().any(char::is_control)
    {
        let detail =
            format!("reason must have 1 to {REASON_CHARACTERS_MAX} characters and no control characters");
        return Err(Problem::bad_request("invalid-body", detail));
    }
    let queue = order.queue.as_deref().unwrap_or("-");
    if queue.is_empty() || queue.chars().count() > QUEUE_CHARACTERS_MAX || queue.chars().any(char::is_control)
    {
        let detail = format!("queue must have 1 to {QUEUE_CHARACTERS_MAX} characters, or be left out");
        return Err(Problem::bad_request("invalid-body", detail));
    }
    Ok(())
}
