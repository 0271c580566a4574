//! The jitter buffer of one leg: a ring of encoded samples addressed by RTP timestamp.
//!
//! Packets of any size are laid down where their timestamp says and taken away in frames of 20 ms, so
//! splitting, merging, reordering and duplicates need no code of their own. Everything else follows from one
//! number, the *slack* of a packet: how many samples lie between the next frame due and the packet's start.
//!
//! - slack below 0, newest packet: the network became slower. The frames due meanwhile were concealed; playing
//!   steps back to this packet, so the delay grows, up to the limit. Beyond the limit the packet is late.
//! - smallest slack of the last seconds too big (too small): a frame is dropped (inserted) where it is silent.
//! - slack absurd, or late for long: after a second packet that agrees, playing begins anew there.

use std::time::Duration;

use crate::{
    g711::{FRAME, Frame, Law},
    level,
};

/// How long the buffer may hold sound back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterLimits {
    /// To begin with.
    pub start: Duration,
    /// Never less.
    pub min: Duration,
    /// Never more.
    pub max: Duration,
}

impl Default for JitterLimits {
    fn default() -> Self {
        Self {
            start: Duration::from_millis(40),
            min: Duration::from_millis(20),
            max: Duration::from_millis(200),
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Laid {
    /// It will be played.
    InTime,
    /// Its time is over.
    Late,
    /// It belongs to no known place in time; a second one that agrees begins a new one.
    Astray,
    /// It, or the packet before it, began a new place in time.
    Anew,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing was ever received, or nothing for a while.
    Idle,
    /// As it came.
    Whole,
    /// Some or all of it never came. What is missing is marked in `JitterBuffer::missing`.
    Broken,
    /// Taken up by a telephone event.
    Key,
    /// Inserted to let the buffer fill; silent like its neighbours.
    Inserted,
}

pub(crate) struct JitterBuffer {
    limits: Limits,
    samples: Box<[u8; RING]>,
    present: Box<[bool; RING]>,
    missing: [bool; FRAME],
    place: Option<Place>,
    window: Window,
    before: Option<Window>,
    stray: Option<Stray>,
    late_since: Option<Duration>,
    key: (u64, u64),
    /// Whether nothing sounds: before the first sound, and in a pause of the far side.
    idle: bool,
}

/// Where playing is, in extended timestamps.
#[derive(Clone, Copy)]
struct Place {
    /// The first sample of the next frame.
    due: u64,
    /// One past the newest sample.
    end: u64,
}

/// A packet that fits nowhere.
struct Stray {
    sequence: u16,
    timestamp: u32,
}

/// A packet's sound and what is known of it.
pub(crate) struct Packet<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) bytes: &'a [u8],
}

/// The limits in samples of slack. A packet with slack 0 leaves on the next tick, within 20 ms.
struct Limits {
    start: u64,
    min: i64,
    max: i64,
}

/// The slack of the packets of the last two seconds.
struct Window {
    packets: u32,
    least: i64,
    most: i64,
}

/// 512 ms. A power of two, so a timestamp's place is a mask away.
const RING: usize = 4096;
/// Packets further from their time than this are astray.
const FAR: i64 = 3000;
const WINDOW_PACKETS: u32 = 100;
/// Nothing received for this many samples beyond the newest: the far side pauses.
const PAUSE: u64 = 1600;
/// So much too long a delay is worth a cut in the middle of sound.
const FORCE: i64 = 640;
const LATE_MAX: Duration = Duration::from_millis(400);
const STEP: i64 = FRAME as i64;
/// Below −50 dBov a frame can be dropped or doubled and nobody hears it.
const DROPPABLE: u64 = level::SILENCE_POWER * 3;

impl JitterBuffer {
    pub(crate) fn new(limits: JitterLimits) -> Self {
        Self {
            limits: Limits::new(limits),
            samples: Box::new([0; RING]),
            present: Box::new([false; RING]),
            missing: [false; FRAME],
            place: None,
            window: Window::EMPTY,
            before: None,
            stray: None,
            late_since: None,
            key: (0, 0),
            idle: true,
        }
    }

