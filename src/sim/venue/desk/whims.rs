//! What a venue does that its client gave no cause for.
//!
//! A whim is armed from outside and comes true with the next order, or at once; it is answered in the venue's own words, so
//! that whatever reads reports meets it as it would meet the real thing.

use super::{CLIENT, Desk, Floor};
use crate::order::TimeInForce;
use crate::sim::venue::exchange::Ticket;
use crate::sim::venue::link::Link;
use crate::units::{Lots, Side, VenueOrderId};
use crate::wire::starbase::orders::{
    AmendOrderReject, FilledOrder, Leg, NewOrderRequest, OrderFilled, fill_flags, reject_reason, side_to_wire,
};

/// The client's number of orders that the client never sent.
const STRANGER: i64 = 1;

/// What may happen to the next order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whim {
    /// It is refused, though nothing is wrong with it.
    Refuse,
    /// It is ended unfilled, though it could have traded.
    End,
    /// With its answer comes the refusal of an amendment that nobody asked for.
    RefuseAmendment,
}

impl Whim {
    /// Every whim.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::End, Self::RefuseAmendment];
}

/// Which whims wait for an order, and which came true.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Whims {
    armed: [bool; Whim::ALL.len()],
    came_true: [bool; Whim::ALL.len()],
}

impl Whims {
    /// Whether a whim was armed; it is spent with that.
    pub(super) fn spend(&mut self, whim: Whim) -> bool {
        let spent = std::mem::take(&mut self.armed[whim as usize]);
        self.came_true[whim as usize] |= spent;
        spent
    }
}

impl Desk {
    /// The next order will meet this.
    pub fn arm(&mut self, whim: Whim) {
        self.whims.armed[whim as usize] = true;
    }

    /// No order will meet anything it has no cause for.
    pub fn disarm(&mut self) {
        self.whims.armed = Default::default();
    }

    /// Whether a whim came true since this was asked last.
    pub fn came_true(&mut self, whim: Whim) -> bool {
        std::mem::take(&mut self.whims.came_true[whim as usize])
    }

    pub(super) fn refuse_unasked_amendment(
        &mut self,
        request: &NewOrderRequest,
        id: VenueOrderId,
        floor: &Floor<'_>,
        link: &mut Link,
    ) {
        self.events += 1;
        let reject = AmendOrderReject {
            timestamp: (floor.now.0 as i64).into(),
            exec_id: self.events.into(),
            client_order_id: request.client_order_id,
            correlation_id: request.correlation_id,
            order_id: (id.0 as i64).into(),
            instrument_id: request.instrument_id,
            reason: reject_reason::ORDER_NOT_FOUND,
        };
        link.report(floor.now, &reject, |encoder| encoder.text(b"no such order is open"));
    }

    /// Somebody else trades one lot on the client's account; false when nobody offers any.
    pub fn trade_unasked(&mut self, listing: usize, side: Side, floor: &mut Floor<'_>, link: &mut Link) -> bool {
        let Some(price) = floor.exchange.listings()[listing].book.best(side.opposite()) else { return false };
        let limit = Ticket::limit(CLIENT, side, price, Lots(1));
        let first = floor.exchange.prints().len();
        let ticket = Ticket { time_in_force: TimeInForce::ImmediateOrCancel, ..limit };
        let (id, _) = floor.exchange.submit(listing, &ticket);
        let contract = &floor.exchange.listings()[listing].contract;
        let (instrument, lot) = (i64::from(contract.venue.0), contract.lot);
        let (fills, filled) = self.take_fills(first, lot, side, floor);
        let entries: Vec<FilledOrder> = fills
            .iter()
            .map(|fill| FilledOrder {
                client_order_id: STRANGER.into(),
                order_id: (id.0 as i64).into(),
                instrument_id: instrument.into(),
                match_id: fill.match_id,
                price: fill.fill_price,
                fill_qty: fill.fill_qty,
                total_filled: filled.to_quantity(lot).into(),
                side: side_to_wire(side),
                flags: fill_flags::FULLY_FILLED,
            })
            .collect();
        if entries.is_empty() {
            return false;
        }
        self.events += 1;
        let report = OrderFilled { timestamp: (floor.now.0 as i64).into(), exec_id: self.events.into() };
        link.report(floor.now, &report, |encoder| encoder.group(&entries)?.group::<Leg>(&[]));
        true
    }
}
