//! `evaluate cao`: one short at-the-money call hedged for a month at a trading cost of 1%, after Cao, Chen, Hull and
//! Poulos, *Deep Hedging of Derivatives Using Reinforcement Learning* (2021).
//!
//! Their delta hedges are reproduced in their calendar: a year of 250 trading days, a month of 20 of them, 21 where
//! every third day is traded. What is bought to begin with costs, and so does what is held at the end. Zakamouline's band,
//! daily, is held against their reinforcement learner in that calendar, and in a month of 21 days against 126, what an
//! earlier study of the band reached there. Each band has one risk aversion for the whole table, a round number chosen
//! on paths of its own; the frontier shows the others.

use clap::Args;
use serde::Serialize;

use super::lab::{EVALUATION_SEED, Random, Sample, Table, parallel, trade_to_edge};
use super::report::{Chart, Dot, Outlets, ReportArgs, Series};
use crate::cli::CliError;
use crate::hedge::{BandConfig, Zakamouline};
use crate::instrument::OptionKind;
use crate::pricing::black76::{Greeks, price};
use crate::pricing::elementary::exp;

const SPOT: f64 = 100.0;
const SIGMA: f64 = 0.2;
const DRIFT: f64 = 0.05;
const COST: f64 = 0.01;
const DAY: f64 = 1.0 / 250.0;
const LOT: f64 = 1e-6;
const BLOCKS: usize = 64;

/// Days of the month, days between rebalancings; mean and standard deviation published, % of the price.
const DELTA_ROWS: [(usize, usize, f64, f64); 4] =
    [(20, 5, 69.0, 50.0), (21, 3, 78.0, 42.0), (20, 2, 88.0, 39.0), (20, 1, 108.0, 38.0)];
/// Mean + 1.5 standard deviations of their learner, daily.
const LEARNER: f64 = 137.0;
/// What the band reached in a month of 21 days: mean, standard deviation, and the most that their combination may be.
const STUDY: (f64, f64, f64) = (67.7, 38.7, 126.0);
/// Risk aversions of the frontier.
const AVERSIONS: [f64; 8] = [0.5, 1.0, 2.0, 3.5, 5.0, 10.0, 20.0, 50.0];
/// Those of the table.
const ZAKAMOULINE_AVERSION: f64 = 3.5;
const WHALLEY_WILMOTT_AVERSION: f64 = 10.0;

