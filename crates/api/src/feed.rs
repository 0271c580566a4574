//! The latest news, numbered, for any number of subscribers: a ring from which each reads at its own pace.
//!
//! Publishing never waits. A subscriber that falls behind the ring is told of the gap; it does not hold anybody up.
//! Sequences rise over restarts, because the first one is taken from the clock.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use segue_call::{CallId, Milestone};
use tokio::sync::watch;

use crate::{
    snapshot::{AgentSnapshot, QueueSnapshot},
    wire,
};

/// Something that subscribers are told.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Something happened in a call.
    Call(CallId, Milestone),
    /// An agent's presence or activity changed.
    Agent(AgentSnapshot),
    /// A queue changed.
    Queue(QueueSnapshot),
    /// Recognition gave something up, or took it back.
    Recognition(RecognitionStep),
}

/// A step on the ladder of recognition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecognitionStep {
    /// The rung it stood on.
    pub from: &'static str,
    /// The rung it stands on.
    pub to: &'static str,
    /// How long finals waited then.
    pub wait: Duration,
}

/// One piece of news with its number.
#[derive(Debug)]
pub struct FeedItem {
    /// Its number; each piece of news has the next one.
    pub sequence: u64,
    /// When it happened, since the Unix epoch.
    pub at: Duration,
    /// What happened.
    pub news: News,
    text: OnceLock<Utf8Bytes>,
}

impl FeedItem {
    /// The item as it goes over the wire. Written once, whoever reads it.
    pub(crate) fn text(&self) -> Utf8Bytes {
        self.text.get_or_init(|| wire::event_text(self).into()).clone()
    }
}

/// News that a subscriber wanted and that is no longer, or not yet, there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the news after {after} is gone; what is kept begins after {resume}")]
pub struct Gap {
    /// After which number the subscriber wanted to read on.
    pub after: u64,
    /// After which number reading on is possible.
    pub resume: u64,
}

/// The latest news.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    /// The number of the newest item; closed when the gateway goes down.
    newest: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    sequence: u64,
    closed: bool,
}

#[derive(Debug)]
struct Ring {
    items: VecDeque<Arc<FeedItem>>,
    capacity: usize,
    newest: u64,
}

impl Feed {
    /// Makes an empty feed that keeps `capacity` items. `now` (since the Unix epoch) sets the first number, above
    /// every number of an earlier run that published less than a thousand items a millisecond.
    #[must_use]
    pub fn new(now: Duration, capacity: usize) -> Self {
        // Microseconds: the numbers stay below 2^53, so that every JSON reader can hold them.
        let newest = u64::try_from(now.as_micros()).unwrap_or(0);
        Self {
            ring: Mutex::new(Ring { items: VecDeque::new(), capacity: capacity.max(1), newest }),
            newest: watch::Sender::new(Progress { sequence: newest, closed: false }),
        }
    }

    /// Publishes news and gives its number. Never waits for a subscriber.
    pub fn publish(&self, at: Duration, news: News) -> u64 {
        let sequence = {
            let mut ring = self.ring();
            ring.newest += 1;
            let sequence = ring.newest;
            if ring.items.len() >= ring.capacity {
                ring.items.pop_front();
            }
            ring.items.push_back(Arc::new(FeedItem { sequence, at, news, text: OnceLock::new() }));
            sequence
        };
        // Two publishers may pass here in either order; the number only rises.
        self.newest.send_if_modified(|progress| {
            let newer = progress.sequence < sequence;
            progress.sequence = progress.sequence.max(sequence);
            newer
        });
        sequence
    }

    /// The number of the newest item.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.ring().newest
    }

    /// The items after a number, in order, at most `count_max`.
    ///
    /// # Errors
    /// [`Gap`] if some of them are gone, or the number was never given out.
    pub fn after(&self, after: u64, count_max: usize) -> Result<Vec<Arc<FeedItem>>, Gap> {
        let ring = self.ring();
        let kept = u64::try_from(ring.items.len()).unwrap_or(u64::MAX);
        let oldest = ring.newest - kept;
        if after < oldest || after > ring.newest {
            return Err(Gap { after, resume: oldest });
        }
        let skip = usize::try_from(after - oldest).unwrap_or(usize::MAX);
        Ok(ring.items.iter().skip(skip).take(count_max).cloned().collect())
    }

    /// Waits until there is news after a number; false when the feed is closed and there will be none.
    pub async fn wait_beyond(&self, after: u64) -> bool {
        let mut progress = self.newest.subscribe();
        let seen = progress.wait_for(|progress| progress.closed || progress.sequence > after).await;
        seen.is_ok_and(|progress| progress.sequence > after)
    }

    /// Ends the feed: subscribers get what is there and are told that the gateway goes away.
    pub fn close(&self) {
        self.newest.send_modify(|progress| progress.closed = true);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic while the lock is held leaves a whole ring: every change is one push or pop.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use segue_call::Phase;

    use super::*;

    fn news() -> News {
        News::Call(CallId("c".to_owned()), Milestone::Phase { phase: Phase::WithBot })
    }

    fn sequences(feed: &Feed, after: u64) -> Result<Vec<u64>, Gap> {
        Ok(feed.after(after, 100)?.iter().map(|item| item.sequence).collect())
    }

    #[test]
    fn a_reader_gets_what_came_after_its_number_and_in_order() {
        let feed = Feed::new(Duration::from_micros(10), 5);
        for _ in 0..3 {
            feed.publish(Duration::ZERO, news());
        }
        assert_eq!(sequences(&feed, 10), Ok(vec![11, 12, 13]));
        assert_eq!(sequences(&feed, 12), Ok(vec![13]));
        assert_eq!(sequences(&feed, 13), Ok(vec![]));
        assert_eq!(feed.after(10, 2).unwrap().len(), 2);
    }

    #[test]
    fn a_reader_that_fell_behind_the_ring_is_told_of_the_gap() {
        let feed = Feed::new(Duration::ZERO, 3);
        for _ in 0..10 {
            feed.publish(Duration::ZERO, news());
        }
        assert_eq!(sequences(&feed, 6), Err(Gap { after: 6, resume: 7 }));
        assert_eq!(sequences(&feed, 7), Ok(vec![8, 9, 10]));
        assert_eq!(feed.newest(), 10);
    }

    #[test]
    fn a_number_that_was_never_given_out_is_a_gap_too() {
        let feed = Feed::new(Duration::from_secs(1), 3);
        assert_eq!(sequences(&feed, 5), Err(Gap { after: 5, resume: 1_000_000 }));
        assert_eq!(sequences(&feed, 1_000_001), Err(Gap { after: 1_000_001, resume: 1_000_000 }));
    }

    #[tokio::test]
    async fn waiting_ends_with_news_or_with_the_end() {
        let feed = Feed::new(Duration::ZERO, 3);
        let (came, ()) = futures::future::join(feed.wait_beyond(0), async {
            feed.publish(Duration::ZERO, news());
        })
        .await;
        assert!(came);
        feed.close();
        assert!(feed.wait_beyond(0).await, "what is there is still given");
        assert!(!feed.wait_beyond(1).await);
    }
}
