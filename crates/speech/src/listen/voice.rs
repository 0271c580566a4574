//! Voice activity of one stream: earshot over 16 ms windows, asked once a 20 ms frame, and neither asked nor believed
//! where the sound is no louder than the line's own noise.

use std::collections::VecDeque;

use earshot::Detector;

use crate::sound::power;

/// Tells for each frame how likely somebody speaks. One a stream; about 10 µs a frame that stands out of the
/// line's noise, and nothing for the others: the network is asked about them only when something follows.
pub struct VoiceDetector {
    detector: Box<Detector>,
    /// What the network has not heard yet.
    waiting: Vec<i16>,
    score: f32,
    floor: NoiseFloor,
}

impl Default for VoiceDetector {
    fn default() -> Self {
        VoiceDetector {
            detector: Detector::default_boxed(),
            waiting: Vec::new(),
            score: 0.0,
            floor: NoiseFloor::default(),
        }
    }
}

impl VoiceDetector {
    /// The highest score (0..=1) of the windows that the frame (20 ms at 16 kHz) completes; 0 in the line's noise.
    pub fn score(&mut self, samples: &[i16]) -> f32 {
        let stands_out = self.stands_out(samples);
        self.judge(samples, stands_out)
    }

    /// Whether a frame, at any rate, is louder than the line's noise. To be asked once a frame.
    pub(crate) fn stands_out(&mut self, samples: &[i16]) -> bool {
        self.floor.stands_out(power(samples))
    }

    /// The score of a frame at 16 kHz of which it is known whether it stands out.
    pub(crate) fn judge(&mut self, samples: &[i16], stands_out: bool) -> f32 {
        let before = self.waiting.len();
        self.waiting.extend_from_slice(samples);
        if !stands_out {
            // What is quiet and followed by more quiet is never judged; some of it is kept as context.
            if self.waiting.len() >= 2 * CONTEXT * WINDOW {
                self.waiting.drain(..CONTEXT * WINDOW);
            }
            return 0.0;
        }
        let mut highest: Option<f32> = None;
        let mut used = 0;
        for window in self.waiting.chunks_exact(WINDOW) {
            let score = self.detector.predict_i16(window);
            used += WINDOW;
            if used > before {
                highest = Some(highest.map_or(score, |best| best.max(score)));
            }
        }
        self.waiting.drain(..used);
        self.score = highest.unwrap_or(self.score);
        self.score
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
/// Windows before a frame that stands out which the network hears with it: 256 ms.
const CONTEXT: usize = 16;
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
    use crate::{
        Flite, Synthesizer, VoiceStyle,
        listen::{Cue, Endpointer, Endpointing, FRAME, FRAME_LENGTH},
    };

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

    /// Words and pauses over a line's noise, at 16 kHz.
    fn call(noise: i16, seed: u64) -> Vec<i16> {
        let words =
            ["Where is my order?", "It was blue.", "I have waited for two weeks now and nobody called."];
        let mut narrow = Vec::new();
        for (place, text) in words.into_iter().cycle().take(9).enumerate() {
            narrow.resize(narrow.len() + 8_000 * (2 + place % 3), 0);
            narrow.extend(Flite.speak(text, VoiceStyle::PROMPT).expect("flite speaks"));
        }
        narrow.resize(narrow.len() + 16_000, 0);
        let mut random = segue_media::random::Random::new(seed);
        for sample in &mut narrow {
            let hiss = random.below(u64::from(noise.unsigned_abs()) * 2 + 1) as i16 - noise;
            *sample = sample.saturating_add(hiss);
        }
        segue_media::resample::up(&narrow)
    }

    /// Starts and ends of utterances, in frames.
    fn bounds(sound: &[i16], mut score: impl FnMut(&[i16]) -> f32) -> Vec<usize> {
        let mut endpointer = Endpointer::new(Endpointing::default());
        let mut bounds = Vec::new();
        for (number, frame) in sound.as_chunks::<FRAME>().0.iter().enumerate() {
            match endpointer.push(FRAME_LENGTH * number as u32, frame, score(frame)) {
                Cue::Started | Cue::Ended(..) | Cue::Dropped { .. } => bounds.push(number),
                Cue::Nothing | Cue::Paused | Cue::Resumed => {}
            }
        }
        bounds
    }

    #[test]
    fn what_is_not_asked_about_changes_no_bound_by_more_than_a_frame() {
        for (noise, seed) in [(0, 1), (20, 2), (60, 3), (200, 4)] {
            let sound = call(noise, seed);
            let mut detector = VoiceDetector::default();
            let gated = bounds(&sound, |frame| detector.score(frame));
            let (mut all, mut floor, mut waiting) =
                (Detector::default_boxed(), NoiseFloor::default(), Vec::new());
            let asked = bounds(&sound, |frame| {
                waiting.extend_from_slice(frame);
                let whole = waiting.len() / WINDOW * WINDOW;
                let scores = waiting.chunks_exact(WINDOW).map(|window| all.predict_i16(window));
                let score = scores.fold(0.0, f32::max);
                waiting.drain(..whole);
                if floor.stands_out(power(frame)) { score } else { 0.0 }
            });
            assert!(gated.len() >= 16, "noise of {noise}: {gated:?}");
            assert_eq!(gated.len(), asked.len(), "noise of {noise}: {gated:?} {asked:?}");
            assert!(
                gated.iter().zip(&asked).all(|(one, other)| one.abs_diff(*other) <= 1),
                "{gated:?} {asked:?}"
            );
        }
    }

    #[test]
    fn silence_scores_low() {
        let mut detector = VoiceDetector::default();
        for _ in 0..100 {
            assert!(detector.score(&[0; 320]) < 0.3);
        }
    }
}
