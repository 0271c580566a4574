//! `segue check`: everything that is wrong with the configuration, at once.

use std::process::ExitCode;

use crate::{
    cli::ConfigArgs,
    config::{self, Config, Problem},
    telemetry::{complain, say},
};

/// Runs the check. Exit code 0 means that `serve` would take the configuration.
///
/// # Errors
/// None: what is wrong is printed.
#[expect(clippy::unnecessary_wraps, reason = "every subcommand has this shape")]
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    match config::load(&args.config, &std::env::vars().collect()) {
        Ok(config) => {
            for warning in &config.warnings {
                say(&format!("warning: {warning}"));
            }
            say(&summary(&config));
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            report(&problems);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints every problem, and how many there are.
pub(crate) fn report(problems: &[Problem]) {
    for problem in problems {
        complain(&format!("error: {problem}"));
    }
    let count = problems.len();
    complain(&format!("{count} {} to mend", if count == 1 { "thing" } else { "things" }));
}

fn summary(config: &Config) -> String {
    let settings = &config.settings;
    format!(
        "the configuration is sound: {} trunks, {} phones, {} agents, {} queues, bot {}",
        settings.sip.trunks.len(),
        settings.sip.users.len(),
        config.people.agents.len(),
        config.people.queues.len(),
        settings.bot.uri,
    )
}
