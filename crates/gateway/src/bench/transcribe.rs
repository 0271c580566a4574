//! `segue bench transcribe`: what recognition costs, and how many live voices one core hears in time.
//!
//! Without a model, random weights in the true shapes give the true cost: they say nonsense and never end by
//! themselves, so each decode takes all the tokens that the product allows (32 for four seconds, about twice what
//! speech has). The plain way in the same run: the same utterance with 30 s of audio context and several threads.

use std::{num::NonZero, process::ExitCode, sync::Arc, time::Duration};

use rustix::time::{ClockId, Timespec, clock_gettime};
use segue_media::resample;
use segue_speech::{
    ModelCatalogue, WhisperEngine, WhisperOptions,
    models::Shape,
    pool::{Engine, Stop},
};

use super::live::{Script, Setting, Trial, attempt, resident, spoken};
use crate::{
    cli::{ShapeName, TranscribeArgs},
    clock::Clock,
    media::{allowed_cores, claim_core},
    telemetry::say,
};

/// Measures and prints a table for each model.
///
/// # Errors
/// The model is not there, or recognition cannot start.
pub(crate) fn run(args: &TranscribeArgs) -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let engines = engines(args)?;
    let each = Duration::from_secs(args.seconds.into()) / u32::try_from(engines.len().max(1)).unwrap_or(1);
    let script = Script::new()?;
    say(
        "Each voice speaks 4 s of 9.3; in time: 95 of 100 utterances known within 1 s of their end, none lost",
    );
    for engine in engines {
        let until = clock.now() + each;
        model(engine, &script, until, clock)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn engines(args: &TranscribeArgs) -> anyhow::Result<Vec<WhisperEngine>> {
    if let Some(name) = &args.model {
        let verified = ModelCatalogue::load(&args.models)?.verify(name)?;
        let options = WhisperOptions { allow_demo_model: true, ..WhisperOptions::default() };
        return Ok(vec![WhisperEngine::load(&verified, &options)?]);
    }
    let wanted = match args.shape {
        Some(shape) => vec![shape],
        None => vec![ShapeName::TinyEn, ShapeName::BaseEn],
    };
    let make = |shape| match shape {
        ShapeName::TinyEn => WhisperEngine::random("tiny.en-q8_0, random weights", Shape::TINY_EN, 1),
        ShapeName::BaseEn => WhisperEngine::random("base.en-q8_0, random weights", Shape::BASE_EN, 1),
    };
    Ok(wanted.into_iter().map(make).collect::<Result<_, _>>()?)
}

fn model(engine: WhisperEngine, script: &Script, until: Duration, clock: Clock) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    // whisper.cpp takes four threads, or as many as there are cores.
    let threads = i32::try_from(cores.min(4)).unwrap_or(1);
    let plain: Arc<dyn Engine> = Arc::new(engine.plainly(threads));
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let core = allowed_cores().first().copied();
    say(&format!("\n{}", engine.name()));
    let cost = utterance(&engine, core, clock)?;
    say(&format!("  one utterance of 4 s        {}", cost.line("")));
    let other = utterance(&plain, None, clock)?;
    say(&format!("  the plain way               {}", other.line(&format!(" with {threads} threads"))));
    say("  live                         voices a core   p50 / p95 end → known     memory a voice");
    let live = |partials| Setting { engine: Arc::clone(&engine), partials, core };
    let left = |share: u32| until.saturating_sub(clock.now()) / share;
    let first = cost.voices();
    let finals = search(&live(false), first, script, (clock.now() + left(2), clock))?;
    say(&line("finals only", &finals));
    let half = attempt(&live(false), (finals.voices / 2).max(1), script)?;
    say(&line("the same at half load", &half));
    let partials = search(&live(true), finals.voices * 4 / 5, script, (clock.now() + left(1), clock))?;
    say(&line("with elastic partials", &partials));
    let times = other.cpu.as_secs_f64() / cost.cpu.as_secs_f64().max(f64::MIN_POSITIVE);
    say(&format!("  the plain way takes {times:.1} times the CPU time for the same utterance"));
    Ok(())
}

fn line(name: &str, trial: &Trial) -> String {
    format!(
        "  {name:<28} {:>13} {:>12.0} / {:.0} ms {:>14.2} MB{}",
        trial.voices,
        trial.p50.as_secs_f64() * 1e3,
        trial.p95.as_secs_f64() * 1e3,
        trial.bytes_a_voice as f64 / 1e6,
        match (trial.holds(), trial.too_many) {
            (false, _) => "   not in time".to_owned(),
            (true, Some(voices)) => format!("   {voices} voices were too many"),
            (true, None) => String::new(),
        },
    )
}

/// The cost of four seconds of speech.
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu: Duration,
    wall: Duration,
    tokens: usize,
    /// Resident memory that a decoder added.
    memory: u64,
}

