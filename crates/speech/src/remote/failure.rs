//! What a service does wrong, and how long it is left alone for it.

use std::time::Duration;

use tungstenite::http::{HeaderMap, StatusCode, header};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For the log and the operator.
    pub(super) reason: String,
    /// Asking sooner would be refused again.
    pub(super) rest: Option<Duration>,
}

impl Failure {
    /// The service answered with another status than that of success (RFC 9110 §15).
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &str) -> Failure {
        let body: String = body.chars().take(BODY_MAX).collect();
        let (hint, rest) = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (" (is recognition.remote.key right?)", Some(REST_REFUSED))
            }
            StatusCode::PAYMENT_REQUIRED => (" (the account has no credit)", Some(REST_REFUSED)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ("", retry_after(headers)),
            _ => ("", None),
        };
        Failure { reason: format!("the service answered {status}{hint}: {body}"), rest }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure { reason, rest: None }
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Failure {
        Failure::from(reason.to_owned())
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3), within bounds; a date is taken for a short while.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse().map_or(REST_DATE, Duration::from_secs);
    Some(seconds.clamp(Duration::from_secs(1), REST_ASKED_MAX))
}

/// Who does not accept our key or our credit does not change that soon.
const REST_REFUSED: Duration = Duration::from_secs(60);
/// For a date: clocks differ, and services that limit requests do so by the second or the minute.
const REST_DATE: Duration = Duration::from_secs(10);
/// No service decides that we do without transcripts for longer.
const REST_ASKED_MAX: Duration = Duration::from_secs(300);
/// Of what the service wrote, in characters.
const BODY_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(status: u16, after: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Failure::refused(status, &headers, "no").rest.map(|rest| rest.as_secs())
    }

    #[test]
    fn a_service_is_left_alone_as_long_as_it_asks_and_no_longer_than_five_minutes() {
        assert_eq!(rest(429, Some("7")), Some(7));
        assert_eq!(rest(503, Some(" 0 ")), Some(1));
        assert_eq!(rest(429, Some("86400")), Some(300));
        assert_eq!(rest(429, Some("Fri, 20 Nov 2026 23:59:59 GMT")), Some(10));
        assert_eq!((rest(429, None), rest(500, Some("7"))), (None, None));
        assert_eq!((rest(401, None), rest(402, None), rest(403, Some("1"))), (Some(60), Some(60), Some(60)));
    }

    #[test]
    fn a_refusal_names_the_key_that_may_be_wrong() {
        let failure = Failure::refused(StatusCode::UNAUTHORIZED, &HeaderMap::new(), &"x".repeat(900));
        assert!(failure.reason.contains("401") && failure.reason.contains("recognition.remote.key"));
        assert!(failure.reason.len() < 300, "{}", failure.reason);
    }
}
