//! One voice on the front thread: its frames, its endpointing, the decodes it waits for, and what is told of it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use segue_trigger::{Speaker, Stage};

use super::{
    Gap, GapCause, Heard, StreamId,
    desk::{Answer, Awaited, Desk, Span, Voice},
    later::PutOff,
    queue::{Job, JobId, Purpose},
    ring::{Reader, Ring, Sound},
    stats::Counters,
};
use crate::listen::{Cue, EndKind, Endpointing, FRAME_LENGTH, Hearing, Segment};

/// One voice.
pub(super) struct Ear {
    id: StreamId,
    ring: Arc<Ring>,
    reader: Reader,
    voice: Arc<Voice>,
    line: Line,
    partial: Partial,
    speculation: Option<Awaited>,
    awaited: VecDeque<Awaited>,
    ended: bool,
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
    /// The length at which one that was stopped is asked for again.
    again: Option<Duration>,
    text: String,
}

impl Ear {
    pub(super) fn new(id: StreamId, ring: Arc<Ring>, voice: Voice, rules: Endpointing) -> Ear {
        Ear {
            id,
            ring,
            reader: Reader::default(),
            voice: Arc::new(voice),
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
            if let (Answer::Words(..), true) = (&answer, self.voice.wants_partials()) {
                self.partial_answer(&awaited, answer.clone(), desk);
            }
            awaited.answer = Some(answer);
            self.speculation = Some(awaited);
        } else if let Some(awaited) = self.awaited.iter_mut().find(|awaited| awaited.job == job) {
            awaited.answer = Some(answer);
            self.tell_finals(desk.counters);
        }
    }

    /// A job of its was pushed out of the queue, or given up. What an agent said is kept until there is time.
    pub(super) fn pushed_out(&mut self, job: &Job, desk: &mut Desk<'_>) {
        let keeps = self.voice.speaker == Speaker::Agent && desk.later.takes();
        let mut answer = Answer::Lost(GapCause::Overload);
        if let Some(awaited) = self.awaited.iter().find(|awaited| awaited.job == job.id)
            && keeps
        {
            desk.put_off(PutOff::new((&self.voice, self.id), awaited.said, &job.samples));
            answer = Answer::PutOff;
        }
        self.answer(job.id, answer, desk);
    }

    /// The pool stops: everything that is not known becomes a gap.
    pub(super) fn stop(&mut self, counters: &Counters) {
        for awaited in &mut self.awaited {
            awaited.answer.get_or_insert(Answer::Lost(GapCause::Stopped));
        }
        self.tell_finals(counters);
        if let Cue::Ended(segment, _) = self.line.hearing.flush() {
            self.voice.tell_gap(Span::of(&segment).gap(GapCause::Stopped), counters);
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
            self.tell_hole((from, at), GapCause::AudioLost, counters);
        }
    }

    fn frames_dropped(&mut self, count: u64, until: Option<Duration>, desk: &Desk<'_>) {
        desk.counters.dropped.add(count);
        let from = self.line.due.unwrap_or(desk.moment.now);
        let until = until.unwrap_or(desk.moment.now).max(from);
        self.tell_hole((from, until), GapCause::FramesDropped, desk.counters);
    }

