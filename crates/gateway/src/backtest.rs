//! `segue backtest`: past calls held against trigger rules.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use segue_lab::{Bench, Case, Cases, Comparison, Costs, Run, Score, Summary};
use serde::Serialize;

use crate::{
    bar, check,
    cli::BacktestArgs,
    config,
    telemetry::{complain, say},
};

/// Runs the calls and prints what came of it. Lines that are no calls are named, and the rest counts.
///
/// # Errors
/// The rules or a file cannot be read, or a report not be written.
pub(crate) fn run(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let (Ok(rules), Ok(other)) = (bench(&args.triggers), args.with.as_deref().map(bench).transpose()) else {
        return Ok(ExitCode::FAILURE);
    };
    let files = files(&args.calls)?;
    let mut report = Report::new(rules, other, args.csv.as_deref())?;
    let total = files.iter().filter_map(|file| file.metadata().ok()).map(|known| known.len()).sum();
    let mut progress = Progress { done: 0, total, drawn: 0 };
    for file in &files {
        let source = File::open(file).with_context(|| format!("{} cannot be opened", file.display()))?;
        let counted = Counted { source, read: &mut progress };
        for case in Cases::new(BufReader::with_capacity(CHUNK, counted)) {
            match case {
                Ok(case) => report.add(&case)?,
                Err(error) => report.refuse(file, &error),
            }
        }
    }
    report.finish(args)
}

/// The rules of a file; what is wrong with them is told.
fn bench(path: &Path) -> Result<Bench, ()> {
    let rules = config::load_rules(path).map_err(|problems| check::report(&problems))?;
    Ok(Bench::new(Arc::new(rules)))
}

/// The files, those of folders in the order of their names.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let found = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<PathBuf> =
            found.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")).collect();
        anyhow::ensure!(!found.is_empty(), "{} holds no .jsonl file", path.display());
        found.sort_unstable();
        files.append(&mut found);
    }
    Ok(files)
}

/// What is gathered while calls run.
struct Report {
    rules: Bench,
    other: Option<Bench>,
    score: Score,
    other_score: Score,
    comparison: Comparison,
    csv: Option<BufWriter<File>>,
    refused: u64,
}

/// All figures, as they are written to a file.
#[derive(Serialize)]
struct Figures<'a> {
    costs: Costs,
    lines_refused: u64,
    rules: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a Comparison>,
}

impl Report {
    fn new(rules: Bench, other: Option<Bench>, csv: Option<&Path>) -> anyhow::Result<Self> {
        let mut csv = match csv {
            Some(path) => {
                let file =
                    File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
                Some(BufWriter::new(file))
            }
            None => None,
        };
        if let Some(csv) = &mut csv {
            writeln!(csv, "id,needed,handed_over,rule,code,turn,seconds,evidence")?;
        }
        let (score, other_score, comparison) = Default::default();
        Ok(Self { rules, other, score, other_score, comparison, csv, refused: 0 })
    }

    fn add(&mut self, case: &Case) -> anyhow::Result<()> {
        let run = self.rules.run(case);
        self.score.add(case, &run);
        if let Some(other) = &self.other {
            let after = other.run(case);
            self.other_score.add(case, &after);
            self.comparison.add(case, &run, &after);
        }
        if let Some(csv) = &mut self.csv {
            writeln!(csv, "{}", line(case, &run))?;
        }
        Ok(())
    }

    fn refuse(&mut self, file: &Path, error: &segue_lab::CaseError) {
        self.refused += 1;
        if self.refused <= REFUSALS_TOLD {
            complain(&format!("{}, {error}", file.display()));
        }
    }

