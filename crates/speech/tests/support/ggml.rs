//! Writes a ggml file of the shape of a whisper model with random weights: it loads and decodes, and says nonsense.

use std::io::Write;

/// A tiny shape: state 64, one head, one layer each.
pub(crate) fn random_model() -> Vec<u8> {
    let mut file = File { bytes: Vec::new(), seed: 7 };
    file.int(0x6767_6d6c);
    for number in [VOCABULARY, 1_500, STATE, 1, 1, TEXT, STATE, 1, 1, 80, 1] {
        file.int(number);
    }
    file.int(80);
    file.int(201);
    for place in 0..80 * 201 {
        file.float(if place % 201 / 3 == place / 201 { 0.02 } else { 0.0 });
    }
    let words = ["!", " yes", " no", " agent", " order", " late", " the", " my", " please", " help"];
    file.int(words.len() as i32);
    for word in words {
        file.int(word.len() as i32);
        file.bytes.write_all(word.as_bytes()).unwrap();
    }
    file.encoder();
    file.decoder();
    file.bytes
}

const VOCABULARY: i32 = 51_864;
const STATE: i32 = 64;
const TEXT: i32 = 448;

struct File {
    bytes: Vec<u8>,
    seed: u32,
}

impl File {
    fn int(&mut self, number: i32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn float(&mut self, number: f32) {
        self.bytes.extend(number.to_le_bytes());
    }

    fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.seed >> 8) as f32 / 8_388_608.0 - 1.0) * 0.1
    }

    /// Dimensions innermost first, as the format has them.
    fn tensor(&mut self, name: &str, dimensions: &[i32], half: bool) {
        self.int(dimensions.len() as i32);
        self.int(name.len() as i32);
        self.int(i32::from(half));
        for dimension in dimensions {
            self.int(*dimension);
        }
        self.bytes.extend(name.as_bytes());
        let norm =
            name.ends_with("ln.weight") || name.contains("_ln.weight") || name.contains("ln_post.weight");
        for _ in 0..dimensions.iter().product::<i32>() {
            let value = if norm { 1.0 } else { self.random() };
            if half { self.bytes.extend(half_float(value).to_le_bytes()) } else { self.float(value) }
        }
    }

    fn linear(&mut self, name: &str, (from, to): (i32, i32), bias: bool) {
        self.tensor(&format!("{name}.weight"), &[from, to], true);
        if bias {
            self.tensor(&format!("{name}.bias"), &[to], false);
        }
    }

    fn norm(&mut self, name: &str) {
        self.tensor(&format!("{name}.weight"), &[STATE], false);
        self.tensor(&format!("{name}.bias"), &[STATE], false);
    }

    fn attention(&mut self, name: &str) {
        for (part, bias) in [("query", true), ("key", false), ("value", true), ("out", true)] {
            self.linear(&format!("{name}.{part}"), (STATE, STATE), bias);
        }
    }

    fn block(&mut self, name: &str, cross: bool) {
        self.norm(&format!("{name}.attn_ln"));
        self.attention(&format!("{name}.attn"));
        if cross {
            self.norm(&format!("{name}.cross_attn_ln"));
            self.attention(&format!("{name}.cross_attn"));
        }
        self.norm(&format!("{name}.mlp_ln"));
        self.linear(&format!("{name}.mlp.0"), (STATE, STATE * 4), true);
        self.linear(&format!("{name}.mlp.2"), (STATE * 4, STATE), true);
    }

    fn encoder(&mut self) {
        self.tensor("encoder.positional_embedding", &[STATE, 1_500], false);
        self.tensor("encoder.conv1.weight", &[3, 80, STATE], true);
        self.tensor("encoder.conv1.bias", &[1, STATE], false);
        self.tensor("encoder.conv2.weight", &[3, STATE, STATE], true);
        self.tensor("encoder.conv2.bias", &[1, STATE], false);
        self.block("encoder.blocks.0", false);
        self.norm("encoder.ln_post");
    }

    fn decoder(&mut self) {
        self.tensor("decoder.positional_embedding", &[STATE, TEXT], false);
        self.tensor("decoder.token_embedding.weight", &[STATE, VOCABULARY], true);
        self.block("decoder.blocks.0", true);
        self.norm("decoder.ln");
    }
}

/// IEEE 754 half precision of a small number; what is too small becomes zero.
fn half_float(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 127 + 15;
    let sign = (bits >> 16) as u16 & 0x8000;
    if exponent <= 0 { sign } else { sign | (exponent as u16) << 10 | ((bits >> 13) as u16 & 0x3ff) }
}
