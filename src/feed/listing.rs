//! Definitions of instruments: checked, numbered, and kept.
//!
//! A definition enters as a protocol read it; what leaves is a dense index and whether anything about it changed. Venues
//! repeat definitions every round, so most change nothing. One that makes no sense is refused whole, for a reason:
//! nothing of it is kept. Costs a few dozen comparisons; a new name costs a scan of all of them only where two names share
//! their hash.
//!
//! A dense index means one contract for ever. When the venue gives a number to another contract (after a restart), the
//! number is redirected to another index; when it gives a known contract another number, the index stays.

use arrayvec::ArrayVec;

use super::arbiter::hash;
use super::directory::Directory;
use crate::event::Body;
use crate::instrument::{Catalogue, Instrument, InstrumentKind, InstrumentState, UNDERLYINGS_MAX};
use crate::units::{InstrumentId, UnderlyingId, VenueInstrumentId};
use crate::wire::deribit_multicast::text;

/// Longest name of an instrument, bytes.
pub const NAME_BYTES_MAX: usize = 48;

/// Why a definition was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    /// A kind of contract, payoff or option not known here.
    #[error("kind of contract unknown")]
    Kind,
    /// Empty, too long, or not text.
    #[error("name unusable")]
    Name,
    /// No base or counter currency, or names too long.
    #[error("currency unusable")]
    Currency,
    /// A number beyond what is carried here.
    #[error("instrument number unusable")]
    Number,
    /// An option without a positive strike.
    #[error("strike unusable")]
    Strike,
    /// An option without an end, or an end beyond range.
    #[error("expiry unusable")]
    Expiry,
    /// A lot that is not positive.
    #[error("lot unusable")]
    Lot,
    /// A price step that is not positive.
    #[error("tick unusable")]
    Tick,
    /// A contract size that is not positive.
    #[error("contract size unusable")]
    Contract,
    /// A fee that is not a fraction.
    #[error("fee unusable")]
    Fee,
    /// A table is full: instruments, underlyings or book levels.
    #[error("no room for more")]
    Room,
}

impl Refusal {
    /// Every reason, in the order of their discriminants: `ALL[r as usize] == r`.
    pub const ALL: [Self; 11] = [
        Self::Kind,
        Self::Name,
        Self::Currency,
        Self::Number,
        Self::Strike,
        Self::Expiry,
        Self::Lot,
        Self::Tick,
        Self::Contract,
        Self::Fee,
        Self::Room,
    ];
}

/// A definition, read from whatever the venue sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::feed) struct Definition<'a> {
    /// The venue's number.
    pub(in crate::feed) venue: u32,
    /// Its name, unchecked.
    pub(in crate::feed) name: &'a [u8],
    /// `BASE_COUNTER`, such as `BTC_USD` or `BTC_USDC`.
    pub(in crate::feed) underlying: [u8; 16],
    /// Everything else; its index and that of its underlying are given when it is taken.
    pub(in crate::feed) instrument: Instrument,
    /// Whether it speaks of tick steps; one that does not leaves known ones in place.
    pub(in crate::feed) has_steps: bool,
    /// Tick steps that the table did not take.
    pub(in crate::feed) steps_refused: u32,
    /// Its trading state, if that has a meaning.
    pub(in crate::feed) state: Option<InstrumentState>,
}

/// What came of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::feed) struct Taken {
    pub(in crate::feed) id: InstrumentId,
    /// It differs from what was known.
    pub(in crate::feed) is_changed: bool,
    /// The index that this venue number meant until now, when it is another contract's.
    pub(in crate::feed) displaced: Option<InstrumentId>,
}

type Name = ArrayVec<u8, NAME_BYTES_MAX>;

/// Everything listed.
#[derive(Debug)]
pub(in crate::feed) struct Listings {
    directory: Directory,
    catalogue: Catalogue,
    names: Box<[Name]>,
    /// Hashes of names to indices, as far as they differ.
    by_name: Directory,
    /// Whether a name is missing there.
    has_strays: bool,
    /// Names of the underlyings' indices as the wire has them, such as `btc_usd`.
    indices: ArrayVec<[u8; 16], UNDERLYINGS_MAX>,
}

impl Listings {
    /// Room for so many instruments.
    pub(in crate::feed) fn new(instruments: usize) -> Self {
        Self {
            directory: Directory::new(instruments),
            catalogue: Catalogue::with_capacity(instruments),
            names: vec![Name::new(); instruments].into_boxed_slice(),
            by_name: Directory::new(instruments),
            has_strays: false,
            indices: ArrayVec::new(),
        }
    }

    pub(in crate::feed) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The instrument behind a venue number.
    #[inline]
    pub(in crate::feed) fn find(&self, venue: u32) -> Option<InstrumentId> {
        self.directory.find(venue).map(InstrumentId)
    }

