//! Packets that wait to be sent, one after the other in one buffer that is used again on every tick.
//!
//! Bounded: at the limit the newest packet is dropped and counted, because a driver that does not drain has
//! stopped, and sound from the past is of no use to it when it comes back.

use std::collections::VecDeque;

use crate::{command::Transmit, guard::Guard, srtp::GROWTH_MAX};

pub(crate) struct Outbox {
    bytes: Vec<u8>,
    waiting: VecDeque<(Transmit, std::ops::Range<usize>)>,
    limit: usize,
    dropped: u64,
}

impl Outbox {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), waiting: VecDeque::new(), limit, dropped: 0 }
    }

    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Puts a packet in the queue, closed by the leg's guard.
    pub(crate) fn push(&mut self, transmit: Transmit, (head, tail): (&[u8], &[u8]), guard: &mut Guard) {
        if self.waiting.is_empty() {
            self.bytes.clear();
        }
        if self.waiting.len() >= self.limit {
            self.dropped += 1;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        if !guard.is_plain() {
            let length = self.bytes.len() - start;
            let control = crate::rtp::is_rtcp(head);
            self.bytes.resize(start + length + GROWTH_MAX, 0);
            let packet = self.bytes.get_mut(start..).unwrap_or_default();
            let Some(length) = guard.close(packet, length, control) else {
                self.bytes.truncate(start);
                return;
            };
            self.bytes.truncate(start + length);
        }
        self.waiting.push_back((transmit, start..self.bytes.len()));
    }

    pub(crate) fn pop(&mut self) -> Option<(Transmit, &[u8])> {
        let (transmit, range) = self.waiting.pop_front()?;
        Some((transmit, self.bytes.get(range)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Channel, LegId};

    fn to(leg: u64) -> Transmit {
        Transmit { leg: LegId(leg), channel: Channel::Rtp, to: ([127, 0, 0, 1], 9).into() }
    }

    #[test]
    fn packets_come_out_in_order_and_the_buffer_is_used_again() {
        let mut outbox = Outbox::new(3);
        for round in 0..100 {
            outbox.push(to(1), (&[round], &[1, 2]), &mut Guard::Plain);
            outbox.push(to(2), (&[round], &[]), &mut Guard::Plain);
            assert_eq!(outbox.pop(), Some((to(1), &[round, 1, 2][..])));
            assert_eq!(outbox.pop(), Some((to(2), &[round][..])));
            assert_eq!(outbox.pop(), None);
        }
        assert!(outbox.bytes.capacity() <= 16);
    }

    #[test]
    fn at_the_limit_the_newest_is_dropped_and_counted() {
        let mut outbox = Outbox::new(1);
        outbox.push(to(1), (&[1], &[]), &mut Guard::Plain);
        outbox.push(to(2), (&[2], &[]), &mut Guard::Plain);
        assert_eq!(outbox.dropped(), 1);
        assert_eq!(outbox.pop(), Some((to(1), &[1][..])));
        assert_eq!(outbox.pop(), None);
    }
}
