//! What the pool counted. Counters only grow; gauges say so.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use super::{Rung, elastic::Spent};

/// A look at the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeechStats {
    /// Voices listened to now.
    pub streams: usize,
    /// What is given up now.
    pub rung: Rung,
    /// Time spent on each rung, in the order of [`Rung::ALL`].
    pub on_rung: [Duration; 7],
    /// By how much the interval between partials is stretched now; 1 when it is not.
    pub stretch: f32,
    /// How long the last final waited for a worker.
    pub wait_last: Duration,
    /// Finals that wait for a worker now.
    pub finals_waiting: usize,
    /// CPU-bound time spent in decodes, all workers together.
    pub decoding: Duration,
    /// Of that in partials.
    pub decoding_partials: Duration,
    /// Sound of all utterances that ended.
    pub heard: Duration,
    /// Frames.
    pub frames: FrameCounts,
    /// Decodes.
    pub decodes: DecodeCounts,
    /// Finals with words, by what decoded them.
    pub finals_by: FinalsBy,
    /// What agents said while recognition could not keep up.
    pub late: LateCounts,
    /// Workers that hung or ended and were replaced.
    pub workers_replaced: u64,
}

/// Finals with words, by what decoded them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinalsBy {
    /// The model.
    pub model: u64,
    /// The lighter model.
    pub lighter: u64,
    /// The service elsewhere that helps out.
    pub elsewhere: u64,
    /// Requests to it that came to nothing: their finals were decoded here.
    pub elsewhere_failed: u64,
}

/// Utterances that were put off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LateCounts {
    /// How many were.
    pub put_off: u64,
    /// Sound that waits now.
    pub waiting: Duration,
    /// Sound that was decoded.
    pub decoded: Duration,
    /// Sound that became gaps.
    pub lost: Duration,
}

/// What decoded an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Model,
    Lighter,
    Elsewhere,
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
    /// Partials and speculations that were dropped.
    pub dropped: u64,
    /// Partials that were stopped because a final waited.
    pub stopped: u64,
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
    pub(super) on_rung: [Micros; 7],
    /// In thousandths.
    pub(super) stretch: AtomicUsize,
    pub(super) wait_last: Micros,
    pub(super) wait_peak: Micros,
    pub(super) finals_waiting: AtomicUsize,
    pub(super) decoding: Micros,
    pub(super) decoding_partials: Micros,
    pub(super) decoding_late: Micros,
    pub(super) heard: Micros,
    pub(super) taken: Count,
    pub(super) lost: Count,
    pub(super) dropped: Count,
    pub(super) ends: Ends,
    pub(super) by_model: Count,
    pub(super) by_lighter: Count,
    pub(super) by_elsewhere: Count,
    pub(super) elsewhere_failed: Count,
    pub(super) late: Late,
    pub(super) fed_again: Count,
    pub(super) replaced: Count,
}

#[derive(Default)]
pub(super) struct Late {
    pub(super) put_off: Count,
    pub(super) waiting: Micros,
    pub(super) decoded: Micros,
    pub(super) lost: Micros,
}

#[derive(Default)]
pub(super) struct Ends {
    pub(super) finals: Count,
    pub(super) withdrawn: Count,
    pub(super) partials: Count,
    pub(super) dropped: Count,
    pub(super) stopped: Count,
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
            rung: self.rung(),
            on_rung: self.on_rung.each_ref().map(Micros::read),
            stretch: self.stretch.load(Ordering::Relaxed) as f32 / 1_000.0,
            wait_last: self.wait_last.read(),
            finals_waiting: self.finals_waiting.load(Ordering::Relaxed),
            decoding: self.decoding.read(),
            decoding_partials: self.decoding_partials.read(),
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
                stopped: ends.stopped.read(),
                promoted: ends.promoted.read(),
                retried: ends.retried.read(),
                failed: ends.failed.read(),
                fed_again: self.fed_again.read(),
                gaps: ends.gaps.read(),
            },
            finals_by: FinalsBy {
                model: self.by_model.read(),
                lighter: self.by_lighter.read(),
                elsewhere: self.by_elsewhere.read(),
                elsewhere_failed: self.elsewhere_failed.read(),
            },
            late: LateCounts {
                put_off: self.late.put_off.read(),
                waiting: self.late.waiting.read(),
                decoded: self.late.decoded.read(),
                lost: self.late.lost.read(),
            },
            workers_replaced: self.replaced.read(),
        }
    }

    /// The rung that is stood on, readable from every thread.
    pub(super) fn rung(&self) -> Rung {
        Rung::ALL.get(usize::from(self.rung.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// Counts how long the rung was stood on since the last look.
    pub(super) fn stand_on(&self, rung: Rung, passed: Duration) {
        if let Some(time) = self.on_rung.get(rung as usize) {
            time.add(passed);
        }
        self.rung.store(rung as u8, Ordering::Relaxed);
    }

    pub(super) fn stretch(&self, factor: f32) {
        self.stretch.store((factor * 1_000.0) as usize, Ordering::Relaxed);
    }

    pub(super) fn by(&self, by: By) -> &Count {
        match by {
            By::Model => &self.by_model,
            By::Lighter => &self.by_lighter,
            By::Elsewhere => &self.by_elsewhere,
        }
    }

    /// What the workers have spent until now.
    pub(super) fn spent(&self) -> Spent {
        Spent {
            all: self.decoding.read(),
            partials: self.decoding_partials.read(),
            late: self.decoding_late.read(),
        }
    }
}