    /// The name of a listed instrument.
    pub(in crate::feed) fn name(&self, id: InstrumentId) -> Option<&str> {
        let name = self.names.get(id.index()).filter(|_| id.index() < self.catalogue.instruments().len())?;
        Some(text(name))
    }

    /// The instrument of this name.
    pub(in crate::feed) fn find_name(&self, name: &str) -> Option<InstrumentId> {
        let is_it = |index: &u16| self.names[usize::from(*index)].as_slice() == name.as_bytes();
        let found = self.by_name.find(hash(name.as_bytes())).filter(is_it);
        let scan = || (0..self.catalogue.instruments().len() as u16).find(is_it);
        found.or_else(|| if self.has_strays { scan() } else { None }).map(InstrumentId)
    }

    /// Enters the name of a new instrument.
    fn enter_name(&mut self, id: InstrumentId, name: Name) {
        let hash = hash(&name);
        self.has_strays |= self.by_name.find(hash).is_some() || !self.by_name.insert(hash, id.0);
        self.names[id.index()] = name;
    }

    /// The underlying whose index has this name.
    #[inline]
    pub(in crate::feed) fn find_index(&self, name: &[u8; 16]) -> Option<UnderlyingId> {
        self.indices.iter().position(|index| index == name).map(|index| UnderlyingId(index as u8))
    }

    /// Notes a trading state. True when it is another than before.
    pub(in crate::feed) fn set_state(&mut self, id: InstrumentId, state: InstrumentState) -> bool {
        let Some(&instrument) = self.catalogue.find(id) else { return false };
        instrument.state != state && self.catalogue.put(Instrument { state, ..instrument }).is_ok()
    }

    /// Takes a definition. `open_book` is asked last, for an instrument that is new; when it declines, nothing is kept.
    pub(in crate::feed) fn take(
        &mut self,
        definition: &Definition<'_>,
        open_book: impl FnOnce(InstrumentId, InstrumentKind) -> bool,
    ) -> Result<Taken, Refusal> {
        let name = usable_name(definition.name)?;
        let numbered = self.find(definition.venue);
        let known = numbered.filter(|id| self.names[id.index()] == name).or_else(|| self.find_name(text(&name)));
        let id = known.unwrap_or(InstrumentId(self.catalogue.instruments().len() as u16));
        let before = known.and_then(|id| self.catalogue.find(id)).copied();

        let underlying = self.underlying_or_next(&definition.underlying)?;
        let mut instrument =
            Instrument { id, venue: VenueInstrumentId(definition.venue), underlying, ..definition.instrument };
        if let Some(before) = before
            && !definition.has_steps
            && before.ticks.base() == instrument.ticks.base()
        {
            instrument.ticks = before.ticks;
        }
        let is_changed = before.is_none_or(|before| Instrument { state: before.state, ..instrument } != before);
        if is_changed {
            if id.index() >= self.names.len() || (known.is_none() && !open_book(id, instrument.kind)) {
                return Err(Refusal::Room);
            }
            if numbered != Some(id) && !self.directory.insert(definition.venue, id.0) {
                return Err(Refusal::Room);
            }
            self.enter_underlying(instrument.underlying, definition.underlying);
            if known.is_none() {
                self.enter_name(id, name);
            }
            let state = before.map_or(instrument.state, |before| before.state);
            self.catalogue.put(Instrument { state, ..instrument }).map_err(|_| Refusal::Room)?;
        }
        let displaced = numbered.filter(|&numbered| numbered != id);
        Ok(Taken { id, is_changed, displaced })
    }

    /// The underlying of this name: a known one, or the next index.
    fn underlying_or_next(&self, name: &[u8; 16]) -> Result<UnderlyingId, Refusal> {
        let known = self.catalogue.underlyings().find(|(_, underlying)| underlying.name() == text(name));
        match known {
            Some((id, _)) => Ok(id),
            None if self.indices.len() < UNDERLYINGS_MAX => Ok(UnderlyingId(self.indices.len() as u8)),
            None => Err(Refusal::Room),
        }
    }

    fn enter_underlying(&mut self, id: UnderlyingId, name: [u8; 16]) {
        if id.index() == self.indices.len() {
            let entered = self.catalogue.apply(&Body::Underlying { id, name });
            debug_assert_eq!(entered, Ok(true));
            let _ = self.indices.try_push(name.map(|byte| byte.to_ascii_lowercase()));
        }
    }
}

fn usable_name(name: &[u8]) -> Result<Name, Refusal> {
    let usable = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    Name::try_from(name).ok().filter(|_| usable).ok_or(Refusal::Name)
}
