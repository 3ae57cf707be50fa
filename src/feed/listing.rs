//! Definitions of instruments: checked, numbered, and kept.
//!
//! A definition enters as the wire has it; what leaves is a dense index and whether anything about it changed. The venue
//! sends each definition twice (with and without tick steps) and repeats both every round, so most change nothing. A
//! definition that makes no sense is refused whole, for a reason: nothing of it is kept. Costs a few dozen comparisons
//! when known, a scan of all names when new; bounded by [`INSTRUMENTS_MAX`].
//!
//! A dense index means one contract for ever. When the venue gives a number to another contract (after a restart), the
//! number is redirected to another index; when it gives a known contract another number, the index stays.

use arrayvec::ArrayVec;

use super::directory::Directory;
use crate::event::Body;
use crate::instrument::{
    Catalogue, INSTRUMENTS_MAX, Instrument, InstrumentKind, InstrumentState, OptionKind, Payoff, TickTable,
    UNDERLYINGS_MAX,
};
use crate::units::{InstrumentId, Price, Quantity, UnderlyingId, VenueInstrumentId};
use crate::wire::deribit_multicast::{Group, Kind, OptionType, State, Terms, TickStep, Type, text};

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
    pub const ALL: [Self; 10] = [
        Self::Kind,
        Self::Name,
        Self::Currency,
        Self::Strike,
        Self::Expiry,
        Self::Lot,
        Self::Tick,
        Self::Contract,
        Self::Fee,
        Self::Room,
    ];
}

/// What both versions of a definition say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition<'a> {
    pub(super) venue: u32,
    pub(super) state: u8,
    pub(super) kind: u8,
    pub(super) instrument_type: u8,
    pub(super) option_type: u8,
    pub(super) terms: &'a Terms,
    /// `None` for the version that has none.
    pub(super) tick_steps: Option<Group<'a, TickStep>>,
    pub(super) name: &'a [u8],
}

/// What came of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) id: InstrumentId,
    /// It had no index before.
    pub(super) is_new: bool,
    /// It differs from what was known.
    pub(super) is_changed: bool,
    /// The index that this venue number meant until now, when it is another contract's.
    pub(super) displaced: Option<InstrumentId>,
    /// Tick steps that were passed over.
    pub(super) steps_refused: u32,
}

type Name = ArrayVec<u8, NAME_BYTES_MAX>;

/// Everything listed.
#[derive(Debug)]
pub(super) struct Listings {
    directory: Directory,
    catalogue: Catalogue,
    names: Box<[Name]>,
    /// Names of the underlyings' indices as the wire has them, such as `btc_usd`.
    indices: ArrayVec<[u8; 16], UNDERLYINGS_MAX>,
}

