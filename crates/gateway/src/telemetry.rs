//! Logs, and what the subcommands print.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

/// Begins logging to standard error.
///
/// # Errors
/// The filter cannot be read.
pub(crate) fn start(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("log.filter: {error}; write one such as \"info,segue_sip=debug\"")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if json { builder.json().try_init() } else { builder.with_target(true).try_init() };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}

/// Prints a line for the person at the terminal. Where nobody reads any more, nothing is lost.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Prints a line about something that went wrong.
pub(crate) fn complain(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
