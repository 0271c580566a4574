//! `segue bench transcribe`: what recognition costs, and how many live voices one core hears in time.
//!
//! Without a model, random weights in the true shapes give the true cost. They say nonsense and never end by
//! themselves, so each decode is ended after as many tokens as speech has; what a decode costs at the product's own
//! limit is a line of its own. The plain way is measured in the same run: 30 s of context, a decoder for each voice,
//! nothing decoded early. Each measurement runs in a process of its own.

mod figures;
mod part;

use std::{num::NonZero, process::ExitCode, time::Duration};

use anyhow::Context;

use self::{
    figures::{Bars, Cost, Figures, Report, Voices},
    part::{Part, Source, Way, measured},
};
use super::{
    live::{Crowd, Manner, Trial},
    process::child,
    search::Range,
};
use crate::{
    bar,
    cli::{ShapeName, TranscribeArgs},
    clock::Clock,
    telemetry::say,
};

/// Measures, prints a table for each model, and writes the JSON file if one is wanted.
///
/// # Errors
/// The model is not there, or recognition cannot start.
pub(crate) fn run(args: &TranscribeArgs) -> anyhow::Result<ExitCode> {
    if let Some(part) = &args.part {
        let part: Part = serde_json::from_str(part).context("--part")?;
        say(&measured(&Source::of(args)?, &part)?);
        return Ok(ExitCode::SUCCESS);
    }
    let sources = sources(args)?;
    let clock = Clock::start();
    let seconds = args.seconds / u32::try_from(sources.len().max(1)).unwrap_or(1);
    say(
        "Each voice speaks 4 s and pauses 5.3 s on the whole; each number of voices is tried twice, met otherwise.",
    );
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut report = Report { cores, models: Vec::new() };
    for source in sources {
        let plan = Plan { began: clock.now(), seconds, clock };
        let tell = |line: &str| {
            plan.end();
            say(line);
        };
        let figures = plan.figures(&source, &mut Children { source: &source, plan }, tell)?;
        report.models.push(figures);
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sources(args: &TranscribeArgs) -> anyhow::Result<Vec<Source>> {
    if args.model.is_some() || args.shape.is_some() {
        return Ok(vec![Source::of(args)?]);
    }
    Ok(vec![Source::Random(ShapeName::TinyEn), Source::Random(ShapeName::BaseEn)])
}

/// Takes the measurements of one model.
trait Measure {
    fn cost(&mut self, way: Way) -> anyhow::Result<Cost>;
    fn trial(&mut self, manner: Manner, crowd: Crowd) -> anyhow::Result<Trial>;
}

/// Each in a process of its own.
struct Children<'a> {
    source: &'a Source,
    plan: Plan,
}

impl Children<'_> {
    fn arguments(&self, part: &Part) -> anyhow::Result<Vec<String>> {
        let mut arguments = vec!["bench".to_owned(), "transcribe".to_owned()];
        arguments.extend(self.source.arguments());
        arguments.extend(["--part".to_owned(), serde_json::to_string(part)?]);
        Ok(arguments)
    }
}

impl Measure for Children<'_> {
    fn cost(&mut self, way: Way) -> anyhow::Result<Cost> {
        self.plan.draw(self.source, "an utterance");
        child(&self.arguments(&Part::Utterance { way })?)
    }

    fn trial(&mut self, manner: Manner, crowd: Crowd) -> anyhow::Result<Trial> {
        self.plan.draw(self.source, &format!("{}, {} voices", manner.name(), crowd.voices));
        child(&self.arguments(&Part::Live { manner, crowd })?)
    }
}

/// How the time for a model is spent.
#[derive(Clone, Copy)]
struct Plan {
    began: Duration,
    seconds: u32,
    clock: Clock,
}

