//! What the venue calls an instrument, and what we do.
//!
//! Two tables: ours to theirs is an array, theirs to ours a fixed open-addressed map at most half full. A lookup probes at
//! most [`PROBES_MAX`] slots of two bytes.

use crate::instrument::INSTRUMENTS_MAX;
use crate::units::{InstrumentId, Lots, Quantity, UnderlyingId, VenueInstrumentId};

const SLOTS: usize = INSTRUMENTS_MAX * 2;
const PROBES_MAX: usize = 64;
const EMPTY: u16 = u16::MAX;

const _: () = assert!(SLOTS.is_power_of_two() && INSTRUMENTS_MAX < EMPTY as usize);

/// One instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) instrument: InstrumentId,
    pub(super) underlying: UnderlyingId,
    pub(super) venue: VenueInstrumentId,
    pub(super) lot: Quantity,
}

impl Listed {
    /// An amount in whole lots, at least one; `None` when it is not.
    #[inline]
    pub(super) fn fill_lots(&self, amount: Quantity) -> Option<u32> {
        self.lots(amount).filter(|lots| *lots > 0)
    }

    /// An amount in whole lots, none included; `None` when it is not.
    #[inline]
    pub(super) fn lots(&self, amount: Quantity) -> Option<u32> {
        match amount.to_lots(self.lot) {
            (Lots(lots), false) => u32::try_from(lots).ok(),
            _ => None,
        }
    }
}

/// Every instrument that may be traded.
#[derive(Debug)]
pub(super) struct Listing {
    by_id: Box<[Option<Listed>]>,
    by_venue: Box<[u16]>,
    /// Bit by underlying.
    underlyings: u16,
}

/// The instrument's number is beyond the table, or its slot beyond the probe bound, or its lot not positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Listing {
    pub(super) fn new() -> Self {
        Self {
            by_id: vec![None; INSTRUMENTS_MAX].into_boxed_slice(),
            by_venue: vec![EMPTY; SLOTS].into_boxed_slice(),
            underlyings: 0,
        }
    }

    /// Adds or redefines an instrument; under a new number of the venue's, its old one means nothing.
    pub(super) fn put(&mut self, listed: Listed) -> Result<(), Refused> {
        let bit = 1u16.checked_shl(u32::from(listed.underlying.0)).ok_or(Refused)?;
        let entry = self.by_id.get_mut(listed.instrument.index()).ok_or(Refused)?;
        if listed.lot.0 <= 0 {
            return Err(Refused);
        }
        let known = entry.is_some_and(|old| old.venue == listed.venue);
        if !known {
            let slot = probe(listed.venue).find(|slot| self.by_venue[*slot] == EMPTY).ok_or(Refused)?;
            self.by_venue[slot] = listed.instrument.0;
        }
        *entry = Some(listed);
        self.underlyings |= bit;
        Ok(())
    }

    #[inline]
    pub(super) fn find(&self, instrument: InstrumentId) -> Option<&Listed> {
        self.by_id.get(instrument.index())?.as_ref()
    }

    /// By the venue's number as the wire has it.
    #[inline]
    pub(super) fn find_venue(&self, number: i64) -> Option<&Listed> {
        let venue = VenueInstrumentId(u32::try_from(number).ok()?);
        probe(venue)
            .map(|slot| self.by_venue[slot])
            .take_while(|index| *index != EMPTY)
            .filter_map(|index| self.by_id[usize::from(index)].as_ref())
            .find(|listed| listed.venue == venue)
    }

    /// Every underlying that has an instrument here.
    pub(super) fn underlyings(&self) -> impl Iterator<Item = UnderlyingId> + use<> {
        let bits = self.underlyings;
        (0..u16::BITS as u8).filter(move |bit| bits >> bit & 1 == 1).map(UnderlyingId)
    }
}

/// The slots of a venue's number, in the order in which they are tried.
#[inline]
fn probe(venue: VenueInstrumentId) -> impl Iterator<Item = usize> {
    // Fibonacci hashing: the high bits of a product with 2^64/φ, which spreads consecutive numbers apart.
    let hash = u64::from(venue.0).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS.trailing_zeros());
    (0..PROBES_MAX).map(move |step| (hash as usize + step) & (SLOTS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(instrument: u16, venue: u32) -> Listed {
        Listed {
            instrument: InstrumentId(instrument),
            underlying: UnderlyingId((instrument % 3) as u8),
            venue: VenueInstrumentId(venue),
            lot: Quantity(10),
        }
    }

    #[test]
    fn a_full_table_finds_every_instrument_both_ways() {
        let mut listing = Listing::new();
        let venue = |i: u16| 100_000 + u32::from(i) * 7;
        for i in 0..INSTRUMENTS_MAX as u16 {
            assert_eq!(listing.put(listed(i, venue(i))), Ok(()), "{i}");
        }
        for i in 0..INSTRUMENTS_MAX as u16 {
            assert_eq!(listing.find(InstrumentId(i)).map(|l| l.venue.0), Some(venue(i)));
            assert_eq!(listing.find_venue(i64::from(venue(i))).map(|l| l.instrument.0), Some(i));
        }
        assert_eq!(listing.find_venue(1), None);
        assert_eq!(listing.find_venue(-1), None);
        assert_eq!(listing.find_venue(i64::from(venue(0)) + (1 << 32)), None);
        assert_eq!(listing.underlyings().map(|u| u.0).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut listing = Listing::new();
        assert_eq!(listing.put(listed(INSTRUMENTS_MAX as u16, 1)), Err(Refused));
        assert_eq!(listing.put(Listed { lot: Quantity(0), ..listed(1, 1) }), Err(Refused));
        assert_eq!(listing.put(Listed { underlying: UnderlyingId(16), ..listed(1, 1) }), Err(Refused));
        assert_eq!(listing.find(InstrumentId(1)), None);
    }

    #[test]
    fn a_new_lot_replaces_the_old() {
        let mut listing = Listing::new();
        assert_eq!(listing.put(listed(1, 9)), Ok(()));
        assert_eq!(listing.put(Listed { lot: Quantity(5), ..listed(1, 9) }), Ok(()));
        assert_eq!(listing.find_venue(9).map(|l| l.lot), Some(Quantity(5)));
    }

    #[test]
    fn part_of_a_lot_is_no_lot() {
        let l = listed(1, 9);
        assert_eq!(l.fill_lots(Quantity(30)), Some(3));
        assert_eq!(l.fill_lots(Quantity(35)), None);
        assert_eq!(l.fill_lots(Quantity(0)), None);
        assert_eq!(l.lots(Quantity(0)), Some(0));
        assert_eq!(l.lots(Quantity(-10)), None);
        assert_eq!(l.lots(Quantity(i64::MAX / 10 * 10)), None);
    }
}
