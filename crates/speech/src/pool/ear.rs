//! One voice on the front thread: its frames, its endpointing, the decodes it waits for, and what is told of it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use segue_trigger::{Speaker, Stage};

use super::{
    Attention, Decoded, Gap, GapCause, Heard, Hypothesis, Rung, SpeechConfig, StreamId, StreamOptions,
    front::next_job,
    queue::{Job, JobId, Purpose, Queue},
    ring::{Reader, Ring, Sound},
    stats::Counters,
    words::Sink,
};
use crate::listen::{Cue, EndKind, Endpointing, FRAME_LENGTH, Hearing, Segment};

/// What an ear needs of the front thread while it works.
pub(super) struct Desk<'a> {
    config: &'a SpeechConfig,
    queue: &'a Queue,
    counters: &'a Counters,
    now: Duration,
    rung: Rung,
    jobs: u64,
    evicted: Vec<(StreamId, JobId)>,
}

/// What became of a decode.
pub(super) enum Answer {
    Words(Decoded),
    Nothing,
    Lost(GapCause),
}

/// One voice.
pub(super) struct Ear {
    id: StreamId,
    ring: Arc<Ring>,
    reader: Reader,
    voice: Voice,
    line: Line,
    partial: Partial,
    speculation: Option<Awaited>,
    awaited: VecDeque<Awaited>,
    ended: bool,
}

/// Who speaks and who wants to know.
pub(super) struct Voice {
    speaker: Speaker,
    attention: Attention,
    partials: bool,
    sink: Sink,
}

impl Voice {
    pub(super) fn new(options: StreamOptions, attention: Attention) -> Voice {
        Voice { speaker: options.speaker, attention, partials: options.partials, sink: options.sink }
    }

    /// Hands news over. A sink that panics harms its own call and no other.
    fn tell(&self, heard: Heard) {
        if catch_unwind(AssertUnwindSafe(|| (self.sink)(heard))).is_err() {
            tracing::error!(speaker = ?self.speaker, "the taker of a transcript panicked");
        }
    }
}

/// Its frames, one every 20 ms.
struct Line {
    hearing: Hearing,
    due: Option<Duration>,
    lost: Option<(Duration, usize)>,
}

/// The partials of the utterance that is being spoken.
#[derive(Default)]
struct Partial {
    flight: Option<Awaited>,
    reached: Duration,
    text: String,
}

/// A decode on its way.
struct Awaited {
    job: JobId,
    cancelled: Arc<AtomicBool>,
    segment: u64,
    start: Duration,
    end: Duration,
    answer: Option<Answer>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        config: &'a SpeechConfig,
        queue: &'a Queue,
        counters: &'a Counters,
        (now, rung, jobs): (Duration, Rung, u64),
    ) -> Desk<'a> {
        Desk { config, queue, counters, now, rung, jobs, evicted: Vec::new() }
    }

    /// Gives the number of the last job and the jobs that found no place.
    pub(super) fn close(self) -> (u64, Vec<(StreamId, JobId)>) {
        (self.jobs, self.evicted)
    }

    fn evict(&mut self, job: Option<Job>) {
        self.evicted.extend(job.map(|job| (job.stream, job.id)));
    }
}

impl Ear {
    pub(super) fn new(id: StreamId, ring: Arc<Ring>, voice: Voice, rules: Endpointing) -> Ear {
        Ear {
            id,
            ring,
            reader: Reader::default(),
            voice,
            line: Line { hearing: Hearing::new(rules), due: None, lost: None },
            partial: Partial::default(),
            speculation: None,
            awaited: VecDeque::new(),
            ended: false,
        }
    }

    /// True when its stream is closed and everything said was told.
    pub(super) fn over(&self) -> bool {
        self.ended && self.awaited.is_empty()
    }

