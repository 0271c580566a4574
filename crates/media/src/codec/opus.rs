//! Opus through libopus: mono, 16 kHz on our side whatever the far side plays, speech.
//!
//! What an encoder costs is measured in `benches/codec.rs`. Complexity 0 at 24 kbit/s needs about half of what 3
//! does. Sound that holds nothing above 4 kHz is told to be narrowband: it needs fewer operations and bits.

use opus::{Application, Bandwidth, Bitrate, Channels, Decoder, Encoder, Signal};

use super::{Band, OpusEffort};
use crate::session::OpusWishes;

const RATE: u32 = 16_000;
/// 120 ms, the longest packet (RFC 6716 §3.1).
const SAMPLES_MAX: usize = 1920;
/// The loss that forward error correction is made for, in per cent.
const LOSS: i32 = 10;

/// Makes packets.
pub(crate) struct OpusEncoder {
    encoder: Encoder,
    band: Option<Band>,
    /// The far side plays no more than this.
    widest: Band,
}

/// Reads packets.
pub(crate) struct OpusDecoder {
    decoder: Decoder,
}

impl OpusEncoder {
    /// `None` if there is no memory for one.
    pub(crate) fn new(effort: OpusEffort, wishes: OpusWishes) -> Option<Self> {
        let mut encoder = Encoder::new(RATE, Channels::Mono, Application::Voip).ok()?;
        let bitrate = effort.bitrate.min(wishes.bitrate_max.unwrap_or(u32::MAX)).max(6_000);
        encoder.set_complexity(i32::from(effort.complexity.min(10))).ok()?;
        encoder.set_bitrate(Bitrate::Bits(i32::try_from(bitrate).unwrap_or(i32::MAX))).ok()?;
        encoder.set_signal(Signal::Voice).ok()?;
        encoder.set_inband_fec(wishes.fec).ok()?;
        encoder.set_packet_loss_perc(if wishes.fec { LOSS } else { 0 }).ok()?;
        encoder.set_dtx(false).ok()?;
        let widest = if wishes.playback_hz < RATE { Band::Narrow } else { Band::Wide };
        Some(Self { encoder, band: None, widest })
    }

    /// Encodes 10, 20, 40 or 60 ms; gives the length, 0 if it cannot be.
    pub(crate) fn encode(&mut self, sound: &[i16], band: Band, out: &mut [u8]) -> usize {
        let band = if self.widest == Band::Narrow { Band::Narrow } else { band };
        if self.band != Some(band) {
            let most = match band {
                Band::Narrow => Bandwidth::Narrowband,
                Band::Wide => Bandwidth::Wideband,
            };
            self.band = self.encoder.set_max_bandwidth(most).ok().map(|()| band);
        }
        self.encoder.encode(sound, out).unwrap_or(0)
    }
}

impl OpusDecoder {
    /// `None` if there is no memory for one.
    pub(crate) fn new() -> Option<Self> {
        Some(Self { decoder: Decoder::new(RATE, Channels::Mono).ok()? })
    }

    /// Appends what a packet says; for one that is damaged, what libopus makes up instead.
    pub(crate) fn decode(&mut self, packet: &[u8], sound: &mut Vec<i16>) {
        let start = sound.len();
        sound.resize(start + SAMPLES_MAX, 0);
        let room = sound.get_mut(start..).unwrap_or_default();
        let length = self.decoder.decode(packet, room, false).unwrap_or(0);
        sound.truncate(start + length);
    }

    /// Makes up what was lost before `next`, from what that packet repeats of it if it does. False if nothing
    /// could be made; a hole is a whole number of 2.5 ms.
    pub(crate) fn recover(&mut self, next: &[u8], hole: &mut [i16]) -> bool {
        hole.len() <= SAMPLES_MAX
            && hole.len().is_multiple_of(40)
            && self.decoder.decode(next, hole, true).is_ok()
    }
}

/// How long a packet lasts, in ticks of 8 kHz as all our timelines count; `None` if it is none.
pub(crate) fn packet_ticks(packet: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(packet, 8_000).ok()?;
    u32::try_from(samples).ok().filter(|ticks| (1..=960).contains(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    fn packets(effort: OpusEffort, wishes: OpusWishes) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(effort, wishes).unwrap();
        let sound = tone::sine(220.0, -18.0, 32_000);
        let encode = |frame: &[i16]| {
            let mut out = [0; 640];
            let length = encoder.encode(frame, Band::Wide, &mut out);
            out[..length].to_vec()
        };
        sound.chunks_exact(320).map(encode).collect()
    }

    #[test]
    fn the_far_side_says_how_many_bits_it_wants() {
        let bytes = |bitrate_max| {
            let wishes = OpusWishes { bitrate_max, ..OpusWishes::default() };
            packets(OpusEffort::default(), wishes).iter().map(Vec::len).sum::<usize>()
        };
        assert!(bytes(Some(8_000)) < bytes(None) * 2 / 3);
    }

    #[test]
    fn a_lost_packet_is_recovered_from_the_one_after_it() {
        let wishes = OpusWishes { fec: true, ..OpusWishes::default() };
        let packets = packets(OpusEffort::default(), wishes);
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = Vec::new();
        for (number, packet) in packets.iter().enumerate() {
            if number % 10 == 8 {
                let mut hole = [0; 320];
                assert!(decoder.recover(&packets[number + 1], &mut hole));
                out.extend(hole);
            } else {
                decoder.decode(packet, &mut out);
            }
        }
        assert_eq!(out.len(), 32_000);
        let level = tone::goertzel(&out[3200..], 220.0);
        assert!((level + 18.0).abs() < 3.0, "{level}");
    }

    #[test]
    fn a_packet_says_how_long_it_lasts() {
        let packet = &packets(OpusEffort::default(), OpusWishes::default())[3];
        assert_eq!(packet_ticks(packet), Some(160));
        assert_eq!(packet_ticks(&[]), None);
    }
}
