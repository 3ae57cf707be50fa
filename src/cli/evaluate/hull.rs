//! `evaluate hull`: the delta-hedging tables of Hull's *Options, Futures, and Other Derivatives* (dynamic hedging).
//!
//! A bank is short 100,000 calls and rebalances at fixed times without transaction costs. The two published paths are
//! followed share for share, with delta to three decimals as in the tables; the performance measure (standard deviation
//! of the cost of hedging over the Black–Scholes price) comes from simulation. The trades are those of the live sizing
//! rule with a band of no width.

use std::io;

use clap::Args;

use super::lab::{EVALUATION_SEED, Random, Sample, Table, parallel, trade_to_edge};
use crate::cli::CliError;
use crate::cli::output::{Output, OutputArgs};
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
/// Shares in one step of a delta given to three decimals.
const LOT: f64 = 100.0;

const PATHS: [([f64; WEEKS + 1], f64, f64); 2] = [
    (
        [
            49.0, 48.12, 47.37, 50.25, 51.75, 53.12, 53.0, 51.87, 51.38, 53.0, 49.88, 48.5, 49.88, 50.37, 52.13, 51.88,
            52.87, 54.87, 54.62, 55.87, 57.25,
        ],
        263_300.0,
        263_338.0,
    ),
    (
        [
            49.0, 49.75, 52.0, 50.0, 48.38, 48.25, 48.75, 49.63, 48.25, 48.25, 51.12, 51.5, 49.88, 49.88, 48.75, 47.5,
            48.0, 46.25, 48.13, 46.63, 48.12,
        ],
        256_600.0,
        256_338.0,
    ),
];

/// Rebalancings a quarter week, and the published performance.
const PERFORMANCE: [(usize, f64); 6] = [(20, 0.43), (16, 0.39), (8, 0.26), (4, 0.19), (2, 0.14), (1, 0.09)];
const BLOCKS: usize = 64;

/// Arguments of `evaluate hull`.
#[derive(Clone, Debug, Args)]
pub(super) struct HullArgs {
    /// Simulated paths a rebalancing interval
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    paths: u32,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(args: &HullArgs) -> Result<(), CliError> {
    let output = Output::open(&args.output)?;
    let mut table = Table::new("Hull: hedging 100,000 short calls by delta, no transaction costs");
    for (number, (prices, published, ours_once)) in (1..).zip(&PATHS) {
        let cost = tabulated(prices);
        let what = format!("path {number}, cost of hedging");
        table.row(what, Some(*published), cost, 0.0, Some((cost - ours_once).abs() < 60.0));
    }
    let value = CALLS * exp(-RATE * WEEKS as f64 * WEEK) * call(SPOT, 0.0).price;
    for (interval, published) in PERFORMANCE {
        let sample = simulated(args.paths as usize, interval);
        let (ours, error) = (sample.sd / value, sample.sd_error() / value);
        // The published figures have two digits and come from a thousand paths.
        let published_error = (0.005f64.powi(2) / 3.0 + published * published / 2_000.0).sqrt();
        let tolerance = 3.0 * (error * error + published_error * published_error).sqrt();
        let what = format!("performance, every {} weeks", interval as f64 / 4.0);
        table.row(what, Some(published), ours, error, Some((ours - published).abs() < tolerance));
    }
    table.note(
        "Performance: standard deviation of the cost over the price of the option. Published figures have an error",
    );
    table.note("of their own, from 1,000 paths; `holds` is within three joint standard errors. Drift 13%.");
    table.print(&mut io::stdout().lock())?;
    output.write_json(&table)?;
    table.verdict()
}

/// Greeks of one call on the forward, `elapsed` years on.
fn call(spot: f64, elapsed: f64) -> Greeks {
    let years = (WEEKS as f64 * WEEK - elapsed).max(0.0);
    Greeks::new(OptionKind::Call, spot * exp(RATE * years), STRIKE, SIGMA, years)
}

/// Cost of hedging along a published path, as the table adds it up: interest weekly, delta to three decimals.
fn tabulated(prices: &[f64]) -> f64 {
    let (mut shares, mut cost) = (0.0, 0.0);
    for (week, spot) in prices.iter().enumerate() {
        let target = (call(*spot, week as f64 * WEEK).delta * 1_000.0).round() * LOT;
        let trade = trade_to_edge(shares - target, 0.0, LOT);
        cost += cost * RATE * WEEK + trade * spot;
        shares += trade;
    }
    let last = prices.last().copied().unwrap_or(SPOT);
    if last > STRIKE { cost - CALLS * STRIKE } else { cost }
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
        for (prices, published, with_three_decimals) in &PATHS {
            let cost = tabulated(prices);
            assert!((cost - with_three_decimals).abs() < 60.0, "{cost}");
            assert!((cost / published - 1.0).abs() < 0.002, "{cost}");
        }
    }
}
