//! Settings of the greeks, fixed for a run.

use super::convention::Neutrality;
use crate::instrument::{INSTRUMENTS_MAX, Underlying};
use crate::units::{Coins, Lots, Nanos, VenueInstrumentId};

/// What is held before the first fill.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum OpeningBook {
    /// Nothing.
    #[default]
    Flat,
    /// Minus one lot of every option, from its listing on.
    ShortEveryOption,
    /// These positions, each from its listing on.
    Positions(Box<[(VenueInstrumentId, Lots)]>),
}

/// What room is taken for. What a journal does not say is as by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Instruments listed, at most 65,534.
    pub instruments: usize,
    /// Expiries valued in constant time, at most [`ENGINES_MAX`](super::ENGINES_MAX); some 0.9 KiB an option of room each.
    pub expiries: usize,
    /// Options ever held of one of them, at most 65,535. An expiry with more is valued option by option.
    pub options_an_expiry: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { instruments: INSTRUMENTS_MAX, expiries: 48, options_an_expiry: 256 }
    }
}

/// Settings of the greeks.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GreeksConfig {
    /// Positions to begin with.
    pub opening: OpeningBook,
    /// Whether the book is kept neutral in coins or in dollars.
    pub neutrality: Neutrality,
    /// κ in [0, 1], how the smile follows the forward: at 0 a volatility belongs to its strike, at 1 to its moneyness.
    pub stickiness: f64,
    /// What room is taken for at construction.
    pub capacity: Capacity,
    /// What each underlying's account is worth in coins, opening positions included; zero where it is not given. Only a
    /// dollar-neutral book depends on it.
    pub equity: Box<[(Underlying, Coins)]>,
    /// Age beyond which an index is stale.
    pub index_age_max_ns: u64,
    /// Age beyond which a held expiry's forward is stale.
    pub forward_age_max_ns: u64,
    /// Age beyond which a held option's volatility is stale.
    pub volatility_age_max_ns: u64,
    /// An underlying is revalued at the first event this long after its last valuation.
    pub revalue_ns: u64,
}

impl Default for GreeksConfig {
    fn default() -> Self {
        Self {
            opening: OpeningBook::Flat,
            neutrality: Neutrality::Coin,
            stickiness: 0.0,
            capacity: Capacity::default(),
            equity: Box::default(),
            index_age_max_ns: 10 * Nanos::PER_SECOND,
            forward_age_max_ns: 120 * Nanos::PER_SECOND,
            volatility_age_max_ns: 600 * Nanos::PER_SECOND,
            revalue_ns: Nanos::PER_SECOND,
        }
    }
}
