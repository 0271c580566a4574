//! Between 8 and 16 kHz, for recognition: one linear-phase half-band filter, used both ways.
//!
//! Flat within 0.1 dB to 3.4 kHz, 60 dB down from 4.6 kHz on. Both directions delay the sound by [`DELAY`]
//! samples of 16 kHz. Streams keep their history, so frames join without a seam.

use std::f64::consts::PI;

/// The delay of either direction, in samples at 16 kHz.
pub const DELAY: usize = HALF * 2 - 1;

/// Taps on one side of the middle that are not zero.
const HALF: usize = 16;
/// Taps of one phase: half-band means that every other tap is zero but for the middle one.
const TAPS: usize = HALF * 2;
/// Samples that go up at a time: a frame of 20 ms.
const BLOCK: usize = 160;

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub struct Up {
    filter: [f32; TAPS],
    /// The oldest first.
    past: [f32; TAPS - 1],
}

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub struct Down {
    filter: [f32; TAPS],
    odd: [f32; TAPS],
    even: [f32; TAPS],
    /// A first sample whose second has not come yet.
    single: Option<i16>,
}

impl Default for Up {
    fn default() -> Self {
        Self { filter: filter(), past: [0.0; TAPS - 1] }
    }
}

impl Default for Down {
    fn default() -> Self {
        Self { filter: filter(), odd: [0.0; TAPS], even: [0.0; TAPS], single: None }
    }
}

impl Up {
    /// What went in before is forgotten.
    pub const fn restart(&mut self) {
        self.past = [0.0; TAPS - 1];
    }

    /// Appends two samples to `out` for each that goes in.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        out.reserve(samples.len() * 2);
        for block in samples.chunks(BLOCK) {
            let mut line = [0.0; TAPS - 1 + BLOCK];
            let (past, now) = line.split_at_mut(TAPS - 1);
            past.copy_from_slice(&self.past);
            for (place, &sample) in now.iter_mut().zip(block) {
                *place = f32::from(sample);
            }
            let between = between(&self.filter, &line);
            // The middle tap: the sample itself, as late as the filter makes the others.
            let middle = line.iter().skip(HALF);
            for (between, (middle, _)) in between.iter().zip(middle.zip(block)) {
                out.push(nearest(between * 2.0));
                out.push(*middle as i16);
            }
            if let Some(past) = line.get(block.len()..).and_then(|rest| rest.first_chunk()) {
                self.past = *past;
            }
        }
    }
}

impl Down {
    /// Appends one sample to `out` for each two that go in; an odd one waits for the next call.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        out.reserve(samples.len() / 2 + 1);
        for &sample in samples {
            let Some(first) = self.single.take() else {
                self.single = Some(sample);
                continue;
            };
            shift(&mut self.odd, f32::from(first));
            shift(&mut self.even, f32::from(sample));
            let middle = self.even.get(HALF).copied().unwrap_or(0.0) * 0.5;
            let value = middle + dot(&self.filter, &self.odd);
            out.push(nearest(value));
        }
    }
}

/// A whole sound from 8 to 16 kHz, with the delay taken out: twice as many samples.
#[must_use]
pub fn up(samples: &[i16]) -> Vec<i16> {
    let mut out = Vec::with_capacity(samples.len() * 2 + TAPS * 2);
    let mut filter = Up::default();
    filter.push(samples, &mut out);
    filter.push(&[0; HALF], &mut out);
    out.drain(..DELAY.min(out.len()));
    out.truncate(samples.len() * 2);
    out
}

/// A whole sound from 16 to 8 kHz, with the delay taken out: half as many samples, rounded up.
#[must_use]
pub fn down(samples: &[i16]) -> Vec<i16> {
    let mut out = Vec::with_capacity(samples.len() / 2 + TAPS);
    let mut filter = Down::default();
    // One zero in front makes the delay a whole number of output samples.
    filter.push(&[0], &mut out);
    filter.push(samples, &mut out);
    filter.push(&[0; TAPS + 1], &mut out);
    out.drain(..HALF.min(out.len()));
    out.truncate(samples.len().div_ceil(2));
    out
}

fn shift(past: &mut [f32; TAPS], sample: f32) {
    past.copy_within(..TAPS - 1, 1);
    if let Some(newest) = past.first_mut() {
        *newest = sample;
    }
}

