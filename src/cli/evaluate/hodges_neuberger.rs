//! `evaluate hodges-neuberger`: how much dearer than the optimum a rule of thumb is, in the model where the optimum is known.
//!
//! The writer of one call with exponential utility trades at a proportional cost on a binomial tree of 200 steps. What
//! he must ask for beyond the Black–Scholes value is compared with the least that dynamic programming finds (Hodges and
//! Neuberger 1989). The loss is simulated; the part of it that is a martingale, what the hedge leaves of the exposure
//! times the move, serves as a control variate.

use clap::Args;
use serde::Serialize;

use super::lab::{EVALUATION_SEED, Random, Sample, Table, parallel, trade_to_edge};
use super::report::{Chart, Dot, Outlets, ReportArgs, Series};
use crate::cli::CliError;
use crate::hedge::{BandConfig, Zakamouline, leland_sigma};
use crate::instrument::OptionKind;
use crate::pricing::black76::{Greeks, price};
use crate::pricing::elementary::{exp, ln};

const SPOT: f64 = 100.0;
const SIGMA: f64 = 0.2;
const YEARS: f64 = 0.25;
const STEPS: usize = 200;
const LOT: f64 = 1e-6;
const BLOCKS: usize = 64;

/// Cost, risk aversion, and the optimum's premium over Black–Scholes by dynamic programming.
const CASES: [(f64, f64, f64); 6] = [
    (0.001, 0.1, 0.1909),
    (0.001, 1.0, 0.3089),
    (0.005, 0.1, 0.7251),
    (0.005, 1.0, 1.1494),
    (0.01, 0.1, 1.2669),
    (0.01, 1.0, 2.0707),
];
/// How many times the optimum's premium the best band may cost.
const RATIO_MAX: f64 = 1.09;

/// Arguments of `evaluate hodges-neuberger`.
#[derive(Clone, Debug, Args)]
pub(super) struct HodgesNeubergerArgs {
    /// Simulated paths a policy
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
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

/// What a policy does in one case.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// What the writer asks for beyond the Black–Scholes value, and its standard error.
    premium: f64,
    error: f64,
    /// Mean trading cost, and the standard deviation of the loss.
    cost: f64,
    sd: f64,
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    Zakamouline,
    WhalleyWilmott,
    /// To Leland's delta at every step.
    Leland,
    /// To delta at every step.
    Delta,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Zakamouline, Self::WhalleyWilmott, Self::Leland, Self::Delta];

    fn name(self) -> &'static str {
        match self {
            Self::Zakamouline => "Zakamouline",
            Self::WhalleyWilmott => "Whalley-Wilmott",
            Self::Leland => "Leland every step",
            Self::Delta => "delta every step",
        }
    }

    /// The delta that is followed and how far it may be left, with `years` to go.
    fn band(self, spot: f64, years: f64, cost: f64, risk_aversion: f64) -> (f64, f64) {
        let call = |sigma: f64| Greeks::new(OptionKind::Call, spot, SPOT, sigma, years);
        let greeks = call(SIGMA);
        match self {
            Self::Zakamouline => {
                let band = Zakamouline { risk_aversion, cost, rate: 0.0 };
                let sigma = band.sigma(spot, greeks.gamma, SIGMA, years, true);
                (call(sigma).delta, band.half_width(spot, greeks.gamma, SIGMA, years))
            }
            Self::WhalleyWilmott => {
                let band = BandConfig { risk_aversion, half_width_min: 0.0, half_width_max: f64::INFINITY };
                (greeks.delta, band.half_width(cost, spot * greeks.gamma, spot))
            }
            Self::Leland => (call(leland_sigma(SIGMA, cost, YEARS / STEPS as f64, true)).delta, 0.0),
            Self::Delta => (greeks.delta, 0.0),
        }
    }
}

/// The binomial tree: prices, and what a policy does in each node, worked out once.
struct Tree {
    /// Log-step, and the probability of going up.
    step: f64,
    up: f64,
}

pub(super) fn run(args: &HodgesNeubergerArgs) -> Result<(), CliError> {
    let outlets = Outlets::open(&args.report)?;
    let mut table = Table::new("Hodges and Neuberger: premium over Black-Scholes, as a multiple of the optimum's");
    let mut series = Vec::new();
    for (cost, aversion, optimum) in CASES {
        let outcomes = Policy::ALL.map(|policy| (policy, evaluate(policy, cost, aversion, args.paths as usize)));
        let best = outcomes.iter().map(|(_, outcome)| outcome.premium).fold(f64::INFINITY, f64::min);
        for (policy, Outcome { premium, error, .. }) in outcomes {
            let (ratio, is_best) = (premium / optimum, premium <= best);
            let what =
                format!("cost {cost}, aversion {aversion}: {}{}", policy.name(), if is_best { ", best" } else { "" });
            table.row(what, Some(1.0), ratio, error / optimum, is_best.then_some(ratio <= RATIO_MAX));
        }
        let dot = |(policy, outcome): (Policy, Outcome)| Dot {
            x: outcome.cost,
            y: outcome.sd,
            label: policy.name().to_owned(),
        };
        series.push(Series { name: format!("cost {cost}, aversion {aversion}"), points: outcomes.map(dot).to_vec() });
    }
    table.note(format!(
        "The optimum is by dynamic programming; the best policy of each case has to stay within {RATIO_MAX}."
    ));
    let chart = Chart {
        title: "Standard deviation of the loss against trading cost".to_owned(),
        axes: ["mean trading cost", "standard deviation of the loss"],
        series,
    };
    let report = Report { paths: args.paths, table, charts: [chart] };
    outlets.publish(&report.table, &report, &report.charts)
}

