//! Forwarding: packets of a voice go to an ear as they come, in the ear's own numbers.
//!
//! ```text
//!             first packet, nothing covers this tick
//!   Tick ────────────────────────────────────────────► Forward
//!    ▲                                                   │  a packet: sent at once, sequence and timestamp
//!    │   prompt, keys, hold, another source,             │  by offset; the tick sends nothing
//!    └── no packet for 100 ms, silence beyond patience ◄─┘
//! ```
//! The ear's timeline has two places: `timestamp`, which the next tick's frame would have, and `end`, one past
//! what was sent. `end` beyond `timestamp` means that this tick's 20 ms are sent already. Loss upstream stays a
//! gap of the sequence, packets that were overtaken go out after those that overtook them.

use crate::{ear::Timeline, g711::FRAME, rtp::Header};

/// How one source's numbers become those of an ear.
#[derive(Debug)]
pub(crate) struct Forward {
    ssrc: u32,
    /// Added to the source's sequence numbers.
    sequence: u16,
    /// Added to the source's timestamps.
    timestamp: u32,
    /// The source's highest sequence number.
    newest: u16,
    /// Of the numbers up to it, how many belong to this stream; counted up to `REORDER_MAX`.
    room: u16,
    /// Where on our timeline forwarding began.
    begin: u32,
    /// Audio before this place of our timeline is part of a telephone event.
    key_until: Option<u32>,
    /// Ticks since the last packet.
    quiet: u32,
}

/// Where a packet belongs on the ear's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// Whether it was overtaken: the timeline does not go on with it.
    pub(crate) overtaken: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is sent.
    Send(Place),
    /// It is not: it lies in a key, before the beginning, or too far ahead of time.
    Drop,
    /// It does not continue what was forwarded.
    Elsewhere,
}

/// Ticks without a packet that are waited for before the tick takes over: 100 ms.
const PATIENCE: u32 = 5;
/// A packet overtaken by more than so many others is dropped; a jump of more is another stream.
const REORDER_MAX: u16 = 64;
/// Half a second: a longer jump of timestamps is another timeline.
const JUMP: i32 = 4000;
/// So far (300 ms) a source may run ahead of the clock before packets are dropped.
const LEAD_MAX: i32 = 2400;
const STEP: i32 = FRAME as i32;
/// Samples by which the clock follows a source that is early, a packet.
const SLEW: i32 = 8;

impl Forward {
    /// Begins with this packet, unless this tick's time is sent already.
    pub(crate) fn begin(timeline: &Timeline, header: &Header) -> Option<Self> {
        let gap = timeline.gap();
        if gap < 0 {
            return None;
        }
        let begin = if gap < STEP { timeline.end } else { timeline.timestamp };
        Some(Self {
            ssrc: header.ssrc,
            sequence: timeline.sequence.wrapping_sub(header.sequence),
            timestamp: begin.wrapping_sub(header.timestamp),
            newest: header.sequence.wrapping_sub(1),
            room: 0,
            begin,
            key_until: None,
            quiet: 0,
        })
    }

    /// A tick goes by; whether packets are still to be waited for.
    pub(crate) fn wait(&mut self) -> bool {
        self.quiet += 1;
        self.quiet <= PATIENCE
    }

    /// Whether a packet came in this tick's time or the one before: what seems missing is the clocks' drift.
    pub(crate) const fn is_flowing(&self) -> bool {
        self.quiet <= 1
    }

