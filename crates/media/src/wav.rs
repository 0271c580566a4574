//! WAV files as bytes: mono 16-bit PCM out; PCM16, µ-law and A-law in. No file is touched here.

use thiserror::Error;

use crate::g711::Law;

/// Why bytes are not sound: the file's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WavError {
    /// No RIFF/WAVE header.
    #[error("not a WAV file: it does not begin with RIFF and WAVE")]
    NotWav,
    /// The format or the data is missing, or cut off.
    #[error("WAV file has no {0} chunk, or it is cut off")]
    Missing(&'static str),
    /// A format other than those read here.
    #[error("WAV format {format} with {bits} bits is not read: convert it to 16-bit PCM, µ-law or A-law")]
    Format {
        /// The format tag.
        format: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// More than one channel.
    #[error("WAV file has {0} channels: convert it to mono")]
    Channels(u16),
    /// No sample rate.
    #[error("WAV file says that it has no samples a second")]
    Rate,
}

const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The real format stands further back, in the first two bytes of a GUID.
const EXTENSIBLE: u16 = 0xFFFE;

/// Writes mono 16-bit PCM. Samples beyond 4 GiB of file are left out: the format cannot hold them.
#[must_use]
pub fn encode(samples: &[i16], rate: u32) -> Vec<u8> {
    let kept = samples.get(..samples.len().min(0x7FFF_FF00)).unwrap_or(samples);
    let size = kept.len() as u32 * 2;
    let mut out = Vec::with_capacity(44 + kept.len() * 2);
    out.extend(b"RIFF");
    out.extend((size + 36).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16_u32.to_le_bytes());
    out.extend(PCM.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend(rate.saturating_mul(2).to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(16_u16.to_le_bytes());
    out.extend(b"data");
    out.extend(size.to_le_bytes());
    out.extend(kept.iter().flat_map(|sample| sample.to_le_bytes()));
    out
}

/// Reads a mono file: samples a second, and the samples. Chunks other than format and data are passed over;
/// a data chunk that says it is longer than the file (a stream's, or a file still being written) ends with it.
///
/// # Errors
/// If the bytes are not a mono WAV file of 16-bit PCM, µ-law or A-law.
pub fn decode(bytes: &[u8]) -> Result<(u32, Vec<i16>), WavError> {
    let (riff, mut rest) = bytes.split_first_chunk::<12>().ok_or(WavError::NotWav)?;
    if !riff.starts_with(b"RIFF") || !riff.ends_with(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut format = None;
    while let Some((&[c0, c1, c2, c3, l0, l1, l2, l3], after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let body = after.get(..length.min(after.len())).unwrap_or(after);
        match &[c0, c1, c2, c3] {
            b"fmt " => format = Some(Format::read(body)?),
            b"data" => {
                let format = format.ok_or(WavError::Missing("fmt"))?;
                return Ok((format.rate, format.samples(body)));
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = after.get(length.saturating_add(length % 2)..).unwrap_or(&[]);
    }
    Err(WavError::Missing(if format.is_none() { "fmt" } else { "data" }))
}

struct Format {
    rate: u32,
    kind: Kind,
}

enum Kind {
    Linear,
    Law(Law),
}

impl Format {
    fn read(body: &[u8]) -> Result<Self, WavError> {
        let &[f0, f1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1] =
            body.first_chunk().ok_or(WavError::Missing("fmt"))?;
        let mut format = u16::from_le_bytes([f0, f1]);
        if format == EXTENSIBLE {
            let real = body.get(24..26).and_then(|bytes| bytes.try_into().ok());
            format = real.map(u16::from_le_bytes).ok_or(WavError::Missing("fmt"))?;
        }
        let channels = u16::from_le_bytes([c0, c1]);
        let bits = u16::from_le_bytes([b0, b1]);
        let rate = u32::from_le_bytes([r0, r1, r2, r3]);
        let kind = match (format, bits) {
            (PCM, 16) => Kind::Linear,
            (MU_LAW, 8) => Kind::Law(Law::Pcmu),
            (A_LAW, 8) => Kind::Law(Law::Pcma),
            _ => return Err(WavError::Format { format, bits }),
        };
        match (channels, rate) {
            (1, 1..) => Ok(Self { rate, kind }),
            (1, 0) => Err(WavError::Rate),
            _ => Err(WavError::Channels(channels)),
        }
    }

    fn samples(&self, body: &[u8]) -> Vec<i16> {
        match self.kind {
            Kind::Linear => {
                let pairs = body.chunks_exact(2).filter_map(|pair| pair.try_into().ok());
                pairs.map(i16::from_le_bytes).collect()
            }
            Kind::Law(codec) => body.iter().map(|&byte| codec.decode(byte)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let mut out = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, body) in chunks {
            out.extend(*name);
            out.extend((body.len() as u32).to_le_bytes());
            out.extend(body);
            if body.len() % 2 == 1 {
                out.push(0);
            }
        }
        out
    }

    fn format(format: u16, channels: u16, bits: u16) -> Vec<u8> {
        let words = [format, channels, 8000, 0, 16_000, 0, 2, bits];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn both_laws_are_read_and_odd_chunks_in_between_are_passed_over() {
        let law = file(&[
            (b"LIST", vec![1, 2, 3]),
            (b"fmt ", format(7, 1, 8)),
            (b"fact", vec![0; 4]),
            (b"data", vec![0xFF, 0x80, 0x00]),
        ]);
        assert_eq!(decode(&law), Ok((8000, vec![0, 32_124, -32_124])));
        let law = file(&[(b"fmt ", format(6, 1, 8)), (b"data", vec![0xD5])]);
        assert_eq!(decode(&law), Ok((8000, vec![8])));
    }

    #[test]
    fn a_length_beyond_the_file_ends_with_the_file() {
        let mut bytes = encode(&[1, 2, 3], 8000);
        bytes[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&bytes), Ok((8000, vec![1, 2, 3])));
    }

    #[test]
    fn errors_say_what_to_do() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(decode(bytes).map_err(|error| error.to_string()), Err(expected.to_owned()));
        };
        check(b"ID3", "not a WAV file: it does not begin with RIFF and WAVE");
        check(&file(&[]), "WAV file has no fmt chunk, or it is cut off");
        check(&file(&[(b"fmt ", format(1, 1, 16))]), "WAV file has no data chunk, or it is cut off");
        check(&file(&[(b"fmt ", format(1, 2, 16))]), "WAV file has 2 channels: convert it to mono");
        check(
            &file(&[(b"fmt ", format(3, 1, 32))]),
            "WAV format 3 with 32 bits is not read: convert it to 16-bit PCM, µ-law or A-law",
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(samples: Vec<i16>, rate in 1_u32..200_000) {
            prop_assert_eq!(decode(&encode(&samples, rate)), Ok((rate, samples)));
        }

        #[test]
        fn any_bytes_are_safe(bytes: Vec<u8>) {
            let mut whole = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
            whole.extend(&bytes);
            let _verdicts = (decode(&bytes), decode(&whole));
        }
    }
}
