//! The codecs that keep state: G.722 and Opus, both as sound at 16 kHz. G.711 is in `g711.rs` and needs none of this.
//!
//! An encoder or decoder is made when a leg begins to speak its codec; nothing is made per frame.

mod opus;
mod payload;

use audio_codec::{
    Decoder as _, Encoder as _,
    g722::{G722Decoder, G722Encoder},
};

pub(crate) use self::opus::{OpusDecoder, OpusEncoder, packet_ticks};
pub use self::payload::{PayloadDecoder, PayloadEncoder};
use crate::session::{Codec, OpusWishes};

/// How Opus is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusEffort {
    /// How hard the encoder tries, 0 to 10: from 2 on it costs twice as much.
    pub complexity: u8,
    /// Bits in a second, unless the far side wants fewer.
    pub bitrate: u32,
}

impl Default for OpusEffort {
    fn default() -> Self {
        Self { complexity: 0, bitrate: 24_000 }
    }
}

/// The most bytes that one encoded packet has.
pub(crate) const ENCODED_MAX: usize = 640;

/// Turns sound at 16 kHz into payloads.
pub(crate) enum Encoder {
    G722(Box<G722Encoder>),
    Opus(OpusEncoder),
}

/// What the sound to be encoded holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Band {
    /// Nothing above 4 kHz.
    Narrow,
    Wide,
}

impl Encoder {
    /// An encoder for a codec that needs one.
    pub(crate) fn new(codec: Codec, effort: OpusEffort, wishes: OpusWishes) -> Option<Self> {
        match codec {
            Codec::Pcmu | Codec::Pcma => None,
            Codec::G722 => Some(Self::G722(Box::new(G722Encoder::new()))),
            Codec::Opus => OpusEncoder::new(effort, wishes).map(Self::Opus),
        }
    }

    /// Appends what the sound becomes; nothing if it cannot be encoded.
    pub(crate) fn encode(&mut self, sound: &[i16], band: Band, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + ENCODED_MAX, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let length = match self {
            Self::G722(encoder) => encoder.encode_into(sound, room).unwrap_or(0),
            Self::Opus(encoder) => encoder.encode(sound, band, room),
        };
        out.truncate(start + length);
    }
}

/// Turns payloads into sound at 16 kHz.
#[derive(Default)]
pub(crate) struct Decoders {
    g722: Option<Box<G722Decoder>>,
    opus: Option<OpusDecoder>,
}

impl Decoders {
    /// Appends what a payload of G.722 says.
    pub(crate) fn g722(&mut self, bytes: &[u8], sound: &mut Vec<i16>) {
        let decoder = self.g722.get_or_insert_with(|| Box::new(G722Decoder::new()));
        let start = sound.len();
        sound.resize(start + bytes.len() * 2, 0);
        let room = sound.get_mut(start..).unwrap_or_default();
        let decoded = decoder.decode_into(bytes, room).unwrap_or(0);
        sound.truncate(start + decoded);
    }

    /// The decoder of Opus, if the system gives the memory for one.
    pub(crate) fn opus(&mut self) -> Option<&mut OpusDecoder> {
        if self.opus.is_none() {
            self.opus = OpusDecoder::new();
        }
        self.opus.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{session::WIDE_FRAME, tone};

    /// A tone through a codec and back, the first 200 ms left out. At 16 kHz a tone is half as high to `tone.rs`.
    fn through(codec: Codec, hertz: f64, band: Band) -> Vec<i16> {
        let sound = tone::sine(hertz / 2.0, -20.0, 16_000);
        let mut encoder = Encoder::new(codec, OpusEffort::default(), OpusWishes::default()).unwrap();
        let mut decoders = Decoders::default();
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        for frame in sound.chunks_exact(WIDE_FRAME) {
            payload.clear();
            encoder.encode(frame, band, &mut payload);
            assert!(!payload.is_empty() && payload.len() <= 160, "{codec:?}: {} bytes", payload.len());
            match codec {
                Codec::G722 => decoders.g722(&payload, &mut out),
                Codec::Pcmu | Codec::Pcma | Codec::Opus => {
                    decoders.opus().unwrap().decode(&payload, &mut out)
                }
            }
        }
        out.split_off(3200)
    }

    #[test]
    fn a_tone_above_4_khz_survives_both_codecs() {
        for codec in [Codec::G722, Codec::Opus] {
            for hertz in [400.0, 1000.0, 5200.0] {
                let out = through(codec, hertz, Band::Wide);
                assert_eq!(out.len(), 16_000 - 3200);
                let level = tone::goertzel(&out, hertz / 2.0);
                assert!((level + 20.0).abs() < 4.0, "{codec:?} {hertz} Hz: {level} dBov");
            }
        }
    }

    #[test]
    fn narrow_sound_costs_opus_no_band_that_is_empty() {
        let out = through(Codec::Opus, 1000.0, Band::Narrow);
        assert!((tone::goertzel(&out, 500.0) + 20.0).abs() < 3.0);
    }

    #[test]
    fn any_bytes_are_safe_to_decode() {
        let mut random = crate::random::Random::new(5);
        let mut decoders = Decoders::default();
        let mut out = Vec::new();
        for round in 0..3000_u64 {
            let bytes: Vec<u8> = (0..random.below(200)).map(|_| random.half() as u8).collect();
            out.clear();
            decoders.g722(&bytes, &mut out);
            assert_eq!(out.len(), bytes.len() * 2);
            out.clear();
            let decoder = decoders.opus().unwrap();
            decoder.decode(&bytes, &mut out);
            decoder.recover(&bytes, &mut [0; 320]);
            assert!(out.len() <= 1920, "round {round}");
        }
    }
}
