//! How an experiment is reported: a table on standard output, JSON, and a page with the frontier of cost and risk.
//!
//! The page is one file that loads nothing, readable in light and dark.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::lab::{Table, figure};
use crate::cli::CliError;
use crate::cli::output::{Output, OutputArgs};

/// Where a report goes.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// Write the table and its charts to this file as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// The outlets, open.
#[derive(Debug)]
pub(super) struct Outlets {
    output: Output,
    /// `--html`, and `report.html` in the directory of `--out`.
    pages: Vec<PathBuf>,
}

impl Outlets {
    /// Opens what was asked for, or says why it cannot be written.
    pub(super) fn open(args: &ReportArgs) -> Result<Self, CliError> {
        let output = Output::open(&args.output)?;
        let beside = args.output.out.as_ref().map(|directory| directory.join("report.html"));
        let pages: Vec<PathBuf> = args.html.iter().cloned().chain(beside).collect();
        for page in &pages {
            File::create(page).map_err(CliError::file(page))?;
        }
        Ok(Self { output, pages })
    }

    /// Writes and prints everything; an error if a figure of the table does not hold. A reader of standard output that has
    /// gone away takes nothing from the files, nor from the verdict.
    pub(super) fn publish(&self, table: &Table, report: &impl Serialize, charts: &[Chart]) -> Result<(), CliError> {
        self.output.write_json(report)?;
        for page in &self.pages {
            fs::write(page, render(table, charts)).map_err(CliError::file(page))?;
        }
        match table.print(&mut io::stdout().lock()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => table.verdict(),
        }
    }
}

/// A chart of the page, both axes logarithmic; what is not positive is left out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Chart {
    /// Its heading.
    pub(super) title: String,
    /// What runs to the right, and what runs upward.
    pub(super) axes: [&'static str; 2],
    /// Its lines.
    pub(super) series: Vec<Series>,
}

/// A line of a chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Series {
    /// Its name.
    pub(super) name: String,
    /// Its points, in the order in which they are joined.
    pub(super) points: Vec<Dot>,
}

/// A point of a chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Dot {
    /// To the right.
    pub(super) x: f64,
    /// Upward.
    pub(super) y: f64,
    /// What it stands for.
    pub(super) label: String,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Around the axes: top, right, bottom, left.
const MARGIN: [f64; 4] = [20.0, 20.0, 46.0, 60.0];
const COLOURS: [&str; 6] = ["#d97706", "#0891b2", "#16a34a", "#9333ea", "#dc2626", "#64748b"];

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1f2937;--paper:#fff;--line:#d1d5db}\
@media(prefers-color-scheme:dark){:root{--ink:#e5e7eb;--paper:#111827;--line:#374151}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:52rem;margin:2rem auto;padding:0 1rem}\
svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:13px}.grid{stroke:var(--line);stroke-width:1}\
ul{list-style:none;padding:0}li{display:inline-block;margin-right:1.4rem}li::before{content:'●';margin-right:.4rem;color:var(--key)}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid var(--line);text-align:right}\
td:first-child{text-align:left}.fails{color:#dc2626;font-weight:600}";

/// The page.
fn render(table: &Table, charts: &[Chart]) -> String {
    let rows: String = table
        .rows
        .iter()
        .map(|row| {
            let reference = row.reference.map_or_else(|| "–".to_owned(), figure);
            let error = if row.error > 0.0 { format!(" ± {}", figure(row.error)) } else { String::new() };
            let verdict = match row.holds {
                Some(true) => "<td>holds</td>",
                Some(false) => "<td class=\"fails\">does not hold</td>",
                None => "<td></td>",
            };
            let (what, ours) = (escaped(&row.what), figure(row.ours));
            format!("<tr><td>{what}</td><td>{reference}</td><td>{ours}{error}</td>{verdict}</tr>\n")
        })
        .collect();
    let notes: String = table.notes.iter().map(|note| format!("<p>{}</p>\n", escaped(note))).collect();
    let drawn: String = charts.iter().map(chart).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>hedgecore: {title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <table>\n<tr><th></th><th>reference</th><th>ours, ± one standard error</th><th></th></tr>\n{rows}</table>\n{notes}{drawn}</html>\n",
        title = escaped(&table.title),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn chart(chart: &Chart) -> String {
    let visible = |dot: &&Dot| dot.x > 0.0 && dot.y > 0.0;
    let dots = || chart.series.iter().flat_map(|series| &series.points).filter(visible);
    if dots().next().is_none() {
        return String::new();
    }
    let axis = |of: fn(&Dot) -> f64, from: f64, to: f64| {
        let (low, high) =
            dots().fold((f64::INFINITY, 0.0f64), |(low, high), dot| (low.min(of(dot)), high.max(of(dot))));
        Axis::new(low, high, from, to)
    };
    let [top, right, bottom, left] = MARGIN;
    let (x, y) = (axis(|dot| dot.x, left, WIDTH - right), axis(|dot| dot.y, HEIGHT - bottom, top));
    let mut svg = format!("<h2>{}</h2>\n<ul>", escaped(&chart.title));
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        svg += &format!("<li style=\"--key:{colour}\">{}</li>", escaped(&series.name));
    }
    svg += &format!(
        "</ul>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(&chart.title)
    );
    for (value, at) in x.ticks() {
        let base = HEIGHT - bottom;
        svg += &format!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{base}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>\n",
            base + 16.0
        );
    }
    for (value, at) in y.ticks() {
        svg += &format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>\n",
            WIDTH - right,
            left - 6.0,
            at + 4.0
        );
    }
    svg += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        0.5 * (left + WIDTH - right),
        HEIGHT - 8.0,
        escaped(chart.axes[0]),
        0.5 * (top + HEIGHT - bottom),
        escaped(chart.axes[1])
    );
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<String> =
            series.points.iter().filter(visible).map(|dot| format!("{:.1},{:.1}", x.at(dot.x), y.at(dot.y))).collect();
        svg += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n",
            line.join(" ")
        );
        for dot in series.points.iter().filter(visible) {
            svg += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}, {}: {} and {}</title></circle>\n",
                x.at(dot.x),
                y.at(dot.y),
                escaped(&series.name),
                escaped(&dot.label),
                figure(dot.x),
                figure(dot.y)
            );
        }
    }
    svg + "</svg>\n"
}