impl Listings {
    pub(super) fn new() -> Self {
        Self {
            directory: Directory::new(INSTRUMENTS_MAX),
            catalogue: Catalogue::new(),
            names: vec![Name::new(); INSTRUMENTS_MAX].into_boxed_slice(),
            indices: ArrayVec::new(),
        }
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The instrument behind a venue number.
    #[inline]
    pub(super) fn find(&self, venue: u32) -> Option<InstrumentId> {
        self.directory.find(venue).map(InstrumentId)
    }

    /// The name of a listed instrument.
    pub(super) fn name(&self, id: InstrumentId) -> Option<&str> {
        let name = self.names.get(id.index()).filter(|_| id.index() < self.catalogue.instruments().len())?;
        Some(text(name))
    }

    /// The instrument of this name.
    pub(super) fn find_name(&self, name: &str) -> Option<InstrumentId> {
        let listed = &self.names[..self.catalogue.instruments().len()];
        listed.iter().position(|n| n.as_slice() == name.as_bytes()).map(|index| InstrumentId(index as u16))
    }

    /// The underlying whose index has this name.
    #[inline]
    pub(super) fn find_index(&self, name: &[u8; 16]) -> Option<UnderlyingId> {
        self.indices.iter().position(|index| index == name).map(|index| UnderlyingId(index as u8))
    }

    /// Notes a trading state. True when it is another than before.
    pub(super) fn set_state(&mut self, id: InstrumentId, state: InstrumentState) -> bool {
        let Some(&instrument) = self.catalogue.find(id) else { return false };
        instrument.state != state && self.catalogue.put(Instrument { state, ..instrument }).is_ok()
    }

    /// Takes a definition. `open_book` is asked last, for an instrument that is new; when it declines, nothing is kept.
    pub(super) fn take(
        &mut self,
        definition: &Definition<'_>,
        open_book: impl FnOnce(InstrumentId, InstrumentKind) -> bool,
    ) -> Result<Taken, Refusal> {
        let name = usable_name(definition.name)?;
        let numbered = self.find(definition.venue);
        let known = numbered.filter(|id| self.names[id.index()] == name).or_else(|| self.find_name(text(&name)));
        let id = known.unwrap_or(InstrumentId(self.catalogue.instruments().len() as u16));
        let before = known.and_then(|id| self.catalogue.find(id)).copied();

        let mut instrument = definition.read(id, self.underlying_or_next(definition.terms)?)?;
        let mut steps_refused = 0;
        match (definition.tick_steps, before) {
            (Some(steps), _) => {
                for step in steps {
                    let step = Price::from_f64(step.above_price.get()).zip(Price::from_f64(step.tick_size.get()));
                    let taken = step.is_some_and(|(above, tick)| instrument.ticks.push(above, tick));
                    steps_refused += u32::from(!taken);
                }
            }
            (None, Some(before)) if before.ticks.base() == instrument.ticks.base() => instrument.ticks = before.ticks,
            _ => {}
        }
        let is_changed = before.is_none_or(|before| Instrument { state: before.state, ..instrument } != before);
        if is_changed {
            if id.index() >= INSTRUMENTS_MAX || (known.is_none() && !open_book(id, instrument.kind)) {
                return Err(Refusal::Room);
            }
            if numbered != Some(id) && !self.directory.insert(definition.venue, id.0) {
                return Err(Refusal::Room);
            }
            self.enter_underlying(instrument.underlying, definition.terms);
            self.names[id.index()] = name;
            let state = before.map_or(instrument.state, |before| before.state);
            self.catalogue.put(Instrument { state, ..instrument }).map_err(|_| Refusal::Room)?;
        }
        let displaced = numbered.filter(|&numbered| numbered != id);
        Ok(Taken { id, is_new: known.is_none(), is_changed, displaced, steps_refused })
    }

    /// The underlying of these terms: a known one, or the next index.
    fn underlying_or_next(&self, terms: &Terms) -> Result<UnderlyingId, Refusal> {
        let name = underlying_name(terms)?;
        let known = self.catalogue.underlyings().find(|(_, underlying)| underlying.name() == text(&name));
        match known {
            Some((id, _)) => Ok(id),
            None if self.indices.len() < UNDERLYINGS_MAX => Ok(UnderlyingId(self.indices.len() as u8)),
            None => Err(Refusal::Room),
        }
    }

    fn enter_underlying(&mut self, id: UnderlyingId, terms: &Terms) {
        if let (Ok(name), true) = (underlying_name(terms), id.index() == self.indices.len()) {
            let entered = self.catalogue.apply(&Body::Underlying { id, name });
            debug_assert_eq!(entered, Ok(true));
            let _ = self.indices.try_push(name.map(|byte| byte.to_ascii_lowercase()));
        }
    }
}

impl Definition<'_> {
    /// The trading state, if it has a meaning.
    pub(super) fn state(&self) -> Option<InstrumentState> {
        trading_state(self.state)
    }

