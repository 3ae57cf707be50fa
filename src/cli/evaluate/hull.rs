//! `evaluate hull`: the delta-hedging tables of Hull's *Options, Futures, and Other Derivatives* (dynamic hedging).
//!
//! A bank is short 100,000 calls and rebalances at fixed times without transaction costs. The two published paths are
//! followed share for share, as the tables round and without rounding; the performance measure (standard deviation of
//! the cost of hedging over the Black–Scholes price) comes from simulation. The trades are those of the live sizing rule
//! with a band of no width.
//!
//! The tables keep delta to three decimals and every amount in hundreds of dollars, halves rounded up (the path that
//! ends out of the money buys shares for 228,850 in its first week, printed as 228.9 thousand, and sells for 672,750 in
//! its fourteenth, printed as 672.7). Interest runs at the continuously compounded rate on the printed balance.

use clap::Args;
use serde::Serialize;

use super::lab::{EVALUATION_SEED, Random, Sample, Table, parallel, trade_to_edge};
use super::report::{Chart, Dot, Outlets, ReportArgs, Series};
use crate::cli::CliError;
use crate::instrument::OptionKind;
use crate::pricing::black76::Greeks;
use crate::pricing::elementary::exp;

const SPOT: f64 = 49.0;
const STRIKE: f64 = 50.0;
const RATE: f64 = 0.05;
const SIGMA: f64 = 0.2;
const DRIFT: f64 = 0.13;
const WEEKS: usize = 20;
const WEEK: f64 = 1.0 / 52.0;
const CALLS: f64 = 100_000.0;

/// Weekly prices, and the cost of hedging published for them.
const PATHS: [([f64; WEEKS + 1], f64); 2] = [
    (
        [
            49.0, 48.12, 47.37, 50.25, 51.75, 53.12, 53.0, 51.87, 51.38, 53.0, 49.88, 48.5, 49.88, 50.37, 52.13, 51.88,
            52.87, 54.87, 54.62, 55.87, 57.25,
        ],
        263_300.0,
    ),
    (
        [
            49.0, 49.75, 52.0, 50.0, 48.38, 48.25, 48.75, 49.63, 48.25, 48.25, 51.12, 51.5, 49.88, 49.88, 48.75, 47.5,
            48.0, 46.25, 48.13, 46.63, 48.12,
        ],
        256_600.0,
    ),
];

/// Rebalancings a quarter week, and the published performance.
const PERFORMANCE: [(usize, f64); 6] = [(20, 0.43), (16, 0.39), (8, 0.26), (4, 0.19), (2, 0.14), (1, 0.09)];
const BLOCKS: usize = 64;

/// Arguments of `evaluate hull`.
#[derive(Clone, Debug, Args)]
pub(super) struct HullArgs {
    /// Simulated paths a rebalancing interval
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    paths: u32,
    #[command(flatten)]
    report: ReportArgs,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    paths: u32,
    table: Table,
    charts: [Chart; 1],
}

