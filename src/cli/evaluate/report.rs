//! How an experiment is reported: a table on standard output, JSON, and a page with the frontier of cost and risk.
//!
//! The page is one file that loads nothing.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::lab::{Table, figure};
use crate::cli::CliError;
use crate::cli::output::{Output, OutputArgs};
pub(super) use crate::cli::page::{Chart, Dot, Series};
use crate::cli::page::{chart, document, escaped};

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
    document(
        &table.title,
        &format!(
            "<table>\n<tr><th></th><th>reference</th><th>ours, ± one standard error</th><th></th></tr>\n{rows}</table>\n\
             {notes}{drawn}"
        ),
    )
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
}