    /// Takes all frames that are there.
    pub(super) fn hear(&mut self, desk: &mut Desk<'_>) {
        // Asked before reading: what was written before the close is then seen.
        let closed = self.ring.closed();
        loop {
            let (dropped, frame) = self.reader.read(&self.ring);
            if dropped > 0 {
                self.frames_dropped(dropped, frame.map(|(at, _)| at), desk);
            }
            let Some((at, sound)) = frame else { break };
            desk.counters.taken.add(1);
            self.frame(at, &sound, desk);
        }
        if closed && !self.ended {
            self.ended = true;
            let cue = self.line.hearing.flush();
            self.on_cue(cue, desk);
        }
    }

    /// Takes the answer to one of its jobs; an answer nobody waits for changes nothing.
    pub(super) fn answer(&mut self, job: JobId, answer: Answer, desk: &mut Desk<'_>) {
        if self.partial.flight.as_ref().is_some_and(|flight| flight.job == job) {
            if let Some(flight) = self.partial.flight.take() {
                self.partial_answer(&flight, answer, desk);
            }
        } else if let Some(mut awaited) = self.speculation.take_if(|awaited| awaited.job == job) {
            // Known 200 ms before the hard end: whoever waits for a word need not wait for the silence.
            if let (Answer::Words(decoded), true) = (&answer, self.voice.partials) {
                self.partial_answer(&awaited, Answer::Words(decoded.clone()), desk);
            }
            awaited.answer = Some(answer);
            self.speculation = Some(awaited);
        } else if let Some(awaited) = self.awaited.iter_mut().find(|awaited| awaited.job == job) {
            awaited.answer = Some(answer);
            self.tell_finals(desk.counters);
        }
    }

    /// The pool stops: everything that is not known becomes a gap.
    pub(super) fn stop(&mut self, counters: &Counters) {
        for awaited in &mut self.awaited {
            awaited.answer.get_or_insert(Answer::Lost(GapCause::Stopped));
        }
        self.tell_finals(counters);
        if let Cue::Ended(segment, _) = self.line.hearing.flush() {
            self.tell_gap((Some(segment.number), segment.start, segment.end), GapCause::Stopped, counters);
        }
    }

    fn frame(&mut self, at: Duration, sound: &Sound, desk: &mut Desk<'_>) {
        let due = self.line.due.unwrap_or(at);
        let missing = at.saturating_sub(due).as_millis() / FRAME_LENGTH.as_millis();
        if missing > JUMP_FRAMES {
            let cue = self.line.hearing.flush();
            self.on_cue(cue, desk);
        } else {
            for place in 0..missing {
                let place = u32::try_from(place).unwrap_or(0);
                self.one_frame(due + FRAME_LENGTH * place, &Sound::Lost, desk);
            }
        }
        self.one_frame(at.max(due), sound, desk);
    }

    fn one_frame(&mut self, at: Duration, sound: &Sound, desk: &mut Desk<'_>) {
        self.line.due = Some(at + FRAME_LENGTH);
        self.count_lost(at, *sound == Sound::Lost, desk.counters);
        let cue = self.line.hearing.hear(at, &sound.samples());
        self.on_cue(cue, desk);
        self.ask_partial(desk);
    }

    /// Frames that never came make a gap when they were many and somebody spoke.
    fn count_lost(&mut self, at: Duration, lost: bool, counters: &Counters) {
        if lost {
            counters.lost.add(1);
            let (_, count) = self.line.lost.get_or_insert((at, 0));
            *count += 1;
        } else if let Some((from, count)) = self.line.lost.take()
            && count >= LOST_FRAMES
            && self.line.hearing.current().is_some()
        {
            self.tell_gap((None, from, at), GapCause::AudioLost, counters);
        }
    }

    fn frames_dropped(&mut self, count: u64, until: Option<Duration>, desk: &Desk<'_>) {
        desk.counters.dropped.add(count);
        let from = self.line.due.unwrap_or(desk.now);
        let until = until.unwrap_or(desk.now).max(from);
        self.tell_gap((None, from, until), GapCause::FramesDropped, desk.counters);
    }

