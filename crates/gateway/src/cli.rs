//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Segue hands a call from a voice bot to the right human: briefed first, without a word repeated.
#[derive(Debug, Parser)]
#[command(name = "segue", version, about, long_about = None)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the gateway until it is told to stop: SIGTERM lets calls end, SIGINT ends them.
    Serve(ConfigArgs),
    /// Checks the configuration and says everything that is wrong with it, and what to do.
    Check(ConfigArgs),
    /// Hands one whole call over on this machine, with real SIP and sound, and shows how it went.
    Demo(DemoArgs),
    /// Measures this machine: what a call's sound costs, or what recognition costs and how well it hears.
    Bench(BenchArgs),
    /// Loads a SIP system with calls and real sound, and says what it stands: this gateway or any other.
    Load(Box<segue_load::LoadArgs>),
    /// Holds past calls against trigger rules: how often they are right, how early, and what other rules would change.
    Backtest(BacktestArgs),
    /// Speech models: what there is, what is here, and getting one.
    Models(ModelsArgs),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, short, default_value = "config/segue.toml", env = "SEGUE_CONFIG")]
    pub(crate) config: PathBuf,
}

/// How to run the demo.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder that each party's recording is written to.
    #[arg(long, default_value = "run/demo")]
    pub(crate) out: PathBuf,
    /// Where the demo model lies.
    #[arg(long, default_value = "models")]
    pub(crate) models: PathBuf,
    /// What the caller says to the bot, instead of the usual words. The demo model knows a thousand words.
    #[arg(long)]
    pub(crate) say: Vec<String>,
    /// Show what the gateway logs as well.
    #[arg(long)]
    pub(crate) log: bool,
}

/// What to measure; without a word, sound.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) what: Option<BenchCommand>,
    /// How to measure sound.
    #[command(flatten)]
    pub(crate) media: MediaBenchArgs,
}

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// What a call's sound costs in CPU time, with real sockets on loopback.
    Media(MediaBenchArgs),
    /// What recognition costs, and how many live voices one core hears in time.
    Transcribe(TranscribeArgs),
    /// The word error rate of a model over recordings whose true text is known.
    Wer(WerArgs),
}

/// How to measure sound.
#[derive(Clone, Debug, Args)]
pub(crate) struct MediaBenchArgs {
    /// Calls at the same time, each with two legs.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=3_000))]
    pub(crate) calls: u16,
    /// Seconds for each way of handling sound.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub(crate) seconds: u32,
}

/// Which models to measure, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct TranscribeArgs {
    /// A model of the manifest that is here, instead of random weights in the shapes of tiny.en and base.en.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Random weights in one shape alone.
    #[arg(long, value_enum, conflicts_with = "model")]
    pub(crate) shape: Option<ShapeName>,
    /// Where the models and their manifest lie.
    #[arg(long, default_value = "models")]
    pub(crate) models: PathBuf,
    /// About how long all of it may take. With 360 s for a model, each number of voices is tried for 16 s, twice.
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(60..=7_200))]
    pub(crate) seconds: u32,
    /// Write all figures to this file as well.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// One measurement alone, in this process, as the program asks of itself.
    #[arg(long, hide = true)]
    pub(crate) part: Option<String>,
}

/// A published model whose shape random weights can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ShapeName {
    /// The smallest.
    #[value(name = "tiny.en")]
    TinyEn,
    /// The next.
    #[value(name = "base.en")]
    BaseEn,
}

/// Which model hears which recordings.
#[derive(Clone, Debug, Args)]
pub(crate) struct WerArgs {
    /// NAME.wav beside NAME.txt; or manifest.json, a list of {"id", "text"}, with wav16/ID.wav or ID.wav.
    pub(crate) folder: PathBuf,
    /// A model of the manifest.
    #[arg(long, default_value = "base.en-q8_0", conflicts_with = "model_file")]
    pub(crate) model: String,
    /// Any other ggml file of whisper.cpp.
    #[arg(long)]
    pub(crate) model_file: Option<PathBuf>,
    /// Where the models and their manifest lie.
    #[arg(long, default_value = "models")]
    pub(crate) models: PathBuf,
    /// The language spoken, two letters.
    #[arg(long, default_value = "en")]
    pub(crate) language: String,
    /// Write all figures, and what was heard in each file, to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Which calls to hold against which rules.
#[derive(Clone, Debug, Args)]
pub(crate) struct BacktestArgs {
    /// Files of past calls, one call a line of JSON; of a folder, every .jsonl file. `crates/lab/README.md` has the shape.
    #[arg(required = true)]
    pub(crate) calls: Vec<PathBuf>,
    /// The rules.
    #[arg(long, default_value = "config/triggers/explicit.toml")]
    pub(crate) triggers: PathBuf,
    /// Other rules, to see what they would change.
    #[arg(long)]
    pub(crate) with: Option<PathBuf>,
    /// What it costs when a caller who needs a human gets none, in units of a needless handoff.
    #[arg(long, default_value_t = 5.0, value_parser = cost)]
    pub(crate) cost_missed: f64,
    /// Write all figures to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Write a line for each call to this file.
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,
}

fn cost(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cost) if cost.is_finite() && cost >= 0.0 => Ok(cost),
        _ => Err("a cost is a number, 0 or more".to_owned()),
    }
}

/// What to do with models.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Where the models and their manifest lie.
    #[arg(long, default_value = "models", global = true)]
    pub(crate) models: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// What can be done with models.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Shows every model of the manifest and whether it is here.
    List,
    /// Downloads a model, checks it, and puts it in place.
    Fetch {
        /// Its name.
        name: String,
        /// Take it from here instead of its publisher, such as a mirror in your own network.
        #[arg(long)]
        mirror: Option<String>,
    },
    /// Takes a ggml file of your own among the models.
    Add {
        /// The file; it is copied into the models' folder.
        file: PathBuf,
        /// What the configuration is to call it.
        #[arg(long)]
        name: String,
    },
    /// Loads a file and decodes a second of noise with it, for `add`: in a process of its own, because whisper.cpp ends
    /// the process that meets a file it did not expect.
    #[command(hide = true)]
    Try {
        /// The file.
        file: PathBuf,
    },
    /// Checks the models that are here against their SHA-256.
    Verify {
        /// Its name; without it, every model that is here.
        name: Option<String>,
    },
}
