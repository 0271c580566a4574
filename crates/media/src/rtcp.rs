//! RTCP of one leg (RFC 3550 §6): sender and receiver reports out about every five seconds, the far side's
//! reports in, BYE at the end.
//!
//! Reads and writes the four packet types that a telephone leg has; others inside a valid compound are passed
//! over. Ours for the same reason as the RTP header: nothing is copied or boxed on the way in. The tests compare
//! with the `rtc-rtcp` crate.

use std::{net::SocketAddr, time::Duration};

use crate::{
    ear::Timeline,
    random::Random,
    reception::{Block, Reception},
    session::MediaDescription,
};

/// The control side of a leg.
pub(crate) struct Control {
    interval: Duration,
    next: Option<Duration>,
    name: [u8; NAME],
    /// The far side's RTCP address by SDP; the same as its RTP address with rtcp-mux.
    offered: Option<(SocketAddr, SocketAddr)>,
    /// Where its control packets really come from.
    source: Option<SocketAddr>,
    /// Packets sent when we last reported.
    reported: u64,
    /// The middle of the NTP time in its last sender report, and when that came.
    heard: Option<(u32, Duration)>,
    pub(crate) far: FarSide,
}

/// What the far side reported of our stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FarSide {
    /// How often it reported.
    pub(crate) reports: u64,
    pub(crate) round_trip: Option<Duration>,
    pub(crate) lost: u64,
    pub(crate) jitter: Duration,
}

/// Why bytes are not a compound of control packets: the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// Where control packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Between the RTP ports (RFC 5761).
    Shared(SocketAddr),
    /// Between ports of their own.
    Own(SocketAddr),
}

/// Half of a random canonical name (RFC 7022), in hexadecimal.
const NAME: usize = 16;
const VERSION: u8 = 0x80;
const SENDER: u8 = 200;
const RECEIVER: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const BLOCK: usize = 24;
/// Seconds from 1900 to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;
/// A round trip longer than this is somebody's mistake.
const ROUND_TRIP_MAX: u32 = 30 << 16;

impl Control {
    pub(crate) fn new(interval: Duration, random: &mut Random) -> Self {
        let mut name = [0; NAME];
        for (digit, bits) in name.iter_mut().zip(random.bits().to_be_bytes().into_iter().cycle()) {
            *digit = b'a' + ((bits ^ random.half() as u8) & 0x0F);
        }
        Self {
            interval,
            next: None,
            name,
            offered: None,
            source: None,
            reported: 0,
            heard: None,
            far: FarSide::default(),
        }
    }

    pub(crate) fn remote(&mut self, description: &MediaDescription) {
        let offered = Some((description.rtp, description.rtcp));
        if offered != self.offered {
            self.source = None;
        }
        self.offered = offered;
    }

