//! What to trade: from an exposure to a side and lots.

mod band;
mod sizing;

pub(in crate::hedge) use band::cbrt;
pub use band::{BandConfig, Zakamouline, leland_sigma};
pub use sizing::{Size, delta_per_lot, taker_fee, taking_cost, to_nearest_edge};
