//! Limits of the store, each with its default and what happens when it is reached.

use std::time::Duration;

/// How a store behaves. The defaults suit one node of a few hundred calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Lines in one commit, at most.
    pub group_max: usize,
    /// How long the first line of a commit waits for others. A promise does not wait: it commits at once with
    /// whatever is queued, and others gather while the disk is busy.
    pub group_wait: Duration,
    /// Lines queued for the writer, at most. An append that finds it full is refused and counted; a promise waits.
    pub queue_max: usize,
    /// Bytes queued for the writer, at most; the same happens as for `queue_max`.
    pub queue_bytes_max: usize,
    /// Places in the queue that appends must leave to promises.
    pub queue_reserved: usize,
    /// Bytes of one line, at most. A longer line is refused.
    pub line_bytes_max: usize,
    /// How long a promise waits to be durable before it fails with [`StoreError::TooSlow`](crate::StoreError).
    pub promise_wait_max: Duration,
    /// How long the writer waits for another program that holds the database.
    pub busy_wait_max: Duration,
    /// Connections for queries.
    pub readers: u32,
    /// How long a query waits for a free connection.
    pub read_wait_max: Duration,
    /// Calls in one page of a listing, at most; a larger wish is cut down to it.
    pub page_max: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            group_max: 256,
            group_wait: Duration::from_millis(5),
            queue_max: 8_192,
            queue_bytes_max: 64 << 20,
            queue_reserved: 512,
            line_bytes_max: 1 << 20,
            promise_wait_max: Duration::from_secs(5),
            busy_wait_max: Duration::from_secs(2),
            readers: 4,
            read_wait_max: Duration::from_secs(2),
            page_max: 500,
        }
    }
}
