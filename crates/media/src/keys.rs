//! Telephone keys as RFC 4733 events, both ways.
//!
//! In: a press is told once, when the first of its packets arrives, whichever that is; its timestamp names it.
//! Out: 100 ms a press, the end told three times, all with the timestamp of the beginning (§2.5.1).

use std::collections::VecDeque;

/// The longest row of keys waiting to be sent; more are dropped.
pub(crate) const KEYS_MAX: usize = 64;

const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// Frames of 20 ms in a press.
const PRESS: u16 = 5;
/// The end packet is sent once in time and twice more.
const ENDS_AGAIN: u16 = 2;
/// Frames from the start of one press to the start of the next: 100 ms and 100 ms.
const TURN: u16 = 10;
const SAMPLES: u16 = 160;

/// The payload of an event packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) code: u8,
    pub(crate) end: bool,
    pub(crate) duration: u16,
}

impl Event {
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let &[code, flags, d0, d1] = payload.first_chunk()?;
        Some(Self { code, end: flags & 0x80 != 0, duration: u16::from_be_bytes([d0, d1]) })
    }

    /// At −10 dBm0, the level that every receiver takes.
    pub(crate) const fn write(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, 10 | if self.end { 0x80 } else { 0 }, d0, d1]
    }

    pub(crate) fn key(self) -> Option<char> {
        KEYS.get(usize::from(self.code)).copied()
    }
}

/// Hears the presses of one stream.
#[derive(Debug, Default)]
pub(crate) struct KeyListener {
    /// The last presses, the newest first: a packet of an older one may have been overtaken.
    presses: [Option<Press>; REMEMBERED],
}

#[derive(Clone, Copy, Debug)]
struct Press {
    timestamp: u32,
    code: u8,
    duration: u16,
    ended: bool,
}

/// Presses that are remembered.
const REMEMBERED: usize = 4;
/// A packet of a press that began so much before the newest one, in ticks, is of another timeline: 10 s.
const OLD: i32 = 80_000;
/// Two presses begin further apart than this, 50 ms: a key that seems to be pressed again sooner, and for longer,
/// is one of a phone that moves the timestamp of its press.
const SOONEST: i32 = 400;

impl KeyListener {
    /// Another stream from here on.
    pub(crate) fn restart(&mut self) {
        self.presses = [None; REMEMBERED];
    }

    /// Gives the key if this packet is the first to tell of its press. What is no key, such as a hook flash, is
    /// remembered like one and not told.
    pub(crate) fn hear(&mut self, timestamp: u32, event: Event) -> Option<char> {
        let fresh = Press { timestamp, code: event.code, duration: event.duration, ended: event.end };
        let ahead = |press: &Press| timestamp.wrapping_sub(press.timestamp).cast_signed();
        if let Some(press) = self.presses.iter_mut().flatten().find(|press| ahead(press) == 0) {
            press.ended |= event.end;
            press.duration = press.duration.max(event.duration);
            return None;
        }
        if let [Some(newest), ..] = &mut self.presses {
            let later = ahead(newest);
            let same = newest.code == event.code && !newest.ended;
            // A press longer than the duration field goes on under a new timestamp (§2.5.1.3).
            let moved = (1..SOONEST).contains(&later) && event.duration > newest.duration;
            if same && (later == 0xFFFF || moved) {
                *newest = fresh;
                return None;
            }
            if (-OLD..0).contains(&later) && self.is_forgotten(timestamp) {
                return None;
            }
        }
        self.remember(fresh);
        event.key()
    }

    /// Whether a press that began then, before the newest, would be too old to be remembered: it may have been
    /// told.
    fn is_forgotten(&self, timestamp: u32) -> bool {
        let oldest = self.presses.last().copied().flatten();
        oldest.is_some_and(|press| timestamp.wrapping_sub(press.timestamp).cast_signed() < 0)
    }

