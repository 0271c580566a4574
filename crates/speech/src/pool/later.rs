//! What agents said while recognition could not keep up: kept as µ-law at 8 kHz, a kilobyte for an eighth of a second,
//! and decoded when there is time, also after its call has ended. Bounded: at the bound the oldest becomes a gap.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use segue_media::{g711::Law, resample};

use super::{
    GapCause, StreamId,
    desk::{Span, Voice},
    queue::{Job, JobId, Purpose},
    stats::Counters,
};

/// One utterance that was put off.
pub(super) struct PutOff {
    pub(super) voice: Arc<Voice>,
    pub(super) stream: StreamId,
    pub(super) said: Span,
    sound: Vec<u8>,
}

impl PutOff {
    /// Keeps the sound of an utterance, which is at 16 kHz.
    pub(super) fn new((voice, stream): (&Arc<Voice>, StreamId), said: Span, samples: &[i16]) -> PutOff {
        let sound = resample::down(samples).into_iter().map(|sample| Law::Pcmu.encode(sample)).collect();
        PutOff { voice: Arc::clone(voice), stream, said, sound }
    }

    /// Tells that its words will never be known.
    pub(super) fn lose(self, cause: GapCause, counters: &Counters) {
        counters.late.lost.add(self.length());
        self.voice.tell_gap(self.said.gap(cause), counters);
    }

    pub(super) fn length(&self) -> Duration {
        Duration::from_micros(self.sound.len() as u64 * 125)
    }

    fn samples(&self) -> Arc<[i16]> {
        let narrow: Vec<i16> = self.sound.iter().map(|byte| Law::Pcmu.decode(*byte)).collect();
        Arc::from(resample::up(&narrow))
    }
}

/// All that was put off.
pub(super) struct Later {
    /// How much sound may be kept; zero keeps nothing.
    limit: Duration,
    kept: Duration,
    waiting: VecDeque<PutOff>,
    under_way: BTreeMap<JobId, (PutOff, Arc<AtomicBool>)>,
}

impl Later {
    pub(super) fn new(limit: Duration) -> Later {
        Later { limit, kept: Duration::ZERO, waiting: VecDeque::new(), under_way: BTreeMap::new() }
    }

    /// Whether anything is put off at all.
    pub(super) fn takes(&self) -> bool {
        !self.limit.is_zero()
    }

    /// Sound that waits or is being decoded.
    pub(super) fn kept(&self) -> Duration {
        self.kept
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Keeps an utterance; gives back the oldest that have no place any more.
    pub(super) fn keep(&mut self, put_off: PutOff) -> Vec<PutOff> {
        self.kept += put_off.length();
        self.waiting.push_back(put_off);
        let mut lost = Vec::new();
        while self.kept > self.limit
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.kept -= oldest.length();
            lost.push(oldest);
        }
        lost
    }

    /// The decode of the oldest.
    pub(super) fn next(&mut self, id: JobId, now: Duration) -> Option<Job> {
        let put_off = self.waiting.pop_front()?;
        let cancelled: Arc<AtomicBool> = Arc::default();
        let job = Job {
            id,
            stream: put_off.stream,
            purpose: Purpose::Late,
            speaker: put_off.voice.speaker,
            attention: put_off.voice.attention.clone(),
            samples: put_off.samples(),
            language: put_off.voice.attention.language(),
            asked: now,
            cancelled: Arc::clone(&cancelled),
            fed_again: false,
            tried_elsewhere: false,
        };
        self.under_way.insert(id, (put_off, cancelled));
        Some(job)
    }

    /// Takes out what a decode was of; whether it was stopped for something better is said beside.
    pub(super) fn ended(&mut self, id: JobId) -> Option<(PutOff, bool)> {
        let (put_off, cancelled) = self.under_way.remove(&id)?;
        self.kept -= put_off.length();
        Some((put_off, cancelled.load(Ordering::Relaxed)))
    }

    /// Puts back what was stopped: it goes first.
    pub(super) fn back(&mut self, put_off: PutOff) {
        self.kept += put_off.length();
        self.waiting.push_front(put_off);
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<PutOff> {
        self.kept = Duration::ZERO;
        let under_way = std::mem::take(&mut self.under_way).into_values().map(|(put_off, _)| put_off);
        under_way.chain(self.waiting.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_off(segment: u64, seconds: u64) -> PutOff {
        let samples: Vec<i16> = (0..seconds * 16_000).map(|at| ((at % 40) as i16 - 20) * 300).collect();
        let voice = Arc::new(Voice::silent());
        let said = Span { segment, start: Duration::ZERO, end: Duration::from_secs(seconds), level: None };
        PutOff::new((&voice, StreamId(1)), said, &samples)
    }

    #[test]
    fn at_the_bound_the_oldest_are_given_back() {
        let mut later = Later::new(Duration::from_secs(5));
        assert!(later.keep(put_off(1, 2)).is_empty());
        assert!(later.keep(put_off(2, 3)).is_empty());
        let lost = later.keep(put_off(3, 4));
        assert_eq!(lost.iter().map(|lost| lost.said.segment).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(later.kept(), Duration::from_secs(4));
        assert_eq!(later.keep(put_off(4, 6)).len(), 2, "what is longer than the bound finds no place itself");
        assert_eq!(later.kept(), Duration::ZERO);
    }

    #[test]
    fn what_was_stopped_goes_first_again() {
        let mut later = Later::new(Duration::from_secs(60));
        for segment in 1..=2 {
            later.keep(put_off(segment, 2));
        }
        let job = later.next(JobId(7), Duration::from_secs(9)).unwrap();
        assert_eq!((job.purpose, job.samples.len()), (Purpose::Late, 32_000));
        job.cancelled.store(true, Ordering::Relaxed);
        let (stopped, for_better) = later.ended(JobId(7)).unwrap();
        assert!(for_better && later.ended(JobId(7)).is_none());
        later.back(stopped);
        later.next(JobId(8), Duration::ZERO);
        assert_eq!(later.ended(JobId(8)).unwrap().0.said.segment, 1);
        assert_eq!(later.kept(), Duration::from_secs(2));
    }

    #[test]
    fn the_sound_comes_back_as_it_was() {
        let mut later = Later::new(Duration::from_secs(60));
        let tone: Vec<i16> = (0..16_000).map(|at| ((at as f32 * 0.2).sin() * 8_000.0) as i16).collect();
        let voice = Arc::new(Voice::silent());
        let said = Span { segment: 1, start: Duration::ZERO, end: Duration::from_secs(1), level: None };
        later.keep(PutOff::new((&voice, StreamId(1)), said, &tone));
        let back = later.next(JobId(1), Duration::ZERO).unwrap().samples;
        let error: f64 = tone
            .iter()
            .zip(back.iter())
            .skip(200)
            .take(15_000)
            .map(|(one, other)| {
                let difference = f64::from(*one) - f64::from(*other);
                difference * difference
            })
            .sum::<f64>()
            / 15_000.0;
        assert!(error.sqrt() < 400.0, "{}", error.sqrt());
    }
}
