//! The collar over time: what a book cost a while ago bounds what an order may cost today.
//!
//! The collar around the present book does not see a book that was led away step by step. A second one is laid around
//! the middle as it was between one and two windows ago: a mid is taken down each window, and the one before it is the
//! reference. 32 bytes an instrument; a tick costs a comparison and once a window a division, an order two comparisons.

use crate::instrument::INSTRUMENTS_MAX;
use crate::table::table;
use crate::units::{InstrumentId, Nanos, ONE_E9, Price};

/// One instrument's reference.
#[derive(Clone, Copy, Debug)]
struct Reference {
    /// What a price may be: nothing before any book was seen.
    low: Price,
    high: Price,
    next: Price,
    since: Nanos,
}

const UNSEEN: Reference = Reference { low: Price(i64::MAX), high: Price(i64::MIN), next: Price::ZERO, since: Nanos(0) };

/// References by instrument.
#[derive(Clone, Debug)]
pub(super) struct DriftCollar {
    references: Box<[Reference; INSTRUMENTS_MAX]>,
    window_ns: u64,
    reach_e9: i64,
}

impl DriftCollar {
    /// Prices may lie up to `reach_e9` (1e-9 of the reference) away. Allocates all it will ever use.
    pub(super) fn new(window_ns: u64, reach_e9: i64) -> Self {
        Self { references: table(UNSEEN), window_ns, reach_e9 }
    }

    /// Takes in a sound book.
    #[inline]
    pub(super) fn see(&mut self, instrument: InstrumentId, bid: Price, ask: Price, now: Nanos) {
        let Some(reference) = self.references.get_mut(instrument.index()) else { return };
        if reference.next.0 == 0 || now.since(reference.since) >= self.window_ns {
            let mid = Price(bid.0 / 2 + ask.0 / 2);
            let price = if reference.next.0 == 0 { mid } else { reference.next };
            let reach = reach(price, self.reach_e9);
            reference.low = Price(price.0.saturating_sub(reach));
            reference.high = Price(price.0.saturating_add(reach));
            reference.next = mid;
            reference.since = now;
        }
    }

    /// Whether a price lies within reach; not before any book was seen.
    #[inline(always)]
    pub(super) fn admits(&self, instrument: InstrumentId, price: Price) -> bool {
        self.references.get(instrument.index()).is_some_and(|at| at.low <= price && price <= at.high)
    }
}

/// The largest distance from a price that is within so many billionths of it.
fn reach(price: Price, reach_e9: i64) -> i64 {
    let reach = (i128::from(price.0) * i128::from(reach_e9)).div_euclid(i128::from(ONE_E9));
    i64::try_from(reach).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: InstrumentId = InstrumentId(3);
    const WINDOW: u64 = 10;

    fn seen(collar: &mut DriftCollar, mid: i64, at: u64) {
        collar.see(BOOK, Price((mid - 1) * ONE_E9), Price((mid + 1) * ONE_E9), Nanos(at));
    }

    #[test]
    fn a_book_led_away_step_by_step_leaves_the_collar() {
        let mut collar = DriftCollar::new(WINDOW, ONE_E9 / 20);
        assert!(!collar.admits(BOOK, Price(100 * ONE_E9)), "nothing is known yet");
        for step in 0..10 {
            seen(&mut collar, 100 + step, 100 + step as u64);
        }
        assert!(collar.admits(BOOK, Price(105 * ONE_E9)) && collar.admits(BOOK, Price(95 * ONE_E9)));
        assert!(!collar.admits(BOOK, Price(106 * ONE_E9)) && !collar.admits(BOOK, Price(94 * ONE_E9)));
    }

    #[test]
    fn a_market_that_stays_where_it_went_is_followed_after_two_windows() {
        let mut collar = DriftCollar::new(WINDOW, ONE_E9 / 20);
        seen(&mut collar, 100, 100);
        for at in 101..=110 {
            seen(&mut collar, 150, at);
        }
        assert!(!collar.admits(BOOK, Price(150 * ONE_E9)), "one window on, the old price is the reference");
        seen(&mut collar, 150, 120);
        assert!(collar.admits(BOOK, Price(150 * ONE_E9)));
        assert!(!collar.admits(InstrumentId(u16::MAX), Price(1)));
    }
}
