//! What lies between an ear and the front thread: the voice it hears for, what it may use while it works, the decodes
//! it waits for.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use segue_trigger::{Speaker, Stage};

use super::{
    Attention, Decoded, Gap, GapCause, Heard, Hypothesis, Rung, SpeechConfig, StreamOptions,
    later::{Later, PutOff},
    queue::{Job, JobId, Queue},
    stats::{By, Counters},
    words::Sink,
};
use crate::listen::Segment;

/// Who speaks and who wants to know.
pub(super) struct Voice {
    pub(super) speaker: Speaker,
    pub(super) attention: Attention,
    partials: bool,
    sink: Sink,
}

impl Voice {
    pub(super) fn new(options: StreamOptions, attention: Attention) -> Voice {
        Voice { speaker: options.speaker, attention, partials: options.partials, sink: options.sink }
    }

    /// A voice that nobody wants to know of.
    #[cfg(test)]
    pub(super) fn silent() -> Voice {
        let sink = Box::new(|_| {});
        Voice { speaker: Speaker::Agent, attention: Attention::default(), partials: false, sink }
    }

    /// Whether words are wanted before the speaker has finished.
    pub(super) fn wants_partials(&self) -> bool {
        self.partials || self.attention.wants_partials()
    }

    /// Hands news over. A sink that panics harms its own call and no other.
    pub(super) fn tell(&self, heard: Heard) {
        if catch_unwind(AssertUnwindSafe(|| (self.sink)(heard))).is_err() {
            tracing::error!(speaker = ?self.speaker, "the taker of a transcript panicked");
        }
    }

    /// Tells words; of a partial, how many bytes of them are stable.
    pub(super) fn tell_words(&self, said: Span, decoded: Decoded, (stable, stage): (usize, Stage)) {
        self.tell(Heard::Hypothesis(Hypothesis {
            segment: said.segment,
            speaker: self.speaker,
            text: decoded.text,
            stable,
            start: said.start,
            end: said.end,
            confidence: decoded.confidence,
            stage,
            language: decoded.language,
            level: said.level,
        }));
    }

    pub(super) fn tell_gap(&self, gap: Gap, counters: &Counters) {
        counters.ends.gaps.add(1);
        self.tell(Heard::Gap(gap));
    }
}

/// An utterance and its times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) segment: u64,
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// How loud it is, in dB against full scale.
    pub(super) level: Option<f32>,
}

impl Span {
    pub(super) fn of(segment: &Segment) -> Span {
        Span { segment: segment.number, start: segment.start, end: segment.end, level: segment.level() }
    }

    pub(super) fn gap(self, cause: GapCause) -> Gap {
        Gap { segment: Some(self.segment), start: self.start, end: self.end, cause }
    }
}

/// How the pool stands at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) rung: Rung,
    /// By how much partials are stretched.
    pub(super) stretch: f32,
    /// The number of the last job.
    pub(super) jobs: u64,
}

/// What an ear needs of the front thread while it works.
pub(super) struct Desk<'a> {
    pub(super) config: &'a SpeechConfig,
    pub(super) queue: &'a Queue,
    pub(super) counters: &'a Counters,
    pub(super) later: &'a mut Later,
    pub(super) moment: Moment,
    /// Jobs that found no place.
    pub(super) evicted: Vec<Job>,
}

impl Desk<'_> {
    /// A number for a job.
    pub(super) fn next_job(&mut self) -> JobId {
        self.moment.jobs += 1;
        JobId(self.moment.jobs)
    }

    /// Asks for a decode.
    pub(super) fn submit(&mut self, job: Job) {
        self.evicted.extend(self.queue.submit(job));
    }

    /// The length of an utterance at its first partial, and from one partial to the next; `None` if there are none.
    pub(super) fn pace(&self, needed: bool) -> Option<(Duration, Duration)> {
        let Moment { rung, stretch, .. } = self.moment;
        let interval = rung.interval(self.config.partial_interval, needed)?;
        let first = self.config.partial_first;
        if needed {
            return Some((first, interval));
        }
        // The first costs least and tells most.
        Some((first.mul_f32(stretch.sqrt()), interval.mul_f32(stretch)))
    }

    /// Keeps an utterance until there is time. What has no place any more becomes a gap.
    pub(super) fn put_off(&mut self, put_off: PutOff) {
        for lost in self.later.keep(put_off) {
            lost.lose(GapCause::Overload, self.counters);
        }
    }
}

/// What became of a decode.
#[derive(Clone)]
pub(super) enum Answer {
    Words(Decoded, By),
    Nothing,
    /// It will be decoded when there is time.
    PutOff,
    /// It gave way to something better.
    Stopped,
    Lost(GapCause),
}

/// A decode on its way.
pub(super) struct Awaited {
    pub(super) job: JobId,
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) said: Span,
    pub(super) answer: Option<Answer>,
}

impl Awaited {
    pub(super) fn of(segment: &Segment, job: JobId) -> Awaited {
        Awaited { job, cancelled: Arc::default(), said: Span::of(segment), answer: None }
    }
}
