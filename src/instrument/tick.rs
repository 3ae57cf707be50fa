//! Tick tables: the price step as a function of the price.

use arrayvec::ArrayVec;

use crate::units::{Price, Side};

/// Steps beyond the base tick that one instrument may have.
pub const TICK_STEPS_MAX: usize = 4;

/// The base tick and the prices from which coarser ones hold, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickTable {
    base: Price,
    steps: [(Price, Price); TICK_STEPS_MAX],
    len: u8,
}

impl TickTable {
    /// A single tick for all prices. A tick that is not positive leaves prices unrounded.
    pub fn new(base: Price) -> Self {
        Self { base, ..Self::default() }
    }

    /// Adds a step: from `above` on, prices move by `tick`. False, and nothing added, when the table is full, the tick
    /// is not positive, or `above` does not lie beyond the last step.
    pub fn push(&mut self, above: Price, tick: Price) -> bool {
        let last = self.steps().last().map_or(Price::ZERO, |&(above, _)| above);
        if usize::from(self.len) == TICK_STEPS_MAX || tick.0 <= 0 || above <= last {
            return false;
        }
        self.steps[usize::from(self.len)] = (above, tick);
        self.len += 1;
        true
    }

    /// The steps beyond the base tick.
    pub fn steps(&self) -> &[(Price, Price)] {
        &self.steps[..usize::from(self.len)]
    }

    /// The tick at the bottom of the price range.
    pub fn base(&self) -> Price {
        self.base
    }

    /// The tick that holds at `price`.
    #[inline(always)]
    pub fn at(&self, price: Price) -> Price {
        self.steps().iter().rev().find(|&&(above, _)| price >= above).map_or(self.base, |&(_, tick)| tick)
    }

    /// The nearest valid price that is no more aggressive than `price`: down for a buy, up for a sell.
    pub fn round_passive(&self, price: Price, side: Side) -> Price {
        let tick = self.at(price).0;
        if tick <= 0 {
            return price;
        }
        let down = price.0.div_euclid(tick) * tick;
        match side {
            Side::Buy => Price(down),
            Side::Sell if down == price.0 => price,
            Side::Sell => Price(down.saturating_add(tick)),
        }
    }

    /// Whether `price` lies on the grid.
    #[inline(always)]
    pub fn is_valid(&self, price: Price) -> bool {
        let tick = self.at(price).0;
        tick <= 0 || price.0 % tick == 0
    }
}

impl FromIterator<(Price, Price)> for TickTable {
    /// The first pair's tick is the base; the others are steps.
    fn from_iter<I: IntoIterator<Item = (Price, Price)>>(pairs: I) -> Self {
        let pairs: ArrayVec<_, { TICK_STEPS_MAX + 1 }> = pairs.into_iter().take(TICK_STEPS_MAX + 1).collect();
        let Some((&(_, base), steps)) = pairs.split_first() else { return Self::default() };
        let mut table = Self::new(base);
        for &(above, tick) in steps {
            table.push(above, tick);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option_ticks() -> TickTable {
        let mut ticks = TickTable::new(Price(100_000));
        assert!(ticks.push(Price(5_000_000), Price(500_000)));
        ticks
    }

    #[test]
    fn the_step_holds_from_its_threshold_on() {
        let ticks = option_ticks();
        assert_eq!(ticks.at(Price(4_999_999)), Price(100_000));
        assert_eq!(ticks.at(Price(5_000_000)), Price(500_000));
    }

    #[test]
    fn rounding_is_never_more_aggressive() {
        let ticks = option_ticks();
        assert_eq!(ticks.round_passive(Price(5_300_000), Side::Buy), Price(5_000_000));
        assert_eq!(ticks.round_passive(Price(5_300_000), Side::Sell), Price(5_500_000));
        assert_eq!(ticks.round_passive(Price(5_500_000), Side::Sell), Price(5_500_000));
        assert!(ticks.is_valid(Price(5_500_000)) && !ticks.is_valid(Price(5_300_000)));
    }

    #[test]
    fn disordered_overfull_and_absurd_steps_are_refused() {
        let mut ticks = option_ticks();
        assert!(!ticks.push(Price(5_000_000), Price(1)));
        assert!(!ticks.push(Price(6_000_000), Price(0)));
        for i in 1..TICK_STEPS_MAX as i64 {
            assert!(ticks.push(Price(5_000_000 + i), Price(i)));
        }
        assert!(!ticks.push(Price(9_000_000), Price(7)));
        assert_eq!(TickTable::new(Price(0)).round_passive(Price(3), Side::Buy), Price(3));
    }
}