    /// Where control packets go, given where RTP goes.
    pub(crate) fn way(&self, rtp: SocketAddr) -> Option<Way> {
        let (offered_rtp, offered_rtcp) = self.offered?;
        if offered_rtp == offered_rtcp {
            return Some(Way::Shared(rtp));
        }
        let behind_translator = rtp.ip() != offered_rtcp.ip();
        let guess = if behind_translator {
            SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)
        } else {
            offered_rtcp
        };
        Some(Way::Own(self.source.unwrap_or(guess)))
    }

    /// Whether a report is due now; if so, the next one is set for half to one and a half intervals later.
    pub(crate) fn is_due(&mut self, now: Duration, random: &mut Random) -> bool {
        if self.interval.is_zero() {
            return false;
        }
        let next = *self.next.get_or_insert_with(|| now + self.interval / 2);
        if now < next {
            return false;
        }
        let span = random.below(1001) as u32;
        self.next = Some(now + self.interval / 2 + self.interval * span / 1000);
        true
    }

    /// A compound: a report (SR if we sent since the last one), our name, and BYE if this is the last.
    pub(crate) fn compound(
        &mut self,
        now: Duration,
        ours: &Timeline,
        theirs: (Option<u32>, &mut Reception),
        last: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(112);
        let block = theirs.0.zip(theirs.1.block());
        let count = u8::from(block.is_some());
        let words = u16::from(count) * 6;
        if ours.packets > self.reported {
            self.reported = ours.packets;
            out.extend(head(count, SENDER, words + 6));
            out.extend(ours.ssrc.to_be_bytes());
            out.extend(ntp(now).to_be_bytes());
            out.extend(ours.on_clock(ours.timestamp).to_be_bytes());
            out.extend((ours.packets as u32).to_be_bytes());
            out.extend((ours.octets as u32).to_be_bytes());
        } else {
            out.extend(head(count, RECEIVER, words + 1));
            out.extend(ours.ssrc.to_be_bytes());
        }
        if let Some((ssrc, block)) = block {
            self.write_block(now, ssrc, block, &mut out);
        }
        // SSRC, CNAME with its type and length, two zeros that end the list and fill the word.
        out.extend(head(1, DESCRIPTION, 1 + (2 + NAME as u16 + 2) / 4));
        out.extend(ours.ssrc.to_be_bytes());
        out.extend([1, NAME as u8]);
        out.extend(self.name);
        out.extend([0, 0]);
        if last {
            out.extend(head(1, GOODBYE, 1));
            out.extend(ours.ssrc.to_be_bytes());
        }
        out
    }

    /// Takes in a compound from the far side; `ours` is the SSRC that we send with. Gives how many packets the far
    /// side says that it sent, if it says so.
    pub(crate) fn read(
        &mut self,
        now: Duration,
        from: SocketAddr,
        ours: u32,
        bytes: &[u8],
    ) -> Result<Option<u32>, Invalid> {
        validate(bytes)?;
        self.source = Some(from);
        let mut claimed = None;
        let mut rest = bytes;
        while let Ok(packet) = take(&mut rest) {
            match packet.kind {
                SENDER => {
                    let Some((&[.., n2, n3, n4, n5, _, _], blocks)) = sender_info(packet.body) else {
                        continue;
                    };
                    self.heard = Some((u32::from_be_bytes([n2, n3, n4, n5]), now));
                    claimed = packet.body.get(16..20).and_then(|count| count.try_into().ok());
                    self.blocks(now, ours, packet.count, blocks);
                }
                RECEIVER => self.blocks(now, ours, packet.count, packet.body.get(4..).unwrap_or(&[])),
                _ => {}
            }
        }
        Ok(claimed.map(u32::from_be_bytes))
    }

    fn blocks(&mut self, now: Duration, ours: u32, count: u8, bytes: &[u8]) {
        for block in bytes.chunks_exact(BLOCK).take(usize::from(count)) {
            let mut words =
                block.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_be_bytes);
            let (Some(ssrc), Some(lost), Some(_highest)) = (words.next(), words.next(), words.next()) else {
                return;
            };
            let (Some(jitter), Some(reported), Some(delay)) = (words.next(), words.next(), words.next())
            else {
                return;
            };
            if ssrc != ours {
                continue;
            }
            // The cumulative loss is signed (24 bits): duplicates can make it negative.
            let lost = (lost << 8).cast_signed() >> 8;
            self.far.reports += 1;
            self.far.lost = u64::try_from(lost).unwrap_or(0);
            self.far.jitter = Duration::from_micros(u64::from(jitter) * 125);
            let trip = middle(now).wrapping_sub(reported).wrapping_sub(delay);
            if reported != 0 && trip < ROUND_TRIP_MAX {
                self.far.round_trip = Some(Duration::from_nanos((u64::from(trip) * 1_000_000_000) >> 16));
            }
        }
    }

    fn write_block(&self, now: Duration, ssrc: u32, block: Block, out: &mut Vec<u8>) {
        let (report, since) = match self.heard {
            Some((report, at)) => (report, now.saturating_sub(at)),
            None => (0, Duration::ZERO),
        };
        let delay = ((since.as_nanos() << 16) / 1_000_000_000).min(u128::from(u32::MAX)) as u32;
        out.extend(ssrc.to_be_bytes());
        let lost = block.lost.cast_unsigned() & 0x00FF_FFFF;
        out.extend((u32::from(block.fraction_lost) << 24 | lost).to_be_bytes());
        for word in [block.highest, block.jitter, report, delay] {
            out.extend(word.to_be_bytes());
        }
    }
}

