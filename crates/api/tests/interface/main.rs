//! The interface against a desk in memory: every route, every error, keys, idempotency, the document, the stream.

mod document;
mod errors;
mod keys;
mod requests;
mod stream;
mod support;
