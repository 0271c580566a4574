//! Rules of writing: what is promised is there, in order, once; what is appended costs nothing and comes along.

use segue_call::{AttemptId, Event};
use segue_store::{Refused, Store, StoreError};
use segue_trigger::Stage;

use super::*;

/// A kept promise can be read at once.
pub(crate) async fn a_kept_promise_can_be_read_at_once(store: &Store) {
    for number in 0..20 {
        let name = format!("call-{number}");
        store.promise(opened(&name)).await.unwrap();
        assert!(store.call(&call(&name)).await.unwrap().is_some());
    }
}

/// A promise that is kept means that everything appended before it is kept too.
pub(crate) async fn a_kept_promise_keeps_what_was_appended_before_it(store: &Store) {
    store.append(opened("a")).unwrap();
    for seq in 1..200 {
        store.append(event("a", seq, Event::Alarm)).unwrap();
    }
    store.promise(event("a", 200, Event::Shutdown)).await.unwrap();
    let seqs: Vec<u64> = store.events(&call("a"), 0).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
}

/// Promises that come together share commits.
pub(crate) async fn promises_that_come_together_share_commits(store: &Store) {
    let promises = (0..400).map(|number| store.promise(opened(&format!("call-{number}"))));
    for kept in futures_of(promises).await {
        kept.unwrap();
    }
    let health = store.health();
    assert_eq!(health.stored, 400);
    assert!(health.commits < 100, "400 promises took {} commits", health.commits);
}

/// Appended lines become durable without anybody asking.
pub(crate) async fn appended_lines_become_durable_by_themselves(store: &Store) {
    store.append(opened("a")).unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        while store.counts().await.unwrap().calls == 0 {
            tokio::task::yield_now().await;
        }
    });
    assert!(seen.await.is_ok());
}

/// A number is used once; a second line under it changes nothing.
pub(crate) async fn a_line_under_a_used_number_is_refused_and_changes_nothing(store: &Store) {
    keep(store, vec![opened("a"), event("a", 1, Event::Alarm)]).await;
    let again = store.promise(event("a", 1, Event::Shutdown)).await;
    assert_eq!(again, Err(StoreError::Duplicate { call: call("a"), seq: 1 }));
    let events = store.events(&call("a"), 0).await.unwrap();
    assert_eq!(events.iter().map(|stored| &stored.event).collect::<Vec<_>>(), [&Event::Alarm]);
    // Its companions in the same commit are kept.
    let both = [store.promise(event("a", 1, Event::Shutdown)), store.promise(event("a", 2, Event::Shutdown))];
    let both = futures_of(both).await;
    assert!(both[0].is_err() && both[1].is_ok(), "{both:?}");
}

/// A used number among many lines of one commit costs none of the others.
pub(crate) async fn a_used_number_among_many_lines_costs_none_of_the_others(store: &Store) {
    keep(store, vec![opened("a"), event("a", 20, Event::Shutdown)]).await;
    for seq in 1..100 {
        store.append(event("a", seq, Event::Alarm)).unwrap();
    }
    store.flush().await.unwrap();
    let events = store.events(&call("a"), 0).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..100).collect::<Vec<_>>());
    assert_eq!(events.iter().filter(|event| event.event == Event::Shutdown).count(), 1);
    assert_eq!(store.health().stored, 100);
}

/// A line that is too long is refused, and told so.
pub(crate) async fn a_line_that_is_too_long_is_refused(store: &Store) {
    let long = || heard("a", 1, utterance(1, &"x".repeat(2 << 20), Stage::Final));
    assert!(matches!(store.promise(long()).await, Err(StoreError::TooLong { max: 1_048_576, .. })));
    assert_eq!(store.append(long()), Err(Refused::Unwritable));
    assert_eq!(store.health().refused, 1);
}

/// Flush waits for what was appended.
pub(crate) async fn flush_waits_for_what_was_appended(store: &Store) {
    store.append(opened("a")).unwrap();
    for seq in 1..50 {
        store.append(event("a", seq, Event::Ringing { attempt: AttemptId(1) })).unwrap();
    }
    store.flush().await.unwrap();
    assert_eq!(store.events(&call("a"), 0).await.unwrap().len(), 49);
    assert_eq!(store.health().queued_bytes, 0);
}

/// After the end nothing is taken, and nothing that was taken is lost.
pub(crate) async fn a_closed_store_takes_nothing_and_has_lost_nothing(store: &Store) {
    store.append(opened("a")).unwrap();
    store.append(event("a", 1, Event::Alarm)).unwrap();
    store.close().await.unwrap();
    assert_eq!(store.append(event("a", 2, Event::Alarm)), Err(Refused::Closed));
    assert_eq!(store.promise(event("a", 2, Event::Alarm)).await, Err(StoreError::Closed));
    assert_eq!(store.flush().await, Err(StoreError::Closed));
    assert_eq!(store.events(&call("a"), 0).await.unwrap().len(), 1, "queries still work");
}

/// Lines that are missing can be told.
pub(crate) async fn missing_lines_can_be_told(store: &Store) {
    keep(store, vec![opened("a"), event("a", 1, Event::Alarm), event("a", 5, Event::Alarm)]).await;
    assert_eq!(store.holes(&call("a")).await.unwrap(), [(2, 4)]);
    keep(store, (2..5).map(|seq| event("a", seq, Event::Alarm)).collect()).await;
    assert_eq!(store.holes(&call("a")).await.unwrap(), []);
}

/// Polls futures together until each is done.
async fn futures_of<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures::future::join_all(futures).await
}
