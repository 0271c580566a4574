//! What was found of a model, and its table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::part::Source;
use crate::{
    bench::{live::Trial, search::VOICES_MAX},
    cli::ShapeName,
};

/// The whole run, for the JSON file.
#[derive(Serialize)]
pub(super) struct Report {
    /// Cores of this machine.
    pub(super) cores: usize,
    pub(super) models: Vec<Figures>,
}

/// One model.
#[derive(Serialize)]
pub(super) struct Figures {
    pub(super) model: String,
    pub(super) bars: Option<Bars>,
    pub(super) utterance: Cost,
    /// At the product's own limit of tokens, for random weights.
    pub(super) worst: Option<Cost>,
    pub(super) plain_utterance: Cost,
    /// With as many threads as whisper.cpp takes here, where that is more than one.
    pub(super) plain_threads: Option<Cost>,
    pub(super) finals: Voices,
    pub(super) half: Voices,
    pub(super) partials: Voices,
    /// One voice, the plain way.
    pub(super) plain_alone: Trial,
    pub(super) plain: Voices,
}

/// What four seconds of speech cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) cpu_ms: f64,
    pub(super) wall_ms: f64,
    pub(super) words: usize,
    /// Resident memory that a decoder added.
    pub(super) decoder_mb: f64,
}

impl Cost {
    /// Voices at which three quarters of the time is spent: where to begin.
    pub(super) fn voices(&self) -> usize {
        ((0.75 * 9_300.0 / self.wall_ms.max(1.0)) as usize).clamp(1, VOICES_MAX)
    }
}

/// A number of voices, tried with every seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Voices {
    /// The most that hold; 0 if none did, and the trials are of the fewest that were tried.
    pub(super) voices: usize,
    pub(super) limit_ms: f64,
    pub(super) trials: Vec<Trial>,
    /// The fewest that a search found to be too many.
    pub(super) too_many: Option<usize>,
}

/// What the project asks of a model on one core.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Bars {
    pub(super) utterance_ms: f64,
    pub(super) finals: usize,
    pub(super) partials: usize,
    pub(super) half_p50_ms: f64,
    pub(super) decoder_mb: f64,
    pub(super) voice_mb: f64,
    pub(super) times_plain: f64,
}

impl Bars {
    pub(super) fn of(source: &Source) -> Option<Bars> {
        let (utterance_ms, finals, partials) = match source {
            Source::Random(ShapeName::TinyEn) => (200.0, 30, 25),
            Source::Random(ShapeName::BaseEn) => (400.0, 12, 10),
            Source::Manifest { .. } => return None,
        };
        let (half_p50_ms, decoder_mb, voice_mb, times_plain) = (450.0, 40.0, 1.0, 6.0);
        Some(Bars { utterance_ms, finals, partials, half_p50_ms, decoder_mb, voice_mb, times_plain })
    }
}

impl Figures {
    /// How many times the plain way's voices are heard; none where the plain way hears nobody.
    fn times(&self) -> Option<f64> {
        (self.plain.voices > 0).then(|| self.finals.voices as f64 / self.plain.voices as f64)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bars = self.bars;
        writeln!(out, "\n{}", self.model)?;
        writeln!(out, "4 s of speech                     CPU     clock   words   a decoder")?;
        cost(out, "one core", &self.utterance)?;
        let Cost { cpu_ms, decoder_mb, .. } = self.utterance;
        let bar = bars.map(|bars| {
            let (speed, size) = (most(cpu_ms, bars.utterance_ms), most(decoder_mb, bars.decoder_mb));
            format!("   bar {:.0} ms: {speed}; {:.0} MB: {size}", bars.utterance_ms, bars.decoder_mb)
        });
        writeln!(out, "{}", bar.unwrap_or_default())?;
        if let Some(worst) = &self.worst {
            cost(out, "with all tokens that are allowed", worst)?;
            writeln!(out)?;
        }
        cost(out, "the plain way, one thread", &self.plain_utterance)?;
        writeln!(out)?;
        if let Some(plain) = &self.plain_threads {
            cost(out, "the plain way, its own threads", plain)?;
            writeln!(out)?;
        }
        writeln!(out, "live, one core                 voices   end → known, p50 and p95        a voice")?;
        voices(out, "finals only", &self.finals)?;
        writeln!(out, "{}", bar_voices(&self.finals, bars.map(|bars| bars.finals)))?;
        voices(out, "half of these", &self.half)?;
        let bar = bars.map(|bars| {
            let p50 = self.half.worst(|trial| trial.p50_ms);
            format!("   bar {:.0} ms (p50): {}", bars.half_p50_ms, most(p50, bars.half_p50_ms))
        });
        writeln!(out, "{}", bar.unwrap_or_default())?;
        voices(out, "elastic partials", &self.partials)?;
        let told = self.partials.worst(|trial| trial.partials);
        let bar = bar_voices(&self.partials, bars.map(|bars| bars.partials));
        writeln!(out, "{bar}; {told:.1} partials an utterance")?;
        if !self.plain_alone.holds(super::LIMIT) {
            let alone = self.plain_alone.p95_ms;
            writeln!(out, "the plain way hears not even one voice within 1 s: p95 {alone:.0} ms")?;
        }
        voices(out, &format!("the plain way, within {:.0} s", self.plain.limit_ms / 1e3), &self.plain)?;
        let times = self.times().map_or_else(
            || "   it hears nobody".to_owned(),
            |times| {
                let bar = bars.map(|bars| {
                    format!(" (bar {:.0}: {})", bars.times_plain, least(times, bars.times_plain))
                });
                format!("   ours hears {times:.1} times the voices{}", bar.unwrap_or_default())
            },
        );
        write!(out, "{times}")
    }
}

impl Voices {
    fn worst(&self, of: impl Fn(&Trial) -> f64) -> f64 {
        self.trials.iter().map(of).fold(0.0, f64::max)
    }
}

fn cost(out: &mut fmt::Formatter<'_>, name: &str, cost: &Cost) -> fmt::Result {
    let Cost { cpu_ms, wall_ms, words, decoder_mb } = cost;
    write!(out, "  {name:<31} {cpu_ms:>6.0} ms {wall_ms:>6.0} ms {words:>5} {decoder_mb:>8.0} MB")
}

fn voices(out: &mut fmt::Formatter<'_>, name: &str, voices: &Voices) -> fmt::Result {
    let spread = |of: fn(&Trial) -> f64| {
        let each: Vec<String> = voices.trials.iter().map(|trial| format!("{:.0}", of(trial))).collect();
        each.join("/")
    };
    let (p50, p95) = (spread(|trial| trial.p50_ms), spread(|trial| trial.p95_ms));
    let memory = voices.worst(|trial| trial.voice_mb);
    let delays = format!("{p50} and {p95} ms");
    write!(out, "  {name:<28} {:>6}   {delays:<27} {memory:>5.2} MB", voices.voices)
}

fn bar_voices(voices: &Voices, bar: Option<usize>) -> String {
    let bar = bar.map(|bar| format!("   bar {bar}: {}", least(voices.voices as f64, bar as f64)));
    let many = voices.too_many.map(|many| format!("   {many} are too many"));
    bar.unwrap_or_default() + &many.unwrap_or_default()
}

fn most(found: f64, bar: f64) -> &'static str {
    if found <= bar { "met" } else { "open" }
}

fn least(found: f64, bar: f64) -> &'static str {
    if found >= bar { "met" } else { "open" }
}
