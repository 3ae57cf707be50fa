//! Settings of the hedge.

use super::costs::CostConfig;
use super::market::CovarianceConfig;
use super::policy::{BandConfig, Policy};
use crate::event::{JUMP_SIZES, JUMPS};
use crate::instrument::INSTRUMENTS_MAX;
use crate::pricing::elementary::{exp, ln};
use crate::risk::Limits;
use crate::units::{Nanos, ONE_E9};

/// Settings of the hedge.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HedgeConfig {
    /// What decides.
    pub policy: Policy,
    /// Instruments known, at most 65,534; those listed first are the ones that can be traded.
    #[serde(default = "as_many_as_there_can_be")]
    pub instruments: usize,
    /// Risk aversion, and the bounds of the no-trade band.
    pub band: BandConfig,
    /// How often a hedge after Leland would trade: a band is then laid around his delta, which spreads the costs of trading
    /// over the options' lives. `None` for the plain delta.
    pub leland_interval_ns: Option<u64>,
    /// What the program weighs.
    pub program: ProgramConfig,
    /// How orders are worked.
    pub execution: ExecutionConfig,
    /// Pre-trade limits.
    pub limits: Limits,
    /// How far beyond the best price an order may take, 1e-9 of the price. Within the collar.
    pub slippage_e9: i64,
    /// After how long without an answer an order is cancelled, nanoseconds.
    pub order_overdue_ns: u64,
    /// After how many refusals by the venue in a row the kill switch is thrown.
    pub rejects_in_a_row_max: u32,
    /// Start of the session, seconds since the epoch: makes order ids unique across restarts.
    pub started_s: u32,
}

/// What a journal means that does not say.
const fn as_many_as_there_can_be() -> usize {
    INSTRUMENTS_MAX
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            instruments: INSTRUMENTS_MAX,
            band: BandConfig::default(),
            leland_interval_ns: None,
            program: ProgramConfig::default(),
            execution: ExecutionConfig::default(),
            limits: Limits::default(),
            slippage_e9: ONE_E9 / 1_000,
            order_overdue_ns: 2 * Nanos::PER_SECOND,
            rejects_in_a_row_max: 20,
            started_s: 0,
        }
    }
}

/// What the program weighs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProgramConfig {
    /// How long an exposure that is taken over will be held.
    pub horizon_ns: u64,
    /// Gamma in coins per unit of ln(spot) below which following delta costs as if it were that large.
    pub log_gamma_min: f64,
    /// The jumps of the spot that a book is insured against.
    pub jumps: JumpConfig,
    /// How old costs may be that standing still is certified with. What is sent is decided at present ones.
    pub refresh_ns: u64,
    /// Time between the moments at which it is seen how fast what is wanted of a hedge moves; what would soon have to be
    /// changed again waits.
    pub waiting_sample_ns: u64,
    /// How long that is remembered.
    pub waiting_memory_ns: u64,
    /// How factors move together.
    pub covariance: CovarianceConfig,
    /// What trading costs.
    pub costs: CostConfig,
}

impl Default for ProgramConfig {
    fn default() -> Self {
        Self {
            horizon_ns: 86_400 * Nanos::PER_SECOND,
            log_gamma_min: 1e-3,
            jumps: JumpConfig::default(),
            refresh_ns: 20 * Nanos::PER_MILLI,
            waiting_sample_ns: 60 * Nanos::PER_SECOND,
            waiting_memory_ns: 2 * 86_400 * Nanos::PER_SECOND,
            covariance: CovarianceConfig::default(),
            costs: CostConfig::default(),
        }
    }
}

/// Jumps of the spot, whose logarithms are normal. No estimate moves them: a year without a jump says little of the next.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct JumpConfig {
    /// How many come a year; zero insures against none.
    pub per_year: f64,
    /// Mean of their logarithm.
    pub mean: f64,
    /// Standard deviation of it.
    pub sd: f64,
}

impl Default for JumpConfig {
    fn default() -> Self {
        Self { per_year: 1.0, mean: 0.0, sd: 0.1 }
    }
}

impl JumpConfig {
    /// How often a year each of [`JUMP_SIZES`] comes: all jumps, each counted as one of these sizes.
    pub fn rates(&self) -> [f64; JUMPS] {
        let density = JUMP_SIZES.map(|jump| {
            let z = (ln(1.0 + jump) - self.mean) / self.sd;
            exp(-0.5 * z * z)
        });
        let sum: f64 = density.iter().sum();
        density.map(|share| if self.per_year > 0.0 { self.per_year * share / sum } else { 0.0 })
    }
}

impl ProgramConfig {
    /// The horizon in years.
    pub fn horizon_years(&self) -> f64 {
        self.horizon_ns as f64 / Nanos::PER_YEAR as f64
    }
}

/// How the program's orders are worked.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ExecutionConfig {
    /// An order rests at the best price while what trading gains is below so many times what it costs; zero to always take.
    pub rest_below: f64,
    /// What resting saves, as a share of the cost of taking, from which it is worth the wait.
    pub rest_saving_share: f64,
    /// How long an order rests before it is taken back, and what it was to do is taken from the book.
    pub rest_ns: u64,
    /// For so long after a trade,
    pub reversal_ns: u64,
    /// the opposite one counts as this much dearer, as a share of its cost: noise does not trade back and forth.
    pub reversal_share: f64,
    /// While orders of a decision are in flight, another is made only when risk has grown to so many times what that one left.
    pub growth: f64,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            rest_below: 0.5,
            rest_saving_share: 0.3,
            rest_ns: 250 * Nanos::PER_MILLI,
            reversal_ns: Nanos::PER_SECOND,
            reversal_share: 0.5,
            growth: 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_come_as_often_as_configured_and_the_likelier_sizes_more_often() {
        let rates = JumpConfig { per_year: 8.0, mean: -0.03, sd: 0.08 }.rates();
        assert!((rates.iter().sum::<f64>() - 8.0).abs() < 1e-12, "{rates:?}");
        assert!(rates[2] > rates[1] && rates[1] > rates[0] && rates[1] > rates[4], "{rates:?}");
        assert_eq!(JumpConfig { per_year: 0.0, ..JumpConfig::default() }.rates(), [0.0; JUMPS]);
    }
}
