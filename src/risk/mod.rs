//! Pre-trade risk: nothing reaches the gateway that was not approved here.
//!
//! What enters: a [`Request`], a [`View`] of the instrument it concerns, the time; and, beside the decision code, every
//! event that reaches it, so that the gate knows positions and exposures by itself. What leaves: an [`Approved`] request,
//! which this module alone can build and which is all that the gateway accepts, or a [`Refusal`] with its reason, counted.
//! Checks run in a fixed order, cheapest first, without allocation; an order is held against the live orders of its own
//! instrument, everything else is constant time. An approval counts at once: it takes from the throttle and is entered
//! among the working orders, at its worst case.
//!
//! It fails closed: an unknown instrument, a book that is not whole, greeks that nobody told are refusals. Cancels pass
//! everything but the wire's own rate, for which the throttle keeps a reserve.
//!
//! # Controls, and who asks for them
//!
//! SEC rule 15c3-5 (paragraph c), RTS 6 (Commission Delegated Regulation 2017/589) under MiFID II, and FIA's *Best Practices
//! for Automated Trading Risk Controls* (2024):
//!
//! | control | limit or event | reason or level | 15c3-5 | RTS 6 | FIA |
//! |---|---|---|---|---|---|
//! | every order counts when it is sent | – | – | (c)(1)(i) | 15(2) | – |
//! | order quantity | `order_lots_max` | `quantity` | (c)(1)(ii) | 15(1)(c) | maximum order size |
//! | order notional | `order_notional_max_e9` | `notional` | (c)(1)(ii) | 15(1)(b) | maximum order size |
//! | price collar, present book | `collar_e9` | `collar` | (c)(1)(ii) | 15(1)(a) | price tolerance |
//! | price collar over time | `drift_e9`, `drift_window_ns` | `drift` | (c)(1)(ii) | 15(1)(a) | price tolerance |
//! | tick, sanity | instrument | `price` | (c)(1)(ii) | 15(1)(a) | price tolerance |
//! | position, net, an instrument | `position_notional_max_e9` | `position` | (c)(1)(i) | 15(4) | maximum position |
//! | position, gross | `gross_notional_max_e9` | `gross` | (c)(1)(i) | 15(4) | maximum position |
//! | net delta, gamma, vega at their worst | `delta_…`, `gamma_…`, `vega_max_e9` | `delta`, `gamma`, `vega` | (c)(1)(i) | 15(4) | maximum position |
//! | credit | `credit_max_e9`, `margin_rate_e9` | `credit` | (c)(1)(i) | 15(4) | credit |
//! | loss | `loss_max_e9` | reduce-only | (c)(1)(i) | 15(4) | – |
//! | open orders | `open_orders_max` | `open_orders` | (c)(1)(ii) | 15(1)(d) | message throttle |
//! | message rate, cancels reserved | `messages_per_second`, `cancel_reserve` | `rate` | (c)(1)(ii) | 15(1)(d) | message throttle |
//! | repeated execution | `repeats_max`, `repeats_window_ns` | `repeats`, pause | (c)(1)(ii) | 15(3) | repeated execution |
//! | duplicate orders | working orders | `duplicate` | (c)(1)(ii) | 15(3) | – |
//! | self-match | working orders; the venue's own, by order | `self_match` | (c)(2)(i) | 13 | self-match prevention |
//! | restricted instruments | `restricted` | `restricted` | (c)(2)(ii) | 15(5) | – |
//! | market data quality | book quality | `bad_book` | (c)(1)(ii) | – | market data reasonability |
//! | venue and instrument state | session, status | `venue_down`, `not_trading` | (c)(2)(i) | 16 | exchange trading status |
//! | kill switch | command, signal, watchdog, invariant | `killed`, `reduce_only` | (b) | 12 | kill switch |
//! | venue's market-maker protection | `Protection` | `frozen` | (c)(2)(i) | 16 | – |
//! | cancel on disconnect | gateway settings | – | – | 12, 14 | cancel on disconnect |
//! | surveillance after the trade | journal; drop copy | – | (c)(2)(iv) | 13, 17 | drop copy |
//!
//! Control of who may change limits (15c3-5 (d), RTS 6 article 18 and the annual reviews of both) is a matter of the desk:
//! here limits are configuration, fixed for the life of a process and hashed at the head of its journal.

