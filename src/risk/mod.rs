//! Pre-trade risk: nothing reaches the gateway that was not approved here.
//!
//! What enters: a [`Request`], a [`View`] of the instrument it concerns, the time. What leaves: an [`Approved`] request,
//! which this module alone can build and which is all that the gateway accepts, or a [`Refusal`] with its reason, counted.
//! Checks run in a fixed order, cheapest first, each in constant time and without allocation. An approval counts at once:
//! it takes from the throttle and is entered among the working orders, at its worst case.
//!
//! It fails closed: an unknown instrument, a book that is not whole, a missing price, an overflowing notional are refusals.
//! Cancels pass everything but the wire's own rate, for which the throttle keeps a reserve.

mod gate;
mod kill;
mod limits;
mod throttle;
mod wind_down;

pub use gate::{Gate, RefusalCounts, View};
pub use kill::{KillSwitch, Latch};
pub use limits::Limits;
pub use throttle::Throttle;
pub use wind_down::{ASK_AGAIN_NS, Due, WindDown};

use crate::event::{KillLevel, PAYLOAD_BYTES};
use crate::instrument::Symbol;
use crate::order::Request;
use crate::units::{InstrumentId, Quantity, Ticks, UnderlyingId, VenueInstrumentId};

/// A request that passed every check. Only this module can make one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    /// What was approved.
    pub fn request(&self) -> &T {
        &self.0
    }
}

/// What crosses the ring to the gateway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Instruction {
    /// How the venue names and measures an instrument; sent before the first order on it.
    Reference {
        /// Our index.
        instrument: InstrumentId,
        /// What it is written on.
        underlying: UnderlyingId,
        /// The venue's number.
        venue: VenueInstrumentId,
        /// Amount of one lot.
        lot: Quantity,
        /// Amount of one contract, in which some protocols count; zero until it is known.
        contract: Quantity,
        /// The venue's name; empty until it is known.
        symbol: Symbol,
    },
    /// Send this.
    Send(Approved<Request>),
    /// How much may still leave. The gateway holds back new orders and amendments above
    /// [`KillLevel::Flatten`], whatever it is sent.
    Level(KillLevel),
}

impl Instruction {
    /// Stamps a new order with the moment of its decision. Nothing else of what was approved can be changed.
    pub fn stamp_decided(&mut self, now: Ticks) {
        if let Self::Send(Approved(Request::New { trail, decided, .. } | Request::Amend { trail, decided, .. })) = self
        {
            *decided = now.since_u32(trail.received);
        }
    }
}

const _: () = assert!(size_of::<Instruction>() <= PAYLOAD_BYTES);

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The kill switch is latched.
    Killed,
    /// The instrument is not listed, or is not open for trading.
    NotTrading,
    /// The book is gapped, stale, crossed, one-sided or not known yet.
    BadBook,
    /// No lots, or more than one order may have.
    Quantity,
    /// The price is not positive or not on the tick grid.
    Price,
    /// The price lies beyond the collar around the book.
    Collar,
    /// The order's notional is above its limit, or cannot be computed.
    Notional,
    /// Position and everything working on the order's side would pass the limit.
    Position,
    /// Too many orders are open.
    OpenOrders,
    /// The message rate is used up.
    Rate,
    /// The order table has no room or the number is taken; to be amended, the order is not there or not in a state for it.
    OrderTable,
}

impl Refusal {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 11] = [
        Self::Killed,
        Self::NotTrading,
        Self::BadBook,
        Self::Quantity,
        Self::Price,
        Self::Collar,
        Self::Notional,
        Self::Position,
        Self::OpenOrders,
        Self::Rate,
        Self::OrderTable,
    ];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::NotTrading => "not_trading",
            Self::BadBook => "bad_book",
            Self::Quantity => "quantity",
            Self::Price => "price",
            Self::Collar => "collar",
            Self::Notional => "notional",
            Self::Position => "position",
            Self::OpenOrders => "open_orders",
            Self::Rate => "rate",
            Self::OrderTable => "order_table",
        }
    }
}