/// Arguments of `evaluate cao`.
#[derive(Clone, Debug, Args)]
pub(super) struct CaoArgs {
    /// Simulated paths a policy of the table; a tenth for the other points of the frontier
    #[arg(long, default_value_t = 400_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
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

/// How the call is hedged.
#[derive(Clone, Copy, Debug)]
enum Policy {
    /// To delta, every so many days.
    Delta { every: usize },
    /// Zakamouline's band, daily.
    Zakamouline { risk_aversion: f64 },
    /// Whalley and Wilmott's band, daily.
    WhalleyWilmott { risk_aversion: f64 },
}

pub(super) fn run(args: &CaoArgs) -> Result<(), CliError> {
    let outlets = Outlets::open(&args.report)?;
    let paths = args.paths as usize;
    let mut table =
        Table::new("Cao, Chen, Hull and Poulos: one month, trading cost 1%, hedging cost in % of the option's price");
    let mut deltas = Vec::new();
    for (days, every, mean, sd) in DELTA_ROWS {
        let sample = hedging_cost(Policy::Delta { every }, days, EVALUATION_SEED, paths);
        let near = |ours: f64, published: f64| Some((ours / published - 1.0).abs() <= 0.05);
        let what = format!("delta every {every} days");
        table.row(format!("{what}, mean"), Some(mean), sample.mean, sample.mean_error(), near(sample.mean, mean));
        table.row(format!("{what}, sd"), Some(sd), sample.sd, sample.sd_error(), near(sample.sd, sd));
        deltas.push(Dot { x: sample.mean, y: sample.sd, label: format!("every {every} days") });
    }
    let zakamouline = Policy::Zakamouline { risk_aversion: ZAKAMOULINE_AVERSION };
    let whalley_wilmott = Policy::WhalleyWilmott { risk_aversion: WHALLEY_WILMOTT_AVERSION };
    for (name, policy, days, study, limit) in [
        ("Zakamouline daily, 20 days", zakamouline, 20, None, Some(LEARNER)),
        ("Zakamouline daily, 21 days", zakamouline, 21, Some(STUDY), Some(STUDY.2)),
        ("Whalley-Wilmott daily, 20 days", whalley_wilmott, 20, None, None),
    ] {
        let sample = hedging_cost(policy, days, EVALUATION_SEED, paths);
        let both = combined(&sample);
        table.row(format!("{name}, mean"), study.map(|s| s.0), sample.mean, sample.mean_error(), None);
        table.row(format!("{name}, sd"), study.map(|s| s.1), sample.sd, sample.sd_error(), None);
        let reference = limit.or(Some(LEARNER));
        table.row(format!("{name}, mean + 1.5 sd"), reference, both.0, both.1, limit.map(|limit| both.0 <= limit));
    }
    table
        .note("A year of 250 trading days, as in the code published with the paper. Reference of mean + 1.5 sd: their");
    table.note(
        "reinforcement learner in their month of 20 days; in a month of 21, the most that is allowed of the band.",
    );
    table.note(format!(
        "Risk aversions: Zakamouline {ZAKAMOULINE_AVERSION}, Whalley-Wilmott {WHALLEY_WILMOTT_AVERSION}, chosen on other paths."
    ));
    let chart = Chart {
        title: "Daily bands and delta: standard deviation against mean, a month of 20 days".to_owned(),
        axes: ["mean hedging cost, % of the price", "standard deviation, %"],
        series: vec![
            frontier("Zakamouline", |risk_aversion| Policy::Zakamouline { risk_aversion }, paths / 10),
            frontier("Whalley-Wilmott", |risk_aversion| Policy::WhalleyWilmott { risk_aversion }, paths / 10),
            Series { name: "delta every 5, 3, 2, 1 days".to_owned(), points: deltas },
        ],
    };
    let report = Report { paths: args.paths, table, charts: [chart] };
    outlets.publish(&report.table, &report, &report.charts)
}

/// Mean + 1.5 standard deviations and its standard error.
fn combined(sample: &Sample) -> (f64, f64) {
    let error = (sample.mean_error().powi(2) + 2.25 * sample.sd_error().powi(2)).sqrt();
    (sample.mean + 1.5 * sample.sd, error)
}

/// A policy over its risk aversions.
fn frontier(name: &str, policy: fn(f64) -> Policy, paths: usize) -> Series {
    let dot = |risk_aversion: f64| {
        let sample = hedging_cost(policy(risk_aversion), 20, EVALUATION_SEED, paths);
        Dot { x: sample.mean, y: sample.sd, label: format!("risk aversion {risk_aversion}") }
    };
    Series { name: name.to_owned(), points: AVERSIONS.map(dot).to_vec() }
}

/// Cost of hedging over a month of `days`, % of the option's price.
fn hedging_cost(policy: Policy, days: usize, seed: u64, paths: usize) -> Sample {
    let value = price(OptionKind::Call, SPOT, SPOT, SIGMA, days as f64 * DAY);
    let (growth, width) = ((DRIFT - 0.5 * SIGMA * SIGMA) * DAY, SIGMA * DAY.sqrt());
    let costs = parallel("cao", BLOCKS, |block| {
        let mut random = Random::new(seed, block);
        let mut costs = Vec::new();
        for _ in 0..paths.div_ceil(BLOCKS) {
            let (mut spot, mut shares, mut cost) = (SPOT, 0.0, -value);
            for day in 0..days {
                let trade = policy.trade(day, days, spot, shares);
                shares += trade;
                cost += trade * spot + COST * trade.abs() * spot;
                spot *= exp(growth + width * random.normal());
            }
            cost += (spot - SPOT).max(0.0) - shares * spot + COST * shares.abs() * spot;
            costs.push(100.0 * cost / value);
        }
        costs
    });
    Sample::of(&costs.concat())
}

impl Policy {
    /// Shares bought on `day` of `days`.
    fn trade(self, day: usize, days: usize, spot: f64, shares: f64) -> f64 {
        let years = (days - day) as f64 * DAY;
        let call = |sigma: f64| Greeks::new(OptionKind::Call, spot, SPOT, sigma, years);
        match self {
            Self::Delta { every } if !day.is_multiple_of(every) => 0.0,
            Self::Delta { .. } => trade_to_edge(shares - call(SIGMA).delta, 0.0, LOT),
            Self::Zakamouline { risk_aversion } => {
                let band = Zakamouline { risk_aversion, cost: COST, rate: 0.0 };
                let gamma = call(SIGMA).gamma;
                let delta = call(band.sigma(spot, gamma, SIGMA, years, true)).delta;
                trade_to_edge(shares - delta, band.half_width(spot, gamma, SIGMA, years), LOT)
            }
            Self::WhalleyWilmott { risk_aversion } => {
                let band = BandConfig { risk_aversion, half_width_min: 0.0, half_width_max: f64::INFINITY };
                let greeks = call(SIGMA);
                trade_to_edge(shares - greeks.delta, band.half_width(COST, spot * greeks.gamma, spot), LOT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enough to know a mean and a deviation to 0.6 of the published points; bounds are five times that, on paths of
    /// their own.
    const PATHS: usize = 8_000;
    const SEED: u64 = 0xCA0;

    #[test]
    fn delta_hedges_cost_what_the_paper_says() {
        for (days, every, mean, sd) in DELTA_ROWS {
            let sample = hedging_cost(Policy::Delta { every }, days, SEED, PATHS);
            let near = |ours: f64, published: f64, error: f64| (ours - published).abs() < 0.5 + 5.0 * error;
            assert!(near(sample.mean, mean, sample.mean_error()), "every {every} days: {sample:?}");
            assert!(near(sample.sd, sd, sample.sd_error()), "every {every} days: {sample:?}");
        }
    }

    #[test]
    fn the_band_beats_the_learner_and_delta() {
        let band = Policy::Zakamouline { risk_aversion: ZAKAMOULINE_AVERSION };
        let (both, error) = combined(&hedging_cost(band, 20, SEED, PATHS));
        assert!(both + 5.0 * error < LEARNER, "{both} ± {error}");
        let (study, error) = combined(&hedging_cost(band, 21, SEED, PATHS));
        assert!((study - STUDY.2).abs() < 5.0 * error, "{study} ± {error}");
    }
}