    /// Where a packet of 20 ms goes.
    pub(crate) fn audio(&mut self, timeline: &mut Timeline, header: &Header) -> Way {
        let timestamp = header.timestamp.wrapping_add(self.timestamp);
        let Some(ahead) = self.ahead(header) else { return Way::Elsewhere };
        if ahead <= 0 {
            let behind = i32::from(ahead) * -STEP;
            let whole = after(timeline.end, timestamp) >= behind + STEP;
            let fits = whole && self.is_ours(timestamp, ahead) && !self.is_in_key(timestamp);
            return if fits { Way::Send(self.place(header, timestamp, true)) } else { Way::Drop };
        }
        if self.is_in_key(timestamp) {
            self.passed(header, ahead);
            return Way::Drop;
        }
        if !(0..=JUMP).contains(&after(timestamp, timeline.end)) {
            return Way::Elsewhere;
        }
        self.passed(header, ahead);
        let lead = after(timestamp, timeline.timestamp) + STEP;
        if lead > LEAD_MAX {
            return Way::Drop;
        }
        timeline.follow(lead);
        Way::Send(self.place(header, timestamp, false))
    }

    /// Where a packet of a telephone event goes that lasts so many samples by now.
    pub(crate) fn event(&mut self, header: &Header, duration: u16, end: bool) -> Option<Place> {
        let timestamp = header.timestamp.wrapping_add(self.timestamp);
        let ahead = self.ahead(header)?;
        if !self.is_ours(timestamp, ahead) {
            return None;
        }
        // Until the next packet says how far the event reaches, it reaches two frames further.
        let reach = u32::from(duration) + if end { 0 } else { 2 * FRAME as u32 };
        self.key_until = Some(timestamp.wrapping_add(reach));
        self.passed(header, ahead);
        Some(self.place(header, timestamp, ahead <= 0))
    }

    /// How far a packet is beyond the newest; none if it is of another stream.
    fn ahead(&self, header: &Header) -> Option<i16> {
        let ahead = header.sequence.wrapping_sub(self.newest).cast_signed();
        (header.ssrc == self.ssrc && ahead.unsigned_abs() <= REORDER_MAX).then_some(ahead)
    }

    /// Whether a packet is not from before the beginning.
    const fn is_ours(&self, timestamp: u32, ahead: i16) -> bool {
        let known = ahead > 0 || (ahead < 0 && ahead.unsigned_abs() < self.room);
        known && after(timestamp, self.begin) >= 0
    }

    fn passed(&mut self, header: &Header, ahead: i16) {
        self.quiet = 0;
        if ahead > 0 {
            self.newest = header.sequence;
            self.room = (self.room + ahead.unsigned_abs()).min(REORDER_MAX);
        }
    }

    const fn place(&self, header: &Header, timestamp: u32, overtaken: bool) -> Place {
        Place { sequence: header.sequence.wrapping_add(self.sequence), timestamp, overtaken }
    }

    fn is_in_key(&self, timestamp: u32) -> bool {
        self.key_until.is_some_and(|until| (-JUMP..0).contains(&after(timestamp, until)))
    }
}

impl Timeline {
    /// How much time, in samples, is due on the next tick and was not sent; below zero: is sent already.
    pub(crate) const fn gap(&self) -> i32 {
        after(self.timestamp, self.end)
    }

    /// Ends forwarding: between what was sent and the ticks' frames lie whole frames, left out or sent ahead; what
    /// is missing of one is the difference of two clocks. Nothing is left out if packets were flowing.
    /// Gives the time left out; below zero: sent ahead.
    pub(crate) const fn settle(&mut self, flowing: bool) -> i32 {
        let gap = self.gap();
        let whole = match gap {
            ..0 => (gap - STEP / 2) / STEP * STEP,
            0.. if flowing => 0,
            0.. => gap - gap % STEP,
        };
        self.timestamp = self.end.wrapping_add_signed(whole);
        whole
    }

    /// Lets the tick's clock follow a source whose packet ended so far beyond the next tick's frame.
    const fn follow(&mut self, lead: i32) {
        if lead < 0 {
            self.timestamp = self.timestamp.wrapping_sub(1);
        } else if lead > STEP {
            let early = lead - STEP;
            let step = if early > SLEW { SLEW } else { early };
            self.timestamp = self.timestamp.wrapping_add_signed(step);
        }
    }
}

/// By how much a timestamp lies after another.
pub(crate) const fn after(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other).cast_signed()
}