/// The samples between those of a line, half as loud: the filter at each place. Sixteen places side by side, so that
/// their sums stay in registers.
fn between(filter: &[f32; TAPS], line: &[f32; TAPS - 1 + BLOCK]) -> [f32; BLOCK] {
    let mut sums = [0.0; BLOCK];
    for (group, sums) in sums.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let windows = line.get(group * 16..).unwrap_or_default().windows(16);
        for (tap, window) in filter.iter().zip(windows) {
            for (sum, sample) in sums.iter_mut().zip(window) {
                *sum += tap * sample;
            }
        }
    }
    sums
}

/// The nearest sample, half away from zero; a function of the machine's would be called for each.
fn nearest(value: f32) -> i16 {
    (value + 0.5_f32.copysign(value)) as i16
}

/// Sums in eight lanes: one sum after the other could not be done side by side, for rounding forbids reordering.
fn dot(filter: &[f32; TAPS], past: &[f32; TAPS]) -> f32 {
    let mut lanes = [0.0; 8];
    for (taps, samples) in filter.as_chunks::<8>().0.iter().zip(past.as_chunks::<8>().0) {
        for ((lane, tap), sample) in lanes.iter_mut().zip(taps).zip(samples) {
            *lane += tap * sample;
        }
    }
    lanes.iter().sum()
}

/// The taps at the odd distances −31, −29 … 31 from the middle, whose sum is half of the filter's gain: a sinc
/// cut at a quarter of 16 kHz under a Kaiser window.
fn filter() -> [f32; TAPS] {
    let mut taps = [0.0_f64; TAPS];
    for (n, tap) in taps.iter_mut().enumerate() {
        let distance = (2 * n) as f64 - (TAPS as f64 - 1.0);
        let sinc = (PI * distance / 2.0).sin() / (PI * distance);
        *tap = sinc * kaiser(distance / TAPS as f64);
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum * 0.5) as f32)
}

/// The Kaiser window with β = 6 (side lobes 63 dB down) at `place` in −1..=1.
fn kaiser(place: f64) -> f64 {
    const BETA: f64 = 6.0;
    bessel(BETA * (1.0 - place * place).max(0.0).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..32 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{level, tone};

    /// A sine at 16 kHz: the tone generator counts in 8 kHz, so it is asked for half the frequency.
    fn wide(hertz: f64, length: usize) -> Vec<i16> {
        tone::sine(hertz / 2.0, -20.0, length)
    }

    #[test]
    fn speech_passes_both_ways_at_its_level() {
        for hertz in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let up = up(&tone::sine(hertz, -20.0, 4000));
            assert_eq!(up.len(), 8000);
            let rise = tone::goertzel(&up[200..7800], hertz / 2.0) + 20.0;
            let down = down(&wide(hertz, 8000));
            let fall = tone::goertzel(&down[200..3800], hertz) + 20.0;
            assert!(rise.abs() < 0.15 && fall.abs() < 0.15, "{hertz} Hz: {rise} up, {fall} down");
        }
    }

    #[test]
    fn images_and_aliases_are_60_db_down() {
        for hertz in [200.0, 1000.0, 2500.0, 3400.0] {
            let up = up(&tone::sine(hertz, -20.0, 4000));
            let image = tone::goertzel(&up[200..7800], (8000.0 - hertz) / 2.0);
            assert!(image < -78.0, "image of {hertz}: {image}");
        }
        for hertz in [4600.0, 5000.0, 6000.0, 7500.0] {
            let alias = level::dbov(&down(&wide(hertz, 8000))[100..3900]);
            assert!(alias < -78.0, "alias of {hertz}: {alias}");
        }
    }

    #[test]
    fn up_and_down_again_is_the_same_sound_at_the_same_time() {
        let sound = tone::sine(440.0, -20.0, 2000);
        let again = down(&up(&sound));
        assert_eq!(again.len(), sound.len());
        let error: Vec<i16> = sound[100..1900].iter().zip(&again[100..1900]).map(|(a, b)| a - b).collect();
        assert!(level::dbov(&error) < -70.0, "{}", level::dbov(&error));
    }

    #[test]
    fn a_stream_in_pieces_is_the_same_as_the_whole() {
        let sound = wide(700.0, 3201);
        for length in [1, 37, BLOCK, BLOCK + 1] {
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            Down::default().push(&sound, &mut whole);
            let mut stream = Down::default();
            sound.chunks(length).for_each(|piece| stream.push(piece, &mut parts));
            assert_eq!(whole, parts, "down by {length}");
            whole.clear();
            parts.clear();
            Up::default().push(&sound, &mut whole);
            let mut stream = Up::default();
            sound.chunks(length).for_each(|piece| stream.push(piece, &mut parts));
            assert_eq!(whole, parts, "up by {length}");
        }
    }
}
