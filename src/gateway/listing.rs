//! What the venue calls an instrument, and what we do.
//!
//! Ours to theirs is an array; theirs to ours, by number and by name, are fixed open-addressed maps at most half full. A
//! lookup probes at most [`PROBES_MAX`] slots of two bytes.

use crate::instrument::{INSTRUMENTS_MAX, Symbol, UNDERLYINGS_MAX};
use crate::units::{InstrumentId, Lots, ONE_E9, Quantity, UnderlyingId, VenueInstrumentId};

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
    /// One lot in contracts; zero where contracts are not known, or a lot is not a decimal number of them.
    pub(super) lot_contracts: Quantity,
    /// Empty where it is not known.
    pub(super) symbol: Symbol,
}

impl Listed {
    pub(super) fn new(
        instrument: InstrumentId,
        underlying: UnderlyingId,
        venue: VenueInstrumentId,
        lot: Quantity,
        contract: Quantity,
        symbol: Symbol,
    ) -> Self {
        let nano_lots = i128::from(lot.0) * i128::from(ONE_E9);
        let exact = contract.0 > 0 && nano_lots % i128::from(contract.0) == 0;
        let contracts = if exact { i64::try_from(nano_lots / i128::from(contract.0)).unwrap_or(0) } else { 0 };
        Self { instrument, underlying, venue, lot, lot_contracts: Quantity(contracts), symbol }
    }

    /// A number of contracts in whole lots, none included; `None` when it is not.
    #[inline]
    pub(super) fn lots_of_contracts(&self, contracts: Quantity) -> Option<u32> {
        match contracts.to_lots(self.lot_contracts) {
            (Lots(lots), false) => u32::try_from(lots).ok(),
            _ => None,
        }
    }

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
    by_symbol: Box<[u16]>,
    /// Bit by underlying.
    underlyings: u16,
    /// An instrument's name, by underlying.
    symbols: [Symbol; UNDERLYINGS_MAX],
}

/// The instrument's number is beyond the table, or its slot beyond the probe bound, or its lot not positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Listing {
    pub(super) fn new() -> Self {
        Self {
            by_id: vec![None; INSTRUMENTS_MAX].into_boxed_slice(),
            by_venue: vec![EMPTY; SLOTS].into_boxed_slice(),
            by_symbol: vec![EMPTY; SLOTS].into_boxed_slice(),
            underlyings: 0,
            symbols: [Symbol::default(); UNDERLYINGS_MAX],
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
            let slot = probe(listed.venue.into()).find(|slot| self.by_venue[*slot] == EMPTY).ok_or(Refused)?;
            self.by_venue[slot] = listed.instrument.0;
        }
        let named = entry.is_some_and(|old| old.symbol == listed.symbol);
        if !named && listed.symbol != Symbol::default() {
            let mut slots = probe(Key::of(listed.symbol.as_bytes()));
            let slot = slots.find(|slot| self.by_symbol[*slot] == EMPTY).ok_or(Refused)?;
            self.by_symbol[slot] = listed.instrument.0;
        }
        *entry = Some(listed);
        self.underlyings |= bit;
        if listed.symbol != Symbol::default()
            && let Some(symbol) = self.symbols.get_mut(listed.underlying.index())
        {
            *symbol = listed.symbol;
        }
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
        probe(venue.into())
            .map(|slot| self.by_venue[slot])
            .take_while(|index| *index != EMPTY)
            .filter_map(|index| self.by_id[usize::from(index)].as_ref())
            .find(|listed| listed.venue == venue)
    }

    /// By the venue's name.
    #[inline]
    pub(super) fn find_symbol(&self, symbol: &[u8]) -> Option<&Listed> {
        probe(Key::of(symbol))
            .map(|slot| self.by_symbol[slot])
            .take_while(|index| *index != EMPTY)
            .filter_map(|index| self.by_id[usize::from(index)].as_ref())
            .find(|listed| listed.symbol.as_bytes() == symbol)
    }

    /// The name of one of an underlying's instruments; empty where none is known.
    pub(super) fn symbol_of(&self, underlying: UnderlyingId) -> &[u8] {
        self.symbols.get(underlying.index()).map_or(&[], Symbol::as_bytes)
    }

    /// Every underlying that has an instrument here.
    pub(super) fn underlyings(&self) -> impl Iterator<Item = UnderlyingId> + use<> {
        let bits = self.underlyings;
        (0..u16::BITS as u8).filter(move |bit| bits >> bit & 1 == 1).map(UnderlyingId)
    }
}

/// What an instrument is looked up by.
#[derive(Clone, Copy)]
struct Key(u64);

impl Key {
    /// Of a name: its words folded into one.
    #[inline]
    fn of(symbol: &[u8]) -> Self {
        let word = |bytes: &[u8]| bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        Self(symbol.chunks(8).fold(0, |key, bytes| (key ^ word(bytes)).wrapping_mul(MULTIPLIER).rotate_left(29)))
    }
}

impl From<VenueInstrumentId> for Key {
    fn from(venue: VenueInstrumentId) -> Self {
        Self(u64::from(venue.0))
    }
}

/// 2^64/φ: a product with it spreads consecutive numbers apart (Fibonacci hashing).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The slots of a key, in the order in which they are tried.
#[inline]
fn probe(key: Key) -> impl Iterator<Item = usize> {
    let hash = key.0.wrapping_mul(MULTIPLIER) >> (u64::BITS - SLOTS.trailing_zeros());
    (0..PROBES_MAX).map(move |step| (hash as usize + step) & (SLOTS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(instrument: u16, venue: u32) -> Listed {
        let symbol = Symbol::new(format!("BTC-27JUN25-{venue}-C").as_bytes()).expect("it fits");
        let underlying = UnderlyingId((instrument % 3) as u8);
        let (lot, contract) = (Quantity(10), Quantity(100));
        Listed::new(InstrumentId(instrument), underlying, VenueInstrumentId(venue), lot, contract, symbol)
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
            let symbol = listed(i, venue(i)).symbol;
            assert_eq!(listing.find_symbol(symbol.as_bytes()).map(|l| l.instrument.0), Some(i));
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
    fn lots_are_counted_in_contracts_where_they_come_out_even() {
        let l = listed(1, 9);
        assert_eq!(l.lot_contracts, Quantity(ONE_E9 / 10));
        assert_eq!(l.lots_of_contracts(Quantity(ONE_E9)), Some(10));
        assert_eq!(l.lots_of_contracts(Quantity(ONE_E9 / 20)), None);
        let odd =
            |contract| Listed::new(l.instrument, l.underlying, l.venue, Quantity(10), Quantity(contract), l.symbol);
        assert_eq!((odd(0).lot_contracts, odd(7).lot_contracts), (Quantity(0), Quantity(0)));
        assert_eq!(odd(0).lots_of_contracts(Quantity(ONE_E9)), None);
    }

    #[test]
    fn a_name_that_comes_later_is_found() {
        let mut listing = Listing::new();
        let named = listed(1, 9);
        assert_eq!(listing.put(Listed { symbol: Symbol::default(), ..named }), Ok(()));
        assert_eq!(listing.find_symbol(named.symbol.as_bytes()), None);
        assert_eq!(listing.put(named), Ok(()));
        assert_eq!(listing.find_symbol(named.symbol.as_bytes()), Some(&named));
        assert_eq!(listing.find_symbol(b""), None);
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
