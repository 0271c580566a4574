//! Payloads of any codec made and read one by one, for whoever plays a far side: the load tester and benches.

use super::{Band, Decoders, Encoder, OpusEffort};
use crate::session::{Codec, OpusWishes};

/// Turns sound into payloads of one codec.
pub struct PayloadEncoder {
    codec: Codec,
    encoder: Option<Encoder>,
}

/// Turns payloads of one codec into sound.
pub struct PayloadDecoder {
    codec: Codec,
    decoders: Decoders,
}

impl PayloadEncoder {
    /// An encoder; `None` if the system gives no memory for it. Opus is made wideband at 24 kbit/s.
    #[must_use]
    pub fn new(codec: Codec) -> Option<Self> {
        let encoder = Encoder::new(codec, OpusEffort::default(), OpusWishes::default());
        (encoder.is_some() || codec.law().is_some()).then_some(Self { codec, encoder })
    }

    /// Appends what 20 ms of sound at the codec's [`Codec::sound_hz`] become.
    pub fn encode(&mut self, sound: &[i16], out: &mut Vec<u8>) {
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(sound, Band::Wide, out);
        } else if let Some(law) = self.codec.law() {
            let start = out.len();
            out.resize(start + sound.len(), law.silence());
            law.encode_into(sound, out.get_mut(start..).unwrap_or_default());
        }
    }
}

impl PayloadDecoder {
    /// A decoder.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self { codec, decoders: Decoders::default() }
    }

    /// Appends what a payload says, at the codec's [`Codec::sound_hz`]; nothing if it cannot be read.
    pub fn decode(&mut self, payload: &[u8], sound: &mut Vec<i16>) {
        match self.codec {
            Codec::Pcmu | Codec::Pcma => {
                let Some(law) = self.codec.law() else { return };
                let start = sound.len();
                sound.resize(start + payload.len(), 0);
                law.decode_into(payload, sound.get_mut(start..).unwrap_or_default());
            }
            Codec::G722 => self.decoders.g722(payload, sound),
            Codec::Opus => {
                if let Some(decoder) = self.decoders.opus() {
                    decoder.decode(payload, sound);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{level, tone};

    #[test]
    fn sound_goes_through_every_codec_at_its_own_rate() {
        for codec in Codec::ALL {
            let rate = codec.sound_hz() as usize;
            let hertz = 500.0 * 8_000.0 / f64::from(codec.sound_hz());
            let sound = tone::sine(hertz, -20.0, rate);
            let mut encoder = PayloadEncoder::new(codec).unwrap();
            let mut decoder = PayloadDecoder::new(codec);
            let mut out = Vec::new();
            for frame in sound.chunks_exact(rate / 50) {
                let mut payload = Vec::new();
                encoder.encode(frame, &mut payload);
                decoder.decode(&payload, &mut out);
            }
            assert_eq!(out.len(), rate, "{codec:?}");
            let half = &out[rate / 2..];
            assert!((tone::goertzel(half, hertz) + 20.0).abs() < 1.5, "{codec:?} {}", level::dbov(half));
        }
    }
}
