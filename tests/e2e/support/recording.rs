//! What an ear heard, put together from packets, with the time of each sample.

use std::time::Duration;

use segue_media::g711::Law;

use super::endpoint::FRAME;

/// One RTP packet as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    /// Since the Unix epoch.
    pub(crate) at: Duration,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// Reads a packet without extensions; `None` for anything else, such as RTCP.
    pub(crate) fn read(bytes: &[u8], at: Duration) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<12>()?;
        let [0x80, kind, s1, s0, t3, t2, t1, t0, c3, c2, c1, c0] = *head else { return None };
        Some(Self {
            at,
            payload_type: kind & 0x7f,
            sequence: u16::from_be_bytes([s1, s0]),
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            ssrc: u32::from_be_bytes([c3, c2, c1, c0]),
            payload: payload.to_vec(),
        })
    }

    /// Whether it is a whole frame of µ-law.
    pub(crate) fn is_sound(&self) -> bool {
        self.payload_type == 0 && self.payload.len() == FRAME
    }
}

/// Sound on one timeline.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// When the first sample came, since the Unix epoch.
    pub(crate) from: Duration,
    /// 8 kHz; what was lost is silent.
    pub(crate) samples: Vec<i16>,
}

impl Recording {
    /// Puts the sound of one source together; the packets are those of one SSRC.
    pub(crate) fn of(packets: &[Packet]) -> Self {
        let sound: Vec<&Packet> = packets.iter().filter(|packet| packet.is_sound()).collect();
        let Some(first) = sound.first() else { return Self { from: Duration::ZERO, samples: Vec::new() } };
        let place = |packet: &Packet| packet.timestamp.wrapping_sub(first.timestamp) as usize;
        let end = sound.iter().map(|packet| place(packet) + FRAME).max().unwrap_or_default();
        let mut samples = vec![0; end];
        for packet in &sound {
            let into = &mut samples[place(packet)..place(packet) + FRAME];
            Law::Pcmu.decode_into(&packet.payload, into);
        }
        // The packet that came quickest tells best when the timeline began; a frame is sent when it is over.
        let from = sound.iter().map(|packet| packet.at.saturating_sub(time_of(place(packet) + FRAME))).min();
        Self { from: from.unwrap_or_default(), samples }
    }

    /// The part between two moments.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> &[i16] {
        let place = |at: Duration| {
            ((at.saturating_sub(self.from).as_micros() / 125) as usize).min(self.samples.len())
        };
        &self.samples[place(from)..place(to).max(place(from))]
    }

    /// The part from a moment to the end.
    pub(crate) fn since(&self, from: Duration) -> &[i16] {
        self.between(from, Duration::MAX)
    }
}

/// How long so many samples last.
pub(crate) fn time_of(samples: usize) -> Duration {
    Duration::from_micros(125 * samples as u64)
}

/// What is wrong with a stream that should be one source without a break: nothing, if it is.
pub(crate) fn breaks(packets: &[Packet]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, pair) in packets.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        if before.ssrc != after.ssrc {
            found.push(format!("packet {at}: SSRC {:08x} became {:08x}", before.ssrc, after.ssrc));
            continue;
        }
        let sequence = after.sequence.wrapping_sub(before.sequence);
        let timestamp = after.timestamp.wrapping_sub(before.timestamp);
        if sequence != 1 || timestamp != FRAME as u32 {
            found.push(format!("packet {at}: sequence +{sequence}, timestamp +{timestamp}"));
        }
    }
    found
}