struct Packet<'a> {
    count: u8,
    padded: bool,
    kind: u8,
    body: &'a [u8],
}

/// Takes the first packet off a compound.
fn take<'a>(rest: &mut &'a [u8]) -> Result<Packet<'a>, Invalid> {
    let (&[flags, kind, l0, l1], after) = rest.split_first_chunk().ok_or(Invalid)?;
    let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
    let (body, after) = after.split_at_checked(length).ok_or(Invalid)?;
    *rest = after;
    if flags & 0xC0 != VERSION {
        return Err(Invalid);
    }
    Ok(Packet { count: flags & 0x1F, padded: flags & 0x20 != 0, kind, body })
}

/// RFC 3550 A.2: version 2 throughout, a report first, lengths that add up, padding in the last packet alone,
/// and reports as long as their count says.
fn validate(bytes: &[u8]) -> Result<(), Invalid> {
    let mut rest = bytes;
    let mut first = true;
    while !rest.is_empty() {
        let packet = take(&mut rest)?;
        let reports = usize::from(packet.count) * BLOCK;
        let fits = match packet.kind {
            SENDER => packet.body.len() >= 24 + reports,
            RECEIVER => packet.body.len() >= 4 + reports,
            _ => !first,
        };
        if !fits || (packet.padded && !rest.is_empty()) {
            return Err(Invalid);
        }
        first = false;
    }
    if first { Err(Invalid) } else { Ok(()) }
}

/// SSRC and NTP time of a sender report, and its blocks: the middle of the time are bytes 6 to 9 of the body.
fn sender_info(body: &[u8]) -> Option<(&[u8; 12], &[u8])> {
    Some((body.first_chunk()?, body.get(24..)?))
}

/// A packet's first word; `words` are those after it.
const fn head(count: u8, kind: u8, words: u16) -> [u8; 4] {
    let [l0, l1] = words.to_be_bytes();
    [VERSION | count, kind, l0, l1]
}

/// A time since the Unix epoch as an NTP timestamp.
fn ntp(now: Duration) -> u64 {
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs().wrapping_add(NTP_EPOCH) << 32) | fraction
}

