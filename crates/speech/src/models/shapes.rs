//! Models that nobody trained: a file of whisper.cpp's format in the shape of a published model, with random weights.
//!
//! Such a model costs what the published one costs, and says nonsense: for measuring without a download, and for
//! tests. The same shape and seed give the same bytes. The token that ends a text is never the likeliest, so every
//! decode takes as many tokens as it may: the engine says how many (`WhisperEngine::random`).

/// The measures of a model, by the names of the file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width of the network, a multiple of 64 (`n_audio_state` and `n_text_state`).
    pub state: u32,
    /// Heads of attention; each takes 64 of the width.
    pub heads: u32,
    /// Layers of the encoder, and as many of the decoder.
    pub layers: u32,
    /// Texts of the vocabulary that are written into the file, 2 to 50,257; the loader makes up the others.
    pub words: u32,
    /// How the large matrices are stored.
    pub weights: Weights,
    /// Whether it has the tokens of 99 languages; otherwise it is one of English alone.
    pub multilingual: bool,
}

/// How the large matrices of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// 16 bit floating point.
    Half,
    /// 8 bit integers with a scale for each 32 of them (`q8_0`).
    Eight,
}

impl Shape {
    /// The published `tiny.en-q8_0`.
    pub const TINY_EN: Shape =
        Shape { state: 384, heads: 6, layers: 4, words: WORDS, weights: Weights::Eight, multilingual: false };
    /// The published `base.en-q8_0`.
    pub const BASE_EN: Shape =
        Shape { state: 512, heads: 8, layers: 6, words: WORDS, weights: Weights::Eight, multilingual: false };
    /// The smallest that loads: one head, one layer, ten words. For tests.
    pub const SMALLEST: Shape =
        Shape { state: 64, heads: 1, layers: 1, words: 10, weights: Weights::Half, multilingual: false };

    /// Writes a file of this shape with random weights, in memory: 43 MB for `TINY_EN`, 82 MB for `BASE_EN`.
    #[must_use]
    pub fn random_model(&self, seed: u64) -> Vec<u8> {
        let mut file = File { bytes: Vec::new(), seed: seed | 1, shape: *self };
        file.header();
        file.mel_filters();
        file.vocabulary();
        file.encoder();
        file.decoder();
        file.bytes
    }

    /// Models of many languages have one token more.
    fn vocabulary(&self) -> u32 {
        VOCABULARY + u32::from(self.multilingual)
    }

    fn end_of_text(&self) -> u32 {
        END_OF_TEXT + u32::from(self.multilingual)
    }
}

struct File {
    bytes: Vec<u8>,
    seed: u64,
    shape: Shape,
}

/// What is written into a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filling {
    Random,
    /// The weights of a norm.
    Ones,
    /// Random, but nothing for the token that ends a text: its score is 0 and never the highest.
    Embedding,
}

#[derive(Clone, Copy)]
enum Store {
    Single,
    Half,
    Eight,
}

impl File {
    fn header(&mut self) {
        let Shape { state, heads, layers, weights, .. } = self.shape;
        self.number(MAGIC);
        let kind = match weights {
            Weights::Half => 1,
            // Mostly q8_0 (7), in version 2 of the quantisation (a factor of 1,000).
            Weights::Eight => 2_007,
        };
        for number in
            [self.shape.vocabulary(), SOUND, state, heads, layers, TEXT, state, heads, layers, BANDS, kind]
        {
            self.number(number);
        }
    }

    /// Triangles on the mel scale over the bins of a Fourier transform of 400 samples at 16 kHz.
    fn mel_filters(&mut self) {
        self.number(BANDS);
        self.number(BINS);
        let mel = |hertz: f32| 2_595.0 * (1.0 + hertz / 700.0).log10();
        let step = mel(8_000.0) / (BANDS + 1) as f32;
        for band in 1..=BANDS {
            for bin in 0..BINS {
                let distance = (mel(bin as f32 * 40.0) - band as f32 * step).abs() / step;
                self.single((1.0 - distance).max(0.0) * 0.025);
            }
        }
    }

    /// Made up, of about the lengths of the true ones. One is a blank, as every published model has it.
    fn vocabulary(&mut self) {
        self.number(self.shape.words);
        for word in 0..self.shape.words {
            let text = if word == 1 { " ".to_owned() } else { format!(" {word:05}") };
            self.number(text.len() as u32);
            self.bytes.extend(text.as_bytes());
        }
    }

    fn encoder(&mut self) {
        let state = self.shape.state;
        self.tensor("encoder.positional_embedding", &[state, SOUND], Store::Single, Filling::Random);
        for (name, from) in [("encoder.conv1", BANDS), ("encoder.conv2", state)] {
            self.tensor(&format!("{name}.weight"), &[3, from, state], Store::Half, Filling::Random);
            self.tensor(&format!("{name}.bias"), &[1, state], Store::Single, Filling::Random);
        }
        for layer in 0..self.shape.layers {
            self.block(&format!("encoder.blocks.{layer}"), false);
        }
        self.norm("encoder.ln_post");
    }

    fn decoder(&mut self) {
        let state = self.shape.state;
        self.tensor("decoder.positional_embedding", &[state, TEXT], Store::Single, Filling::Random);
        let name = "decoder.token_embedding.weight";
        let words = self.shape.vocabulary();
        self.tensor(name, &[state, words], self.matrices(), Filling::Embedding);
        for layer in 0..self.shape.layers {
            self.block(&format!("decoder.blocks.{layer}"), true);
        }
        self.norm("decoder.ln");
    }