    /// Forgets where playing was: another source speaks from here on.
    pub(crate) fn restart(&mut self) {
        self.place = None;
        self.stray = None;
        self.late_since = None;
        self.present.fill(false);
        self.key = (0, 0);
        self.forget_windows();
    }

    /// Which samples of the last `Broken` frame never came.
    pub(crate) const fn missing(&self) -> &[bool; FRAME] {
        &self.missing
    }

    /// How long a packet that comes now and in order is held back.
    pub(crate) fn delay(&self) -> Duration {
        let least = self.window.least.min(self.before.as_ref().map_or(i64::MAX, |window| window.least));
        let slack = if least == i64::MAX { self.limits.start as i64 } else { least.max(0) };
        Duration::from_micros((slack as u64 + FRAME as u64) * 125)
    }

    pub(crate) fn lay(&mut self, now: Duration, packet: &Packet<'_>) -> Laid {
        let Some(place) = self.place else {
            self.anchor(packet);
            return Laid::Anew;
        };
        let start = place.extend(packet.timestamp);
        let slack = start.cast_signed().wrapping_sub(place.due.cast_signed());
        if slack.abs() > FAR {
            return self.stray(packet);
        }
        self.stray = None;
        let newest = start >= place.end;
        if slack < 0 && newest && !self.step_back(place, slack) {
            return self.late(now, packet);
        }
        if slack < 0 && !newest && slack + packet.bytes.len() as i64 <= 0 {
            return Laid::Late;
        }
        self.late_since = None;
        self.window.add(slack.max(0));
        self.write(start, packet.bytes);
        Laid::InTime
    }

    /// A telephone event is in this part of time; what sounds there is not for the peer.
    pub(crate) fn key(&mut self, timestamp: u32, samples: u32) {
        if let Some(place) = &mut self.place {
            let start = place.extend(timestamp);
            let end = start.saturating_add(u64::from(samples));
            if start.abs_diff(place.due) < RING as u64 * 4 {
                self.key = if self.key.0 == start { (start, end.max(self.key.1)) } else { (start, end) };
                // Stepping forward keeps a pause of the audio during the event from looking like loss.
                place.end = place.end.max(end.min(place.due + FAR.cast_unsigned()));
            }
        }
    }

    /// The event that began there is over.
    pub(crate) fn key_ended(&mut self, timestamp: u32, samples: u32) {
        if let Some(place) = self.place {
            let start = place.extend(timestamp);
            if self.key.0 == start {
                self.key.1 = start.saturating_add(u64::from(samples));
            }
        }
    }

    /// Takes the frame that is due. What is missing of it is left as `codec`'s silence.
    pub(crate) fn take(&mut self, codec: Law, frame: &mut Frame) -> Taken {
        match self.correction() {
            Correction::None => {}
            Correction::Insert if self.is_droppable(codec) => {
                self.forget_windows();
                frame.fill(codec.silence());
                return Taken::Inserted;
            }
            Correction::Drop { force } if force || self.is_droppable(codec) => {
                self.forget_windows();
                self.read(codec, frame);
            }
            Correction::Insert | Correction::Drop { .. } => {}
        }
        self.read(codec, frame)
    }

    fn read(&mut self, codec: Law, frame: &mut Frame) -> Taken {
        frame.fill(codec.silence());
        let Some(place) = &mut self.place else { return Taken::Idle };
        let due = place.due;
        place.due += FRAME as u64;
        let in_key = due < self.key.1 && due + FRAME as u64 > self.key.0;
        let paused = due >= place.end + PAUSE;
        let mut found = 0;
        for (at, length) in stretches(due, FRAME) {
            let target = at.0..at.0 + length;
            let ring = at.1..at.1 + length;
            if let (Some(out), Some(gone), Some(samples), Some(present)) = (
                frame.get_mut(target.clone()),
                self.missing.get_mut(target),
                self.samples.get(ring.clone()),
                self.present.get_mut(ring),
            ) {
                found += lift(out, gone, samples, present);
            }
        }
        self.idle = found == 0 && (self.idle || paused);
        match found {
            _ if in_key => {
                frame.fill(codec.silence());
                Taken::Key
            }
            FRAME => Taken::Whole,
            0 if self.idle => Taken::Idle,
            _ => Taken::Broken,
        }
    }

