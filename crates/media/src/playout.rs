//! From packets that come when they like to 20 ms of sound a tick.
//!
//! ```text
//!  packets ─► Packets ─► decode ─► Concealment ─► sound that is ready ─► a frame
//!     │       (order)              (gaps, joints)     ▲
//!     └─► Arrivals: how late? ─► longer or shorter ───┘ by a pitch period (`stretch.rs`)
//! ```
//! `due` is the first tick of the RTP clock that was not decoded. Where nothing is there to decode, sound is made
//! up: first of all concealment, in a pause comfort noise or silence; `made_up` counts it. A packet that comes
//! then is played at once: what was made up beyond its beginning has become delay. So a network that is slower
//! for good costs one concealment and nothing else. The delay comes back, and clocks that drift are followed, by
//! single pitch periods or by a few samples of silence.
//!
//! The delay wanted is the lateness that few packets exceed, and 20 ms more where packets are lost: with the
//! packet after it at hand a loss is concealed from both sides.

use std::time::Duration;

use crate::{
    comfort::ComfortNoise,
    conceal::Concealment,
    delay::Arrivals,
    jitter::{JitterLimits, Packet, Packets, Waiting},
    stretch,
};

/// Turns packets into sound.
pub(crate) trait Decode {
    /// Appends what a packet says, in the voice's rate.
    fn decode(&mut self, tag: u8, bytes: &[u8], sound: &mut Vec<i16>);

    /// Fills a hole from what the packet after it repeats of it; false if nothing can be had.
    fn recover(&mut self, _tag: u8, _next: &[u8], _hole: &mut [i16]) -> bool {
        false
    }
}

/// The clock of the timestamps and the samples of the sound, each in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) clock: u32,
    pub(crate) rate: u32,
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
    /// It began a new place in time.
    Anew,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing was ever received, or nothing for a while.
    Idle,
    /// As it came.
    Whole,
    /// Some or all of it was made up for what never came.
    Broken,
    /// Taken up by a telephone event.
    Key,
    /// The far side pauses, and this is the noise that it described.
    Resting,
}

/// The playing of one voice.
#[derive(Debug)]
pub(crate) struct Playout {
    pace: Pace,
    limits: Limits,
    packets: Packets,
    arrivals: Arrivals,
    concealment: Concealment,
    noise: ComfortNoise,
    /// Decoded sound; up to `head` it was given out.
    sound: Vec<i16>,
    head: usize,
    place: Option<Place>,
    scale: Scale,
    /// When the last frame was taken.
    taken: Option<i64>,
    stray: Option<Stray>,
    late_since: Option<i64>,
    key: (u64, u64),
}

/// Where playing is, in extended timestamps.
#[derive(Clone, Copy, Debug)]
struct Place {
    due: u64,
    made_up: u64,
    /// The sequence number that follows what was decoded, and the one that follows the newest packet.
    next: u16,
    newest: u16,
    /// One past the newest packet's last tick.
    end: u64,
    /// The far side described its noise and said nothing since.
    resting: bool,
}

/// How the delay is kept.
#[derive(Clone, Copy, Debug, Default)]
struct Scale {
    /// Ticks since the last correction, and since one is wanted.
    rested: u32,
    wanted: u32,
    /// The share of frames lost lately.
    loss: f32,
    /// Whether that is enough to hold one packet more.
    lossy: bool,
    /// The delay at present, in microseconds.
    delay: i64,
}

/// A packet that fits nowhere.
#[derive(Debug)]
struct Stray {
    sequence: u16,
    timestamp: u32,
}

/// In microseconds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    start: i64,
    min: i64,
    max: i64,
}

/// What the samples of a frame were made of.
#[derive(Clone, Copy, Default)]
struct Made {
    lost: bool,
    idle: usize,
}