    fn on_cue(&mut self, cue: Cue, desk: &mut Desk<'_>) {
        match cue {
            Cue::Nothing => {}
            Cue::Started => self.started(),
            Cue::Paused => {
                self.drop_partial(desk);
                if desk.moment.rung.hears(self.voice.speaker) {
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
            desk.queue.demote(speculation.job);
            self.partial.flight = Some(speculation);
            if !self.voice.wants_partials() {
                self.drop_partial(desk);
            }
        }
    }

    fn ended(&mut self, segment: Segment, kind: EndKind, desk: &mut Desk<'_>) {
        desk.counters.heard.add(segment.length());
        self.drop_partial(desk);
        // A speculation that was pushed out or failed has a second chance as a final.
        let ready = self.speculation.take().filter(|awaited| {
            awaited.said.segment == segment.number
                && !matches!(awaited.answer, Some(Answer::Lost(_) | Answer::Stopped))
        });
        let awaited = match ready {
            Some(awaited) if kind != EndKind::Cut => {
                desk.counters.ends.promoted.add(1);
                desk.evicted.extend(desk.queue.promote(awaited.job, desk.moment.now));
                awaited
            }
            _ if !desk.moment.rung.hears(self.voice.speaker) => self.not_heard(&segment, desk),
            _ => self.ask(segment, Purpose::Final, desk),
        };
        self.awaited.push_back(awaited);
        self.tell_finals(desk.counters);
    }

    /// A voice that is given up for now: an agent's words are kept until there is time.
    fn not_heard(&self, segment: &Segment, desk: &mut Desk<'_>) -> Awaited {
        let said = Span::of(segment);
        let answer = if self.voice.speaker == Speaker::Agent && desk.later.takes() {
            desk.put_off(PutOff::new((&self.voice, self.id), said, &segment.samples));
            Answer::PutOff
        } else {
            Answer::Lost(GapCause::Overload)
        };
        Awaited { answer: Some(answer), ..Awaited::of(segment, desk.next_job()) }
    }

    fn ask_partial(&mut self, desk: &mut Desk<'_>) {
        if self.speculation.is_some() || !self.voice.wants_partials() {
            return;
        }
        let Some(length) = self.line.hearing.current().map(Segment::length) else { return };
        let Some((first, interval)) = desk.pace(self.voice.attention.wants_partials()) else { return };
        let reached = self.partial.reached;
        let due = if reached.is_zero() { first } else { reached + interval };
        if length < self.partial.again.unwrap_or(due) {
            return;
        }
        if let Some(flight) = &self.partial.flight {
            // One that waits is replaced by one that hears more; one that is being decoded is let be.
            if !desk.queue.withdraw(flight.job) {
                return;
            }
            desk.counters.ends.dropped.add(1);
        }
        self.partial.reached = length;
        self.partial.again = None;
        self.partial.flight = self.ask_current(Purpose::Partial, desk);
    }

    fn ask_current(&self, purpose: Purpose, desk: &mut Desk<'_>) -> Option<Awaited> {
        let segment = self.line.hearing.current()?.clone();
        Some(self.ask(segment, purpose, desk))
    }

    fn ask(&self, segment: Segment, purpose: Purpose, desk: &mut Desk<'_>) -> Awaited {
        let awaited = Awaited::of(&segment, desk.next_job());
        desk.submit(Job {
            id: awaited.job,
            stream: self.id,
            purpose,
            speaker: self.voice.speaker,
            attention: self.voice.attention.clone(),
            samples: Arc::from(segment.samples),
            language: self.voice.attention.language(),
            asked: desk.moment.now,
            cancelled: Arc::clone(&awaited.cancelled),
            fed_again: false,
            tried_elsewhere: false,
        });
        awaited
    }

    fn drop_partial(&mut self, desk: &Desk<'_>) {
        if let Some(flight) = self.partial.flight.take() {
            desk.queue.cancel(flight.job, &flight.cancelled);
            desk.counters.ends.dropped.add(1);
        }
    }

    fn partial_answer(&mut self, flight: &Awaited, answer: Answer, desk: &Desk<'_>) {
        let current = self.line.hearing.current().filter(|segment| segment.number == flight.said.segment);
        match (answer, current.map(Segment::length)) {
            (Answer::Words(decoded, _), Some(_)) => {
                desk.counters.ends.partials.add(1);
                let stable = agreed(&self.partial.text, &decoded.text);
                self.partial.text.clone_from(&decoded.text);
                self.voice.tell_words(flight.said, decoded, (stable, Stage::Partial));
            }
            (Answer::Stopped, length) => {
                desk.counters.ends.stopped.add(1);
                self.partial.again = length.map(|length| length + AGAIN);
            }
            (Answer::Words(..) | Answer::Nothing, _) => {}
            (Answer::Lost(_) | Answer::PutOff, _) => desk.counters.ends.dropped.add(1),
        }
    }

    /// Tells finals in the order they were spoken, as far as they are known.
    fn tell_finals(&mut self, counters: &Counters) {
        while let Some(mut awaited) = self.awaited.pop_front() {
            let Some(answer) = awaited.answer.take() else {
                self.awaited.push_front(awaited);
                return;
            };
            let said = awaited.said;
            match answer {
                Answer::Words(decoded, by) => {
                    counters.ends.finals.add(1);
                    counters.by(by).add(1);
                    let stable = decoded.text.len();
                    self.voice.tell_words(said, decoded, (stable, Stage::Final));
                }
                Answer::Nothing => {
                    counters.ends.withdrawn.add(1);
                    self.voice.tell(Heard::Withdrawn { segment: said.segment });
                }
                Answer::PutOff => {
                    counters.late.put_off.add(1);
                    self.voice.tell(Heard::PutOff {
                        segment: said.segment,
                        start: said.start,
                        end: said.end,
                    });
                }
                // A final gives way to nothing; it took too long.
                Answer::Stopped => self.failed(said, GapCause::EngineFailed, counters),
                Answer::Lost(cause) => self.failed(said, cause, counters),
            }
        }
    }

    fn failed(&self, said: Span, cause: GapCause, counters: &Counters) {
        counters.ends.failed.add(u64::from(cause == GapCause::EngineFailed));
        self.voice.tell_gap(said.gap(cause), counters);
    }

    /// Sound is missing that may have held speech.
    fn tell_hole(&self, (start, end): (Duration, Duration), cause: GapCause, counters: &Counters) {
        self.voice.tell_gap(Gap { segment: None, start, end, cause }, counters);
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
/// A partial that was stopped for something better is asked for again after so much more speech.
const AGAIN: Duration = Duration::from_millis(300);
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
