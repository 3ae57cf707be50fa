//! One order's life.
//!
//! ```text
//!  Decided ─► Sent ─► Working ─► PartiallyFilled ─► Filled
//!     │        │        │ ▲  ▲ └──────┬─────────┘
//!     │        │        ▼ │  │        ▼
//!     │        │  AmendPending ◄► CancelPending ──► Cancelled, Expired
//!     └────────┴──────────────────────────────────► Rejected
//!  any live state ──session down──► Unknown ──news──► where the news says
//! ```
//!
//! Reports come late, twice and in any order. Invariants:
//!
//! - `cum + leaves ≤ quantity`, the quantity being the larger of the present one and the one asked for;
//! - a terminal order stays terminal;
//! - what may still fill is never understated: an amendment counts from its asking at the larger of both sizes, and what
//!   the venue counts as filled beyond the fills it told stays open until they are told;
//! - an execution belongs to the position even when it contradicts the order: the venue's book is the truth about what
//!   is owned, and [`Outcome::Inconsistent`] says that something else is wrong.

use super::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, INSTRUMENT_EXPIRED, TIME_IN_FORCE_ENDED, TimeInForce};
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
    /// Other terms were asked for.
    AmendPending,
    /// A cancel was asked for, and perhaps other terms before it.
    CancelPending,
    /// The session broke while it was live, or its end was waited for in vain.
    Unknown,
    /// Nothing is left. Terminal.
    Filled,
    /// Gone with something unfilled. Terminal.
    Cancelled,
    /// Gone because its time was up. Terminal.
    Expired,
    /// Refused. Terminal.
    Rejected,
}

impl OrderState {
    /// Whether nothing follows but late news.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Expired | Self::Rejected)
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
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Limit price.
    pub price: Price,
    /// Size in lots.
    pub lots: u32,
}

/// What an amendment changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Limit price.
    pub price: Price,
    /// Size in lots over the whole life.
    pub lots: u32,
}

/// An order and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was asked first.
    pub new: NewOrder,
    /// Where it stands.
    pub state: OrderState,
    /// Its terms in force.
    pub terms: Terms,
    /// The terms asked for and not yet answered.
    pub amending: Option<Terms>,
    /// The venue's number, once it gave one.
    pub venue_order: Option<VenueOrderId>,
    /// Lots filled, those taken back again included.
    pub cum_lots: u32,
    /// Lots taken back by busts.
    pub busted_lots: u32,
    /// Lots that the venue counted as filled at the order's end and has not told as fills yet.
    pub owed_lots: u32,
    sent: bool,
    cancel_asked: bool,
    /// Its fate is not known.
    lost: bool,
}

impl Order {
    pub(super) const fn new(new: NewOrder) -> Self {
        Self {
            new,
            state: OrderState::Decided,
            terms: Terms { price: new.price, lots: new.lots },
            amending: None,
            venue_order: None,
            cum_lots: 0,
            busted_lots: 0,
            owed_lots: 0,
            sent: false,
            cancel_asked: false,
            lost: false,
        }
    }

    /// Lots it may fill over its life: the larger of the terms in force and those asked for.
    #[inline]
    pub fn lots_max(&self) -> u32 {
        self.amending.map_or(self.terms.lots, |asked| asked.lots.max(self.terms.lots))
    }

    /// Lots that may still fill. Of an ended order, those whose fills are still to be told.
    #[inline]
    pub fn leaves_lots(&self) -> u32 {
        if self.state.is_terminal() { self.owed_lots } else { self.lots_max() - self.cum_lots }
    }

    /// Whether the venue has not answered it in any way.
    #[inline]
    pub fn is_unanswered(&self) -> bool {
        !self.state.is_terminal() && self.venue_order.is_none() && self.cum_lots == 0
    }

    /// A cancel leaves.
    pub(super) fn ask_cancel(&mut self) {
        self.cancel_asked = true;
        self.settle();
    }

