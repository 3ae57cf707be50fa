//! Orders: what is asked of the venue, and what became of it.
//!
//! [`OrderStore`] enters an order before it leaves and hears every report on it; [`ClientOrderIds`] numbers orders so that
//! no number is ever used twice. [`Comparison`] holds what the order session tells of executions against what a second witness
//! does. The first two belong to the hedge, and nothing is entered but by [`risk::Gate`](crate::risk::Gate).

mod comparison;
mod executions;
mod ids;
mod index;
mod standing;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use comparison::{Comparison, ComparisonCounters, Difference, Execution, Teller, WAITING_MAX};
pub use executions::{EXECUTIONS_REMEMBERED, Executions};
pub use ids::ClientOrderIds;
pub use state::{AppliedFill, NewOrder, Order, OrderState, Outcome, Terms};
pub use store::{ORDERS_MAX, OrderCounters, OrderStore, StoreFull};

use crate::event::{Protected, Trail};
use crate::units::{ClientOrderId, InstrumentId, Nanos, Price, Side};

/// Lots filled over an order's life, in a `Cancelled` whose venue did not say: what the fills add up to is then all that
/// is known.
pub const CUM_LOTS_UNKNOWN: u32 = u32::MAX;

/// Reason of a `CancelRejected`: the venue has no such order. Once a session is whole again this settles an order whose
/// fate was unknown.
pub const UNKNOWN_TO_VENUE: u8 = 1;

/// Reason of a `Cancelled`: its time in force ended it.
pub const TIME_IN_FORCE_ENDED: u8 = 2;

/// Reason of a `Cancelled`: its instrument expired.
pub const INSTRUMENT_EXPIRED: u8 = 9;

/// Reason of a `Cancelled`: we asked for it.
pub const CANCELLED_ON_REQUEST: u8 = 12;

/// End of a freeze by the venue's market-maker protection that lasts until we ask for its end.
pub const FROZEN_UNTIL_ASKED: Nanos = Nanos(u64::MAX);

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// Take what is there, cancel the rest.
    ImmediateOrCancel,
    /// Rest until cancelled.
    GoodTilCancel,
}

/// One thing asked of the venue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Request {
    /// A new limit order.
    New {
        /// Stamps of the packet that caused it.
        trail: Trail,
        /// Counter steps from receipt to decision.
        decided: u32,
        /// Its number.
        order: ClientOrderId,
        /// What to trade.
        instrument: InstrumentId,
        /// Which way.
        side: Side,
        /// How long it stands.
        time_in_force: TimeInForce,
        /// Whether it must not take.
        post_only: bool,
        /// Limit price.
        price: Price,
        /// Size in lots, at least one.
        lots: u32,
    },
    /// Give an order another price and size.
    Amend {
        /// Stamps of the packet that caused it.
        trail: Trail,
        /// Counter steps from receipt to decision.
        decided: u32,
        /// Which order.
        order: ClientOrderId,
        /// What it trades.
        instrument: InstrumentId,
        /// Its side, which stays.
        side: Side,
        /// The new limit price.
        price: Price,
        /// The new size in lots over its whole life, what is filled included.
        lots: u32,
    },
    /// Take an order back.
    Cancel {
        /// Which order.
        order: ClientOrderId,
        /// What it trades.
        instrument: InstrumentId,
    },
    /// Take every order back, quotes included.
    CancelAll,
    /// Quote both sides of an instrument, in place of what was quoted there. The two sides are two orders: the bid has the
    /// number given, the offer the one after it. What it replaces stands until the venue says otherwise, so that a quote
    /// which crosses the one before it is refused as a self-match until then: the venue may refuse one side of it, or lose
    /// it, and the other would meet what was to be gone. Whoever is in a hurry cancels first.
    Quote {
        /// The bid's number.
        order: ClientOrderId,
        /// What to quote.
        instrument: InstrumentId,
        /// Price at which to buy.
        bid: Price,
        /// Price at which to sell.
        ask: Price,
        /// Size of the bid in lots, at least one.
        bid_lots: u32,
        /// Size of the offer in lots, at least one.
        ask_lots: u32,
    },
    /// Ask the venue to end a freeze by its market-maker protection.
    Thaw {
        /// What is frozen.
        scope: Protected,
    },
}

/// The number of a quote's offer, given that of its bid.
pub const fn offer_of(bid: ClientOrderId) -> ClientOrderId {
    ClientOrderId(bid.0.wrapping_add(1))
}
