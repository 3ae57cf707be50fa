//! Settings of the hedge.

use super::policy::BandConfig;
use crate::risk::Limits;
use crate::units::{Nanos, ONE_E9};

/// Settings of the hedge.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HedgeConfig {
    /// The no-trade band.
    pub band: BandConfig,
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

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            band: BandConfig::default(),
            limits: Limits::default(),
            slippage_e9: ONE_E9 / 1_000,
            order_overdue_ns: 2 * Nanos::PER_SECOND,
            rejects_in_a_row_max: 20,
            started_s: 0,
        }
    }
}
