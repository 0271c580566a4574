//! Silence, measured on what is sent: the watchdog of an ear (M16) and the measure it is judged by.

use std::time::Duration;

use crate::{
    command::EarMeasure,
    g711::{FRAME, Frame, Law},
    level,
};

pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// The filler fades in, and late ticks cost time: the watchdog acts so much before its limit.
const MARGIN: Duration = Duration::from_millis(200);

/// Whether a frame is silence to the one who hears it.
pub(crate) fn is_silent(codec: Law, frame: &Frame) -> bool {
    codec.is_below(level::SILENCE_POWER, frame)
}

/// Decides when an ear is filled.
#[derive(Debug)]
pub(crate) struct Watchdog {
    on: bool,
    /// Frames of silence that are let through.
    patience: u32,
    silent: u32,
    filling: bool,
    /// Whether a voice that sends nothing is filled for, watched or not.
    cover: bool,
}

/// What the watchdog says about a frame that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Send it.
    Send,
    /// Send filler instead, from here on.
    Fill,
    /// Go on with filler.
    GoOn,
    /// Send it; the filler ends here.
    Resume,
}

impl Watchdog {
    /// A limit of zero means no watchdog.
    pub(crate) fn new(on: bool, limit: Duration) -> Self {
        let patience = limit.saturating_sub(MARGIN).max(limit / 2).as_millis() / FRAME_TIME.as_millis();
        Self {
            on: on && !limit.is_zero(),
            patience: patience as u32,
            silent: 0,
            filling: false,
            cover: false,
        }
    }

    /// Switches; a watch that begins counts from here.
    pub(crate) fn watch(&mut self, on: bool) {
        if on != self.on {
            self.on = on && self.patience > 0;
            self.silent = 0;
        }
    }

    /// Switches the filling for voices that send nothing.
    pub(crate) const fn cover(&mut self, on: bool) {
        self.cover = on && self.patience > 0;
    }

    /// Whether a voice that has sent nothing for so long is filled for.
    pub(crate) fn covers(&self, missing: Duration) -> bool {
        self.cover && missing >= FRAME_TIME * self.patience
    }

    /// Fills, whatever the ear's own source has.
    pub(crate) const fn fill(&mut self) -> Order {
        self.silent = self.silent.saturating_add(1);
        match std::mem::replace(&mut self.filling, true) {
            false => Order::Fill,
            true => Order::GoOn,
        }
    }

    /// Judges the frame of the ear's own source.
    pub(crate) fn judge(&mut self, silent: bool) -> Order {
        let filling = self.filling;
        if !silent || !self.on {
            self.silent = 0;
            self.filling = false;
            return if filling { Order::Resume } else { Order::Send };
        }
        self.silent = self.silent.saturating_add(1);
        self.filling = self.silent > self.patience;
        match (filling, self.filling) {
            (_, false) => Order::Send,
            (false, true) => Order::Fill,
            (true, true) => Order::GoOn,
        }
    }

    /// Whether one more frame of silence is filled.
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) const fn is_out_of_patience(&self) -> bool {
        self.on && self.silent >= self.patience
    }

    /// Time went by in which nothing could be sent.
    pub(crate) fn skipped(&mut self, frames: u32) {
        self.silent = self.silent.saturating_add(frames);
    }
}

/// Measures what an ear is sent.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    measure: EarMeasure,
    silence: Duration,
}

impl Meter {
    pub(crate) fn sent(&mut self, silent: bool) {
        self.measure.frames += 1;
        if silent {
            self.silent(1);
        } else {
            self.silence = Duration::ZERO;
        }
    }

    /// Frames without energy: sent, or due and not sent.
    pub(crate) fn silent(&mut self, frames: u32) {
        self.silence += FRAME_TIME * frames;
        self.measure.silence_longest = self.measure.silence_longest.max(self.silence);
    }

    /// A key was sent in place of a frame: no sound, as far as we know.
    pub(crate) fn key(&mut self) {
        self.measure.frames += 1;
        self.silent(1);
    }

    pub(crate) const fn filled(&mut self) {
        self.measure.fills += 1;
    }

