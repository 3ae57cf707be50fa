//! The venue's reports as events.
//!
//! An execution report says how an order stands and which fills brought it there. The first one of an order is also its
//! acceptance. A report on an order whose number is not one of ours is passed over: the account may have others.

use super::super::delivery::Delivery;
use super::super::listing::Listed;
use crate::event::{Body, Event};
use crate::order::{CANCELLED_ON_REQUEST, CUM_LOTS_UNKNOWN, INSTRUMENT_EXPIRED, TIME_IN_FORCE_ENDED, UNKNOWN_TO_VENUE};
use crate::stage::{Full, Outbox};
use crate::units::{ClientOrderId, ExecutionId, InstrumentId, Price, Quantity, Side, VenueOrderId};
use crate::wire::fix::{ExecutionReport, Fields, number, status, tag};

/// Orders remembered by number, the latest of each place.
const KNOWN_MAX: usize = 4_096;
/// Reason of a refusal that the venue gives no number for.
const OTHER: u8 = 99;
/// `ExecType` (150): fills told before are taken back.
const TRADE_CANCEL: u8 = b'H';
/// What `Text` (58) of a cancel's refusal holds when there is no such order any more.
const GONE: [&[u8]; 4] = [b"not_found", b"not_open", b"already_", b"no such order"];

/// Which instrument an order is on, and whether its acceptance was told: reports do not always say.
#[derive(Debug)]
pub(super) struct Known {
    orders: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    order: ClientOrderId,
    instrument: InstrumentId,
    accepted: bool,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { orders: vec![Entry::default(); KNOWN_MAX].into_boxed_slice() }
    }

    /// An order leaves, or something about it.
    #[inline]
    pub(super) fn put(&mut self, order: ClientOrderId, instrument: InstrumentId) {
        let entry = &mut self.orders[order.0 as usize % KNOWN_MAX];
        if entry.order != order {
            *entry = Entry { order, instrument, accepted: false };
        }
    }

    /// Its acceptance was told.
    fn accept(&mut self, order: ClientOrderId, instrument: InstrumentId) {
        self.put(order, instrument);
        self.orders[order.0 as usize % KNOWN_MAX].accepted = true;
    }

    fn find(&self, order: ClientOrderId) -> Option<&Entry> {
        Some(&self.orders[order.0 as usize % KNOWN_MAX]).filter(|entry| entry.order == order)
    }
}

pub(super) struct Reports<'a, O> {
    pub(super) delivery: Delivery<'a, O>,
    pub(super) known: &'a mut Known,
}