    fn finish(mut self, args: &BacktestArgs) -> anyhow::Result<ExitCode> {
        if let Some(csv) = &mut self.csv {
            csv.flush()?;
        }
        let costs = Costs { missed: args.cost_missed, ..Costs::default() };
        let rules = self.score.summary(costs);
        let with = self.other.is_some().then(|| self.other_score.summary(costs));
        say(&table(&rules, with.as_ref()));
        if with.is_some() {
            say(&changes(&self.comparison));
        }
        if self.refused > 0 {
            complain(&format!("{} lines are no calls and were left out", self.refused));
        }
        if let Some(path) = &args.json {
            let changes = with.is_some().then_some(&self.comparison);
            let figures = Figures { costs, lines_refused: self.refused, rules, with, changes };
            std::fs::write(path, serde_json::to_vec_pretty(&figures)?)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(if self.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// A call as a line of CSV (RFC 4180).
fn line(case: &Case, run: &Run) -> String {
    let needed = case.label.as_ref().map(|label| label.handoff.to_string()).unwrap_or_default();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    match &run.handoff {
        Some(fire) => format!(
            "{},{needed},true,{},{},{},{:.1},{}",
            quoted(&case.id),
            quoted(&fire.rule),
            quoted(&fire.code),
            fire.turn,
            fire.at,
            quoted(&fire.evidence)
        ),
        None => format!("{},{needed},false,,,,,", quoted(&case.id)),
    }
}

fn table(rules: &Summary, with: Option<&Summary>) -> String {
    let share = |part: Option<f64>| part.map_or_else(|| "–".to_owned(), |part| format!("{part:.3}"));
    let parts = |parts: Option<[f64; 3]>| {
        parts.map_or_else(
            || "–".to_owned(),
            |[low, middle, high]| format!("{low:.1} / {middle:.1} / {high:.1}"),
        )
    };
    let column = |figures: &Summary| {
        [
            format!("{} ({} with a label)", figures.calls, figures.labelled),
            format!("{} ({:.1} %)", figures.handoffs, figures.handoff_rate * 1e2),
            figures.right.to_string(),
            figures.needless.to_string(),
            figures.missed.to_string(),
            figures.offers.to_string(),
            share(figures.precision),
            share(figures.recall),
            share(figures.f1),
            parts(figures.lead_turns),
            parts(figures.lateness),
            share(figures.cost),
        ]
    };
    let others = with.map_or_else(Default::default, column);
    let mut text = String::new();
    for ((name, figure), other) in ROWS.iter().zip(column(rules)).zip(others) {
        text.push_str(format!("{name:<38} {figure:>24}  {other:>24}").trim_end());
        text.push('\n');
    }
    text.push_str("\nrule             handed over      right   needless   contributed\n");
    for (rule, score) in &rules.rules {
        text.push_str(&format!(
            "{rule:<16} {:>11} {:>10} {:>10} {:>13}\n",
            score.handoffs, score.right, score.needless, score.contributed
        ));
    }
    text
}

fn changes(comparison: &Comparison) -> String {
    let mut text = format!(
        "{} calls come out otherwise: {} more are handed over, {} fewer; {} for the better, {} for the worse\n",
        comparison.changed, comparison.gained, comparison.lost, comparison.better, comparison.worse
    );
    let told = |fire: &Option<segue_lab::Fire>| match fire {
        Some(fire) => format!("{} in turn {} ({})", fire.rule, fire.turn, fire.evidence),
        None => "no handoff".to_owned(),
    };
    for change in comparison.calls.iter().take(CHANGES_TOLD) {
        text.push_str(&format!("  {}: {} → {}\n", change.id, told(&change.before), told(&change.after)));
    }
    if comparison.changed > CHANGES_TOLD as u64 {
        text.push_str("  … (--json has more)\n");
    }
    text
}

/// How far the reading has come.
struct Progress {
    done: u64,
    total: u64,
    drawn: u64,
}

/// A file whose reading is told.
struct Counted<'a> {
    source: File,
    read: &'a mut Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(into)?;
        self.read.done += read as u64;
        let percent = self.read.done * 100 / self.read.total.max(1);
        if percent != self.read.drawn {
            self.read.drawn = percent;
            bar::draw("backtest", percent as usize, 100, " %");
        }
        Ok(read)
    }
}

const ROWS: [&str; 12] = [
    "calls",
    "handed over",
    "right",
    "needless",
    "missed",
    "offered",
    "precision",
    "recall",
    "F1",
    "turns before the label, 10/50/90 %",
    "turns from the first sign, 10/50/90 %",
    "cost a labelled call",
];
const CHUNK: usize = 1 << 16;
const REFUSALS_TOLD: u64 = 10;
const CHANGES_TOLD: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/triggers/explicit.toml")
    }

    fn args(folder: &Path) -> BacktestArgs {
        BacktestArgs {
            calls: vec![folder.to_owned()],
            triggers: rules(),
            with: None,
            cost_missed: 5.0,
            json: Some(folder.join("figures.json")),
            csv: Some(folder.join("calls.csv")),
        }
    }

    #[test]
    fn a_folder_of_calls_becomes_figures_and_a_line_for_each_call() {
        let folder = tempfile::tempdir().unwrap();
        let call = r#"{"id":"say \"a\"","turns":[{"speaker":"caller","text":"an agent please"}],"label":{"handoff":true}}"#;
        std::fs::write(folder.path().join("calls.jsonl"), format!("{call}\n{call}\n")).unwrap();
        assert_eq!(run(&args(folder.path())).unwrap(), ExitCode::SUCCESS);
        let csv = std::fs::read_to_string(folder.path().join("calls.csv")).unwrap();
        let line = r#""say ""a""",true,true,"T01","explicit_request",1,6.0,"an agent""#;
        assert_eq!(csv.lines().collect::<Vec<_>>()[1..], [line, line]);
        let figures = std::fs::read(folder.path().join("figures.json")).unwrap();
        let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
        assert_eq!(figures["rules"]["precision"], 1.0);
        assert_eq!(figures["rules"]["rules"]["T01"]["handoffs"], 2);
    }

    #[test]
    fn a_line_that_is_no_call_leaves_the_others_and_an_unhappy_exit() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("calls.jsonl"), "{\"id\":\"a\",\"turns\":[]}\nnothing\n").unwrap();
        let args = BacktestArgs { with: Some(rules()), ..args(folder.path()) };
        assert_eq!(run(&args).unwrap(), ExitCode::FAILURE);
        let figures = std::fs::read(folder.path().join("figures.json")).unwrap();
        let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
        assert_eq!((&figures["lines_refused"], &figures["rules"]["calls"]), (&1.into(), &1.into()));
        assert_eq!(figures["changes"]["changed"], 0);
    }

    #[test]
    fn a_folder_without_calls_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(&args(folder.path())).unwrap_err().to_string();
        assert!(error.contains("holds no .jsonl file"), "{error}");
    }
}