    fn on_cue(&mut self, cue: Cue, desk: &mut Desk<'_>) {
        match cue {
            Cue::Nothing => {}
            Cue::Started => self.started(),
            Cue::Paused => {
                self.drop_partial(desk);
                if desk.rung.hears(self.voice.speaker) {
                    self.speculation = self.ask_current(Purpose::Speculative, desk);
                }
            }
            Cue::Resumed => self.resumed(desk),
            Cue::Ended(segment, kind) => {
                self.ended(segment, kind, desk);
                if kind == EndKind::Cut {
                    self.started();
                }
            }
            Cue::Dropped { segment } => {
                self.drop_partial(desk);
                self.voice.tell(Heard::Withdrawn { segment });
            }
        }
    }

    fn started(&mut self) {
        self.partial = Partial::default();
        if let Some(segment) = self.line.hearing.current() {
            self.voice.tell(Heard::Started { segment: segment.number, at: segment.start });
        }
    }

    /// What is being decoded on the chance of an end is a partial now.
    fn resumed(&mut self, desk: &mut Desk<'_>) {
        let Some(speculation) = self.speculation.take() else { return };
        self.partial.reached = self.line.hearing.current().map_or(Duration::ZERO, Segment::length);
        if speculation.answer.is_none() {
            self.partial.flight = Some(speculation);
            if !self.voice.partials {
                self.drop_partial(desk);
            }
        }
    }

    fn ended(&mut self, segment: Segment, kind: EndKind, desk: &mut Desk<'_>) {
        desk.counters.heard.add(segment.length());
        self.drop_partial(desk);
        // A speculation that was pushed out or failed has a second chance as a final.
        let ready = self.speculation.take().filter(|awaited| {
            awaited.segment == segment.number && !matches!(awaited.answer, Some(Answer::Lost(_)))
        });
        let awaited = match ready {
            Some(awaited) if kind != EndKind::Cut => {
                desk.counters.ends.promoted.add(1);
                let evicted = desk.queue.promote(awaited.job, desk.now);
                desk.evict(evicted);
                awaited
            }
            _ if !desk.rung.hears(self.voice.speaker) => {
                let answer = Some(Answer::Lost(GapCause::Overload));
                Awaited { answer, ..Awaited::of(&segment, next_job(&mut desk.jobs)) }
            }
            _ => self.ask(segment, Purpose::Final, desk),
        };
        self.awaited.push_back(awaited);
        self.tell_finals(desk.counters);
    }

    fn ask_partial(&mut self, desk: &mut Desk<'_>) {
        let Some(interval) = desk.rung.interval(desk.config.partial_interval) else { return };
        let Some(segment) = self.line.hearing.current() else { return };
        let reached = self.partial.reached;
        let due = if reached.is_zero() { desk.config.partial_first } else { reached + interval };
        let wanted = self.voice.partials && self.speculation.is_none() && self.partial.flight.is_none();
        if !wanted || segment.length() < due {
            return;
        }
        self.partial.reached = segment.length();
        self.partial.flight = self.ask_current(Purpose::Partial, desk);
    }

    fn ask_current(&self, purpose: Purpose, desk: &mut Desk<'_>) -> Option<Awaited> {
        let segment = self.line.hearing.current()?.clone();
        Some(self.ask(segment, purpose, desk))
    }

    fn ask(&self, segment: Segment, purpose: Purpose, desk: &mut Desk<'_>) -> Awaited {
        let awaited = Awaited::of(&segment, next_job(&mut desk.jobs));
        let evicted = desk.queue.submit(Job {
            id: awaited.job,
            stream: self.id,
            purpose,
            samples: Arc::from(segment.samples),
            language: self.voice.attention.language(),
            asked: desk.now,
            cancelled: Arc::clone(&awaited.cancelled),
            fed_again: false,
        });
        desk.evict(evicted);
        awaited
    }

