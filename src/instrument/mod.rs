//! Contract specifications: what an instrument is, how it pays, in which steps it trades.
//!
//! [`Catalogue`] is the table a stage keeps of them, filled by the listing events that arrive before anything else about
//! an instrument. Each stage owns its copy: no state is shared between threads, and a replay rebuilds it.

mod catalogue;
mod tick;

pub use catalogue::{Catalogue, INSTRUMENTS_MAX, Refused, SYMBOL_BYTES_MAX, Symbol, UNDERLYINGS_MAX, Underlying};
pub use tick::{TICK_STEPS_MAX, TickTable};

use crate::event::Body;
use crate::units::{InstrumentId, Nanos, ONE_E9, Price, Quantity, UnderlyingId, VenueInstrumentId};

/// What kind of contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InstrumentKind {
    /// Dated future.
    Future,
    /// Perpetual future.
    Perpetual,
    /// European option.
    Option,
    /// The coin itself.
    Spot,
    /// A combination of futures; quoted, not valued.
    FutureCombo,
    /// A combination of options; quoted, not valued.
    OptionCombo,
}

/// How a contract pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Payoff {
    /// In quote currency: an amount of coins times a price.
    Linear,
    /// In the base coin: futures amounts are dollars, option premiums are coins.
    Inverse,
}

/// Which right an option gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OptionKind {
    /// To buy.
    Call,
    /// To sell.
    Put,
}

/// The venue's trading state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InstrumentState {
    /// Announced, not yet trading. Also what an instrument of unknown state counts as: it is not traded.
    #[default]
    Created,
    /// Trading.
    Open,
    /// Closed, settled, deactivated or otherwise not trading.
    Closed,
}

/// Whether a book, or something computed from books, may be acted on. Ordered from best to worst, so the quality of a
/// whole is the maximum over its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BookQuality {
    /// Whole, fresh, not crossed.
    Good,
    /// Bid at or above ask.
    Crossed,
    /// No news for longer than allowed.
    Stale,
    /// A message is missing; what is shown is history.
    Gapped,
    /// Nothing known yet.
    #[default]
    Unknown,
}

/// One instrument, as every stage knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instrument {
    /// Its dense index.
    pub id: InstrumentId,
    /// The venue's number.
    pub venue: VenueInstrumentId,
    /// What it is written on.
    pub underlying: UnderlyingId,
    /// What kind of contract.
    pub kind: InstrumentKind,
    /// How it pays.
    pub payoff: Payoff,
    /// Call or put; `None` unless an option.
    pub option: Option<OptionKind>,
    /// Seconds since the epoch, 0 when it never expires.
    pub expiry_s: u32,
    /// Strike, zero unless an option.
    pub strike: Price,
    /// Amount of one lot, the smallest tradable amount.
    pub lot: Quantity,
    /// Amount of one contract.
    pub contract: Quantity,
    /// Maker fee, 1e-9 of notional.
    pub maker_fee_e9: i32,
    /// Taker fee, 1e-9 of notional.
    pub taker_fee_e9: i32,
    /// Price steps.
    pub ticks: TickTable,
    /// Trading state.
    pub state: InstrumentState,
}

impl Instrument {
    /// An open perpetual that pays in the coin: a lot is a contract, `tick` its only price step, and trading costs no fee.
    pub fn inverse_perpetual(
        id: InstrumentId,
        venue: VenueInstrumentId,
        underlying: UnderlyingId,
        lot: Quantity,
        tick: Price,
    ) -> Self {
        Self {
            id,
            venue,
            underlying,
            kind: InstrumentKind::Perpetual,
            payoff: Payoff::Inverse,
            option: None,
            expiry_s: 0,
            strike: Price::ZERO,
            lot,
            contract: lot,
            maker_fee_e9: 0,
            taker_fee_e9: 0,
            ticks: TickTable::new(tick),
            state: InstrumentState::Open,
        }
    }

    /// The event that lists it.
    pub const fn listing(&self) -> Body {
        let Self { id, venue, underlying, kind, payoff, option, expiry_s, strike, lot, .. } = *self;
        Body::Listed { instrument: id, underlying, kind, payoff, option, expiry_s, strike, lot, venue }
    }

    /// When it expires; `None` for contracts that never do.
    pub fn expiry(&self) -> Option<Nanos> {
        (self.expiry_s != 0).then(|| Nanos::from_secs(self.expiry_s))
    }

    /// Delta-one contracts that can hedge: perpetuals and dated futures.
    pub fn is_future(&self) -> bool {
        matches!(self.kind, InstrumentKind::Future | InstrumentKind::Perpetual)
    }

    /// Notional of `lots` in quote currency, 1e-9; `None` when it does not fit. `price` is the instrument's own, and an
    /// inverse option, whose premium is in coins, is taken at `spot`.
    pub fn notional_e9(&self, lots: u64, price: Price, spot: Price) -> Option<i64> {
        let amount = i128::from(lots) * i128::from(self.lot.0);
        let per_coin = match (self.kind, self.payoff) {
            (InstrumentKind::Future | InstrumentKind::Perpetual, Payoff::Inverse) => return i64::try_from(amount).ok(),
            (InstrumentKind::Option, Payoff::Inverse) => spot,
            _ => price,
        };
        i64::try_from(amount.checked_mul(i128::from(per_coin.0))? / i128::from(ONE_E9)).ok()
    }
}
