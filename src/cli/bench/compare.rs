//! Against an earlier run: the ratios of medians and of 99th percentiles, with the confidence that the rounds give.
//!
//! Each round of either run has percentiles of its own. The mean over one run's rounds over that of the other's is the ratio;
//! drawing rounds anew, with replacement, two thousand times (Efron's bootstrap, 1979) gives the interval that holds it in 95
//! of 100 cases. Something is worse by more than a limit when the whole interval lies beyond it. Few rounds make wide
//! intervals and few verdicts; runs of one machine under one load are what can be compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bench::{Host, Results, Round};
use crate::cli::CliError;
use crate::sim::random::Random;

/// Draws of the bootstrap.
const DRAWS: usize = 2_000;
/// Left out on either side of the interval.
const TAIL: f64 = 0.025;
/// Where the random draws begin: a comparison made twice says the same.
const SEED: u64 = 8;

/// An earlier run, as far as a comparison needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Earlier {
    host: Host,
    rounds: BTreeMap<String, Vec<Round>>,
}

impl Earlier {
    /// Reads the report in `directory`.
    pub(super) fn read(directory: &Path) -> Result<Self, CliError> {
        let path = directory.join("report.json");
        let text = fs::read(&path).map_err(CliError::file(&path))?;
        serde_json::from_slice(&text)
            .map_err(|error| CliError::Input(format!("{}: no report of bench: {error}", path.display())))
    }
}

/// What is compared of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Quantile {
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
}

impl Quantile {
    const ALL: [Self; 2] = [Self::P50, Self::P99];

    fn of(self, round: &Round) -> f64 {
        let nanos = if self == Self::P50 { round.p50 } else { round.p99 };
        nanos as f64
    }

    fn name(self) -> &'static str {
        if self == Self::P50 { "p50" } else { "p99" }
    }
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Change {
    /// Of what.
    name: String,
    /// Which of its percentiles.
    quantile: Quantile,
    /// Its mean over the rounds then, nanoseconds.
    before: f64,
    /// And in this run.
    after: f64,
    /// Their ratio.
    ratio: f64,
    /// The interval that holds it.
    interval: [f64; 2],
}

/// What changed since an earlier run.
#[derive(Debug)]
pub(super) struct Comparison {
    changes: Vec<Change>,
    notice: Option<String>,
}

impl Comparison {
    /// Of these results with an earlier run's.
    pub(super) fn new(earlier: &Earlier, results: &Results) -> Self {
        let mut random = Random::new(SEED);
        let both = results.rounds.iter().filter_map(|(name, after)| Some((name, earlier.rounds.get(name)?, after)));
        let both = both.flat_map(|(name, before, after)| Quantile::ALL.map(|of| (name, of, before, after)));
        let changes =
            both.filter_map(|(name, of, before, after)| change(name, of, before, after, &mut random)).collect();
        let (then, now) = (&earlier.host.cpu, &results.host.cpu);
        let notice =
            (then != now).then(|| format!("the earlier run was on another machine: {then}, this one is {now}"));
        Self { changes, notice }
    }

    /// Prints every change.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let title = "against the earlier run";
        writeln!(out, "\n{title:<28} {:>4} {:>10} {:>10} {:>10} {:>17}", "", "then", "now", "ratio", "95% interval")?;
        for Change { name, quantile, before, after, ratio, interval: [low, high] } in &self.changes {
            let of = quantile.name();
            writeln!(out, "{name:<28} {of:>4} {before:>10.0} {after:>10.0} {ratio:>10.3} {low:>8.3} {high:>8.3}")?;
        }
        self.notice.iter().try_for_each(|notice| writeln!(out, "note: {notice}"))
    }

    /// An error if something is certainly worse by more than so many per cent.
    pub(super) fn judge(&self, worse_than_pct: f64) -> Result<(), CliError> {
        let limit = 1.0 + worse_than_pct / 100.0;
        let worse = self.changes.iter().filter(|change| is_judged(&change.name) && change.interval[0] > limit);
        let worse = worse.map(|Change { name, quantile, ratio, .. }| {
            format!("{name} is {ratio:.2} times what it was at {}", quantile.name())
        });
        let worse: Vec<String> = worse.collect();
        if worse.is_empty() { Ok(()) } else { Err(CliError::CheckFailed(worse.join("; "))) }
    }
}

