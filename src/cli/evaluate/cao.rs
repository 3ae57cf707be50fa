//! `evaluate cao`: one short at-the-money call hedged for a month at a trading cost of 1%, after Cao, Chen, Hull and
//! Poulos, *Deep Hedging of Derivatives Using Reinforcement Learning* (2021).
//!
//! Their delta hedges are reproduced; Zakamouline's band is held against their reinforcement learner. Its risk aversion
//! is chosen on paths of its own. A month is 21 trading days of a year of 252, cut into whole intervals of which the last is
//! the longer; what is bought to begin with costs, and so does what is held at the end.

use std::io;

use clap::Args;

use super::lab::{EVALUATION_SEED, Random, Sample, TUNING_SEED, Table, parallel, trade_to_edge};
use crate::cli::CliError;
use crate::cli::output::{Output, OutputArgs};
use crate::hedge::{BandConfig, Zakamouline};
use crate::instrument::OptionKind;
use crate::pricing::black76::{Greeks, price};
use crate::pricing::elementary::exp;

const SPOT: f64 = 100.0;
const SIGMA: f64 = 0.2;
const DRIFT: f64 = 0.05;
const COST: f64 = 0.01;
const DAYS: usize = 21;
const DAY: f64 = 1.0 / 252.0;
const LOT: f64 = 1e-6;
const BLOCKS: usize = 64;

/// Days between rebalancings; mean and standard deviation published, % of the price.
const DELTA_ROWS: [(usize, f64, f64); 4] = [(5, 69.0, 50.0), (3, 78.0, 42.0), (2, 88.0, 39.0), (1, 108.0, 38.0)];
/// Mean + 1.5 standard deviations of their learner, daily.
const LEARNER: f64 = 137.0;
/// What a band has to reach.
const BAND_MAX: f64 = 126.0;
/// Risk aversions tried.
const AVERSIONS: [f64; 8] = [1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 10.0];

/// Arguments of `evaluate cao`.
#[derive(Clone, Debug, Args)]
pub(super) struct CaoArgs {
    /// Simulated paths a policy
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    paths: u32,
    #[command(flatten)]
    output: OutputArgs,
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
    let output = Output::open(&args.output)?;
    let paths = args.paths as usize;
    let mut table =
        Table::new("Cao, Chen, Hull and Poulos: one month, trading cost 1%, hedging cost in % of the option's price");
    for (every, mean, sd) in DELTA_ROWS {
        let sample = hedging_cost(Policy::Delta { every }, EVALUATION_SEED, paths);
        let near = |ours: f64, published: f64| Some((ours / published - 1.0).abs() <= 0.05);
        let what = format!("delta every {every} days");
        table.row(format!("{what}, mean"), Some(mean), sample.mean, sample.mean_error(), near(sample.mean, mean));
        table.row(format!("{what}, sd"), Some(sd), sample.sd, sample.sd_error(), near(sample.sd, sd));
    }
    for (name, policy, bound) in [
        ("Zakamouline", (|risk_aversion| Policy::Zakamouline { risk_aversion }) as fn(f64) -> Policy, Some(BAND_MAX)),
        ("Whalley-Wilmott", |risk_aversion| Policy::WhalleyWilmott { risk_aversion }, None),
    ] {
        let score = |sample: &Sample| sample.mean + 1.5 * sample.sd;
        let tuned = AVERSIONS
            .map(|aversion| (aversion, score(&hedging_cost(policy(aversion), TUNING_SEED, paths / 4))))
            .into_iter()
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let aversion = tuned.map_or(1.0, |(aversion, _)| aversion);
        let sample = hedging_cost(policy(aversion), EVALUATION_SEED, paths);
        let what = format!("{name} daily, aversion {aversion}");
        table.row(format!("{what}, mean"), None, sample.mean, sample.mean_error(), None);
        table.row(format!("{what}, sd"), None, sample.sd, sample.sd_error(), None);
        let error = (sample.mean_error().powi(2) + 2.25 * sample.sd_error().powi(2)).sqrt();
        let holds = bound.map(|bound| score(&sample) <= bound + 3.0 * error);
        table.row(format!("{what}, mean + 1.5 sd"), Some(LEARNER), score(&sample), error, holds);
    }
    table.note(format!(
        "Reference of mean + 1.5 sd: their reinforcement learner, daily. The band has to reach {BAND_MAX}."
    ));
    table.note("Risk aversions were chosen on other paths than these.");
    table.print(&mut io::stdout().lock())?;
    output.write_json(&table)?;
    table.verdict()
}

/// Cost of hedging, % of the option's price.
fn hedging_cost(policy: Policy, seed: u64, paths: usize) -> Sample {
    let value = price(OptionKind::Call, SPOT, SPOT, SIGMA, DAYS as f64 * DAY);
    let (growth, width) = ((DRIFT - 0.5 * SIGMA * SIGMA) * DAY, SIGMA * DAY.sqrt());
    let costs = parallel("cao", BLOCKS, |block| {
        let mut random = Random::new(seed, block);
        let mut costs = Vec::new();
        for _ in 0..paths.div_ceil(BLOCKS) {
            let (mut spot, mut shares, mut cost) = (SPOT, 0.0, -value);
            for day in 0..DAYS {
                let trade = policy.trade(day, spot, shares);
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
    /// Shares bought on `day`.
    fn trade(self, day: usize, spot: f64, shares: f64) -> f64 {
        let years = (DAYS - day) as f64 * DAY;
        let call = |sigma: f64| Greeks::new(OptionKind::Call, spot, SPOT, sigma, years);
        match self {
            Self::Delta { every } if !day.is_multiple_of(every) || day + every > DAYS => 0.0,
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
