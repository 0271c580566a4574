//! What RFC 3550 wants to be counted of a received stream: extended sequence (A.1), loss (A.3), jitter (A.8).

use std::time::Duration;

/// The counters of one SSRC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    stream: Option<Stream>,
    /// Sums of the SSRCs before this one.
    past: Totals,
    /// Runs of packets that never came, over all SSRCs.
    bursts: u64,
}

/// What a whole leg received, over all SSRCs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) expected: u64,
    pub(crate) received: u64,
}

/// One report block's numbers (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) fraction_lost: u8,
    pub(crate) lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
}

#[derive(Clone, Debug)]
struct Stream {
    base: u32,
    highest: u32,
    received: u64,
    /// Bit n: the packet n before the highest came.
    seen: u64,
    /// What the sequence has to be for a jump to be believed.
    restart: Option<u16>,
    /// Expected and received at the last report.
    reported: Totals,
    transit: Option<u32>,
    /// Sixteen times the jitter, in samples.
    jitter: u32,
}

/// What a packet's sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    First,
    Again,
    /// So far from all others that a second one has to confirm it.
    Jump,
}

const DROPOUT_MAX: u16 = 3000;

impl Reception {
    /// Another SSRC from here on.
    pub(crate) fn restart(&mut self) {
        self.past = self.totals();
        self.stream = None;
    }

    pub(crate) fn note(&mut self, sequence: u16) -> Seen {
        let Some(stream) = &mut self.stream else {
            self.stream = Some(Stream::new(sequence));
            return Seen::First;
        };
        let ahead = sequence.wrapping_sub(stream.highest as u16);
        let behind = ahead.wrapping_neg();
        if (1..DROPOUT_MAX).contains(&ahead) {
            self.bursts += u64::from(ahead > 1);
            stream.highest = stream.highest.wrapping_add(u32::from(ahead));
            stream.seen = stream.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        } else if behind < 64 {
            let bit = 1 << behind;
            if stream.seen & bit != 0 {
                return Seen::Again;
            }
            // A late one ends the run that it was missing from, shortens it, or splits it.
            let neighbours = [behind.checked_sub(1), Some(behind + 1)];
            let came = |place: Option<u16>| {
                place.is_some_and(|place| stream.seen.checked_shr(u32::from(place)).unwrap_or(1) & 1 == 1)
            };
            match neighbours.map(came) {
                [true, true] => self.bursts = self.bursts.saturating_sub(1),
                [false, false] => self.bursts += 1,
                [true, false] | [false, true] => {}
            }
            stream.seen |= bit;
        } else if stream.restart == Some(sequence) {
            self.past = self.totals();
            self.stream = Some(Stream::new(sequence));
            return Seen::First;
        } else {
            stream.restart = Some(sequence.wrapping_add(1));
            return Seen::Jump;
        }
        stream.restart = None;
        stream.received += 1;
        Seen::First
    }

    /// Notes when a packet with this timestamp arrived.
    pub(crate) fn arrived(&mut self, now: Duration, timestamp: u32) {
        let Some(stream) = &mut self.stream else { return };
        let transit = samples(now).wrapping_sub(timestamp);
        if let Some(before) = stream.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A jump of more than ten seconds is another timeline, not jitter.
            if difference < 80_000 {
                stream.jitter = (stream.jitter + difference).saturating_sub((stream.jitter + 8) >> 4);
            }
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let (expected, received) = match &self.stream {
            Some(stream) => (stream.expected(), stream.received),
            None => (0, 0),
        };
        Totals { expected: self.past.expected + expected, received: self.past.received + received }
    }

    pub(crate) fn lost(&self) -> u64 {
        let totals = self.totals();
        totals.expected.saturating_sub(totals.received)
    }

    /// Runs of packets that never came.
    pub(crate) const fn bursts(&self) -> u64 {
        self.bursts
    }

    pub(crate) fn jitter(&self) -> Duration {
        let jitter = self.stream.as_ref().map_or(0, |stream| stream.jitter >> 4);
        Duration::from_micros(u64::from(jitter) * 125)
    }

