//! One order's life.
//!
//! ```text
//!  Decided ─► Sent ─► Working ─► PartiallyFilled ─► Filled
//!     │        │         │  ▲ └──────┬──────────┘
//!     │        │         ▼  │        ▼
//!     │        │      CancelPending ─┴──────────► Cancelled
//!     └────────┴──────────────────────────────► Rejected
//!  any live state ──session down──► Unknown ──any report──► where the report says
//! ```
//!
//! Reports come late, twice and in any order. Invariants: `cum + leaves ≤ lots`; a terminal order stays terminal; a fill
//! counts once. A fill that overtakes its acceptance, or trails a cancel, is applied like any other.

use super::CUM_LOTS_UNKNOWN;
use crate::units::{ClientOrderId, InstrumentId, Price, Side, VenueOrderId};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderState {
    /// Entered here; not known to have left.
    Decided,
    /// Handed to the socket.
    Sent,
    /// Taken by the venue.
    Working,
    /// Taken, and filled in part.
    PartiallyFilled,
    /// A cancel was asked for.
    CancelPending,
    /// The session broke while it was live.
    Unknown,
    /// Nothing is left. Terminal.
    Filled,
    /// Gone with something unfilled. Terminal.
    Cancelled,
    /// Refused. Terminal.
    Rejected,
}

impl OrderState {
    /// Whether nothing follows but late news.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected)
    }
}

/// What is entered before an order leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Its number.
    pub order: ClientOrderId,
    /// What it trades.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// Size in lots.
    pub lots: u32,
}

/// An order and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was asked.
    pub new: NewOrder,
    /// Where it stands.
    pub state: OrderState,
    /// The venue's number, once it gave one.
    pub venue_order: Option<VenueOrderId>,
    /// Lots filled.
    pub cum_lots: u32,
}

impl Order {
    pub(super) const fn new(new: NewOrder) -> Self {
        Self { new, state: OrderState::Decided, venue_order: None, cum_lots: 0 }
    }

    /// Lots that may still fill.
    pub const fn leaves_lots(&self) -> u32 {
        if self.state.is_terminal() { 0 } else { self.new.lots - self.cum_lots }
    }

    /// A cancel leaves.
    pub(super) fn cancel_asked(&mut self) {
        if !self.state.is_terminal() && self.state != OrderState::Unknown {
            self.state = OrderState::CancelPending;
        }
    }

    pub(super) fn sent(&mut self) -> Outcome {
        if self.state == OrderState::Decided {
            self.state = OrderState::Sent;
        }
        Outcome::Applied(None)
    }

    pub(super) fn accepted(&mut self, venue_order: VenueOrderId, instrument: InstrumentId) -> Outcome {
        if instrument != self.new.instrument || self.venue_order.is_some_and(|known| known != venue_order) {
            return Outcome::Inconsistent;
        }
        if self.venue_order.replace(venue_order).is_some() {
            return Outcome::Duplicate;
        }
        if self.state.is_terminal() {
            return Outcome::Late(None);
        }
        if self.state != OrderState::CancelPending {
            self.state = self.working();
        }
        Outcome::Applied(None)
    }

    /// A fill whose number is new.
    pub(super) fn filled(&mut self, fill: AppliedFill) -> Outcome {
        let within = fill.lots > 0 && fill.lots <= self.new.lots - self.cum_lots;
        if !within || fill.instrument != self.new.instrument || fill.side != self.new.side {
            return Outcome::Inconsistent;
        }
        self.cum_lots += fill.lots;
        if self.state.is_terminal() {
            return Outcome::Late(Some(fill));
        }
        if self.cum_lots == self.new.lots {
            self.state = OrderState::Filled;
        } else if self.state != OrderState::CancelPending {
            self.state = OrderState::PartiallyFilled;
        }
        Outcome::Applied(Some(fill))
    }

    /// Gone from the venue's book. Fills it still owes come late.
    pub(super) fn cancelled(&mut self, cum_lots: u32) -> Outcome {
        match self.state {
            OrderState::Cancelled => return Outcome::Duplicate,
            state if state.is_terminal() => return Outcome::Late(None),
            _ => self.state = OrderState::Cancelled,
        }
        let possible = cum_lots == CUM_LOTS_UNKNOWN || (self.cum_lots..=self.new.lots).contains(&cum_lots);
        if possible { Outcome::Applied(None) } else { Outcome::Inconsistent }
    }

    pub(super) fn rejected(&mut self) -> Outcome {
        match self.state {
            OrderState::Rejected => Outcome::Duplicate,
            state if state.is_terminal() => Outcome::Late(None),
            _ => {
                self.state = OrderState::Rejected;
                if self.cum_lots > 0 { Outcome::Inconsistent } else { Outcome::Applied(None) }
            }
        }
    }

    /// The cancel was refused: the order stands as it did. An order of unknown fate that the venue does not know either is
    /// gone.
    pub(super) fn cancel_rejected(&mut self, unknown_to_venue: bool) -> Outcome {
        match self.state {
            state if state.is_terminal() => return Outcome::Late(None),
            OrderState::Unknown if unknown_to_venue => self.state = OrderState::Cancelled,
            OrderState::CancelPending => self.state = self.working(),
            _ => {}
        }
        Outcome::Applied(None)
    }

    pub(super) fn session_lost(&mut self) {
        if !self.state.is_terminal() {
            self.state = OrderState::Unknown;
        }
    }

    /// Where a live order without news stands.
    fn working(&self) -> OrderState {
        match (self.cum_lots, self.venue_order) {
            (1.., _) => OrderState::PartiallyFilled,
            (0, Some(_)) => OrderState::Working,
            (0, None) => OrderState::Sent,
        }
    }
}

/// A fill that changes the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedFill {
    /// What was traded.
    pub instrument: InstrumentId,
    /// Which way.
    pub side: Side,
    /// How many lots.
    pub lots: u32,
    /// At which price.
    pub price: Price,
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was the next news of a live order.
    Applied(Option<AppliedFill>),
    /// It came after the order's end; a fill still counts.
    Late(Option<AppliedFill>),
    /// It was told before.
    Duplicate,
    /// It is about an order that is not here.
    UnknownOrder,
    /// It contradicts what is known: another instrument, side or venue number, more fills than the order has, a reject after
    /// a fill. A fill in it is not applied.
    Inconsistent,
    /// It is no order report.
    Ignored,
}

impl Outcome {
    /// The fill to add to the position.
    pub const fn fill(&self) -> Option<AppliedFill> {
        match self {
            Self::Applied(fill) | Self::Late(fill) => *fill,
            _ => None,
        }
    }

    /// Whether a person should know.
    pub const fn is_strange(&self) -> bool {
        matches!(self, Self::UnknownOrder | Self::Inconsistent)
    }
}
