//! G.711: µ-law and A-law to and from 16-bit linear, straight between the two, and the energy of encoded
//! frames without decoding them. Tables are made at compile time; nothing allocates.

/// One of the two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// µ-law.
    Pcmu,
    /// A-law.
    Pcma,
}

/// Samples, and bytes of G.711, in one frame of 20 ms.
pub const FRAME: usize = 160;

/// One encoded frame of 20 ms.
pub type Frame = [u8; FRAME];

/// One linear frame of 20 ms.
pub type Samples = [i16; FRAME];

impl Law {
    /// The byte that decodes nearest to zero.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xFF,
            Self::Pcma => 0xD5,
        }
    }

    /// One byte to 16-bit linear.
    #[must_use]
    pub fn decode(self, byte: u8) -> i16 {
        at(self.tables().linear, byte)
    }

    /// 16-bit linear to the byte nearest to it.
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => encode_pcmu(sample),
            Self::Pcma => encode_pcma(sample),
        }
    }

    /// Decodes as many bytes as there is room for samples.
    pub fn decode_into(self, bytes: &[u8], samples: &mut [i16]) {
        let table = self.tables().linear;
        for (sample, &byte) in samples.iter_mut().zip(bytes) {
            *sample = at(table, byte);
        }
    }

    /// Encodes as many samples as there is room for bytes.
    pub fn encode_into(self, samples: &[i16], bytes: &mut [u8]) {
        for (byte, &sample) in bytes.iter_mut().zip(samples) {
            *byte = self.encode(sample);
        }
    }

    /// Rewrites bytes of this codec as bytes of `to`, in place.
    pub fn transcode(self, to: Self, bytes: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &PCMU_TO_PCMA,
            (Self::Pcma, Self::Pcmu) => &PCMA_TO_PCMU,
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => return,
        };
        for byte in bytes {
            *byte = at(table, *byte);
        }
    }

    /// The mean square of encoded samples, 0 for none.
    #[must_use]
    pub fn power(self, bytes: &[u8]) -> u64 {
        let table = self.tables().square;
        let sum: u64 = bytes.iter().map(|&byte| u64::from(at(table, byte))).sum();
        sum.checked_div(bytes.len() as u64).unwrap_or(0)
    }

    /// Whether the mean square of encoded samples is below `power`; most sound is known after a few samples.
    #[must_use]
    pub fn is_below(self, power: u64, bytes: &[u8]) -> bool {
        let table = self.tables().square;
        let enough = power * bytes.len() as u64;
        let mut sum = 0;
        for chunk in bytes.chunks(16) {
            sum += chunk.iter().map(|&byte| u64::from(at(table, byte))).sum::<u64>();
            if sum >= enough {
                return false;
            }
        }
        true
    }

    const fn tables(self) -> Tables {
        match self {
            Self::Pcmu => Tables { linear: &PCMU_LINEAR, square: &PCMU_SQUARE },
            Self::Pcma => Tables { linear: &PCMA_LINEAR, square: &PCMA_SQUARE },
        }
    }
}

struct Tables {
    linear: &'static [i16; 256],
    square: &'static [u32; 256],
}

#[expect(clippy::indexing_slicing, reason = "a byte cannot be outside a table of 256")]
const fn at<T: Copy>(table: &[T; 256], byte: u8) -> T {
    table[byte as usize]
}

const fn decode_pcmu(byte: u8) -> i16 {
    let bits = !byte;
    let magnitude = ((((bits & 0x0F) as i16) << 3) + 132) << ((bits >> 4) & 7);
    if bits & 0x80 == 0 { magnitude - 132 } else { 132 - magnitude }
}

const fn encode_pcmu(sample: i16) -> u8 {
    let clipped = if sample.unsigned_abs() > 32_635 { 32_635 } else { sample.unsigned_abs() };
    let biased = clipped + 132;
    let exponent = 8 - biased.leading_zeros() as u16;
    let code = (exponent << 4) | ((biased >> (exponent + 3)) & 0x0F);
    !(code as u8 | if sample < 0 { 0x80 } else { 0 })
}

const fn decode_pcma(byte: u8) -> i16 {
    let bits = byte ^ 0x55;
    let mantissa = ((bits & 0x0F) as i16) << 4;
    let magnitude = match (bits >> 4) & 7 {
        0 => mantissa + 8,
        exponent => (mantissa + 264) << (exponent - 1),
    };
    if bits & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn encode_pcma(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample as u16 } else { sample as u16 };
    let code = if magnitude < 256 {
        magnitude >> 4
    } else {
        let exponent = 8 - magnitude.leading_zeros() as u16;
        (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)
    };
    code as u8 ^ if sample < 0 { 0x55 } else { 0xD5 }
}