const MS: i64 = 1_000;
const FRAME_TIME: i64 = 20 * MS;
/// Packets further from their time than this are astray.
const FAR: i64 = 375 * MS;
/// Packets may be so much later than the target without harm.
const MARGIN: i64 = 5 * MS;
/// A delay is so much longer than it has to be before it is shortened.
const EXCESS: i64 = 20 * MS;
/// So much excess is worth a correction in every frame, of sound that is less alike.
const HASTE: i64 = 60 * MS;
/// Frames before and between two corrections that make the delay shorter where nothing presses, and longer.
const UNHURRIED: u32 = 25;
const SOON: u32 = 5;
/// Where nothing presses, periods are looked for in one of so many frames: looking costs more than playing.
const LOOK_EVERY: u32 = 4;
/// A source that is late for so long has a new place in time.
const LATE_MAX: i64 = 400 * MS;
/// 15 ms of what was given out are kept for putting a period in.
const KEPT: usize = 120;
/// A packet more is held where more than one in a hundred is lost, until it is one in 400.
const LOSSY: (f32, f32) = (0.01, 0.0025);

impl Playout {
    pub(crate) fn new(pace: Pace, limits: JitterLimits, seed: u64) -> Self {
        Self {
            pace,
            limits: Limits::new(limits),
            packets: Packets::default(),
            arrivals: Arrivals::EMPTY,
            concealment: Concealment::new(pace.rate),
            noise: ComfortNoise::new(seed),
            sound: Vec::new(),
            head: 0,
            place: None,
            scale: Scale::default(),
            taken: None,
            stray: None,
            late_since: None,
            key: (0, 0),
        }
    }

    /// Another source speaks from here on.
    pub(crate) fn restart(&mut self) {
        self.reset();
        self.concealment.forget();
    }

    /// Forgets where playing was.
    fn reset(&mut self) {
        self.packets.clear();
        self.arrivals.restart();
        self.place = None;
        self.stray = None;
        self.late_since = None;
        self.key = (0, 0);
    }