/// Hops are shown; what they make up is judged, and so is not what the machine does by itself.
fn is_judged(name: &str) -> bool {
    let whole = name.ends_with(".no_trade") || name.ends_with(".order") || name.starts_with("book.");
    whole || name == "wire" || name == "closed_loop"
}

fn change(name: &str, quantile: Quantile, before: &[Round], after: &[Round], random: &mut Random) -> Option<Change> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let all = |rounds: &[Round]| rounds.iter().map(|round| quantile.of(round)).sum::<f64>() / rounds.len() as f64;
    let mut drawn = |rounds: &[Round]| {
        let any = |_| quantile.of(&rounds[random.below(rounds.len() as u64) as usize]);
        let sum: f64 = rounds.iter().map(any).sum();
        sum / rounds.len() as f64
    };
    let mut ratios: Vec<f64> = (0..DRAWS).map(|_| drawn(after) / drawn(before).max(1.0)).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[((DRAWS - 1) as f64 * share).round() as usize];
    let (before, after) = (all(before), all(after));
    let ratio = after / before.max(1.0);
    Some(Change { name: name.to_owned(), quantile, before, after, ratio, interval: [at(TAIL), at(1.0 - TAIL)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds with these percentiles at `worst`, and the same ones at the other.
    fn rounds(worst: Quantile, nanos: [u64; 5]) -> Vec<Round> {
        let round =
            |nanos| if worst == Quantile::P50 { Round { p50: nanos, p99: 9 } } else { Round { p50: 9, p99: nanos } };
        nanos.map(round).to_vec()
    }

    fn judged(before: [u64; 5], after: [u64; 5], worse_than_pct: f64) -> bool {
        let verdicts = Quantile::ALL.map(|worst| {
            let (before, after) = (rounds(worst, before), rounds(worst, after));
            let mut random = Random::new(1);
            let changes = Quantile::ALL.map(|of| change("fused.order", of, &before, &after, &mut random).unwrap());
            for change in &changes {
                assert!(change.interval[0] <= change.ratio && change.ratio <= change.interval[1], "{change:?}");
            }
            let verdict = Comparison { changes: changes.to_vec(), notice: None }.judge(worse_than_pct);
            assert!(verdict.as_ref().err().is_none_or(|error| error.to_string().contains(worst.name())), "{verdict:?}");
            verdict.is_ok()
        });
        assert_eq!(verdicts[0], verdicts[1], "the median and the tail are judged alike");
        verdicts[0]
    }

    #[test]
    fn what_is_certainly_slower_fails_and_what_may_be_noise_does_not() {
        assert!(judged([500, 510, 490, 505, 495], [505, 498, 502, 511, 490], 2.0));
        assert!(!judged([500, 510, 490, 505, 495], [600, 610, 590, 605, 595], 10.0));
        assert!(judged([500, 510, 490, 505, 495], [600, 610, 590, 605, 595], 25.0), "within what is allowed");
        assert!(judged([300, 900, 400, 700, 500], [350, 950, 450, 800, 600], 2.0), "the rounds differ too much to say");
    }

    #[test]
    fn hops_and_the_machines_own_figures_are_shown_and_not_judged() {
        let judged = ["fused.order", "split.no_trade", "book.552", "wire"];
        assert!(judged.into_iter().all(is_judged));
        assert!(!["echo", "fused.order.encode", "open_loop", "wire.write"].into_iter().any(is_judged));
    }
}