    fn block(&mut self, name: &str, crossed: bool) {
        let state = self.shape.state;
        self.norm(&format!("{name}.attn_ln"));
        self.attention(&format!("{name}.attn"));
        if crossed {
            self.norm(&format!("{name}.cross_attn_ln"));
            self.attention(&format!("{name}.cross_attn"));
        }
        self.norm(&format!("{name}.mlp_ln"));
        self.linear(&format!("{name}.mlp.0"), state, state * 4, true);
        self.linear(&format!("{name}.mlp.2"), state * 4, state, true);
    }

    fn attention(&mut self, name: &str) {
        let state = self.shape.state;
        for (part, bias) in [("query", true), ("key", false), ("value", true), ("out", true)] {
            self.linear(&format!("{name}.{part}"), state, state, bias);
        }
    }

    fn linear(&mut self, name: &str, from: u32, to: u32, bias: bool) {
        self.tensor(&format!("{name}.weight"), &[from, to], self.matrices(), Filling::Random);
        if bias {
            self.tensor(&format!("{name}.bias"), &[to], Store::Single, Filling::Random);
        }
    }

    fn norm(&mut self, name: &str) {
        let state = [self.shape.state];
        self.tensor(&format!("{name}.weight"), &state, Store::Single, Filling::Ones);
        self.tensor(&format!("{name}.bias"), &state, Store::Single, Filling::Random);
    }

    fn matrices(&self) -> Store {
        match self.shape.weights {
            Weights::Half => Store::Half,
            Weights::Eight => Store::Eight,
        }
    }

    /// Dimensions innermost first, as the format has them.
    fn tensor(&mut self, name: &str, dimensions: &[u32], store: Store, filling: Filling) {
        self.number(dimensions.len() as u32);
        self.number(name.len() as u32);
        self.number(match store {
            Store::Single => 0,
            Store::Half => 1,
            Store::Eight => 8,
        });
        for dimension in dimensions {
            self.number(*dimension);
        }
        self.bytes.extend(name.as_bytes());
        let row = dimensions.first().copied().unwrap_or(0);
        let rows = dimensions.iter().skip(1).product::<u32>();
        for number in 0..rows {
            let zero = filling == Filling::Embedding && number == self.shape.end_of_text();
            match store {
                Store::Eight => self.row_of_eight(row / 32, zero),
                Store::Half | Store::Single => {
                    for _ in 0..row {
                        let value = match filling {
                            Filling::Ones => 1.0,
                            _ if zero => 0.0,
                            Filling::Random | Filling::Embedding => self.random(),
                        };
                        match store {
                            Store::Half => self.bytes.extend(half(value).to_le_bytes()),
                            Store::Single | Store::Eight => self.single(value),
                        }
                    }
                }
            }
        }
    }

    /// Blocks of a scale in half precision and 32 integers.
    fn row_of_eight(&mut self, blocks: u32, zero: bool) {
        for _ in 0..blocks {
            let scale = if zero { 0.0 } else { SPREAD / 127.0 };
            self.bytes.extend(half(scale).to_le_bytes());
            for _ in 0..4 {
                let bits = self.bits();
                // The lowest integer is not used, as in a true file.
                self.bytes.extend(bits.to_le_bytes().map(|byte| if byte == 0x80 { 0x81 } else { byte }));
            }
        }
    }

    fn number(&mut self, number: u32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn single(&mut self, number: f32) {
        self.bytes.extend(number.to_le_bytes());
    }

    /// Even between −`SPREAD` and `SPREAD`.
    fn random(&mut self) -> f32 {
        ((self.bits() >> 40) as f32 / 8_388_608.0 - 1.0) * SPREAD
    }

    /// A xorshift generator with a multiplied output (Vigna, 2016): 64 bits, never a seed of 0.
    fn bits(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// IEEE 754 half precision of a number below 65,504, cut off; what is too small becomes zero.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 127 + 15;
    let sign = (bits >> 16) as u16 & 0x8000;
    if exponent <= 0 {
        // Below the normal numbers: steps of 2⁻²⁴.
        sign | (value.abs() * 16_777_216.0) as u16
    } else {
        sign | (exponent as u16) << 10 | ((bits >> 13) as u16 & 0x3ff)
    }
}

/// `ggml` as a number.
pub(super) const MAGIC: u32 = 0x6767_6d6c;
/// Tokens of the English models.
const VOCABULARY: u32 = 51_864;
/// Texts among them; the others are marks.
const WORDS: u32 = 50_257;
const END_OF_TEXT: u32 = 50_256;
/// Positions of the encoder: 30 s.
const SOUND: u32 = 1_500;
/// Positions of the decoder.
const TEXT: u32 = 448;
/// Mel bands.
const BANDS: u32 = 80;
/// Bins of the Fourier transform.
const BINS: u32 = 201;
/// The largest weight. With much less all scores are alike, with much more the numbers overflow.
const SPREAD: f32 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_have_the_size_of_the_published_files() {
        for (shape, published) in [(Shape::TINY_EN, 43_550_795.0), (Shape::BASE_EN, 81_781_811.0)] {
            let size = shape.random_model(1).len() as f64;
            assert!((size / published - 1.0).abs() < 0.002, "{size} bytes instead of {published}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
        let model = Shape::SMALLEST.random_model(7);
        assert_eq!(model, Shape::SMALLEST.random_model(7));
        assert_ne!(model, Shape::SMALLEST.random_model(8));
    }

    #[test]
    fn halves_are_what_they_should_be() {
        for (value, bits) in [(0.0, 0), (1.0, 0x3C00), (-2.0, 0xC000), (0.1, 0x2E66), (6.0e-8, 0x0001)] {
            assert_eq!(half(value), bits, "{value}");
        }
    }
}
