//! Voice activity of one stream: earshot over 16 ms windows, asked once a 20 ms frame.

use earshot::Detector;

/// Tells for each frame how likely somebody speaks. One a stream; about 10 µs a frame.
pub struct VoiceDetector {
    detector: Box<Detector>,
    waiting: Vec<i16>,
    score: f32,
}

impl Default for VoiceDetector {
    fn default() -> Self {
        VoiceDetector { detector: Box::default(), waiting: Vec::with_capacity(WINDOW * 3), score: 0.0 }
    }
}

impl VoiceDetector {
    /// The highest score (0..=1) of the windows that the samples (16 kHz) complete.
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
        self.score
    }
}

/// Samples of one window of earshot at 16 kHz.
const WINDOW: usize = 256;