/// The middle 32 bits of the NTP time: units of 1/65536 s.
fn middle(now: Duration) -> u32 {
    (ntp(now) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use ::rtcp::{
        goodbye::Goodbye, header::PacketType, receiver_report::ReceiverReport, sender_report::SenderReport,
        source_description::SourceDescription,
    };
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_millis(1_700_000_000_250);

    fn control() -> Control {
        Control::new(Duration::from_secs(5), &mut Random::new(1))
    }

    fn timeline(packets: u64) -> Timeline {
        Timeline {
            ssrc: 0xAABB_CCDD,
            timestamp: 777,
            pace: 1,
            packets,
            octets: packets * 160,
            ..Timeline::start(&mut Random::new(2))
        }
    }

    fn from() -> SocketAddr {
        ([203, 0, 113, 5], 4001).into()
    }

    fn received(count: u16, except: impl Fn(u16) -> bool) -> Reception {
        let mut reception = Reception::default();
        (0..count).filter(|n| !except(*n)).for_each(|n| {
            reception.note(n);
        });
        reception
    }

    #[test]
    fn an_independent_reader_understands_what_we_write() {
        let mut control = control();
        let mut reception = received(100, |n| n % 10 == 5);
        let bytes = control.compound(NOW, &timeline(50), (Some(0x11), &mut reception), true);
        let packets = ::rtcp::packet::unmarshal(&mut bytes::Bytes::from(bytes)).unwrap();
        assert_eq!(packets.len(), 3);
        let report = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!((report.ssrc, report.rtp_time, report.packet_count), (0xAABB_CCDD, 777, 50));
        assert_eq!(report.ntp_time >> 32, 1_700_000_000 + 2_208_988_800);
        assert_eq!((report.ntp_time as u32), 1 << 30, "a quarter of a second");
        assert_eq!(report.reports.len(), 1);
        assert_eq!((report.reports[0].ssrc, report.reports[0].total_lost), (0x11, 10));
        assert_eq!(report.reports[0].fraction_lost, 25);
        let names = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
        assert_eq!(names.chunks[0].items[0].text.len(), NAME);
        assert_eq!(packets[2].as_any().downcast_ref::<Goodbye>().unwrap().sources, [0xAABB_CCDD]);
    }

    #[test]
    fn who_sent_nothing_since_the_last_report_is_a_receiver() {
        let mut control = control();
        let mut nothing = Reception::default();
        let kind = |bytes: &[u8]| PacketType::from(bytes[1]);
        let first = control.compound(NOW, &timeline(50), (None, &mut nothing), false);
        let second = control.compound(NOW, &timeline(50), (None, &mut nothing), false);
        assert_eq!((kind(&first), kind(&second)), (PacketType::SenderReport, PacketType::ReceiverReport));
        let packets = ::rtcp::packet::unmarshal(&mut bytes::Bytes::from(second)).unwrap();
        assert!(packets[0].as_any().downcast_ref::<ReceiverReport>().unwrap().reports.is_empty());
    }

    #[test]
    fn the_round_trip_is_what_two_clocks_agree_on() {
        let (mut one, mut other) = (control(), control());
        let (trip, thought) = (Duration::from_millis(35), Duration::from_millis(1200));
        let mut reception = received(10, |_| false);
        let report = one.compound(NOW, &timeline(1), (None, &mut Reception::default()), false);
        // The other's clock is years away: only its own differences count.
        let there = Duration::from_secs(86_400);
        other.read(there, from(), 0, &report).unwrap();
        let answer =
            other.compound(there + thought, &timeline(0), (Some(0xAABB_CCDD), &mut reception), false);
        one.read(NOW + trip * 2 + thought, from(), 0xAABB_CCDD, &answer).unwrap();
        let measured = one.far.round_trip.unwrap();
        assert!(measured.abs_diff(trip * 2) < Duration::from_millis(1), "{measured:?}");
    }

    #[test]
    fn blocks_about_others_are_not_about_us_and_negative_loss_is_no_loss() {
        let (mut one, mut other) = (control(), control());
        let mut reception = received(100, |n| n % 2 == 1);
        let report = other.compound(NOW, &timeline(0), (Some(5), &mut reception), false);
        one.read(NOW, from(), 6, &report).unwrap();
        assert_eq!(one.far, FarSide::default());
        one.read(NOW, from(), 5, &report).unwrap();
        assert_eq!(one.far.lost, 49);
        let mut twice = report;
        twice[13..16].copy_from_slice(&[0xFF, 0xFF, 0xFE]);
        one.read(NOW, from(), 5, &twice).unwrap();
        assert_eq!(one.far.lost, 0);
    }

    #[test]
    fn what_is_no_compound_is_refused_whole() {
        let good = control().compound(NOW, &timeline(9), (Some(5), &mut received(5, |_| false)), true);
        assert_eq!(control().read(NOW, from(), 1, &good), Ok(Some(9)));
        let check =
            |bytes: &[u8]| assert_eq!(control().read(NOW, from(), 1, bytes), Err(Invalid), "{bytes:?}");
        check(&[]);
        check(&good[..3]);
        check(&good[..good.len() - 1]);
        check(&good[52..]);
        let with = |place: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[place] = value;
            bytes
        };
        check(&with(0, 0x41));
        check(&with(0, 0x82));
        check(&with(0, 0xA1));
        check(&with(3, 200));
    }

    #[test]
    fn reports_come_on_average_at_the_interval_and_never_in_step() {
        let (mut control, mut random) = (control(), Random::new(9));
        let due: Vec<u32> =
            (0..300_000).filter(|n| control.is_due(Duration::from_millis(20) * *n, &mut random)).collect();
        assert!((1150..1250).contains(&due.len()), "{}", due.len());
        let gaps: Vec<u32> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (124..=377).contains(gap)));
        assert!(gaps.iter().min() != gaps.iter().max());
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _verdict = control().read(NOW, from(), 1, &bytes);
        }

        #[test]
        fn any_change_to_a_good_compound_is_safe(
            place in 0_usize..100, value: u8, cut in 0_usize..100,
        ) {
            let mut bytes = control().compound(NOW, &timeline(9), (Some(5), &mut received(5, |_| false)), true);
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
            let _verdict = control().read(NOW, from(), 5, &bytes);
        }
    }
}
