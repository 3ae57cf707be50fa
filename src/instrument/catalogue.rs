//! The table of instruments and underlyings that a stage keeps.

use super::{Instrument, InstrumentState, TickTable};
use crate::event::Body;
use crate::units::{InstrumentId, Price, Quantity, UnderlyingId};

/// Instruments a catalogue holds at most.
pub const INSTRUMENTS_MAX: usize = 4_096;
/// Underlyings a catalogue holds at most.
pub const UNDERLYINGS_MAX: usize = 16;

/// An underlying's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Underlying {
    name: [u8; 16],
}

impl Underlying {
    /// From the bytes of an event: ASCII, padded with zeros.
    pub fn new(name: [u8; 16]) -> Self {
        Self { name }
    }

    /// The name, up to the first byte that is zero or not ASCII graphic.
    pub fn name(&self) -> &str {
        let len = self.name.iter().position(|b| !b.is_ascii_graphic()).unwrap_or(self.name.len());
        std::str::from_utf8(&self.name[..len]).unwrap_or_default()
    }
}

/// Longest name of an instrument that an event carries, bytes.
pub const SYMBOL_BYTES_MAX: usize = 28;

/// An instrument's name as the venue writes it: ASCII, padded with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol([u8; SYMBOL_BYTES_MAX]);

impl Symbol {
    /// `None` when it is empty, longer than [`SYMBOL_BYTES_MAX`], or holds anything but printable ASCII without spaces.
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; SYMBOL_BYTES_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(Self(bytes))
    }

    /// The name without its padding.
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(SYMBOL_BYTES_MAX);
        &self.0[..len]
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// Why a listing event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An index beyond the table, or one that skips ahead.
    OutOfOrder,
    /// Terms, steps or state of an instrument that was never listed.
    Unlisted,
    /// A tick step that the table cannot take.
    BadTick,
}

/// All instruments seen so far, by dense index. Memory is taken once, at construction.
#[derive(Debug)]
pub struct Catalogue {
    instruments: Vec<Instrument>,
    symbols: Box<[Symbol]>,
    underlyings: [Underlying; UNDERLYINGS_MAX],
    underlyings_len: usize,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalogue {
    /// An empty catalogue with room for [`INSTRUMENTS_MAX`] instruments.
    pub fn new() -> Self {
        Self::with_capacity(INSTRUMENTS_MAX)
    }

    /// An empty catalogue with room for so many instruments.
    pub fn with_capacity(instruments: usize) -> Self {
        Self {
            instruments: Vec::with_capacity(instruments),
            symbols: vec![Symbol::default(); instruments].into_boxed_slice(),
            underlyings: Default::default(),
            underlyings_len: 0,
        }
    }

    /// Applies a reference-data event. `Ok(false)` when `body` is of another kind.
    pub fn apply(&mut self, body: &Body) -> Result<bool, Refused> {
        match *body {
            Body::Underlying { id, name } => {
                if id.index() > self.underlyings_len || id.index() >= UNDERLYINGS_MAX {
                    return Err(Refused::OutOfOrder);
                }
                self.underlyings[id.index()] = Underlying::new(name);
                self.underlyings_len = self.underlyings_len.max(id.index() + 1);
            }
            Body::Listed { instrument, underlying, kind, payoff, option, expiry_s, strike, lot, venue } => {
                if underlying.index() >= self.underlyings_len {
                    return Err(Refused::OutOfOrder);
                }
                let state = self.find(instrument).map_or(InstrumentState::default(), |i| i.state);
                self.put(Instrument {
                    id: instrument,
                    venue,
                    underlying,
                    kind,
                    payoff,
                    option,
                    expiry_s,
                    strike,
                    lot,
                    contract: Quantity::default(),
                    maker_fee_e9: 0,
                    taker_fee_e9: 0,
                    ticks: TickTable::new(Price(0)),
                    state,
                })?;
            }
            Body::Terms { instrument, tick, contract, maker_fee_e9, taker_fee_e9 } => {
                let entry = self.instruments.get_mut(instrument.index()).ok_or(Refused::Unlisted)?;
                entry.ticks = TickTable::new(tick);
                entry.contract = contract;
                entry.maker_fee_e9 = maker_fee_e9;
                entry.taker_fee_e9 = taker_fee_e9;
            }
            Body::TickStep { instrument, above, tick } => {
                let entry = self.instruments.get_mut(instrument.index()).ok_or(Refused::Unlisted)?;
                if !entry.ticks.push(above, tick) {
                    return Err(Refused::BadTick);
                }
            }
            Body::Named { instrument, symbol } => {
                self.find(instrument).ok_or(Refused::Unlisted)?;
                self.symbols[instrument.index()] = symbol;
            }
            Body::Status { instrument, state } => {
                self.instruments.get_mut(instrument.index()).ok_or(Refused::Unlisted)?.state = state;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Enters an instrument at its own index: the next free one, or one already taken, which it replaces.
    pub fn put(&mut self, instrument: Instrument) -> Result<(), Refused> {
        let index = instrument.id.index();
        if index < self.instruments.len() {
            self.instruments[index] = instrument;
        } else if index == self.instruments.len() && index < self.symbols.len() {
            self.instruments.push(instrument);
        } else {
            return Err(Refused::OutOfOrder);
        }
        Ok(())
    }

    /// The instrument with this index, if listed.
    pub fn find(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(id.index())
    }

    /// What the venue calls an instrument; empty until it is told.
    pub fn symbol(&self, id: InstrumentId) -> Symbol {
        self.symbols.get(id.index()).copied().unwrap_or_default()
    }

    /// Every instrument, in index order.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// Every underlying, in index order.
    pub fn underlyings(&self) -> impl ExactSizeIterator<Item = (UnderlyingId, &Underlying)> {
        self.underlyings[..self.underlyings_len].iter().enumerate().map(|(i, u)| (UnderlyingId(i as u8), u))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_printable_ascii_of_bounded_length() {
        let symbol = Symbol::new(b"BTC_USDC-27JUN25-100000-C").expect("a name of the venue");
        assert_eq!(symbol.as_str(), "BTC_USDC-27JUN25-100000-C");
        assert_eq!(Symbol::new(&[b'x'; SYMBOL_BYTES_MAX]).map(|s| s.as_bytes().len()), Some(SYMBOL_BYTES_MAX));
        for bad in [&b""[..], &[b'x'; SYMBOL_BYTES_MAX + 1], b"a b", b"a\x01b", b"\xc3\xa9"] {
            assert_eq!(Symbol::new(bad), None);
        }
        assert_eq!(Symbol::default().as_str(), "");
    }
}