pub(super) fn run(args: &HullArgs) -> Result<(), CliError> {
    let outlets = Outlets::open(&args.report)?;
    let mut table = Table::new("Hull: hedging 100,000 short calls by delta, no transaction costs");
    for (number, (prices, published)) in (1..).zip(&PATHS) {
        let printed = Rounding::AsPrinted.cost(prices);
        let exact = Rounding::None.cost(prices);
        let what = format!("path {number}, cost of hedging");
        table.row(format!("{what}, as printed"), Some(*published), printed, 0.0, Some(printed == *published));
        let near = (exact - published).abs() < 100.0;
        table.row(format!("{what}, not rounded"), Some(*published), exact, 0.0, Some(near));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let value = CALLS * exp(-RATE * WEEKS as f64 * WEEK) * call(SPOT, 0.0).price;
    for (interval, published) in PERFORMANCE {
        let sample = simulated(args.paths as usize, interval);
        let (performance, error) = (sample.sd / value, sample.sd_error() / value);
        // The published figures have two digits and come from a thousand paths.
        let published_error = (0.005f64.powi(2) / 3.0 + published * published / 2_000.0).sqrt();
        let tolerance = 3.0 * (error * error + published_error * published_error).sqrt();
        let weeks = interval as f64 / 4.0;
        let what = format!("performance, every {weeks} weeks");
        table.row(what, Some(published), performance, error, Some((performance - published).abs() < tolerance));
        let dot = |y| Dot { x: weeks, y, label: format!("every {weeks} weeks") };
        ours.push(dot(performance));
        theirs.push(dot(published));
    }
    table.note(
        "As printed: delta to three decimals, amounts in hundreds with halves up, interest on the printed balance;",
    );
    table.note(
        "not rounded: within a hundred of the published figure. Performance: standard deviation of the cost over",
    );
    table
        .note("the option's price, drift 13%; published from 1,000 paths to two digits, `holds` is within three joint");
    table.note("standard errors.");
    let chart = Chart {
        title: "Risk that is left, by how often the hedge is rebalanced".to_owned(),
        axes: ["weeks between rebalancings", "performance"],
        series: vec![
            Series { name: "ours".to_owned(), points: ours },
            Series { name: "published".to_owned(), points: theirs },
        ],
    };
    let report = Report { paths: args.paths, table, charts: [chart] };
    outlets.publish(&report.table, &report, &report.charts)
}

/// Greeks of one call on the forward, `elapsed` years on.
fn call(spot: f64, elapsed: f64) -> Greeks {
    let years = (WEEKS as f64 * WEEK - elapsed).max(0.0);
    Greeks::new(OptionKind::Call, spot * exp(RATE * years), STRIKE, SIGMA, years)
}

/// What is rounded as a table is added up.
#[derive(Clone, Copy, Debug)]
enum Rounding {
    /// Delta to three decimals, amounts to hundreds, halves up.
    AsPrinted,
    /// Nothing but shares to whole ones.
    None,
}

impl Rounding {
    fn shares(self, delta: f64) -> f64 {
        match self {
            Self::AsPrinted => (delta * 1_000.0).round() * (CALLS / 1_000.0),
            Self::None => delta * CALLS,
        }
    }

    fn amount(self, dollars: f64) -> f64 {
        match self {
            Self::AsPrinted => (dollars / 100.0 + 0.5).floor() * 100.0,
            Self::None => dollars,
        }
    }

    /// Cost of hedging along weekly `prices`.
    fn cost(self, prices: &[f64]) -> f64 {
        let (mut shares, mut cost) = (0.0, 0.0);
        for (week, spot) in prices.iter().enumerate() {
            let target = self.shares(call(*spot, week as f64 * WEEK).delta);
            let trade = trade_to_edge(shares - target, 0.0, 1.0);
            cost += self.amount(cost * (exp(RATE * WEEK) - 1.0)) + self.amount(trade * spot);
            shares += trade;
        }
        let last = prices.last().copied().unwrap_or(SPOT);
        if last > STRIKE { cost - CALLS * STRIKE } else { cost }
    }
}

/// Present value of the cost of hedging, rebalanced every `interval` quarter weeks.
fn simulated(paths: usize, interval: usize) -> Sample {
    let (step, steps) = (0.25 * WEEK * interval as f64, 4 * WEEKS / interval);
    let growth = (DRIFT - 0.5 * SIGMA * SIGMA) * step;
    let costs = parallel("hull", BLOCKS, |block| {
        let mut random = Random::new(EVALUATION_SEED, block);
        let mut costs = Vec::new();
        for _ in 0..paths.div_ceil(BLOCKS) {
            let (mut spot, mut shares, mut cost) = (SPOT, 0.0, 0.0);
            for k in 0..steps {
                let elapsed = k as f64 * step;
                let trade = trade_to_edge(shares - CALLS * call(spot, elapsed).delta, 0.0, 1.0);
                cost += exp(-RATE * elapsed) * trade * spot;
                shares += trade;
                spot *= exp(growth + SIGMA * step.sqrt() * random.normal());
            }
            let payoff = CALLS * (spot - STRIKE).max(0.0);
            costs.push(cost + exp(-RATE * steps as f64 * step) * (payoff - shares * spot));
        }
        costs
    });
    Sample::of(&costs.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::black76::price;

    #[test]
    fn the_option_is_worth_what_hull_says() {
        let value = CALLS
            * exp(-RATE * WEEKS as f64 * WEEK)
            * price(OptionKind::Call, 49.0 * exp(RATE * 20.0 * WEEK), 50.0, SIGMA, 20.0 * WEEK);
        assert!((value - 240_053.0).abs() < 1.0, "{value}");
    }

    #[test]
    fn the_two_paths_cost_what_the_tables_say() {
        for (prices, published) in &PATHS {
            assert_eq!(Rounding::AsPrinted.cost(prices), *published);
            let exact = Rounding::None.cost(prices);
            assert!((exact - published).abs() < 100.0, "{exact}");
        }
    }

    #[test]
    fn the_risk_left_falls_with_the_root_of_the_interval() {
        // Four times as often: half the deviation, to leading order; 2,000 paths know a deviation to 1.6%.
        let (weekly, quarterly) = (simulated(2_000, 4).sd, simulated(2_000, 1).sd);
        assert!((weekly / quarterly - 2.0).abs() < 0.25, "{weekly} {quarterly}");
    }
}
