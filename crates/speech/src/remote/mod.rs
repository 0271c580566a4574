//! Recognition by a service elsewhere, for machines that have no cores to spare or want another model.

mod breaker;
mod openai;

pub use openai::{OpenAiEngine, OpenAiOptions};
