//! Errors as RFC 9457 problems. A handler gives a [`Problem`]; the outermost layer writes it down, together with the
//! request's path and id, and turns errors of the framework into problems too, so that there is only one form.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::desk::DeskError;

/// An error as it is told to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    reasons: Vec<String>,
    resume_after: Option<u64>,
    retry_after_s: Option<u32>,
}

/// An error, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// What kind of problem it is; programs may compare it.
    #[serde(rename = "type")]
    #[schema(example = "urn:segue:problem:no-such-call")]
    kind: String,
    /// The HTTP status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What went wrong this time, for people.
    detail: String,
    /// The path that was asked for.
    instance: String,
    /// The request's id, which the log names too.
    request_id: String,
    /// Several reasons, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// The sequence after which events can be read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            reasons: Vec::new(),
            resume_after: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn reasons(mut self, reasons: Vec<String>) -> Self {
        self.reasons = reasons;
        self
    }

    pub(crate) fn resume_after(mut self, sequence: u64) -> Self {
        self.resume_after = Some(sequence);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The problem that stands for an error of the framework, which has no problem of its own.
    fn of_status(status: StatusCode, detail: String) -> Self {
        let (code, otherwise) = match status {
            StatusCode::NOT_FOUND => {
                ("no-such-path", "nothing is found at this path; /openapi.json lists what there is")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method-not-allowed", "the path knows other methods, see Allow")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("body-too-large", "the body is larger than allowed"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("not-json", "the body must be application/json"),
            StatusCode::UPGRADE_REQUIRED => ("upgrade-required", "this path speaks WebSocket only"),
            _ if status.is_server_error() => ("failed", "the gateway could not do it"),
            _ => ("bad-request", "the request could not be understood"),
        };
        Self::new(status, code, if detail.is_empty() { otherwise.to_owned() } else { detail })
    }

    fn body(self, instance: &str, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:segue:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
            request_id: request_id.to_owned(),
            reasons: self.reasons,
            resume_after: self.resume_after,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Longest text of the framework that is passed on as a detail.
const DETAIL_BYTES_MAX: usize = 1_024;

/// Writes the body of an error response; every other response passes untouched.
pub(crate) async fn write_down(mut response: Response, instance: &str, request_id: &str) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (problem, response) = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => (problem, response),
        None => {
            let (parts, body) = response.into_parts();
            let text = axum::body::to_bytes(body, DETAIL_BYTES_MAX).await.unwrap_or_default();
            let detail = String::from_utf8_lossy(&text).into_owned();
            (Problem::of_status(status, detail), Response::from_parts(parts, Body::empty()))
        }
    };
    let text = serde_json::to_vec(&problem.body(instance, request_id)).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, Body::from(text))
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let (status, code) = match &error {
            DeskError::NoSuchCall(_) => (StatusCode::NOT_FOUND, "no-such-call"),
            DeskError::NoSuchAgent(_) => (StatusCode::NOT_FOUND, "no-such-agent"),
            DeskError::NoSuchQueue(_) => (StatusCode::UNPROCESSABLE_ENTITY, "no-such-queue"),
            DeskError::TranscribedHere => (StatusCode::CONFLICT, "transcribed-here"),
            DeskError::CallEnded => (StatusCode::CONFLICT, "call-ended"),
            DeskError::NoHandoff => (StatusCode::CONFLICT, "no-handoff"),
            DeskError::AlreadyBridged => (StatusCode::CONFLICT, "already-bridged"),
            DeskError::NothingToChoose(_) => (StatusCode::CONFLICT, "nothing-to-choose"),
            DeskError::RecordingOff => (StatusCode::FORBIDDEN, "recording-off"),
            DeskError::NotRecorded => (StatusCode::CONFLICT, "not-recorded"),
            DeskError::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            DeskError::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            DeskError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        let problem = Self::new(status, code, error.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(1) } else { problem }
    }
}
