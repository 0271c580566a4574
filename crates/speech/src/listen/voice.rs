//! Voice activity of one stream: earshot over 16 ms windows, asked once a 20 ms frame, and not believed where the
//! sound is no louder than the line's own noise.

use std::collections::VecDeque;

use earshot::Detector;

use crate::sound::power;

/// Tells for each frame how likely somebody speaks. One a stream; about 10 µs a frame.
pub struct VoiceDetector {
    detector: Box<Detector>,
    waiting: Vec<i16>,
    score: f32,
    floor: NoiseFloor,
}

impl Default for VoiceDetector {
    fn default() -> Self {
        VoiceDetector {
            detector: Box::default(),
            waiting: Vec::with_capacity(WINDOW * 3),
            score: 0.0,
            floor: NoiseFloor::default(),
        }
    }
}

impl VoiceDetector {
    /// The highest score (0..=1) of the windows that the frame (20 ms at 16 kHz) completes; 0 in the line's noise.
    pub fn score(&mut self, samples: &[i16]) -> f32 {
        self.waiting.extend_from_slice(samples);
        let mut highest: Option<f32> = None;
        let mut used = 0;
        for window in self.waiting.chunks_exact(WINDOW) {
            let score = self.detector.predict_i16(window);
            highest = Some(highest.map_or(score, |best| best.max(score)));
            used += WINDOW;
        }
        self.waiting.drain(..used);
        self.score = highest.unwrap_or(self.score);
        if self.floor.stands_out(power(samples)) { self.score } else { 0.0 }
    }
}

/// The power of the line's noise: the softest moment of the last three seconds. Speech has a softer moment more
/// often than that; noise and hum never have one.
#[derive(Default)]
struct NoiseFloor {
    /// The softest moment of each past half second.
    blocks: VecDeque<f32>,
    softest: Option<f32>,
    frames: usize,
    smooth: Option<f32>,
}

impl NoiseFloor {
    fn stands_out(&mut self, power: f32) -> bool {
        let smooth = self.smooth.get_or_insert(power);
        *smooth += (power - *smooth) / 3.0;
        let smooth = *smooth;
        self.softest = Some(self.softest.map_or(smooth, |softest| softest.min(smooth)));
        self.frames += 1;
        if self.frames == BLOCK_FRAMES {
            self.frames = 0;
            self.blocks.extend(self.softest.take());
            if self.blocks.len() > BLOCKS {
                self.blocks.pop_front();
            }
        }
        let floor = self.blocks.iter().copied().fold(f32::INFINITY, f32::min);
        self.blocks.len() < BLOCKS_MIN || smooth > floor * MARGIN
    }
}

/// Samples of one window of earshot at 16 kHz.
const WINDOW: usize = 256;
/// Half a second.
const BLOCK_FRAMES: usize = 25;
const BLOCKS: usize = 6;
/// Before that much is known of a line, all is believed.
const BLOCKS_MIN: usize = 3;
/// 4 dB.
const MARGIN: f32 = 2.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_noise_stops_standing_out_and_speech_over_it_does_not() {
        let mut floor = NoiseFloor::default();
        let noise: Vec<bool> = (0..100).map(|_| floor.stands_out(100.0)).collect();
        assert!(noise[..BLOCK_FRAMES * BLOCKS_MIN - 1].iter().all(|out| *out), "nothing is known yet");
        assert!(noise[BLOCK_FRAMES * BLOCKS_MIN..].iter().all(|out| !out));
        let speech: Vec<bool> =
            (0..500).map(|frame| floor.stands_out(if frame % 40 < 30 { 10_000.0 } else { 100.0 })).collect();
        assert!(speech.iter().filter(|out| **out).count() > 350);
    }

    #[test]
    fn silence_scores_low() {
        let mut detector = VoiceDetector::default();
        for _ in 0..100 {
            assert!(detector.score(&[0; 320]) < 0.3);
        }
    }
}
