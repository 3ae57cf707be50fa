//! The spot of an underlying: the mid of its perpetual's book while that is good, else the index.
//!
//! Both calibration and the greeks measure forwards against this one spot, so it is defined once. A perpetual's book is
//! judged by `feed`; the index, which has no book, by its age. When the source changes, spot jumps by the basis.

use crate::event::Body;
use crate::instrument::{BookQuality, InstrumentKind, UNDERLYINGS_MAX};
use crate::units::{Nanos, Price, UnderlyingId};

/// What is known about one underlying's spot.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    book: BookQuality,
    mid: Price,
    index: Price,
    index_time: Nanos,
}

/// The spot of every underlying.
#[derive(Clone, Debug)]
pub(crate) struct Spots {
    spots: [Spot; UNDERLYINGS_MAX],
    /// Perpetuals side by side, so that finding one is a single comparison of vectors.
    perpetuals: [u16; UNDERLYINGS_MAX],
}

/// No instrument.
const NONE: u16 = u16::MAX;

impl Default for Spots {
    fn default() -> Self {
        Self { spots: Default::default(), perpetuals: [NONE; UNDERLYINGS_MAX] }
    }
}

impl Spots {
    /// Takes in a listing, a top or an index. Returns the underlying whose spot may have changed.
    pub(crate) fn apply(&mut self, body: &Body, time: Nanos) -> Option<UnderlyingId> {
        match *body {
            Body::Listed { instrument, underlying, kind: InstrumentKind::Perpetual, .. } => {
                let perpetual = self.perpetuals.get_mut(underlying.index())?;
                if *perpetual == NONE {
                    *perpetual = instrument.0;
                }
                None
            }
            Body::Top { instrument, quality, bid, ask, bid_lots, ask_lots } => {
                let found = self
                    .perpetuals
                    .iter()
                    .zip(0..)
                    .fold(0_u32, |found, (&perpetual, at)| found | u32::from(perpetual == instrument.0) << at);
                if found == 0 || instrument.0 == NONE {
                    return None;
                }
                let at = found.trailing_zeros() as usize;
                let spot = &mut self.spots[at];
                spot.book = quality;
                match mid(bid, ask, bid_lots, ask_lots) {
                    Some(mid) if quality == BookQuality::Good => spot.mid = mid,
                    // A good book with an empty side has no mid to go by.
                    _ => spot.book = spot.book.max(BookQuality::Crossed),
                }
                Some(UnderlyingId(at as u8))
            }
            Body::Index { underlying, price } => {
                let spot = self.spots.get_mut(underlying.index())?;
                if price.0 <= 0 {
                    return None;
                }
                (spot.index, spot.index_time) = (price, time);
                Some(underlying)
            }
            _ => None,
        }
    }

    /// The spot and how far it can be trusted. Without any source, a zero price of unknown quality.
    pub(crate) fn spot(&self, underlying: UnderlyingId, now: Nanos, index_age_max_ns: u64) -> (Price, BookQuality) {
        let Some(spot) = self.spots.get(underlying.index()) else { return (Price::ZERO, BookQuality::Unknown) };
        if spot.book == BookQuality::Good {
            return (spot.mid, BookQuality::Good);
        }
        let index_is_fresh = now.since(spot.index_time) <= index_age_max_ns;
        match (spot.index.0 > 0, spot.mid.0 > 0) {
            (true, _) if index_is_fresh => (spot.index, BookQuality::Good),
            (true, _) => (spot.index, BookQuality::Stale),
            (false, true) => (spot.mid, spot.book),
            (false, false) => (Price::ZERO, BookQuality::Unknown),
        }
    }
}

/// Mid of a whole, uncrossed book; `None` when a side is empty or the sides cross.
pub(crate) fn mid(bid: Price, ask: Price, bid_lots: u32, ask_lots: u32) -> Option<Price> {
    let whole = bid.0 > 0 && ask > bid && bid_lots > 0 && ask_lots > 0;
    whole.then(|| Price(bid.0 + (ask.0 - bid.0) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::Payoff;
    use crate::units::{InstrumentId, ONE_E9, Quantity, VenueInstrumentId};

    const U: UnderlyingId = UnderlyingId(3);

    fn top(quality: BookQuality, bid: i64, ask: i64) -> Body {
        let (bid, ask) = (Price(bid * ONE_E9), Price(ask * ONE_E9));
        Body::Top { instrument: InstrumentId(7), quality, bid, ask, bid_lots: 1, ask_lots: u32::from(ask.0 > 0) }
    }

    fn with_perpetual() -> Spots {
        let mut spots = Spots::default();
        let listed = Body::Listed {
            instrument: InstrumentId(7),
            underlying: U,
            kind: InstrumentKind::Perpetual,
            payoff: Payoff::Inverse,
            option: None,
            expiry_s: 0,
            strike: Price::ZERO,
            lot: Quantity(10 * ONE_E9),
            venue: VenueInstrumentId(1),
        };
        assert_eq!(spots.apply(&listed, Nanos(0)), None);
        spots
    }

    #[test]
    fn a_good_perpetual_comes_first_then_a_fresh_index() {
        let mut spots = with_perpetual();
        assert_eq!(spots.spot(U, Nanos(0), 10), (Price::ZERO, BookQuality::Unknown));
        assert_eq!(spots.apply(&Body::Index { underlying: U, price: Price(99) }, Nanos(5)), Some(U));
        assert_eq!(spots.spot(U, Nanos(15), 10), (Price(99), BookQuality::Good));
        assert_eq!(spots.apply(&top(BookQuality::Good, 100, 102), Nanos(6)), Some(U));
        assert_eq!(spots.spot(U, Nanos(100), 10), (Price(101 * ONE_E9), BookQuality::Good));
        spots.apply(&top(BookQuality::Gapped, 100, 120), Nanos(7));
        assert_eq!(spots.spot(U, Nanos(15), 10), (Price(99), BookQuality::Good));
        assert_eq!(spots.spot(U, Nanos(16), 10), (Price(99), BookQuality::Stale));
    }

    #[test]
    fn a_crossed_or_one_sided_book_is_no_spot() {
        let mut spots = with_perpetual();
        spots.apply(&top(BookQuality::Good, 100, 102), Nanos(0));
        spots.apply(&top(BookQuality::Good, 103, 102), Nanos(0));
        assert_eq!(spots.spot(U, Nanos(0), 10), (Price(101 * ONE_E9), BookQuality::Crossed));
        spots.apply(&top(BookQuality::Good, 103, 0), Nanos(0));
        assert_eq!(spots.spot(U, Nanos(0), 10), (Price(101 * ONE_E9), BookQuality::Crossed));
    }

    #[test]
    fn absurd_indices_and_strangers_are_ignored() {
        let mut spots = with_perpetual();
        assert_eq!(spots.apply(&Body::Index { underlying: U, price: Price(-1) }, Nanos(0)), None);
        assert_eq!(spots.apply(&Body::Index { underlying: UnderlyingId(200), price: Price(1) }, Nanos(0)), None);
        assert_eq!(spots.spot(UnderlyingId(200), Nanos(0), 0), (Price::ZERO, BookQuality::Unknown));
    }
}
