//! The collar over time: what a book cost a while ago bounds what an order may cost today.
//!
//! The collar around the present book does not see a book that was led away step by step. A second one is laid around
//! the middle as it was between one and two windows ago: a mid is taken down each window, and the one before it is the
//! reference. Two words and a time an instrument; a tick costs a comparison, and a division by two once a window.

use crate::instrument::INSTRUMENTS_MAX;
use crate::units::{InstrumentId, Nanos, ONE_E9, Price};

/// One instrument's reference.
#[derive(Clone, Copy, Debug, Default)]
struct Reference {
    price: Price,
    next: Price,
    since: Nanos,
}

/// References by instrument.
#[derive(Clone, Debug)]
pub(super) struct DriftCollar {
    references: Box<[Reference]>,
    window_ns: u64,
    reach_e9: i64,
}

impl DriftCollar {
    /// Prices may lie up to `reach_e9` (1e-9 of the reference) away. Allocates all it will ever use.
    pub(super) fn new(window_ns: u64, reach_e9: i64) -> Self {
        Self { references: vec![Reference::default(); INSTRUMENTS_MAX].into_boxed_slice(), window_ns, reach_e9 }
    }

    /// Takes in a sound book.
    #[inline]
    pub(super) fn see(&mut self, instrument: InstrumentId, bid: Price, ask: Price, now: Nanos) {
        let Some(reference) = self.references.get_mut(instrument.index()) else { return };
        if reference.next.0 == 0 || now.since(reference.since) >= self.window_ns {
            let mid = Price(bid.0 / 2 + ask.0 / 2);
            reference.price = if reference.next.0 == 0 { mid } else { reference.next };
            reference.next = mid;
            reference.since = now;
        }
    }

    /// Whether a price lies within reach; not before any book was seen.
    #[inline]
    pub(super) fn admits(&self, instrument: InstrumentId, price: Price) -> bool {
        let reference = self.references.get(instrument.index()).map_or(0, |reference| reference.price.0);
        let away = i128::from(price.0.abs_diff(reference)) * i128::from(ONE_E9);
        reference > 0 && away <= i128::from(reference) * i128::from(self.reach_e9)
    }
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
