//! Recognition by a service elsewhere, for machines that have no cores to spare or want another model.

mod breaker;
mod deepgram;
mod failure;
mod openai;
mod trust;

pub use deepgram::{DeepgramEngine, DeepgramOptions};
pub use openai::{OpenAiEngine, OpenAiOptions};
pub use trust::Authorities;
