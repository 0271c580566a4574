//! What the parties say: a loop of one second that a voice detector takes for speech, ready encoded in both laws.
//!
//! A voice of 130 Hz with its harmonics, swelling four times a second and never silent, without the pairs of tones
//! that mean a key or a fax. The beginning of each frame is given up to the mark.

use segue_media::{g711::Law, level};

/// Bytes of G.711, and samples, in 20 ms.
pub(crate) const FRAME: usize = 160;
/// Frames in the loop.
const FRAMES: usize = 50;
const RATE: f64 = 8_000.0;

/// The loop in one law.
#[derive(Debug)]
pub(crate) struct Voice {
    frames: Vec<[u8; FRAME]>,
}

impl Voice {
    /// Renders the loop.
    pub(crate) fn new(law: Law) -> Self {
        let mut samples: Vec<i16> = (0..FRAMES * FRAME).map(|at| sample(at as f64 / RATE)).collect();
        level::normalise(&mut samples, level::SPEECH);
        let frames = samples
            .chunks_exact(FRAME)
            .map(|chunk| {
                let mut frame = [law.silence(); FRAME];
                law.encode_into(chunk, &mut frame);
                frame
            })
            .collect();
        Self { frames }
    }

    /// One frame of the loop.
    pub(crate) fn frame(&self, number: u32) -> &[u8] {
        self.frames.get(number as usize % FRAMES).map_or(&[], |frame| frame.as_slice())
    }
}

/// The voice at one time, in seconds; its level is arbitrary.
pub(crate) fn sample(at: f64) -> i16 {
    let turn = std::f64::consts::TAU * at;
    let swell = 0.6 + 0.4 * (4.0 * turn).sin();
    let voice: f64 = (1..=12)
        .map(|harmonic| {
            let hertz = 130.0 * f64::from(harmonic);
            // Two broad formants, near 500 and 1,500 Hz.
            let formant = |centre: f64| 1.0 / (1.0 + ((hertz - centre) / 250.0).powi(2));
            (hertz * turn).sin() * (formant(500.0) + 0.5 * formant(1_500.0))
        })
        .sum();
    (2_000.0 * swell * voice) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_audible_and_the_loop_is_as_loud_as_speech() {
        for law in [Law::Pcmu, Law::Pcma] {
            let voice = Voice::new(law);
            let mut all = Vec::new();
            for number in 0..FRAMES as u32 {
                let mut samples = [0; FRAME];
                law.decode_into(voice.frame(number), &mut samples);
                assert!(level::dbov(&samples) > -40.0, "frame {number}: {} dBov", level::dbov(&samples));
                all.extend(samples);
            }
            assert!((level::dbov(&all) - level::SPEECH).abs() < 1.0);
            assert_eq!(voice.frame(0), voice.frame(FRAMES as u32));
        }
    }
}
