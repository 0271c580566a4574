//! The handle that calls hold: append without waiting, promise and wait, flush, close.

use std::{
    future::Future,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::SqlitePool;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::StoreConfig,
    error::{Refused, StoreError},
    line::{LogLine, Row, nanoseconds},
    schema,
    writer::{Message, Writer},
};

/// A handle to the log. Clones share one queue and one writer.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) readers: SqlitePool,
    pub(crate) config: Arc<StoreConfig>,
    sender: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

/// What the store has done and how it is, for metrics and readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Lines that are durable.
    pub stored: u64,
    /// Commits that made them durable.
    pub commits: u64,
    /// Lines that `append` refused: they are missing from the log.
    pub refused: u64,
    /// Lines that were taken but could not be written, because a commit failed.
    pub failed: u64,
    /// Lines that wait to be written.
    pub queued: usize,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// The trouble the last commit met; `None` if it succeeded.
    pub trouble: Option<StoreError>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) stored: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) queued_bytes: AtomicUsize,
    pub(crate) trouble: Mutex<Option<StoreError>>,
}

/// The bytes of one line while it is queued.
#[derive(Debug)]
pub(crate) struct Weight {
    bytes: usize,
    counters: Arc<Counters>,
}

impl Weight {
    fn new(bytes: usize, counters: &Arc<Counters>) -> Self {
        counters.queued_bytes.fetch_add(bytes, Relaxed);
        Self { bytes, counters: Arc::clone(counters) }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.counters.queued_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

impl Store {
    /// Opens or makes the database and gives a handle and the writer, which the owner must run.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`InUse`](StoreError::InUse), [`Foreign`](StoreError::Foreign),
    /// [`Newer`](StoreError::Newer), [`Damaged`](StoreError::Damaged): nothing was changed.
    pub async fn open(path: impl AsRef<Path>, config: StoreConfig) -> Result<(Self, Writer), StoreError> {
        let path = path.as_ref();
        let hold = schema::hold(path)?;
        let connection = schema::prepare(path, &config).await?;
        let (store, receiver) = Self::handle(path, config);
        let writer = Writer::new(
            path.to_owned(),
            Arc::clone(&store.config),
            (hold, connection),
            receiver,
            Arc::clone(&store.counters),
        );
        Ok((store, writer))
    }

    /// Opens a database to be read only, also while a gateway writes to it. Every append and promise is refused.
    ///
    /// # Errors
    /// [`StoreError::Open`] if there is none, [`Foreign`](StoreError::Foreign), [`Newer`](StoreError::Newer).
    pub async fn open_to_read(path: impl AsRef<Path>, config: StoreConfig) -> Result<Self, StoreError> {
        let (store, _closed) = Self::handle(path.as_ref(), config);
        schema::check_readable(path.as_ref(), &store.readers).await?;
        Ok(store)
    }

    fn handle(path: &Path, config: StoreConfig) -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(config.queue_max.max(1));
        let readers = schema::readers(path, &config);
        (Self { readers, config: Arc::new(config), sender, counters: Arc::default() }, receiver)
    }

    /// Hands over a line without waiting. It becomes durable within a few milliseconds, if the disk is well.
    ///
    /// # Errors
    /// [`Refused`]: the line is not in the log and has been counted. The call goes on.
    pub fn append(&self, line: LogLine) -> Result<(), Refused> {
        self.try_append(line).inspect_err(|_| {
            self.counters.refused.fetch_add(1, Relaxed);
        })
    }

    fn try_append(&self, line: LogLine) -> Result<(), Refused> {
        let row = Row::new(line, self.config.line_bytes_max).map_err(|error| {
            tracing::warn!(%error, "a line of the log cannot be written down");
            Refused::Unwritable
        })?;
        let bytes = row.bytes();
        let queued = self.counters.queued_bytes.load(Relaxed);
        if self.sender.is_closed() {
            return Err(Refused::Closed);
        }
        if self.sender.capacity() <= self.config.queue_reserved
            || queued + bytes > self.config.queue_bytes_max
        {
            return Err(Refused::Full);
        }
        let weight = Weight::new(bytes, &self.counters);
        self.sender.try_send(Message::Line(row, weight)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Closed,
        })
    }

    /// Hands over a line and waits until it is durable. The line takes its place in the order of the log when the
    /// future is first polled. A future that is dropped does not take the line back.
    ///
    /// # Errors
    /// Anything that kept the line from being durable; after [`StoreError::TooSlow`] it may still become so.
    pub fn promise(&self, line: LogLine) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let row = Row::new(line, self.config.line_bytes_max);
        let sender = self.sender.clone();
        let counters = Arc::clone(&self.counters);
        let wait_max = self.config.promise_wait_max;
        async move {
            let row = row?;
            let weight = Weight::new(row.bytes(), &counters);
            let (kept, answer) = oneshot::channel();
            let durable = async {
                sender.send(Message::Promise(row, weight, kept)).await.map_err(|_| StoreError::Closed)?;
                answer.await.map_err(|_| StoreError::Closed)?
            };
            timeout(wait_max, durable).await.unwrap_or(Err(StoreError::TooSlow))
        }
    }

    /// Waits until everything handed over so far is durable.
    ///
    /// # Errors
    /// What the last commit met.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Message::Flush).await
    }

    /// Writes what is queued and ends the writer. Later appends and promises are refused; queries still work.
    ///
    /// # Errors
    /// What the last commit met.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.ask(Message::Close).await
    }

    /// Forgets calls that ended before `before` (since the Unix epoch), at most `calls_max` of them, oldest first.
    /// Gives the number of calls forgotten.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget(&self, before: Duration, calls_max: u32) -> Result<u64, StoreError> {
        let before_ns = nanoseconds(before)?;
        self.ask(|reply| Message::Forget { before_ns, calls_max, reply }).await
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Message,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(message(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// What the store has done and how it is.
    #[must_use]
    pub fn health(&self) -> Health {
        let counters = &self.counters;
        Health {
            stored: counters.stored.load(Relaxed),
            commits: counters.commits.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            queued: self.sender.max_capacity() - self.sender.capacity(),
            queued_bytes: counters.queued_bytes.load(Relaxed),
            trouble: counters.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
