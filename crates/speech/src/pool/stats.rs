//! What the pool counted. Counters only grow; gauges say so.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use super::Rung;

/// A look at the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeechStats {
    /// Voices listened to now.
    pub streams: usize,
    /// What is given up now.
    pub rung: Rung,
    /// How long the last final waited for a worker.
    pub wait_last: Duration,
    /// Finals that wait for a worker now.
    pub finals_waiting: usize,
    /// CPU-bound time spent in decodes, all workers together.
    pub decoding: Duration,
    /// Sound of all utterances that ended.
    pub heard: Duration,
    /// Frames.
    pub frames: FrameCounts,
    /// Decodes.
    pub decodes: DecodeCounts,
    /// Workers that hung or ended and were replaced.
    pub workers_replaced: u64,
}

/// Frames of 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Taken, lost ones included.
    pub taken: u64,
    /// Never came from the network.
    pub lost: u64,
    /// Written over because the front thread was late.
    pub dropped: u64,
}

/// Decodes by their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Finals with words.
    pub finals: u64,
    /// Finals without a word that is told.
    pub withdrawn: u64,
    /// Decodes of any kind whose words were too unsure to be told; such a final is `withdrawn` too.
    pub unsure: u64,
    /// Partials with words.
    pub partials: u64,
    /// Partials and speculations that were dropped or stopped.
    pub dropped: u64,
    /// Finals that a speculative decode had ready or under way.
    pub promoted: u64,
    /// Second attempts.
    pub retried: u64,
    /// Decodes that failed.
    pub failed: u64,
    /// Utterances fed to another decoder because the first panicked, hung or was lost with its thread.
    pub fed_again: u64,
    /// Holes told to the transcripts.
    pub gaps: u64,
}

/// The counters behind the look.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) streams: AtomicUsize,
    pub(super) rung: AtomicU8,
    pub(super) wait_last: Micros,
    pub(super) wait_peak: Micros,
    pub(super) finals_waiting: AtomicUsize,
    pub(super) decoding: Micros,
    pub(super) heard: Micros,
    pub(super) taken: Count,
    pub(super) lost: Count,
    pub(super) dropped: Count,
    pub(super) ends: Ends,
    pub(super) fed_again: Count,
    pub(super) replaced: Count,
}

#[derive(Default)]
pub(super) struct Ends {
    pub(super) finals: Count,
    pub(super) withdrawn: Count,
    pub(super) partials: Count,
    pub(super) dropped: Count,
    pub(super) promoted: Count,
    pub(super) retried: Count,
    pub(super) unsure: Count,
    pub(super) failed: Count,
    pub(super) gaps: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(super) struct Micros(AtomicU64);

impl Micros {
    pub(super) fn add(&self, more: Duration) {
        self.0.fetch_add(micros(more), Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: Duration) {
        self.0.store(micros(value), Ordering::Relaxed);
    }

    pub(super) fn raise(&self, value: Duration) {
        self.0.fetch_max(micros(value), Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(0, Ordering::Relaxed))
    }

    fn read(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

impl Counters {
    pub(super) fn look(&self) -> SpeechStats {
        let ends = &self.ends;
        SpeechStats {
            streams: self.streams.load(Ordering::Relaxed),
            rung: RUNGS.get(usize::from(self.rung.load(Ordering::Relaxed))).copied().unwrap_or_default(),
            wait_last: self.wait_last.read(),
            finals_waiting: self.finals_waiting.load(Ordering::Relaxed),
            decoding: self.decoding.read(),
            heard: self.heard.read(),
            frames: FrameCounts {
                taken: self.taken.read(),
                lost: self.lost.read(),
                dropped: self.dropped.read(),
            },
            decodes: DecodeCounts {
                finals: ends.finals.read(),
                withdrawn: ends.withdrawn.read(),
                unsure: ends.unsure.read(),
                partials: ends.partials.read(),
                dropped: ends.dropped.read(),
                promoted: ends.promoted.read(),
                retried: ends.retried.read(),
                failed: ends.failed.read(),
                fed_again: self.fed_again.read(),
                gaps: ends.gaps.read(),
            },
            workers_replaced: self.replaced.read(),
        }
    }

    pub(super) fn stand_on(&self, rung: Rung) {
        self.rung.store(rung as u8, Ordering::Relaxed);
    }
}

const RUNGS: [Rung; 6] =
    [Rung::Full, Rung::Slower, Rung::Slowest, Rung::FinalsOnly, Rung::WithoutBot, Rung::CallerOnly];
