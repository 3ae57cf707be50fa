//! The loss limit: what the desk has lost to the spot and to its own trading.
//!
//! The loss is that of the whole book, options included: its net delta over each move of the spot, taken at the mean of
//! the deltas before and after, which holds the gamma; and what executions cost against the middle of their book, which
//! is what a machine gone wrong loses first. Time value and volatility are not in it: a desk that wants those limited
//! stops at its own figure. An underlying's gains set off its own losses, and another's.
//!
//! Constant work an exposure, one division an execution, nothing else.

use crate::instrument::UNDERLYINGS_MAX;
use crate::units::{ONE_E9, Price, Side, UnderlyingId};

/// The last exposure of an underlying.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    spot: Price,
    net_delta: i128,
}

/// Gains since the start.
#[derive(Clone, Debug)]
pub(super) struct LossMeter {
    last: [Last; UNDERLYINGS_MAX],
    /// Quote currency, 1e-18, twice.
    gain_twice_e18: i128,
    /// The least it may be.
    least_twice_e18: i128,
}

impl LossMeter {
    /// At most so much may be lost, quote currency, 1e-9.
    pub(super) fn new(max_e9: i64) -> Self {
        let least_twice_e18 = -2 * i128::from(max_e9) * i128::from(ONE_E9);
        Self { last: [Last::default(); UNDERLYINGS_MAX], gain_twice_e18: 0, least_twice_e18 }
    }

    /// The spot, and what the book's delta is there.
    #[inline]
    pub(super) fn see(&mut self, underlying: UnderlyingId, spot: Price, net_delta: i128) {
        let Some(last) = self.last.get_mut(underlying.index()) else { return };
        if last.spot.0 > 0 {
            self.gain_twice_e18 += (last.net_delta + net_delta) * i128::from(spot.0 - last.spot.0);
        }
        *last = Last { spot, net_delta };
    }

    /// An execution of a delta worth `notional_e18` at a price, while the middle of its book was at `mid`; and the delta it
    /// left the book with.
    pub(super) fn execute(&mut self, underlying: UnderlyingId, paid: Paid, net_delta: i128) {
        if let Some(last) = self.last.get_mut(underlying.index()) {
            last.net_delta = net_delta;
        }
        let Paid { side, price, mid, notional_e18 } = paid;
        if mid.0 > 0 {
            let over = i128::from(side.sign()) * i128::from(price.0 - mid.0);
            // Parts per billion of the middle first: the product would not fit otherwise.
            self.gain_twice_e18 -=
                2 * (notional_e18 / i128::from(ONE_E9)) * (over * i128::from(ONE_E9) / i128::from(mid.0));
        }
    }

    /// A person has looked: what was lost so far counts no more.
    pub(super) fn forgive(&mut self) {
        self.gain_twice_e18 = 0;
    }

    /// What is lost, quote currency, 1e-9; a gain is below zero.
    pub(super) fn lost_e9(&self) -> i64 {
        let lost = -self.gain_twice_e18 / (2 * i128::from(ONE_E9));
        lost.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// Whether more is lost than may be.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.gain_twice_e18 < self.least_twice_e18
    }
}

/// What an execution cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) mid: Price,
    pub(super) notional_e18: i128,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTC: UnderlyingId = UnderlyingId(0);
    const COIN: i128 = ONE_E9 as i128;

    fn dollars(amount: i64) -> Price {
        Price(amount * ONE_E9)
    }

    #[test]
    fn a_delta_loses_with_its_spot_and_gamma_softens_it() {
        let mut meter = LossMeter::new(10_000 * ONE_E9);
        meter.see(BTC, dollars(100_000), 10 * COIN);
        meter.see(BTC, dollars(99_000), 8 * COIN);
        assert_eq!(meter.lost_e9(), 9_000 * ONE_E9, "nine coins on average, a thousand dollars");
        assert!(!meter.is_over());
        meter.see(BTC, dollars(98_000), 8 * COIN);
        assert!(meter.is_over());
        meter.see(BTC, dollars(100_000), 8 * COIN);
        assert_eq!(meter.lost_e9(), ONE_E9 * 1_000);
    }

    #[test]
    fn an_execution_loses_what_it_pays_over_the_middle() {
        let mut meter = LossMeter::new(ONE_E9);
        let notional_e18 = 1_000_000 * COIN * COIN;
        let paid = Paid { side: Side::Sell, price: dollars(99_900), mid: dollars(100_000), notional_e18 };
        meter.execute(BTC, paid, 0);
        assert_eq!(meter.lost_e9(), 1_000 * ONE_E9, "ten basis points of a million");
        meter.execute(BTC, Paid { side: Side::Buy, ..paid }, 0);
        assert_eq!(meter.lost_e9(), 0);
    }

    #[test]
    fn a_trade_at_an_unmoved_spot_changes_nothing_but_what_follows() {
        let mut meter = LossMeter::new(ONE_E9);
        meter.see(BTC, dollars(100_000), 10 * COIN);
        let paid = Paid { side: Side::Sell, price: dollars(100_000), mid: dollars(100_000), notional_e18: COIN * COIN };
        meter.execute(BTC, paid, 0);
        meter.see(BTC, dollars(90_000), 0);
        assert_eq!(meter.lost_e9(), 0);
    }
}
