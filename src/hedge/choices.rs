//! What may hedge an underlying: its perpetual, its dated futures, and the options that the greeks value for it.

use arrayvec::ArrayVec;

use super::books::Top;
use super::execution::taking_price;
use super::factors::Unit;
use super::orders::Orders;
use super::program::HEDGES_MAX;
use crate::event::JUMPS;
use crate::instrument::{Instrument, InstrumentKind, InstrumentState};
use crate::risk::Refusal;
use crate::units::{InstrumentId, Nanos, Price, Side};

/// Perpetuals and dated futures among the hedges of an underlying at most.
const FUTURES_MAX: usize = 6;
/// For how long a hedge is left alone after risk refused it.
pub(super) const REFUSED_NS: u64 = Nanos::PER_SECOND;
/// Age beyond which the greeks of an option are not traded on.
const GREEKS_AGE_MAX_NS: u64 = 5 * Nanos::PER_SECOND;
/// Times the displayed size that one order for an option, or for a future, may ask for: options are taken at one price,
/// futures through several levels.
const OPTION_DEPTHS: u32 = 1;
const FUTURE_DEPTHS: u32 = 50;

/// One hedge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) instrument: InstrumentId,
    pub(super) expiry_s: u32,
    /// Greeks of a lot at `spot`; of a future they follow from its price.
    unit: Unit,
    spot: f64,
    told: Nanos,
    is_future: bool,
    /// The last trade and when.
    pub(super) traded: Option<(Side, Nanos)>,
    /// Until when resting has been tried in vain.
    pub(super) impatient_until: Nanos,
    /// Until when it is left alone because risk refused it.
    pub(super) refused_until: Nanos,
}

/// Why a hedge was left out of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Excluded {
    /// It is not open for trading.
    NotTrading,
    /// Its book is gapped, stale, crossed, one-sided or not known yet.
    BadBook,
    /// Its book shows no size, or a figure of it is not a number.
    NoDepth,
    /// Its greeks are not known, not numbers, or too old.
    NoGreeks,
    /// Risk refused an order in it a moment ago.
    Refused,
}

impl Excluded {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 5] = [Self::NotTrading, Self::BadBook, Self::NoDepth, Self::NoGreeks, Self::Refused];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTrading => "not_trading",
            Self::BadBook => "bad_book",
            Self::NoDepth => "no_depth",
            Self::NoGreeks => "no_greeks",
            Self::Refused => "refused",
        }
    }
}

impl Choice {
    /// Takes in what a lot gains in jumps.
    pub(super) fn see_jumps(&mut self, gains: [f64; JUMPS]) {
        self.unit.jumps = gains;
    }

    /// Greeks of a lot at a spot, and that it may be traded at all.
    pub(super) fn unit(&self, instrument: &Instrument, top: &Top, spot: f64, now: Nanos) -> Result<Unit, Excluded> {
        if instrument.state != InstrumentState::Open || instrument.lot.0 <= 0 {
            return Err(Excluded::NotTrading);
        }
        if !top.is_sound() {
            return Err(Excluded::BadBook);
        }
        if now < self.refused_until {
            return Err(Excluded::Refused);
        }
        if self.is_future {
            return Ok(Unit::of_future(instrument, top.mid()));
        }
        let unit = self.unit.moved(self.spot, spot);
        let gains: f64 = unit.jumps.iter().sum();
        let is_finite = (unit.delta + unit.log_gamma + unit.vega + unit.skew + gains).is_finite();
        let is_known = is_finite && unit.vega > 0.0 && now.since(self.told) <= GREEKS_AGE_MAX_NS;
        if is_known { Ok(unit) } else { Err(Excluded::NoGreeks) }
    }
}

/// The hedges of one underlying.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices(ArrayVec<Choice, HEDGES_MAX>);

