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
    press: Option<Press>,
}

#[derive(Debug)]
struct Press {
    timestamp: u32,
    code: u8,
    ended: bool,
}

impl KeyListener {
    /// Another stream from here on.
    pub(crate) fn restart(&mut self) {
        self.press = None;
    }

    /// Gives the key if this packet is the first to tell of its press.
    pub(crate) fn hear(&mut self, timestamp: u32, event: Event) -> Option<char> {
        if let Some(press) = &mut self.press {
            let ahead = timestamp.wrapping_sub(press.timestamp).cast_signed();
            if ahead == 0 {
                press.ended |= event.end;
                return None;
            }
            // A packet of an earlier press that was overtaken; a step far back is a new timeline instead.
            if (-80_000..0).contains(&ahead) {
                return None;
            }
            // A press longer than the duration field goes on under a new timestamp (§2.5.1.3).
            if !press.ended && press.code == event.code && ahead == 0xFFFF {
                press.timestamp = timestamp;
                press.ended = event.end;
                return None;
            }
        }
        self.press = Some(Press { timestamp, code: event.code, ended: event.end });
        event.key()
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
