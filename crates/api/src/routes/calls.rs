//! Calls: the listing and one call in full.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use segue_acd::AgentId;
use segue_call::CallId;

use super::Shared;
use crate::{
    desk::{CallFound, CallQuery},
    extract::{self, Query},
    problem::{Problem, ProblemBody},
    wire::{self, CallsQuery},
};

/// Lists calls, live and ended, newest first.
#[utoipa::path(get, path = "/v1/calls", tag = "calls", params(CallsQuery), responses(
    (status = 200, description = "One page of calls", body = wire::CallPage),
    (status = 400, description = "A parameter is wrong", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn calls(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<CallsQuery>,
) -> Result<Json<wire::CallPage>, Problem> {
    let page_max = shared.config.page_max;
    let limit = query.limit.unwrap_or(shared.config.page_default.min(page_max));
    if limit == 0 || limit > page_max {
        return Err(Problem::bad_request("invalid-query", format!("limit must be 1 to {page_max}")));
    }
    let query = CallQuery {
        ended: query.state.map(|state| state == wire::StateFilter::Ended),
        handoff: query.handoff_state.map(Into::into),
        agent: query.agent.map(AgentId),
        before: query.cursor.as_deref().map(read_cursor).transpose()?,
        limit,
    };
    let found = shared.answer(shared.desk.calls(&query)).await?;
    let next = found.calls.last().filter(|_| found.more).map(|last| write_cursor(&last.place()));
    Ok(Json(wire::CallPage { calls: found.calls.iter().map(Into::into).collect(), next }))
}

/// Shows one call: its legs, its transcript, its last handoff with the card.
#[utoipa::path(get, path = "/v1/calls/{id}", tag = "calls", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "The call", body = wire::CallWhole),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn one_call(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<wire::CallWhole>, Problem> {
    let id = CallId(id);
    let call = shared.answer(shared.desk.call(&id)).await?;
    Ok(Json(wire::CallWhole::new(&call, &shared.config.transcription)))
}

/// Takes words that somebody else recognised into the transcript of a live call, as if the gateway had heard them: they
/// are weighed for a handoff, and the agent's card has them. For bots that hear for themselves, at a gateway that does
/// not transcribe.
#[utoipa::path(post, path = "/v1/calls/{id}/transcript", tag = "calls", params(("id" = String, Path, description = "The call's id")), request_body = wire::TranscriptOrder, responses(
    (status = 204, description = "The words were taken"),
    (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "The call has ended, or the gateway transcribes it itself", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn transcript(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    extract::Json(order): extract::Json<wire::TranscriptOrder>,
) -> Result<StatusCode, Problem> {
    let id = CallId(id);
    shared.answer(shared.desk.hear(&id, order.read()?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins, pauses, continues or ends the recording of a live call.
#[utoipa::path(post, path = "/v1/calls/{id}/recording", tag = "calls", params(("id" = String, Path, description = "The call's id")), request_body = wire::RecordingOrder, responses(
    (status = 200, description = "Where the recording is now", body = wire::Recording),
    (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, description = "The gateway is configured to record nobody", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "There is no such call", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "The call has ended, or is not being recorded", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn record(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    extract::Json(order): extract::Json<wire::RecordingOrder>,
) -> Result<Json<wire::Recording>, Problem> {
    let id = CallId(id);
    let state = shared.answer(shared.desk.record(&id, order.action.into())).await?;
    Ok(Json(state.into()))
}

/// A cursor is opaque to clients: nanoseconds, a dot, the call's id.
fn write_cursor(place: &CallFound) -> String {
    format!("{}.{}", place.started.as_nanos(), place.id)
}

fn read_cursor(cursor: &str) -> Result<CallFound, Problem> {
    cursor
        .split_once('.')
        .and_then(|(started, id)| {
            Some(CallFound {
                started: Duration::from_nanos(started.parse().ok()?),
                id: CallId(id.to_owned()),
            })
        })
        .ok_or_else(|| Problem::bad_request("invalid-query", "cursor is not the next of a page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let place =
            CallFound { started: Duration::new(1_795_180_000, 123_456_789), id: CallId("a.b".to_owned()) };
        assert_eq!(read_cursor(&write_cursor(&place)), Ok(place));
        for bad in ["", ".", "x.y", "12", "-1.a", "99999999999999999999999.a"] {
            assert!(read_cursor(bad).is_err(), "{bad}");
        }
    }
}
