//! A list that one thread writes and others wait on: log lines, events, packets, what a client says.

use std::{
    fmt::Debug,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::Deadline;

/// How many of the last items a failure shows.
const SHOWN: usize = 25;

/// What was seen so far, in order.
#[derive(Debug)]
pub(crate) struct Witness<T> {
    seen: Mutex<Vec<T>>,
    more: Condvar,
}

impl<T> Default for Witness<T> {
    fn default() -> Self {
        Self { seen: Mutex::default(), more: Condvar::new() }
    }
}

impl<T: Clone + Debug> Witness<T> {
    pub(crate) fn push(&self, item: T) {
        self.lock().push(item);
        self.more.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The first item that is looked for, now or later.
    pub(crate) fn wait_for(&self, until: Deadline, what: &str, wanted: impl Fn(&T) -> bool) -> T {
        self.wait(until, what, |seen| seen.iter().find(|item| wanted(item)).cloned())
    }

    /// Waits until `look` finds something.
    pub(crate) fn wait<R>(&self, until: Deadline, what: &str, look: impl Fn(&[T]) -> Option<R>) -> R {
        let mut seen = self.lock();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let left = until.left();
            if left.is_zero() {
                let last = seen.len().saturating_sub(SHOWN);
                let shown: Vec<String> = seen.iter().skip(last).map(|item| format!("{item:?}")).collect();
                drop(seen);
                panic!("waited too long for {what}; the last that was seen:\n{}", shown.join("\n"));
            }
            seen = self.more.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
