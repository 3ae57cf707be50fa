//! The figures a request is held against.

use crate::units::{Nanos, ONE_E9};

/// Pre-trade limits. The defaults suit the embedded venue; a desk sets its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Lots in one order.
    pub order_lots_max: u32,
    /// Notional of one order, quote currency, 1e-9.
    pub order_notional_max_e9: i64,
    /// Notional of position plus everything working on one side, an instrument, quote currency, 1e-9.
    pub position_notional_max_e9: i64,
    /// How far beyond the opposite best price an order may reach, 1e-9 of that price.
    pub collar_e9: i64,
    /// Orders that may be open at once.
    pub open_orders_max: u32,
    /// Messages in any second.
    pub messages_per_second: u32,
    /// Of those, how many only cancels may use.
    pub cancel_reserve: u32,
    /// How long orders have to end after the kill switch was thrown, before they are alarmed as unknown, nanoseconds.
    pub settle_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            order_lots_max: 1_000_000,
            order_notional_max_e9: 5_000_000 * ONE_E9,
            position_notional_max_e9: 50_000_000 * ONE_E9,
            collar_e9: ONE_E9 / 200,
            open_orders_max: 64,
            messages_per_second: 1_000,
            cancel_reserve: 200,
            settle_ns: Nanos::PER_SECOND,
        }
    }
}