    /// An amendment leaves. One at a time, of an order that the venue has taken, to more than is filled already.
    pub(super) fn ask_amend(&mut self, terms: Terms) -> bool {
        let amendable = matches!(self.state, OrderState::Working | OrderState::PartiallyFilled);
        let allowed = amendable && terms.lots > self.cum_lots;
        if allowed {
            self.amending = Some(terms);
            self.settle();
        }
        allowed
    }

    pub(super) fn sent(&mut self) -> Outcome {
        self.sent = true;
        self.settle();
        Outcome::Applied(None)
    }

    pub(super) fn accepted(&mut self, venue_order: VenueOrderId, instrument: InstrumentId) -> Outcome {
        if instrument != self.new.instrument || self.venue_order.is_some_and(|known| known != venue_order) {
            return Outcome::Inconsistent(None);
        }
        if self.venue_order.replace(venue_order).is_some() {
            return Outcome::Duplicate;
        }
        self.heard(None)
    }

    /// A fill whose number is new.
    pub(super) fn filled(&mut self, fill: AppliedFill) -> Outcome {
        let within = fill.lots > 0 && fill.lots <= self.lots_max().saturating_sub(self.cum_lots);
        if !within || fill.instrument != self.new.instrument || fill.side != self.new.side {
            return Outcome::Inconsistent((fill.lots > 0).then_some(fill));
        }
        self.cum_lots += fill.lots;
        self.owed_lots = self.owed_lots.saturating_sub(fill.lots);
        self.heard(Some(fill))
    }

    /// A bust whose number is new: what was filled is taken back, and does not stand in the book again. It may overtake
    /// its fill, which then comes late.
    pub(super) fn busted(&mut self, fill: AppliedFill) -> Outcome {
        let reversed = AppliedFill { side: fill.side.opposite(), ..fill };
        let within = fill.lots > 0 && fill.lots <= self.lots_max().saturating_sub(self.busted_lots);
        if !within || fill.instrument != self.new.instrument || fill.side != self.new.side {
            return Outcome::Inconsistent((fill.lots > 0).then_some(reversed));
        }
        self.busted_lots += fill.lots;
        if self.state.is_terminal() { Outcome::Late(Some(reversed)) } else { Outcome::Applied(Some(reversed)) }
    }

    /// Gone from the venue's book. Fills it still owes come late.
    pub(super) fn cancelled(&mut self, cum_lots: u32, reason: u8) -> Outcome {
        let end = match reason {
            TIME_IN_FORCE_ENDED | INSTRUMENT_EXPIRED => OrderState::Expired,
            _ => OrderState::Cancelled,
        };
        if self.state.is_terminal() {
            let again = matches!(self.state, OrderState::Cancelled | OrderState::Expired);
            return if again { Outcome::Duplicate } else { Outcome::Late(None) };
        }
        let least = self.cum_lots.saturating_sub(self.busted_lots);
        let possible = cum_lots == CUM_LOTS_UNKNOWN || (least..=self.lots_max()).contains(&cum_lots);
        if possible && cum_lots != CUM_LOTS_UNKNOWN {
            self.owed_lots = cum_lots.saturating_sub(self.cum_lots);
        }
        let asked = self.cancel_asked || reason == CANCELLED_ON_REQUEST || end == OrderState::Expired;
        self.end(end);
        match (possible, asked) {
            (false, _) => Outcome::Inconsistent(None),
            (true, false) => Outcome::Unsolicited,
            (true, true) => Outcome::Applied(None),
        }
    }

    pub(super) fn rejected(&mut self) -> Outcome {
        match self.state {
            OrderState::Rejected => Outcome::Duplicate,
            state if state.is_terminal() => Outcome::Late(None),
            _ => {
                self.end(OrderState::Rejected);
                if self.cum_lots > 0 { Outcome::Inconsistent(None) } else { Outcome::Applied(None) }
            }
        }
    }

    /// The order stands at other terms: those asked for.
    pub(super) fn amended(&mut self, instrument: InstrumentId, terms: Terms) -> Outcome {
        if instrument != self.new.instrument {
            return Outcome::Inconsistent(None);
        }
        if self.state.is_terminal() {
            return Outcome::Late(None);
        }
        match self.amending {
            Some(asked) if asked.lots == terms.lots => self.stand_at(terms),
            None if self.terms == terms => Outcome::Duplicate,
            _ => Outcome::Inconsistent(None),
        }
    }