impl Choices {
    /// Enters a perpetual or a future, once; those beyond the table are not used.
    pub(super) fn list(&mut self, instrument: &Instrument) {
        let is_known = self.find(instrument.id).is_some();
        let futures = self.0.iter().filter(|choice| choice.is_future).count();
        if instrument.is_future() && !is_known && futures < FUTURES_MAX {
            self.enter(Choice::of(instrument, Unit::default(), 0.0, Nanos::default()));
        }
    }

    /// Takes in the greeks of an option.
    pub(super) fn see_unit(&mut self, instrument: &Instrument, unit: Unit, spot: f64, now: Nanos) {
        self.0.retain(|choice| choice.is_future || now.since(choice.told) <= GREEKS_AGE_MAX_NS);
        match self.0.iter_mut().find(|choice| choice.instrument == instrument.id) {
            Some(known) => (known.unit, known.spot, known.told) = (unit, spot, now),
            None if instrument.kind == InstrumentKind::Option => self.enter(Choice::of(instrument, unit, spot, now)),
            None => {}
        }
    }

    /// Every hedge.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Choice> {
        self.0.iter()
    }

    /// The hedge with this instrument.
    pub(super) fn find(&self, instrument: InstrumentId) -> Option<&Choice> {
        self.0.iter().find(|choice| choice.instrument == instrument)
    }

    /// The same, to note what was done with it.
    pub(super) fn find_mut(&mut self, instrument: InstrumentId) -> Option<&mut Choice> {
        self.0.iter_mut().find(|choice| choice.instrument == instrument)
    }

    /// Room for futures is kept, whatever options there are.
    fn enter(&mut self, choice: Choice) {
        let options = self.0.iter().filter(|choice| !choice.is_future).count();
        if choice.is_future || options < HEDGES_MAX - FUTURES_MAX {
            // Both kinds are within their share of the table.
            let _ = self.0.try_push(choice);
        }
    }
}

impl Choice {
    fn of(instrument: &Instrument, unit: Unit, spot: f64, told: Nanos) -> Self {
        Self {
            instrument: instrument.id,
            expiry_s: instrument.expiry_s,
            unit,
            spot,
            told,
            is_future: instrument.is_future(),
            traded: None,
            impatient_until: Nanos::default(),
            refused_until: Nanos::default(),
        }
    }
}

/// What may bind a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Binding {
    /// Nothing but costs.
    #[default]
    Free,
    /// The size of an order, in lots or notional.
    Order,
    /// The position, with everything working.
    Position,
    /// What the book shows.
    Depth,
    /// What its underlying may hold and be exposed to, everything working at its worst.
    Underlying,
}

impl Binding {
    /// Every one, in the order of its index.
    pub const ALL: [Self; 5] = [Self::Free, Self::Order, Self::Position, Self::Depth, Self::Underlying];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Order => "order",
            Self::Position => "position",
            Self::Depth => "depth",
            Self::Underlying => "underlying",
        }
    }
}

/// Lots that may be sold and bought, and what limits each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Room {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) lower_by: Binding,
    pub(super) upper_by: Binding,
}

impl Room {
    /// Within what the book shows and what risk would approve.
    pub(super) fn of(instrument: &Instrument, top: &Top, slippage_e9: i64, spot: Price, orders: &Orders) -> Self {
        let depths = if instrument.is_future() { FUTURE_DEPTHS } else { OPTION_DEPTHS };
        let least = |side, depth: u32| {
            let shown = depth.saturating_mul(depths);
            let price = taking_price(instrument, top, side, slippage_e9);
            let (lots, refusal) = orders.gate.room(instrument.id, side, (shown, price), spot, &orders.store);
            let by = match refusal {
                None => Binding::Depth,
                Some(Refusal::Quantity | Refusal::Notional) => Binding::Order,
                Some(Refusal::Position) => Binding::Position,
                Some(_) => Binding::Underlying,
            };
            (f64::from(lots), by)
        };
        let ((upper, upper_by), (lower, lower_by)) = (least(Side::Buy, top.ask_lots), least(Side::Sell, top.bid_lots));
        Self { lower: -lower, upper, lower_by, upper_by }
    }
}
