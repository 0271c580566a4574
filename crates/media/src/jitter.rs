//! The jitter buffer of one leg: packets in the order of their timestamps, until their time has come.
//!
//! It keeps packets as they are and knows nothing of codecs: a packet says how many ticks of the RTP clock it
//! lasts. What is taken out of it, and when, is the business of `playout.rs`.

use std::{collections::VecDeque, time::Duration};

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

/// A packet's sound and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// How long it lasts, in ticks of its clock.
    pub(crate) ticks: u32,
    /// Says how to decode it.
    pub(crate) tag: u8,
    pub(crate) bytes: &'a [u8],
}

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its timestamp, extended.
    pub(crate) start: u64,
    pub(crate) sequence: u16,
    pub(crate) ticks: u32,
    pub(crate) tag: u8,
    pub(crate) bytes: Vec<u8>,
}

/// Packets in order.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    waiting: VecDeque<Waiting>,
    /// Memory of packets that were taken, for those to come.
    spare: Vec<Vec<u8>>,
}

/// Packets that wait at most: 640 ms of 10 ms each.
const WAITING_MAX: usize = 64;

impl Waiting {
    /// One past its last tick.
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.ticks)
    }
}

impl Packets {
    /// Puts a packet where its time is. One that is there already stays; at the limit the oldest goes.
    pub(crate) fn insert(&mut self, start: u64, packet: &Packet<'_>) {
        let place = self.waiting.iter().rposition(|waiting| waiting.start <= start);
        if place.and_then(|place| self.waiting.get(place)).is_some_and(|there| there.start == start) {
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(packet.bytes);
        let (sequence, ticks, tag) = (packet.sequence, packet.ticks, packet.tag);
        let waiting = Waiting { start, sequence, ticks, tag, bytes };
        self.waiting.insert(place.map_or(0, |place| place + 1), waiting);
        if self.waiting.len() > WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.recycle(oldest);
        }
    }

    /// The one whose time comes first.
    pub(crate) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// Takes it; give it back to `recycle`.
    pub(crate) fn take(&mut self) -> Option<Waiting> {
        self.waiting.pop_front()
    }

    pub(crate) fn recycle(&mut self, mut packet: Waiting) {
        packet.bytes.clear();
        self.spare.push(packet.bytes);
    }

    pub(crate) fn clear(&mut self) {
        while let Some(packet) = self.take() {
            self.recycle(packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16) -> Packet<'static> {
        Packet { sequence, timestamp: 0, ticks: 160, tag: 0, bytes: &[7; 160] }
    }

    fn order(packets: &mut Packets) -> Vec<u16> {
        let taken = std::iter::from_fn(|| packets.take().map(|packet| packet.sequence));
        taken.collect()
    }

    #[test]
    fn packets_come_out_in_order_and_once() {
        let mut packets = Packets::default();
        for n in [3_u16, 1, 2, 2, 9, 0, 4, 3] {
            packets.insert(u64::from(n) * 160, &packet(n));
        }
        assert_eq!(order(&mut packets), [0, 1, 2, 3, 4, 9]);
    }

    #[test]
    fn at_the_limit_the_oldest_goes_and_memory_is_used_again() {
        let mut packets = Packets::default();
        for n in 0..200_u16 {
            packets.insert(u64::from(n) * 160, &packet(n));
            assert!(packets.waiting.len() + packets.spare.len() <= WAITING_MAX + 1);
        }
        assert_eq!(packets.first().map(|packet| packet.sequence), Some(136));
        packets.clear();
        assert_eq!(packets.spare.len(), WAITING_MAX + 1);
        packets.insert(0, &packet(1));
        assert_eq!((packets.spare.len(), order(&mut packets)), (WAITING_MAX, vec![1]));
    }
}
