//! Recognition by a streaming service, against a small server of our own on loopback: heard as it is spoken, silent,
//! cut, late, mute, refusing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::result_large_err,
    reason = "test code fails by panicking"
)]

mod guest;
mod quiet;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod words;