    fn write(&mut self, start: u64, bytes: &[u8]) {
        let Some(place) = &mut self.place else { return };
        let skipped = place.due.saturating_sub(start).min(bytes.len() as u64);
        let start = start + skipped;
        let bytes = bytes.get(skipped as usize..).unwrap_or(&[]);
        place.end = place.end.max(start + bytes.len() as u64);
        for (at, length) in stretches(start, bytes.len()) {
            let ring = at.1..at.1 + length;
            if let (Some(from), Some(samples), Some(present)) = (
                bytes.get(at.0..at.0 + length),
                self.samples.get_mut(ring.clone()),
                self.present.get_mut(ring),
            ) {
                samples.copy_from_slice(from);
                present.fill(true);
            }
        }
    }

    fn anchor(&mut self, packet: &Packet<'_>) {
        self.restart();
        let start = (1 << 33) + u64::from(packet.timestamp);
        self.place = Some(Place { due: start - self.limits.start, end: start });
        self.write(start, packet.bytes);
    }

    fn stray(&mut self, packet: &Packet<'_>) -> Laid {
        let agrees = self.stray.as_ref().is_some_and(|stray| {
            let ahead = packet.timestamp.wrapping_sub(stray.timestamp);
            packet.sequence == stray.sequence.wrapping_add(1) && (1..=960).contains(&ahead)
        });
        if agrees {
            self.anchor(packet);
            return Laid::Anew;
        }
        self.stray = Some(Stray { sequence: packet.sequence, timestamp: packet.timestamp });
        Laid::Astray
    }

    fn late(&mut self, now: Duration, packet: &Packet<'_>) -> Laid {
        let since = *self.late_since.get_or_insert(now);
        if now.saturating_sub(since) < LATE_MAX {
            return Laid::Late;
        }
        self.anchor(packet);
        Laid::Anew
    }

    /// Plays again from the packet with this (negative) slack, if that keeps the delay within its limit.
    fn step_back(&mut self, place: Place, slack: i64) -> bool {
        let most = self.window.most.max(self.before.as_ref().map_or(0, |window| window.most)).max(0);
        if most - slack > self.limits.max {
            return false;
        }
        self.place = Some(Place { due: place.due.saturating_add_signed(slack), end: place.end });
        self.forget_windows();
        self.window.add(most - slack);
        true
    }

    fn correction(&mut self) -> Correction {
        if self.window.packets >= WINDOW_PACKETS {
            self.before = Some(std::mem::replace(&mut self.window, Window::EMPTY));
        }
        let Some(before) = &self.before else { return Correction::None };
        let least = before.least.min(self.window.least);
        if least < self.limits.min {
            Correction::Insert
        } else if least > self.limits.min + STEP {
            Correction::Drop { force: least > self.limits.min + STEP + FORCE }
        } else {
            Correction::None
        }
    }

    /// Whether the frame due is all there and silent.
    fn is_droppable(&self, codec: Law) -> bool {
        let Some(place) = self.place else { return false };
        let mut power = 0;
        for (at, length) in stretches(place.due, FRAME) {
            let ring = at.1..at.1 + length;
            let (Some(samples), Some(present)) = (self.samples.get(ring.clone()), self.present.get(ring))
            else {
                return false;
            };
            if present.contains(&false) {
                return false;
            }
            power += codec.power(samples) * length as u64;
        }
        power / (FRAME as u64) < DROPPABLE
    }

