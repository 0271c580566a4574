//! The interface against a desk in memory: every route, every error, keys, idempotency, the document, the stream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets what it does not expect has failed"
)]

mod connections;
mod document;
mod errors;
mod keys;
mod picture;
mod requests;
mod stream;
mod support;