    /// Keeps the presses in the order of their beginnings.
    fn remember(&mut self, press: Press) {
        let older = |known: &Option<Press>| {
            known.is_none_or(|known| {
                !(-OLD..0).contains(&press.timestamp.wrapping_sub(known.timestamp).cast_signed())
            })
        };
        let place = self.presses.iter().position(older).unwrap_or(REMEMBERED);
        if let Some(after) = self.presses.get_mut(place..) {
            after.rotate_right(1);
            if let Some(first) = after.first_mut() {
                *first = Some(press);
            }
        }
    }
}

/// Sends keys in place of audio, one packet a frame.
#[derive(Debug, Default)]
pub(crate) struct KeySender {
    waiting: VecDeque<u8>,
    current: Option<Sending>,
}

#[derive(Debug)]
struct Sending {
    code: u8,
    timestamp: u32,
    frame: u16,
}

/// What goes out in this frame instead of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPacket {
    pub(crate) event: Event,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
}

impl KeySender {
    /// Queues keys; what is no key, and what is beyond [`KEYS_MAX`], is dropped and counted in the result.
    pub(crate) fn push(&mut self, keys: impl IntoIterator<Item = char>) -> u64 {
        let mut dropped = 0;
        for key in keys {
            let code = KEYS.iter().position(|known| *known == key.to_ascii_uppercase());
            match code {
                Some(code) if self.waiting.len() < KEYS_MAX => self.waiting.push_back(code as u8),
                Some(_) | None => dropped += 1,
            }
        }
        dropped
    }

    /// Whether packets of keys are to be sent.
    pub(crate) fn is_busy(&self) -> bool {
        let sending = self.current.as_ref().is_some_and(|sending| sending.frame < PRESS + ENDS_AGAIN);
        sending || !self.waiting.is_empty()
    }