impl Cost {
    fn line(&self, with: &str) -> String {
        format!(
            "{:>6.0} ms of CPU, {:.0} ms{with}, {} words; a decoder {:.0} MB",
            self.cpu.as_secs_f64() * 1e3,
            self.wall.as_secs_f64() * 1e3,
            self.tokens,
            self.memory as f64 / 1e6,
        )
    }

    /// Voices at which three quarters of the time is spent: where to begin.
    fn voices(&self) -> usize {
        ((0.75 * 9.3 / self.wall.as_secs_f64().max(0.001)) as usize).max(1)
    }
}

/// Decodes a few times, on a thread of its own, and takes the median.
fn utterance(engine: &Arc<dyn Engine>, core: Option<usize>, clock: Clock) -> anyhow::Result<Cost> {
    let sound = resample::up(&spoken()?);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            claim_core(core);
            decodes(engine, &sound, clock)
        });
        thread.join().map_err(|_| anyhow::anyhow!("the decoder panicked"))
    })?
}

fn decodes(engine: &Arc<dyn Engine>, sound: &[i16], clock: Clock) -> anyhow::Result<Cost> {
    let stop = Stop::at(Duration::MAX, Arc::new(move || clock.now()));
    let before = resident();
    let mut decoder = engine.decoder()?;
    let tokens = decoder.decode(sound, Some("en"), &stop)?.text.split_whitespace().count();
    let memory = resident().saturating_sub(before);
    let mut costs = Vec::new();
    for _ in 0..DECODES {
        let (cpu_before, wall_before) = (cpu(), clock.now());
        decoder.decode(sound, Some("en"), &stop)?;
        costs.push((cpu() - cpu_before, clock.now() - wall_before));
    }
    costs.sort_unstable();
    let (cpu, wall) = costs.get(DECODES / 2).copied().unwrap_or_default();
    Ok(Cost { cpu, wall, tokens, memory })
}

/// CPU time of the whole process: a plain decode has threads of its own.
fn cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

/// The most voices that are heard in time: up by a quarter or down by half from where it begins, then between, until
/// the time is over or a tenth is left. Where none holds, the last that was tried.
fn search(
    setting: &Setting,
    first: usize,
    script: &Script,
    (until, clock): (Duration, Clock),
) -> anyhow::Result<Trial> {
    let mut range = Range { held: 0, failed: None };
    let mut best: Option<Trial> = None;
    let mut next = Some(first.clamp(1, VOICES_MAX));
    while let Some(voices) = next {
        let trial = attempt(setting, voices, script)?;
        if trial.holds() {
            range.held = voices;
        } else {
            range.failed = Some(voices);
        }
        if trial.holds() || range.held == 0 {
            best = Some(trial);
        }
        next = range.next().filter(|_| clock.now() < until || range.held == 0);
    }
    let best = best.ok_or_else(|| anyhow::anyhow!("no voice was tried"))?;
    Ok(Trial { too_many: range.failed, ..best })
}

/// What is known of the most voices.
struct Range {
    held: usize,
    failed: Option<usize>,
}

impl Range {
    fn next(&self) -> Option<usize> {
        let next = match self.failed {
            None => (self.held + self.held / 4 + 1).min(VOICES_MAX),
            Some(failed) if self.held == 0 => failed / 2,
            Some(failed) if failed - self.held <= 1 + self.held / 10 => 0,
            Some(failed) => self.held.midpoint(failed),
        };
        (next > 0 && next != self.held).then_some(next)
    }
}

/// Decodes of one utterance that are timed.
const DECODES: usize = 9;
/// No core hears more.
const VOICES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_closes_in_on_the_limit_and_ends() {
        for (limit, first) in [(30, 25), (30, 60), (1, 8), (7, 1), (400, 300)] {
            let mut range = Range { held: 0, failed: None };
            let (mut next, mut tries) = (Some(first), 0);
            while let Some(voices) = next {
                tries += 1;
                if voices <= limit {
                    range.held = voices
                } else {
                    range.failed = Some(voices)
                }
                next = range.next();
            }
            assert!(range.held <= limit && (range.held + 1) * 11 >= limit * 10, "{limit}: {}", range.held);
            assert!(tries <= 12, "{limit}: {tries} tries");
        }
    }

    #[test]
    fn random_weights_take_all_the_tokens_they_may() {
        let engine: Arc<dyn Engine> = Arc::new(WhisperEngine::random("tiny", Shape::TINY_EN, 1).unwrap());
        let cost = utterance(&engine, None, Clock::start()).unwrap();
        assert!((32..=33).contains(&cost.tokens), "{cost:?}");
        assert!(cost.cpu > Duration::ZERO && cost.voices() >= 1);
    }
}