    fn drop_partial(&mut self, desk: &Desk<'_>) {
        if let Some(flight) = self.partial.flight.take() {
            desk.queue.cancel(flight.job, &flight.cancelled);
            desk.counters.ends.dropped.add(1);
        }
    }

    fn partial_answer(&mut self, flight: &Awaited, answer: Answer, desk: &Desk<'_>) {
        let current = self.line.hearing.current().is_some_and(|segment| segment.number == flight.segment);
        match answer {
            Answer::Words(decoded) if current => {
                desk.counters.ends.partials.add(1);
                let stable = agreed(&self.partial.text, &decoded.text);
                self.partial.text.clone_from(&decoded.text);
                self.tell_words(flight, decoded, (stable, Stage::Partial));
            }
            Answer::Words(_) | Answer::Nothing => {}
            Answer::Lost(_) => desk.counters.ends.dropped.add(1),
        }
    }

    /// Tells finals in the order they were spoken, as far as they are known.
    fn tell_finals(&mut self, counters: &Counters) {
        while let Some(mut awaited) = self.awaited.pop_front() {
            let Some(answer) = awaited.answer.take() else {
                self.awaited.push_front(awaited);
                return;
            };
            match answer {
                Answer::Words(decoded) => {
                    counters.ends.finals.add(1);
                    let stable = decoded.text.len();
                    self.tell_words(&awaited, decoded, (stable, Stage::Final));
                }
                Answer::Nothing => {
                    counters.ends.withdrawn.add(1);
                    self.voice.tell(Heard::Withdrawn { segment: awaited.segment });
                }
                Answer::Lost(cause) => {
                    counters.ends.failed.add(u64::from(cause == GapCause::EngineFailed));
                    self.tell_gap((Some(awaited.segment), awaited.start, awaited.end), cause, counters);
                }
            }
        }
    }

    fn tell_words(&self, awaited: &Awaited, decoded: Decoded, (stable, stage): (usize, Stage)) {
        self.voice.tell(Heard::Hypothesis(Hypothesis {
            segment: awaited.segment,
            speaker: self.voice.speaker,
            text: decoded.text,
            stable,
            start: awaited.start,
            end: awaited.end,
            confidence: decoded.confidence,
            stage,
        }));
    }

    fn tell_gap(
        &self,
        (segment, start, end): (Option<u64>, Duration, Duration),
        cause: GapCause,
        counters: &Counters,
    ) {
        counters.ends.gaps.add(1);
        self.voice.tell(Heard::Gap(Gap { segment, start, end, cause }));
    }
}

impl Awaited {
    fn of(segment: &Segment, job: JobId) -> Awaited {
        Awaited {
            job,
            cancelled: Arc::default(),
            segment: segment.number,
            start: segment.start,
            end: segment.end,
            answer: None,
        }
    }
}

/// Bytes of `later`, whole words, that both begin with.
pub(super) fn agreed(earlier: &str, later: &str) -> usize {
    let mut agreed = 0;
    let mut place = 0;
    for (one, other) in earlier.split(' ').zip(later.split(' ')) {
        if one != other || one.is_empty() {
            break;
        }
        agreed = place + other.len();
        place = agreed + 1;
    }
    agreed
}

/// A hole in the timeline over half a second ends an utterance; a smaller one is filled with silence.
pub(super) const JUMP_FRAMES: u128 = 25;
/// 200 ms.
pub(super) const LOST_FRAMES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypotheses_agree_on_whole_words() {
        let cases = [
            ("", "i want", 0),
            ("i want", "i want a human", 6),
            ("i wan", "i want a human", 1),
            ("i want a", "i want a human", 8),
            ("talk to", "walk to", 0),
            ("same words", "same words", 10),
        ];
        for (earlier, later, bytes) in cases {
            assert_eq!(agreed(earlier, later), bytes, "{earlier:?} {later:?}");
        }
    }
}
