//! What was found of a model, and its table.

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
    pub(super) finals: Option<Voices>,
    pub(super) half: Option<Voices>,
    pub(super) partials: Option<Voices>,
    /// One voice, the plain way.
    pub(super) plain_alone: Option<Trial>,
    pub(super) plain: Option<Voices>,
    /// How many times the voices of the plain way are heard.
    pub(super) times_plain: Option<f64>,
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

    fn line(&self, name: &str) -> String {
        let Cost { cpu_ms, wall_ms, words, decoder_mb } = self;
        format!("  {name:<31} {cpu_ms:>6.0} ms {wall_ms:>6.0} ms {words:>5} {decoder_mb:>8.0} MB")
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
    /// What an utterance costs, a line for each way.
    pub(super) fn costs(&self) -> String {
        let Cost { cpu_ms, decoder_mb, .. } = self.utterance;
        let bar = self.bars.map(|bars| {
            let (speed, size) = (most(cpu_ms, bars.utterance_ms), most(decoder_mb, bars.decoder_mb));
            format!("   bar {:.0} ms: {speed}; {:.0} MB: {size}", bars.utterance_ms, bars.decoder_mb)
        });
        let mut lines = vec![
            format!("\n{}", self.model),
            "4 s of speech                     CPU     clock   words   a decoder".to_owned(),
            self.utterance.line("one core") + &bar.unwrap_or_default(),
        ];
        lines.extend(self.worst.map(|cost| cost.line("with all tokens that are allowed")));
        lines.push(self.plain_utterance.line("the plain way, one thread"));
        lines.extend(self.plain_threads.map(|cost| cost.line("the plain way, its own threads")));
        lines.push(
            "live, one core                 voices   end → known, p50 and p95        a voice".to_owned(),
        );
        lines.join("\n")
    }

    pub(super) fn finals_line(&self, finals: &Voices) -> String {
        finals.line("finals only") + &finals.bar(self.bars.map(|bars| bars.finals))
    }

    pub(super) fn half_line(&self, half: &Voices) -> String {
        let bar = self.bars.map(|bars| {
            let p50 = half.worst(|trial| trial.p50_ms);
            format!("   bar {:.0} ms (p50): {}", bars.half_p50_ms, most(p50, bars.half_p50_ms))
        });
        half.line("half of these") + &bar.unwrap_or_default()
    }

    pub(super) fn partials_line(&self, partials: &Voices) -> String {
        let told = partials.worst(|trial| trial.partials);
        let bar = partials.bar(self.bars.map(|bars| bars.partials));
        format!("{}{bar}; {told:.1} partials an utterance", partials.line("elastic partials"))
    }

    /// How many times the plain way's voices are heard; none where the plain way hears nobody.
    pub(super) fn times(&self, plain: &Voices) -> Option<f64> {
        let finals = self.finals.as_ref().filter(|_| plain.voices > 0)?;
        Some(finals.voices as f64 / plain.voices as f64)
    }

    /// What the plain way hears, and how many times that is heard by ours.
    pub(super) fn plain_lines(&self, (alone, plain): (&Trial, &Voices)) -> String {
        let mut lines = Vec::new();
        if !alone.holds(super::LIMIT) {
            let p95 = alone.p95_ms;
            lines.push(format!("the plain way hears not even one voice within 1 s: p95 {p95:.0} ms"));
        }
        lines.push(plain.line(&format!("the plain way, within {:.0} s", plain.limit_ms / 1e3)));
        if let Some(times) = self.times(plain) {
            let bar = self
                .bars
                .map(|bars| format!(" (bar {:.0}: {})", bars.times_plain, least(times, bars.times_plain)));
            lines.push(format!("ours hears {times:.1} times the voices{}", bar.unwrap_or_default()));
        }
        lines.join("\n")
    }
}

impl Voices {
    fn worst(&self, of: impl Fn(&Trial) -> f64) -> f64 {
        self.trials.iter().map(of).fold(0.0, f64::max)
    }

    fn line(&self, name: &str) -> String {
        let spread = |of: fn(&Trial) -> f64| {
            let each: Vec<String> = self.trials.iter().map(|trial| format!("{:.0}", of(trial))).collect();
            each.join("/")
        };
        let delays = format!("{} and {} ms", spread(|trial| trial.p50_ms), spread(|trial| trial.p95_ms));
        let memory = self.worst(|trial| trial.voice_mb);
        let disturbed = self.worst(|trial| trial.disturbed);
        let warning = if self.trials.iter().any(Trial::is_disturbed) {
            format!("   (something else had {:.0} % of the core)", disturbed * 100.0)
        } else {
            String::new()
        };
        format!("  {name:<28} {:>6}   {delays:<27} {memory:>5.2} MB{warning}", self.voices)
    }

    fn bar(&self, bar: Option<usize>) -> String {
        let bar = bar.map(|bar| format!("   bar {bar}: {}", least(self.voices as f64, bar as f64)));
        let many = self.too_many.map(|many| format!("   {many} are too many"));
        bar.unwrap_or_default() + &many.unwrap_or_default()
    }
}

fn most(found: f64, bar: f64) -> &'static str {
    if found <= bar { "met" } else { "open" }
}

fn least(found: f64, bar: f64) -> &'static str {
    if found >= bar { "met" } else { "open" }
}
