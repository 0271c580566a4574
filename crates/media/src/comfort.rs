//! Comfort noise as the far side describes it (RFC 3389), at any rate: a level, and the colour if it is told.

use crate::{level, random::Random};

/// The noise of one far side in its pauses.
#[derive(Clone, Debug)]
pub(crate) struct ComfortNoise {
    random: Random,
    /// Root mean square, as told and as it sounds now.
    wanted: f32,
    loudness: f32,
    /// Reflection coefficients, and the lattice's memory.
    colour: [f32; ORDER],
    memory: [f32; ORDER],
    /// Brings the coloured noise back to the level of the white one.
    gain: f32,
}

/// Coefficients that are used; what colour there is, is in the first ones.
const ORDER: usize = 10;
/// Nobody's room is louder: what says so is a mistake or a bad joke.
const LOUDEST: f32 = -30.0;

impl ComfortNoise {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            wanted: 0.0,
            loudness: 0.0,
            colour: [0.0; ORDER],
            memory: [0.0; ORDER],
            gain: 1.0,
        }
    }

    /// Takes a payload: the level in −dBov, then reflection coefficients (RFC 3389 §3). Nothing in it: as before.
    pub(crate) fn describe(&mut self, payload: &[u8]) {
        let Some((&loudness, colour)) = payload.split_first() else { return };
        self.level(-f32::from(loudness & 0x7F));
        self.colour = [0.0; ORDER];
        let mut power = 1.0_f32;
        for (coefficient, &byte) in self.colour.iter_mut().zip(colour) {
            *coefficient = ((f32::from(byte) - 127.0) / 128.0).clamp(-0.99, 0.99);
            power /= 1.0 - coefficient.powi(2);
        }
        self.gain = power.sqrt().recip();
    }

    /// Sets the level in dBov.
    pub(crate) fn level(&mut self, dbov: f32) {
        self.wanted = level::rms(dbov.min(LOUDEST));
    }

    /// Another pause begins: the noise fades in.
    pub(crate) const fn begin(&mut self) {
        self.loudness = 0.0;
        self.memory = [0.0; ORDER];
    }

    pub(crate) fn fill(&mut self, out: &mut [i16]) {
        for four in out.chunks_mut(4) {
            let bits = self.random.bits().to_le_bytes();
            for (sample, pair) in four.iter_mut().zip(bits.chunks_exact(2)) {
                // Two bytes added: root mean square 104.5.
                let white = pair.iter().map(|&part| f32::from(part as i8) + 0.5).sum::<f32>() / 104.5;
                self.loudness += (self.wanted - self.loudness) / 32.0;
                *sample = (self.coloured(white) * self.gain * self.loudness) as i16;
            }
        }
    }

    /// One step of the all-pole lattice.
    fn coloured(&mut self, white: f32) -> f32 {
        let mut forward = white;
        for (place, coefficient) in self.colour.iter().enumerate().rev() {
            let Some(memory) = self.memory.get(place).copied() else { break };
            forward -= coefficient * memory;
            if let Some(above) = self.memory.get_mut(place + 1) {
                *above = memory + coefficient * forward;
            }
        }
        if let Some(first) = self.memory.first_mut() {
            *first = forward;
        }
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    fn sound(payload: &[u8]) -> Vec<i16> {
        let mut noise = ComfortNoise::new(5);
        noise.describe(payload);
        noise.begin();
        let mut out = vec![0; 16_000];
        out.chunks_mut(160).for_each(|frame| noise.fill(frame));
        out.split_off(800)
    }

    #[test]
    fn it_has_the_level_that_was_told_with_or_without_a_colour() {
        for (payload, expected) in [
            (&[50_u8][..], -50.0),
            (&[62, 200], -62.0),
            (&[45, 60, 160, 127, 90], -45.0),
            (&[0x80 | 55], -55.0),
        ] {
            let level = level::dbov(&sound(payload));
            assert!((level - expected).abs() < 1.5, "{payload:?}: {level}");
        }
        assert!(level::dbov(&sound(&[0])) < LOUDEST + 1.5, "nobody can make us shout");
        assert_eq!(level::dbov(&sound(&[127])), f32::NEG_INFINITY);
    }

    #[test]
    fn a_colour_is_heard() {
        // A first coefficient near −1 is a low rumble, near 1 a hiss.
        let share = |payload: &[u8]| {
            let sound = sound(payload);
            let band = |hertz: f64| -> f64 {
                (0..20).map(|n| tone::power(&sound[n * 640..(n + 1) * 640], hertz)).sum()
            };
            band(300.0) / band(3500.0)
        };
        assert!(share(&[40, 30]) > 10.0);
        assert!(share(&[40, 224]) < 0.1);
        assert!((0.2..5.0).contains(&share(&[40])));
    }

    #[test]
    fn it_swells_softly_and_an_empty_description_changes_nothing() {
        let mut noise = ComfortNoise::new(1);
        noise.describe(&[35]);
        noise.describe(&[]);
        noise.begin();
        let mut out = [0; 160];
        noise.fill(&mut out);
        assert!(out[..4].iter().all(|sample| sample.unsigned_abs() < 200), "{:?}", &out[..4]);
        assert!(level::dbov(&out[80..]) > -38.0);
    }
}
