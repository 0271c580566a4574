//! Idempotency keys: a request that is sent again, because its answer was lost, gets that answer and does nothing new.
//!
//! The first request with a key does the work; the same request that comes meanwhile waits for its answer. Another
//! request under the same key is refused. An error is not kept: it changed nothing, and the next try is a new one.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use tokio::{sync::OnceCell, time::Instant};

use crate::problem::Problem;

/// Longest key that is taken.
const KEY_BYTES_MAX: usize = 255;

/// An answer that can be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// The keys that were used lately.
#[derive(Debug)]
pub(crate) struct Ledger {
    keys_max: usize,
    keep: Duration,
    used: Mutex<Used>,
}

/// Who used which key.
type Key = (String, String);

#[derive(Debug, Default)]
struct Used {
    slots: BTreeMap<Key, Arc<Slot>>,
    oldest_first: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
struct Slot {
    request: String,
    answer: OnceCell<Saved>,
}

impl Ledger {
    pub(crate) fn new(keys_max: usize, keep: Duration) -> Self {
        Self { keys_max: keys_max.max(1), keep, used: Mutex::default() }
    }

    /// Answers a request under a key: does the work, or gives the answer of the first time (then true).
    pub(crate) async fn answer<F>(
        &self,
        (client, key): (&str, &str),
        request: &str,
        work: impl FnOnce() -> F,
    ) -> Result<(Saved, bool), Problem>
    where
        F: Future<Output = Result<Saved, Problem>>,
    {
        let slot = self.slot((client.to_owned(), key.to_owned()), request);
        if slot.request != request {
            let detail = "this Idempotency-Key was used for another request: take a new key for each request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail));
        }
        let mut again = true;
        let saved = slot
            .answer
            .get_or_try_init(|| {
                again = false;
                work()
            })
            .await?;
        Ok((saved.clone(), again))
    }

    fn slot(&self, key: Key, request: &str) -> Arc<Slot> {
        let now = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, oldest)) = used.oldest_first.front()
            && (now.duration_since(*since) >= self.keep || used.oldest_first.len() >= self.keys_max)
        {
            let oldest = oldest.clone();
            used.slots.remove(&oldest);
            used.oldest_first.pop_front();
        }
        if let Some(slot) = used.slots.get(&key) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot { request: request.to_owned(), answer: OnceCell::new() });
        used.slots.insert(key.clone(), Arc::clone(&slot));
        used.oldest_first.push_back((now, key));
        slot
    }
}

/// The key of a request, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    key.map(Some).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters");
        Problem::bad_request("bad-idempotency-key", detail)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    fn saved(text: &'static str) -> Saved {
        Saved { status: StatusCode::ACCEPTED, body: Bytes::from_static(text.as_bytes()) }
    }

    fn ledger() -> Ledger {
        Ledger::new(2, Duration::from_secs(60))
    }

    #[tokio::test]
    async fn requests_that_race_under_one_key_do_the_work_once() {
        let (ledger, done) = (ledger(), AtomicU32::new(0));
        let work = || async {
            tokio::task::yield_now().await;
            done.fetch_add(1, Relaxed);
            Ok(saved("first"))
        };
        let all = (0..50).map(|_| ledger.answer(("crm", "k"), "a", work));
        let answers = futures::future::join_all(all).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().0 == saved("first")));
        assert_eq!(answers.iter().filter(|answer| !answer.as_ref().unwrap().1).count(), 1);
        assert_eq!(done.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn another_request_under_the_key_is_refused_and_another_client_is_not() {
        let ledger = ledger();
        ledger.answer(("crm", "k"), "a", async || Ok(saved("a"))).await.unwrap();
        assert!(ledger.answer(("crm", "k"), "b", async || Ok(saved("b"))).await.is_err());
        assert_eq!(ledger.answer(("desk", "k"), "b", async || Ok(saved("b"))).await, Ok((saved("b"), false)));
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let ledger = ledger();
        let broken = Problem::bad_request("broken", "");
        assert_eq!(ledger.answer(("crm", "k"), "a", async || Err(broken.clone())).await, Err(broken.clone()));
        assert_eq!(ledger.answer(("crm", "k"), "a", async || Ok(saved("a"))).await, Ok((saved("a"), false)));
    }

    #[tokio::test]
    async fn a_request_whose_client_went_away_is_taken_up_by_the_next() {
        let ledger = ledger();
        let never = ledger.answer(("crm", "k"), "a", futures::future::pending);
        assert!(tokio::time::timeout(Duration::from_millis(1), never).await.is_err());
        assert_eq!(ledger.answer(("crm", "k"), "a", async || Ok(saved("a"))).await, Ok((saved("a"), false)));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_forgotten_when_they_are_old_or_too_many() {
        let ledger = ledger();
        for key in ["1", "2", "3"] {
            ledger.answer(("crm", key), "a", async || Ok(saved("a"))).await.unwrap();
        }
        assert!(ledger.answer(("crm", "3"), "b", async || Ok(saved("b"))).await.is_err(), "3 is known");
        assert!(ledger.answer(("crm", "1"), "b", async || Ok(saved("b"))).await.is_ok(), "1 was pushed out");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(ledger.answer(("crm", "3"), "b", async || Ok(saved("b"))).await.is_ok(), "3 is old");
        assert!(ledger.used.lock().unwrap().slots.len() <= 2);
    }
}