    /// The measure so far; begins a new one.
    pub(crate) fn mark(&mut self) -> EarMeasure {
        self.silence = Duration::ZERO;
        std::mem::take(&mut self.measure)
    }
}

/// Fades in, and takes the click out of a change of sources: the new one begins where the old one stopped.
#[derive(Debug, Default)]
pub(crate) struct Blend {
    last: i16,
    changed: bool,
    /// Samples of a long fade-in that are over, if one is under way.
    fade: Option<usize>,
}

/// 5 ms.
const SOFT: usize = 40;
/// 400 ms.
const FADE: usize = 3200;

impl Blend {
    /// Another source sounds from the next frame on.
    pub(crate) const fn change(&mut self) {
        self.changed = true;
        self.fade = None;
    }

    /// As `change`, and the new source swells over 400 ms.
    pub(crate) const fn change_slowly(&mut self) {
        self.changed = true;
        self.fade = Some(0);
    }

    /// Whether the next frame would be changed.
    pub(crate) const fn is_due(&self) -> bool {
        self.changed || self.fade.is_some()
    }

    /// A frame is sent that is not known here; gives whether a joint was due.
    pub(crate) fn pass_by(&mut self) -> bool {
        self.last = 0;
        std::mem::take(&mut self.changed) | self.fade.take().is_some()
    }

    /// Takes note of a frame that is sent as it is.
    pub(crate) fn note(&mut self, codec: Law, frame: &Frame) {
        self.last = frame.last().map_or(0, |&byte| codec.decode(byte));
    }

    /// Gives whether the frame was changed.
    pub(crate) fn apply(&mut self, codec: Law, frame: &mut Frame) -> bool {
        let fading = self.fade.is_some();
        if let Some(done) = self.fade {
            for (n, byte) in frame.iter_mut().enumerate() {
                let faded = i32::from(codec.decode(*byte)) * (done + n).min(FADE) as i32 / FADE as i32;
                *byte = codec.encode(faded as i16);
            }
            self.fade = Some(done + FRAME).filter(|done| *done < FADE);
        }
        let changed = std::mem::take(&mut self.changed);
        if changed {
            for (n, byte) in frame.iter_mut().enumerate().take(SOFT) {
                let (new, old) = (i32::from(codec.decode(*byte)), i32::from(self.last));
                let mixed = old + (new - old) * (n as i32 + 1) / SOFT as i32;
                *byte = codec.encode(mixed as i16);
            }
        }
        self.note(codec, frame);
        fading || changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_lets_1800_ms_through_and_ends_with_the_first_energy() {
        let mut watchdog = Watchdog::new(true, Duration::from_secs(2));
        let orders: Vec<Order> = (0..93).map(|_| watchdog.judge(true)).collect();
        assert_eq!(orders.iter().position(|order| *order == Order::Fill), Some(90));
        assert_eq!(orders[91..], [Order::GoOn, Order::GoOn]);
        assert_eq!(watchdog.judge(false), Order::Resume);
        assert_eq!(watchdog.judge(true), Order::Send);
    }

    #[test]
    fn a_watch_that_begins_counts_from_there_and_one_that_ends_stops_filling() {
        let mut watchdog = Watchdog::new(false, Duration::from_secs(2));
        assert!((0..1000).all(|_| watchdog.judge(true) == Order::Send));
        watchdog.watch(true);
        assert!((0..90).all(|_| watchdog.judge(true) == Order::Send));
        assert_eq!(watchdog.judge(true), Order::Fill);
        watchdog.watch(false);
        assert_eq!(watchdog.judge(true), Order::Resume);
        let mut off = Watchdog::new(true, Duration::ZERO);
        off.watch(true);
        assert!((0..1000).all(|_| off.judge(true) == Order::Send));
    }

    #[test]
    fn the_longest_silence_is_that_since_the_mark() {
        let mut meter = Meter::default();
        for (silent, count) in [(true, 3), (false, 1), (true, 7), (false, 1), (true, 2)] {
            (0..count).for_each(|_| meter.sent(silent));
        }
        let measure = meter.mark();
        assert_eq!((measure.silence_longest, measure.frames), (FRAME_TIME * 7, 14));
        meter.sent(true);
        assert_eq!(meter.mark().silence_longest, FRAME_TIME);
    }
}
