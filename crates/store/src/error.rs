//! What can go wrong with a store, and whose business it is.

use std::path::PathBuf;

use segue_call::CallId;

/// Why the store could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The operator's: the file or its folder cannot be used.
    #[error("the database {} cannot be opened: {why}; check that its folder exists and may be written to", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The operator's: one database has one gateway.
    #[error("the database {} is in use by another gateway; give each gateway its own file", path.display())]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The operator's: the path names a database of another program.
    #[error("the database {} belongs to another program; nothing was changed in it", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The operator's: an older program meets a newer database.
    #[error("the database {} was written by a newer version of the gateway (schema {found}, this version knows up to {known})", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema's version in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The disk's or the operator's: the file is not a sound database.
    #[error("the database is damaged: {0}; move it away and restore a backup, or start with a new file")]
    Damaged(String),
    /// The operator's: there is no room.
    #[error("no room left on the disk of the database")]
    DiskFull,
    /// The operator's: another program holds the database.
    #[error("another program has kept the database locked for too long")]
    Locked,
    /// The disk's: the line was not durable in time. It may still become so.
    #[error("the disk took too long: the line was not durable within the time allowed")]
    TooSlow,
    /// Ours: the writer has ended.
    #[error("the store is closed")]
    Closed,
    /// Ours: every line of a call has its own number.
    #[error("line {seq} of call {call} is already stored")]
    Duplicate {
        /// The call.
        call: CallId,
        /// The line's number.
        seq: u64,
    },
    /// Ours: a line over the limit.
    #[error("a line of {bytes} bytes is longer than the {max} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Ours: a number or a time that the database cannot hold, or a value that has no JSON form.
    #[error("the line cannot be written down: {0}")]
    Unwritable(String),
    /// The file's: a stored line is not what this version writes.
    #[error("line {seq} of call {call} cannot be read: {why}")]
    Unreadable {
        /// The call.
        call: CallId,
        /// The line's number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The disk's or the system's: everything else, in the database's own words.
    #[error("the database failed: {0}")]
    Database(String),
}

/// Why a line was not taken by [`Store::append`](crate::Store::append). It is counted; the call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: the disk is slower than the calls.
    #[error("the store's queue is full")]
    Full,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The line is too long or cannot be written down.
    #[error("the line cannot be stored")]
    Unwritable,
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(|inner| inner.code())
            .and_then(|code| code.parse::<i32>().ok());
        // The low byte is the primary result code, the rest refines it (sqlite.org/rescode.html).
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Locked,
            Some(11 | 26) => Self::Damaged(error.to_string()),
            Some(13) => Self::DiskFull,
            _ if matches!(error, sqlx::Error::PoolTimedOut) => Self::Locked,
            _ if matches!(error, sqlx::Error::PoolClosed) => Self::Closed,
            _ => Self::Database(error.to_string()),
        }
    }
}