    fn read(&self, id: InstrumentId, underlying: UnderlyingId) -> Result<Instrument, Refusal> {
        let terms = self.terms;
        let never_expires = terms.expiration_ms.get() / 1_000 > u64::from(u32::MAX) || terms.settlement_period == 0;
        let kind = match Kind::try_from(self.kind).map_err(|_| Refusal::Kind)? {
            Kind::Future if never_expires => InstrumentKind::Perpetual,
            Kind::Future => InstrumentKind::Future,
            Kind::Option => InstrumentKind::Option,
            Kind::FutureCombo => InstrumentKind::FutureCombo,
            Kind::OptionCombo => InstrumentKind::OptionCombo,
            Kind::Spot => InstrumentKind::Spot,
        };
        let settles_in_base = text(&terms.settlement_currency) == text(&terms.base_currency);
        let payoff = match Type::try_from(self.instrument_type) {
            Ok(Type::Reversed) => Payoff::Inverse,
            Ok(Type::Linear) => Payoff::Linear,
            _ if settles_in_base => Payoff::Inverse,
            _ => Payoff::Linear,
        };
        let (option, strike) = match kind {
            InstrumentKind::Option => {
                let option = match OptionType::try_from(self.option_type) {
                    Ok(OptionType::Call) => OptionKind::Call,
                    Ok(OptionType::Put) => OptionKind::Put,
                    _ => return Err(Refusal::Kind),
                };
                (Some(option), positive(terms.strike.get()).ok_or(Refusal::Strike)?)
            }
            _ => (None, 0),
        };
        let expiry_s = match kind {
            InstrumentKind::Spot | InstrumentKind::Perpetual => 0,
            InstrumentKind::FutureCombo | InstrumentKind::OptionCombo if never_expires => 0,
            _ => u32::try_from(terms.expiration_ms.get() / 1_000).ok().filter(|&s| s > 0).ok_or(Refusal::Expiry)?,
        };
        Ok(Instrument {
            id,
            venue: VenueInstrumentId(self.venue),
            underlying,
            kind,
            payoff,
            option,
            expiry_s,
            strike: Price(strike),
            lot: Quantity(positive(terms.min_trade_amount.get()).ok_or(Refusal::Lot)?),
            contract: Quantity(positive(terms.contract_size.get()).ok_or(Refusal::Contract)?),
            maker_fee_e9: fee_e9(terms.maker_commission.get(), kind)?,
            taker_fee_e9: fee_e9(terms.taker_commission.get(), kind)?,
            ticks: TickTable::new(Price(positive(terms.tick_size.get()).ok_or(Refusal::Tick)?)),
            state: self.state().unwrap_or_default(),
        })
    }
}

/// What a state on the wire means for trading.
pub(super) fn trading_state(state: u8) -> Option<InstrumentState> {
    Some(match State::try_from(state).ok()? {
        State::Created => InstrumentState::Created,
        State::Open | State::Started => InstrumentState::Open,
        State::Closed | State::Settled | State::Deactivated | State::Inactive => InstrumentState::Closed,
    })
}

fn usable_name(name: &[u8]) -> Result<Name, Refusal> {
    let usable = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    Name::try_from(name).ok().filter(|_| usable).ok_or(Refusal::Name)
}

/// `BASE_COUNTER`, such as `BTC_USD` or `BTC_USDC`.
fn underlying_name(terms: &Terms) -> Result<[u8; 16], Refusal> {
    let (base, counter) = (text(&terms.base_currency), text(&terms.counter_currency));
    let (split, len) = (base.len(), base.len() + 1 + counter.len());
    if base.is_empty() || counter.is_empty() || len > 16 {
        return Err(Refusal::Currency);
    }
    let mut name = [0; 16];
    name[..split].copy_from_slice(base.as_bytes());
    name[split] = b'_';
    name[split + 1..len].copy_from_slice(counter.as_bytes());
    Ok(name)
}

/// In 1e-9, if positive and in range.
fn positive(value: f64) -> Option<i64> {
    Price::from_f64(value).map(|value| value.0).filter(|&value| value > 0)
}

/// A fraction in 1e-9. A combination states no fee of its own.
fn fee_e9(fraction: f64, kind: InstrumentKind) -> Result<i32, Refusal> {
    if fraction.is_nan() && matches!(kind, InstrumentKind::FutureCombo | InstrumentKind::OptionCombo) {
        return Ok(0);
    }
    let fee = Price::from_f64(fraction).filter(|fee| fee.0.abs() < crate::units::ONE_E9);
    fee.and_then(|fee| i32::try_from(fee.0).ok()).ok_or(Refusal::Fee)
}
