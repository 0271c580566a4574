//! What the event log needs besides calls: marking those that a crash cut off, and forgetting old ones.

use std::time::Duration;

use segue_store::{CallFilter, LogLine, Store, What};

use crate::clock::Clock;

/// How often old calls are looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Calls forgotten in one go, so that live calls never wait long for the writer.
const AT_ONCE: u32 = 500;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Marks every call that an earlier run left open: nobody can take it up again.
///
/// # Errors
/// The log cannot be read or written.
pub(crate) async fn mark_lost(store: &Store, clock: Clock) -> anyhow::Result<()> {
    loop {
        let filter = CallFilter { ended: Some(false), ..CallFilter::default() };
        let open = store.calls(&filter).await?.calls;
        if open.is_empty() {
            return Ok(());
        }
        for call in open {
            let event = store.events(&call.call, 0).await?.last().map_or(0, |event| event.seq);
            let entry = store.entries(&call.call).await?.last().map_or(0, |(seq, _, _)| *seq);
            // The line that opened the call is the first one.
            let seq = event.max(entry).max(1) + 1;
            tracing::warn!(call = %call.call, "a call was cut off when the gateway last stopped");
            store.promise(LogLine { call: call.call, seq, at: clock.now(), what: What::Lost }).await?;
        }
    }
}

/// Forgets calls that are older than they may be, now and every hour.
pub(crate) async fn forget_old(store: Store, clock: Clock, keep_days: u64) {
    if keep_days == 0 {
        return;
    }
    let keep = DAY * u32::try_from(keep_days).unwrap_or(u32::MAX);
    let mut turn = tokio::time::interval(EVERY);
    loop {
        turn.tick().await;
        match store.forget(clock.now().saturating_sub(keep), AT_ONCE).await {
            Ok(0) => {}
            Ok(calls) => tracing::info!(calls, keep_days, "old calls are forgotten"),
            Err(error) => tracing::warn!(%error, "old calls cannot be forgotten"),
        }
    }
}