    /// The numbers for a report, which begins a new interval.
    pub(crate) fn block(&mut self) -> Option<Block> {
        let stream = self.stream.as_mut()?;
        let now = Totals { expected: stream.expected(), received: stream.received };
        let expected = now.expected.saturating_sub(stream.reported.expected);
        let lost = expected.saturating_sub(now.received.saturating_sub(stream.reported.received));
        stream.reported = now;
        let total = now.expected.cast_signed() - now.received.cast_signed();
        Some(Block {
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            lost: total.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest: stream.highest,
            jitter: stream.jitter >> 4,
        })
    }
}

impl Stream {
    fn new(sequence: u16) -> Self {
        let highest = u32::from(sequence);
        Self {
            base: highest,
            highest,
            received: 1,
            seen: 1,
            restart: None,
            reported: Totals::default(),
            transit: None,
            jitter: 0,
        }
    }

    fn expected(&self) -> u64 {
        u64::from(self.highest.wrapping_sub(self.base)) + 1
    }
}

/// A time as samples of 8 kHz, wrapped like a timestamp.
fn samples(now: Duration) -> u32 {
    (now.as_micros() * 8 / 1000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(sequences: impl IntoIterator<Item = u16>) -> (Reception, Vec<Seen>) {
        let mut reception = Reception::default();
        let seen = sequences.into_iter().map(|sequence| reception.note(sequence)).collect();
        (reception, seen)
    }

    #[test]
    fn a_sequence_that_wraps_loses_nothing() {
        let (mut reception, _) = noted((65_000..=65_535).chain(0..500));
        assert_eq!(reception.totals(), Totals { expected: 1036, received: 1036 });
        assert_eq!(reception.block().unwrap().highest, 65_536 + 499);
    }

    #[test]
    fn duplicates_are_told_and_reordered_packets_are_not_lost() {
        let (reception, seen) = noted([1, 2, 5, 4, 4, 3, 2, 6]);
        let again: Vec<bool> = seen.iter().map(|seen| *seen == Seen::Again).collect();
        assert_eq!(again, [false, false, false, false, true, false, true, false]);
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn the_lost_fraction_is_that_of_the_interval() {
        let (mut reception, _) = noted((0..100).filter(|n| n % 4 != 1));
        let block = reception.block().unwrap();
        assert_eq!((block.lost, block.fraction_lost), (25, 64));
        for sequence in 100..200 {
            reception.note(sequence);
        }
        let block = reception.block().unwrap();
        assert_eq!((block.lost, block.fraction_lost), (25, 0));
    }

    #[test]
    fn bursts_of_loss_are_counted_and_late_packets_taken_out_of_them() {
        let bursts = |sequences: &[u16]| noted(sequences.iter().copied()).0.bursts();
        assert_eq!(bursts(&[1, 2, 3, 4]), 0);
        assert_eq!(bursts(&[1, 3, 4, 8, 9]), 2);
        assert_eq!(bursts(&[1, 3, 2, 4]), 0, "overtaken, not lost");
        assert_eq!(bursts(&[1, 5, 2]), 1, "3 and 4 are still missing");
        assert_eq!(bursts(&[1, 6, 4]), 2, "2 to 3, and 5");
        assert_eq!(bursts(&[65_534, 1, 65_535, 0]), 0);
    }

    #[test]
    fn a_jump_is_believed_when_a_second_packet_agrees() {
        let (reception, seen) = noted([10, 11, 40_000, 12, 50_000, 50_001, 50_002]);
        assert_eq!(seen.iter().filter(|seen| **seen == Seen::Jump).count(), 2);
        assert_eq!(reception.totals(), Totals { expected: 3 + 2, received: 3 + 2 });
    }

    #[test]
    fn jitter_settles_at_the_mean_difference_of_transit_times() {
        let mut reception = Reception::default();
        for n in 0..2000_u32 {
            reception.note(n as u16);
            let wobble = if n % 2 == 0 { 0 } else { 4 };
            reception.arrived(Duration::from_millis(u64::from(n * 20 + wobble)), n * 160);
        }
        let jitter = reception.jitter().as_micros();
        assert!((3800..=4200).contains(&jitter), "{jitter}");
    }
}
