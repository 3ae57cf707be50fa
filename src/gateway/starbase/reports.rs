//! The venue's reports as events.

use super::super::delivery::Delivery;
use super::super::listing::Listed;
use super::super::outgoing::Note;
use super::quotes::{Quotes, side_of_quote};
use crate::event::{Body, Event};
use crate::order::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, INSTRUMENT_EXPIRED, TIME_IN_FORCE_ENDED, UNKNOWN_TO_VENUE};
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, ExecutionId, Price, Side, VenueOrderId};
use crate::wire::starbase::orders::{
    AmendOrderReject, AmendOrderResponse, CancelOrderReject, CancelOrderResponse, CanceledOrder, Decimal72, Fill,
    FilledOrder, Group, NewOrderReject, NewOrderResponse, OrderPlaced, cancel_reason, fill_flags, order_status,
    reject_reason, side_from_wire,
};

const _: () = {
    assert!(UNKNOWN_TO_VENUE == reject_reason::CANCEL_UNKNOWN_ORDER as u8);
    assert!(TIME_IN_FORCE_ENDED == cancel_reason::TIME_IN_FORCE as u8);
    assert!(INSTRUMENT_EXPIRED == cancel_reason::DELIVERED as u8);
    assert!(CANCELLED_ON_REQUEST == cancel_reason::BY_REQUEST as u8);
};

/// Delivers the reports of one frame from the one after the last delivered.
pub(super) struct Reports<'a, O>(pub(super) Delivery<'a, O>);