    /// The amendment was refused: the order stands as it did.
    pub(super) fn amend_rejected(&mut self) -> Outcome {
        if self.state.is_terminal() {
            return Outcome::Late(None);
        }
        if self.amending.is_none() {
            return Outcome::Duplicate;
        }
        self.stand_at(self.terms)
    }

    /// The cancel was refused: the order stands as it did. An order of unknown fate that the venue does not know either is
    /// gone.
    pub(super) fn cancel_rejected(&mut self, unknown_to_venue: bool) -> Outcome {
        if self.state.is_terminal() {
            return Outcome::Late(None);
        }
        self.cancel_asked = false;
        if self.lost && unknown_to_venue {
            self.end(OrderState::Cancelled);
        } else {
            self.settle();
        }
        Outcome::Applied(None)
    }

    /// What becomes of it is not known until the venue says so.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.settle();
    }

    /// News of its being live, with what it filled.
    fn heard(&mut self, fill: Option<AppliedFill>) -> Outcome {
        if self.state.is_terminal() {
            return Outcome::Late(fill);
        }
        self.lost = false;
        self.settle();
        Outcome::Applied(fill)
    }

    /// An amendment is answered. More fills than its terms allow contradict the answer, and end the order; those that were
    /// taken back before they were told count among them.
    fn stand_at(&mut self, terms: Terms) -> Outcome {
        let filled = self.cum_lots.max(self.busted_lots);
        let possible = filled <= terms.lots;
        self.terms = Terms { lots: terms.lots.max(filled), ..terms };
        self.amending = None;
        self.lost = false;
        self.settle();
        if possible { Outcome::Applied(None) } else { Outcome::Inconsistent(None) }
    }

    fn end(&mut self, state: OrderState) {
        self.state = state;
        self.terms.lots = self.lots_max();
        self.amending = None;
    }

    /// Where a live order stands by what is known of it.
    fn settle(&mut self) {
        if self.state.is_terminal() {
            return;
        }
        self.state = if self.cum_lots == self.lots_max() {
            OrderState::Filled
        } else if self.lost {
            OrderState::Unknown
        } else if self.cancel_asked {
            OrderState::CancelPending
        } else if self.amending.is_some() {
            OrderState::AmendPending
        } else {
            match (self.cum_lots, self.venue_order, self.sent) {
                (1.., _, _) => OrderState::PartiallyFilled,
                (0, Some(_), _) => OrderState::Working,
                (0, None, true) => OrderState::Sent,
                (0, None, false) => OrderState::Decided,
            }
        };
    }
}

/// An execution that changes the position. A bust is one of the opposite side.
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

impl AppliedFill {
    /// The change of the position.
    pub const fn signed_lots(&self) -> i64 {
        self.side.sign() * self.lots as i64
    }
}

/// What a report did. Whatever it says of the order, the execution in it belongs to the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was the next news of a live order.
    Applied(Option<AppliedFill>),
    /// It came after the order's end.
    Late(Option<AppliedFill>),
    /// The venue ended the order of its own accord.
    Unsolicited,
    /// It was told before.
    Duplicate,
    /// It is about an order that is not here.
    UnknownOrder(Option<AppliedFill>),
    /// It contradicts what is known: another instrument, side or venue number, more fills than the order has, a reject after
    /// a fill, terms nobody asked for.
    Inconsistent(Option<AppliedFill>),
    /// It is no order report.
    Ignored,
}

impl Outcome {
    /// The execution to add to the position.
    pub const fn fill(&self) -> Option<AppliedFill> {
        match self {
            Self::Applied(fill) | Self::Late(fill) | Self::UnknownOrder(fill) | Self::Inconsistent(fill) => *fill,
            Self::Unsolicited | Self::Duplicate | Self::Ignored => None,
        }
    }

    /// Whether a person should know.
    pub const fn is_strange(&self) -> bool {
        matches!(self, Self::UnknownOrder(_) | Self::Inconsistent(_))
    }
}