impl Plan {
    /// Takes all measurements of a model; tells each line as soon as it is known.
    fn figures(
        self,
        source: &Source,
        measure: &mut impl Measure,
        mut tell: impl FnMut(&str),
    ) -> anyhow::Result<Figures> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        // whisper.cpp takes four threads, or as many as there are cores.
        let threads = i32::try_from(cores.min(4)).unwrap_or(1);
        let mut figures = Figures {
            model: source.name(),
            bars: Bars::of(source),
            utterance: measure.cost(Way::Ours)?,
            worst: source.is_random().then(|| measure.cost(Way::Worst)).transpose()?,
            plain_utterance: measure.cost(Way::Plain { threads: 1 })?,
            plain_threads: (threads > 1).then(|| measure.cost(Way::Plain { threads })).transpose()?,
            finals: None,
            half: None,
            partials: None,
            plain_alone: None,
            plain: None,
            times_plain: None,
        };
        tell(&figures.costs());
        let finals = self.search(measure, Manner::Finals, (figures.utterance.voices(), 40, LIMIT))?;
        tell(&figures.finals_line(&finals));
        let half = self.each_seed(measure, Manner::Finals, ((finals.voices / 2).max(1), LIMIT))?;
        tell(&figures.half_line(&half));
        let first = (finals.voices * 4 / 5).max(1);
        let partials = self.search(measure, Manner::Partials, (first, 80, LIMIT))?;
        tell(&figures.partials_line(&partials));
        figures.finals = Some(finals);
        let alone = measure.trial(Manner::Plain, self.crowd((1, LIMIT), 1))?;
        let plain_limit = if alone.holds(LIMIT) { LIMIT } else { PLAIN_LIMIT };
        // Where decodes share the core, none is quick any more once it is full: half of what would fit.
        let first = (figures.plain_utterance.voices() / 2).max(1);
        let plain = self.search(measure, Manner::Plain, (first, 100, plain_limit))?;
        tell(&figures.plain_lines((&alone, &plain)));
        figures.times_plain = figures.times(&plain);
        (figures.half, figures.partials) = (Some(half), Some(partials));
        (figures.plain_alone, figures.plain) = (Some(alone), Some(plain));
        self.end();
        Ok(figures)
    }

    /// The most voices that hold with every seed, from a first guess on, until that share of the time is over.
    fn search(
        self,
        measure: &mut impl Measure,
        manner: Manner,
        (first, percent, limit): (usize, u32, Duration),
    ) -> anyhow::Result<Voices> {
        let until = self.began + Duration::from_secs((self.seconds * percent / 100).into());
        let mut range = Range::default();
        let mut best = Voices { limit_ms: limit.as_secs_f64() * 1e3, ..Voices::default() };
        let mut next = Some(first.max(1));
        while let Some(voices) = next {
            let tried = self.each_seed(measure, manner, (voices, limit))?;
            let held = tried.trials.iter().all(|trial| trial.holds(limit));
            range.learn(voices, held);
            if held {
                best = tried;
            } else if range.held == 0 {
                best = Voices { voices: 0, ..tried };
            }
            next = range.next().filter(|_| self.clock.now() < until || range.held == 0);
        }
        best.too_many = range.failed;
        Ok(best)
    }

    /// A number of voices, met in two ways; the second only if the first holds. What does not hold while something
    /// else has the core is tried again.
    fn each_seed(
        self,
        measure: &mut impl Measure,
        manner: Manner,
        (voices, limit): (usize, Duration),
    ) -> anyhow::Result<Voices> {
        let mut trials = Vec::new();
        for seed in SEEDS {
            let crowd = self.crowd((voices, limit), seed);
            let mut trial = measure.trial(manner, crowd)?;
            for _ in 0..AGAIN {
                if trial.holds(limit) || !trial.is_disturbed() {
                    break;
                }
                trial = measure.trial(manner, crowd)?;
            }
            trials.push(trial);
            if !trial.holds(limit) {
                break;
            }
        }
        Ok(Voices { voices, limit_ms: limit.as_secs_f64() * 1e3, trials, too_many: None })
    }

    fn crowd(self, (voices, limit): (usize, Duration), seed: u64) -> Crowd {
        Crowd { voices, seed, seconds: (self.seconds / TRIALS).clamp(12, 60), limit }
    }

    fn draw(self, source: &Source, what: &str) {
        let done = self.clock.now().saturating_sub(self.began).as_secs() as usize;
        let all = self.seconds as usize;
        bar::draw(&format!("{}: {what}", source.name()), done.min(all.saturating_sub(1)), all, " s");
    }

    fn end(self) {
        bar::take_away();
    }
}