/// Simulates `policy` in one case.
fn evaluate(policy: Policy, cost: f64, aversion: f64, paths: usize) -> Outcome {
    let tree = Tree::new();
    let interval = YEARS / STEPS as f64;
    // Per node: spot, Black–Scholes delta, the policy's delta and half-width.
    let nodes: Vec<Vec<[f64; 4]>> = (0..STEPS)
        .map(|k| {
            let years = YEARS - k as f64 * interval;
            (0..=k)
                .map(|ups| {
                    let spot = tree.spot(k, ups);
                    let (delta, half_width) = policy.band(spot, years, cost, aversion);
                    [spot, Greeks::new(OptionKind::Call, spot, SPOT, SIGMA, years).delta, delta, half_width]
                })
                .collect()
        })
        .collect();
    let blocks = parallel("hodges-neuberger", BLOCKS, |block| {
        let mut random = Random::new(EVALUATION_SEED, block);
        let sample = || {
            let (mut ups, mut shares, mut costs, mut loss, mut control) = (0, 0.0, 0.0, 0.0, 0.0);
            for (k, row) in nodes.iter().enumerate() {
                let [spot, plain_delta, delta, half_width] = row[ups];
                let trade = trade_to_edge(shares - delta, half_width, LOT);
                shares += trade;
                costs += cost * trade.abs() * spot;
                ups += usize::from(random.uniform() < tree.up);
                let change = tree.spot(k + 1, ups) - spot;
                loss -= shares * change;
                control += (plain_delta - shares) * change;
            }
            let spot = tree.spot(STEPS, ups);
            costs += cost * shares.abs() * spot;
            [loss + (spot - SPOT).max(0.0) + costs, control, costs]
        };
        std::iter::repeat_with(sample).take(paths.div_ceil(BLOCKS)).collect::<Vec<_>>()
    });
    let sample = blocks.concat();
    let n = sample.len() as f64;
    let value = price(OptionKind::Call, SPOT, SPOT, SIGMA, YEARS);
    let utility: Vec<f64> = sample.iter().map(|[loss, ..]| exp(aversion * (loss - value))).collect();
    // E[control] = 0: subtract what regression says it contributes.
    let mean_utility = utility.iter().sum::<f64>() / n;
    let covariance: f64 = sample.iter().zip(&utility).map(|([_, c, _], u)| c * (u - mean_utility)).sum::<f64>() / n;
    let variance: f64 = sample.iter().map(|[_, c, _]| c * c).sum::<f64>() / n;
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    let controlled: Vec<f64> = sample.iter().zip(&utility).map(|([_, c, _], u)| u - slope * c).collect();
    let mean = controlled.iter().sum::<f64>() / n;
    let spread = controlled.iter().map(|u| (u - mean) * (u - mean)).sum::<f64>() / n;
    Outcome {
        premium: ln(mean) / aversion,
        error: (spread / n).sqrt() / (mean * aversion),
        cost: sample.iter().map(|[_, _, costs]| costs).sum::<f64>() / n,
        sd: Sample::of(&sample.iter().map(|[loss, ..]| *loss).collect::<Vec<_>>()).sd,
    }
}

impl Tree {
    fn new() -> Self {
        let step = SIGMA * (YEARS / STEPS as f64).sqrt();
        Self { step, up: (1.0 - exp(-step)) / (exp(step) - exp(-step)) }
    }

    /// Price after `k` steps of which `ups` went up.
    fn spot(&self, k: usize, ups: usize) -> f64 {
        SPOT * exp(self.step * (2.0 * ups as f64 - k as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_costs_following_delta_on_the_tree_costs_nothing_beyond_black_scholes() {
        let Outcome { premium, error, cost, .. } = evaluate(Policy::Delta, 0.0, 0.1, 2_000);
        assert!(premium.abs() < 0.02 + 3.0 * error, "{premium} ± {error}");
        assert_eq!(cost, 0.0);
    }

    #[test]
    fn the_band_is_near_the_optimum_and_following_delta_is_not() {
        let (cost, aversion, optimum) = CASES[3];
        let [band, delta] = [Policy::Zakamouline, Policy::Delta].map(|policy| evaluate(policy, cost, aversion, 4_000));
        // No policy beats the optimum; the bounds are five standard errors away from where the band and delta are.
        assert!(band.premium > optimum - 5.0 * band.error, "{band:?}");
        assert!(band.premium < RATIO_MAX * optimum + 5.0 * band.error, "{band:?}");
        assert!(delta.premium > 2.0 * optimum, "{delta:?}");
    }
}