    /// One frame of the timeline, which is at `timestamp`.
    pub(crate) fn step(&mut self, timestamp: u32) -> Option<KeyPacket> {
        if self.current.as_ref().is_none_or(|sending| sending.frame >= TURN) {
            let code = self.waiting.pop_front();
            self.current = code.map(|code| Sending { code, timestamp, frame: 0 });
        }
        let sending = self.current.as_mut()?;
        sending.frame += 1;
        let frame = sending.frame;
        (frame <= PRESS + ENDS_AGAIN).then(|| KeyPacket {
            event: Event { code: sending.code, end: frame >= PRESS, duration: frame.min(PRESS) * SAMPLES },
            timestamp: sending.timestamp,
            marker: frame == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(sender: &mut KeySender, start: u32, frames: u32) -> Vec<KeyPacket> {
        (0..frames).filter_map(|frame| sender.step(start + frame * 160)).collect()
    }

    #[test]
    fn a_press_grows_to_100_ms_and_ends_three_times() {
        let mut sender = KeySender::default();
        assert_eq!(sender.push(['5', 'x']), 1);
        let packets = press(&mut sender, 1000, 20);
        let durations: Vec<u16> = packets.iter().map(|packet| packet.event.duration).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(packets.iter().filter(|packet| packet.event.end).count(), 3);
        assert!(packets.iter().all(|packet| packet.timestamp == 1000 && packet.event.code == 5));
        let markers: Vec<bool> = packets.iter().map(|packet| packet.marker).collect();
        assert_eq!(markers, [true, false, false, false, false, false, false]);
    }

    #[test]
    fn a_gap_lies_between_two_presses() {
        let mut sender = KeySender::default();
        sender.push(['1', '1']);
        let packets = press(&mut sender, 0, 30);
        assert_eq!(packets.len(), 14);
        assert_eq!(packets[7].timestamp, 1600);
    }

    #[test]
    fn a_press_is_told_once_even_if_only_its_end_arrives() {
        let mut sender = KeySender::default();
        sender.push(['*', '*', '#']);
        let packets = press(&mut sender, 0, 40);
        for skip in 0..7 {
            let mut listener = KeyListener::default();
            let heard: String = packets
                .chunks(7)
                .flat_map(|press| press.iter().skip(skip))
                .filter_map(|packet| listener.hear(packet.timestamp, packet.event))
                .collect();
            assert_eq!(heard, "**#", "first {skip} of each press lost");
        }
    }

    proptest::proptest! {
        /// Whatever the presses, at 10 to 30 % loss, with packets doubled and overtaken: every press of which a
        /// packet came is told once, and in order where none was overtaken by another press.
        #[test]
        fn every_press_is_told_once(
            presses in proptest::collection::vec((0_u8..17, 1_u32..120, 2_u32..20), 1..40),
            loss in 100_u64..300,
            seed in proptest::prelude::any::<u64>(),
        ) {
            let mut random = crate::random::Random::new(seed);
            let mut packets = Vec::new();
            let mut timestamp = random.word();
            let mut expected = String::new();
            for (number, (code, frames, pause)) in presses.into_iter().enumerate() {
                let mut came = false;
                for n in 0..frames + 2 {
                    let duration = ((n + 1).min(frames) * 160) as u16;
                    let event = Event { code, end: n + 1 >= frames, duration };
                    for _ in 0..1 + u64::from(random.below(10) == 0) {
                        if random.below(1000) >= loss {
                            came = true;
                            // Overtaken by up to three packets of the same press.
                            let place = number as u64 * 1000 + u64::from(n) + random.below(4);
                            packets.push((place, timestamp, event));
                        }
                    }
                }
                timestamp = timestamp.wrapping_add((frames + pause) * 160);
                expected.extend((came && code < 16).then(|| KEYS[usize::from(code)]));
            }
            packets.sort_by_key(|(place, ..)| *place);
            let mut listener = KeyListener::default();
            let told: String =
                packets.into_iter().filter_map(|(_, timestamp, event)| listener.hear(timestamp, event)).collect();
            proptest::prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_press_whose_packets_were_all_overtaken_is_told_late_and_once() {
        let mut listener = KeyListener::default();
        let press = |code| Event { code, end: true, duration: 800 };
        let heard: Vec<Option<char>> = [(1600, 2), (0, 1), (1600, 2), (0, 1), (3200, 3), (0, 1), (1600, 2)]
            .into_iter()
            .map(|(timestamp, code)| listener.hear(timestamp, press(code)))
            .collect();
        assert_eq!(heard, [Some('2'), Some('1'), None, None, Some('3'), None, None]);
    }

    #[test]
    fn a_phone_that_moves_the_timestamp_of_its_press_presses_once() {
        let mut listener = KeyListener::default();
        let heard: String = (0..10_u16)
            .filter_map(|n| {
                let event = Event { code: 7, end: n == 9, duration: (n + 1) * 160 };
                listener.hear(5000 + u32::from(n) * 160, event)
            })
            .collect();
        assert_eq!(heard, "7");
    }

    #[test]
    fn overtaken_packets_and_very_long_presses_are_no_new_press() {
        let mut listener = KeyListener::default();
        let down = Event { code: 3, end: false, duration: 160 };
        assert_eq!(listener.hear(1000, down), Some('3'));
        assert_eq!(listener.hear(9000, Event { code: 4, ..down }), Some('4'));
        assert_eq!(listener.hear(1000, Event { end: true, ..down }), None);
        assert_eq!(listener.hear(9000 + 0xFFFF, Event { code: 4, ..down }), None);
        assert_eq!(listener.hear(9000 + 0xFFFF * 2, Event { code: 4, ..down }), None);
        assert_eq!(listener.hear(0, Event { code: 200, ..down }), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_short_payloads_are_not_events() {
        let event = Event { code: 11, end: true, duration: 800 };
        assert_eq!(Event::read(&event.write()), Some(event));
        assert_eq!(event.key(), Some('#'));
        assert_eq!(Event::read(&[1, 2, 3]), None);
    }
}