    fn forget_windows(&mut self) {
        self.window = Window::EMPTY;
        self.before = None;
    }
}

enum Correction {
    None,
    Insert,
    Drop { force: bool },
}

impl Place {
    /// The extended timestamp nearest to where playing is.
    fn extend(self, timestamp: u32) -> u64 {
        let ahead = timestamp.wrapping_sub(self.due as u32).cast_signed();
        self.due.saturating_add_signed(i64::from(ahead))
    }
}

impl Limits {
    fn new(limits: JitterLimits) -> Self {
        let slack = |delay: Duration| (delay.as_millis() as u64 * 8).saturating_sub(FRAME as u64).min(2400);
        let min = slack(limits.min).cast_signed() + STEP / 2;
        let max = slack(limits.max.max(limits.start)).cast_signed();
        Self { start: slack(limits.start.max(limits.min)), min, max }
    }
}

impl Window {
    const EMPTY: Self = Self { packets: 0, least: i64::MAX, most: i64::MIN };

    fn add(&mut self, slack: i64) {
        self.packets += 1;
        self.least = self.least.min(slack);
        self.most = self.most.max(slack);
    }
}

/// Moves samples that are there from the ring to a frame, and marks those that are not; gives how many were.
fn lift(frame: &mut [u8], missing: &mut [bool], ring: &[u8], present: &mut [bool]) -> usize {
    // Folded without a way out, so that it is a few vector instructions for the usual case.
    if present.iter().fold(true, |all, present| all & present) {
        frame.copy_from_slice(ring);
        missing.fill(false);
        present.fill(false);
        return frame.len();
    }
    let mut found = 0;
    for (((out, missing), sample), present) in frame.iter_mut().zip(missing).zip(ring).zip(present) {
        *missing = !*present;
        if std::mem::take(present) {
            *out = *sample;
            found += 1;
        }
    }
    found
}

/// A stretch of time as at most two stretches of the ring: (offset from the start, place in the ring), length.
fn stretches(start: u64, length: usize) -> [((usize, usize), usize); 2] {
    let length = length.min(RING);
    let place = (start % RING as u64) as usize;
    let first = length.min(RING - place);
    [((0, place), first), ((first, 0), length - first)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A packet of 20 ms every 20 ms from number `from` on, a frame taken after each; what became of them.
    fn run(buffer: &mut JitterBuffer, numbers: std::ops::Range<u32>, frames: u32) -> Vec<Laid> {
        let mut frame = [0; FRAME];
        for _ in 0..frames {
            buffer.take(Law::Pcmu, &mut frame);
        }
        let each = numbers.map(|n| {
            let packet = Packet { sequence: n as u16, timestamp: n * 160, bytes: &[0x20; FRAME] };
            let laid = buffer.lay(MS * (20 * n), &packet);
            buffer.take(Law::Pcmu, &mut frame);
            laid
        });
        each.collect()
    }

    #[test]
    fn a_step_within_the_limit_is_taken_at_once_and_one_beyond_it_after_400_ms() {
        let mut buffer = JitterBuffer::new(JitterLimits::default());
        assert_eq!(run(&mut buffer, 0..50, 0)[1..], [Laid::InTime; 49]);
        // 160 ms more delay: 180 to 200 ms in all.
        assert_eq!(run(&mut buffer, 50..100, 8), [Laid::InTime; 50]);
        // 100 ms more would be too much.
        let laid = run(&mut buffer, 100..150, 5 + 3);
        assert_eq!(laid[..20], [Laid::Late; 20]);
        assert_eq!((laid[20], &laid[21..]), (Laid::Anew, &[Laid::InTime; 29][..]));
        assert!(buffer.delay() <= MS * 40);
    }

    #[test]
    fn the_delay_at_the_start_is_the_one_that_was_asked_for() {
        for (start, silent) in [(20, 0), (40, 1), (60, 2), (200, 9)] {
            let limits = JitterLimits { start: MS * start, ..JitterLimits::default() };
            let mut buffer = JitterBuffer::new(limits);
            let packet = Packet { sequence: 0, timestamp: 0, bytes: &[0x20; FRAME] };
            assert_eq!(buffer.lay(MS, &packet), Laid::Anew);
            let mut frame = [0; FRAME];
            let waited = (0..20).take_while(|_| buffer.take(Law::Pcmu, &mut frame) == Taken::Idle).count();
            assert_eq!(waited, silent, "{start} ms");
        }
    }
}
