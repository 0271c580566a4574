//! Plots as inline SVG: axes with round numbers and a unit, lines with gaps where nothing was measured, a limit.
//!
//! Colours come from the page's style sheet, so that one plot fits light and dark.

use std::fmt::Write as _;

/// One line of a plot.
pub(super) struct Line<'a> {
    /// Its name in the legend.
    pub(super) name: &'a str,
    /// A value for each place on the x axis.
    pub(super) values: Vec<Option<f64>>,
    /// Whether the space below it is tinted.
    pub(super) filled: bool,
}

/// One plot over the seconds of a run.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
    /// Seconds.
    pub(super) at: Vec<f64>,
    pub(super) lines: Vec<Line<'a>>,
    /// What is allowed at most.
    pub(super) limit: Option<f64>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Steps that a scale has at most.
const TICKS: f64 = 5.0;

impl Plot<'_> {
    /// The plot as a figure; empty if there is nothing to draw.
    pub(super) fn draw(&self) -> String {
        let values = || self.lines.iter().flat_map(|line| line.values.iter().copied().flatten());
        if self.at.is_empty() || values().next().is_none() {
            return String::new();
        }
        let highest = values().fold(0.0, f64::max);
        // A limit far above everything would flatten what there is to see.
        let limit = self.limit.filter(|limit| *limit <= highest.max(1e-9) * 4.0);
        let y = Scale::new(highest.max(limit.unwrap_or(0.0)), HEIGHT - BOTTOM, TOP);
        let x = Scale::new(self.at.iter().copied().fold(0.0, f64::max), LEFT, WIDTH - RIGHT);
        let mut svg = String::new();
        self.head(&mut svg);
        grid(&mut svg, &x, &y, self.unit);
        for (number, line) in self.lines.iter().enumerate() {
            self.line(&mut svg, (&x, &y), number, line);
        }
        if let Some(limit) = limit {
            let at = y.place(limit);
            add(
                &mut svg,
                format_args!(
                    "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                     <text class=\"limit\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">at most {} {}</text>",
                    WIDTH - RIGHT,
                    WIDTH - RIGHT - 4.0,
                    at - 4.0,
                    number_text(limit),
                    self.unit,
                ),
            );
        }
        svg.push_str("</svg></figure>\n");
        svg
    }

    fn head(&self, svg: &mut String) {
        add(svg, format_args!("<figure><figcaption><b>{}</b>", self.title));
        for (number, line) in self.lines.iter().enumerate() {
            add(svg, format_args!(" <span class=\"key k{number}\"></span>{}", line.name));
        }
        add(
            svg,
            format_args!(
                "</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
                self.title
            ),
        );
    }

    fn line(&self, svg: &mut String, (x, y): (&Scale, &Scale), number: usize, line: &Line<'_>) {
        let mut path = String::new();
        let mut first = None;
        let mut last = 0.0;
        for (at, value) in self.at.iter().zip(&line.values) {
            let Some(value) = value else {
                first = None;
                continue;
            };
            let (px, py) = (x.place(*at), y.place(*value));
            add(&mut path, format_args!("{}{px:.1} {py:.1}", if first.is_none() { "M" } else { "L" }));
            first.get_or_insert(px);
            last = px;
        }
        if let (true, Some(first)) = (line.filled, first) {
            let floor = y.place(0.0);
            add(
                svg,
                format_args!(
                    "<path class=\"area a{number}\" d=\"{path}L{last:.1} {floor:.1}L{first:.1} {floor:.1}Z\"/>"
                ),
            );
        }
        add(svg, format_args!("<path class=\"line l{number}\" d=\"{path}\"/>"));
    }
}

fn grid(svg: &mut String, x: &Scale, y: &Scale, unit: &str) {
    for value in y.ticks() {
        let at = y.place(value);
        add(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                number_text(value),
            ),
        );
    }
    for value in x.ticks() {
        let at = x.place(value);
        add(
            svg,
            format_args!(
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM + 17.0,
                number_text(value)
            ),
        );
    }
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    add(
        svg,
        format_args!(
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">seconds</text>\
             <text class=\"axis\" transform=\"translate(13 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{unit}</text>",
            WIDTH - RIGHT,
            HEIGHT - 3.0,
        ),
    );
}

/// From values to places, from 0 to a round number.
struct Scale {
    top: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(highest: f64, from: f64, to: f64) -> Self {
        // Nothing but zeros is drawn against one.
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = round_step(highest / TICKS);
        Self { top: (highest / step).ceil().max(1.0) * step, step, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.top).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (step, count) = (self.step, (self.top / self.step).round() as u32);
        (0..=count).map(move |number| f64::from(number) * step)
    }
}

/// The next of 1, 2, 5, 10, … times a power of ten.
fn round_step(at_least: f64) -> f64 {
    let power = 10.0_f64.powf(at_least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= at_least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A number without needless digits.
pub(super) fn number_text(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn add(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(words).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (highest, top, step) in
            [(0.37, 0.4, 0.1), (7.0, 8.0, 2.0), (96.0, 100.0, 20.0), (2_200.0, 2_500.0, 500.0)]
        {
            let scale = Scale::new(highest, 0.0, 1.0);
            assert!(
                (scale.top - top).abs() < 1e-9 && (scale.step - step).abs() < 1e-9,
                "{highest}: {}",
                scale.top
            );
            assert!(scale.ticks().count() <= 7);
        }
    }

    #[test]
    fn a_gap_in_what_was_measured_is_a_gap_in_the_line() {
        let values = vec![Some(1.0), None, Some(2.0), Some(3.0)];
        let line = Line { name: "a", values, filled: false };
        let plot = Plot {
            title: "t",
            unit: "ms",
            at: vec![1.0, 2.0, 3.0, 4.0],
            lines: vec![line],
            limit: Some(2.5),
        };
        let svg = plot.draw();
        let path = svg.split("class=\"line l0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(svg.contains("at most 2.5 ms"));
    }

    #[test]
    fn nothing_measured_is_nothing_drawn() {
        let line = Line { name: "a", values: vec![None], filled: true };
        let plot = Plot { title: "t", unit: "", at: vec![1.0], lines: vec![line], limit: None };
        assert_eq!(plot.draw(), "");
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        for (value, text) in
            [(0.0, "0"), (0.05, "0.05"), (2.5, "2.5"), (20.0, "20"), (1_234.5, "1234"), (100.0, "100")]
        {
            assert_eq!(number_text(value), text);
        }
    }
}
