//! What the venue's market-maker protection has frozen.
//!
//! When the protection triggers, the venue takes back what rests under it and refuses more, for a while or until it is asked
//! to go on. What would be refused is not sent: orders that rest, by underlying, and quotes, of which a session has one
//! group; a freeze of an underlying's orders holds quotes in it too. Orders that take are never under protection, so that a
//! hedge still leaves. The time is the venue's; one that has passed thaws by itself.

use crate::event::Protected;
use crate::instrument::UNDERLYINGS_MAX;
use crate::units::{Nanos, UnderlyingId};

/// Until when what is frozen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freezes {
    orders: [Nanos; UNDERLYINGS_MAX],
    quotes: Nanos,
    /// The group of quotes that was last told of.
    group: i64,
}

impl Freezes {
    pub(super) const NONE: Self = Self { orders: [Nanos(0); UNDERLYINGS_MAX], quotes: Nanos(0), group: 0 };

    /// The venue froze something, or thawed it.
    pub(super) fn see(&mut self, scope: Protected, until: Nanos) {
        match scope {
            Protected::Quotes { group } => (self.quotes, self.group) = (until, group),
            Protected::Orders { underlying } => {
                if let Some(orders) = self.orders.get_mut(underlying.index()) {
                    *orders = until;
                }
            }
        }
    }

    /// What is frozen.
    pub(super) fn all(&self, now: Nanos) -> impl Iterator<Item = Protected> + use<> {
        let Self { orders, group, .. } = *self;
        let quotes = self.holds_quotes(now).then_some(Protected::Quotes { group });
        let underlyings = orders.into_iter().enumerate().filter(move |(_, until)| *until > now);
        underlyings.map(|(at, _)| Protected::Orders { underlying: UnderlyingId(at as u8) }).chain(quotes)
    }

    /// Whether an order that would rest is refused by the venue.
    #[inline]
    pub(super) fn holds_orders(&self, underlying: UnderlyingId, now: Nanos) -> bool {
        self.orders.get(underlying.index()).is_some_and(|until| *until > now)
    }

    /// Whether a quote is.
    #[inline]
    pub(super) fn holds_quotes(&self, now: Nanos) -> bool {
        self.quotes > now
    }
}