impl<O: Outbox<Event>> Reports<'_, O> {
    /// Taken, filled, and perhaps cancelled in one breath.
    pub(super) fn new_order(&mut self, r: &NewOrderResponse, fills: &Group<'_, Fill>) -> Result<(), Full> {
        let order = order_id(r.client_order_id.get());
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        let venue_order = VenueOrderId(r.order_id.get() as u64);
        self.0.deliver(Body::Accepted { order, venue_order, instrument: listed.instrument })?;
        self.fills(order, &listed, side_from_wire(r.side), fills)?;
        self.ended(order, &listed, r.status, r.cancel_reason, r.total_filled)
    }

    /// Out of the speed bump. The side comes back in the correlation the gateway gave.
    pub(super) fn placed(&mut self, r: &OrderPlaced, fills: &Group<'_, Fill>) -> Result<(), Full> {
        let order = order_id(r.client_order_id.get());
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        self.fills(order, &listed, Some(side_of_correlation(r.correlation_id.get())), fills)?;
        self.ended(order, &listed, r.status, r.cancel_reason, r.total_filled)
    }

    pub(super) fn new_order_reject(&mut self, r: &NewOrderReject) -> Result<(), Full> {
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        let (order, instrument) = (order_id(r.client_order_id.get()), listed.instrument);
        self.0.deliver(Body::Rejected { order, instrument, reason: r.reason as u8 })
    }

    /// Stands at other terms, may have filled at them, perhaps ended. The side comes back in the correlation.
    pub(super) fn amended(&mut self, r: &AmendOrderResponse, fills: &Group<'_, Fill>) -> Result<(), Full> {
        let order = order_id(r.client_order_id.get());
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        match r.quantity.to_quantity().ok().and_then(|quantity| listed.fill_lots(quantity)) {
            Some(lots) => {
                let (instrument, price) = (listed.instrument, Price(r.price.get()));
                self.0.deliver(Body::Amended { order, instrument, price, lots })?;
            }
            None => self.0.count(|counters| counters.unrepresentable += 1),
        }
        self.fills(order, &listed, Some(side_of_correlation(r.correlation_id.get())), fills)?;
        self.ended(order, &listed, r.status, r.cancel_reason, r.total_filled)
    }

    pub(super) fn amend_reject(&mut self, r: &AmendOrderReject) -> Result<(), Full> {
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        let (order, instrument) = (order_id(r.client_order_id.get()), listed.instrument);
        self.0.deliver(Body::AmendRejected { order, instrument, reason: r.reason as u8 })
    }

    pub(super) fn cancel(&mut self, r: &CancelOrderResponse, quotes: &mut Quotes) -> Result<(), Full> {
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        let instrument = listed.instrument;
        let order = quotes.order(instrument, r.order_id.get()).unwrap_or_else(|| order_id(r.client_order_id.get()));
        let reason = CANCELLED_ON_REQUEST;
        self.0.deliver(Body::Cancelled { order, instrument, cum_lots: CUM_LOTS_UNKNOWN, reason })?;
        quotes.ended(instrument, r.order_id.get());
        Ok(())
    }

    /// A cancel by the venue's number is known by its request alone.
    pub(super) fn cancel_reject(&mut self, r: &CancelOrderReject, request: Option<Note>) -> Result<(), Full> {
        let Some(listed) = self.listed(r.instrument_id.get())? else { return Ok(()) };
        let instrument = listed.instrument;
        let order = match request {
            Some(Note::Cancel { order, .. }) => order,
            _ => order_id(r.client_order_id.get()),
        };
        self.0.deliver(Body::CancelRejected { order, instrument, reason: r.reason as u8 })
    }

    pub(super) fn filled(&mut self, fills: &Group<'_, FilledOrder>, quotes: &mut Quotes) -> Result<(), Full> {
        for fill in fills.iter() {
            let Some(listed) = self.listed(fill.instrument_id.get())? else { continue };
            let (number, side) = (fill.client_order_id.get(), side_from_wire(fill.side));
            let is_quote = fill.flags & fill_flags::QUOTE != 0;
            let order = if is_quote { side_of_quote(number, side) } else { order_id(number) };
            self.fill(order, &listed, side, fill.match_id.get(), fill.price.get(), fill.fill_qty)?;
        }
        for fill in fills.iter().filter(|fill| fill.flags & fill_flags::FULLY_FILLED != 0) {
            if let Some(listed) = self.0.listing.find_venue(fill.instrument_id.get()) {
                quotes.ended(listed.instrument, fill.order_id.get());
            }
        }
        Ok(())
    }

    pub(super) fn canceled(&mut self, orders: &Group<'_, CanceledOrder>, quotes: &mut Quotes) -> Result<(), Full> {
        for canceled in orders.iter() {
            let Some(listed) = self.listed(canceled.instrument_id.get())? else { continue };
            let quoted = quotes.order(listed.instrument, canceled.order_id.get());
            let order = quoted.unwrap_or_else(|| order_id(canceled.client_order_id.get()));
            self.ended(order, &listed, order_status::CANCELED, canceled.cancel_reason, canceled.total_filled)?;
        }
        for canceled in orders.iter() {
            if let Some(listed) = self.0.listing.find_venue(canceled.instrument_id.get()) {
                quotes.ended(listed.instrument, canceled.order_id.get());
            }
        }
        Ok(())
    }

    fn fills(
        &mut self,
        order: ClientOrderId,
        listed: &Listed,
        side: Option<Side>,
        fills: &Group<'_, Fill>,
    ) -> Result<(), Full> {
        for fill in fills.iter() {
            self.fill(order, listed, side, fill.match_id.get(), fill.fill_price.get(), fill.fill_qty)?;
        }
        Ok(())
    }

    pub(super) fn fill(
        &mut self,
        order: ClientOrderId,
        listed: &Listed,
        side: Option<Side>,
        match_id: i64,
        price: i64,
        amount: Decimal72,
    ) -> Result<(), Full> {
        let lots = amount.to_quantity().ok().and_then(|quantity| listed.fill_lots(quantity));
        let (Some(side), Some(lots)) = (side, lots) else {
            self.0.count(|counters| counters.unrepresentable += 1);
            return Ok(());
        };
        let (execution, instrument) = (ExecutionId(match_id as u64), listed.instrument);
        self.0.deliver(Body::Filled { order, execution, instrument, side, price: Price(price), lots })
    }

    pub(super) fn ended(
        &mut self,
        order: ClientOrderId,
        listed: &Listed,
        status: i8,
        reason: i8,
        filled: Decimal72,
    ) -> Result<(), Full> {
        if status != order_status::CANCELED {
            return Ok(());
        }
        let cum_lots = filled.to_quantity().ok().and_then(|quantity| listed.lots(quantity));
        if cum_lots.is_none() {
            self.0.count(|counters| counters.unrepresentable += 1);
        }
        let cum_lots = cum_lots.unwrap_or(CUM_LOTS_UNKNOWN);
        self.0.deliver(Body::Cancelled { order, instrument: listed.instrument, cum_lots, reason: reason as u8 })
    }

    /// The instrument behind the venue's number; without one there is nothing to tell.
    pub(super) fn listed(&mut self, number: i64) -> Result<Option<Listed>, Full> {
        let listed = self.0.listing.find_venue(number).copied();
        if listed.is_none() {
            self.0.unlisted()?;
        }
        Ok(listed)
    }
}

/// The correlation of a request: its sequence number, and the side in the lowest bit.
pub(super) fn correlation(sequence: i64, side: Side) -> i64 {
    sequence << 1 | i64::from(side == Side::Sell)
}

fn side_of_correlation(correlation: i64) -> Side {
    if correlation & 1 == 0 { Side::Buy } else { Side::Sell }
}

pub(super) fn order_id(number: i64) -> ClientOrderId {
    ClientOrderId(number as u64)
}
