//! The program `segue`: a voice-call handoff gateway.
//!
//! Read `run` of a subcommand as its story; `gateway` wires the parts, `call` drives one call.

mod backtest;
mod bar;
mod bench;
mod call;
mod check;
mod cli;
mod clock;
mod config;
mod demo;
mod desk;
mod distribution;
mod gateway;
mod homer;
mod load;
mod media;
mod metrics;
mod models;
mod overload;
mod recognition;
mod recording;
mod serve;
mod signalling;
mod telemetry;
mod upkeep;
mod voice;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Load(args) => Ok(load::run(&args)),
        Command::Backtest(args) => backtest::run(&args),
        Command::Models(args) => models::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            telemetry::complain(&format!("segue: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
