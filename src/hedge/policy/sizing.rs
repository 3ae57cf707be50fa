//! From an exposure to lots: trade to the nearest edge of the band, in whole lots, never past what helps.

use crate::instrument::{Instrument, Payoff};
use crate::units::{ONE_E9, Side};

/// What to trade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Which way.
    pub side: Side,
    /// How many lots, at least one.
    pub lots: u32,
}

/// Delta of one lot of a delta-one contract, coins: its amount in coins if linear, its dollars over the price if inverse.
pub fn delta_per_lot(instrument: &Instrument, price: f64) -> f64 {
    let amount = instrument.lot.to_f64();
    match instrument.payoff {
        Payoff::Linear => amount,
        Payoff::Inverse => amount / price,
    }
}

/// The fewest whole lots that bring `net_delta` inside ±`half_width`, at most `lots_max`. `None` when it already lies
/// inside, when one lot would leave a larger exposure than it found, or when a figure is not usable.
pub fn to_nearest_edge(net_delta: f64, half_width: f64, delta_per_lot: f64, lots_max: u32) -> Option<Size> {
    let excess = net_delta.abs() - half_width;
    let usable = excess.is_finite() && delta_per_lot.is_finite() && delta_per_lot > 0.0;
    if !usable || excess <= 0.0 {
        return None;
    }
    let side = if net_delta > 0.0 { Side::Sell } else { Side::Buy };
    let lots = (excess / delta_per_lot).ceil().max(1.0).min(f64::from(lots_max));
    let left = (net_delta.abs() - lots * delta_per_lot).abs();
    (lots_max > 0 && left < net_delta.abs()).then_some(Size { side, lots: lots as u32 })
}

/// Proportional cost of taking: half the spread over the mid, plus the taker fee.
pub fn taking_cost(instrument: &Instrument, bid: f64, ask: f64) -> f64 {
    (ask - bid) / (ask + bid) + taker_fee(instrument)
}

/// The taker fee as a fraction of notional.
pub fn taker_fee(instrument: &Instrument) -> f64 {
    f64::from(instrument.taker_fee_e9) / ONE_E9 as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_exposure_is_sold_down_to_the_edge_and_not_to_zero() {
        assert_eq!(to_nearest_edge(1.0, 0.25, 0.1, 1_000), Some(Size { side: Side::Sell, lots: 8 }));
        assert_eq!(to_nearest_edge(-1.0, 0.25, 0.25, 1_000), Some(Size { side: Side::Buy, lots: 3 }));
    }

    #[test]
    fn inside_the_band_nothing_is_traded() {
        assert_eq!(to_nearest_edge(0.25, 0.25, 0.1, 1_000), None);
        assert_eq!(to_nearest_edge(f64::NAN, 0.25, 0.1, 1_000), None);
        assert_eq!(to_nearest_edge(1.0, 0.25, 0.0, 1_000), None);
        assert_eq!(to_nearest_edge(1.0, 0.25, f64::NAN, 1_000), None);
        assert_eq!(to_nearest_edge(1.0, 0.25, 0.1, 0), None);
    }

    #[test]
    fn a_lot_coarser_than_the_exposure_is_left_alone() {
        assert_eq!(to_nearest_edge(0.3, 0.25, 1.0, 1_000), None);
        assert_eq!(to_nearest_edge(0.6, 0.25, 1.0, 1_000), Some(Size { side: Side::Sell, lots: 1 }));
    }

    proptest! {
        #[test]
        fn a_trade_always_shrinks_the_exposure_and_reaches_the_band_when_lots_suffice(
            net in -1e4f64..1e4, half_width in 0.0f64..10.0, per_lot in 1e-5f64..20.0, lots_max in 0u32..2_000_000,
        ) {
            if let Some(Size { side, lots }) = to_nearest_edge(net, half_width, per_lot, lots_max) {
                prop_assert!(lots >= 1 && lots <= lots_max);
                let after = net + side.sign() as f64 * f64::from(lots) * per_lot;
                prop_assert!(after.abs() < net.abs());
                prop_assert!(lots == lots_max || after.abs() <= half_width.max(per_lot) + 1e-9);
            }
        }
    }
}
