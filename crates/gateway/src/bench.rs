//! `segue bench`: measures this machine. Without another word it measures what a call's sound costs.

mod live;
mod media;
mod process;
mod recordings;
mod search;
mod transcribe;
mod wer;

use std::process::ExitCode;

use crate::cli::{BenchArgs, BenchCommand};

/// Runs what is asked for and prints a table.
///
/// # Errors
/// What it needs is not there; the text says what, and where.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        None => media::run(&args.media),
        Some(BenchCommand::Media(args)) => media::run(args),
        Some(BenchCommand::Transcribe(args)) => transcribe::run(args),
        Some(BenchCommand::Wer(args)) => wer::run(args),
    }
}
