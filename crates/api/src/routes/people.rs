//! Agents and queues.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use segue_acd::{AgentId, Presence};

use super::Shared;
use crate::{
    extract,
    problem::{Problem, ProblemBody},
    wire,
};

const AWAY_CHARACTERS_MAX: usize = 100;

/// Shows every agent.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", responses(
    (status = 200, description = "Every agent, by id", body = wire::AgentList),
))]
pub(crate) async fn agents(State(shared): State<Arc<Shared>>) -> Result<Json<wire::AgentList>, Problem> {
    let agents = shared.answer(shared.desk.agents()).await?;
    Ok(Json(wire::AgentList { agents: agents.iter().map(Into::into).collect() }))
}

/// Sets whether an agent takes calls.
#[utoipa::path(put, path = "/v1/agents/{id}/presence", tag = "agents", params(("id" = String, Path, description = "The agent's id")), request_body = wire::PresenceOrder, responses(
    (status = 200, description = "The agent as they are now", body = wire::Agent),
    (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such agent", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn presence(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    extract::Json(order): extract::Json<wire::PresenceOrder>,
) -> Result<Json<wire::Agent>, Problem> {
    let presence = wanted(order)?;
    let id = AgentId(id);
    let agent = shared.answer(shared.desk.set_presence(&id, presence)).await?;
    Ok(Json((&agent).into()))
}

fn wanted(order: wire::PresenceOrder) -> Result<Presence, Problem> {
    let invalid = |detail: String| Err(Problem::bad_request("invalid-body", detail));
    match (order.presence, order.reason) {
        (wire::Presence::Available, None) => Ok(Presence::Available),
        (wire::Presence::Available, Some(_)) => invalid("reason is for away alone".to_owned()),
        (wire::Presence::Away, reason) => {
            let reason = reason.unwrap_or_default().trim().to_owned();
            if reason.chars().count() > AWAY_CHARACTERS_MAX || reason.chars().any(char::is_control) {
                return invalid(format!(
                    "reason may have {AWAY_CHARACTERS_MAX} characters and no control characters"
                ));
            }
            Ok(Presence::Away(reason))
        }
    }
}

/// Shows every queue.
#[utoipa::path(get, path = "/v1/queues", tag = "queues", responses(
    (status = 200, description = "Every queue, by name", body = wire::QueueList),
))]
pub(crate) async fn queues(State(shared): State<Arc<Shared>>) -> Result<Json<wire::QueueList>, Problem> {
    let queues = shared.answer(shared.desk.queues()).await?;
    Ok(Json(wire::QueueList { queues: queues.iter().map(Into::into).collect() }))
}
