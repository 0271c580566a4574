//! Comfort noise at −62 dBov, generated sample by sample: what a caller hears as "the line is open".

use crate::{
    g711::{Frame, Law},
    random::Random,
};

/// A source of soft noise, a little darker than white.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    random: Random,
    before: i32,
}

impl Noise {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), before: 0 }
    }

    pub(crate) fn frame(&mut self, codec: Law) -> Frame {
        let mut frame = [0; _];
        self.fill(codec, &mut frame);
        frame
    }

    fn fill(&mut self, codec: Law, frame: &mut Frame) {
        let table = match codec {
            Law::Pcmu => &PCMU,
            Law::Pcma => &PCMA,
        };
        for four in frame.chunks_mut(4) {
            let bits = self.random.bits().to_le_bytes();
            for (byte, pair) in four.iter_mut().zip(bits.chunks_exact(2)) {
                let white = pair.iter().map(|&part| i32::from(part as i8)).sum::<i32>();
                let sample = (white + self.before) * LOUDNESS / 1024;
                self.before = white;
                *byte = table.get((sample + SOFTEST) as usize).copied().unwrap_or(codec.silence());
            }
        }
    }
}

/// Brings two sums of two bytes (root mean square 147.8) to the level, steps of the codecs included.
const LOUDNESS: i32 = 178;
/// No sample of the noise is further from zero: 2 · 2 · 128 · 178 / 1024 is 89.
const SOFTEST: i32 = 96;

/// The noise's own part of the codecs: samples from −96 on, encoded.
static PCMU: [u8; 192] = encoded(Law::Pcmu);
static PCMA: [u8; 192] = encoded(Law::Pcma);

#[expect(clippy::indexing_slicing, reason = "the loop ends with the table")]
const fn encoded(codec: Law) -> [u8; 192] {
    let mut table = [0; 192];
    let mut place = 0;
    while place < 192 {
        table[place] = codec.encode(place as i16 - SOFTEST as i16);
        place += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;

    #[test]
    fn it_has_its_level_in_both_codecs_and_does_not_repeat() {
        for codec in [Law::Pcmu, Law::Pcma] {
            let mut noise = Noise::new(3);
            let mut samples = Vec::new();
            let mut frames = Vec::new();
            for _ in 0..500 {
                let frame = noise.frame(codec);
                samples.extend(frame.iter().map(|&byte| codec.decode(byte)));
                assert!(
                    codec.power(&frame) < level::SILENCE_POWER,
                    "comfort noise is silence to the watchdog"
                );
                frames.push(frame);
            }
            let dbov = level::dbov(&samples);
            assert!((dbov - level::COMFORT_NOISE).abs() < 0.5, "{codec:?} {dbov}");
            frames.sort_unstable();
            frames.dedup();
            assert_eq!(frames.len(), 500);
        }
    }
}
