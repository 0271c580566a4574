//! One voice that an engine hears frame by frame: a thread that takes its frames out of the ring, fills small
//! holes, and tells what its listener tells, as lines.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use segue_trigger::Stage;

use super::{
    Gap, GapCause, Heard, SpeechConfig, SpeechError, Stop, StreamEngine, StreamId, StreamOptions,
    ear::{JUMP_FRAMES, LOST_FRAMES},
    lines::Lines,
    ring::{Reader, Ring, Sound},
    stats::Counters,
    stream::{Listener, Told, Wish},
    words::Sink,
};
use crate::{ffi::lower_priority, listen::FRAME_LENGTH};

/// All voices and their threads. There are no more than `SpeechConfig::streams_max`.
pub(super) struct Voices {
    engine: Arc<dyn StreamEngine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Voices {
    pub(super) fn new(engine: Arc<dyn StreamEngine>) -> Voices {
        Voices { engine, threads: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        self.engine.name()
    }

    /// Begins to listen to a voice that is counted already.
    pub(super) fn open(
        &self,
        (id, ring): (StreamId, Arc<Ring>),
        options: StreamOptions,
        (config, counters): (&SpeechConfig, &Arc<Counters>),
        stopping: &Arc<AtomicBool>,
    ) -> Result<(), SpeechError> {
        let counted = Counted(Arc::clone(counters));
        let stop = Stop { pool: Arc::clone(stopping), ..Stop::at(Duration::MAX, Arc::clone(&config.clock)) };
        let wish = Wish {
            language: options.language.map(Arc::from),
            partials: options.partials,
            pause: config.endpointing.hard_end,
            stop: stop.clone(),
        };
        let voice = Voice {
            listener: self.engine.listener(wish)?,
            ring,
            reader: Reader::default(),
            lines: Lines::new(options.speaker, options.partials, config.endpointing.longest),
            line: Line::default(),
            sink: options.sink,
            counted,
            stop,
        };
        let niceness = config.niceness / 2;
        let life = move || {
            lower_priority(niceness);
            voice.run();
        };
        let thread =
            Builder::new().name(format!("segue-hear-{}", id.0)).spawn(life).map_err(SpeechError::Thread)?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, going) = threads.drain(..).partition(JoinHandle::is_finished);
        *threads = going;
        threads.push(thread);
        drop(threads);
        join(over);
        Ok(())
    }

    /// Waits for every thread; they have been told to stop.
    pub(super) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        join(threads);
    }
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let name = thread.thread().name().unwrap_or("segue-hear").to_owned();
        if thread.join().is_err() {
            tracing::error!(thread = name, "a speech thread panicked");
        }
    }
}

/// One place among the streams, given back when its thread ends, in whatever way.
struct Counted(Arc<Counters>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One voice on its thread.
struct Voice {
    listener: Box<dyn Listener>,
    ring: Arc<Ring>,
    reader: Reader,
    lines: Lines,
    line: Line,
    sink: Sink,
    counted: Counted,
    stop: Stop,
}

/// Its frames, one every 20 ms.
#[derive(Default)]
struct Line {
    due: Option<Duration>,
    lost: Option<(Duration, usize)>,
}

impl Voice {
    fn run(mut self) {
        let mut news = Vec::new();
        loop {
            // Asked before reading: what was written before the close is then seen.
            let closed = self.ring.closed();
            self.hear();
            if closed {
                break;
            }
            if self.stop.asked() {
                self.listener.end();
                self.work(&mut news);
                return self.finish(Some(GapCause::Stopped));
            }
            self.work(&mut news);
        }
        self.listener.end();
        let deadline = self.now() + END_MAX;
        while !self.listener.over() && self.now() < deadline && !self.stop.asked() {
            self.work(&mut news);
        }
        let cause = (!self.listener.over()).then_some(GapCause::EngineFailed);
        self.finish(cause);
    }

    fn now(&self) -> Duration {
        (self.stop.clock)()
    }

    fn hear(&mut self) {
        loop {
            let (dropped, frame) = self.reader.read(&self.ring);
            if dropped > 0 {
                self.counted.0.dropped.add(dropped);
                let start = self.line.due.unwrap_or_else(|| self.now());
                let end = frame.as_ref().map_or_else(|| self.now(), |(at, _)| *at).max(start);
                let gap = Gap { segment: None, start, end, cause: GapCause::FramesDropped };
                self.tell(vec![Heard::Gap(gap)]);
            }
            let Some((at, sound)) = frame else { return };
            self.counted.0.taken.add(1);
            self.frame(at, &sound);
        }
    }

    fn frame(&mut self, at: Duration, sound: &Sound) {
        self.lines.begin(at);
        let due = self.line.due.unwrap_or(at);
        let missing = at.saturating_sub(due).as_millis() / FRAME_LENGTH.as_millis();
        if missing <= JUMP_FRAMES {
            for place in 0..missing {
                let place = u32::try_from(place).unwrap_or(0);
                self.one_frame(due + FRAME_LENGTH * place, &Sound::Lost);
            }
        }
        self.one_frame(at.max(due), sound);
    }

    fn one_frame(&mut self, at: Duration, sound: &Sound) {
        self.line.due = Some(at + FRAME_LENGTH);
        if *sound == Sound::Lost {
            self.counted.0.lost.add(1);
            let (_, count) = self.line.lost.get_or_insert((at, 0));
            *count += 1;
        } else if let Some((from, count)) = self.line.lost.take()
            && count >= LOST_FRAMES
            && self.lines.is_open()
        {
            self.tell(vec![Heard::Gap(Gap {
                segment: None,
                start: from,
                end: at,
                cause: GapCause::AudioLost,
            })]);
        }
        self.listener.hear(at, sound.frame());
    }

    fn work(&mut self, news: &mut Vec<Told>) {
        self.listener.work(self.now(), WAIT, news);
        for told in news.drain(..) {
            let heard = self.lines.on(told);
            self.tell(heard);
        }
    }

    fn finish(&mut self, cause: Option<GapCause>) {
        if let Some(until) = self.line.due {
            let heard = self.lines.finish(until, cause);
            self.tell(heard);
        }
    }

    /// A sink that panics harms its own call and no other.
    fn tell(&self, news: Vec<Heard>) {
        let counters = &self.counted.0;
        for heard in news {
            match &heard {
                Heard::Started { .. } | Heard::PutOff { .. } => {}
                Heard::Hypothesis(words) if words.stage == Stage::Partial => counters.ends.partials.add(1),
                Heard::Hypothesis(words) => {
                    counters.ends.finals.add(1);
                    counters.heard.add(words.end.saturating_sub(words.start));
                }
                Heard::Withdrawn { .. } => counters.ends.withdrawn.add(1),
                Heard::Gap(gap) => {
                    counters.ends.gaps.add(1);
                    counters.ends.failed.add(u64::from(gap.cause == GapCause::EngineFailed));
                }
            }
            if catch_unwind(AssertUnwindSafe(|| (self.sink)(heard))).is_err() {
                tracing::error!("the taker of a transcript panicked");
            }
        }
    }
}

/// Two frames: what comes meanwhile goes to the engine together.
const WAIT: Duration = Duration::from_millis(40);
/// How long the last words are waited for once a voice has ended.
const END_MAX: Duration = Duration::from_secs(1);
