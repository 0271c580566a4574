//! The stories of a call: event → the exact list of actions, and nothing else (SPEC §1, §3, §5, §7).

#![expect(clippy::expect_used, reason = "a story that cannot be told fails")]

mod agent;
mod bot;
mod bridge;
mod dead;
mod fallback;
mod hang_up;
mod harness;
mod hold;
mod late;
mod request;
mod rule;
mod speech;
mod transfer;
mod waiting;