    /// How long the sound of the fastest packets is held back.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_micros(self.scale.delay.max(0).cast_unsigned())
    }

    /// Takes in a packet of sound.
    pub(crate) fn lay(&mut self, now: Duration, packet: &Packet<'_>) -> Laid {
        let now = micros(now);
        let Some(place) = self.place else {
            return self.anchor(now, packet);
        };
        let start = place.extend(packet.timestamp);
        let ahead = self.time(start.cast_signed() - place.played().cast_signed());
        let follows = packet.sequence == place.newest;
        if ahead.abs() > FAR {
            return self.stray(now, packet, follows);
        }
        if start + u64::from(packet.ticks) <= place.due {
            return Laid::Late;
        }
        let transit = now - self.time(start.cast_signed());
        let lateness = self.arrivals.arrived(now, transit);
        let next_take = self.taken.map_or(now, |taken| taken + FRAME_TIME);
        let delay = next_take + self.ready_time() + ahead.max(0) - now + lateness;
        if delay > self.limits.max && start >= place.end {
            return if ahead < 0 { self.late(now, packet) } else { self.stray(now, packet, follows) };
        }
        (self.stray, self.late_since) = (None, None);
        self.write(start, packet);
        Laid::InTime
    }

    /// The far side pauses and describes its noise (RFC 3389).
    pub(crate) fn rest(&mut self, now: Duration, sequence: u16, timestamp: u32, payload: &[u8]) {
        let bytes = payload.get(..payload.len().min(16)).unwrap_or(payload);
        let packet = Packet { sequence, timestamp, ticks: 0, tag: 0, bytes };
        let Some(place) = self.place else {
            self.anchor(micros(now), &packet);
            return;
        };
        let start = place.extend(timestamp);
        if self.time(start.cast_signed() - place.played().cast_signed()).abs() <= FAR {
            self.write(start.max(place.due), &packet);
        }
    }

    /// A telephone event is in this part of time; what sounds there is not for the peer. The last packet of an
    /// event says where it `ended`.
    pub(crate) fn key(&mut self, timestamp: u32, ticks: u32, ended: bool) {
        let Some(place) = self.place else { return };
        let start = place.extend(timestamp);
        if self.time(start.cast_signed() - place.played().cast_signed()).abs() > 4 * FAR {
            return;
        }
        let end = start.saturating_add(u64::from(ticks));
        let known = if self.key.0 == start && !ended { self.key.1 } else { 0 };
        self.key = (start, end.max(known));
    }

    /// Takes the frame that is due; `out` is 20 ms long.
    pub(crate) fn take(&mut self, now: Duration, decoder: &mut impl Decode, out: &mut [i16]) -> Taken {
        out.fill(0);
        let now = micros(now);
        self.taken = Some(now);
        let Some(first) = self.position() else { return Taken::Idle };
        let mut made = Made::default();
        while self.ready() < out.len() {
            let missing = out.len() - self.ready();
            self.supply(decoder, missing, &mut made);
        }
        self.note_loss(made.lost);
        self.correct(now, decoder, out.len());
        if let Some(sound) = self.sound.get(self.head..self.head + out.len()) {
            out.copy_from_slice(sound);
        }
        self.head += out.len();
        self.compact();
        if first < self.key.1 && first + self.ticks(out.len()) > self.key.0 {
            out.fill(0);
            return Taken::Key;
        }
        match made {
            Made { lost: true, .. } => Taken::Broken,
            Made { idle, .. } if idle < out.len() => Taken::Whole,
            Made { .. } if self.place.is_some_and(|place| place.resting) => Taken::Resting,
            Made { .. } => Taken::Idle,
        }
    }

    /// Whether the sound made up has died away.
    pub(crate) const fn is_faded(&self) -> bool {
        self.concealment.is_faded()
    }

    /// Makes some sound ready, at most about `missing` samples where it has to be made up.
    fn supply(&mut self, decoder: &mut impl Decode, missing: usize, made: &mut Made) {
        let Some(place) = self.place else { return };
        let Some(first) = self.packets.first() else {
            let known = place.resting || self.is_key(place.played());
            return self.make_up(missing, known, made);
        };
        let gap = first.start.saturating_sub(place.played());
        if gap == 0 {
            return self.play(decoder, 0);
        }
        // Nothing is missing where the sequence goes on: the far side paused.
        let known =
            place.resting || first.ticks == 0 || first.sequence == place.next || self.is_key(place.played());
        let gap = self.samples(gap);
        let frame = self.pace.rate as usize / 50;
        if known || gap > frame {
            let most = if known { gap } else { gap - frame };
            return self.make_up(missing.min(most.max(1)), known, made);
        }
        made.lost |= !self.concealment.is_faded();
        self.play(decoder, gap);
    }

    /// Decodes the first packet, after `gap` samples that are concealed.
    fn play(&mut self, decoder: &mut impl Decode, gap: usize) {
        let (Some(place), Some(packet)) = (&mut self.place, self.packets.take()) else { return };
        let at = self.sound.len();
        place.next = packet.sequence.wrapping_add(1);
        let skipped = place.due.saturating_sub(packet.start);
        place.due = place.due.max(packet.end());
        place.made_up = 0;
        let rested = std::mem::replace(&mut place.resting, packet.ticks == 0);
        if packet.ticks == 0 {
            self.noise.describe(&packet.bytes);
            if !rested {
                self.noise.begin();
            }
        } else {
            self.sound.resize(at + gap, 0);
            let hole = self.sound.get_mut(at..).unwrap_or_default();
            let gap = if gap > 0 && decoder.recover(packet.tag, &packet.bytes, hole) { 0 } else { gap };
            let at = self.sound.len() - gap;
            decoder.decode(packet.tag, &packet.bytes, &mut self.sound);
            self.fit(&packet, at + gap, skipped);
            self.smooth(at, gap);
        }
        self.packets.recycle(packet);
    }

    /// Gives the decoded packet that begins at `at` the length that its ticks say, less what was played.
    fn fit(&mut self, packet: &Waiting, at: usize, skipped: u64) {
        let length = self.samples(u64::from(packet.ticks));
        self.sound.resize(at + length, 0);
        let skipped = self.samples(skipped).min(length);
        self.sound.drain(at..at + skipped);
    }

    /// Joins the sound from `at` on, whose first `gap` samples are to be made up, to what is before it.
    fn smooth(&mut self, at: usize, gap: usize) {
        let Some(fresh) = self.sound.get_mut(at..) else { return };
        if let Some((hole, next)) = fresh.split_at_mut_checked(gap)
            && !hole.is_empty()
        {
            self.concealment.join(hole, next);
            self.concealment.whole(next);
        } else {
            self.concealment.whole(fresh);
        }
    }

    /// Makes up sound: concealment, or what is heard in a pause that is known to be one.
    fn make_up(&mut self, length: usize, known: bool, made: &mut Made) {
        let at = self.sound.len();
        self.sound.resize(at + length, 0);
        let ticks = self.ticks(length);
        let Some(fresh) = self.sound.get_mut(at..) else { return };
        let Some(place) = &mut self.place else { return };
        place.made_up += ticks;
        if place.resting {
            self.noise.fill(fresh);
            made.idle += length;
        } else if self.concealment.is_faded() {
            made.idle += length;
        } else {
            self.concealment.fill(fresh);
            made.lost |= !known;
        }
    }

    /// Makes the ready sound shorter or longer by a period where the delay is not what it should be.
    fn correct(&mut self, now: i64, decoder: &mut impl Decode, frame: usize) {
        let Some(place) = self.place.filter(|place| place.made_up == 0) else { return };
        let Some(base) = self.arrivals.base() else { return };
        let due = self.time(place.due.cast_signed()) + base;
        // A packet is needed when the frame that it begins in is taken.
        let needed = |ready: usize| now + FRAME_TIME * (ready / frame.max(1)) as i64 - due;
        let lossy = if self.scale.lossy { FRAME_TIME } else { 0 };
        let wanted = (self.arrivals.target() + MARGIN).max(self.limits.min) + lossy;
        let ready = self.ready();
        self.scale.delay = now + self.ready_time() - due;
        self.scale.rested = self.scale.rested.saturating_add(1);
        let slack = needed(ready) - wanted;
        let unit = self.pace.rate as usize / 8000;
        let most = KEPT * unit;
        if slack > EXCESS {
            let more = self.ready() < frame + most;
            if more && self.packets.first().is_some_and(|first| first.start == place.due) {
                self.play(decoder, 0);
            }
            self.shorten(frame, slack, unit);
        } else if slack < -MARGIN / 2 {
            self.lengthen(slack, unit);
        } else {
            self.scale.wanted = 0;
        }
    }

    fn shorten(&mut self, frame: usize, slack: i64, unit: usize) {
        let Some(least) = self.patience(slack, UNHURRIED) else { return };
        let Some(fold) = stretch::best_fold(&self.sound, self.head, false, unit) else { return };
        let ready = self.ready();
        let after = ready.saturating_sub(fold.length);
        let lost = FRAME_TIME * (ready / frame).saturating_sub(after / frame) as i64;
        if fold.alike >= least && after >= frame && slack - lost >= MARGIN / 2 {
            stretch::shorten(&mut self.sound, self.head, fold.length);
            (self.scale.rested, self.scale.wanted) = (0, 0);
        }
    }

    fn lengthen(&mut self, slack: i64, unit: usize) {
        let Some(least) = self.patience(slack, SOON) else { return };
        let Some(fold) = stretch::best_fold(&self.sound, self.head, true, unit) else { return };
        if fold.alike >= least {
            stretch::lengthen(&mut self.sound, self.head, fold.length);
            (self.scale.rested, self.scale.wanted) = (0, 0);
        }
    }

    /// How much alike two periods have to be for a correction now: less and less with time.
    fn patience(&mut self, slack: i64, pause: u32) -> Option<f32> {
        self.scale.wanted = self.scale.wanted.saturating_add(1);
        let haste = slack.abs() > HASTE;
        if self.scale.rested.min(self.scale.wanted) < pause && !haste {
            return None;
        }
        if haste {
            return Some(0.4);
        }
        let waited = self.scale.wanted - pause.min(self.scale.wanted);
        waited.is_multiple_of(LOOK_EVERY).then(|| 0.92 - 0.5 * waited.min(200) as f32 / 200.0)
    }

    fn note_loss(&mut self, lost: bool) {
        let scale = &mut self.scale;
        scale.loss += (f32::from(u8::from(lost)) - scale.loss) / 250.0;
        scale.lossy = scale.loss > if scale.lossy { LOSSY.1 } else { LOSSY.0 };
    }

    fn anchor(&mut self, now: i64, packet: &Packet<'_>) -> Laid {
        self.reset();
        let start = (1 << 33) + u64::from(packet.timestamp);
        // Playing begins with the frame in which the packet has waited for its time.
        let wait = (self.limits.start - FRAME_TIME - self.ready_time()).max(0);
        let due = start - wait.cast_unsigned() * u64::from(self.pace.clock) / 1_000_000;
        let (next, newest) = (packet.sequence, packet.sequence);
        self.place = Some(Place { due, made_up: 0, next, newest, end: start, resting: false });
        self.arrivals.arrived(now, now - self.time(start.cast_signed()));
        self.write(start, packet);
        Laid::Anew
    }

    fn write(&mut self, start: u64, packet: &Packet<'_>) {
        self.packets.insert(start, packet);
        if let Some(place) = &mut self.place
            && (packet.sequence.wrapping_sub(place.newest)) < 0x8000
        {
            place.newest = packet.sequence.wrapping_add(1);
            place.end = place.end.max(start + u64::from(packet.ticks));
        }
    }

    /// A packet far from its time. One that follows the newest is believed, another when a second one agrees.
    fn stray(&mut self, now: i64, packet: &Packet<'_>, follows: bool) -> Laid {
        let agrees = self.stray.as_ref().is_some_and(|stray| {
            let ahead = packet.timestamp.wrapping_sub(stray.timestamp);
            packet.sequence == stray.sequence.wrapping_add(1) && (1..=self.pace.clock / 8).contains(&ahead)
        });
        if follows || agrees {
            return self.anchor(now, packet);
        }
        self.stray = Some(Stray { sequence: packet.sequence, timestamp: packet.timestamp });
        Laid::Astray
    }

    fn late(&mut self, now: i64, packet: &Packet<'_>) -> Laid {
        let since = *self.late_since.get_or_insert(now);
        if now - since < LATE_MAX {
            return Laid::Late;
        }
        self.anchor(now, packet)
    }

    fn is_key(&self, at: u64) -> bool {
        (self.key.0..self.key.1).contains(&at)
    }

    /// Where the next sample to be given out lies in time.
    fn position(&self) -> Option<u64> {
        let place = self.place?;
        Some(place.played().saturating_sub(self.ticks(self.ready())))
    }

    const fn ready(&self) -> usize {
        self.sound.len() - self.head
    }

    fn ready_time(&self) -> i64 {
        self.ready() as i64 * 1_000_000 / i64::from(self.pace.rate)
    }

    /// Forgets what was given out, but for what a period could be made of.
    fn compact(&mut self) {
        let kept = KEPT * self.pace.rate as usize / 8000;
        if self.head > kept {
            self.sound.drain(..self.head - kept);
            self.head = kept;
        }
    }

    const fn samples(&self, ticks: u64) -> usize {
        (ticks * self.pace.rate as u64 / self.pace.clock as u64) as usize
    }

    const fn ticks(&self, samples: usize) -> u64 {
        samples as u64 * self.pace.clock as u64 / self.pace.rate as u64
    }

    /// Ticks as microseconds.
    fn time(&self, ticks: i64) -> i64 {
        ticks.saturating_mul(1_000_000) / i64::from(self.pace.clock)
    }
}

impl Place {
    /// One past what was decoded or made up.
    const fn played(self) -> u64 {
        self.due + self.made_up
    }

    /// The extended timestamp nearest to where playing is.
    fn extend(self, timestamp: u32) -> u64 {
        let ahead = timestamp.wrapping_sub(self.played() as u32).cast_signed();
        self.played().saturating_add_signed(i64::from(ahead))
    }
}

impl Limits {
    fn new(limits: JitterLimits) -> Self {
        let [start, min, max] = [limits.start.max(limits.min), limits.min, limits.max.max(limits.start)]
            .map(|limit| limit.as_micros().min(300_000) as i64);
        // A packet that is needed at once still waits for up to a frame.
        Self { start, min: (min - FRAME_TIME).max(0) + MARGIN, max }
    }
}

fn micros(now: Duration) -> i64 {
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
