//! What a run leaves behind: JSON for programs, CSV for spreadsheets, HTML for people.

mod html;
mod plot;

use std::{fmt::Write as _, fs, path::Path};

use serde::Serialize;

use crate::{
    options::ReportArgs,
    run::{Order, Outcome},
    summary::Summary,
    timeline::Row,
    words::LoadError,
};

/// Everything that is known of a run, as it is written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report<'a> {
    /// What it is called.
    pub(crate) title: &'a str,
    /// The kind of calls.
    pub(crate) scenario: &'static str,
    /// Calls at full load; none if the rate alone was given.
    pub(crate) calls_planned: Option<u32>,
    /// New calls a second.
    pub(crate) rate_planned: f64,
    /// How long each call was to last, in seconds.
    pub(crate) hold_s: f64,
    /// How long the run took, in seconds.
    pub(crate) time_s: f64,
    /// What it came to.
    pub(crate) summary: &'a Summary,
    /// One row a second.
    pub(crate) rows: &'a [Row],
}

impl<'a> Report<'a> {
    pub(crate) fn new(order: &Order, outcome: &'a Outcome, summary: &'a Summary, title: &'a str) -> Self {
        Self {
            title,
            scenario: order.scenario.name(),
            calls_planned: order.plan.calls,
            rate_planned: order.plan.rate,
            hold_s: order.plan.hold.as_secs_f64(),
            time_s: outcome.time.as_secs_f64(),
            summary,
            rows: &outcome.rows,
        }
    }

    /// Writes every file that was asked for.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, files: &ReportArgs) -> Result<(), LoadError> {
        if let Some(path) = &files.json {
            let text = serde_json::to_string_pretty(self)
                .map_err(|error| LoadError::Option(format!("the report has no JSON form: {error}")))?;
            write(path, &text)?;
        }
        if let Some(path) = &files.csv {
            write(path, &csv(self.rows))?;
        }
        if let Some(path) = &files.html {
            write(path, &html::page(self))?;
        }
        Ok(())
    }
}

/// Writes a file, and the folder that it lies in.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), LoadError> {
    let failed = |error| LoadError::File { file: path.display().to_string(), error };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// One line a second, with a head; what was not measured is empty.
fn csv(rows: &[Row]) -> String {
    let mut text = String::from(
        "at_s,length_s,rate,begun,calls,succeeded,failed,setup_p50_ms,setup_p99_ms,delay_p50_ms,delay_p99_ms,\
         delay_max_ms,loss_percent,packets_per_second,target_cpu_percent,target_memory_mb,target_switches,\
         own_cpu_percent,own_late_percent\n",
    );
    let some = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.3}"));
    for row in rows {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{:.3},{:.3},{:.3},{},{},{},{},{:.3},{:.3},{:.3},{:.3},{:.3},{:.5},{:.1},{},{},{},{:.1},{:.3}",
            row.at_s,
            row.length_s,
            row.rate,
            row.begun,
            row.calls,
            row.succeeded,
            row.failed,
            row.setup_p50_ms,
            row.setup_p99_ms,
            row.delay_p50_ms,
            row.delay_p99_ms,
            row.delay_max_ms,
            row.loss_percent,
            row.packets_per_second,
            some(row.target_cpu_percent),
            some(row.target_memory_mb),
            some(row.target_switches),
            row.own_cpu_percent,
            row.own_late_percent,
        )
        .unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_value_for_every_name_of_the_head() {
        let rows = [Row::default(), Row { target_cpu_percent: Some(12.5), ..Row::default() }];
        let text = csv(&rows);
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [19, 19, 19]);
        assert!(text.lines().nth(2).unwrap().contains(",12.500,"));
    }

    #[test]
    fn a_file_is_written_into_a_folder_that_was_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.csv");
        write(&path, "x").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "x");
        assert!(write(folder.path(), "x").is_err());
    }
}