/// A logarithmic axis.
struct Axis {
    /// Logarithms of the ends, and where they lie.
    ends: [f64; 2],
    places: [f64; 2],
}

impl Axis {
    /// That holds `low` to `high` between two places, a little room at either end.
    fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let room = 0.04 * (high / low).log10() + 0.01;
        Self { ends: [low.log10() - room, high.log10() + room], places: [from, to] }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.places[0] + share * (self.places[1] - self.places[0])
    }

    /// Round numbers and where they lie: 1, 2 and 5 of each decade; over less than a decade, every digit.
    fn ticks(&self) -> Vec<(String, f64)> {
        let within = |value: &f64| (self.ends[0]..=self.ends[1]).contains(&value.log10());
        let digits: &[f64] = match self.ends[1] - self.ends[0] {
            span if span > 3.0 => &[1.0],
            span if span > 1.0 => &[1.0, 2.0, 5.0],
            span if span > 0.3 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            _ => &[
                1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2, 3.6, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0,
            ],
        };
        let decades = self.ends[0].floor() as i32..=self.ends[1].ceil() as i32;
        let values = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
        let text = |value: f64| format!("{value:.8}").trim_end_matches('0').trim_end_matches('.').to_owned();
        values.filter(within).map(|value| (text(value), self.at(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_figure_every_point_and_no_markup_from_names() {
        let mut table = Table::new("a <title>");
        table.row("kept & told", Some(2.0), 1.0, 0.5, Some(false));
        let dot = |x, y| Dot { x, y, label: "one".to_owned() };
        let series =
            vec![Series { name: "line".to_owned(), points: vec![dot(1.0, 2.0), dot(10.0, 1.0), dot(0.0, 1.0)] }];
        let page = render(&table, &[Chart { title: "cost".to_owned(), axes: ["cost", "risk"], series }]);
        assert!(page.contains("a &lt;title&gt;") && page.contains("kept &amp; told") && page.contains("does not hold"));
        assert_eq!(page.matches("<circle").count(), 2, "what has no logarithm is left out");
        assert!(!page.contains("http"), "nothing is loaded");
    }

    #[test]
    fn an_axis_has_ticks_within_its_ends_over_any_range() {
        for (low, high) in [(1e-4, 1e3), (0.9, 1.4), (38.0, 55.0), (5.0, 5.0)] {
            let axis = Axis::new(low, high, 0.0, 100.0);
            let ticks = axis.ticks();
            assert!(ticks.iter().all(|(_, at)| (0.0..=100.0).contains(at)), "{low} to {high}: {ticks:?}");
            assert!(ticks.len() >= 2 || low == high, "{low} to {high}: {ticks:?}");
        }
    }
}