static PCMU_LINEAR: [i16; 256] = linear(true);
static PCMA_LINEAR: [i16; 256] = linear(false);
static PCMU_SQUARE: [u32; 256] = square(&PCMU_LINEAR);
static PCMA_SQUARE: [u32; 256] = square(&PCMA_LINEAR);
static PCMU_TO_PCMA: [u8; 256] = between(true);
static PCMA_TO_PCMU: [u8; 256] = between(false);

#[expect(clippy::indexing_slicing, reason = "the loop ends with the table")]
const fn linear(pcmu: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if pcmu { decode_pcmu(byte as u8) } else { decode_pcma(byte as u8) };
        byte += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "the loop ends with the table")]
const fn square(linear: &[i16; 256]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let sample = linear[byte] as i32;
        table[byte] = (sample * sample) as u32;
        byte += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "the loop ends with the table")]
const fn between(from_pcmu: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = if from_pcmu {
            encode_pcma(decode_pcmu(byte as u8))
        } else {
            encode_pcmu(decode_pcma(byte as u8))
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use audio_codec::Decoder;

    use super::*;

    const BOTH: [Law; 2] = [Law::Pcmu, Law::Pcma];

    #[test]
    fn every_byte_decodes_as_an_independent_decoder_says() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut reference = [vec![0; 256], vec![0; 256]];
        audio_codec::pcmu::PcmuDecoder::new().decode_into(&bytes, &mut reference[0]).unwrap();
        audio_codec::pcma::PcmaDecoder::new().decode_into(&bytes, &mut reference[1]).unwrap();
        for (codec, expected) in BOTH.into_iter().zip(reference) {
            let ours: Vec<i16> = bytes.iter().map(|&byte| codec.decode(byte)).collect();
            assert_eq!(ours, expected, "{codec:?}");
        }
    }

    #[test]
    fn a_sample_comes_back_within_half_a_step_of_its_segment() {
        for codec in BOTH {
            for sample in -32_635..=32_635_i16 {
                let byte = codec.encode(sample);
                let exponent = match codec {
                    Law::Pcmu => (!byte >> 4) & 7,
                    Law::Pcma => (((byte ^ 0x55) >> 4) & 7).max(1),
                };
                let error = (i32::from(codec.decode(byte)) - i32::from(sample)).abs();
                assert!(error <= 4 << exponent, "{codec:?} {sample}: {error}");
            }
            assert_eq!(codec.encode(i16::MIN), codec.encode(-32_635));
            assert_eq!(codec.encode(i16::MAX), codec.encode(32_635));
        }
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding_but_for_negative_zero() {
        for codec in BOTH {
            for byte in 0..=255 {
                let again = codec.encode(codec.decode(byte));
                let negative_zero = codec == Law::Pcmu && byte == 0x7F;
                assert_eq!(again, if negative_zero { 0xFF } else { byte }, "{codec:?} {byte:#x}");
            }
        }
    }

    #[test]
    fn going_to_the_other_law_and_back_costs_at_most_one_step() {
        for (from, to) in [(Law::Pcmu, Law::Pcma), (Law::Pcma, Law::Pcmu)] {
            let mut bytes: Vec<u8> = (0..=255).collect();
            from.transcode(to, &mut bytes);
            to.transcode(from, &mut bytes);
            for (before, after) in (0..=255).zip(bytes) {
                let (was, is) = (i32::from(from.decode(before)), i32::from(from.decode(after)));
                assert!((was - is).abs() <= 16 + was.abs() / 16, "{from:?} {was} {is}");
            }
        }
    }

    #[test]
    fn power_of_encoded_bytes_is_the_mean_square_of_what_they_decode_to() {
        for codec in BOTH {
            let bytes: Vec<u8> = (0..=255).collect();
            let sum: i64 = bytes.iter().map(|&byte| i64::from(codec.decode(byte)).pow(2)).sum();
            assert_eq!(codec.power(&bytes), (sum / 256) as u64);
            assert_eq!(codec.power(&[]), 0);
            assert!(codec.power(&[codec.silence(); FRAME]) <= 64);
            let mean = codec.power(&bytes);
            assert!(!codec.is_below(mean, &bytes) && codec.is_below(mean + 1, &bytes));
        }
    }
}