mod book;
mod ceilings;
mod collar;
mod freeze;
mod gate;
mod kill;
mod limits;
mod loss;
#[cfg(test)]
mod oracle;
mod repeats;
#[cfg(test)]
mod tests;
mod throttle;
mod wind_down;

pub use gate::{Gate, RefusalCounts, View};
pub use kill::{KillSwitch, Latch};
pub use limits::{Limits, RESTRICTED_MAX, Restricted};
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
    /// The kill switch is at pause or halt.
    Killed,
    /// The kill switch lets only orders pass that take the delta toward zero, and not through it.
    ReduceOnly,
    /// The order session is down.
    VenueDown,
    /// The instrument is not listed, or is not open for trading.
    NotTrading,
    /// The instrument may not be traded.
    Restricted,
    /// The book is gapped, stale, crossed, one-sided or not known yet, or the spot is not known.
    BadBook,
    /// No lots, or more than one order may have.
    Quantity,
    /// The price is not positive or not on the tick grid.
    Price,
    /// The price lies beyond the collar around the book.
    Collar,
    /// The price lies too far from what it was a while ago, or nothing is known of that.
    Drift,
    /// The same order is on its way and not answered.
    Duplicate,
    /// It could trade with an order of ours.
    SelfMatch,
    /// What one lot adds to the book is not known.
    UnknownGreeks,
    /// The order's notional is above its limit.
    Notional,
    /// Position and everything working on the order's side would pass the limit.
    Position,
    /// All positions and everything working would pass the limit.
    Gross,
    /// Their margin would pass the credit.
    Credit,
    /// The worst net delta would pass the limit.
    Delta,
    /// The worst gamma would pass the limit.
    Gamma,
    /// The worst vega would pass the limit.
    Vega,
    /// The same order over and over: trading has paused.
    Repeats,
    /// Too many orders are open.
    OpenOrders,
    /// The message rate is used up.
    Rate,
    /// The venue's market-maker protection has frozen what would rest.
    Frozen,
    /// The order table has no room or the number is taken; to be amended, the order is not there or not in a state for it.
    OrderTable,
}

#[inline(always)]
fn refuse_if(bad: bool, reason: Refusal) -> Result<(), Refusal> {
    if bad { Err(reason) } else { Ok(()) }
}

impl Refusal {
    /// Every reason, in the order of its index.
    pub const ALL: [Self; 25] = [
        Self::Killed,
        Self::ReduceOnly,
        Self::VenueDown,
        Self::NotTrading,
        Self::Restricted,
        Self::BadBook,
        Self::Quantity,
        Self::Price,
        Self::Collar,
        Self::Drift,
        Self::Duplicate,
        Self::SelfMatch,
        Self::UnknownGreeks,
        Self::Notional,
        Self::Position,
        Self::Gross,
        Self::Credit,
        Self::Delta,
        Self::Gamma,
        Self::Vega,
        Self::Repeats,
        Self::OpenOrders,
        Self::Rate,
        Self::Frozen,
        Self::OrderTable,
    ];

    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::ReduceOnly => "reduce_only",
            Self::VenueDown => "venue_down",
            Self::NotTrading => "not_trading",
            Self::Restricted => "restricted",
            Self::BadBook => "bad_book",
            Self::Quantity => "quantity",
            Self::Price => "price",
            Self::Collar => "collar",
            Self::Drift => "drift",
            Self::Duplicate => "duplicate",
            Self::SelfMatch => "self_match",
            Self::UnknownGreeks => "unknown_greeks",
            Self::Notional => "notional",
            Self::Position => "position",
            Self::Gross => "gross",
            Self::Credit => "credit",
            Self::Delta => "delta",
            Self::Gamma => "gamma",
            Self::Vega => "vega",
            Self::Repeats => "repeats",
            Self::OpenOrders => "open_orders",
            Self::Rate => "rate",
            Self::Frozen => "frozen",
            Self::OrderTable => "order_table",
        }
    }
}