/// Within that time 95 of 100 utterances are known.
const LIMIT: Duration = Duration::from_secs(1);
/// The same for the plain way where it cannot know one voice's within a second.
const PLAIN_LIMIT: Duration = Duration::from_secs(3);
/// Two ways in which voices meet, the same for every manner.
const SEEDS: [u64; 2] = [1, 2];
/// How often a trial is taken again that was disturbed.
const AGAIN: usize = 2;
/// About so many trials find all there is to find.
const TRIALS: u32 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    /// A core on which a decode takes so long; waiting grows as the core fills up.
    struct Theory {
        seconds: f64,
        trials: usize,
    }

    impl Measure for Theory {
        fn cost(&mut self, way: Way) -> anyhow::Result<Cost> {
            let ms = match way {
                Way::Ours => self.seconds * 1e3,
                Way::Worst => self.seconds * 1.3e3,
                Way::Plain { .. } => self.seconds * 8e3,
            };
            Ok(Cost { cpu_ms: ms, wall_ms: ms, words: 18, decoder_mb: 35.0 })
        }

        fn trial(&mut self, manner: Manner, crowd: Crowd) -> anyhow::Result<Trial> {
            self.trials += 1;
            let decode = match manner {
                Manner::Finals => self.seconds,
                Manner::Partials => self.seconds * 1.2,
                Manner::Plain => self.seconds * 8.0,
            };
            let busy = (crowd.voices as f64 * decode / 9.3).min(0.999);
            let wait = decode * busy / (1.0 - busy) * 1.5;
            let p95_ms = (400.0_f64).max((0.2 + decode + wait) * 1e3);
            Ok(Trial { voices: crowd.voices, p95_ms, finals: crowd.voices, ..Trial::default() })
        }
    }

    #[test]
    fn the_plan_finds_what_holds_in_few_trials_and_compares_with_the_plain_way() {
        let mut theory = Theory { seconds: 0.15, trials: 0 };
        let plan = Plan { began: Duration::ZERO, seconds: u32::MAX / 200, clock: Clock::start() };
        let plan = Plan { began: plan.clock.now(), ..plan };
        let mut told = String::new();
        let tell = |line: &str| told.push_str(line);
        let found = plan.figures(&Source::Random(ShapeName::TinyEn), &mut theory, tell).unwrap();
        let voices = [&found.finals, &found.half, &found.partials, &found.plain]
            .map(|voices| voices.as_ref().unwrap().voices);
        assert!((44..=47).contains(&voices[0]), "{voices:?}");
        assert_eq!(voices[1], voices[0] / 2);
        assert!((33..=36).contains(&voices[2]), "{voices:?}");
        assert_eq!(voices[3], 3);
        assert_eq!(found.finals.unwrap().trials.len(), 2);
        assert!(found.plain.unwrap().limit_ms > 2_999.0 && found.times_plain.unwrap() > 14.0);
        assert!(theory.trials <= 40, "{}", theory.trials);
        assert!(told.contains("bar 30: met") && told.contains("times the voices"), "{told}");
    }

    /// A core of which something else takes a part the first two times.
    struct Shared(usize);

    impl Measure for Shared {
        fn cost(&mut self, _: Way) -> anyhow::Result<Cost> {
            anyhow::bail!("not asked for")
        }

        fn trial(&mut self, _: Manner, crowd: Crowd) -> anyhow::Result<Trial> {
            self.0 += 1;
            let (p95_ms, disturbed) = if self.0 <= 2 { (2_000.0, 0.2) } else { (700.0, 0.01) };
            Ok(Trial { voices: crowd.voices, p95_ms, disturbed, finals: 5, ..Trial::default() })
        }
    }

    #[test]
    fn what_fails_while_something_else_has_the_core_is_tried_again() {
        let clock = Clock::start();
        let plan = Plan { began: clock.now(), seconds: 360, clock };
        let tried = plan.each_seed(&mut Shared(0), Manner::Finals, (9, LIMIT)).unwrap();
        assert!(tried.trials.len() == 2 && tried.trials.iter().all(|trial| trial.holds(LIMIT)), "{tried:?}");
        let (mut always, no_time) = (Shared(0), Duration::from_millis(100));
        let tried = plan.each_seed(&mut always, Manner::Finals, (9, no_time)).unwrap();
        assert_eq!((tried.trials.len(), always.0), (1, 3));
    }

    #[test]
    fn when_the_time_is_over_the_search_takes_what_held() {
        let mut theory = Theory { seconds: 0.15, trials: 0 };
        let clock = Clock::start();
        let plan = Plan { began: clock.now(), seconds: 0, clock };
        let found = plan.search(&mut theory, Manner::Finals, (40, 50, LIMIT)).unwrap();
        assert_eq!((found.voices, found.too_many, theory.trials), (40, None, 2));
        let found = plan.search(&mut theory, Manner::Finals, (100, 50, LIMIT)).unwrap();
        assert!(found.voices > 0 && found.too_many.is_some(), "{found:?}");
    }
}
