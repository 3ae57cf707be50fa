//! What the experiments share: random numbers from fixed seeds, all cores, sample statistics, the table of results.
//!
//! Work is cut into blocks with a seed each, and results are put together in the order of blocks, so that figures do not
//! depend on the number of cores.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::cli::CliError;
pub(super) use crate::cli::page::figure;
use crate::cli::progress::ProgressLine;
use crate::hedge::{Size, to_nearest_edge};
use crate::pricing::elementary::ln;
use crate::units::Side;

/// The seed of everything that is reported. Nothing is chosen by looking at it.
pub(super) const EVALUATION_SEED: u64 = 0x00C0_FFEE;

/// splitmix64, and normal numbers by Marsaglia's polar method.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    /// The stream of `block` under `seed`.
    pub(super) fn new(seed: u64, block: usize) -> Self {
        let mut random = Self { state: seed ^ (block as u64).wrapping_mul(0xD134_2543_DE82_EF95), spare: None };
        random.state = random.bits();
        random
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform on [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal.
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let scale = (-2.0 * ln(s) / s).sqrt();
                self.spare = Some(v * scale);
                return u * scale;
            }
        }
    }
}

/// Runs `work` for every block on all cores; results in the order of blocks.
pub(super) fn parallel<T: Send>(title: &'static str, blocks: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let line = ProgressLine::bar(title, blocks as u64);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(blocks));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(blocks);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let block = next.fetch_add(1, Ordering::Relaxed);
                    if block >= blocks {
                        break;
                    }
                    let result = work(block);
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((block, result));
                    line.step();
                }
            });
        }
    });
    line.finish();
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(block, _)| *block);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Mean and standard deviation of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Mean.
    pub(super) mean: f64,
    /// Standard deviation.
    pub(super) sd: f64,
    /// Size.
    pub(super) paths: usize,
}

impl Sample {
    /// Of `values`, at least two.
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
        Self { mean, sd: variance.sqrt(), paths: values.len() }
    }

    /// Standard error of the mean.
    pub(super) fn mean_error(&self) -> f64 {
        self.sd / (self.paths as f64).sqrt()
    }

    /// Standard error of the standard deviation, as of a normal sample.
    pub(super) fn sd_error(&self) -> f64 {
        self.sd / (2.0 * self.paths as f64).sqrt()
    }
}

/// What `net_delta` is left at and what is traded for it, by the rule that runs live: whole lots to the nearest edge.
pub(super) fn trade_to_edge(net_delta: f64, half_width: f64, lot: f64) -> f64 {
    match to_nearest_edge(net_delta, half_width, lot, u32::MAX) {
        Some(Size { side: Side::Buy, lots }) => f64::from(lots) * lot,
        Some(Size { side: Side::Sell, lots }) => -f64::from(lots) * lot,
        None => 0.0,
    }
}

/// One figure beside its reference.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// What is measured.
    pub(super) what: String,
    /// Published, or by a reference method.
    pub(super) reference: Option<f64>,
    /// Ours.
    pub(super) ours: f64,
    /// One standard error of ours; zero where nothing is random.
    pub(super) error: f64,
    /// Whether it is where it has to be; `None` where nothing is required of it.
    pub(super) holds: Option<bool>,
}

/// The figures of one experiment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Table {
    /// What the experiment is.
    pub(super) title: String,
    /// Figures.
    pub(super) rows: Vec<Row>,
    /// What to know about them.
    pub(super) notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a figure.
    pub(super) fn row(
        &mut self,
        what: impl Into<String>,
        reference: Option<f64>,
        ours: f64,
        error: f64,
        holds: Option<bool>,
    ) {
        self.rows.push(Row { what: what.into(), reference, ours, error, holds });
    }

    /// Adds a remark.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Prints the table.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0).max(8);
        writeln!(out, "{}\n", self.title)?;
        writeln!(out, "  {:width$} {:>12} {:>12} {:>10}", "", "reference", "ours", "± 1 s.e.")?;
        for row in &self.rows {
            let reference = row.reference.map_or_else(|| "-".to_owned(), figure);
            let error = if row.error > 0.0 { figure(row.error) } else { String::new() };
            let verdict = match row.holds {
                Some(true) => "holds",
                Some(false) => "DOES NOT HOLD",
                None => "",
            };
            writeln!(out, "  {:width$} {reference:>12} {:>12} {error:>10}  {verdict}", row.what, figure(row.ours))?;
        }
        if !self.notes.is_empty() {
            writeln!(out)?;
        }
        for note in &self.notes {
            writeln!(out, "  {note}")?;
        }
        writeln!(out)
    }

    /// An error naming the figures that do not hold, if any.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        let failed: Vec<_> =
            self.rows.iter().filter(|row| row.holds == Some(false)).map(|row| row.what.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err(CliError::CheckFailed(failed.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_the_moments_of_the_normal_distribution() {
        let mut random = Random::new(1, 0);
        let values: Vec<f64> = (0..200_000).map(|_| random.normal()).collect();
        let sample = Sample::of(&values);
        assert!(sample.mean.abs() < 0.01 && (sample.sd - 1.0).abs() < 0.01, "{sample:?}");
        let fourth = values.iter().map(|v| v.powi(4)).sum::<f64>() / values.len() as f64;
        assert!((fourth - 3.0).abs() < 0.1, "{fourth}");
    }

    #[test]
    fn results_come_in_the_order_of_blocks() {
        assert_eq!(parallel("test", 100, |block| block * block), (0..100).map(|b| b * b).collect::<Vec<_>>());
    }

    #[test]
    fn a_figure_that_does_not_hold_fails_the_table() {
        let mut table = Table::new("test");
        table.row("good", None, 1.0, 0.0, Some(true));
        assert!(table.verdict().is_ok());
        table.row("bad", None, 1.0, 0.0, Some(false));
        assert!(matches!(table.verdict(), Err(CliError::CheckFailed(what)) if what == "bad"));
    }
}