impl<O: Outbox<Event>> Reports<'_, O> {
    #[inline]
    pub(super) fn execution(&mut self, report: &ExecutionReport<'_>) -> Result<(), Full> {
        let Some(order) = report.order.map(ClientOrderId) else { return Ok(()) };
        let Some(listed) = self.listed(order, report.symbol()) else {
            return self.delivery.unlisted();
        };
        let instrument = listed.instrument;
        if report.status == status::REJECTED {
            let reason = report.reject_reason().and_then(|reason| u8::try_from(reason).ok()).unwrap_or(OTHER);
            return self.delivery.deliver(Body::Rejected { order, instrument, reason: reason.min(127) });
        }
        if report.exec_type == TRADE_CANCEL {
            return self.executions(&listed, report, |execution, side, price, lots| Body::Busted {
                order,
                execution,
                instrument,
                side,
                price,
                lots,
            });
        }
        let is_first = self.known.find(order).is_none_or(|entry| !entry.accepted);
        if is_first {
            let venue_order = VenueOrderId(report.venue_order());
            self.delivery.deliver(Body::Accepted { order, venue_order, instrument })?;
        }
        if report.exec_type == b'5' || report.status == status::REPLACED {
            self.amended(order, &listed, report)?;
        }
        self.executions(&listed, report, |execution, side, price, lots| Body::Filled {
            order,
            execution,
            instrument,
            side,
            price,
            lots,
        })?;
        let ended = match (report.status, report.exec_type) {
            (status::CANCELED, _) if report.text().starts_with(b"ioc") => Some(TIME_IN_FORCE_ENDED),
            (status::CANCELED, _) => Some(CANCELLED_ON_REQUEST),
            (status::EXPIRED, _) | (_, b'C') => Some(INSTRUMENT_EXPIRED),
            (status::DONE_FOR_DAY, _) => Some(TIME_IN_FORCE_ENDED),
            _ => None,
        };
        if let Some(reason) = ended {
            let cum_lots = report.cum_qty().and_then(|contracts| listed.lots_of_contracts(Quantity(contracts)));
            let cum_lots = cum_lots.unwrap_or(CUM_LOTS_UNKNOWN);
            self.delivery.deliver(Body::Cancelled { order, instrument, cum_lots, reason })?;
        }
        // Only with the whole report told: one that is offered again has to count the same events before those left.
        if is_first {
            self.known.accept(order, instrument);
        }
        Ok(())
    }

    /// The refusal of a cancel, or of an amendment.
    pub(super) fn cancel_reject(&mut self, fields: &Fields<'_>) -> Result<(), Full> {
        let order = fields.find(tag::ORIG_CL_ORD_ID).or(fields.find(tag::CL_ORD_ID)).and_then(number);
        let Some(order) = order.map(ClientOrderId) else { return Ok(()) };
        let Some(listed) = self.listed(order, fields.find(tag::SYMBOL).unwrap_or_default()) else {
            return self.delivery.unlisted();
        };
        let instrument = listed.instrument;
        let text = fields.find(tag::TEXT).unwrap_or_default();
        let by_number = fields.find(tag::CXL_REJ_REASON).and_then(number);
        let gone = matches!(by_number, Some(0 | 1)) || GONE.iter().any(|part| contains(text, part));
        let reason = if gone { UNKNOWN_TO_VENUE } else { OTHER };
        let body = match fields.find(tag::CXL_REJ_RESPONSE_TO) {
            Some(b"2") => Body::AmendRejected { order, instrument, reason },
            _ => Body::CancelRejected { order, instrument, reason },
        };
        self.delivery.deliver(body)
    }

    fn amended(&mut self, order: ClientOrderId, listed: &Listed, report: &ExecutionReport<'_>) -> Result<(), Full> {
        let lots = report.order_qty().and_then(|contracts| listed.lots_of_contracts(Quantity(contracts)));
        match (report.price(), lots.filter(|lots| *lots > 0)) {
            (Some(price), Some(lots)) => {
                let (instrument, price) = (listed.instrument, Price(price));
                self.delivery.deliver(Body::Amended { order, instrument, price, lots })
            }
            _ => {
                self.delivery.count(|counters| counters.unrepresentable += 1);
                Ok(())
            }
        }
    }

    #[inline]
    fn executions(
        &mut self,
        listed: &Listed,
        report: &ExecutionReport<'_>,
        body: impl Fn(ExecutionId, Side, Price, u32) -> Body,
    ) -> Result<(), Full> {
        for fill in report.fills().iter() {
            let lots = fill.and_then(|fill| listed.lots_of_contracts(Quantity(fill.qty))).filter(|lots| *lots > 0);
            let (Some(fill), Some(side), Some(lots)) = (fill, report.side(), lots) else {
                self.delivery.count(|counters| counters.unrepresentable += 1);
                continue;
            };
            self.delivery.deliver(body(ExecutionId(fill.execution), side, Price(fill.price), lots))?;
        }
        Ok(())
    }

    /// The instrument by its name, or by the order.
    #[inline]
    fn listed(&mut self, order: ClientOrderId, symbol: &[u8]) -> Option<Listed> {
        let listing = self.delivery.listing;
        if let Some(listed) = listing.find_symbol(symbol) {
            return Some(*listed);
        }
        self.known.find(order).and_then(|entry| listing.find(entry.instrument)).copied()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
