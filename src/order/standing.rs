//! What is known at once of the live orders on one side of one instrument.
//!
//! Pre-trade risk asks of every order whether it could meet one of ours or is one of ours once more. Both are nearly always
//! answered by a bound: no live order is priced further out than [`Standing::reach`], and the terms of every unanswered
//! one have left their mark. A bound may say yes where the orders themselves say no, never the reverse; whoever is told yes
//! looks at the orders, and the bounds begin anew from them.
//!
//! 32 bytes a side, two sides a cache line. Constant time.

use super::state::{Order, Terms};
use crate::units::{Price, Side};

/// Further in than any price.
const NO_REACH: i64 = -i64::MAX;

/// One side of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Lots that may still fill, those of ended orders included whose fills are still to be told.
    pub(super) lots: u64,
    /// The most aggressive price since there was no live order, counted upwards in the side's own direction.
    reach: i64,
    /// A bit for the terms of each order that was unanswered since none was.
    marks: u64,
    live: u16,
    unanswered: u16,
}

impl Standing {
    pub(super) const NONE: Self = Self { lots: 0, reach: NO_REACH, marks: 0, live: 0, unanswered: 0 };

    /// A new order, of which nothing is known but what was asked.
    #[inline(always)]
    pub(super) fn enter(&mut self, order: &Order) {
        self.lots += u64::from(order.terms.lots);
        self.live += 1;
        self.unanswered += 1;
        self.reach = self.reach.max(outwards(order.terms.price, order.new.side));
        self.marks |= mark(order.terms);
    }

    /// An unanswered order was answered, or ended.
    #[inline]
    pub(super) fn answer(&mut self) {
        self.unanswered -= 1;
        if self.unanswered == 0 {
            self.marks = 0;
        }
    }

    /// A live order ended.
    #[inline]
    pub(super) fn end(&mut self) {
        self.live -= 1;
        if self.live == 0 {
            self.reach = NO_REACH;
        }
    }

    /// Both bounds begin anew; each live order is to be noted again.
    pub(super) fn forget_bounds(&mut self) {
        (self.reach, self.marks) = (NO_REACH, 0);
    }

    /// Widens the bounds by a live order.
    #[inline]
    pub(super) fn note(&mut self, order: &Order) {
        // An amendment counts at both of its prices.
        let asked = order.amending.unwrap_or(order.terms);
        let side = order.new.side;
        self.reach = self.reach.max(outwards(order.terms.price, side)).max(outwards(asked.price, side));
        if order.is_unanswered() {
            self.marks |= mark(order.terms);
        }
    }

    /// Whether an order on `other`, the other side, at `price` might meet one of these.
    #[inline]
    pub(super) fn may_meet(&self, other: Side, price: Price) -> bool {
        self.live > 0 && outwards(price, other) >= -self.reach
    }

    /// Whether an unanswered order of these might have these terms.
    #[inline]
    pub(super) fn may_hold(&self, terms: Terms) -> bool {
        self.marks & mark(terms) != 0
    }
}

/// A price as how far out it lies: up for a buy, down for a sell.
#[inline]
fn outwards(price: Price, side: Side) -> i64 {
    price.0.saturating_mul(side.sign())
}

/// One bit of 64.
#[inline]
fn mark(terms: Terms) -> u64 {
    let mixed = (terms.price.0 as u64 ^ u64::from(terms.lots).rotate_left(40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    1 << (mixed >> 58)
}
