//! Tones, and Goertzel's filter to find them again: who hears whom is proved with these.

use std::f64::consts::TAU;

use crate::level;

/// Samples a second of everything that is telephone sound here.
pub const RATE: u32 = 8000;

/// A sine of `hertz` at a level in dBov, `length` samples at 8 kHz.
#[must_use]
pub fn sine(hertz: f64, dbov: f32, length: usize) -> Vec<i16> {
    let amplitude = f64::from(level::rms(dbov)) * std::f64::consts::SQRT_2;
    let step = TAU * hertz / f64::from(RATE);
    (0..length).map(|n| (amplitude * (step * n as f64).sin()).round() as i16).collect()
}

/// The level in dBov of the part of `samples` that is a tone of `hertz` (a Hann window keeps neighbours out,
/// so a tone three bins of `8000 / length` away counts as absent). Negative infinity if there is none.
#[must_use]
pub fn goertzel(samples: &[i16], hertz: f64) -> f32 {
    let power = power(samples, hertz);
    (10.0 * (power / (32_768.0 * 32_768.0)).log10()) as f32
}

/// The mean square of the part of `samples` that is a tone of `hertz`; see [`goertzel`].
#[must_use]
pub fn power(samples: &[i16], hertz: f64) -> f64 {
    let length = samples.len() as f64;
    if samples.is_empty() {
        return 0.0;
    }
    let step = TAU * hertz / f64::from(RATE);
    let coefficient = 2.0 * step.cos();
    let (mut one, mut two) = (0.0_f64, 0.0_f64);
    for (n, &sample) in samples.iter().enumerate() {
        let window = 1.0 - (TAU * (n as f64 + 0.5) / length).cos();
        let next = f64::from(sample) * window + coefficient * one - two;
        two = one;
        one = next;
    }
    // The window has a mean of 1, and a sine of amplitude A leaves (A · length / 2)².
    let magnitude = (one * one + two * two - coefficient * one * two).max(0.0);
    magnitude * 2.0 / (length * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_level_and_nowhere_else() {
        let samples = sine(1000.0, -20.0, 1600);
        assert!((goertzel(&samples, 1000.0) + 20.0).abs() < 0.1);
        for other in [400.0, 700.0, 1300.0, 2000.0, 3000.0] {
            assert!(goertzel(&samples, other) < -90.0, "{other}: {}", goertzel(&samples, other));
        }
        assert_eq!(goertzel(&[], 1000.0), f32::NEG_INFINITY);
    }
}
