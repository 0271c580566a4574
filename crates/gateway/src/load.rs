//! `segue load`: the load tester of `crates/load`, as a subcommand.

use std::process::ExitCode;

use segue_load::LoadArgs;

use crate::telemetry;

/// Runs the load. Exit code 0: every threshold holds; 1: one was missed; 2: it could not be run.
pub(crate) fn run(args: &LoadArgs) -> ExitCode {
    if let Err(error) = telemetry::start("warn", false) {
        telemetry::complain(&format!("segue load: {error:#}"));
    }
    match segue_load::load(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            telemetry::complain(&format!("segue load: {error}"));
            ExitCode::from(2)
        }
    }
}
