//! End to end: the built program between real clients on loopback, judged by what every party really hears.
//!
//! sipp is the caller, the bot and the phones of a crowd; baresip is an agent's phone that registers by digest. Their
//! sound is ours: an `Endpoint` speaks and listens for sipp, WAV files for baresip. Nobody counts seconds: each step
//! waits for what is heard, logged or told by the API, and each test has one deadline.

#![allow(
    clippy::disallowed_methods,
    reason = "the clients are real, so the clock is: tests here measure sound in real time"
)]

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod handoff;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod load;
#[cfg(test)]
mod models;
#[cfg(test)]
mod phones;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod silent;
#[cfg(test)]
mod support;
#[cfg(test)]
mod swamped;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod ways;
